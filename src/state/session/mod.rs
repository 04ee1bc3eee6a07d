//! A session: a child on a PTY, who is attached, and how far everything came.
//!
//! Fed with what happened (`handle_*`), asked for what to do ([`next_send`](Session::next_send),
//! [`read_budget`](Session::read_budget), [`deadline`](Session::deadline)). The I/O shell reads the
//! PTY straight into [`log_spare`](Session::log_spare) and writes frames straight from
//! [`log`](Session::log).

mod attachment;
mod away;
mod cursor;
mod ending;
mod error;
mod input;
mod joining;
mod life;
mod restart;
mod size;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tautline_protocol::{
    DetachReason, ExitKind, RestartPolicy, SessionState, SizePolicy, WindowSize,
};

pub use attachment::{Attachment, AttachmentId, ClientId};
use away::Away;
pub use cursor::{Cursor, Send};
pub use ending::EndStep;
use ending::Ending;
pub use error::{AttachError, ConsumedAhead};
use input::Ledger;
pub use input::LedgerId;
use life::Turn;
use restart::Restarts;
pub use restart::{RESTART_DELAY, RESTART_DELAY_MAX, RUN_SOUND};

use super::SessionLog;

/// How a child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exit {
    /// By code, by signal, or nobody knows.
    pub kind: ExitKind,
    /// The code or the signal; 0 if lost.
    pub value: i32,
}

/// What a session is made with.
#[derive(Clone, Copy, Debug)]
pub struct SessionTerms {
    /// Output held, in bytes.
    pub log_size: usize,
    /// Input one client may send ahead of what was written, in bytes.
    pub input_window: u32,
    /// The first window size.
    pub size: WindowSize,
    /// Whose size counts.
    pub size_policy: SizePolicy,
    /// Forgotten when its child has ended and everyone attached knows.
    pub is_ephemeral: bool,
    /// What happens when the child ends.
    pub restart: RestartPolicy,
}

/// How long output may go on after the child's exit: what is left in the terminal, not what
/// a process it left behind goes on printing.
pub const EXIT_GRACE: Duration = Duration::from_millis(500);

/// How long an acknowledgement of input waits for output to ride on.
pub const ACK_DELAY: Duration = Duration::from_millis(5);

/// Ends of children kept for subscribers that are behind; those further behind are not told the
/// oldest, and still get the output.
pub const TURNS_MAX: usize = 64;

/// One session. `H` is whatever the caller needs to reach the connection of an attachment.
#[derive(Debug)]
pub struct Session<H> {
    log: SessionLog,
    state: SessionState,
    epoch: u64,
    pid: u32,
    exit: Option<Exit>,
    is_output_ended: bool,
    grace_until: Option<Instant>,
    turns: VecDeque<Turn>,
    turns_dropped: u64,
    attachments: Vec<Attachment<H>>,
    /// Attachments whose connection was lost.
    away: Vec<Away<H>>,
    attachments_made: u64,
    ledgers: Vec<Ledger>,
    ledgers_made: u64,
    input_applied: u64,
    input_window: u32,
    size: WindowSize,
    size_number: u64,
    sizes_told: u64,
    size_policy: SizePolicy,
    is_ephemeral: bool,
    is_gone: bool,
    restarts: Restarts,
    ending: Ending,
}

impl<H> Session<H> {
    /// A session whose first child is about to start.
    pub fn new(terms: SessionTerms) -> Self {
        Self::with_log(terms, SessionLog::new(terms.log_size))
    }

    /// The same with a log whose memory the caller found.
    pub fn with_log(terms: SessionTerms, log: SessionLog) -> Self {
        Self {
            log,
            state: SessionState::Starting,
            epoch: 0,
            pid: 0,
            exit: None,
            is_output_ended: false,
            grace_until: None,
            turns: VecDeque::new(),
            turns_dropped: 0,
            attachments: Vec::new(),
            away: Vec::new(),
            attachments_made: 0,
            ledgers: Vec::new(),
            ledgers_made: 0,
            input_applied: 0,
            input_window: terms.input_window,
            size: terms.size,
            size_number: 0,
            sizes_told: 0,
            size_policy: terms.size_policy,
            is_ephemeral: terms.is_ephemeral,
            is_gone: false,
            restarts: Restarts::new(terms.restart),
            ending: Ending::default(),
        }
    }

    /// Time passed: pause limits, late acknowledgements, the grace after an exit.
    pub fn handle_timeout(&mut self, now: Instant) {
        let was_held = self.read_budget() == 0;
        let Self { attachments, away, log, .. } = self;
        for attachment in present_and_away(attachments, away) {
            attachment.handle_timeout(log, now);
        }
        self.forget_away(now);
        if self.is_grace_over(now) {
            if was_held {
                // Whoever holds the child, until now at least, also holds its last words.
                self.grace_until = Some(now + EXIT_GRACE);
            } else {
                self.handle_output_end(now);
            }
        }
    }

    /// Whether the grace after an exit is over: what is in the terminal has to be read now, before
    /// [`handle_timeout`](Self::handle_timeout) judges it.
    pub fn is_grace_over(&self, now: Instant) -> bool {
        self.grace_until.is_some_and(|until| now >= until)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if ever.
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = self.attachments.iter().filter_map(Attachment::deadline);
        let others =
            [self.grace_until, self.restarts.due, self.ending.deadline(), self.away_deadline()];
        deadlines.chain(others.into_iter().flatten()).min()
    }

    /// Ends an attachment: its stream still says so.
    pub fn handle_detach(&mut self, id: AttachmentId, reason: DetachReason) {
        if let Some(attachment) = self.attachment_mut(id) {
            attachment.end(reason);
        }
    }

    /// Ends every attachment but `except`.
    pub fn handle_detach_others(&mut self, except: AttachmentId, reason: DetachReason) {
        for attachment in &mut self.attachments {
            if attachment.id != except {
                attachment.end(reason);
            }
        }
        for away in &mut self.away {
            away.attachment.end(reason);
        }
    }

    /// Ends all attachments: the session is forgotten.
    pub fn handle_removed(&mut self) {
        self.away.clear();
        for attachment in &mut self.attachments {
            attachment.end(DetachReason::Removed);
        }
    }

    /// An attachment is gone for good: its end was told, or its client left.
    pub fn forget(&mut self, id: AttachmentId) -> Option<H> {
        let gone = match self.attachments.iter().position(|attachment| attachment.id == id) {
            Some(at) => self.attachments.swap_remove(at),
            None => {
                let at = self.away.iter().position(|away| away.attachment.id == id)?;
                self.away.swap_remove(at).attachment
            }
        };
        self.forget_ledgers();
        self.note_gone();
        Some(gone.handle)
    }

    /// The subscriber consumed output up to `offset`.
    ///
    /// # Errors
    ///
    /// [`ConsumedAhead`] if so much was never sent, here or on the connection before.
    pub fn handle_consumed(&mut self, id: AttachmentId, offset: u64) -> Result<(), ConsumedAhead> {
        let end = self.log.end();
        let Some(attachment) = self.attachment_mut(id) else {
            return Ok(());
        };
        if offset > attachment.cursor.output.max(attachment.sent_before) {
            return Err(ConsumedAhead);
        }
        attachment.note_consumed(offset, end);
        Ok(())
    }

    /// How many bytes the PTY reader may read now: 0 while a lossless subscriber holds the child.
    ///
    /// A holder is given its window beyond what it consumed, and no more: what is ahead of it stays
    /// small, so that a ctrl-C after a flood is soon seen to work.
    pub fn read_budget(&self) -> usize {
        let end = self.log.end();
        // A child that ended prints no more: what it left in the terminal is taken into the log, as
        // far as nothing unsent has to leave it.
        let budget = |attachment: &Attachment<H>| match self.exit {
            None => attachment.budget(end),
            Some(_) => attachment.last_budget(end, self.log.size() as u64),
        };
        let away = self.away.iter().map(|away| &away.attachment);
        let budgets = self.attachments.iter().chain(away).filter_map(budget);
        budgets
            .min()
            .map_or(super::READ_TURN, |budget| budget.min(super::READ_TURN as u64) as usize)
    }

    /// Contiguous room in the log for a read of the PTY, within the budget.
    pub fn log_spare(&mut self) -> &mut [u8] {
        let budget = self.read_budget();
        self.log.spare(budget)
    }

    /// The PTY reader may read nothing: whoever holds the child does so since now at the latest.
    ///
    /// Not all holds begin with output: a subscriber may attach far behind, or ask for lossless
    /// delivery when it is.
    pub fn handle_reader_held(&mut self, now: Instant) {
        let end = self.log.end();
        for attachment in present_and_away(&mut self.attachments, &mut self.away) {
            attachment.note_hold(end, now);
        }
    }

    /// The first `count` bytes of [`log_spare`](Self::log_spare) were read from the PTY.
    pub fn handle_output(&mut self, count: usize, now: Instant) {
        self.log.advance(count);
        let end = self.log.end();
        for attachment in present_and_away(&mut self.attachments, &mut self.away) {
            attachment.note_hold(end, now);
        }
    }

    /// The frames up to `cursor` were begun.
    pub fn commit(&mut self, id: AttachmentId, cursor: Cursor) {
        if let Some(attachment) = self.attachment_mut(id) {
            attachment.commit(cursor);
        }
        if cursor.is_end_told {
            self.note_gone();
        }
    }

    /// The attachment, if it is not forgotten.
    pub fn attachment(&self, id: AttachmentId) -> Option<&Attachment<H>> {
        self.attachments.iter().find(|attachment| attachment.id == id)
    }

    /// The attachment, if it is not forgotten.
    pub fn attachment_mut(&mut self, id: AttachmentId) -> Option<&mut Attachment<H>> {
        self.attachments.iter_mut().find(|attachment| attachment.id == id)
    }

    /// Everyone attached, oldest first unless somebody left.
    pub fn attachments(&self) -> &[Attachment<H>] {
        &self.attachments
    }

    /// The log.
    pub const fn log(&self) -> &SessionLog {
        &self.log
    }

    /// What the session is doing.
    pub const fn state(&self) -> SessionState {
        self.state
    }

    /// The epoch that runs, or ran last.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The child's process id; 0 if there is none.
    pub fn pid(&self) -> u32 {
        if self.exit.is_none() { self.pid } else { 0 }
    }

    /// How the last child ended, once everything it printed is in the log.
    pub fn exit(&self) -> Option<Exit> {
        if self.is_live() { None } else { self.exit }
    }

    /// Input bytes written to the PTY in this epoch, by all clients.
    pub const fn input_applied(&self) -> u64 {
        self.input_applied
    }

    /// Whether a child runs, or its last output is still coming.
    pub fn is_live(&self) -> bool {
        matches!(self.state, SessionState::Running | SessionState::Stopping)
    }

    /// Whether no child runs and none will be started.
    pub fn is_over(&self) -> bool {
        self.state == SessionState::Exited
    }

    /// Whether everybody was told the end of a session that was made for one child: it is gone, but
    /// for those of them who did not hear it and come back.
    ///
    /// Once that is so it stays so: its name may be another's by then.
    pub const fn is_gone(&self) -> bool {
        self.is_gone
    }

    fn note_gone(&mut self) {
        let mut all = self.attachments.iter().chain(self.away.iter().map(|away| &away.attachment));
        let is_over = self.is_ephemeral && self.state == SessionState::Exited;
        self.is_gone |= is_over && all.all(|attachment| attachment.cursor.is_end_told);
    }

    /// Whether the session can be forgotten: it was made for one child, that ended, and nobody is
    /// attached any more or may come back for the end.
    pub fn is_finished(&self) -> bool {
        let is_alone = self.attachments.is_empty() && self.away.is_empty();
        self.is_ephemeral && self.state == SessionState::Exited && is_alone
    }
}

/// Everyone who may hold the child.
fn present_and_away<'a, H>(
    present: &'a mut [Attachment<H>],
    away: &'a mut [Away<H>],
) -> impl Iterator<Item = &'a mut Attachment<H>> {
    present.iter_mut().chain(away.iter_mut().map(|away| &mut away.attachment))
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
