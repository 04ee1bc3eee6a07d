//! The only task that writes to a PTY's controller side, and the only one that resizes it.
//!
//! Input is written at once. Only when the terminal takes no more is it queued, in order, and while
//! anything is queued nothing overtakes it. The queue is bounded by the input windows that were
//! granted: the task always takes commands, so no connection ever waits for a child.

use std::{io, sync::Arc, time::Instant};

use smallvec::SmallVec;
use tautline_protocol::WindowSize;
use tokio::sync::mpsc;

use super::{Engine, session_host::SessionHost, statistics::count};
use crate::{
    latency::Stage,
    limits::INPUT_INLINE,
    pty::Controller,
    state::{Due, LedgerId, WriteQueue, Written},
};

/// What a client asks of the writer.
#[derive(Debug)]
pub(super) enum PtyCommand {
    /// Write these bytes.
    Input {
        /// Whose they are.
        ledger: LedgerId,
        /// The bytes.
        bytes: InputBytes,
        /// When their frame was understood.
        decoded: Instant,
    },
    /// Give the terminal this size, after the input that came before.
    Resize(WindowSize),
}

/// Input on its way: keystrokes travel inside the command, pastes in a block.
#[derive(Debug)]
pub(super) enum InputBytes {
    Inline(SmallVec<[u8; INPUT_INLINE]>),
    Block(Block),
}

/// One frame's worth of input.
pub(super) type Block = Box<BlockBytes>;

/// The bytes of a [`Block`].
#[derive(Debug)]
pub(super) struct BlockBytes {
    pub(super) bytes: [u8; tautline_protocol::limits::INPUT_MAX],
    pub(super) len: usize,
}

impl InputBytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Block(block) => &block.bytes[..block.len],
        }
    }
}

/// The writer of one child's PTY.
pub(super) struct PtyWriter {
    host: Arc<SessionHost>,
    engine: Arc<Engine>,
    controller: Controller,
    queue: WriteQueue,
    /// The terminal is gone: what comes is dropped, and never reported as written.
    is_broken: bool,
}

impl PtyWriter {
    pub(super) fn new(host: Arc<SessionHost>, engine: Arc<Engine>, controller: Controller) -> Self {
        Self { host, engine, controller, queue: WriteQueue::default(), is_broken: false }
    }

    /// Runs until the session has no use for the child's terminal any more.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<PtyCommand>) {
        loop {
            let command = if self.queue.is_empty() {
                commands.recv().await
            } else {
                tokio::select! {
                    biased;
                    command = commands.recv() => command,
                    writable = self.controller.writable() => {
                        self.is_broken |= writable.is_err();
                        self.write_queued();
                        continue;
                    }
                }
            };
            match command {
                Some(command) => self.handle(command),
                None => return,
            }
        }
    }

    fn handle(&mut self, command: PtyCommand) {
        match command {
            PtyCommand::Input { ledger, bytes, decoded } => {
                self.handle_input(ledger, bytes.as_slice(), decoded);
                if let InputBytes::Block(block) = bytes {
                    self.engine.give_block_back(block);
                }
            }
            PtyCommand::Resize(size) if self.queue.is_empty() => resize(&self.controller, size),
            PtyCommand::Resize(size) => self.queue.push_size(size),
        }
    }

    fn handle_input(&mut self, ledger: LedgerId, bytes: &[u8], decoded: Instant) {
        let mut written = 0;
        if self.queue.is_empty() {
            written = write_all(&self.controller, bytes, &mut self.is_broken);
            report(&self.host, &self.engine, Written { ledger, count: written, decoded });
        }
        let rest = &bytes[written..];
        if !rest.is_empty() && !self.is_broken {
            self.queue.push_input(ledger, rest, decoded);
        }
    }

    fn write_queued(&mut self) {
        loop {
            let Self { host, engine, controller, queue, is_broken } = self;
            let (count, wanted) = match queue.poll() {
                None => return,
                Some(Due::Size(size)) => {
                    resize(controller, size);
                    continue;
                }
                Some(Due::Input(bytes)) => (write_all(controller, bytes, is_broken), bytes.len()),
            };
            queue.handle_written(count, |written| report(host, engine, written));
            if *is_broken {
                return queue.clear();
            }
            if count < wanted {
                return;
            }
        }
    }
}

/// Tells the session what was written: only now does it count as applied.
fn report(host: &SessionHost, engine: &Engine, written: Written) {
    let Written { ledger, count: written, decoded } = written;
    if written == 0 {
        return;
    }
    count(&engine.counters.input_bytes, written as u64);
    let now = Instant::now();
    engine.latency.record(Stage::DecodedToWritten, now.saturating_duration_since(decoded));
    let mut core = host.lock();
    core.session.handle_applied(ledger, written as u64, now);
    core.wake_due();
    host.rearm(&mut core);
}

fn resize(controller: &Controller, size: WindowSize) {
    if let Err(error) = controller.resize(size) {
        tracing::debug!(%error, "resize of a terminal that is gone");
    }
}

/// Writes until the terminal takes no more. A short write is finished, never begun again.
fn write_all(controller: &Controller, bytes: &[u8], is_broken: &mut bool) -> usize {
    let mut written = 0;
    while written < bytes.len() && !*is_broken {
        match controller.try_write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(_) => *is_broken = true,
        }
    }
    written
}
