//! The engine without I/O of its own: what a real one does, step by step, around the same state.
//!
//! Each connection is read and written in turn; each session's terminal likewise. Nothing waits:
//! a step does what it can and tells whether that was anything.

mod attaching;
mod hosted;
mod identities;
mod leaving;
mod outbox;
mod peer;
mod reading;
mod requests;
mod writing;

use std::time::{Duration, Instant};

use tautline::{
    protocol::{ClientHello, EngineHello, Features, Refusal},
    state::{Connection, Deadlines, Expiry, Heartbeat},
};

pub(crate) use hosted::{Hosted, generation, name, place};
use identities::Identities;
use peer::Peer;
use reading::{Line, Passed};

use crate::{moment::Moment, scenario::SessionPlan, terminal::Terminal, wire::Wires};

/// Answered requests one connection may have pending.
const REQUESTS_LIMIT: usize = 32;

#[derive(Debug)]
pub(crate) struct Engine {
    /// All sessions there ever were; those of engines that died are before `first`.
    pub(crate) hosted: Vec<Hosted>,
    first: usize,
    connections: Vec<EngineConnection>,
    identities: Identities,
    grace: Duration,
    incarnation: u8,
}

/// One live socket: what is received, and who is behind it.
#[derive(Debug)]
struct EngineConnection {
    line: Line,
    peer: Peer,
}

impl Engine {
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            hosted: Vec::new(),
            first: 0,
            connections: Vec::new(),
            identities: Identities::default(),
            grace,
            incarnation: 0,
        }
    }

    /// Begins with nothing: makes every session, and starts its first child.
    pub(crate) fn start(
        &mut self,
        sessions: &[SessionPlan],
        terminals: &mut Vec<Terminal>,
        moment: &mut Moment,
    ) {
        self.incarnation += 1;
        self.first = self.hosted.len();
        self.identities = Identities::default();
        for (session, plan) in sessions.iter().enumerate() {
            let mut terminal = Terminal::new(session, plan.clone());
            let mut hosted = Hosted::new(self.hosted.len(), session, plan.clone());
            hosted.start(&mut terminal, moment);
            self.hosted.push(hosted);
            terminals.push(terminal);
        }
    }

    /// Everything is lost.
    pub(crate) fn die(&mut self, terminals: &mut [Terminal], moment: &mut Moment) {
        moment.note("engine died", [self.incarnation.into(), 0, 0]);
        self.connections.clear();
        terminals.iter_mut().for_each(Terminal::die);
        self.first = self.hosted.len();
    }

    /// The sessions of the engine that lives.
    pub(crate) fn live(&self) -> &[Hosted] {
        &self.hosted[self.first..]
    }

    /// What must hold at every moment.
    pub(crate) fn check(&mut self, terminals: &[Terminal], now: Instant) {
        for (hosted, terminal) in self.hosted.iter_mut().zip(terminals).skip(self.first) {
            hosted.check(terminal, now);
        }
    }

    /// What must hold at the end: nobody is waited for, and nothing is kept of who left.
    pub(crate) fn check_end(&self, now: Instant) {
        for hosted in self.live() {
            hosted.check_end(now);
        }
    }

    /// Whether anybody who answers was told an end and did not say so.
    pub(crate) fn is_waiting_for_proof(&self, is_meant: impl Fn(usize) -> bool) -> bool {
        let peers = self.connections.iter().map(|connection| &connection.peer);
        peers.filter(|peer| is_meant(peer.wire)).any(|peer| !peer.told.is_empty())
    }

    /// Whether reading that connection would do anything.
    pub(crate) fn may_read(&self, at: usize, wires: &Wires, now: Instant) -> bool {
        let EngineConnection { line, peer } = &self.connections[at];
        line.may_read(&wires.look(peer.wire).up, peer, now)
    }

    /// Whether writing to that connection would do anything.
    pub(crate) fn may_write(&self, at: usize, wires: &Wires) -> bool {
        let EngineConnection { line, peer } = &self.connections[at];
        if peer.outbox.is_empty() && line.protocol.is_closing() || self.is_unheard(at, wires) {
            return true;
        }
        let room = wires.look(peer.wire).down.room();
        writing::may_write(&line.protocol, peer, self.live(), room)
    }

    /// Whether nobody reads what it waits for to be taken, so that only a write finds out.
    fn is_unheard(&self, at: usize, wires: &Wires) -> bool {
        let EngineConnection { line, peer } = &self.connections[at];
        line.is_paused() && !peer.outbox.is_empty() && wires.look(peer.wire).down.is_broken()
    }

    /// Whether that session's terminal has anything to do.
    pub(crate) fn may_step_session(&self, at: usize, terminal: &Terminal, now: Instant) -> bool {
        at >= self.first && self.hosted[at].may_step(terminal, now)
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
        let passed =
            line.read(&mut wires.get(peer.wire).up, peer, &mut self.hosted[self.first..], moment);
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
                self.handle_hello(at, &hello, moment);
                let EngineConnection { line, peer } = &mut self.connections[at];
                let passed = line.handle_frames(peer, &mut self.hosted[self.first..], moment);
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
        if at < self.connections.len() && self.is_unheard(at, wires) {
            self.drop_connection(at, wires, moment);
            return true;
        }
        let Some(EngineConnection { line, peer }) = self.connections.get_mut(at) else {
            return false;
        };
        let wire = wires.get(peer.wire);
        let moved =
            writing::write(&mut line.protocol, peer, &mut self.hosted[self.first..], wire, moment);
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
        for (hosted, terminal) in self.hosted.iter_mut().zip(terminals).skip(self.first) {
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
            Some(Expiry::Ping) => {
                self.connections[at].peer.say_ping();
            }
            Some(Expiry::Refuse(refusal)) => self.refuse(at, refusal, moment),
            Some(Expiry::Close(reason)) => {
                self.connections[at].line.check_expiry(reason, moment.now);
                self.close(at, reason, moment);
            }
            Some(Expiry::Drop) => self.drop_connection(at, wires, moment),
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let lines = self.connections.iter().map(|connection| &connection.line);
        let lines = lines.filter(|line| !line.is_paused());
        let deadlines = lines.filter_map(|line| line.protocol.deadline());
        deadlines.chain(self.live().iter().filter_map(Hosted::next_wake)).min()
    }

    /// An older connection of the client is fenced before the newer is welcomed.
    fn handle_hello(&mut self, at: usize, hello: &ClientHello, moment: &mut Moment) {
        let wire = self.connections[at].peer.wire;
        match self.identities.prove(hello, wire, moment.now) {
            Ok(Some(older)) => self.fence(older, moment),
            Ok(None) => {}
            Err(refusal) => return self.refuse(at, refusal, moment),
        }
        let is_live = |other: &EngineConnection| {
            other.line.protocol.is_ready() && other.peer.client == hello.client_id
        };
        let is_alone = !self.connections.iter().any(is_live);
        assert!(is_alone, "an older connection ends before a newer is welcomed");
        let EngineConnection { line, peer } = &mut self.connections[at];
        let (client, wire) = (hello.client_id, peer.wire);
        moment.note("welcome", [wire as u64, u64::from(client[0]), 0]);
        peer.client = client;
        peer.grace = self.grace;
        let resume_secret = self.identities.join(client, wire, hello.resume_secret, moment.now);
        let heartbeat = Heartbeat::granted(hello.heartbeat_ms);
        let welcome = EngineHello {
            resume_secret,
            engine_id: [self.incarnation; 16],
            resume_grace_ms: self.grace.as_millis() as u32,
            heartbeat_ms: heartbeat.map_or(0, |interval| interval.as_millis() as u32),
            ..EngineHello::default()
        };
        peer.outbox.push_bytes(&welcome.encode());
        line.protocol.handle_welcome(Features::default());
        if let Some(interval) = heartbeat {
            line.protocol.handle_heartbeat(interval, moment.now);
            line.heartbeat = interval;
        }
    }

    fn refuse(&mut self, at: usize, refusal: Refusal, moment: &mut Moment) {
        let EngineConnection { line, peer } = &mut self.connections[at];
        let hello = EngineHello { version: 0, status: refusal.to_wire(), ..EngineHello::default() };
        peer.outbox.push_bytes(&hello.encode());
        line.protocol.handle_closing(moment.now);
    }

    /// What was received may have changed any session.
    fn note_changes(&mut self) {
        self.hosted.iter_mut().for_each(|hosted| hosted.changes += 1);
    }
}
