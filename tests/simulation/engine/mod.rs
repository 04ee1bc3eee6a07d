//! The engine without I/O of its own: what a real one does, step by step, around the same state.
//!
//! Each connection is read and written in turn; each session's terminal likewise. Nothing waits:
//! a step does what it can and tells whether that was anything.

mod hosted;
mod outbox;
mod peer;
mod reading;
mod requests;
mod writing;

use std::time::{Duration, Instant};

use tautline::{
    protocol::{ClientHello, CloseReason, DetachReason, EngineHello, Features, Refusal},
    state::{ClientId, Connection, Deadlines, Expiry},
};

use hosted::Orphan;
pub(crate) use hosted::{Hosted, generation};
use peer::Peer;
use reading::{Line, Passed};

use crate::{
    census::Event, moment::Moment, scenario::SessionPlan, terminal::Terminal, wire::Wires,
};

/// Answered requests one connection may have pending.
const REQUESTS_LIMIT: usize = 32;

/// How long attachments of a lost connection are kept.
const RESUME_GRACE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) hosted: Vec<Hosted>,
    connections: Vec<EngineConnection>,
}

/// One live socket: what is received, and who is behind it.
#[derive(Debug)]
struct EngineConnection {
    line: Line,
    peer: Peer,
}

impl Engine {
    pub(crate) fn new(sessions: &[SessionPlan]) -> Self {
        let hosted = sessions.iter().enumerate();
        let hosted = hosted.map(|(index, plan)| Hosted::new(index, plan.clone())).collect();
        Self { hosted, connections: Vec::new() }
    }

    /// Starts every session's first child.
    pub(crate) fn start(&mut self, terminals: &mut [Terminal], moment: &mut Moment) {
        for (hosted, terminal) in self.hosted.iter_mut().zip(terminals) {
            hosted.start(terminal, moment);
        }
    }

    /// Whether reading that connection would do anything.
    pub(crate) fn may_read(&self, at: usize, wires: &Wires, now: Instant) -> bool {
        let EngineConnection { line, peer } = &self.connections[at];
        line.may_read(&wires.look(peer.wire).up, peer, now)
    }

    /// Whether writing to that connection would do anything.
    pub(crate) fn may_write(&self, at: usize, wires: &Wires) -> bool {
        let EngineConnection { line, peer } = &self.connections[at];
        if peer.outbox.is_empty() && line.protocol.is_closing() {
            return true;
        }
        let room = wires.look(peer.wire).down.room();
        writing::may_write(&line.protocol, peer, &self.hosted, room)
    }

    /// Whether that session's terminal has anything to do.
    pub(crate) fn may_step_session(&self, at: usize, terminal: &Terminal, now: Instant) -> bool {
        self.hosted[at].may_step(terminal, now)
    }

    pub(crate) fn accept(&mut self, wires: &mut Wires, moment: &mut Moment) -> bool {
        let Some(wire) = wires.accept() else { return false };
        let protocol = Connection::new(Deadlines::default(), REQUESTS_LIMIT, moment.now);
        self.connections
            .push(EngineConnection { line: Line::new(protocol), peer: Peer::new(wire) });
        true
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Reads a connection once and acts on every frame that is complete.
    pub(crate) fn step_reading(
        &mut self,
        at: usize,
        wires: &mut Wires,
        moment: &mut Moment,
    ) -> bool {
        let Some(EngineConnection { line, peer }) = self.connections.get_mut(at) else {
            return false;
        };
        let passed = line.read(&mut wires.get(peer.wire).up, peer, &mut self.hosted, moment);
        self.follow(at, passed, wires, moment)
    }

    /// Acts on what came of reading a connection; tells whether anything happened.
    fn follow(
        &mut self,
        at: usize,
        passed: Passed,
        wires: &mut Wires,
        moment: &mut Moment,
    ) -> bool {
        if !matches!(passed, Passed::Nothing) {
            self.note_changes();
        }
        match passed {
            Passed::Nothing => return false,
            Passed::Frames => {}
            Passed::Hello(hello) => {
                self.welcome(at, &hello, wires, moment);
                let EngineConnection { line, peer } = &mut self.connections[at];
                let passed = line.handle_frames(peer, &mut self.hosted, moment);
                self.follow(at, passed, wires, moment);
            }
            Passed::Refuse(refusal) => self.refuse(at, refusal, moment),
            Passed::Close(reason) => self.close(at, reason, moment),
            Passed::Lost => self.drop_connection(at, wires, moment),
        }
        true
    }

    /// Writes what a connection is owed, as much as fits.
    pub(crate) fn step_writing(
        &mut self,
        at: usize,
        wires: &mut Wires,
        moment: &mut Moment,
    ) -> bool {
        let Some(EngineConnection { line, peer }) = self.connections.get_mut(at) else {
            return false;
        };
        let wire = wires.get(peer.wire);
        let moved = writing::write(&mut line.protocol, peer, &mut self.hosted, wire, moment);
        if line.protocol.is_closing() && peer.outbox.is_empty() {
            self.drop_connection(at, wires, moment);
            return true;
        }
        moved
    }

    /// A session's terminal: exits, restarts, one read and one write.
    pub(crate) fn step_session(
        &mut self,
        at: usize,
        terminal: &mut Terminal,
        moment: &mut Moment,
    ) -> bool {
        let hosted = &mut self.hosted[at];
        let is_restarted = hosted.step_child(terminal, moment);
        let is_read = hosted.read_terminal(terminal, moment);
        let is_written = hosted.write_terminal(terminal, moment);
        let is_moved = is_restarted || is_read || is_written;
        hosted.changes += u64::from(is_moved);
        let done = std::mem::take(&mut hosted.done);
        for (wire, id) in done {
            let live = self.connections.iter_mut().find(|connection| connection.peer.wire == wire);
            if let Some(connection) = live {
                connection.peer.deferred.push_back(id);
            }
        }
        is_moved
    }

    /// Deadlines that have passed: of connections, of sessions, of clients that stay away.
    pub(crate) fn step_timers(
        &mut self,
        terminals: &mut [Terminal],
        wires: &mut Wires,
        moment: &mut Moment,
    ) -> bool {
        let mut is_moved = false;
        for at in (0..self.connections.len()).rev() {
            let line = &self.connections[at].line;
            // A frame has its time only while we read.
            let deadline = line.protocol.deadline().filter(|_| !line.is_paused());
            if deadline.is_some_and(|at| at <= moment.now) {
                is_moved = true;
                self.expire(at, wires, moment);
            }
        }
        for (hosted, terminal) in self.hosted.iter_mut().zip(terminals) {
            is_moved |= hosted.handle_timeout(terminal, moment);
        }
        is_moved
    }

    /// A deadline is judged only after the socket was read once more.
    fn expire(&mut self, at: usize, wires: &mut Wires, moment: &mut Moment) {
        let count = self.connections.len();
        while self.step_reading(at, wires, moment) && self.connections.len() == count {}
        if self.connections.len() < count {
            return;
        }
        match self.connections[at].line.protocol.handle_timeout(moment.now) {
            None => {}
            Some(Expiry::Ping) => panic!("no heartbeat was granted"),
            Some(Expiry::Refuse(refusal)) => self.refuse(at, refusal, moment),
            Some(Expiry::Close(reason)) => self.close(at, reason, moment),
            Some(Expiry::Drop) => self.drop_connection(at, wires, moment),
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let lines = self.connections.iter().map(|connection| &connection.line);
        let lines = lines.filter(|line| !line.is_paused());
        let deadlines = lines.filter_map(|line| line.protocol.deadline());
        deadlines.chain(self.hosted.iter().filter_map(Hosted::next_wake)).min()
    }

    fn welcome(&mut self, at: usize, hello: &ClientHello, wires: &mut Wires, moment: &mut Moment) {
        self.fence(at, hello.client_id, wires, moment);
        let EngineConnection { line, peer } = &mut self.connections[at];
        moment.note("welcome", [peer.wire as u64, u64::from(hello.client_id[0]), 0]);
        peer.client = hello.client_id;
        peer.outbox.push_bytes(&EngineHello::default().encode());
        line.protocol.handle_welcome(Features::default());
    }

    /// The newest connection of a client wins; what the older one still had to say is not heard.
    fn fence(&mut self, at: usize, client: ClientId, wires: &mut Wires, moment: &mut Moment) {
        for older in (0..self.connections.len()).filter(|older| *older != at) {
            let connection = &mut self.connections[older];
            let is_ready = connection.line.protocol.is_ready();
            if is_ready && connection.peer.client == client {
                moment.count(Event::TakenOver);
                self.orphan(older, moment);
                self.close(older, CloseReason::TakenOver, moment);
                wires.get(self.connections[older].peer.wire).up.end();
            }
        }
    }

    fn refuse(&mut self, at: usize, refusal: Refusal, moment: &mut Moment) {
        let EngineConnection { line, peer } = &mut self.connections[at];
        let hello = EngineHello { version: 0, status: refusal.to_wire(), ..EngineHello::default() };
        peer.outbox.push_bytes(&hello.encode());
        line.protocol.handle_closing(moment.now);
    }

    /// Says why and hears nothing more; attachments that are not orphans by now are gone for good.
    fn close(&mut self, at: usize, reason: CloseReason, moment: &mut Moment) {
        let EngineConnection { line, peer } = &mut self.connections[at];
        moment.note("close", [peer.wire as u64, reason.to_wire().into(), 0]);
        for place in peer.places.drain(..) {
            self.hosted[place.session].forget(place.id);
        }
        peer.outbox.push_goodbye(reason);
        line.protocol.handle_closing(moment.now);
    }

    /// The socket is gone; attachments wait for their client to come back.
    fn drop_connection(&mut self, at: usize, wires: &mut Wires, moment: &mut Moment) {
        self.orphan(at, moment);
        let connection = self.connections.remove(at);
        moment.note("drop", [connection.peer.wire as u64, 0, 0]);
        wires.close(connection.peer.wire);
    }

    /// What was received may have changed any session.
    fn note_changes(&mut self) {
        self.hosted.iter_mut().for_each(|hosted| hosted.changes += 1);
    }

    fn orphan(&mut self, at: usize, moment: &Moment) {
        let peer = &mut self.connections[at].peer;
        for place in peer.places.drain(..) {
            let hosted = &mut self.hosted[place.session];
            let ended = hosted.session.attachment(place.id).and_then(|known| known.ended());
            if ended.is_some_and(|reason| reason != DetachReason::Ended) {
                hosted.forget(place.id);
                continue;
            }
            let expires = moment.now + RESUME_GRACE;
            let (client, number, id) = (peer.client, place.number, place.id);
            hosted.orphans.push(Orphan { client, number, id, expires });
        }
    }
}
