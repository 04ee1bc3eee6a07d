//! Whether and when a child that ended is started again.

use std::time::{Duration, Instant};

use tautline_protocol::{DetachReason, ExitKind, RestartPolicy, SessionState};

use super::{Exit, Session};

/// How long to wait before a child is started again the first time; then twice as long each time.
pub const RESTART_DELAY: Duration = Duration::from_millis(100);

/// The longest wait: a child that fails at once costs a start a minute.
pub const RESTART_DELAY_MAX: Duration = Duration::from_secs(60);

/// A child that ran so long did well: the next wait is the shortest again.
pub const RUN_SOUND: Duration = Duration::from_secs(10);

/// What is decided about the next child.
#[derive(Debug)]
pub(super) struct Restarts {
    pub(super) policy: RestartPolicy,
    /// Somebody asked for a new child, whatever the policy.
    is_asked: bool,
    /// When to start it.
    pub(super) due: Option<Instant>,
    started: Option<Instant>,
    delay: Duration,
}

impl Restarts {
    pub(super) const fn new(policy: RestartPolicy) -> Self {
        Self { policy, is_asked: false, due: None, started: None, delay: RESTART_DELAY }
    }

    pub(super) fn handle_started(&mut self, now: Instant) {
        self.is_asked = false;
        self.due = None;
        self.started = Some(now);
    }

    /// The child ended; returns whether another one will be started.
    pub(super) fn handle_ended(&mut self, exit: Exit, is_stopping: bool, now: Instant) -> bool {
        if self.is_asked {
            self.due = Some(now);
        } else if !is_stopping && self.is_wanted_after(exit) {
            self.due = Some(now + self.next_delay(now));
        }
        self.due.is_some()
    }

    fn is_wanted_after(&self, exit: Exit) -> bool {
        match self.policy {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => exit != Exit { kind: ExitKind::Code, value: 0 },
            _ => false,
        }
    }

    fn next_delay(&mut self, now: Instant) -> Duration {
        let ran = self.started.take().map(|started| now.saturating_duration_since(started));
        if ran.is_some_and(|ran| ran >= RUN_SOUND) {
            self.delay = RESTART_DELAY;
        }
        let delay = self.delay;
        self.delay = (delay * 2).min(RESTART_DELAY_MAX);
        delay
    }

    fn cancel(&mut self) {
        self.is_asked = false;
        self.due = None;
    }
}

impl<H> Session<H> {
    /// What happens when the child ends.
    pub const fn restart_policy(&self) -> RestartPolicy {
        self.restarts.policy
    }

    /// Chooses what happens when the next child ends.
    pub const fn set_restart_policy(&mut self, policy: RestartPolicy) {
        self.restarts.policy = policy;
    }

    /// A new child is wanted: once the one that runs has ended, or now if none does.
    pub fn handle_restart_asked(&mut self, now: Instant) {
        self.restarts.is_asked = true;
        if self.is_live() {
            self.state = SessionState::Stopping;
        } else {
            self.state = SessionState::Waiting;
            self.restarts.due = Some(now);
        }
    }

    /// Whether it is time to start the next child.
    pub fn is_restart_due(&self, now: Instant) -> bool {
        self.state == SessionState::Waiting && self.restarts.due.is_some_and(|due| now >= due)
    }

    /// The next child could not be started: it is tried again later, if the policy says so.
    pub fn handle_start_failed(&mut self, now: Instant) {
        self.restarts.cancel();
        if self.restarts.policy == RestartPolicy::Never {
            self.handle_no_more();
        } else {
            self.restarts.due = Some(now + self.restarts.next_delay(now));
        }
    }

    /// No child will be started any more: nothing will happen that somebody could wait for.
    pub(super) fn handle_no_more(&mut self) {
        self.restarts.cancel();
        self.state = SessionState::Exited;
        for attachment in &mut self.attachments {
            attachment.end(DetachReason::Ended);
        }
    }

    pub(super) fn cancel_restart(&mut self) {
        self.restarts.cancel();
    }
}
