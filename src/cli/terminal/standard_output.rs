//! Standard output, written by a thread: a reader that does not read holds up nothing else.

use std::{
    future,
    io::{self, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::{mpsc, oneshot};

/// Standard output for whoever must not block.
#[derive(Debug)]
pub(crate) struct StandardOutput {
    bytes: SyncSender<Vec<u8>>,
    written: mpsc::Receiver<(Vec<u8>, io::Result<()>)>,
    kept: Vec<u8>,
}

impl StandardOutput {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (bytes, to_write) = sync_channel(1);
        let (done, written) = mpsc::channel(1);
        thread::Builder::new().name("taut-stdout".into()).spawn(move || run(&to_write, &done))?;
        Ok(Self { bytes, written, kept: Vec::new() })
    }

    /// Writes; resolves when all of it was taken.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: afterwards, only dropping this makes sense.
    pub(crate) async fn write(&mut self, output: &[u8]) -> io::Result<()> {
        let mut bytes = std::mem::take(&mut self.kept);
        bytes.clear();
        bytes.extend_from_slice(output);
        let gone = || io::Error::other("the writing thread is gone");
        self.bytes.send(bytes).map_err(|_| gone())?;
        let (bytes, outcome) = self.written.recv().await.ok_or_else(gone)?;
        self.kept = bytes;
        outcome
    }
}

/// Waits until nobody can read standard output any more; for ever if that cannot be seen, as with a
/// file.
///
/// Without it a program that waits for something to print outlives the pipe it prints into. A
/// thread watches: what cannot be made non-blocking, because others share it, is no runtime's.
pub(crate) async fn reader_gone() {
    let (gone, is_gone) = oneshot::channel();
    let watch = move || {
        let stdout = rustix::stdio::stdout();
        // Errors and hang-ups are told unasked.
        let mut watched = [PollFd::from_borrowed_fd(stdout, PollFlags::empty())];
        while poll(&mut watched, None) == Err(rustix::io::Errno::INTR) {}
        let is_gone = watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP);
        if is_gone {
            // If nobody waits any more, the process is ending.
            gone.send(()).ok();
        }
    };
    let watching = thread::Builder::new().name("taut-stdout-watch".into()).spawn(watch);
    if watching.is_err() || is_gone.await.is_err() {
        future::pending::<()>().await;
    }
}

fn run(to_write: &Receiver<Vec<u8>>, done: &mpsc::Sender<(Vec<u8>, io::Result<()>)>) {
    while let Ok(bytes) = to_write.recv() {
        let mut output = io::stdout().lock();
        let outcome = output.write_all(&bytes).and_then(|()| output.flush());
        drop(output);
        if done.blocking_send((bytes, outcome)).is_err() {
            return;
        }
    }
}
