//! A session and its terminal as the engine sees it: what is to be written, who may come back.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use tautline::{
    protocol::{Delivery, SessionState, WindowSize},
    state::{AttachmentId, ClientId, LedgerId, Session},
};

use crate::{
    census::Event, moment::Moment, scenario::SessionPlan, tape::typist, terminal::Terminal,
    wire::Flow,
};

/// Of so many writes in a hundred, the line has no room for what is to be written.
const LINES_TOO_LONG: u64 = 3;

pub(crate) struct Hosted {
    pub(crate) index: usize,
    pub(crate) session: Session<usize>,
    plan: SessionPlan,
    commands: VecDeque<PtyCommand>,
    /// Requests that the terminal has completed: wire and id.
    pub(super) done: Vec<(usize, u64)>,
    pub(super) orphans: Vec<Orphan>,
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

/// What is to happen to the terminal, in this order.
#[derive(Debug)]
pub(super) enum PtyCommand {
    Input { ledger: LedgerId, bytes: Vec<u8>, written: usize },
    Resize { size: WindowSize, done: Vec<(usize, u64)> },
}

/// An attachment whose connection was lost.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) client: ClientId,
    pub(super) number: u32,
    pub(super) id: AttachmentId,
    pub(super) expires: Instant,
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
            .field("commands", &self.commands.len())
            .field("orphans", &self.orphans)
            .finish_non_exhaustive()
    }
}

impl PtyCommand {
    pub(super) fn input(ledger: LedgerId, bytes: &[u8]) -> Self {
        Self::Input { ledger, bytes: bytes.to_vec(), written: 0 }
    }

    pub(super) fn resize(size: WindowSize) -> Self {
        Self::Resize { size, done: Vec::new() }
    }
}

impl Hosted {
    pub(super) fn new(index: usize, plan: SessionPlan) -> Self {
        Self {
            index,
            session: Session::new(plan.terms),
            plan,
            commands: VecDeque::new(),
            done: Vec::new(),
            orphans: Vec::new(),
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
        name(self.index)
    }

    /// Whether the last child has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.generation == self.plan.generations && self.session.state() == SessionState::Exited
    }

    /// Queues behind everything that came before; of several sizes in a row the last wins.
    pub(super) fn queue(&mut self, command: PtyCommand) {
        let command = match (self.commands.back_mut(), command) {
            (
                Some(PtyCommand::Resize { size: last, done: waiting }),
                PtyCommand::Resize { size, done },
            ) => {
                *last = size;
                waiting.extend(done);
                return;
            }
            (_, command) => command,
        };
        self.commands.push_back(command);
        self.check_window();
    }

    /// Nobody has more queued than a window, however often it left and came back.
    fn check_window(&self) {
        let Some(PtyCommand::Input { bytes, .. }) = self.commands.back() else { return };
        let whose = typist(bytes[0]);
        let queued = self.commands.iter().map(|command| match command {
            PtyCommand::Input { bytes, written, .. } if typist(bytes[0]) == whose => {
                bytes.len() - written
            }
            _ => 0,
        });
        let (queued, window) = (queued.sum::<usize>(), self.plan.terms.input_window as usize);
        assert!(queued <= window, "client {whose}: {queued} bytes are queued, of {window} granted");
    }

    pub(super) fn forget(&mut self, id: AttachmentId) {
        self.changes += 1;
        self.session.forget(id);
        if let Some(size) = self.session.handle_sizes_changed() {
            self.queue(PtyCommand::resize(size));
        }
    }

    pub(super) fn forget_orphan(&mut self, client: ClientId, number: u32) {
        let is_it = |orphan: &Orphan| orphan.client == client && orphan.number == number;
        if let Some(at) = self.orphans.iter().position(is_it) {
            let orphan = self.orphans.swap_remove(at);
            self.forget(orphan.id);
        }
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
        match self.commands.front() {
            None => false,
            Some(PtyCommand::Input { .. }) => terminal.is_writable() || !self.session.is_live(),
            Some(PtyCommand::Resize { .. }) => true,
        }
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
        self.drop_commands();
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
        if !self.session.is_live() && !self.commands.is_empty() {
            self.drop_commands();
            return true;
        }
        if moment.has_long_lines
            && moment.random.chance(LINES_TOO_LONG)
            && self.refuse_line(terminal, moment)
        {
            return true;
        }
        match self.commands.front_mut() {
            None => return false,
            Some(PtyCommand::Resize { size, done }) => {
                terminal.size = *size;
                self.done.append(done);
                self.commands.pop_front();
            }
            Some(PtyCommand::Input { ledger, bytes, written }) => {
                match terminal.write(&bytes[*written..], moment) {
                    Flow::Moved(count) => {
                        *written += count;
                        self.session.handle_applied(*ledger, count as u64, moment.now);
                        moment.note("applied", [self.index as u64, count as u64, 0]);
                        if *written == bytes.len() {
                            self.commands.pop_front();
                        } else if !terminal.is_writable() {
                            moment.count(Event::BlockedInput);
                        }
                    }
                    Flow::Blocked => return false,
                    Flow::Ended => self.drop_commands(),
                }
            }
        }
        true
    }

    /// What is written next does not fit its line, as any byte may not: nothing more of its typist
    /// is written that was sent before this is told.
    fn refuse_line(&mut self, terminal: &Terminal, moment: &mut Moment) -> bool {
        let Some(PtyCommand::Input { ledger, bytes, written }) = self.commands.front() else {
            return false;
        };
        let (ledger, client) = (*ledger, typist(bytes[*written]));
        self.commands.retain(
            |command| !matches!(command, PtyCommand::Input { ledger: of, .. } if *of == ledger),
        );
        self.session.handle_line_full(ledger);
        let position = terminal.written[client];
        moment.frames.rewind(self.index, client, position);
        moment.frames.add(self.index, client, position);
        moment.note("line too long", [self.index as u64, client as u64, position]);
        true
    }

    /// The terminal is gone: input is never reported as written, sizes are as good as taken.
    fn drop_commands(&mut self) {
        for command in self.commands.drain(..) {
            if let PtyCommand::Resize { done, .. } = command {
                self.done.extend(done);
            }
        }
    }

    /// The grace after an exit is judged only after the terminal was read once more.
    pub(super) fn handle_timeout(&mut self, terminal: &mut Terminal, moment: &mut Moment) -> bool {
        let now = moment.now;
        while let Some(at) = self.orphans.iter().position(|orphan| orphan.expires <= now) {
            let orphan = self.orphans.swap_remove(at);
            self.forget(orphan.id);
        }
        if self.deadline.0 != self.changes {
            self.deadline = (self.changes, self.session.deadline());
        }
        if self.deadline.1.is_none_or(|at| now < at) {
            return false;
        }
        while self.read_terminal(terminal, moment) {}
        self.session.handle_timeout(now);
        self.changes += 1;
        let is_later = self.session.deadline().is_none_or(|at| now < at);
        assert!(is_later, "session {}: a deadline that was handled is over", self.index);
        true
    }

    pub(super) fn next_wake(&self) -> Option<Instant> {
        let expiries = self.orphans.iter().map(|orphan| orphan.expires);
        self.session.deadline().into_iter().chain(self.start_at).chain(expiries).min()
    }

    /// What must hold at every moment.
    pub(crate) fn check(&mut self, terminal: &Terminal, now: Instant) {
        if self.checked == self.changes && self.held.is_none() {
            return;
        }
        self.checked = self.changes;
        let index = self.index;
        if self.commands.is_empty() && terminal.is_alive() {
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
        let allowed_ms = holders.map(|holder| 3 * u64::from(holder.pause_limit_ms())).sum::<u64>();
        let allowed_ms = held.allowed_ms.max(allowed_ms);
        let time = now - held.since;
        let is_allowed = time <= Duration::from_millis(allowed_ms + 100);
        assert!(is_allowed, "session {index}: held for {time:?}, longer than anybody may");
        self.held = Some(Held { allowed_ms, ..held });
    }
}

/// The name of a session.
pub(crate) fn name(index: usize) -> &'static str {
    ["first", "second"][index]
}

/// The epoch of a session's child, counted from 1.
pub(crate) fn epoch(index: usize, generation: u64) -> u64 {
    (index as u64 + 1) * 1_000 + generation
}

/// Which child, counted from 0, an epoch is.
pub(crate) fn generation(epoch: u64) -> u64 {
    epoch % 1_000 - 1
}
