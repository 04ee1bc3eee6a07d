//! From the session to the terminal.

use std::{ops::Range, time::Instant};

use super::{
    super::{failure::Failure, terminal::Tty},
    Leave, Stage,
};
use crate::{Event, Events};

/// A soft reset, and an empty screen: what a replay is painted on.
const EMPTY_SCREEN: &[u8] = b"\x1b[!p\x1b[H\x1b[2J";

/// Asks for the cursor's position: the answer comes behind those to all questions before.
const QUESTION: &[u8] = b"\x1b[6n";

/// Shows output until there is no more.
pub(super) async fn run(
    events: &mut Events,
    tty: &Tty,
    replay: Option<Range<u64>>,
    stage: &Stage,
) -> Leave {
    if let Some(range) = replay {
        match paint_replay(events, tty, range, stage).await {
            Ok(None) => {}
            Ok(Some(leave)) | Err(leave) => return leave,
        }
    }
    loop {
        let event = match events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Leave::Failed(ended()),
            Err(error) => return Leave::Failed(error.into()),
        };
        match event {
            Event::Output { bytes, .. } => {
                stage.printed.notify_one();
                if tty.show(bytes).await.is_err() {
                    return Leave::TerminalGone;
                }
            }
            // What is missing cannot be shown; programs are made to draw what they show now.
            Event::Gap { .. } => stage.replayed.notify_one(),
            event => {
                if let Some(leave) = leave_for(&event) {
                    return leave;
                }
            }
        }
    }
}

/// What an event ends, if it ends anything.
fn leave_for(event: &Event<'_>) -> Option<Leave> {
    match event {
        Event::Exited { exit, .. } => Some(Leave::Exited(*exit)),
        Event::Detached { reason } => Some(Leave::Detached(*reason)),
        _ => None,
    }
}

fn ended() -> Failure {
    Failure::new(super::super::failure::exit_code::FAILURE, "ended", "the session ended")
}

/// Collects the replay and paints it at once, from the beginning of a line.
async fn paint_replay(
    events: &mut Events,
    tty: &Tty,
    range: Range<u64>,
    stage: &Stage,
) -> Result<Option<Leave>, Leave> {
    let mut bytes = Vec::new();
    let mut is_whole = range.start == 0;
    let mut reached = range.start;
    let mut leave = None;
    while reached < range.end && leave.is_none() {
        let event = match events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Err(Leave::Failed(ended())),
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
            event => leave = leave_for(&event),
        }
    }
    let begin = if is_whole { 0 } else { line_start(&bytes).unwrap_or(0) };
    let parts = [EMPTY_SCREEN, &bytes[begin..]];
    for part in parts {
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
    Ok(leave)
}

/// Where the first line begins that is there from its beginning.
pub(crate) fn line_start(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
}
