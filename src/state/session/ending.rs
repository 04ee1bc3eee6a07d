//! How a child that was asked to end is made to: a kill when its time is over, and a terminal that
//! is let go when even that brings no end.
//!
//! One for each session, however many ask: the closest deadline counts, and it stands when whoever
//! asked is gone. A session whose owner stays away is asked to end in the same way.

use std::time::{Duration, Instant};

use tautline_protocol::AttachFlags;

use super::{Attachment, EXIT_GRACE, Session};
use crate::limits::OWNER_GRACE;

/// What is to be done about a child now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndStep {
    /// Its owner stayed away: ask it to end.
    HangUp,
    /// Its time is over: kill it.
    Kill,
    /// It was killed, and whoever reads its last words takes too long: let go of the terminal.
    LetGo,
}

/// When what is due.
#[derive(Debug, Default)]
pub(super) struct Ending {
    owner_due: Option<Instant>,
    kill_due: Option<Instant>,
    let_go_due: Option<Instant>,
    is_killed: bool,
}

impl Ending {
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.owner_due, self.kill_due, self.let_go_due].into_iter().flatten().min()
    }

    /// The child it was about is gone.
    pub(super) fn handle_ended(&mut self) {
        let owner_due = self.owner_due;
        *self = Self { owner_due, ..Self::default() };
    }

    pub(super) fn handle_owner_joined(&mut self) {
        self.owner_due = None;
    }
}

impl<H> Session<H> {
    /// The child that runs, if one does, has `grace` to end.
    pub fn handle_end_asked(&mut self, grace: Duration, now: Instant) {
        if self.is_live() && !self.ending.is_killed {
            let due = now + grace;
            self.ending.kill_due = Some(self.ending.kill_due.map_or(due, |known| known.min(due)));
        }
    }

    /// What to do about the child now; asked again until there is nothing.
    pub fn poll_end(&mut self, now: Instant) -> Option<EndStep> {
        let is_owned = self.is_owned();
        let is_due = |due: &mut Option<Instant>| due.take_if(|due| now >= *due).is_some();
        let ending = &mut self.ending;
        if is_due(&mut ending.owner_due) && !is_owned {
            return Some(EndStep::HangUp);
        }
        if is_due(&mut ending.kill_due) {
            ending.is_killed = true;
            ending.let_go_due = Some(now + 2 * EXIT_GRACE);
            return Some(EndStep::Kill);
        }
        is_due(&mut ending.let_go_due).then_some(EndStep::LetGo)
    }

    /// Whether somebody attached owns the session.
    pub fn is_owned(&self) -> bool {
        self.attachments.iter().any(Attachment::is_owner)
    }

    /// The last owner left: it has some time to come back.
    pub fn handle_owner_left(&mut self, now: Instant) {
        self.ending.owner_due = Some(now + OWNER_GRACE);
    }
}

impl<H> Attachment<H> {
    pub(super) const fn is_owner(&self) -> bool {
        self.flags & AttachFlags::OWNER != 0
    }
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
