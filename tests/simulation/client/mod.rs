//! A client: its socket, its link, and a model of the library and the program behind it.

mod hear;
mod input;
mod output;
mod say;
mod seat;

use std::{
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
    /// What happens to it at its next step, whatever else there is to do.
    whim: Option<Whim>,
    library: Library,
}

/// What happens to a client out of the blue.
#[derive(Clone, Copy, Debug)]
enum Whim {
    /// It stops reading for a while.
    Deafness,
    /// Its connection is lost.
    Cut,
    /// It says something that nobody waits for.
    Request,
}

/// What a client library keeps: attachments, pending requests, and what its user wants next.
#[derive(Debug)]
pub(crate) struct Library {
    index: usize,
    plan: ClientPlan,
    wire_plan: WirePlan,
    seats: Vec<Seat>,
    requests: Requests,
    last_id: u64,
    /// When it types on.
    types_at: Option<Instant>,
    /// It says something that nobody waits for.
    is_whimsical: bool,
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

/// The requests that are to be answered, few at any time.
#[derive(Debug, Default)]
struct Requests(Vec<(u64, Request)>);

impl Requests {
    fn insert(&mut self, id: u64, request: Request) {
        self.0.push((id, request));
    }

    fn remove(&mut self, id: u64) -> Option<Request> {
        let at = self.0.iter().position(|(known, _)| *known == id)?;
        Some(self.0.swap_remove(at).1)
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn all(&self, is_it: impl Fn(&Request) -> bool) -> bool {
        self.0.iter().all(|(_, request)| is_it(request))
    }
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
            whim: None,
            library: Library {
                index,
                plan,
                wire_plan,
                seats,
                requests: Requests::default(),
                last_id: 0,
                types_at: None,
                is_whimsical: false,
                has_asked_to_leave: false,
                has_heard_goodbye: false,
            },
        }
    }

    /// Whether it has anything to do, or a whim.
    pub(crate) fn may_step(
        &mut self,
        wires: &Wires,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        match self.link.action() {
            LinkAction::Connect => true,
            LinkAction::WaitUntil(until) => until <= moment.now,
            LinkAction::Talk => {
                self.have_whims(moment);
                self.whim.is_some() || self.may_talk(wires, truth, moment.now)
            }
            LinkAction::Stop(_) => self.may_read(wires, moment.now),
        }
    }

    fn have_whims(&mut self, moment: &mut Moment) {
        let plan = &self.library.plan;
        if !self.link.is_ready() || !plan.has_whims() {
            return;
        }
        self.whim = match moment.random.below(20) {
            0 if plan.deaf > 0 => Some(Whim::Deafness),
            1 if plan.cuts > 0 => Some(Whim::Cut),
            2..5 => Some(Whim::Request),
            _ => self.whim,
        };
    }

    fn may_talk(&self, wires: &Wires, truth: Truth<'_>, now: Instant) -> bool {
        let Some(wire) = self.wire else { return false };
        let may_write = match self.outgoing.is_empty() {
            true => self.link.is_ready() && self.library.may_say(truth, now),
            false => wires.look(wire).up.room() > 0,
        };
        let mut seats = self.library.seats.iter();
        may_write || self.may_read(wires, now) || seats.any(|seat| seat.output.unconsumed() > 0)
    }

    fn may_read(&self, wires: &Wires, now: Instant) -> bool {
        let is_deaf = self.deaf_until.is_some_and(|until| now < until);
        let may_read = |wire| wires.look(wire).down.is_readable(now);
        !is_deaf && self.wire.is_some_and(may_read)
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
                self.take_whim(wires, truth, moment);
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
    fn take_whim(&mut self, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) {
        let library = &mut self.library;
        let Some(whim) = self.whim.take() else { return };
        if library.has_asked_to_leave || library.has_seen_all(truth) {
            return;
        }
        match whim {
            Whim::Deafness => {
                library.plan.deaf -= 1;
                self.deaf_until = Some(moment.now + moment.random.delay(DEAF_MAX));
            }
            // After `Detach` nothing can be resumed, so nobody could tell what arrived.
            Whim::Cut if library.is_leaving_somewhere() => {}
            Whim::Cut => self.cut(wires, moment),
            Whim::Request => library.is_whimsical = true,
        }
    }

    fn cut(&mut self, wires: &mut Wires, moment: &mut Moment) {
        let library = &mut self.library;
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
        self.seats.iter().all(|seat| seat.has_seen_end(truth)) && self.requests.all(is_stream)
    }

    /// The connection is lost: what was asked is not answered any more.
    fn handle_lost(&mut self) {
        self.requests.clear();
        self.is_whimsical = false;
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
