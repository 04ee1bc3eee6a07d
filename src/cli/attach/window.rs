//! The terminal's size, and making programs draw themselves anew.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    super::terminal::{RawMode, Tty},
    Leave, Stage,
};
use crate::{Input, protocol::WindowSize};

/// How long programs may take to notice the smaller size before they are given the true one again.
/// Those that print sooner noticed it sooner.
const NUDGE: Duration = Duration::from_millis(60);

/// A program that prints nothing for so long has drawn itself and waits for keys. Told of the true
/// size before that, `less` may take the news together with the next key, and forgets the key.
const QUIET: Duration = Duration::from_millis(20);

/// How long that is waited for: some programs always print.
const NUDGE_MAX: Duration = Duration::from_millis(250);

/// What the system tells about the terminal.
#[derive(Debug)]
pub(super) struct Signals {
    resized: Signal,
    continued: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            resized: signal(SignalKind::window_change())?,
            continued: signal(SignalKind::from_raw(libc::SIGCONT))?,
        })
    }
}

/// Tells the size whenever it changes; never ends.
pub(super) async fn run(
    tty: &Tty,
    input: Option<&Input>,
    raw: &RawMode,
    mut signals: Signals,
    stage: &Stage,
    has_size: bool,
) -> Leave {
    // It may have changed since it was told, before anybody listened.
    tell(tty, input);
    let mut is_nudging = has_size;
    loop {
        tokio::select! {
            _ = signals.resized.recv() => tell(tty, input),
            _ = signals.continued.recv() => {
                // A shell had the terminal meanwhile.
                let _ = raw.again();
                tell(tty, input);
                nudge(tty, input, stage).await;
            }
            () = stage.replayed.notified() => {
                if is_nudging {
                    nudge(tty, input, stage).await;
                }
                is_nudging = true;
            }
        }
    }
}

fn tell(tty: &Tty, input: Option<&Input>) {
    let size = tty.size();
    if let Some(input) = input.filter(|_| !size.is_unset()) {
        input.resize(size);
    }
}

/// One column less, and back: programs draw themselves anew for a size that is new to them.
async fn nudge(tty: &Tty, input: Option<&Input>, stage: &Stage) {
    let size = tty.size();
    let Some(input) = input.filter(|_| size.cols > 1) else { return };
    // What was printed before is no sign of having noticed.
    let _ = tokio::time::timeout(Duration::ZERO, stage.printed.notified()).await;
    input.resize(WindowSize { cols: size.cols - 1, ..size });
    let begun = Instant::now();
    let mut wait = NUDGE;
    while begun.elapsed() < NUDGE_MAX
        && tokio::time::timeout(wait, stage.printed.notified()).await.is_ok()
    {
        wait = QUIET;
    }
    tell(tty, Some(input));
}
