//! Typing from any thread.

use std::sync::Arc;

use tautline_protocol::WindowSize;

use super::{background::Background, pump::Calls};
use crate::client::{self, SendError};

/// The typing half of an attachment. Clones type into the same session, call by call.
#[derive(Clone, Debug)]
pub struct Input {
    // Before the thread that drives it.
    input: client::Input,
    calls: Arc<Calls>,
    background: Arc<Background>,
}

impl Input {
    pub(super) const fn new(
        input: client::Input,
        calls: Arc<Calls>,
        background: Arc<Background>,
    ) -> Self {
        Self { input, calls, background }
    }

    /// Types what the window takes right now, and returns how much that was; 0 if it is full. Never
    /// waits. If it was not all, the waker is called when more can be taken, or never will be.
    ///
    /// # Errors
    ///
    /// If nothing will ever be taken again.
    pub fn try_send(&self, bytes: &[u8]) -> Result<usize, SendError> {
        let taken = self.input.try_send(bytes)?;
        if taken < bytes.len() {
            self.calls.room_wanted.notify_one();
        }
        Ok(taken)
    }

    /// Types `bytes`; returns when all were written to the PTY, which is not to say that the child
    /// read them.
    ///
    /// # Errors
    ///
    /// Each says how much was written. Once [`Events`](super::Events) is dropped it is `Lost`:
    /// nobody hears any more how far input came.
    ///
    /// # Panics
    ///
    /// Inside an async runtime.
    pub fn send(&self, bytes: &[u8]) -> Result<(), SendError> {
        self.background.wait(self.input.send(bytes))
    }

    /// Tells the window's size. Never waits.
    pub fn resize(&self, size: WindowSize) {
        self.input.resize(size);
    }

    /// Leaves the session; the events then end with `Detached`. Never waits.
    pub fn detach(&self) {
        self.input.detach();
    }
}
