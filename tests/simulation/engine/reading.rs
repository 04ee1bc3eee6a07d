//! Receiving: bytes to frames to requests, in order, while there is room for an answer.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tautline::{
    protocol::{ClientHello, CloseReason, ReceiveBuffer, Refusal},
    state::{Connection, Fault, INTERVALS_SILENT, Step},
};

use super::{
    Hosted,
    outbox::Failure,
    peer::Peer,
    requests::{self, Verdict},
};
use crate::{
    census::Event,
    moment::Moment,
    wire::{Flow, Pipe},
};

/// The receiving side of one connection.
pub(super) struct Line {
    pub(super) protocol: Connection,
    receive: ReceiveBuffer,
    /// Since when there is no room for an answer, so that nothing is read.
    paused_since: Option<Instant>,
    heard_at: Option<Instant>,
    pub(super) heartbeat: Duration,
}

/// What came of reading.
#[derive(Debug)]
pub(super) enum Passed {
    /// Nothing arrived.
    Nothing,
    /// Whatever arrived was acted on.
    Frames,
    /// The client's hello, to be welcomed or refused before the next frame is looked at.
    Hello(ClientHello),
    Refuse(Refusal),
    Close(CloseReason),
    /// The peer is gone.
    Lost,
}

impl fmt::Debug for Line {
    /// Without the buffer's bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("protocol", &self.protocol)
            .field("received", &self.receive.len())
            .field("paused_since", &self.paused_since)
            .finish()
    }
}

impl Line {
    pub(super) fn new(protocol: Connection) -> Self {
        Self {
            protocol,
            receive: ReceiveBuffer::new(),
            paused_since: None,
            heard_at: None,
            heartbeat: Duration::ZERO,
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused_since.is_some() && !self.protocol.is_closing()
    }

    /// Whether reading would do anything.
    pub(super) fn may_read(&self, pipe: &Pipe, peer: &Peer, now: Instant) -> bool {
        let has_input = match self.paused_since {
            Some(_) => peer.outbox.has_room(),
            None => pipe.is_readable(now),
        };
        has_input && !self.protocol.is_closing()
    }

    pub(super) fn read(
        &mut self,
        pipe: &mut Pipe,
        peer: &mut Peer,
        hosted: &mut [Hosted],
        moment: &mut Moment,
    ) -> Passed {
        if self.protocol.is_closing() {
            return Passed::Nothing;
        }
        if let Some(since) = self.paused_since {
            if !peer.outbox.has_room() {
                return Passed::Nothing;
            }
            self.paused_since = None;
            self.protocol.handle_reading_resumed(moment.now - since);
            return self.handle_frames(peer, hosted, moment);
        }
        match pipe.read(self.receive.spare(), moment) {
            Flow::Moved(count) => {
                self.receive.advance(count);
                self.protocol.handle_heard(moment.now);
                self.heard_at = Some(moment.now);
            }
            Flow::Blocked => return Passed::Nothing,
            Flow::Ended => return Passed::Lost,
        }
        self.handle_frames(peer, hosted, moment)
    }

    /// Nobody is taken for dead who said something.
    pub(super) fn check_expiry(&self, reason: CloseReason, now: Instant) {
        let silence = self.heard_at.map_or(Duration::MAX, |at| now - at);
        let is_silent = silence >= self.heartbeat * INTERVALS_SILENT;
        assert!(reason != CloseReason::HeartbeatLost || is_silent, "it was heard {silence:?} ago");
    }

    /// Takes in every frame that is complete.
    pub(super) fn handle_frames(
        &mut self,
        peer: &mut Peer,
        hosted: &mut [Hosted],
        moment: &mut Moment,
    ) -> Passed {
        let mut frames = 0;
        loop {
            if !peer.outbox.has_room() {
                self.paused_since = Some(moment.now);
                moment.count(Event::Pause);
                break;
            }
            let step = match self.receive.next_frame() {
                Ok(Some(frame)) => self.protocol.handle_frame(frame, moment.now),
                Ok(None) => break,
                Err(error) => self.protocol.handle_length_error(error),
            };
            frames += 1;
            match step {
                Step::Request { id, message } => {
                    match requests::handle(peer, hosted, id, message, moment) {
                        Verdict::Open => {}
                        Verdict::Answered => self.protocol.handle_answered(id),
                        Verdict::Close(reason) => return Passed::Close(reason),
                    }
                }
                Step::Answer(fault) => answer(peer, fault),
                Step::Skip => {}
                Step::Hello(hello) => return Passed::Hello(hello),
                Step::Refuse(refusal) => return Passed::Refuse(refusal),
                Step::Close(reason) => return Passed::Close(reason),
            }
        }
        self.protocol.handle_pass(self.receive.is_mid_frame(), frames, moment.now);
        Passed::Frames
    }
}

fn answer(peer: &mut Peer, fault: Fault) {
    let Fault { id, code, limit, value, .. } = fault;
    peer.outbox.push_failure(id, Failure { code, limit, value, attachment: 0 });
}
