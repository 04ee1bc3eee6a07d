//! Reading a PTY's controller side, straight into the session log: one task, and when a child's
//! time is up the one that keeps time.

use std::{io, sync::Arc, time::Instant};

use tokio::sync::Notify;

use super::{Engine, session_host::SessionHost, statistics};
use crate::{pty::Controller, state::READ_TURN};

/// Reads until the terminal is closed or `hangup` says to let go.
pub(super) async fn run(
    engine: Arc<Engine>,
    host: Arc<SessionHost>,
    controller: Controller,
    hangup: Arc<Notify>,
    epoch: u64,
) {
    tokio::select! {
        () = read_all(&engine, &host, &controller) => {}
        () = hangup.notified() => {}
    }
    let mut core = host.lock();
    // The next child may run already: its output has not ended.
    if core.session.epoch() != epoch {
        return;
    }
    core.session.handle_output_end(Instant::now());
    host.tell_end(core);
}

async fn read_all(engine: &Engine, host: &SessionHost, controller: &Controller) {
    let mut taken = 0;
    loop {
        match read_once(host, |spare| controller.try_read(spare)) {
            Turn::Read(count) => {
                statistics::count(&engine.counters.output_bytes, count as u64);
                taken += count;
                if taken >= READ_TURN {
                    // A flood gets its turn, and so does everybody else.
                    taken = 0;
                    tokio::task::yield_now().await;
                }
            }
            Turn::Held => host.reading.notified().await,
            Turn::Empty => {
                taken = 0;
                let readable = std::future::poll_fn(|cx| controller.poll_readable(cx)).await;
                if readable.is_err() {
                    return;
                }
            }
            Turn::End => return,
        }
    }
}

/// Reads what a child left in the terminal, if its time is up: the reader may not have had its turn
/// since. What a process it left behind goes on printing is not waited for.
pub(super) fn read_last_words(engine: &Engine, host: &SessionHost) {
    let controller = {
        let core = host.lock();
        let is_due = core.session.is_grace_over(Instant::now());
        core.running.as_ref().filter(|_| is_due).map(|running| running.controller.clone())
    };
    let Some(controller) = controller else { return };
    let mut taken = 0;
    while let Turn::Read(count) = read_once(host, |spare| controller.read_now(spare))
        && taken < READ_TURN
    {
        statistics::count(&engine.counters.output_bytes, count as u64);
        taken += count;
    }
}

enum Turn {
    Read(usize),
    /// A lossless subscriber holds the child.
    Held,
    Empty,
    End,
}

fn read_once(host: &SessionHost, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> Turn {
    let mut core = host.lock();
    let spare = core.session.log_spare();
    if spare.is_empty() {
        core.session.handle_reader_held(Instant::now());
        host.rearm(&mut core);
        return Turn::Held;
    }
    match read(spare) {
        Ok(0) => Turn::End,
        Ok(count) => {
            core.read_at = Instant::now();
            let now = core.read_at;
            core.session.handle_output(count, now);
            core.wake_due();
            host.rearm(&mut core);
            Turn::Read(count)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Turn::Empty,
        Err(_) => Turn::End,
    }
}
