//! The way out of a client: written at once if the socket takes it, else in order behind the rest.

use std::io::{self, IoSlice};

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
#[derive(Debug)]
pub(super) struct Outgoing {
    queue: Mutex<Queue>,
    /// Something was queued: the connection's task waits until the socket takes it.
    pub(super) queued: Notify,
    /// Where frames of either direction are recorded.
    pub(super) tap: Tap,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    sent: usize,
    is_broken: bool,
}

/// Most bytes of requests that may wait for an engine that does not read; more are refused.
const QUEUE_MAX: usize = 4 * BODY_MAX;

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unsent {
    /// The connection is gone.
    Broken,
    /// Larger than anything the wire carries, or the engine does not read.
    TooLarge,
}

impl Outgoing {
    pub(super) fn new(tap: Tap) -> Self {
        Self { queue: Mutex::default(), queued: Notify::new(), tap }
    }

    /// Sends one message, in as many frames as it needs.
    pub(super) fn send(
        &self,
        stream: &ClientStream,
        id: u64,
        message: impl Vocabulary,
    ) -> Result<(), Unsent> {
        let mut frame = [0; FRAME_MAX];
        match encode(&mut frame, id, message) {
            Ok(size) => self.send_bytes(stream, &frame[..size]),
            Err(EncodeError::NeedsParts { .. }) => {
                let mut parts = PartWriter::new(id, message).map_err(|_| Unsent::TooLarge)?;
                // All at once: another message's parts must not come in between.
                let mut frames = Vec::new();
                while let Some(size) = parts.next_frame(&mut frame).map_err(|_| Unsent::TooLarge)? {
                    frames.extend_from_slice(&frame[..size]);
                }
                self.send_bytes(stream, &frames)
            }
            Err(_) => Err(Unsent::TooLarge),
        }
    }

    /// Sends whole frames.
    pub(super) fn send_bytes(&self, stream: &ClientStream, bytes: &[u8]) -> Result<(), Unsent> {
        let mut queue = self.queue.lock();
        if queue.is_broken {
            return Err(Unsent::Broken);
        }
        if queue.len() > QUEUE_MAX {
            return Err(Unsent::TooLarge);
        }
        // Before they can be answered, and in the order of the wire: so here, under the lock.
        self.tap.sent(bytes);
        let mut written = 0;
        if queue.len() == 0 {
            written = match stream.try_write(&[IoSlice::new(bytes)]) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    queue.is_broken = true;
                    return Err(Unsent::Broken);
                }
            };
        }
        if written < bytes.len() {
            queue.bytes.extend_from_slice(&bytes[written..]);
            self.queued.notify_one();
        }
        Ok(())
    }

    /// Writes what was queued, as much as fits; returns whether anything is left.
    pub(super) fn flush(&self, stream: &ClientStream) -> io::Result<bool> {
        let mut queue = self.queue.lock();
        while queue.len() > 0 {
            match stream.try_write(&[IoSlice::new(&queue.bytes[queue.sent..])]) {
                Ok(written) => queue.sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => {
                    queue.is_broken = true;
                    return Err(error);
                }
            }
        }
        queue.bytes.clear();
        queue.sent = 0;
        Ok(false)
    }

    /// The connection is gone.
    pub(super) fn break_off(&self) {
        self.queue.lock().is_broken = true;
    }
}

impl Queue {
    const fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }
}
