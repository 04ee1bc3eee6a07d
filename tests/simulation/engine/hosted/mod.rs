//! A session and its terminal as the engine sees it: what is to be written, who may come back.

mod queue;

use std::{
    collections::VecDeque,
    fmt,
    ops::Range,
    time::{Duration, Instant},
};

use tautline::{
    protocol::{Delivery, SessionState, WindowSize},
    state::{ClientId, Due, Session, WriteQueue},
};

use super::leaving::Kept;
use crate::{census::Event, moment::Moment, scenario::SessionPlan, terminal::Terminal, wire::Flow};
use queue::check_written;

pub(crate) struct Hosted {
    /// Among all sessions there ever were.
    pub(crate) index: usize,
    /// Which session of the plan it is.
    number: usize,
    pub(crate) session: Session<usize>,
    pub(super) plan: SessionPlan,
    queue: WriteQueue,
    /// Whose bytes are queued, and where they are on the tape.
    queued: VecDeque<Queued>,
    pub(super) kept: Vec<Kept>,
    /// Everybody who was ever attached.
    pub(super) visitors: Vec<ClientId>,
    generation: u64,
    start_at: Option<Instant>,
    is_output_over: bool,
    held: Option<Held>,
    /// Counts whatever may give somebody something to send, or hold the child.
    pub(super) changes: u64,
    /// The change after which everything was in order, and holders knew that they hold.
    checked: u64,
    hold_told: u64,
    /// The session's deadline, by the change that it was asked after.
    deadline: (u64, Option<Instant>),
}

/// The child is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    since: Instant,
    /// The offset that nothing was printed beyond.
    at: u64,
    /// How long it may be held in all.
    allowed_ms: u64,
}

#[derive(Debug)]
struct Queued {
    client: ClientId,
    typist: usize,
    places: Range<u64>,
}

impl fmt::Debug for Hosted {
    /// Without the log's memory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.session.log();
        f.debug_struct("Hosted")
            .field("log", &(log.start()..log.end()))
            .field("state", &self.session.state())
            .field("read_budget", &self.session.read_budget())
            .field("attachments", &self.session.attachments())
            .field("queued", &self.queued)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl Hosted {
    pub(super) fn new(index: usize, number: usize, plan: SessionPlan) -> Self {
        Self {
            index,
            number,
            session: Session::new(plan.terms),
            plan,
            queue: WriteQueue::default(),
            queued: VecDeque::new(),
            kept: Vec::new(),
            visitors: Vec::new(),
            generation: 0,
            start_at: None,
            is_output_over: false,
            held: None,
            changes: 1,
            checked: 0,
            hold_told: 0,
            deadline: (0, None),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        name(self.number)
    }

    /// Whether the last child has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.generation == self.plan.generations && self.session.state() == SessionState::Exited
    }

    /// Queues a size behind everything that came before.
    pub(super) fn queue_size(&mut self, size: WindowSize) {
        self.queue.push_size(size);
    }

    /// Whether the terminal, or what is to happen to it, has anything to do.
    pub(super) fn may_step(&self, terminal: &Terminal, now: Instant) -> bool {
        terminal.has_exit(now)
            || self.may_start(now)
            || self.may_read_terminal(terminal)
            || self.may_write_terminal(terminal)
    }

    fn may_start(&self, now: Instant) -> bool {
        self.generation < self.plan.generations
            && !self.session.is_live()
            && self.start_at.is_none_or(|at| at <= now)
    }

    fn may_read_terminal(&self, terminal: &Terminal) -> bool {
        if self.is_output_over || !self.session.is_live() {
            return false;
        }
        let is_hold_told = self.hold_told == self.changes;
        !is_hold_told && (terminal.is_readable() || self.session.read_budget() == 0)
    }

    fn may_write_terminal(&self, terminal: &Terminal) -> bool {
        // Of a size that is next there is no telling from outside; a write that is blocked is
        // cheap to try.
        !self.queue.is_empty()
            && (terminal.is_writable() || !self.session.is_live() || self.queued.is_empty())
    }

    /// Notices the child's end; starts the next.
    pub(super) fn step_child(&mut self, terminal: &mut Terminal, moment: &mut Moment) -> bool {
        if let Some(exit) = terminal.take_exit(moment.now) {
            self.session.handle_exit(exit, moment.now);
            return true;
        }
        if self.session.is_live() || self.generation == self.plan.generations {
            return false;
        }
        let start_at = match self.start_at {
            Some(at) => at,
            None => {
                let at = moment.now + moment.random.delay(Duration::from_millis(3));
                self.start_at = Some(at);
                at
            }
        };
        if moment.now < start_at {
            return false;
        }
        self.start(terminal, moment);
        moment.count(Event::Restart);
        true
    }

    pub(super) fn start(&mut self, terminal: &mut Terminal, moment: &mut Moment) {
        self.generation += 1;
        self.start_at = None;
        self.is_output_over = false;
        self.drop_queue();
        let epoch = epoch(self.index, self.generation);
        let pid = 1000 + self.generation as u32;
        moment.note("start", [self.index as u64, epoch, self.session.log().end()]);
        self.session.handle_started(epoch, pid, moment.now);
        terminal.start(epoch, self.session.log().end(), self.session.size(), moment);
    }

    /// Reads the terminal once, straight into the log.
    pub(super) fn read_terminal(&mut self, terminal: &mut Terminal, moment: &mut Moment) -> bool {
        if self.is_output_over || !self.session.is_live() {
            return false;
        }
        if self.session.read_budget() == 0 {
            self.session.handle_reader_held(moment.now);
            self.hold_told = self.changes;
            self.deadline.0 = 0;
            moment.count(Event::Hold);
            return false;
        }
        match terminal.read(self.session.log_spare(), moment) {
            Flow::Moved(count) => {
                self.session.handle_output(count, moment.now);
                if self.session.pid() == 0 {
                    moment.count(Event::OutputAfterExit);
                }
                moment.note("output", [self.index as u64, count as u64, 0]);
            }
            Flow::Blocked => return false,
            Flow::Ended => {
                self.is_output_over = true;
                self.session.handle_output_end(moment.now);
            }
        }
        true
    }

    /// Writes what is queued, in order, as much as the terminal takes.
    pub(super) fn write_terminal(&mut self, terminal: &mut Terminal, moment: &mut Moment) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        if !self.session.is_live() {
            self.drop_queue();
            return true;
        }
        let bytes = match self.queue.poll() {
            None => return false,
            Some(Due::Size(size)) => {
                terminal.size = size;
                return true;
            }
            Some(Due::Input(bytes)) => bytes,
        };
        let count = match terminal.write(bytes, moment) {
            Flow::Moved(count) => count,
            Flow::Blocked => return false,
            Flow::Ended => {
                self.drop_queue();
                return true;
            }
        };
        if count < bytes.len() && !terminal.is_writable() {
            moment.count(Event::BlockedInput);
        }
        check_written(&mut self.queued, self.number, &bytes[..count], terminal.epoch, moment);
        let Self { queue, session, .. } = self;
        queue.handle_written(count, |written| {
            session.handle_applied(written.ledger, written.count as u64, moment.now);
        });
        moment.note("applied", [self.index as u64, count as u64, 0]);
        true
    }

    /// The terminal is gone: input is never reported as written.
    fn drop_queue(&mut self) {
        self.queue.clear();
        self.queued.clear();
    }

    /// The grace after an exit is judged only after the terminal was read once more.
    pub(super) fn handle_timeout(&mut self, terminal: &mut Terminal, moment: &mut Moment) -> bool {
        let now = moment.now;
        if self.deadline.0 != self.changes {
            self.deadline = (self.changes, self.session.deadline());
        }
        if self.deadline.1.is_none_or(|at| now < at) {
            return false;
        }
        while self.read_terminal(terminal, moment) {}
        self.session.handle_timeout(now);
        let before = self.kept.len();
        self.kept.retain(|kept| kept.until.is_none_or(|until| now < until));
        if self.kept.len() < before {
            moment.count(Event::GraceOver);
            self.visitors.iter().for_each(|visitor| self.check_known(*visitor, now));
        }
        self.changes += 1;
        let is_later = self.session.deadline().is_none_or(|at| now < at);
        assert!(is_later, "session {}: a deadline that was handled is over", self.index);
        true
    }

    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.session.deadline().into_iter().chain(self.start_at).min()
    }

    /// What must hold at every moment.
    pub(crate) fn check(&mut self, terminal: &Terminal, now: Instant) {
        if self.checked == self.changes && self.held.is_none() {
            return;
        }
        self.checked = self.changes;
        let index = self.index;
        if self.queue.is_empty() && terminal.is_alive() {
            assert_eq!(terminal.size, self.session.size(), "session {index}: another size");
        }
        if self.session.read_budget() > 0 || !self.session.is_live() {
            self.held = None;
            return;
        }
        let held = Held { since: now, at: self.session.log().end(), allowed_ms: 0 };
        let held = self.held.take().filter(|known| known.at == held.at).unwrap_or(held);
        // Nobody knows from outside which holder it was, and each may have come back once or twice.
        let holders = self.session.attachments().iter();
        let holders = holders.filter(|holder| holder.delivery() == Delivery::Lossless);
        let present = holders.map(|holder| holder.pause_limit_ms());
        let away = self.kept.iter().map(|kept| kept.pause_limit_ms);
        let allowed_ms = present.chain(away).map(|limit_ms| 3 * u64::from(limit_ms)).sum::<u64>();
        let allowed_ms = held.allowed_ms.max(allowed_ms);
        let time = now - held.since;
        let is_allowed = time <= Duration::from_millis(allowed_ms + 100);
        assert!(is_allowed, "session {index}: held for {time:?}, longer than anybody may");
        self.held = Some(Held { allowed_ms, ..held });
    }

    /// What must hold when nothing is under way any more, and every grace is over.
    pub(super) fn check_end(&self, now: Instant) {
        assert!(!self.session.is_awaiting(), "session {}: somebody is awaited", self.index);
        for visitor in &self.visitors {
            self.check_known(*visitor, now);
        }
    }
}

/// The name of a session.
pub(crate) fn name(index: usize) -> &'static str {
    ["first", "second"][index]
}

/// The epoch of a session's child, counted from 1.
fn epoch(index: usize, generation: u64) -> u64 {
    (index as u64 + 1) * 1_000 + generation
}

/// Which child, counted from 0, an epoch is.
pub(crate) fn generation(epoch: u64) -> u64 {
    epoch % 1_000 - 1
}

/// Which session, among all there ever were, an epoch belongs to.
pub(crate) fn place(epoch: u64) -> usize {
    (epoch / 1_000 - 1) as usize
}
