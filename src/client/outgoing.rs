//! The way out of a client: written at once if the socket takes it, else in order behind the rest.
//!
//! It outlives connections. While there is none, nothing is taken: what is to be sent again is kept
//! by whoever wants that.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use parking_lot::Mutex;
use tautline_protocol::{
    EncodeError, PartWriter, Vocabulary, encode,
    limits::{BODY_MAX, FRAME_MAX},
};
use tokio::sync::Notify;

use super::stream::ClientStream;
use crate::{trace::Tap, transport::Stream};

/// Bytes that the socket did not take yet. Bounded: input by its windows, requests by
/// [`QUEUE_MAX`].
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    queue: Mutex<Queue>,
    /// Something was queued: the connection's task waits until the socket takes it.
    pub(super) queued: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    wire: Option<Wire>,
    bytes: Vec<u8>,
    sent: usize,
}

/// The connection there is.
#[derive(Debug)]
struct Wire {
    stream: Arc<ClientStream>,
    /// Where its frames are recorded.
    tap: Tap,
}

/// Most bytes of requests that may wait for an engine that does not read; more are refused.
const QUEUE_MAX: usize = 4 * BODY_MAX;

/// Frames up to this are put together in a buffer of this size: to clear 8 KiB for each keystroke
/// took a third of all instructions that an echo takes, on both sides together.
const SMALL: usize = 256;

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unsent {
    /// There is no connection.
    Broken,
    /// Larger than anything the wire carries, or the engine does not read.
    TooLarge,
}

impl Outgoing {
    /// There is a connection, and the hello is the first that it carries.
    pub(super) fn connect(
        &self,
        stream: Arc<ClientStream>,
        tap: Tap,
        hello: &[u8],
    ) -> Result<(), Unsent> {
        let mut queue = self.queue.lock();
        queue.clear();
        queue.wire = Some(Wire { stream, tap });
        queue.send(hello, &self.queued)
    }

    /// The connection is gone, and what was queued for it.
    pub(super) fn break_off(&self) {
        let mut queue = self.queue.lock();
        queue.clear();
        queue.wire = None;
    }

    /// Sends one message, in as many frames as it needs.
    pub(super) fn send(&self, id: u64, message: impl Vocabulary) -> Result<(), Unsent> {
        let mut small = [0; SMALL];
        if let Ok(size) = encode(&mut small, id, message) {
            return self.send_bytes(&small[..size], QUEUE_MAX);
        }
        let mut frame = [0; FRAME_MAX];
        match encode(&mut frame, id, message) {
            Ok(size) => self.send_bytes(&frame[..size], QUEUE_MAX),
            Err(EncodeError::NeedsParts { .. }) => {
                let mut parts = PartWriter::new(id, message).map_err(|_| Unsent::TooLarge)?;
                // All at once: another message's parts must not come in between.
                let mut frames = Vec::new();
                while let Some(size) = parts.next_frame(&mut frame).map_err(|_| Unsent::TooLarge)? {
                    frames.extend_from_slice(&frame[..size]);
                }
                self.send_bytes(&frames, QUEUE_MAX)
            }
            Err(_) => Err(Unsent::TooLarge),
        }
    }

    /// Sends one frame of input, which a window bounds already.
    pub(super) fn send_input(&self, message: impl Vocabulary) -> Result<(), Unsent> {
        let mut small = [0; SMALL];
        if let Ok(size) = encode(&mut small, 0, message) {
            return self.send_bytes(&small[..size], usize::MAX);
        }
        let mut frame = [0; FRAME_MAX];
        let size = encode(&mut frame, 0, message).map_err(|_| Unsent::TooLarge)?;
        self.send_bytes(&frame[..size], usize::MAX)
    }

    /// Sends whole frames, unless more than `most` bytes are queued.
    fn send_bytes(&self, bytes: &[u8], most: usize) -> Result<(), Unsent> {
        let mut queue = self.queue.lock();
        if queue.len() > most {
            return Err(Unsent::TooLarge);
        }
        queue.send(bytes, &self.queued)
    }

    /// Writes what was queued, as much as fits.
    pub(super) fn flush(&self) -> Flushed {
        let mut queue = self.queue.lock();
        let Queue { wire: Some(wire), bytes, sent } = &mut *queue else { return Flushed::Broken };
        while *sent < bytes.len() {
            match wire.stream.try_write(&[IoSlice::new(&bytes[*sent..])]) {
                Ok(written) => *sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::Blocked,
                Err(_) => {
                    queue.wire = None;
                    return Flushed::Broken;
                }
            }
        }
        queue.clear();
        Flushed::Empty
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flushed {
    /// Nothing is left.
    Empty,
    /// The engine does not read as fast.
    Blocked,
    /// Nothing can be written any more.
    Broken,
}

impl Queue {
    fn send(&mut self, bytes: &[u8], queued: &Notify) -> Result<(), Unsent> {
        let is_first = self.len() == 0;
        let Some(wire) = &self.wire else { return Err(Unsent::Broken) };
        // Before they can be answered, and in the order of the wire: so here, under the lock.
        wire.tap.sent(bytes);
        let mut written = 0;
        if is_first {
            written = match wire.stream.try_write(&[IoSlice::new(bytes)]) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    // Whoever reads this connection takes in what came before its end.
                    self.wire = None;
                    queued.notify_one();
                    return Err(Unsent::Broken);
                }
            };
        }
        if written < bytes.len() {
            self.bytes.extend_from_slice(&bytes[written..]);
            queued.notify_one();
        }
        Ok(())
    }

    const fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }
}
