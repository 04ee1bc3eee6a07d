//! Typing into a session: in order, within the window, and known to be written.

use std::{pin::pin, sync::Arc};

use parking_lot::Mutex;
use tautline_protocol::{
    ArchivedAttached, ArchivedEngineMessage, ControlMessage, Detach, Input as InputMessage,
    InputFlags, Resize, SessionState, WindowSize, limits::INPUT_MAX,
};
use tokio::sync::Notify;

use super::{
    connection_task::Handle,
    error::{EngineError, SendError},
    events::Inbox,
};

/// The typing half of an attachment. Clones type into the same session, frame by frame.
#[derive(Clone, Debug)]
pub struct Input {
    handle: Arc<Handle>,
    inbox: Arc<Inbox>,
    number: u32,
}

/// How far the input of one attachment came.
#[derive(Debug, Default)]
pub(super) struct InputState {
    marks: Mutex<Marks>,
    /// Something moved: bytes were written, or there is no use waiting any more.
    moved: Notify,
}

#[derive(Clone, Debug, Default)]
struct Marks {
    /// The offset of the next byte to send.
    next: u64,
    applied: u64,
    window: u64,
    turn: u16,
    refused: Option<EngineError>,
    is_ended: bool,
    is_lost: bool,
}

impl Input {
    pub(super) fn new(handle: Arc<Handle>, inbox: Arc<Inbox>, number: u32) -> Self {
        Self { handle, inbox, number }
    }

    /// Types `bytes`, in as many frames as it takes; resolves when all were written to the PTY.
    ///
    /// Written does not mean read by the child.
    ///
    /// # Errors
    ///
    /// Each says how much was written.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: if the future is dropped, any part of `bytes` from the front may have been
    /// sent, and is written. Nothing behind it is.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), SendError> {
        let input = &self.inbox.input;
        let mut call = Call { begin: None, sent: 0, total: bytes.len() };
        loop {
            let mut moved = pin!(input.moved.notified());
            moved.as_mut().enable();
            while let Some(frame) = self.send_some(&bytes[call.sent..], true) {
                call.begin.get_or_insert((frame.offset, frame.turn));
                call.sent += frame.count;
            }
            if let Some(outcome) = call.outcome(&input.marks.lock()) {
                return outcome;
            }
            moved.await;
        }
    }

    /// Types what the window takes right now, and returns how much that was; 0 if it is full. Never
    /// waits, for loops that draw.
    ///
    /// # Errors
    ///
    /// If nothing will ever be taken again.
    pub fn try_send(&self, bytes: &[u8]) -> Result<usize, SendError> {
        let mut call = Call { begin: None, sent: 0, total: bytes.len() };
        while let Some(frame) = self.send_some(&bytes[call.sent..], false) {
            call.sent += frame.count;
        }
        if call.sent == 0
            && let Some(Err(error)) = call.outcome(&self.inbox.input.marks.lock())
        {
            return Err(error);
        }
        Ok(call.sent)
    }

    /// Resolves when [`try_send`](Self::try_send) has something to say: that it takes bytes, or
    /// that it never will. Cancel safe.
    pub(crate) async fn room(&self) {
        let input = &self.inbox.input;
        loop {
            let mut moved = pin!(input.moved.notified());
            moved.as_mut().enable();
            if input.marks.lock().has_news() {
                return;
            }
            moved.await;
        }
    }

    /// Bytes that were sent and are not known to be written to the PTY.
    pub fn unwritten(&self) -> u64 {
        let marks = self.inbox.input.marks.lock();
        marks.next.saturating_sub(marks.applied)
    }

    /// Tells the window's size.
    pub fn resize(&self, size: WindowSize) {
        let name = b"".into();
        let resize = Resize { attachment: self.number, size_policy: 0, size, name };
        // If it cannot be sent, the connection is ending anyway.
        self.handle.line.tell(ControlMessage::Resize(resize)).ok();
    }

    /// Leaves the session; the events then end with `Detached`.
    pub fn detach(&self) {
        let detach = Detach { attachment: self.number };
        // If it cannot be sent, the connection is ending anyway.
        self.handle.line.tell(ControlMessage::Detach(detach)).ok();
    }

    /// Sends one frame's worth; `None` if nothing is left, the window is full, or nothing will ever
    /// be taken.
    fn send_some(&self, bytes: &[u8], is_last_acked: bool) -> Option<SentFrame> {
        let mut marks = self.inbox.input.marks.lock();
        let room = usize::try_from(marks.room()).unwrap_or(INPUT_MAX);
        let count = bytes.len().min(INPUT_MAX).min(room);
        if count == 0 || marks.is_final() {
            return None;
        }
        let is_last = count == bytes.len();
        let input = InputMessage {
            attachment: self.number,
            flags: if is_last && is_last_acked { InputFlags::ACK_NOW as u16 } else { 0 },
            turn: marks.turn,
            offset: marks.next,
            bytes: (&bytes[..count]).into(),
        };
        // Under the lock: the order of offsets is the order on the wire.
        if self.handle.line.tell(ControlMessage::Input(input)).is_err() {
            marks.is_lost = true;
            return None;
        }
        let frame = SentFrame { offset: marks.next, turn: marks.turn, count };
        marks.next += count as u64;
        Some(frame)
    }
}

/// One frame of input that went out.
struct SentFrame {
    offset: u64,
    turn: u16,
    count: usize,
}

/// How far one call came.
struct Call {
    /// Where its first byte went: offset and turn.
    begin: Option<(u64, u16)>,
    sent: usize,
    total: usize,
}

impl Call {
    /// What became of it; `None` while there is something to wait for.
    fn outcome(&self, marks: &Marks) -> Option<Result<(), SendError>> {
        let (begin, turn) = self.begin.unwrap_or((marks.next, marks.turn));
        // Once another child runs, the marks count its input and tell nothing about ours.
        let is_other_child = marks.turn != turn;
        let (sent, total) = (self.sent as u64, self.total as u64);
        let applied =
            if is_other_child { 0 } else { marks.applied.saturating_sub(begin).min(sent) };
        if applied == total {
            return Some(Ok(()));
        }
        if let Some(info) = &marks.refused {
            return Some(Err(SendError::Refused { info: info.clone(), applied }));
        }
        if marks.is_lost {
            let (unknown, undelivered) = (sent - applied, total - sent);
            return Some(Err(SendError::Lost { applied, unknown, undelivered }));
        }
        if marks.is_ended || is_other_child {
            return Some(Err(SendError::Ended { applied, undelivered: total - applied }));
        }
        None
    }
}

impl Marks {
    const fn room(&self) -> u64 {
        (self.applied + self.window).saturating_sub(self.next)
    }

    /// Whether this child will take nothing any more.
    const fn is_final(&self) -> bool {
        self.is_ended || self.is_lost || self.refused.is_some()
    }

    const fn has_news(&self) -> bool {
        self.room() > 0 || self.is_final()
    }
}

impl InputState {
    /// The engine granted a window, and told where to go on.
    fn handle_attached(&self, attached: &ArchivedAttached) {
        let mut marks = self.marks.lock();
        marks.next = attached.input_accepted.to_native();
        marks.applied = attached.input_applied.to_native();
        marks.window = attached.input_window.to_native().into();
        let state = SessionState::from_wire(attached.state);
        marks.is_ended = matches!(state, Some(SessionState::Exited | SessionState::Waiting));
    }

    pub(super) fn handle_applied(&self, applied: u64) {
        let mut marks = self.marks.lock();
        if applied > marks.applied {
            marks.applied = applied;
            drop(marks);
            self.moved.notify_waiters();
        }
    }

    /// The events were dropped: what is not known to be written by now never will be.
    pub(super) fn handle_left(&self) {
        let mut marks = self.marks.lock();
        marks.is_lost |= !marks.is_ended;
        drop(marks);
        self.moved.notify_waiters();
    }

    pub(super) fn handle_end(&self) {
        self.marks.lock().is_lost = true;
        self.moved.notify_waiters();
    }

    /// Takes what concerns input; returns whether that was all the message is about.
    pub(super) fn handle(&self, message: &ArchivedEngineMessage<'static>) -> bool {
        match message {
            ArchivedEngineMessage::InputApplied(applied) => {
                self.handle_applied(applied.get().applied.to_native());
                return true;
            }
            ArchivedEngineMessage::Error(error) => {
                let mut marks = self.marks.lock();
                if marks.window == 0 {
                    // Not attached yet: it answers the request to attach.
                    return false;
                }
                marks.refused = Some(EngineError::from(error.get()));
            }
            ArchivedEngineMessage::Attached(attached) => {
                self.handle_attached(attached.get());
                return false;
            }
            ArchivedEngineMessage::Exited(_) | ArchivedEngineMessage::Detached(_) => {
                self.marks.lock().is_ended = true;
            }
            ArchivedEngineMessage::Started(_) => {
                let mut marks = self.marks.lock();
                let turn = marks.turn.wrapping_add(1);
                *marks = Marks { window: marks.window, turn, ..Marks::default() };
            }
            _ => return false,
        }
        self.moved.notify_waiters();
        matches!(message, ArchivedEngineMessage::Error(_))
    }
}
