//! `taut wait`: returns when something has happened in a session.

use std::time::Duration;

use clap::Args;
use regex::bytes::Regex;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{
    super::{
        attach::{EndingSignals, Leave},
        context::{Context, check_name, write_json, write_output},
        failure::{Failure, Outcome, exit_code},
        output_wait::Over,
        session_wait::{Begin, Condition, End, SessionWait, Waited},
        text::{
            duration::{parse_duration, write_duration},
            escape::escaped_lines,
            output_matcher::parse_pattern,
            signal_name::show_signal,
        },
    },
    session_json::exit_json,
};
use crate::{
    protocol::{ExitKind, limits::PATTERN_MAX},
    state::Exit,
};

/// Wait for something in a session: output, silence, or its end
///
/// With --output, returns with the first text that matches, and prints it. What the log holds is
/// looked at first, the oldest byte first, then what comes; --from now looks only at that. Escape
/// sequences are removed before. Text of up to 64 KiB is sure to match; longer text may not.
/// With --idle, returns when nothing was printed for so long, counted from now.
/// With --exit, returns when the program has ended, also if it is started again, and prints how:
/// "exited 3", "killed by SIGTERM", or "lost" if nobody knows.
///
/// Exits with 124 if it does not happen in time, and with 1 if the program ends before and is not
/// started again, or if the session is removed: then it will not happen any more.
/// The program never waits for who waits for it: output that comes too fast may be missed, which is
/// told. In the session itself, --exit is refused, and so is --output without --from, because the
/// command line would match itself.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    override_usage = "taut wait [OPTIONS] <--output <REGEX>|--idle <DURATION>|--exit> [NAME]",
    after_help = "Example:\n  \
                  taut wait server --output 'listening on port [0-9]+' --timeout 30s\n  \
                  taut wait build --output '(?m)^error' --from now\n  \
                  taut wait shell --idle 2s && taut screen shell\n  \
                  taut wait build --exit --json | jq .exit.code"
)]
pub(crate) struct WaitArguments {
    /// The session; the one we are in, or the only one, if none is named
    name: Option<String>,
    /// For output that matches (syntax of Rust's regex crate)
    #[arg(long, value_name = "REGEX", value_parser = parse_wait_pattern)]
    output: Option<Regex>,
    /// For silence: nothing printed for so long
    #[arg(long, value_name = "DURATION", value_parser = parse_quiet)]
    idle: Option<Duration>,
    /// For the end of the program
    #[arg(long)]
    exit: bool,
    /// With --output: the first output offset to look at, or now for what comes next
    #[arg(long, value_name = "OFFSET|now", value_parser = parse_from)]
    from: Option<Begin>,
    /// Wait no longer than that, and exit with 124; with 0, only look at what is held
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// How long the daemon may take to answer once time is up.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What to write instead of what makes no sense.
const EXAMPLE: &str = "for example: taut wait build --output 'passed' --timeout 2m";

pub(crate) async fn perform(context: &Context, arguments: WaitArguments) -> Outcome {
    let condition = arguments.condition()?;
    let name = arguments.name.clone().map(check_name).transpose()?;
    let client = context.connect().await?;
    let name = context.name_or_usual(&client, name).await?;
    if context.own_session() == Some(&name) {
        arguments.refuse_itself(&name)?;
    }
    let mut signals =
        EndingSignals::listen().map_err(|error| Failure::system("listen for signals", &error))?;
    let deadline = arguments.timeout.map(|limit| Instant::now() + limit);
    let wait = SessionWait { context, client: &client, name: &name, deadline };
    let waited = tokio::select! {
        biased;
        leave = signals.wait() => return match leave {
            Leave::Signal(number) => Ok(exit_code::SIGNAL + number as u8),
            _ => Ok(exit_code::FAILURE),
        },
        waited = wait.run(condition) => waited?,
        () = answer_missing(deadline) => {
            let why = "the daemon does not answer";
            return Err(Failure::new(exit_code::TIMED_OUT, "timed_out", why));
        }
    };
    arguments.conclude(context, &name, &waited)
}

/// Resolves when nothing can be hoped for any more.
async fn answer_missing(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline + ANSWER_LIMIT).await,
        None => std::future::pending().await,
    }
}

impl WaitArguments {
    /// The one condition that was given.
    fn condition(&self) -> Result<Condition, Failure> {
        let Self { output, idle, exit, from, .. } = self;
        let usage = |why: &str| Err(Failure::usage(why).with_hint(EXAMPLE));
        if from.is_some() && output.is_none() {
            return usage(
                "--from says where --output begins to look; without it there is nothing to say",
            );
        }
        match (output, idle, exit) {
            (Some(pattern), None, false) => {
                Ok(Condition::Output(pattern.clone(), from.unwrap_or(Begin::Oldest)))
            }
            (None, Some(quiet), false) => Ok(Condition::Idle(*quiet)),
            (None, None, true) => Ok(Condition::Exit),
            (None, None, false) => usage("wait for what? Give one of --output, --idle, --exit"),
            _ => usage("wait for what? Give only one of --output, --idle, --exit"),
        }
    }

    /// Who waits in a session for what it does itself waits for ever, or not at all.
    fn refuse_itself(&self, name: &str) -> Result<(), Failure> {
        let (why, hint) = if self.exit {
            let why = format!("this is {name}: its program does not end before this command");
            (why, "wait for it from outside of it")
        } else if self.output.is_some() && self.from.is_none() {
            let why = format!("this is {name}: the command line it shows would match itself");
            (why, "--from now looks only at what comes, --from 0 at everything that is held")
        } else {
            return Ok(());
        };
        Err(Failure::new(exit_code::REFUSED, "wait_loop", why).with_hint(hint))
    }

    /// Says how it went.
    fn conclude(&self, context: &Context, name: &str, waited: &Waited) -> Outcome {
        let failure = self.failure(name, &waited.end);
        let exit = failure.as_ref().map_or(exit_code::SUCCESS, |failure| failure.exit);
        if context.is_json {
            write_json(&waited_json(name, waited, failure.is_none()))?;
            return Ok(exit);
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        match &waited.end {
            End::Matched(found) => write_output(escaped_lines(&found.text) + "\n")?,
            End::Exited(exit) => write_output(show_exit(*exit) + "\n")?,
            _ => {}
        }
        Ok(exit)
    }

    /// Why it is none, if it is no success.
    fn failure(&self, name: &str, end: &End) -> Option<Failure> {
        let missing = match (&self.output, self.idle) {
            (Some(_), _) => "nothing matched".into(),
            (None, Some(quiet)) => format!("it was never quiet for {}", write_duration(quiet)),
            (None, None) => "the program did not end".into(),
        };
        match end {
            End::Matched(_) | End::Idle | End::Exited(_) => None,
            End::Over(over) => {
                let failure = over.failure(&missing);
                Some(match over {
                    Over::Exited(_) | Over::Ended => failure.with_hint(format!(
                        "taut logs {name} shows what it printed, if it is kept"
                    )),
                    _ => failure.with_hint("taut ls shows the sessions there are"),
                })
            }
            End::TimedOut => {
                let limit = write_duration(self.timeout.unwrap_or_default());
                let why = format!("{missing} within {limit}");
                Some(Failure::new(exit_code::TIMED_OUT, "timed_out", why))
            }
        }
    }
}

/// How the waiting ended, for programs. The keys are a promise.
fn waited_json(name: &str, waited: &Waited, is_met: bool) -> Value {
    let (outcome, exit) = match &waited.end {
        End::Matched(_) => ("matched", None),
        End::Idle => ("idle", None),
        End::TimedOut => ("timed_out", None),
        End::Exited(exit) | End::Over(Over::Exited(exit)) => ("exited", Some(*exit)),
        End::Over(Over::Ended) => ("exited", None),
        End::Over(_) => ("removed", None),
    };
    let (text, from, to) = match &waited.end {
        End::Matched(found) => {
            (Some(String::from_utf8_lossy(&found.text)), found.offset, found.end)
        }
        _ => (None, waited.offset, waited.offset),
    };
    json!({
        "session": name,
        "outcome": outcome,
        "met": is_met,
        "text": text,
        "offset_from": from,
        "offset_to": to,
        "gap_bytes": waited.gap_bytes,
        "exit": exit.map_or(Value::Null, exit_json),
    })
}

/// How a child ended, in few words that scripts may compare.
fn show_exit(exit: Exit) -> String {
    match exit.kind {
        ExitKind::Code => format!("exited {}", exit.value),
        ExitKind::Signal => format!("killed by {}", show_signal(exit.value)),
        _ => "lost".into(),
    }
}

/// A pattern as [`parse_pattern`] reads it, of a length that the wire has room for.
fn parse_wait_pattern(text: &str) -> Result<Regex, String> {
    match text.len() {
        0 => Err("an empty pattern matches everything".into()),
        1..=PATTERN_MAX => parse_pattern(text),
        _ => Err(format!("a pattern has {PATTERN_MAX} bytes at most")),
    }
}

/// A duration of a millisecond at least: below that, nothing is ever quiet.
fn parse_quiet(text: &str) -> Result<Duration, String> {
    let quiet = parse_duration(text)?;
    if quiet < Duration::from_millis(1) {
        return Err(format!(
            "\"{text}\" is less than a millisecond; nothing is quiet for so short"
        ));
    }
    Ok(quiet)
}

fn parse_from(text: &str) -> Result<Begin, String> {
    if text == "now" {
        return Ok(Begin::Now);
    }
    let offset = text.parse().map(Begin::Offset);
    offset.map_err(|_| format!("\"{text}\" is no offset; write a number of bytes, or now"))
}
