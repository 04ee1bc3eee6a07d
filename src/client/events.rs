//! What happens in a session one is attached to.
//!
//! The connection's task appends to an inbox; [`EventReader`] swaps it for its own empty one when
//! that is used up, and lends from there. Both buffers are kept, so after warm-up nothing is
//! allocated, and credits bound the output in them. What was read and what is used up are told
//! apart: [`Credit`] is the one place that decides when the engine hears of the latter.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tautline_protocol::{
    AdjustCause, CloseReason, Consumed, ControlMessage, Delivery, DetachReason, SizePolicy,
    WindowSize,
};

use super::{
    attach::Granted, batch::Batch, error::RecvError, inbox::Inbox, line::Handle,
    reconnect::GiveUpReason,
};
use crate::state::{Exit, SenderEnd};

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
    /// The connection was lost and is being made again. What is typed is kept meanwhile, as far as
    /// the input window goes.
    Disconnected {
        /// What the engine said about it, if anything.
        reason: Option<CloseReason>,
    },
    /// The next attempt is waited for.
    Reconnecting {
        /// Which attempt since the last progress, from 1.
        attempt: u32,
        /// How long from now.
        next_in: Duration,
    },
    /// The connection is back, and everything goes on where it was.
    Resumed {
        /// Bytes of output that left the log meanwhile; a [`Gap`](Self::Gap) tells which.
        gap: u64,
        /// Bytes of input that were sent again because the engine did not have them.
        replayed_input: u64,
        /// Another child runs than before; how the one before ended is not known here.
        is_new_child: bool,
    },
    /// Bytes that were typed are given up: they are not, and will not be, sent again. This is told
    /// whether or not somebody waits in [`Input::send`](super::Input::send), which fails too.
    Undelivered {
        /// Why.
        reason: SenderEnd,
        /// How many of them, from the front, were sent and may have been written. The rest was not.
        unknown: u64,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The attachment is lost for good; an error follows, and nothing after it. What was typed and
    /// not delivered was told before.
    GaveUp {
        /// Why.
        reason: GiveUpReason,
        /// Bytes of input that were sent and may have been written.
        unknown: u64,
        /// Bytes of input that were not written.
        undelivered: u64,
    },
}

/// The events of one attachment, in order.
///
/// An event counts as consumed when [`next`](Self::next) is called again or this is dropped; that
/// is what gives the engine credit to send more, and where output goes on after a lost connection.
#[derive(Debug)]
pub struct Events {
    reader: EventReader,
    credit: Credit,
    attached: Granted,
    /// Where the output is used up once what was lent last is.
    lent: Option<u64>,
}

/// Reads events and consumes none. Dropped before the end, it leaves the session.
#[derive(Debug)]
pub(crate) struct EventReader {
    handle: Arc<Handle>,
    inbox: Arc<Inbox>,
    number: u32,
    batch: Batch,
    at: usize,
    /// `Detached` was read: nothing follows.
    is_over: bool,
}

/// How far the output of an attachment is used up, and how much of that the engine was told.
///
/// Keeps no connection: it may outlive it.
#[derive(Debug)]
pub(crate) struct Credit {
    handle: Weak<Handle>,
    inbox: Arc<Inbox>,
    number: u32,
    window: u32,
    consumed: u64,
    told: u64,
}

/// An event that was read; its bytes are where `start` and `len` say until the next is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item {
    Output { offset: u64, start: usize, len: usize, is_replay: bool },
    Undelivered { reason: SenderEnd, unknown: u64, start: usize, len: usize },
    Other(Event<'static>),
}

impl Item {
    /// The output offset that is reached once this is used up; `None` if it is about something
    /// else.
    pub(crate) const fn end(&self) -> Option<u64> {
        match *self {
            Self::Output { offset, len, .. } => Some(offset + len as u64),
            Self::Other(Event::Gap { to, .. }) => Some(to),
            Self::Undelivered { .. } | Self::Other(_) => None,
        }
    }
}

impl Events {
    pub(super) fn new(
        handle: Arc<Handle>,
        inbox: Arc<Inbox>,
        number: u32,
        attached: Granted,
    ) -> Self {
        let credit = Credit {
            handle: Arc::downgrade(&handle),
            inbox: Arc::clone(&inbox),
            number,
            window: attached.window,
            consumed: attached.output_offset,
            told: attached.output_offset,
        };
        let batch = Batch::default();
        let reader = EventReader { handle, inbox, number, batch, at: 0, is_over: false };
        Self { reader, credit, attached, lent: None }
    }

    /// For whoever hands events on, and says later when they are used up.
    pub(crate) fn into_parts(self) -> (EventReader, Credit, Granted) {
        (self.reader, self.credit, self.attached)
    }

    /// What the engine granted.
    pub const fn attached(&self) -> &Granted {
        &self.attached
    }

    /// The output offset up to which events were consumed: where to resume.
    pub const fn consumed(&self) -> u64 {
        self.credit.consumed()
    }

    /// The next event; `None` after [`Event::Detached`].
    ///
    /// # Errors
    ///
    /// If the connection ended and is not made again. What came before is delivered first.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait has taken nothing.
    pub async fn next(&mut self) -> Result<Option<Event<'_>>, RecvError> {
        if let Some(end) = self.lent.take() {
            self.credit.handle_consumed(end);
        }
        let Some(item) = self.reader.next().await? else { return Ok(None) };
        self.lent = item.end();
        Ok(Some(match item {
            Item::Other(event) => event,
            Item::Output { offset, start, len, is_replay } => {
                Event::Output { offset, bytes: self.reader.bytes(start, len), is_replay }
            }
            Item::Undelivered { reason, unknown, start, len } => {
                Event::Undelivered { reason, unknown, bytes: self.reader.bytes(start, len) }
            }
        }))
    }
}

impl EventReader {
    /// The next event; `None` after [`Event::Detached`]. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Item>, RecvError> {
        if self.is_over {
            return Ok(None);
        }
        while self.at == self.batch.items.len() {
            if !self.refill()? {
                self.inbox.came().await;
            }
        }
        let item = self.batch.items[self.at];
        self.at += 1;
        self.is_over |= matches!(item, Item::Other(Event::Detached { .. }));
        Ok(Some(item))
    }

    /// Bytes of the event that was read last.
    pub(crate) fn bytes(&self, start: usize, len: usize) -> &[u8] {
        &self.batch.bytes[start..start + len]
    }

    /// Whether the last event was read.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes what came; returns whether there was anything.
    fn refill(&mut self) -> Result<bool, RecvError> {
        self.at = 0;
        let end = self.inbox.swap(&mut self.batch);
        match end {
            Some(end) if self.batch.items.is_empty() => Err(end.into()),
            _ => Ok(!self.batch.items.is_empty()),
        }
    }
}

impl Drop for EventReader {
    fn drop(&mut self) {
        if !self.is_over {
            let detach = tautline_protocol::Detach { attachment: self.number };
            // If it cannot be sent, the connection is ending anyway.
            self.handle.line.tell(ControlMessage::Detach(detach)).ok();
        }
        self.handle.line.forget_attachment(self.number);
        // Nobody hears any more how far input came.
        self.inbox.handle_left();
    }
}

impl Credit {
    pub(crate) const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Output before `end` is used up: a quarter of the window of such is told to the engine.
    pub(crate) fn handle_consumed(&mut self, end: u64) {
        self.consumed = end;
        self.inbox.handle_consumed(end);
        if end - self.told < u64::from(self.window / 4).max(1) {
            return;
        }
        if !self.inbox.is_attached() {
            // The next attachment begins there.
            return;
        }
        self.told = end;
        if let Some(handle) = self.handle.upgrade() {
            let consumed = Consumed { attachment: self.number, offset: end };
            // If it cannot be sent, the next attachment begins there.
            handle.line.tell(ControlMessage::Consumed(consumed)).ok();
        }
    }
}
