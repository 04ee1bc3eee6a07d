//! The only task that writes to a PTY's controller side, and the only one that resizes it.
//!
//! Input is written at once. Only when the terminal takes no more is it queued, in order, and while
//! anything is queued nothing overtakes it. The queue is bounded by the input windows that were
//! granted: the task always takes commands, so no connection ever waits for a child.

use std::{collections::VecDeque, io, sync::Arc, time::Instant};

use smallvec::SmallVec;
use tautline_protocol::WindowSize;
use tokio::sync::mpsc;

use super::{Engine, session_host::SessionHost, statistics::count};
use crate::{latency::Stage, limits::INPUT_INLINE, pty::Controller, state::LedgerId};

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
    queued: VecDeque<u8>,
    /// What the queued bytes are, in order.
    segments: VecDeque<Segment>,
    /// The terminal is gone: what comes is dropped, and never reported as written.
    is_broken: bool,
}

#[derive(Clone, Copy, Debug)]
enum Segment {
    Input { ledger: LedgerId, len: usize, decoded: Instant },
    Resize(WindowSize),
}

impl PtyWriter {
    pub(super) fn new(host: Arc<SessionHost>, engine: Arc<Engine>, controller: Controller) -> Self {
        Self {
            host,
            engine,
            controller,
            queued: VecDeque::new(),
            segments: VecDeque::new(),
            is_broken: false,
        }
    }

    /// Runs until the session has no use for the child's terminal any more.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<PtyCommand>) {
        loop {
            let command = if self.segments.is_empty() {
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
            PtyCommand::Resize(size) if self.segments.is_empty() => self.resize(size),
            PtyCommand::Resize(size) => self.queue_resize(size),
        }
    }

    fn handle_input(&mut self, ledger: LedgerId, bytes: &[u8], decoded: Instant) {
        let mut written = 0;
        if self.segments.is_empty() {
            written = self.write(bytes);
            self.report(ledger, written, decoded);
        }
        let rest = &bytes[written..];
        if rest.is_empty() || self.is_broken {
            return;
        }
        self.queued.extend(rest);
        match self.segments.back_mut() {
            Some(Segment::Input { ledger: last, len, .. }) if *last == ledger => *len += rest.len(),
            _ => self.segments.push_back(Segment::Input { ledger, len: rest.len(), decoded }),
        }
    }

    /// Resizes coalesce: of several in a row the last wins.
    fn queue_resize(&mut self, size: WindowSize) {
        match self.segments.back_mut() {
            Some(Segment::Resize(last)) => *last = size,
            _ => self.segments.push_back(Segment::Resize(size)),
        }
    }

    fn write_queued(&mut self) {
        while let Some(segment) = self.segments.front().copied() {
            match segment {
                Segment::Resize(size) => {
                    self.resize(size);
                    self.segments.pop_front();
                }
                Segment::Input { ledger, len, decoded } => {
                    let written = self.write_front(len);
                    self.report(ledger, written, decoded);
                    if self.is_broken {
                        self.queued.clear();
                        self.segments.clear();
                        return;
                    }
                    if written < len {
                        let rest = Segment::Input { ledger, len: len - written, decoded };
                        self.segments[0] = rest;
                        return;
                    }
                    self.segments.pop_front();
                }
            }
        }
    }

    /// Writes up to `len` of the queued bytes.
    fn write_front(&mut self, len: usize) -> usize {
        let mut written = 0;
        while written < len {
            let (front, _) = self.queued.as_slices();
            let piece = &front[..front.len().min(len - written)];
            let count = write_all(&self.controller, piece, &mut self.is_broken);
            self.queued.drain(..count);
            written += count;
            if count == 0 {
                break;
            }
        }
        written
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        write_all(&self.controller, bytes, &mut self.is_broken)
    }

    fn resize(&self, size: WindowSize) {
        if let Err(error) = self.controller.resize(size) {
            tracing::debug!(%error, "resize of a terminal that is gone");
        }
    }

    /// Tells the session what was written: only now does it count as applied.
    fn report(&self, ledger: LedgerId, written: usize, decoded: Instant) {
        if written == 0 {
            return;
        }
        count(&self.engine.counters.input_bytes, written as u64);
        let now = Instant::now();
        self.engine.latency.record(Stage::DecodedToWritten, now.saturating_duration_since(decoded));
        let mut core = self.host.lock();
        core.session.handle_applied(ledger, written as u64, now);
        core.wake_due();
        self.host.rearm(&mut core);
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
