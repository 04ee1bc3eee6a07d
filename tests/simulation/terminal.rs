//! The PTY and the child in it: bounded both ways, at its own pace, mortal.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tautline::{
    protocol::{ExitKind, WindowSize},
    state::Exit,
};

use crate::{
    byte_queue::ByteQueue,
    moment::Moment,
    scenario::SessionPlan,
    tape::{PRINT_MAX, TYPISTS, numbered},
    wire::Flow,
};

/// A session's terminals, one after the other, and all that was ever typed and printed there.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// Which session of the plan it belongs to.
    session: usize,
    plan: SessionPlan,
    input: ByteQueue,
    output: ByteQueue,
    child: Option<Child>,
    /// Prints on after the child, until the engine lets go.
    background: usize,
    is_user_side_open: bool,
    /// Everything that was ever printed, by offset.
    pub(crate) printed: Printed,
    /// The child that runs or ran last.
    pub(crate) epoch: u64,
    pub(crate) exits: Vec<Ended>,
    exit_notice: Option<(Instant, Exit)>,
    pub(crate) size: WindowSize,
}

/// How long a child lives that does not end by itself.
const LIFETIME_MAX: Duration = Duration::from_millis(100);

/// How long a child does nothing, at most: longer than some graces.
const NAP_MAX: Duration = Duration::from_millis(1_500);

/// Output by offset.
#[derive(Default)]
pub(crate) struct Printed(pub(crate) Vec<u8>);

impl fmt::Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[derive(Debug)]
struct Child {
    generation: u64,
    epoch: u64,
    flood_left: usize,
    unprinted: ByteQueue,
    dies_at: Option<Instant>,
    naps_left: u64,
    naps_until: Option<Instant>,
}

/// How a child ended, in truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) epoch: u64,
    pub(crate) exit: Exit,
    /// The offset after its own last byte.
    pub(crate) printed: u64,
}

impl Terminal {
    pub(crate) fn new(session: usize, plan: SessionPlan) -> Self {
        Self {
            session,
            size: plan.terms.size,
            plan,
            input: ByteQueue::default(),
            output: ByteQueue::default(),
            child: None,
            background: 0,
            is_user_side_open: false,
            printed: Printed::default(),
            epoch: 0,
            exits: Vec::new(),
            exit_notice: None,
        }
    }

    /// A new terminal with a new child; what the engine never read of the old one is gone.
    pub(crate) fn start(
        &mut self,
        epoch: u64,
        read_to: u64,
        size: WindowSize,
        moment: &mut Moment,
    ) {
        let dies = moment.random.chance(self.plan.mortality);
        let lifetime = moment.random.delay(LIFETIME_MAX);
        let generation = self.exits.len() as u64;
        self.input.clear();
        self.output.clear();
        self.printed.0.truncate(read_to as usize);
        self.background = 0;
        self.is_user_side_open = true;
        self.size = size;
        self.child = Some(Child {
            generation,
            epoch,
            flood_left: self.plan.flood,
            unprinted: ByteQueue::default(),
            dies_at: dies.then(|| moment.now + lifetime),
            naps_left: self.plan.naps,
            naps_until: None,
        });
        self.epoch = epoch;
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.child.is_some()
    }

    /// The engine writes to the controller side.
    pub(crate) fn write(&mut self, bytes: &[u8], moment: &mut Moment) -> Flow {
        if !self.is_user_side_open {
            return Flow::Ended;
        }
        let room = bytes.len().min(self.plan.input_capacity - self.input.len());
        if room == 0 {
            return Flow::Blocked;
        }
        let count = moment.random.piece(room);
        self.input.push(&bytes[..count]);
        Flow::Moved(count)
    }

    /// The engine reads from the controller side.
    pub(crate) fn read(&mut self, into: &mut [u8], moment: &mut Moment) -> Flow {
        let most = into.len().min(self.output.len());
        if most == 0 {
            let is_over = !self.is_user_side_open && self.output.is_empty();
            return if is_over { Flow::Ended } else { Flow::Blocked };
        }
        let count = moment.random.piece(most);
        into[..count].copy_from_slice(&self.output.as_slice()[..count]);
        self.output.pop(count);
        Flow::Moved(count)
    }

    pub(crate) fn is_writable(&self) -> bool {
        !self.is_user_side_open || self.input.len() < self.plan.input_capacity
    }

    pub(crate) fn is_readable(&self) -> bool {
        !self.is_user_side_open || !self.output.is_empty()
    }

    pub(crate) fn has_exit(&self, now: Instant) -> bool {
        self.exit_notice.is_some_and(|(at, _)| at <= now)
    }

    /// Whether the child, or what it left behind, has anything to do.
    pub(crate) fn may_step(&self, moment: &Moment) -> bool {
        let may_print = self.output.len() < self.plan.output_capacity;
        let Some(child) = &self.child else {
            return may_print && self.background > 0 && self.is_user_side_open;
        };
        if child.dies_at.is_some_and(|at| at <= moment.now) {
            return true;
        }
        if let Some(until) = child.naps_until {
            return until <= moment.now;
        }
        if !child.unprinted.is_empty() {
            return may_print;
        }
        child.flood_left > 0 || !self.input.is_empty() || self.may_end(child, moment)
    }

    /// The child's end, once, when it is noticed.
    pub(crate) fn take_exit(&mut self, now: Instant) -> Option<Exit> {
        self.exit_notice.take_if(|(at, _)| *at <= now).map(|(_, exit)| exit)
    }

    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let child = self.child.as_ref();
        let times =
            child.into_iter().flat_map(|child| child.dies_at.into_iter().chain(child.naps_until));
        times.chain(self.exit_notice.map(|(at, _)| at)).min()
    }

    /// The child does something, if it can.
    pub(crate) fn step(&mut self, moment: &mut Moment) -> bool {
        let Some(mut child) = self.child.take() else {
            return self.step_background(moment);
        };
        if child.dies_at.is_some_and(|at| moment.now >= at) {
            self.end(&child, moment);
            return true;
        }
        if self.naps(&mut child, moment) {
            let is_awake = child.naps_until.is_none_or(|until| until <= moment.now);
            child.naps_until.take_if(|_| is_awake);
            self.child = Some(child);
            return is_awake;
        }
        if moment.may_idle(self.plan.laziness) {
            self.child = Some(child);
            return false;
        }
        let is_active = self.step_child(&mut child, moment);
        if is_active || !self.may_end(&child, moment) {
            self.child = Some(child);
            return is_active;
        }
        self.end(&child, moment);
        true
    }

    /// Whether the child does nothing, for now or from now on.
    fn naps(&self, child: &mut Child, moment: &mut Moment) -> bool {
        let may_nap = child.naps_until.is_none() && child.naps_left > 0 && !self.input.is_empty();
        if may_nap && moment.random.chance(10) {
            child.naps_left -= 1;
            child.naps_until = Some(moment.now + moment.random.delay(NAP_MAX));
        }
        child.naps_until.is_some()
    }

    fn step_child(&mut self, child: &mut Child, moment: &mut Moment) -> bool {
        if !child.unprinted.is_empty() {
            let count = self.print(child.unprinted.as_slice(), moment);
            child.unprinted.pop(count);
            return count > 0;
        }
        let is_flooding = child.flood_left > 0;
        if is_flooding && (self.input.is_empty() || moment.random.chance(60)) {
            let count = moment.random.piece(child.flood_left.min(PRINT_MAX));
            let from = self.printed.0.len() as u64;
            child.unprinted.push(numbered(from, count));
            child.flood_left -= count;
            return true;
        }
        if self.input.is_empty() {
            return false;
        }
        let count = moment.random.piece(self.input.len().min(PRINT_MAX));
        let bytes = &self.input.as_slice()[..count];
        if self.plan.is_echoing {
            child.unprinted.push(bytes);
        }
        self.input.pop(count);
        true
    }

    fn step_background(&mut self, moment: &mut Moment) -> bool {
        if self.background == 0 || !self.is_user_side_open {
            return false;
        }
        let bytes = numbered(self.printed.0.len() as u64, self.background.min(8));
        let count = self.print(bytes, moment);
        self.background -= count;
        count > 0
    }

    fn print(&mut self, bytes: &[u8], moment: &mut Moment) -> usize {
        let room = bytes.len().min(self.plan.output_capacity - self.output.len());
        if room == 0 {
            return 0;
        }
        let count = moment.random.piece(room);
        self.output.push(&bytes[..count]);
        self.printed.0.extend_from_slice(&bytes[..count]);
        count
    }

    /// A patient child has printed and read everything, and waits for those who type to be done.
    fn may_end(&self, child: &Child, moment: &Moment) -> bool {
        let is_content = |typist: usize| {
            let is_waited = child.generation < 2 && self.plan.quotas[typist] > 0;
            !is_waited || [child.epoch, u64::MAX].contains(&moment.content[self.session][typist])
        };
        child.dies_at.is_none()
            && child.flood_left == 0
            && child.unprinted.is_empty()
            && self.input.is_empty()
            && (0..TYPISTS).all(is_content)
    }

    /// Its engine died, and with it the controller side: whatever runs there is of no interest.
    pub(crate) fn die(&mut self) {
        self.child = None;
        self.background = 0;
        self.exit_notice = None;
        self.is_user_side_open = false;
    }

    fn end(&mut self, child: &Child, moment: &mut Moment) {
        let value = moment.random.below(100) as i32 + 1;
        let kind = if child.dies_at.is_some() { ExitKind::Signal } else { ExitKind::Code };
        let exit = Exit { kind, value };
        self.print(b"bye\n", moment);
        let printed = self.printed.0.len() as u64;
        self.exits.push(Ended { epoch: child.epoch, exit, printed });
        let delay = moment.random.delay(Duration::from_millis(5));
        self.exit_notice = Some((moment.now + delay, exit));
        self.is_user_side_open = self.plan.leaves_background;
        self.background = if self.is_user_side_open { 100 } else { 0 };
        moment.note("child ended", [self.session as u64, child.epoch, printed]);
    }
}
