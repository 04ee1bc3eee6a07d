//! A queue of bytes that can be looked at as one slice.

use std::{cell::RefCell, fmt};

use tautline::protocol::{Vocabulary, encode, limits::FRAME_MAX};

#[derive(Default)]
pub(crate) struct ByteQueue {
    bytes: Vec<u8>,
    start: usize,
}

impl fmt::Debug for ByteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl ByteQueue {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn push_frame(&mut self, id: u64, message: impl Vocabulary) {
        SCRATCH.with_borrow_mut(|scratch| {
            let size = encode(scratch, id, message).expect("whatever is said fits a frame");
            self.push(&scratch[..size]);
        });
    }

    pub(crate) fn pop(&mut self, count: usize) {
        self.start += count;
        assert!(self.start <= self.bytes.len(), "popped more than was queued");
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > 4096 && self.start * 2 > self.bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Keeps the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start + len);
    }

    pub(crate) fn clear(&mut self) {
        self.truncate(0);
    }
}

thread_local! {
    /// A frame in the making: to clear one for each message takes longer than to write it.
    static SCRATCH: RefCell<[u8; FRAME_MAX]> = const { RefCell::new([0; FRAME_MAX]) };
}
