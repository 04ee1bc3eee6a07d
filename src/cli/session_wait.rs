//! Waiting for something in a session, by looking on: read only, without a size, and so that the
//! program never waits for whoever waits for it.

use std::{future, time::Duration};

use regex::bytes::Regex;
use tokio::time::{Instant, sleep_until};

use super::{
    context::Context,
    failure::Failure,
    follow::{is_going_on, passive},
    output_wait::{OutputWait, Over},
    text::output_matcher::{Found, OutputMatcher},
};
use crate::{
    Client, Event, Events,
    protocol::{Delivery, DetachReason, ErrorCode, ExitKind, OFFSET_NOW, SessionState},
    state::Exit,
};

/// What is waited for.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// Output that matches, from there on.
    Output(Regex, Begin),
    /// No output for so long.
    Idle(Duration),
    /// The child's end.
    Exit,
}

/// The first output that is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Begin {
    /// The oldest byte that is held.
    Oldest,
    Offset(u64),
    /// What comes next.
    Now,
}

/// How the waiting ended.
#[derive(Clone, Debug)]
pub(crate) struct Waited {
    pub(crate) end: End,
    /// The output offset where it did; with a match, that is in `end`.
    pub(crate) offset: u64,
    /// Output that left the log before it could be looked at.
    pub(crate) gap_bytes: u64,
}

/// Why it ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Matched(Found),
    Idle,
    /// The child ended, which was waited for.
    Exited(Exit),
    /// Nothing of what was waited for can happen any more.
    Over(Over),
    TimedOut,
}

/// Somebody who waits.
pub(crate) struct SessionWait<'a> {
    pub(crate) context: &'a Context,
    pub(crate) client: &'a Client,
    pub(crate) name: &'a str,
    /// When to give up, if ever.
    pub(crate) deadline: Option<Instant>,
}

impl SessionWait<'_> {
    /// Waits.
    ///
    /// # Errors
    ///
    /// If there is no such session, or the daemon is heard of no more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait leaves no attachment behind.
    pub(crate) async fn run(&self, condition: Condition) -> Result<Waited, Failure> {
        match condition {
            Condition::Output(pattern, begin) => self.wait_for_output(pattern, begin).await,
            Condition::Idle(quiet) => self.wait_for_silence(quiet).await,
            Condition::Exit => self.wait_for_exit().await,
        }
    }

    async fn wait_for_output(&self, pattern: Regex, begin: Begin) -> Result<Waited, Failure> {
        // What is held now is looked at, and an end that was is told, however soon time is up.
        let held = self.output_offset().await?.unwrap_or(0);
        let from = match begin {
            Begin::Oldest => 0,
            Begin::Offset(offset) => offset.min(held),
            Begin::Now => OFFSET_NOW,
        };
        let events = self.attach(Delivery::Log, from).await?;
        let attached = *events.attached();
        let matcher = OutputMatcher::new(pattern);
        let mut wait = OutputWait::new(self.context, self.client, self.name, events, matcher);
        match begin {
            Begin::Oldest => wait.begin_at(attached.log_start),
            Begin::Offset(offset) => wait.begin_at(offset),
            Begin::Now => {}
        }
        let is_over = attached.state == SessionState::Exited;
        let end = loop {
            if let Some(found) = wait.found.take() {
                break End::Matched(found);
            }
            let may_end = wait.seen() >= held && !is_over;
            let over = tokio::select! {
                biased;
                over = wait.step() => over?,
                () = run_out(self.deadline), if may_end => break End::TimedOut,
            };
            match over {
                None => {}
                // A match comes first.
                Some(_) if wait.found.is_some() => {}
                Some(Over::Kicked) => match self.attach_again(Delivery::Log, wait.seen()).await? {
                    Some(events) => wait.go_on_with(events),
                    None => break End::Over(Over::Gone),
                },
                Some(over) => break End::Over(over),
            }
        };
        wait.report_gaps();
        Ok(Waited { end, offset: wait.seen(), gap_bytes: wait.gap_bytes() })
    }

    async fn wait_for_silence(&self, quiet: Duration) -> Result<Waited, Failure> {
        let mut watch = Watch::begin(self, Delivery::Log).await?;
        let mut quiet_at = Instant::now() + quiet;
        let end = loop {
            let heard = tokio::select! {
                biased;
                heard = watch.next() => heard?,
                () = sleep_until(quiet_at), if !watch.is_end_due => {
                    // Something may be on its way: what matters is what the session printed, not
                    // when we came to hear of it.
                    match self.output_offset().await? {
                        None => break End::Over(Over::Gone),
                        Some(end) if end == watch.offset => break End::Idle,
                        Some(_) => Heard::Output,
                    }
                }
                () = run_out(self.deadline), if !watch.is_end_due => break End::TimedOut,
            };
            match heard {
                Heard::Output => quiet_at = Instant::now() + quiet,
                Heard::Exited(exit) if !is_going_on(self.client, self.name).await? => {
                    break End::Over(Over::Exited(exit));
                }
                Heard::Over(over) => break End::Over(over),
                Heard::Exited(_) | Heard::Other => {}
            }
        };
        Ok(Waited { end, offset: watch.offset, gap_bytes: 0 })
    }

    async fn wait_for_exit(&self) -> Result<Waited, Failure> {
        // None of what is printed is sent.
        let mut watch = Watch::begin(self, Delivery::None).await?;
        let end = loop {
            let heard = tokio::select! {
                biased;
                heard = watch.next() => heard?,
                () = run_out(self.deadline), if !watch.is_end_due => {
                    watch.offset = self.output_offset().await?.unwrap_or(watch.offset);
                    break End::TimedOut;
                }
            };
            match heard {
                Heard::Exited(exit) => break End::Exited(exit),
                Heard::Over(over) => break End::Over(over),
                Heard::Output | Heard::Other => {}
            }
        };
        Ok(Waited { end, offset: watch.offset, gap_bytes: 0 })
    }

    /// How much the session printed until now; `None` if there is no such session.
    async fn output_offset(&self) -> Result<Option<u64>, Failure> {
        match self.client.status(Some(self.name)).await.map_err(Failure::from) {
            Ok(found) => Ok(found.first().map(|status| status.output_offset)),
            Err(failure) if failure.is_code(ErrorCode::NoSuchSession) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn attach(&self, delivery: Delivery, from: u64) -> Result<Events, Failure> {
        let (_, events) = self.client.attach(self.name, &passive(delivery, from)).await?;
        Ok(events)
    }

    /// The same once more; `None` if there is no such session any more.
    async fn attach_again(&self, delivery: Delivery, from: u64) -> Result<Option<Events>, Failure> {
        match self.attach(delivery, from).await {
            Ok(events) => Ok(Some(events)),
            Err(failure) if failure.is_code(ErrorCode::NoSuchSession) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// Hears of a session from now on, whatever it prints.
struct Watch<'a> {
    wait: &'a SessionWait<'a>,
    delivery: Delivery,
    events: Events,
    /// The output offset that was reached, as far as it was told.
    offset: u64,
    last_exit: Option<Exit>,
    /// The child had ended before: that is told next.
    is_end_due: bool,
    /// Others made us leave, and we are not back yet.
    is_kicked: bool,
}

/// What is heard.
enum Heard {
    Output,
    Exited(Exit),
    Over(Over),
    Other,
}

impl<'a> Watch<'a> {
    async fn begin(wait: &'a SessionWait<'a>, delivery: Delivery) -> Result<Self, Failure> {
        let events = wait.attach(delivery, OFFSET_NOW).await?;
        let attached = events.attached();
        let offset = attached.output_offset;
        let is_end_due = matches!(attached.state, SessionState::Exited | SessionState::Waiting);
        let last_exit = None;
        Ok(Self { wait, delivery, events, offset, last_exit, is_end_due, is_kicked: false })
    }

    /// What happens next. Cancel safe.
    async fn next(&mut self) -> Result<Heard, Failure> {
        if self.is_kicked {
            return self.begin_again().await;
        }
        let reason = match self.events.next().await? {
            Some(Event::Output { offset, bytes, .. }) => {
                self.offset = offset + bytes.len() as u64;
                return Ok(Heard::Output);
            }
            Some(Event::Gap { to, .. }) => {
                self.offset = to;
                return Ok(Heard::Output);
            }
            Some(Event::Exited { exit, offset }) => {
                self.offset = offset;
                self.last_exit = Some(exit);
                self.is_end_due = false;
                return Ok(Heard::Exited(exit));
            }
            Some(Event::Started { .. }) => {
                self.last_exit = None;
                return Ok(Heard::Other);
            }
            Some(Event::Detached { reason }) => reason,
            Some(_) => return Ok(Heard::Other),
            None => DetachReason::Ended,
        };
        match Over::by(reason, self.last_exit) {
            Over::Kicked => {
                self.is_kicked = true;
                self.begin_again().await
            }
            over => Ok(Heard::Over(over)),
        }
    }

    async fn begin_again(&mut self) -> Result<Heard, Failure> {
        let from = if self.delivery == Delivery::None { OFFSET_NOW } else { self.offset };
        let Some(events) = self.wait.attach_again(self.delivery, from).await? else {
            return Ok(Heard::Over(Over::Gone));
        };
        self.is_kicked = false;
        let before = std::mem::replace(&mut self.events, events);
        // A child that ended meanwhile is told of only if no other runs.
        let is_another = before.attached().epoch != self.events.attached().epoch;
        let lost = Exit { kind: ExitKind::Lost, value: 0 };
        Ok(if is_another { Heard::Exited(lost) } else { Heard::Other })
    }
}

/// Waits until time is up.
async fn run_out(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => future::pending().await,
    }
}
