//! Waiting for output that matches, while something is typed.

use super::{
    commands::session_json::show_exit,
    context::Context,
    failure::{Failure, exit_code},
    follow::is_going_on,
    text::output_matcher::{Found, OutputMatcher},
};
use crate::{Client, Event, Events, protocol::DetachReason, state::Exit};

/// Waits for what an attachment is told; output that it is not lent in time holds the child.
pub(crate) struct OutputWait<'a> {
    context: &'a Context,
    client: &'a Client,
    name: &'a str,
    events: Events,
    matcher: OutputMatcher,
    /// The first match.
    pub(crate) found: Option<Found>,
    /// A child ended, and whether another one comes is not known yet.
    ended: Option<Exit>,
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
        Self { context, client, name, events, matcher, found: None, ended: None }
    }

    /// Takes the next event; after a match, only so that nobody waits for us.
    ///
    /// # Errors
    ///
    /// If the session ended, or nothing more is heard of it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the next call goes on.
    pub(crate) async fn step(&mut self) -> Result<(), Failure> {
        let over = |how: &str| {
            let why = format!("nothing matched before {how}");
            Failure::new(exit_code::FAILURE, "ended", why)
        };
        if let Some(exit) = self.ended {
            if !is_going_on(self.client, self.name).await? {
                return Err(over(&format!("the program ended: it {}", show_exit(exit))));
            }
            self.ended = None;
        }
        let is_new = self.found.is_none() && self.matcher.has_news();
        if is_new && self.matcher.is_due() {
            self.found = self.matcher.search();
        }
        let event = tokio::select! {
            biased;
            event = self.events.next() => match event {
                Ok(event) => event,
                Err(error) => {
                    // What was printed before counts first; the end is told again.
                    self.found = self.found.take().or_else(|| self.matcher.search());
                    return if self.found.is_some() { Ok(()) } else { Err(error.into()) };
                }
            },
            // All that came is taken in.
            () = std::future::ready(()), if is_new => {
                self.found = self.found.take().or_else(|| self.matcher.search());
                return Ok(());
            }
        };
        match event {
            Some(Event::Output { offset, bytes, .. }) if self.found.is_none() => {
                self.matcher.push(offset, bytes);
                return Ok(());
            }
            Some(Event::Output { .. } | Event::Started { .. }) => return Ok(()),
            _ => {}
        }
        // What was printed before counts first.
        if self.found.is_none() && self.matcher.has_news() {
            self.found = self.matcher.search();
        }
        match event {
            Some(Event::Gap { from, to }) if self.found.is_none() => {
                self.matcher.handle_gap();
                let text = format!("[{} bytes were not looked at: they left the log]", to - from);
                self.context.note(&text);
            }
            Some(Event::Exited { exit, .. }) => self.ended = Some(exit),
            Some(Event::Detached { reason }) => {
                return Err(over(match reason {
                    DetachReason::Kicked => "another client detached this one",
                    DetachReason::Removed => "the session was removed",
                    _ => "the session ended",
                }));
            }
            Some(_) => {}
            None => return Err(over("the session ended")),
        }
        Ok(())
    }
}
