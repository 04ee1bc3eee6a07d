//! The only task that writes to a PTY's controller side, and the only one that resizes it.
//!
//! Input is written at once. Only when the terminal takes no more is it queued, in order, and while
//! anything is queued nothing overtakes it. The queue is bounded by the input windows that were
//! granted: the task always takes commands, so no connection ever waits for a child.
//!
//! Input that a terminal's line has no room for is refused here, where the modes can be looked at
//! right before the write: whoever typed it goes on where writing ended, and what more of it waits
//! or is on its way is dropped.

use std::{sync::Arc, time::Instant};

use smallvec::SmallVec;
use tautline_protocol::WindowSize;
use tokio::sync::mpsc;

use super::{
    Engine,
    line_writer::{LineWriter, WriteEnd},
    session_host::SessionHost,
    statistics::count,
};
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
    terminal: LineWriter,
    queue: WriteQueue,
    /// Input was refused: what comes may be of before that, and is dropped then.
    has_refused: bool,
}

impl PtyWriter {
    pub(super) fn new(host: Arc<SessionHost>, engine: Arc<Engine>, controller: Controller) -> Self {
        let hands_over = host.lock().recipe.is_raw;
        let terminal = LineWriter::new(controller, hands_over);
        Self { host, engine, terminal, queue: WriteQueue::default(), has_refused: false }
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
                    writable = self.terminal.controller().writable() => {
                        if writable.is_err() {
                            self.terminal.handle_gone();
                        }
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
            PtyCommand::Resize(size) if self.queue.is_empty() => {
                resize(self.terminal.controller(), size);
            }
            PtyCommand::Resize(size) => self.queue.push_size(size),
        }
    }

    fn handle_input(&mut self, ledger: LedgerId, bytes: &[u8], decoded: Instant) {
        if self.has_refused && !self.host.lock().session.is_ledger_known(ledger) {
            return;
        }
        let (mut written, mut end) = (0, WriteEnd::Blocked);
        if self.queue.is_empty() {
            (written, end) = self.terminal.write(bytes);
            report(&self.host, &self.engine, Written { ledger, count: written, decoded });
        }
        match end {
            WriteEnd::Done => {}
            WriteEnd::Blocked => self.queue.push_input(ledger, &bytes[written..], decoded),
            WriteEnd::LineFull => self.refuse(ledger),
            // What comes is dropped, and never reported as written.
            WriteEnd::Broken => {}
        }
    }

    fn write_queued(&mut self) {
        loop {
            let Self { host, engine, terminal, queue, .. } = self;
            let (count, end) = match queue.poll() {
                None => return,
                Some(Due::Size(size)) => {
                    resize(terminal.controller(), size);
                    continue;
                }
                Some(Due::Input(bytes)) => terminal.write(bytes),
            };
            queue.handle_written(count, |written| report(host, engine, written));
            match end {
                WriteEnd::Done => {}
                WriteEnd::Blocked => return,
                WriteEnd::LineFull => {
                    let ledger = queue.next_ledger().expect("the byte that does not fit is queued");
                    self.refuse(ledger);
                }
                WriteEnd::Broken => return queue.clear(),
            }
        }
    }

    /// The next byte of this ledger does not fit the terminal's line.
    fn refuse(&mut self, ledger: LedgerId) {
        self.has_refused = true;
        self.queue.drop_input(ledger);
        let mut core = self.host.lock();
        core.session.handle_line_full(ledger);
        core.wake_due();
        self.host.rearm(&mut core);
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
