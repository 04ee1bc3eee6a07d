//! Who is behind a connection: attachments, replies, whose turn it is.

use std::{collections::VecDeque, time::Duration};

use tautline::{
    protocol::{EngineMessage, Ping},
    state::{AttachmentId, ClientId},
};

use super::outbox::Outbox;

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) wire: usize,
    pub(super) client: ClientId,
    /// How long what it leaves behind is kept; zero if it left, or was made to for good.
    pub(super) grace: Duration,
    /// A newer connection of its client was welcomed.
    pub(super) is_fenced: bool,
    /// Something of it is kept in a session.
    pub(super) is_kept: bool,
    pub(super) outbox: Outbox,
    /// Requests that are done and not yet told so: never more than may be pending.
    pub(super) deferred: VecDeque<u64>,
    pub(super) places: Vec<Place>,
    /// Attachments whose end was told, and the tokens that prove that it was heard.
    pub(super) told: VecDeque<(u64, Place)>,
    tokens: u64,
    /// Whose turn it is to write.
    pub(super) next: usize,
}

/// One attachment of the connection.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) number: u32,
    pub(super) session: usize,
    pub(super) id: AttachmentId,
    pub(super) stream: u64,
    /// Output before this was printed before the attachment was made, or the one it goes on for.
    pub(super) live_from: u64,
    /// Requests that are done when the end of the attachment was told.
    pub(super) detaches: Vec<u64>,
    /// Requests that are done when the attachment's new terms were told.
    pub(super) adjusts: Vec<u64>,
    /// Input below this is to be acknowledged as soon as it is written.
    pub(super) ack_wanted: u64,
    pub(super) ack_told: u64,
    /// The change of its session after which there was nothing to send.
    pub(super) quiet_at: u64,
}

impl Peer {
    pub(super) fn new(wire: usize) -> Self {
        Self {
            wire,
            client: ClientId::default(),
            grace: Duration::ZERO,
            is_fenced: false,
            is_kept: false,
            outbox: Outbox::default(),
            deferred: VecDeque::new(),
            places: Vec::new(),
            told: VecDeque::new(),
            tokens: 0,
            next: 0,
        }
    }

    pub(super) fn place(&mut self, number: u32) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| place.number == number)
    }

    /// Asks for a sign of life; returns what proves it. Without room for the question it is asked
    /// another time.
    pub(super) fn say_ping(&mut self) -> u64 {
        if !self.outbox.has_room() {
            return 0;
        }
        self.tokens += 1;
        self.outbox.push(0, EngineMessage::Ping(Ping { token: self.tokens, ..Ping::default() }));
        self.tokens
    }
}
