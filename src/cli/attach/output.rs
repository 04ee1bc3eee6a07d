//! From the session to the terminal.

use std::{ops::Range, time::Instant};

use super::{
    super::{commands::session_json::show_exit, failure::Failure, terminal::Tty},
    Leave, Show, Stage,
    outage::{self, Outage},
    replay::without_side_effects,
};
use crate::{
    Client, Event, Events,
    protocol::{CloseReason, DetachReason, SessionState},
    state::{Exit, SenderEnd},
};

/// A soft reset, and an empty screen: what a replay is painted on.
const EMPTY_SCREEN: &[u8] = b"\x1b[!p\x1b[H\x1b[2J";

/// Said when the end of a line was not typed.
const LINE_TOO_LONG: &str = "the line is longer than the program takes: from there on nothing was \
                             typed, and ctrl-u takes back the rest";

/// Asks for the cursor's position: the answer comes behind those to all questions before.
const QUESTION: &[u8] = b"\x1b[6n";

/// Shows output until there is no more.
pub(super) async fn run(show: &Show<'_>, events: &mut Events, replay: Option<Range<u64>>) -> Leave {
    let mut ended = match replay {
        Some(range) => match paint_replay(events, show.tty, range, show.stage).await {
            Ok(End::None) => None,
            Ok(End::Exited(exit)) => Some(exit),
            Ok(End::Detached(reason)) => return Leave::Detached(reason),
            Err(leave) => return leave,
        },
        None => None,
    };
    loop {
        if let Some(exit) = ended {
            if !is_going_on(show.client, show.name).await {
                return Leave::Exited(exit);
            }
            let (unknown, undelivered) = show.stage.given_up.take();
            let typed = match unknown + undelivered {
                0 => String::new(),
                count => format!("\r\n[{count} bytes typed last came too late]"),
            };
            let name = show.name;
            let note = format!("\r\n[{name} {}; it is started again]{typed}\r\n", show_exit(exit));
            if show.tty.show(note.as_bytes()).await.is_err() {
                return Leave::TerminalGone;
            }
        }
        match show_child(show, events, ended).await {
            Ok(exit) => ended = Some(exit),
            Err(leave) => return leave,
        }
    }
}

/// Shows what one child prints, until it ends; `last` is how the one before it did.
async fn show_child(
    show: &Show<'_>,
    events: &mut Events,
    last: Option<Exit>,
) -> Result<Exit, Leave> {
    let (tty, stage) = (show.tty, show.stage);
    let mut outage = Outage::default();
    let mut shown_to = events.attached().output_offset;
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => event,
            () = outage.tick() => {
                outage.draw(tty, show.held()).await.map_err(|_| Leave::TerminalGone)?;
                continue;
            }
            () = stage.line_dropped.notified() => {
                show_note(tty, LINE_TOO_LONG).await?;
                continue;
            }
        };
        let event = match event {
            Ok(Some(event)) => event,
            Ok(None) => return Err(Leave::Failed(over())),
            Err(error) => return Err(Leave::Failed(error.into())),
        };
        match event {
            Event::Output { offset, bytes, .. } => {
                shown_to = offset + bytes.len() as u64;
                show_output(show, bytes).await?;
            }
            Event::Gap { from, to } => {
                shown_to = to;
                stage.gaps.borrow_mut().handle_gap(to - from);
            }
            // What was refused is told by whoever typed it.
            Event::Undelivered { reason: SenderEnd::Refused, .. } => {}
            Event::Undelivered { unknown, bytes, .. } => stage.note_given_up(unknown, bytes),
            Event::Disconnected { reason: Some(CloseReason::ShuttingDown) } => {
                return Err(Leave::Failed(Failure::shutting_down()));
            }
            Event::Disconnected { .. } => outage.handle_lost(Instant::now()),
            Event::Reconnecting { attempt, next_in } => {
                outage.handle_waiting(attempt, next_in, Instant::now());
            }
            Event::Resumed { .. } if outage.handle_back() => {
                show_back(show, shown_to).await?;
            }
            event => match end_of(&event) {
                End::None => {}
                End::Exited(exit) => return Ok(exit),
                // The next child was awaited, and will not come.
                End::Detached(DetachReason::Ended) if last.is_some() => {
                    return Err(last.map_or(Leave::Left, Leave::Exited));
                }
                End::Detached(reason) => return Err(Leave::Detached(reason)),
            },
        }
    }
}

async fn show_output(show: &Show<'_>, bytes: &[u8]) -> Result<(), Leave> {
    let Show { tty, stage, .. } = show;
    stage.printed.notify_one();
    let (missing, bytes) = stage.gaps.borrow_mut().take(bytes);
    if let Some(missing) = missing {
        // Where it is missing.
        show_note(tty, &format!("{missing} bytes of output are missing here")).await?;
        // What is missing cannot be shown; programs are made to draw what they show.
        stage.replayed.notify_one();
    }
    tty.show(bytes).await.map_err(|_| Leave::TerminalGone)
}

/// The connection is back: what told of its loss goes.
async fn show_back(show: &Show<'_>, shown_to: u64) -> Result<(), Leave> {
    let repainted = outage::repaint(show.client, show.name, show.tty, shown_to).await;
    if !repainted.map_err(|_| Leave::TerminalGone)? {
        // Programs are made to draw what was there.
        show.stage.replayed.notify_one();
    }
    Ok(())
}

/// Says something on a line of its own, among output.
async fn show_note(tty: &Tty, text: &str) -> Result<(), Leave> {
    let cancelled = if tty.is_inside_sequence() { "\x18" } else { "" };
    let note = format!("{cancelled}\x1b[m\r\n[{text}]\r\n");
    tty.show(note.as_bytes()).await.map_err(|_| Leave::TerminalGone)
}

/// What an event ends, if it ends anything.
#[derive(Clone, Copy, Debug)]
enum End {
    None,
    Exited(Exit),
    Detached(DetachReason),
}

const fn end_of(event: &Event<'_>) -> End {
    match event {
        Event::Exited { exit, .. } => End::Exited(*exit),
        Event::Detached { reason } => End::Detached(*reason),
        _ => End::None,
    }
}

/// Whether another child runs or will; a session nobody knows any more does not go on.
async fn is_going_on(client: &Client, name: &str) -> bool {
    let found = client.status(Some(name)).await.unwrap_or_default();
    found.first().is_some_and(|session| session.state != SessionState::Exited)
}

fn over() -> Failure {
    Failure::new(super::super::failure::exit_code::FAILURE, "ended", "the session ended")
}

/// Collects the replay and paints it at once, from the beginning of a line.
async fn paint_replay(
    events: &mut Events,
    tty: &Tty,
    range: Range<u64>,
    stage: &Stage,
) -> Result<End, Leave> {
    let mut bytes = Vec::new();
    let mut is_whole = range.start == 0;
    let mut reached = range.start;
    let mut end = End::None;
    while reached < range.end && matches!(end, End::None) {
        let event = match events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Err(Leave::Failed(over())),
            Err(error) => return Err(Leave::Failed(error.into())),
        };
        match event {
            Event::Output { offset, bytes: piece, .. } => {
                bytes.extend_from_slice(piece);
                reached = offset + piece.len() as u64;
            }
            Event::Gap { to, .. } => {
                bytes.clear();
                (is_whole, reached) = (false, to);
            }
            event => end = end_of(&event),
        }
    }
    let begin = if is_whole { 0 } else { line_start(&bytes).unwrap_or(0) };
    let replay = without_side_effects(&bytes[begin..]);
    for part in [EMPTY_SCREEN, &replay] {
        tty.show(part).await.map_err(|_| Leave::TerminalGone)?;
    }
    // Inside a sequence a question would be part of it: then only the time is waited for.
    let is_asking = !tty.is_inside_sequence();
    if is_asking {
        tty.show(QUESTION).await.map_err(|_| Leave::TerminalGone)?;
    }
    if let Some(filter) = stage.filter.borrow_mut().as_mut() {
        filter.expect(tty.cursor_queries() + u32::from(!is_asking), Instant::now());
    }
    stage.replayed.notify_one();
    Ok(end)
}

/// Where the first line begins that is there from its beginning.
pub(crate) fn line_start(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
}
