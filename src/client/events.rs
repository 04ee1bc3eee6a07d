//! What happens in a session one is attached to.
//!
//! The connection's task appends to an inbox; [`Events::next`] swaps it for its own empty one when
//! that is used up, and lends from there. Both buffers are kept, so after warm-up nothing is
//! allocated, and credits bound what can be in them.

use std::sync::Arc;

use parking_lot::Mutex;
use tautline_protocol::{
    AdjustCause, ArchivedEngineMessage, ArchivedOutput, Consumed, ControlMessage, Delivery,
    DetachReason, ExitKind, OutputFlags, SizePolicy, WindowSize,
};
use tokio::sync::Notify;

use super::{
    attach::Granted,
    connection_task::Handle,
    error::{LineEnd, RecvError},
    input::InputState,
};
use crate::state::Exit;

/// Something that happened in a session. Lent: it borrows the buffer until the next call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The child printed.
    Output {
        /// Position of the first byte in the session's output.
        offset: u64,
        /// The bytes.
        bytes: &'a [u8],
        /// Printed before this attachment was made: queries in it must not be answered again.
        is_replay: bool,
    },
    /// Output is missing: it left the log before it could be sent.
    Gap {
        /// The first byte missing.
        from: u64,
        /// The first byte after those missing.
        to: u64,
    },
    /// The child ended; all it printed came before.
    Exited {
        /// How.
        exit: Exit,
        /// The output offset after its last byte.
        offset: u64,
    },
    /// A new child runs.
    Started {
        /// Its epoch.
        epoch: u64,
        /// Its process id, for display.
        pid: u32,
        /// Its first output offset.
        offset: u64,
    },
    /// The session's window has another size.
    Resized {
        /// The size.
        size: WindowSize,
        /// Whose size counts.
        policy: SizePolicy,
    },
    /// The attachment's terms changed.
    Adjusted {
        /// Why.
        cause: AdjustCause,
        /// How output comes now.
        delivery: Delivery,
        /// [`AttachFlags`](tautline_protocol::AttachFlags) held.
        flags: u32,
    },
    /// The attachment ended; no event follows.
    Detached {
        /// Why.
        reason: DetachReason,
    },
}

/// The events of one attachment, in order.
///
/// An event counts as consumed when [`next`](Self::next) is called again or this is dropped; that
/// is what gives the engine credit to send more.
#[derive(Debug)]
pub struct Events {
    handle: Arc<Handle>,
    inbox: Arc<Inbox>,
    number: u32,
    attached: Granted,
    batch: Batch,
    at: usize,
    consumed: u64,
    consumed_told: u64,
    /// `Detached` was delivered: nothing follows.
    is_over: bool,
}

/// What came and was not asked for yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    came: Notify,
    pub(super) input: InputState,
}

#[derive(Debug, Default)]
struct InboxState {
    batch: Batch,
    end: Option<LineEnd>,
}

/// Items, and the bytes they point into.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<Item>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Output { offset: u64, start: usize, len: usize, is_replay: bool },
    Other(Event<'static>),
}

impl Events {
    pub(super) fn new(
        handle: Arc<Handle>,
        inbox: Arc<Inbox>,
        number: u32,
        attached: Granted,
    ) -> Self {
        let consumed = attached.output_offset;
        Self {
            handle,
            inbox,
            number,
            attached,
            batch: Batch::default(),
            at: 0,
            consumed,
            consumed_told: consumed,
            is_over: false,
        }
    }

    /// What the engine granted.
    pub const fn attached(&self) -> &Granted {
        &self.attached
    }

    /// The output offset up to which events were consumed: where to resume.
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The next event; `None` after [`Event::Detached`].
    ///
    /// # Errors
    ///
    /// If the connection ended. What came before is delivered first.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait has taken nothing.
    pub async fn next(&mut self) -> Result<Option<Event<'_>>, RecvError> {
        self.consume();
        if self.is_over {
            return Ok(None);
        }
        while self.at == self.batch.items.len() {
            if !self.refill()? {
                let inbox = Arc::clone(&self.inbox);
                inbox.came.notified().await;
            }
        }
        let item = self.batch.items[self.at];
        self.at += 1;
        self.is_over |= matches!(item, Item::Other(Event::Detached { .. }));
        Ok(Some(match item {
            Item::Other(event) => event,
            Item::Output { offset, start, len, is_replay } => {
                let bytes = &self.batch.bytes[start..start + len];
                Event::Output { offset, bytes, is_replay }
            }
        }))
    }

    /// Takes what came; returns whether there was anything.
    fn refill(&mut self) -> Result<bool, RecvError> {
        self.batch.items.clear();
        self.batch.bytes.clear();
        self.at = 0;
        let mut state = self.inbox.state.lock();
        std::mem::swap(&mut self.batch, &mut state.batch);
        let end = state.end;
        drop(state);
        match end {
            Some(end) if self.batch.items.is_empty() => Err(end.into()),
            _ => Ok(!self.batch.items.is_empty()),
        }
    }

    /// What was lent last is used up: a quarter of the window of such is told to the engine.
    fn consume(&mut self) {
        let Some(last) = self.at.checked_sub(1).and_then(|at| self.batch.items.get(at)) else {
            return;
        };
        match *last {
            Item::Output { offset, len, .. } => self.consumed = offset + len as u64,
            Item::Other(Event::Gap { to, .. }) => self.consumed = to,
            Item::Other(_) => return,
        }
        let owed = self.consumed - self.consumed_told;
        if owed >= u64::from(self.attached.window / 4).max(1) {
            self.tell_consumed();
        }
    }

    fn tell_consumed(&mut self) {
        self.consumed_told = self.consumed;
        let (attachment, offset) = (self.number, self.consumed);
        let message = ControlMessage::Consumed(Consumed { attachment, offset });
        // If it cannot be sent, the connection is ending anyway.
        self.handle.line.tell(message).ok();
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if !self.is_over {
            let detach = tautline_protocol::Detach { attachment: self.number };
            // If it cannot be sent, the connection is ending anyway.
            self.handle.line.tell(ControlMessage::Detach(detach)).ok();
        }
        self.handle.line.forget_attachment(self.number);
    }
}

impl Inbox {
    /// Takes a message of the attachment; returns whether it was one for the inbox.
    pub(super) fn handle(&self, message: &ArchivedEngineMessage<'static>) -> bool {
        if let ArchivedEngineMessage::Output(output) = message {
            self.handle_output(output.get());
            return true;
        }
        if self.input.handle(message) {
            return true;
        }
        let Some(event) = event_of(message) else { return false };
        self.state.lock().batch.items.push(Item::Other(event));
        self.came.notify_one();
        true
    }

    pub(super) fn handle_end(&self, end: LineEnd) {
        self.input.handle_end();
        self.state.lock().end = Some(end);
        self.came.notify_one();
    }

    fn handle_output(&self, output: &ArchivedOutput<'static>) {
        self.input.handle_applied(output.input_applied.to_native());
        let mut state = self.state.lock();
        let batch = &mut state.batch;
        let (start, len) = (batch.bytes.len(), output.bytes.len());
        batch.bytes.extend_from_slice(&output.bytes);
        batch.items.push(Item::Output {
            offset: output.offset.to_native(),
            start,
            len,
            is_replay: output.flags.to_native() & OutputFlags::REPLAY != 0,
        });
        drop(state);
        self.came.notify_one();
    }
}

/// The event a message stands for; the message was checked when it came in.
fn event_of(message: &ArchivedEngineMessage<'static>) -> Option<Event<'static>> {
    Some(match message {
        ArchivedEngineMessage::Gap(gap) => {
            let gap = gap.get();
            Event::Gap { from: gap.from.to_native(), to: gap.to.to_native() }
        }
        ArchivedEngineMessage::Exited(exited) => {
            let exited = exited.get();
            let kind = ExitKind::from_wire(exited.kind).unwrap_or(ExitKind::Lost);
            let exit = Exit { kind, value: exited.value.to_native() };
            Event::Exited { exit, offset: exited.offset.to_native() }
        }
        ArchivedEngineMessage::Started(started) => {
            let started = started.get();
            Event::Started {
                epoch: started.epoch.to_native(),
                pid: started.pid.to_native(),
                offset: started.offset.to_native(),
            }
        }
        ArchivedEngineMessage::Resized(resized) => {
            let resized = resized.get();
            let policy = SizePolicy::from_wire(resized.size_policy)?;
            Event::Resized { size: WindowSize::from(&resized.size), policy }
        }
        ArchivedEngineMessage::Adjusted(adjusted) => {
            let adjusted = adjusted.get();
            Event::Adjusted {
                cause: AdjustCause::from_wire(adjusted.cause)?,
                delivery: Delivery::from_wire(adjusted.delivery)?,
                flags: adjusted.flags.to_native(),
            }
        }
        ArchivedEngineMessage::Detached(detached) => {
            Event::Detached { reason: DetachReason::from_wire(detached.get().reason)? }
        }
        _ => return None,
    })
}
