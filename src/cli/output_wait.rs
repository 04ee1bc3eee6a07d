//! Waiting for output that matches: while something is typed, or while nothing else is done.

use super::{
    commands::session_json::show_exit,
    context::Context,
    failure::{Failure, exit_code},
    follow::is_going_on,
    text::output_matcher::{Found, OutputMatcher},
};
use crate::{Client, Event, Events, protocol::DetachReason, state::Exit};

/// Waits for what an attachment is told; output that it is not lent in time holds the child, or is
/// missing later, as the attachment's delivery says.
pub(crate) struct OutputWait<'a> {
    context: &'a Context,
    client: &'a Client,
    name: &'a str,
    events: Events,
    matcher: OutputMatcher,
    /// The first output offset that is looked at.
    wanted: u64,
    /// Output before this came by.
    seen: u64,
    /// Output that was wanted, and left the log before it could be looked at.
    gap_bytes: u64,
    /// How much of that was said.
    gap_bytes_told: u64,
    /// The first match.
    pub(crate) found: Option<Found>,
    /// A child ended, and whether another one comes is not known yet.
    ended: Option<Exit>,
    /// The child that ended last; another one was to be started.
    last_exit: Option<Exit>,
}

/// Why nothing more is heard of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Over {
    /// The program ended, and no other one is started.
    Exited(Exit),
    Removed,
    /// There is no session of that name any more.
    Gone,
    /// Others made us leave; that is meant for people on terminals.
    Kicked,
    /// The session ended, and how its program did was not told.
    Ended,
}

impl<'a> OutputWait<'a> {
    /// Waits from where the attachment's output begins.
    pub(crate) fn new(
        context: &'a Context,
        client: &'a Client,
        name: &'a str,
        events: Events,
        matcher: OutputMatcher,
    ) -> Self {
        let seen = events.attached().output_offset;
        Self {
            context,
            client,
            name,
            events,
            matcher,
            wanted: seen,
            seen,
            gap_bytes: 0,
            gap_bytes_told: 0,
            found: None,
            ended: None,
            last_exit: None,
        }
    }

    /// Looks at nothing before this offset, and misses nothing that is not held of it.
    pub(crate) const fn begin_at(&mut self, wanted: u64) {
        self.wanted = wanted;
    }

    /// Goes on with another attachment, which begins where the last one ended.
    pub(crate) fn go_on_with(&mut self, events: Events) {
        self.events = events;
    }

    /// The output offset before which all came by.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// How much output was not looked at, because it left the log.
    pub(crate) const fn gap_bytes(&self) -> u64 {
        self.gap_bytes
    }

    /// Takes the next event, or looks at what came; after a match, only so that nobody waits for
    /// us. Returns why nothing more comes, if nothing does.
    ///
    /// # Errors
    ///
    /// If the daemon is heard of no more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the next call goes on.
    pub(crate) async fn step(&mut self) -> Result<Option<Over>, Failure> {
        if let Some(exit) = self.ended {
            if !is_going_on(self.client, self.name).await? {
                return Ok(Some(Over::Exited(exit)));
            }
            self.ended = None;
            self.last_exit = Some(exit);
        }
        if self.found.is_none() && self.matcher.is_due() {
            self.search();
            return Ok(None);
        }
        let is_new = self.found.is_none() && self.matcher.has_news();
        let event = tokio::select! {
            biased;
            event = self.events.next() => match event {
                Ok(event) => event,
                Err(error) => {
                    // The end is told again.
                    self.search();
                    return if self.found.is_some() { Ok(None) } else { Err(error.into()) };
                }
            },
            // All that came is taken in.
            () = std::future::ready(()), if is_new => {
                self.search();
                return Ok(None);
            }
        };
        Ok(match event {
            Some(Event::Output { offset, bytes, .. }) => {
                self.seen = offset + bytes.len() as u64;
                let skipped = self.wanted.saturating_sub(offset);
                let begin = usize::try_from(skipped).unwrap_or(usize::MAX).min(bytes.len());
                if self.found.is_none() && begin < bytes.len() {
                    self.matcher.push(offset + begin as u64, &bytes[begin..]);
                }
                None
            }
            Some(Event::Gap { from, to }) => {
                self.handle_gap(from, to);
                None
            }
            Some(Event::Exited { exit, .. }) => {
                self.search();
                self.ended = Some(exit);
                None
            }
            Some(Event::Started { .. }) => {
                self.last_exit = None;
                None
            }
            Some(Event::Detached { reason }) => {
                self.search();
                Some(Over::by(reason, self.last_exit))
            }
            Some(_) => None,
            None => Some(Over::by(DetachReason::Ended, self.last_exit)),
        })
    }

    /// Says how much was not looked at, unless it did.
    pub(crate) fn report_gaps(&mut self) {
        if self.gap_bytes == self.gap_bytes_told {
            return;
        }
        let in_all = if self.gap_bytes_told == 0 { "" } else { " in all" };
        self.gap_bytes_told = self.gap_bytes;
        let bytes = self.gap_bytes;
        self.context
            .note(&format!("[{bytes} bytes{in_all} were not looked at: they left the log]"));
    }

    /// What was printed before anything else happened counts first.
    fn search(&mut self) {
        if self.found.is_none() && self.matcher.has_news() {
            self.found = self.matcher.search();
        }
    }

    fn handle_gap(&mut self, from: u64, to: u64) {
        self.seen = to;
        let from = from.max(self.wanted);
        self.search();
        if self.found.is_some() || to <= from {
            return;
        }
        self.matcher.handle_gap();
        self.gap_bytes += to - from;
        // Whoever is always too slow is not told every time.
        if self.gap_bytes >= 2 * self.gap_bytes_told {
            self.report_gaps();
        }
    }
}

impl Over {
    /// What the end of an attachment says; `exit` is that of a child after which another one was
    /// to be started.
    pub(crate) fn by(reason: DetachReason, exit: Option<Exit>) -> Self {
        match (reason, exit) {
            (DetachReason::Kicked, _) => Self::Kicked,
            (DetachReason::Removed, _) => Self::Removed,
            (_, Some(exit)) => Self::Exited(exit),
            (_, None) => Self::Ended,
        }
    }

    /// The failure it is to whoever waited; `missing` is what did not happen before.
    pub(crate) fn failure(self, missing: &str) -> Failure {
        let how = match self {
            Self::Exited(exit) => format!("the program ended: it {}", show_exit(exit)),
            Self::Removed => "the session was removed".into(),
            Self::Gone => "the session was removed, or got another name".into(),
            Self::Kicked => "another client detached this one".into(),
            Self::Ended => "the session ended".into(),
        };
        Failure::new(exit_code::FAILURE, "ended", format!("{missing} before {how}"))
    }
}
