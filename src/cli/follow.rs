//! Following what sessions print, several at once: a task listens to each, one place prints.
//!
//! They are attached to read only, by log: nobody waits for whoever follows. The channel between
//! is short, so that output that is not read waits in the log, and not here.

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    commands::{logs::show_gap, session_json::show_exit},
    failure::{Failure, exit_code},
    printer::Printer,
};
use crate::{
    AttachOptions, Client, Event, Events,
    protocol::{AttachFlags, Delivery, DetachReason, ErrorCode, SessionState, View},
};

/// A session to follow.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Which of the printer's sessions it is.
    pub(crate) index: usize,
    pub(crate) name: String,
    /// The first output byte to listen to.
    pub(crate) from: u64,
    /// The first output byte to print, not before that.
    pub(crate) wanted: u64,
}

/// What is heard of a session.
enum Heard {
    Output(Vec<u8>),
    Note(String),
    /// Nothing more comes.
    End(Result<(), Failure>),
}

/// Pieces of output, 8 KiB each, that wait to be printed.
const HEARD_MAX: usize = 16;

/// Prints what comes until every child has ended for good; returns the exit code of the first
/// session that could not be followed.
///
/// # Errors
///
/// If it cannot be printed.
pub(crate) async fn follow(
    client: &Client,
    sources: Vec<Source>,
    printer: &mut Printer<'_>,
) -> Result<u8, Failure> {
    let (sender, mut heard) = mpsc::channel(HEARD_MAX);
    let mut listeners = JoinSet::new();
    for source in sources {
        listeners.spawn(Listener { client: client.clone(), source, heard: sender.clone() }.run());
    }
    drop(sender);
    let mut exit = exit_code::SUCCESS;
    while let Some((index, heard)) = heard.recv().await {
        match heard {
            Heard::Output(bytes) => printer.print(index, &bytes).await?,
            Heard::Note(text) => printer.note(index, &text).await?,
            Heard::End(outcome) => {
                printer.finish(index).await?;
                if let Err(failure) = outcome {
                    printer.report(&failure).await?;
                    exit = if exit == exit_code::SUCCESS { failure.exit } else { exit };
                }
            }
        }
    }
    Ok(exit)
}

/// Listens to one session.
struct Listener {
    client: Client,
    source: Source,
    heard: mpsc::Sender<(usize, Heard)>,
}

/// Why listening to one attachment is over.
enum Over {
    Ended,
    /// Others made us leave; that is meant for people on terminals.
    Kicked,
}

impl Listener {
    async fn run(mut self) {
        let outcome = self.listen().await;
        self.tell(Heard::End(outcome)).await;
    }

    async fn listen(&mut self) -> Result<(), Failure> {
        let mut is_first = true;
        loop {
            let options = passive(Delivery::Log, self.source.from);
            let attached = self.client.attach(&self.source.name, &options).await;
            let mut events = match attached.map_err(Failure::from) {
                Ok((_, events)) => events,
                Err(failure) if !is_first && failure.is_code(ErrorCode::NoSuchSession) => {
                    return Ok(());
                }
                Err(failure) => return Err(failure),
            };
            is_first = false;
            if let Over::Ended = self.hear(&mut events).await? {
                return Ok(());
            }
            self.source.from = events.consumed();
        }
    }

    async fn hear(&mut self, events: &mut Events) -> Result<Over, Failure> {
        loop {
            match events.next().await? {
                Some(Event::Output { offset, bytes, .. }) => {
                    let skipped = self.source.wanted.saturating_sub(offset);
                    let begin = usize::try_from(skipped).unwrap_or(usize::MAX).min(bytes.len());
                    if begin < bytes.len() {
                        self.tell(Heard::Output(bytes[begin..].to_vec())).await;
                    }
                }
                Some(Event::Gap { from, to }) if to > self.source.wanted => {
                    let from = from.max(self.source.wanted);
                    self.tell(Heard::Note(show_gap(from, to))).await;
                }
                Some(Event::Exited { exit, .. }) => {
                    if !is_going_on(&self.client, &self.source.name).await? {
                        return Ok(Over::Ended);
                    }
                    let note = format!("{}; it is started again", show_exit(exit));
                    self.tell(Heard::Note(note)).await;
                }
                Some(Event::Detached { reason }) => {
                    let is_kicked = reason == DetachReason::Kicked;
                    return Ok(if is_kicked { Over::Kicked } else { Over::Ended });
                }
                Some(_) => {}
                None => return Ok(Over::Ended),
            }
        }
    }

    async fn tell(&self, heard: Heard) {
        // If nobody prints any more, this task is about to be dropped.
        self.heard.send((self.source.index, heard)).await.ok();
    }
}

/// The terms of whoever only looks on, from this output offset: no window size, no input; with the
/// deliveries log and none, nobody waits for them either.
pub(crate) fn passive(delivery: Delivery, output_from: u64) -> AttachOptions {
    AttachOptions {
        delivery,
        view: View::Offset,
        output_from,
        flags: AttachFlags::READ_ONLY,
        ..AttachOptions::default()
    }
}

/// Whether another child runs or will; a session nobody knows any more does not go on.
///
/// # Errors
///
/// If there is no answer.
pub(crate) async fn is_going_on(client: &Client, name: &str) -> Result<bool, Failure> {
    match client.status(Some(name)).await.map_err(Failure::from) {
        Ok(found) => Ok(found.iter().any(|session| session.state != SessionState::Exited)),
        Err(failure) if failure.is_code(ErrorCode::NoSuchSession) => Ok(false),
        Err(failure) => Err(failure),
    }
}
