//! `taut send`: types into a session, and knows what was written, or what came of it.

use std::{
    io::{self, IsTerminal},
    pin::pin,
    time::Duration,
};

use clap::Args;
use regex::bytes::Regex;
use serde_json::json;

use super::{
    super::{
        attach::{EndingSignals, Leave},
        context::{Context, check_name, write_json, write_output},
        failure::{Failure, Outcome, exit_code},
        keys::{KeyModes, Paste},
        output_wait::OutputWait,
        standard_input::StandardInput,
        text::{
            duration::parse_duration,
            escape::escaped_lines,
            output_matcher::{Found, OutputMatcher, parse_pattern},
        },
    },
    typed_items::TypedItems,
};
use crate::{
    AttachOptions, Client, Input, ScreenOptions, SendError,
    protocol::{Delivery, ErrorCode},
};

/// Type into a session
///
/// Returns when everything was written to its terminal; exits with 6 if something was not. The
/// terminal of a program that reads lines takes 4,095 bytes of one (1,023 on macOS) and its end: a
/// longer one is not typed from there on, nor what comes behind it, unless the program makes its
/// terminal raw.
/// Words and keys are typed in the order they are given, with a space between two words. Without
/// any, standard input is sent as it comes.
/// With --wait-output, returns with the first text that matches of what is printed from then on,
/// the echo of what is typed included; escape sequences are removed before. Exits with 124 if
/// nothing does in time, and with 1 if the program ends first. With --json, "matched" is that text
/// and "offset" where it begins in the session's output, or both are null.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut send build 'make test' --enter\n  \
                  git diff | taut send editor --paste\n  \
                  taut send top --key ctrl-c --key up --key enter\n  \
                  taut send build make --enter --wait-output '(?m)^[0-9]+ passed' --timeout 2m"
)]
pub(crate) struct SendArguments {
    /// The session
    name: String,
    #[command(flatten)]
    typed: TypedItems,
    /// Paste the text: newlines as enter sends them, in brackets if the program asked for that
    #[arg(long)]
    paste: bool,
    /// Return with the first output that matches (syntax of Rust's regex crate)
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern)]
    wait_output: Option<Regex>,
    /// Wait no longer than that, and exit with 124
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "wait_output")]
    timeout: Option<Duration>,
}

/// What helps where a line was too long.
const LINE_TOO_LONG_HINT: &str = "send shorter lines, or let the program make its terminal raw \
                                  (stty raw); --key ctrl-u takes back what is typed of the line";

/// What is to be typed.
enum Typing {
    Bytes(Vec<u8>),
    /// Standard input, pasted or as it comes.
    StandardInput(Option<Paste>),
}

/// How far it came.
#[derive(Default)]
struct Sent {
    applied: u64,
    unknown: u64,
    undelivered: u64,
    reason: Option<String>,
    hint: Option<&'static str>,
    /// What is being sent now.
    on_its_way: u64,
    /// Nothing more is to be sent.
    is_complete: bool,
}

/// Why it is over.
enum End {
    /// All was sent, or cannot be; and found, if that was wanted.
    Done,
    TimedOut(Duration),
    /// Nothing can match any more.
    Ended(Failure),
    Signal(u8),
}

pub(crate) async fn perform(context: &Context, arguments: SendArguments) -> Outcome {
    let name = check_name(arguments.name.clone())?;
    let has_enter = arguments.typed.has_enter();
    let from_input = arguments.typed.is_empty() && !(has_enter && io::stdin().is_terminal());
    if from_input && arguments.paste && io::stdin().is_terminal() {
        return Err(Failure::usage("paste what? Give a text, or send one to standard input"));
    }
    let client = context.connect().await?;
    let typing = arguments.typing(&client, &name, from_input).await?;
    // Behind standard input; among words and keys it has its place.
    let enter = has_enter && from_input;
    let SendArguments { wait_output: pattern, timeout, .. } = arguments;
    let is_waiting = pattern.is_some();
    // Nothing is to be missed; what is looked at as it comes holds nobody up.
    let delivery = if is_waiting { Delivery::Lossless } else { Delivery::None };
    let options = AttachOptions { delivery, ..AttachOptions::default() };
    let (input, events) = client.attach(&name, &options).await?;
    // Without the events the session is left again at once.
    let (mut wait, _events) = match pattern {
        Some(pattern) => {
            let matcher = OutputMatcher::new(pattern);
            (Some(OutputWait::new(context, &client, &name, events, matcher)), None)
        }
        None => (None, Some(events)),
    };
    let mut sent = Sent::default();
    let mut signals =
        EndingSignals::listen().map_err(|error| Failure::system("listen for signals", &error))?;
    let end = tokio::select! {
        biased;
        leave = signals.wait() => match leave {
            Leave::Signal(number) => End::Signal(exit_code::SIGNAL + number as u8),
            _ => End::Done,
        },
        outcome = type_and_wait(&input, &mut sent, typing, enter, wait.as_mut()) => outcome?,
        limit = run_out(timeout) => End::TimedOut(limit),
    };
    if let Some(wait) = &mut wait {
        wait.report_gaps();
    }
    let found = wait.and_then(|wait| wait.found);
    sent.conclude(context, end, is_waiting.then_some(found))
}

impl SendArguments {
    /// What is typed, encoded as the program's modes ask.
    async fn typing(
        &self,
        client: &Client,
        name: &str,
        from_input: bool,
    ) -> Result<Typing, Failure> {
        let modes = match self.paste || self.typed.has_modes() {
            true => client.screen(name, ScreenOptions::default()).await?.modes,
            false => Vec::new(),
        };
        let is_on = |mode: &str| modes.iter().any(|on| on == mode);
        let paste = self.paste.then(|| Paste::new(is_on("bracketed_paste")));
        if from_input {
            return Ok(Typing::StandardInput(paste));
        }
        let keys = KeyModes {
            application_cursor: is_on("application_cursor"),
            application_keypad: is_on("application_keypad"),
        };
        Ok(Typing::Bytes(self.typed.encode(keys, paste.as_ref())))
    }
}

/// Types, and meanwhile and then waits for a match, if one is wanted.
async fn type_and_wait(
    input: &Input,
    sent: &mut Sent,
    typing: Typing,
    enter: bool,
    wait: Option<&mut OutputWait<'_>>,
) -> Result<End, Failure> {
    let mut sending = pin!(sent.send_all(input, typing, enter));
    let Some(wait) = wait else {
        sending.await?;
        return Ok(End::Done);
    };
    let mut is_sent = false;
    while !(is_sent && wait.found.is_some()) {
        tokio::select! {
            biased;
            is_delivered = &mut sending, if !is_sent => {
                is_sent = true;
                if !is_delivered? {
                    return Ok(End::Done);
                }
            }
            step = wait.step() => {
                let end = match step {
                    Ok(None) => continue,
                    Ok(Some(over)) => over.failure("nothing matched"),
                    Err(failure) => failure,
                };
                if wait.found.is_none() {
                    return Ok(End::Ended(end));
                }
                // What is not sent by now will not be: that is told.
                if !is_sent {
                    sending.await?;
                }
                return Ok(End::Done);
            }
        }
    }
    Ok(End::Done)
}

async fn run_out(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
    limit.unwrap_or_default()
}

impl Sent {
    /// Sends everything; returns whether all of it was written.
    async fn send_all(
        &mut self,
        input: &Input,
        typing: Typing,
        enter: bool,
    ) -> Result<bool, Failure> {
        match typing {
            Typing::Bytes(bytes) => self.send(input, &bytes).await?,
            Typing::StandardInput(paste) => self.send_standard_input(input, paste).await?,
        }
        if enter && self.reason.is_none() {
            self.send(input, b"\r").await?;
        }
        self.is_complete = true;
        Ok(self.reason.is_none())
    }

    async fn send_standard_input(
        &mut self,
        input: &Input,
        mut paste: Option<Paste>,
    ) -> Result<(), Failure> {
        let mut standard_input = StandardInput::start()
            .map_err(|error| Failure::system("start reading standard input", &error))?;
        let failed = |error| Failure::system("read standard input", &error);
        while let Some(mut bytes) = standard_input.next().await.map_err(failed)? {
            if let Some(paste) = &mut paste {
                let text = std::mem::take(&mut bytes);
                paste.push(&text, &mut bytes);
            }
            self.send_or_count(input, &bytes).await?;
        }
        let mut rest = Vec::new();
        if let Some(paste) = paste {
            paste.finish(&mut rest);
        }
        self.send_or_count(input, &rest).await
    }

    /// Once something was not delivered, nothing behind it is; but it is counted.
    async fn send_or_count(&mut self, input: &Input, bytes: &[u8]) -> Result<(), Failure> {
        if self.reason.is_some() {
            self.undelivered += bytes.len() as u64;
            return Ok(());
        }
        self.send(input, bytes).await
    }

    async fn send(&mut self, input: &Input, bytes: &[u8]) -> Result<(), Failure> {
        let total = bytes.len() as u64;
        self.on_its_way = total;
        let outcome = input.send(bytes).await;
        self.on_its_way = 0;
        let Err(error) = outcome else {
            self.applied += total;
            return Ok(());
        };
        self.reason = Some(error.to_string());
        match error {
            SendError::Refused { info, applied: 0 }
                if self.applied == 0
                    && !matches!(info.code, ErrorCode::SessionExited | ErrorCode::LineTooLong) =>
            {
                return Err(info.into());
            }
            SendError::Refused { applied, info } => {
                self.hint = (info.code == ErrorCode::LineTooLong).then_some(LINE_TOO_LONG_HINT);
                self.reason = Some(info.text);
                self.applied += applied;
                self.undelivered += total - applied;
            }
            SendError::Ended { applied, undelivered } => {
                self.reason = Some("the program has ended".into());
                self.applied += applied;
                self.undelivered += undelivered;
            }
            SendError::Lost { reason, applied, unknown, undelivered } => {
                let reason = reason.map(|reason| reason.to_string());
                let lost = || "the connection to the daemon was lost".into();
                self.reason = Some(reason.unwrap_or_else(lost));
                self.applied += applied;
                self.unknown += unknown;
                self.undelivered += undelivered;
            }
        }
        Ok(())
    }

    /// Says how it went; `found` is what was waited for, and what came.
    fn conclude(mut self, context: &Context, end: End, found: Option<Option<Found>>) -> Outcome {
        // What is on its way may arrive or not.
        self.unknown += self.on_its_way;
        if matches!(end, End::Signal(_)) && !self.is_complete {
            self.reason.get_or_insert_with(|| "interrupted".into());
        }
        let failure = match (&self.reason, end) {
            (Some(reason), _) => Some(self.undelivered_because(reason)),
            (None, End::Done) => None,
            (None, End::Signal(exit)) => Some(Failure::new(exit, "interrupted", "interrupted")),
            (None, End::Ended(failure)) => Some(failure),
            (None, End::TimedOut(limit)) => {
                let is_found = found.as_ref().is_some_and(Option::is_some);
                let what = if is_found { "not all was typed" } else { "nothing matched" };
                let why = format!("{what} within {limit:?}");
                Some(Failure::new(exit_code::TIMED_OUT, "timed_out", why))
            }
        };
        if context.is_json {
            let reason = self.reason.as_deref().or_else(|| failure.as_ref().map(Failure::why));
            write_json(&self.json(reason, found.as_ref().map(Option::as_ref)))?;
            return Ok(failure.map_or(exit_code::SUCCESS, |failure| failure.exit));
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        if let Some(found) = found.flatten() {
            write_output(escaped_lines(&found.text) + "\n")?;
        }
        Ok(exit_code::SUCCESS)
    }

    fn undelivered_because(&self, reason: &str) -> Failure {
        let Self { applied, unknown, undelivered, .. } = self;
        let counts = format!("{applied} applied, {unknown} unknown, {undelivered} not delivered");
        let why = format!("{counts}: {reason}");
        let failure = Failure::new(exit_code::UNDELIVERED, "undelivered", why);
        match self.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }

    fn json(&self, reason: Option<&str>, found: Option<Option<&Found>>) -> serde_json::Value {
        let mut report = json!({
            "applied": self.applied,
            "unknown": self.unknown,
            "undelivered": self.undelivered,
            "reason": reason,
            "hint": self.hint,
        });
        if let Some(found) = found {
            let text = found.map(|found| String::from_utf8_lossy(&found.text));
            report["matched"] = json!(text);
            report["offset"] = json!(found.map(|found| found.offset));
        }
        report
    }
}
