//! `taut send`: types into a session, and knows what was written.

use std::{
    io::{self, IsTerminal},
    os::unix::ffi::OsStrExt,
};

use clap::Args;
use serde_json::json;

use super::super::{
    attach::EndingSignals,
    context::{Context, check_name, write_json},
    failure::{Failure, Outcome, exit_code},
    standard_input::StandardInput,
};
use crate::{
    AttachOptions, Input, SendError,
    protocol::{Delivery, ErrorCode},
};

/// Type into a session
///
/// Returns when everything was written to its terminal; exits with 6 if something was not.
/// Arguments are joined by spaces; without any, standard input is sent as it comes.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut send build 'make test' --enter\n  \
                        git diff | taut send editor"
)]
pub(crate) struct SendArguments {
    /// The session
    name: String,
    /// What to type
    #[arg(value_name = "TEXT")]
    text: Vec<std::ffi::OsString>,
    /// Press enter after it
    #[arg(long)]
    enter: bool,
}

/// How far it came.
#[derive(Default)]
struct Sent {
    applied: u64,
    unknown: u64,
    undelivered: u64,
    reason: Option<String>,
    /// What is being sent now.
    on_its_way: u64,
}

pub(crate) async fn perform(context: &Context, arguments: SendArguments) -> Outcome {
    let name = check_name(arguments.name.clone())?;
    let client = context.connect().await?;
    let options = AttachOptions { delivery: Delivery::None, ..AttachOptions::default() };
    let (input, _events) = client.attach(&name, &options).await?;
    let mut sent = Sent::default();
    let mut signals =
        EndingSignals::listen().map_err(|error| Failure::system("listen for signals", &error))?;
    tokio::select! {
        outcome = send_all(&input, &mut sent, &arguments) => outcome?,
        _ = signals.wait() => sent.interrupt(),
    }
    sent.report(context)
}

async fn send_all(
    input: &Input,
    sent: &mut Sent,
    arguments: &SendArguments,
) -> Result<(), Failure> {
    if arguments.text.is_empty() && !(arguments.enter && io::stdin().is_terminal()) {
        send_standard_input(input, sent).await?;
    } else {
        let words = arguments.text.iter().map(|word| word.as_bytes());
        sent.send(input, &words.collect::<Vec<_>>().join(&b' ')).await?;
    }
    if arguments.enter && sent.reason.is_none() {
        sent.send(input, b"\r").await?;
    }
    Ok(())
}

async fn send_standard_input(input: &Input, sent: &mut Sent) -> Result<(), Failure> {
    let mut standard_input = StandardInput::start()
        .map_err(|error| Failure::system("start reading standard input", &error))?;
    let failed = |error| Failure::system("read standard input", &error);
    while let Some(bytes) = standard_input.next().await.map_err(failed)? {
        if sent.reason.is_some() {
            // It will not be delivered, but it is counted.
            sent.undelivered += bytes.len() as u64;
        } else {
            sent.send(input, &bytes).await?;
        }
    }
    Ok(())
}

impl Sent {
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
                if self.applied == 0 && info.code != ErrorCode::SessionExited =>
            {
                return Err(info.into());
            }
            SendError::Refused { applied, info } => {
                self.reason = Some(info.text);
                self.applied += applied;
                self.undelivered += total - applied;
            }
            SendError::Ended { applied, undelivered } => {
                self.reason = Some("the program has ended".into());
                self.applied += applied;
                self.undelivered += undelivered;
            }
            SendError::Lost { applied, unknown, undelivered } => {
                self.reason = Some("the connection to the daemon was lost".into());
                self.applied += applied;
                self.unknown += unknown;
                self.undelivered += undelivered;
            }
        }
        Ok(())
    }

    /// We are to end: what is on its way may arrive or not.
    fn interrupt(&mut self) {
        self.unknown += self.on_its_way;
        self.reason = Some("interrupted".into());
    }

    fn report(self, context: &Context) -> Outcome {
        let Self { applied, unknown, undelivered, reason, .. } = self;
        if context.is_json {
            write_json(&json!({
                "applied": applied,
                "unknown": unknown,
                "undelivered": undelivered,
                "reason": reason,
            }))?;
        }
        let Some(reason) = reason else { return Ok(exit_code::SUCCESS) };
        if context.is_json {
            return Ok(exit_code::UNDELIVERED);
        }
        let counts = format!("{applied} applied, {unknown} unknown, {undelivered} not delivered");
        Err(Failure::new(exit_code::UNDELIVERED, "undelivered", format!("{counts}: {reason}")))
    }
}
