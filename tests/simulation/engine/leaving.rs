//! Connections end, and what they leave behind is kept for a while.

use std::time::{Duration, Instant};

use tautline::{
    protocol::{CloseReason, DetachReason},
    state::{Attachment, AttachmentId, ClientId},
};

use super::{
    Engine, EngineConnection, Hosted,
    peer::{Peer, Place},
};
use crate::{census::Event, moment::Moment, wire::Wires};

/// What is expected to be kept of an attachment, whatever the session does.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: AttachmentId,
    pub(super) client: ClientId,
    pub(super) number: u32,
    pub(super) live_from: u64,
    pub(super) pause_limit_ms: u32,
    /// Its end was told; whether that was heard is not known.
    pub(super) is_end_told: bool,
    /// Somebody wanted the session alone.
    pub(super) is_kicked: bool,
    /// Until when, if its connection was lost.
    pub(super) until: Option<Instant>,
}

impl Engine {
    /// The newest connection of a client wins; nothing that came over the older one is acted on any
    /// more, and what it had is there for the newer one.
    pub(super) fn fence(&mut self, older: usize, moment: &mut Moment) {
        let is_it = |connection: &EngineConnection| connection.peer.wire == older;
        let Some(at) = self.connections.iter().position(is_it) else { return };
        if self.connections[at].peer.is_fenced {
            return;
        }
        moment.count(Event::TakenOver);
        self.connections[at].peer.is_fenced = true;
        self.leave_sessions(at, moment.now);
        if !self.connections[at].line.protocol.is_closing() {
            self.close(at, CloseReason::TakenOver, moment);
        }
    }

    /// Says why and hears nothing more.
    pub(super) fn close(&mut self, at: usize, reason: CloseReason, moment: &mut Moment) {
        let EngineConnection { line, peer } = &mut self.connections[at];
        moment.note("close", [peer.wire as u64, reason.to_wire().into(), 0]);
        if reason == CloseReason::HeartbeatLost {
            moment.count(Event::HeartbeatLost);
        }
        if !is_worth_coming_back(reason) {
            peer.grace = Duration::ZERO;
        }
        peer.outbox.push_goodbye(reason);
        line.protocol.handle_closing(moment.now);
    }

    /// The socket is gone; attachments wait for their client to come back.
    pub(super) fn drop_connection(&mut self, at: usize, wires: &mut Wires, moment: &mut Moment) {
        let peer = &self.connections[at].peer;
        let has_something = peer.is_kept || !peer.places.is_empty() || !peer.told.is_empty();
        let grace = if has_something { peer.grace } else { Duration::ZERO };
        self.identities.leave(peer.wire, grace, moment.now);
        self.leave_sessions(at, moment.now);
        let connection = self.connections.remove(at);
        moment.note("drop", [connection.peer.wire as u64, 0, 0]);
        wires.close(connection.peer.wire);
    }

    fn leave_sessions(&mut self, at: usize, now: Instant) {
        let peer = &mut self.connections[at].peer;
        peer.is_kept |= !peer.places.is_empty() || !peer.told.is_empty();
        // What is still to be proven is kept already.
        peer.told.clear();
        for place in peer.places.drain(..) {
            self.hosted[self.first + place.session].lose(place.id, peer.grace, now);
        }
    }
}

/// Whether a client that was told this reason may come back to what it had.
const fn is_worth_coming_back(reason: CloseReason) -> bool {
    use CloseReason::{FrameTimeout, HeartbeatLost, Internal, TakenOver};

    matches!(reason, FrameTimeout | HeartbeatLost | Internal | TakenOver)
}

/// The end of an attachment is on its way: if it matters to its client, the attachment is kept
/// until an answer shows that it was heard.
pub(super) fn tell_end(peer: &mut Peer, hosted: &mut Hosted, place: Place, now: Instant) {
    let ended = hosted.session.attachment(place.id).and_then(Attachment::ended);
    let is_to_prove =
        matches!(ended, Some(DetachReason::Ended | DetachReason::Kicked | DetachReason::TakenOver));
    if peer.grace.is_zero() || !is_to_prove {
        return hosted.forget(place.id);
    }
    hosted.keep_told(place.id, peer.grace, now);
    let token = peer.say_ping();
    peer.told.push_back((token, place));
}

/// An answer came: whatever was told before it was heard.
pub(super) fn handle_pong(peer: &mut Peer, hosted: &mut [Hosted], token: u64) {
    while let Some((_, heard)) = peer.told.pop_front_if(|(asked, _)| *asked <= token) {
        hosted[heard.session].forget(heard.id);
    }
}

impl Hosted {
    /// An attachment was made. Returns which output is older than it, or than what it goes on for.
    pub(super) fn keep(
        &mut self,
        id: AttachmentId,
        (client, number): (ClientId, u32),
        comes_back: bool,
        moment: &mut Moment,
    ) -> u64 {
        let end = self.session.log().end();
        if !self.visitors.contains(&client) {
            self.visitors.push(client);
        }
        let is_it = |kept: &mut Kept| {
            kept.client == client && kept.number == number && kept.until.is_some()
        };
        let before: Vec<_> = self.kept.extract_if(.., is_it).collect();
        // Who does not come back to it is somebody new where the end was told.
        let before = before.iter().filter(|kept| comes_back || !kept.is_end_told);
        let before = before.min_by_key(|kept| kept.is_end_told);
        if before.is_some_and(|before| before.is_kicked) {
            moment.count(Event::KickedAway);
            let ended = self.session.attachment(id).and_then(Attachment::ended);
            assert!(ended.is_some(), "who was kicked while it was away is told so");
        }
        let live_from = before.map_or(end, |before| before.live_from.min(end));
        self.kept.push(Kept {
            id,
            client,
            number,
            live_from,
            pause_limit_ms: 0,
            is_end_told: false,
            is_kicked: false,
            until: None,
        });
        live_from
    }

    /// Somebody wants the session alone.
    pub(super) fn kick_others(&mut self, id: AttachmentId) {
        self.session.handle_detach_others(id, DetachReason::Kicked);
        for kept in self.kept.iter_mut().filter(|kept| kept.id != id) {
            kept.is_kicked = true;
        }
    }

    /// A client left, or the end of its attachment was told.
    pub(super) fn forget(&mut self, id: AttachmentId) {
        self.kept.retain(|kept| kept.id != id);
        self.session.forget(id);
        self.handle_left();
    }

    /// The connection of an attachment was lost.
    pub(super) fn lose(&mut self, id: AttachmentId, grace: Duration, now: Instant) {
        let attachment = self.session.attachment(id).expect("what is lost is attached");
        let has_left =
            matches!(attachment.ended(), Some(DetachReason::Asked | DetachReason::Removed));
        let pause_limit_ms = attachment.pause_limit_ms();
        match self.kept.iter_mut().find(|kept| kept.id == id) {
            Some(kept) if !has_left && !grace.is_zero() => {
                kept.until = Some(now + grace);
                kept.pause_limit_ms = pause_limit_ms.min(30_000);
            }
            _ => self.kept.retain(|kept| kept.id != id),
        }
        assert!(self.session.handle_lost(id, grace, now), "it was there");
        self.handle_left();
    }

    /// The end of an attachment was told: it is kept for who may not have heard it.
    fn keep_told(&mut self, id: AttachmentId, grace: Duration, now: Instant) {
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.id == id) {
            kept.until = Some(now + grace);
            kept.is_end_told = true;
        }
        self.session.handle_end_told(id, grace, now);
        self.handle_left();
    }

    fn handle_left(&mut self) {
        self.changes += 1;
        if let Some(size) = self.session.handle_sizes_changed() {
            self.queue_size(size);
        }
    }

    /// Whether anything is kept of that attachment, or was until now.
    pub(super) fn is_kept(&self, client: ClientId, number: u32) -> bool {
        let is_it = |kept: &Kept| kept.client == client && kept.number == number;
        self.kept.iter().any(is_it)
    }

    /// Whether that attachment may be come back to.
    pub(super) fn is_awaited(&self, client: ClientId, number: u32, now: Instant) -> bool {
        let is_it = |kept: &Kept| {
            let is_away = kept.until.is_some_and(|until| now < until);
            is_away && kept.client == client && kept.number == number
        };
        self.kept.iter().any(is_it)
    }

    /// What the engine knows of a client is what it is to know: as long as it is attached or may
    /// come back, or has input queued, and no longer.
    pub(super) fn check_known(&self, client: ClientId, now: Instant) {
        let marks = self.session.marks(client);
        let mut kept = self.kept.iter().filter(|kept| kept.client == client);
        let is_expected = kept.clone().any(|kept| kept.until.is_none_or(|until| now < until));
        assert!(
            !is_expected || marks.is_some(),
            "session {}: input marks are kept for as long as a client may come back",
            self.index
        );
        let is_queued = marks.is_some_and(|marks| marks.queued() > 0);
        let is_excused = kept.next().is_some() || (is_queued && self.session.is_live());
        assert!(
            marks.is_none() || is_excused,
            "session {}: an attachment that ended leaves nothing behind after the grace",
            self.index
        );
    }
}
