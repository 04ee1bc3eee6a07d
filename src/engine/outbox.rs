//! The fixed send buffer of one connection: small replies, and the rest of a frame that was begun.

use std::io::{self, IoSlice};

use tautline_protocol::{
    EncodeError, EngineMessage, ErrorReply, Vocabulary, encode, limits::FRAME_MAX,
};

use super::failure::Failure;
use crate::{trace::Tap, transport::Stream};

/// Bytes that are on their way out, in order.
///
/// One frame large: whatever was begun can always be finished, and nothing else is queued for a
/// client that does not read.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Box<[u8; FRAME_MAX]>,
    sent: usize,
    filled: usize,
    /// Where frames of either direction are recorded.
    tap: Tap,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flushed {
    /// Nothing is left.
    Empty,
    /// The peer does not read as fast: wait until it is writable.
    Blocked,
}

impl Outbox {
    pub(super) fn new(tap: Tap) -> Self {
        Self { bytes: Box::new([0; FRAME_MAX]), sent: 0, filled: 0, tap }
    }

    /// Where frames of this connection are recorded.
    pub(super) const fn tap(&self) -> &Tap {
        &self.tap
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.sent == self.filled
    }

    /// Bytes that fit behind what is queued.
    pub(super) fn room(&mut self) -> usize {
        self.compact();
        FRAME_MAX - self.filled
    }

    /// Bytes that are queued.
    pub(super) fn queued(&self) -> &[u8] {
        &self.bytes[self.sent..self.filled]
    }

    /// Encodes a message behind what is queued.
    ///
    /// # Errors
    ///
    /// If it does not fit; the caller asked for [`room`](Self::room) before.
    pub(super) fn push(&mut self, id: u64, message: impl Vocabulary) -> Result<(), EncodeError> {
        self.compact();
        let size = encode(&mut self.bytes[self.filled..], id, message)?;
        self.fill(size);
        Ok(())
    }

    /// Writes frames directly into the buffer.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> usize {
        self.compact();
        let count = write(&mut self.bytes[self.filled..]);
        self.fill(count);
        count
    }

    /// Queues a frame that is known to fit.
    pub(super) fn push_frame(&mut self, frame: &[u8]) {
        self.tap.sent(frame);
        self.push_bytes(frame);
    }

    /// So many bytes behind what is queued are whole frames now.
    fn fill(&mut self, count: usize) {
        self.tap.sent(&self.bytes[self.filled..self.filled + count]);
        self.filled += count;
    }

    /// Queues the rest of a frame that was begun, which is known to fit.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.compact();
        self.bytes[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    /// Answers a request with an `Error`.
    pub(super) fn push_failure(&mut self, id: u64, failure: &Failure) -> Result<(), EncodeError> {
        let text = shorten(&failure.text, TEXT_ROOM);
        let error = ErrorReply {
            value: failure.value,
            errno: failure.errno,
            retry_after_ms: 0,
            attachment: failure.attachment,
            code: failure.code.to_wire(),
            limit: failure.limit.to_wire(),
            class: failure.code.class().to_wire(),
            text: text.as_str().into(),
        };
        self.push(id, EngineMessage::Error(error))
    }

    /// The first `count` queued bytes were written.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        debug_assert!(self.sent <= self.filled, "wrote more than was queued");
    }

    /// Writes as much as fits.
    pub(super) fn flush(&mut self, stream: &impl Stream) -> io::Result<Flushed> {
        while !self.is_empty() {
            match stream.try_write(&[IoSlice::new(self.queued())]) {
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Flushed::Blocked);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Flushed::Empty)
    }

    fn compact(&mut self) {
        self.bytes.copy_within(self.sent..self.filled, 0);
        self.filled -= self.sent;
        self.sent = 0;
    }
}

/// Text of an error that is sent: a sentence and a path. With the frame around it, less than
/// [`REPLY_ROOM`].
const TEXT_ROOM: usize = 400;

/// Room that any small reply fits into.
pub(super) const REPLY_ROOM: usize = 512;

/// One line without control characters, cut at a character.
pub(super) fn shorten(text: &str, max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max));
    for character in text.chars() {
        let character = if character.is_control() { '\u{fffd}' } else { character };
        if line.len() + character.len_utf8() > max {
            break;
        }
        line.push(character);
    }
    line
}
