//! A client: its socket, its link, and a model of the library and the program behind it.

mod hear;
mod output;
mod say;
mod seat;
mod talk;
mod typing;

use std::{
    fmt,
    time::{Duration, Instant},
};

use tautline::{
    protocol::ReceiveBuffer,
    state::{ClientId, Heartbeat, Link, LinkAction, LinkPolicy, SenderEnd},
};

use crate::{
    byte_queue::ByteQueue,
    engine::Hosted,
    moment::Moment,
    scenario::{ClientPlan, SessionPlan, WirePlan},
    tape::TYPISTS,
    terminal::Terminal,
    wire::Wires,
};
use seat::Seat;

/// How long it does not read, at most: longer than most pause limits.
const DEAF_MAX: Duration = Duration::from_secs(3);

/// How long its users do not read, at most.
const READ_PAUSE_MAX: Duration = Duration::from_millis(500);

/// When a client comes that has another's id, at most.
const TWIN_DELAY_MAX: Duration = Duration::from_millis(20);

const _: () = assert!(TYPISTS <= 8, "three bits of a byte tell whose it is");

/// What really happened, to compare with what a client is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth<'a> {
    pub(crate) sessions: &'a [SessionPlan],
    /// All there ever were, and so are the sessions.
    pub(crate) terminals: &'a [Terminal],
    pub(crate) hosted: &'a [Hosted],
    /// Those of the engine that lives.
    pub(crate) live: &'a [Hosted],
}

impl Truth<'_> {
    /// Whether sessions were lost with their engine.
    pub(crate) const fn has_died(&self) -> bool {
        self.hosted.len() > self.live.len()
    }
}

/// What a client proves with that its id is its own.
fn choose_secret(moment: &mut Moment) -> [u8; 16] {
    let mut secret = [1; 16];
    secret[..8].copy_from_slice(&moment.random.next().to_be_bytes());
    secret
}

/// Who a client is to the engine.
#[derive(Clone, Copy, Debug)]
struct Identity {
    id: ClientId,
    secret: [u8; 16],
    engine_seen: [u8; 16],
}

pub(crate) struct Client {
    link: Link,
    receive: ReceiveBuffer,
    outgoing: ByteQueue,
    wire: Option<usize>,
    wire_plan: WirePlan,
    deaf_until: Option<Instant>,
    /// It begins then, or finds its way to the engine again.
    out_until: Option<Instant>,
    heartbeat: Option<Heartbeat>,
    ready_since: Option<Instant>,
    identity: Identity,
    /// Losses and attempts since the last progress.
    tries: u32,
    /// Connections that are lost, which the engine did not notice.
    buried: Vec<usize>,
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
    /// Numbers of attachments that were given up.
    abandoned: Vec<u32>,
    requests: Requests,
    last_id: u64,
    /// When it types on.
    types_at: Option<Instant>,
    /// When its users read on.
    reads_at: Option<Instant>,
    /// It says something that nobody waits for.
    is_whimsical: bool,
    has_asked_to_leave: bool,
    has_heard_goodbye: bool,
}

/// A request that is to be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Request {
    Attach { seat: usize, number: u32 },
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
    pub(crate) fn new(
        index: usize,
        plan: ClientPlan,
        wire_plan: WirePlan,
        sessions: &[SessionPlan],
        moment: &mut Moment,
    ) -> Self {
        let mut policy = LinkPolicy::default();
        policy.is_reconnecting = true;
        policy.backoff.attempts_limit = plan.attempts_limit;
        let seats = plan.seats.iter();
        let seats = seats.map(|seat| Seat::new(index, seat.clone(), &sessions[seat.session]));
        for seat in plan.seats.iter().filter(|_| plan.is_shared) {
            moment.book.page(seat.session, index).is_shared = true;
        }
        let delay = plan.twin_of.map(|_| moment.random.delay(TWIN_DELAY_MAX));
        Self {
            link: Link::new(policy),
            receive: ReceiveBuffer::new(),
            outgoing: ByteQueue::default(),
            wire: None,
            wire_plan,
            deaf_until: None,
            out_until: delay.map(|delay| moment.now + delay),
            heartbeat: None,
            ready_since: None,
            identity: Identity {
                id: [index as u8 + 1; 16],
                secret: choose_secret(moment),
                engine_seen: [0; 16],
            },
            tries: 0,
            buried: Vec::new(),
            whim: None,
            library: Library {
                index,
                seats: seats.collect(),
                abandoned: Vec::new(),
                requests: Requests::default(),
                last_id: 0,
                types_at: None,
                reads_at: None,
                is_whimsical: false,
                has_asked_to_leave: false,
                has_heard_goodbye: false,
                wire_plan,
                plan,
            },
        }
    }

    /// Whose twin it is, as long as it is not connected.
    pub(crate) fn unborn_twin_of(&self) -> Option<usize> {
        self.library.plan.twin_of.filter(|_| self.tries == 0 && self.wire.is_none())
    }

    /// Takes the id and the secret of another client.
    pub(crate) fn impersonate(&mut self, other: &Self) {
        self.identity = other.identity;
    }

    /// Whether it answers what comes over that connection.
    pub(crate) fn is_talking_over(&self, wire: usize) -> bool {
        self.wire == Some(wire)
    }

    /// Whether it has anything to do, or a whim.
    pub(crate) fn may_step(
        &mut self,
        wires: &Wires,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        let is_in = self.out_until.is_none_or(|until| until <= moment.now);
        match self.link.action() {
            LinkAction::Connect => self.tries > 0 || is_in,
            LinkAction::WaitUntil(until) => {
                let may_act = self.library.may_type(truth, moment.now);
                until <= moment.now || may_act || self.library.may_consume(moment.now)
            }
            LinkAction::Talk => {
                self.have_whims(moment);
                self.whim.is_some() || self.may_talk(wires, truth, moment.now)
            }
            LinkAction::Stop(_) => false,
        }
    }

    fn have_whims(&mut self, moment: &mut Moment) {
        let plan = &self.library.plan;
        if !plan.has_whims() || (!self.link.is_ready() && plan.cuts == 0) {
            return;
        }
        self.whim = match moment.random.below(20) {
            0 if plan.deaf > 0 && self.link.is_ready() => Some(Whim::Deafness),
            1 if plan.cuts > 0 => Some(Whim::Cut),
            2..5 if self.link.is_ready() => Some(Whim::Request),
            _ => self.whim,
        };
    }

    fn may_talk(&self, wires: &Wires, truth: Truth<'_>, now: Instant) -> bool {
        let Some(wire) = self.wire else { return false };
        let may_write = match self.outgoing.is_empty() {
            true => self.link.is_ready() && self.library.may_say(truth),
            false => wires.look(wire).up.room() > 0,
        };
        let is_beating = self.beat_at().is_some_and(|at| at <= now);
        let may_type = self.link.is_ready() && self.library.may_type(truth, now);
        may_write
            || may_type
            || is_beating
            || self.may_read(wires, now)
            || self.library.may_consume(now)
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
        let is_moved = match self.link.action() {
            LinkAction::Connect => {
                self.connect(wires, truth, moment);
                true
            }
            LinkAction::WaitUntil(until) => {
                self.link.handle_timeout(moment.now);
                let is_typed = self.library.type_on(&mut self.outgoing, None, truth, moment);
                let is_consumed = self.library.consume(moment);
                until <= moment.now || is_typed || is_consumed
            }
            LinkAction::Talk => self.talk(wires, truth, moment),
            LinkAction::Stop(_) => false,
        };
        self.library.tell_content(truth, moment);
        is_moved
    }

    fn talk(&mut self, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) -> bool {
        let has_whim = self.take_whim(wires, truth, moment);
        let is_read = self.read(wires, truth, moment);
        let is_beating = !is_read && self.beat(wires, truth, moment);
        let is_consumed = self.library.consume(moment);
        let wire = self.wire.filter(|_| self.link.is_ready());
        let is_typed = self.library.type_on(&mut self.outgoing, wire, truth, moment);
        let is_busy = has_whim | is_read | is_beating | is_consumed | is_typed;
        is_busy | self.write(wires, truth, moment)
    }

    pub(crate) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let waits = match self.link.action() {
            LinkAction::WaitUntil(until) => Some(until),
            LinkAction::Stop(_) => return None,
            LinkAction::Connect => self.out_until,
            LinkAction::Talk => self.beat_at(),
        };
        let times = [waits, self.deaf_until, self.library.types_at, self.library.reads_at];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Whether it has seen everything it came for, and left if it wanted to.
    pub(crate) fn is_done(&self, truth: Truth<'_>) -> bool {
        if matches!(self.link.action(), LinkAction::Stop(_)) {
            return true;
        }
        let has_left = self.library.plan.leaves;
        !has_left && self.outgoing.is_empty() && self.library.has_seen_all(truth)
    }

    /// What must hold at the end of a history.
    pub(crate) fn check_end(&self, truth: Truth<'_>) {
        let is_up = !matches!(self.link.action(), LinkAction::Stop(_));
        if is_up {
            self.library.seats.iter().for_each(|seat| seat.check_end(self.identity.id, truth));
        }
    }
}

impl Library {
    /// Whether every seat knows how its session ended and every request was answered.
    fn has_seen_all(&self, truth: Truth<'_>) -> bool {
        let is_stream = |request: &Request| matches!(request, Request::Attach { .. });
        self.seats.iter().all(|seat| seat.has_seen_end(truth)) && self.requests.all(is_stream)
    }

    /// The connection is lost: what was asked is not answered any more.
    fn handle_lost(&mut self, now: Instant) {
        self.requests.clear();
        self.abandoned.clear();
        self.is_whimsical = false;
        self.seats.iter_mut().for_each(|seat| seat.handle_lost(now));
    }

    /// There will be no other connection.
    fn handle_end(&mut self, moment: &mut Moment) {
        self.requests.clear();
        self.seats.iter_mut().for_each(|seat| seat.handle_over(SenderEnd::Lost, moment));
    }

    /// Tells the children that wait for it in which epoch it has nothing more to type.
    fn tell_content(&self, truth: Truth<'_>, moment: &mut Moment) {
        for session in 0..truth.sessions.len() {
            let seats = self.seats.iter().filter(|seat| seat.plan.session == session);
            let epochs = seats.map(|seat| seat.content_epoch(truth));
            let epoch = epochs.min().filter(|_| !self.plan.is_shared);
            moment.content[session][self.index] = epoch.unwrap_or(u64::MAX);
        }
    }

    /// The program behind it takes some of what arrived, and sometimes pauses then.
    fn consume(&mut self, moment: &mut Moment) -> bool {
        if !self.may_consume(moment.now) {
            return false;
        }
        let mut is_moved = false;
        for seat in &mut self.seats {
            if seat.output.unconsumed() > 0 && !moment.may_idle(60) {
                is_moved |= seat.output.consume(moment);
            }
        }
        let pauses = is_moved && moment.random.chance(5);
        self.reads_at = pauses.then(|| moment.now + moment.random.delay(READ_PAUSE_MAX));
        is_moved
    }

    fn may_consume(&self, now: Instant) -> bool {
        self.reads_at.is_none_or(|at| at <= now)
            && self.seats.iter().any(|seat| seat.output.unconsumed() > 0)
    }
}
