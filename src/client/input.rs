//! Typing into a session: in order, within the window, and known to be written.

use std::{pin::pin, sync::Arc};

use parking_lot::Mutex;
use tautline_protocol::{
    ControlMessage, Detach, ErrorCode, Input as InputMessage, InputFlags, Resize, WindowSize,
};
use tokio::sync::Notify;

use super::{
    error::{EngineError, SendError},
    inbox::Inbox,
    line::{Handle, Line},
    reconnect::GiveUpReason,
};
use crate::state::{CallId, CallOutcome, InputSender, Leftover, SenderEnd, SenderMarks};

/// The typing half of an attachment. Clones type into the same session, call by call.
#[derive(Clone, Debug)]
pub struct Input {
    handle: Arc<Handle>,
    inbox: Arc<Inbox>,
}

/// How far the input of one attachment came.
#[derive(Debug, Default)]
pub(super) struct InputState {
    typing: Mutex<Typing>,
    /// Something moved: bytes were written, or there is no use waiting any more.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Typing {
    sender: InputSender,
    /// What the engine said when it refused input last.
    refused: Option<EngineError>,
    /// A line was too long for the terminal, and nobody was told yet.
    is_line_untold: bool,
    /// Why the attachment is not made again.
    given_up: Option<GiveUpReason>,
}

impl Input {
    pub(super) const fn new(handle: Arc<Handle>, inbox: Arc<Inbox>) -> Self {
        Self { handle, inbox }
    }

    /// Types `bytes`, in as many frames as it takes; resolves when all were written to the PTY.
    ///
    /// Written does not mean read by the child. Bytes of several calls are not mixed: one that
    /// finds another under way waits. A connection that is lost meanwhile and made again goes
    /// unnoticed here.
    ///
    /// # Errors
    ///
    /// Each says how much was written. After `Refused` with the code `LineTooLong` typing goes on:
    /// what is sent next stands behind what was written.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: if the future is dropped, any part of `bytes` from the front may have been
    /// sent, and is written. Nothing behind it is.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), SendError> {
        let input = &self.inbox.input;
        let (call, mut taken) = {
            let mut typing = input.typing.lock();
            let call = Call { input, id: typing.sender.begin_call(bytes.len()) };
            // In one go: a call that the window takes whole keeps nobody waiting.
            let taken = typing.push(call.id, bytes, &self.handle.line, self.inbox.number);
            (call, taken)
        };
        loop {
            let mut moved = pin!(input.moved.notified());
            moved.as_mut().enable();
            let outcome = {
                let mut typing = input.typing.lock();
                let rest = &bytes[taken..];
                taken += typing.push(call.id, rest, &self.handle.line, self.inbox.number);
                typing.outcome(call.id)
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
            moved.await;
        }
    }

    /// Types what the window takes right now, and returns how much that was; 0 if it is full, or a
    /// [`send`](Self::send) is under way. Never waits, for loops that draw.
    ///
    /// What becomes of these bytes is told by events only.
    ///
    /// # Errors
    ///
    /// If nothing will be taken: for good, or until another child was started. Once, `Refused`
    /// with the code `LineTooLong`, if the terminal had no room for a line that was typed before:
    /// nothing behind that was written, and the next call types again.
    pub fn try_send(&self, bytes: &[u8]) -> Result<usize, SendError> {
        let mut typing = self.inbox.input.typing.lock();
        if let Some(info) = typing.take_line_too_long() {
            return Err(SendError::Refused { info, applied: 0 });
        }
        let taken = typing.sender.push(bytes);
        typing.send(&self.handle.line, self.inbox.number);
        match typing.sender.stopped().filter(|_| taken == 0) {
            Some(end) => Err(typing.error(end, 0, 0, bytes.len() as u64)),
            None => Ok(taken),
        }
    }

    /// Resolves when [`try_send`](Self::try_send) has something to say: that it takes bytes, or
    /// that it never will. Cancel safe.
    pub(crate) async fn room(&self) {
        let input = &self.inbox.input;
        loop {
            let mut moved = pin!(input.moved.notified());
            moved.as_mut().enable();
            {
                let typing = input.typing.lock();
                let is_stopped = typing.sender.stopped().is_some() || typing.is_line_untold;
                if is_stopped || typing.sender.has_room() {
                    return;
                }
            }
            moved.await;
        }
    }

    /// Resolves when a line was too long for the terminal, and nobody was told yet. Cancel safe.
    #[cfg(feature = "cli")]
    pub(crate) async fn line_too_long(&self) -> EngineError {
        let input = &self.inbox.input;
        loop {
            let mut moved = pin!(input.moved.notified());
            moved.as_mut().enable();
            if let Some(info) = input.typing.lock().take_line_too_long() {
                return info;
            }
            moved.await;
        }
    }

    /// Bytes that were sent and are not known to be written to the PTY.
    pub fn unwritten(&self) -> u64 {
        self.inbox.input.typing.lock().sender.unwritten()
    }

    /// Tells the window's size. While there is no connection, it is told when there is one again.
    pub fn resize(&self, size: WindowSize) {
        self.inbox.set_size(size);
        let name = b"".into();
        let resize = Resize { attachment: self.inbox.number, size_policy: 0, size, name };
        if self.inbox.is_attached() {
            // If it cannot be sent, it is told with the next attachment.
            self.handle.line.tell(ControlMessage::Resize(resize)).ok();
        }
    }

    /// Leaves the session; the events then end with `Detached`.
    pub fn detach(&self) {
        let detach = Detach { attachment: self.inbox.number };
        self.inbox.handle_leaving();
        let is_attached = self.inbox.is_attached();
        if !is_attached || self.handle.line.tell(ControlMessage::Detach(detach)).is_err() {
            self.inbox.handle_detached_away();
        }
    }
}

/// A call that is under way; forgotten when its future is dropped.
struct Call<'a> {
    input: &'a InputState,
    id: CallId,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.input.typing.lock().sender.forget_call(self.id);
        // Others may have waited for their turn.
        self.input.moved.notify_waiters();
    }
}

impl Typing {
    /// Takes what there is room for of a call's bytes, and sends it; tells how many those are.
    fn push(&mut self, call: CallId, bytes: &[u8], line: &Line, attachment: u32) -> usize {
        let taken = self.sender.push_call(call, bytes);
        self.send(line, attachment);
        taken
    }

    /// Sends what there is to send.
    fn send(&mut self, line: &Line, attachment: u32) {
        while let Some(frame) = self.sender.next_frame() {
            let input = InputMessage {
                attachment,
                flags: if frame.is_ack_wanted { InputFlags::ACK_NOW as u16 } else { 0 },
                turn: frame.turn,
                offset: frame.offset,
                bytes: self.sender.bytes(&frame).into(),
            };
            // Under the lock: the order of offsets is the order on the wire.
            if line.tell_input(ControlMessage::Input(input)).is_err() {
                // The connection is ending; what is kept is sent on the next.
                return self.sender.handle_lost();
            }
        }
    }

    fn outcome(&mut self, call: CallId) -> Option<Result<(), SendError>> {
        Some(match self.sender.take_outcome(call)? {
            CallOutcome::Written => Ok(()),
            CallOutcome::Stopped { end, applied, unknown, undelivered } => {
                self.is_line_untold &= end != SenderEnd::Refused;
                Err(self.error(end, applied, unknown, undelivered))
            }
        })
    }

    fn take_line_too_long(&mut self) -> Option<EngineError> {
        let is_untold = std::mem::take(&mut self.is_line_untold);
        self.refused.clone().filter(|_| is_untold)
    }

    fn error(&self, end: SenderEnd, applied: u64, unknown: u64, undelivered: u64) -> SendError {
        match (end, &self.refused) {
            (SenderEnd::Refused, Some(info)) => SendError::Refused { info: info.clone(), applied },
            (SenderEnd::ChildEnded, _) if unknown == 0 => SendError::Ended { applied, undelivered },
            _ => SendError::Lost { reason: self.given_up, applied, unknown, undelivered },
        }
    }
}

impl InputState {
    /// The engine attached us; tells how much is sent again, and what never will be.
    pub(super) fn handle_attached(&self, marks: &SenderMarks) -> (u64, Option<Leftover>) {
        self.change(|typing| typing.sender.handle_attached(marks))
    }

    /// Sends what may be sent now.
    pub(super) fn send(&self, line: &Line, attachment: u32) {
        self.typing.lock().send(line, attachment);
    }

    /// Returns whether that is news.
    pub(super) fn handle_applied(&self, applied: u64) -> bool {
        let is_news = self.typing.lock().sender.handle_applied(applied);
        if is_news {
            self.moved.notify_waiters();
        }
        is_news
    }

    pub(super) fn handle_lost(&self) {
        self.typing.lock().sender.handle_lost();
    }

    pub(super) fn handle_exited(&self) -> Option<Leftover> {
        self.change(|typing| typing.sender.handle_exited())
    }

    pub(super) fn handle_started(&self) -> Option<Leftover> {
        self.change(|typing| typing.sender.handle_started())
    }

    pub(super) fn handle_marks_lost(&self, end: SenderEnd) -> Option<Leftover> {
        self.change(|typing| typing.sender.handle_marks_lost(end))
    }

    pub(super) fn handle_over(&self, end: SenderEnd) -> Option<Leftover> {
        self.change(|typing| typing.sender.handle_over(end))
    }

    /// The attachment is lost for good.
    pub(super) fn handle_given_up(&self, reason: Option<GiveUpReason>) -> Option<Leftover> {
        self.change(|typing| {
            typing.given_up = reason;
            typing.sender.handle_over(SenderEnd::Lost)
        })
    }

    /// The engine refused input: some of it, or all there will ever be.
    pub(super) fn handle_refused(&self, info: EngineError) -> Option<Leftover> {
        self.change(|typing| {
            let (code, accepted) = (info.code, info.value);
            typing.refused = Some(info);
            match code {
                ErrorCode::LineTooLong => {
                    typing.is_line_untold = true;
                    typing.sender.handle_refused(accepted)
                }
                // The end of the child is told too, and how far input came by then.
                ErrorCode::SessionExited => None,
                _ => typing.sender.handle_over(SenderEnd::Refused),
            }
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Typing) -> T) -> T {
        let changed = change(&mut self.typing.lock());
        self.moved.notify_waiters();
        changed
    }
}
