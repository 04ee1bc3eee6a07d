//! A client: its socket, its link, and a model of the library and the program behind it.

mod hear;
mod input;
mod output;
mod say;
mod seat;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use tautline::{
    protocol::{ClientHello, ReceiveBuffer},
    state::{ClientId, Link, LinkAction, LinkEnd, LinkPolicy, LinkStep},
};

use crate::{
    byte_queue::ByteQueue,
    census::Event,
    engine::Hosted,
    moment::Moment,
    scenario::{ClientPlan, SessionPlan, WirePlan},
    terminal::Terminal,
    wire::{Flow, Wires},
};
use seat::Seat;

/// How long it does not read, at most: longer than most pause limits.
const DEAF_MAX: Duration = Duration::from_secs(3);

/// What really happened, to compare with what a client is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth<'a> {
    pub(crate) sessions: &'a [SessionPlan],
    pub(crate) terminals: &'a [Terminal],
    pub(crate) hosted: &'a [Hosted],
}

pub(crate) struct Client {
    link: Link,
    receive: ReceiveBuffer,
    outgoing: ByteQueue,
    wire: Option<usize>,
    wire_plan: WirePlan,
    deaf_until: Option<Instant>,
    library: Library,
}

/// What a client library keeps: attachments, pending requests, and what its user wants next.
#[derive(Debug)]
pub(crate) struct Library {
    index: usize,
    plan: ClientPlan,
    wire_plan: WirePlan,
    seats: Vec<Seat>,
    requests: BTreeMap<u64, Request>,
    last_id: u64,
    /// When it types on.
    types_at: Option<Instant>,
    has_asked_to_leave: bool,
    has_heard_goodbye: bool,
}

/// A request that is to be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Request {
    Attach { seat: usize },
    Detach,
    Adjust,
    Resize { is_refused: bool },
    Ping { token: u64, len: usize },
}

impl fmt::Debug for Client {
    /// Without the buffer's bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("link", &self.link)
            .field("outgoing", &self.outgoing)
            .field("library", &self.library)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(index: usize, plan: ClientPlan, wire_plan: WirePlan) -> Self {
        let mut policy = LinkPolicy::default();
        policy.is_reconnecting = true;
        let seats = plan.seats.iter().map(|seat| Seat::new(index, seat.clone())).collect();
        Self {
            link: Link::new(policy),
            receive: ReceiveBuffer::new(),
            outgoing: ByteQueue::default(),
            wire: None,
            wire_plan,
            deaf_until: None,
            library: Library {
                index,
                plan,
                wire_plan,
                seats,
                requests: BTreeMap::new(),
                last_id: 0,
                types_at: None,
                has_asked_to_leave: false,
                has_heard_goodbye: false,
            },
        }
    }

    /// Does whatever it can do now, or some of it.
    pub(crate) fn step(
        &mut self,
        wires: &mut Wires,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        match self.link.action() {
            LinkAction::Connect => {
                self.connect(wires, moment);
                true
            }
            LinkAction::WaitUntil(until) => {
                self.link.handle_timeout(moment.now);
                until <= moment.now
            }
            LinkAction::Talk => {
                self.take_whims(wires, truth, moment);
                let is_read = self.read(wires, truth, moment);
                let is_consumed = self.library.consume(moment);
                is_read | is_consumed | self.write(wires, truth, moment)
            }
            // What was sent before the goodbye is read to the end.
            LinkAction::Stop(_) => self.wire.is_some() && self.read(wires, truth, moment),
        }
    }

    pub(crate) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let waits = match self.link.action() {
            LinkAction::WaitUntil(until) => Some(until),
            _ => None,
        };
        let times = [waits, self.deaf_until, self.library.types_at];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Whether it has seen everything it came for, and left if it wanted to.
    pub(crate) fn is_done(&self, truth: Truth<'_>) -> bool {
        if self.library.plan.leaves {
            return self.wire.is_none() && matches!(self.link.action(), LinkAction::Stop(_));
        }
        self.outgoing.is_empty() && self.library.has_seen_all(truth)
    }

    /// What must hold at the end of a history.
    pub(crate) fn check_end(&self, truth: Truth<'_>) {
        if let LinkAction::Stop(end) = self.link.action() {
            let requested = tautline::protocol::CloseReason::Requested;
            assert_eq!(end, LinkEnd::Closed(requested), "client {}", self.library.index);
        }
        if !self.library.has_heard_goodbye {
            self.library.seats.iter().for_each(|seat| seat.check_end(self.library.id(), truth));
        }
    }

    fn connect(&mut self, wires: &mut Wires, moment: &mut Moment) {
        let wire = wires.connect(self.wire_plan);
        moment.note("connect", [self.library.index as u64, wire as u64, 0]);
        self.wire = Some(wire);
        self.receive = ReceiveBuffer::new();
        self.outgoing.clear();
        let client_id = self.library.id();
        self.outgoing.push(&ClientHello { client_id, ..ClientHello::default() }.encode());
        self.link.handle_connected();
    }

    /// Things that happen to a client: it stops reading, or its connection is lost.
    fn take_whims(&mut self, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) {
        let library = &mut self.library;
        if !self.link.is_ready() || library.has_asked_to_leave || library.has_seen_all(truth) {
            return;
        }
        if library.plan.deaf > 0 && moment.random.chance(3) {
            library.plan.deaf -= 1;
            self.deaf_until = Some(moment.now + moment.random.delay(DEAF_MAX));
        }
        // After `Detach` nothing can be resumed, so nobody could tell what arrived.
        let may_cut = library.plan.cuts > 0 && !library.is_leaving_somewhere();
        if may_cut && moment.random.chance(3) {
            library.plan.cuts -= 1;
            let wire = self.wire.take().expect("a link that talks has a wire");
            moment.count(Event::Cut);
            moment.note("cut", [library.index as u64, wire as u64, 0]);
            wires.cut(wire, &mut moment.random);
            library.handle_lost();
            self.deaf_until = None;
            let random = moment.random.next();
            self.link.handle_lost(moment.now, random);
        }
    }

    fn read(&mut self, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) -> bool {
        let Some(wire) = self.wire else { return false };
        if self.deaf_until.is_some_and(|until| moment.now < until) {
            return false;
        }
        self.deaf_until = None;
        match wires.get(wire).down.read(self.receive.spare(), moment) {
            Flow::Blocked => return false,
            Flow::Moved(count) => self.receive.advance(count),
            Flow::Ended => {
                let index = self.library.index;
                assert!(self.library.has_heard_goodbye, "client {index}: cut off without a word");
                assert!(!self.receive.is_mid_frame(), "client {index}: the last frame is cut");
                self.wire = None;
                wires.close(wire);
                let random = moment.random.next();
                self.link.handle_lost(moment.now, random);
                return true;
            }
        }
        while let Some(frame) = self.receive.next_frame().expect("the engine sends frames") {
            moment.note("frame", [wire as u64, frame.kind().0.into(), frame.id()]);
            match self.link.handle_frame(frame) {
                LinkStep::Message { id, message, .. } => {
                    self.library.hear(id, message, truth, moment);
                }
                LinkStep::Goodbye { reason, .. } => self.library.hear_goodbye(reason),
                LinkStep::Welcome(_) => {}
                other => panic!("client {}: {other:?}", self.library.index),
            }
        }
        if self.library.seats.iter_mut().any(Seat::take_progress) {
            self.link.handle_progress();
        }
        true
    }

    fn write(&mut self, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) -> bool {
        let Some(wire) = self.wire else { return false };
        let mut is_moved = false;
        if self.outgoing.is_empty() && self.link.is_ready() {
            is_moved = self.library.say(&mut self.outgoing, truth, moment);
        }
        match wires.get(wire).up.write(self.outgoing.as_slice(), moment) {
            Flow::Moved(count) => {
                self.outgoing.pop(count);
                true
            }
            Flow::Blocked | Flow::Ended => is_moved,
        }
    }
}

impl Library {
    fn id(&self) -> ClientId {
        [self.index as u8 + 1; 16]
    }

    fn is_leaving_somewhere(&self) -> bool {
        self.seats.iter().any(Seat::is_leaving)
    }

    /// Whether every seat knows how its session ended and every request was answered.
    fn has_seen_all(&self, truth: Truth<'_>) -> bool {
        let is_stream = |request: &Request| matches!(request, Request::Attach { .. });
        self.seats.iter().all(|seat| seat.has_seen_end(truth))
            && self.requests.values().all(is_stream)
    }

    /// The connection is lost: what was asked is not answered any more.
    fn handle_lost(&mut self) {
        self.requests.clear();
        self.seats.iter_mut().for_each(Seat::handle_lost);
    }

    /// The program behind it takes some of what arrived.
    fn consume(&mut self, moment: &mut Moment) -> bool {
        let mut is_moved = false;
        for seat in &mut self.seats {
            if seat.output.unconsumed() > 0 && !moment.may_idle(60) {
                is_moved |= seat.output.consume(moment);
            }
        }
        is_moved
    }
}
