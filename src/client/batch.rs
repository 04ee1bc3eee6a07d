//! What came for one attachment, in order, with the bytes it points into.

use tautline_protocol::{
    AdjustCause, ArchivedEngineMessage, CloseReason, Delivery, DetachReason, ExitKind, SizePolicy,
    WindowSize,
};

use super::{
    events::{Event, Item},
    reconnect::GiveUpReason,
};
use crate::state::{Exit, Leftover};

/// Items, and the bytes they point into.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    pub(super) bytes: Vec<u8>,
    /// Input that was sent again, and is told with the next return.
    carried: u64,
    /// Input that was given up since the connection was lost last.
    unknown: u64,
    undelivered: u64,
}

impl Batch {
    /// Exchanges what came for `empty`, which is emptied first.
    pub(super) fn swap(&mut self, empty: &mut Self) {
        empty.items.clear();
        empty.bytes.clear();
        empty.carried = self.carried;
        (empty.unknown, empty.undelivered) = (self.unknown, self.undelivered);
        std::mem::swap(self, empty);
    }

    pub(super) fn push(&mut self, event: Event<'static>) {
        self.items.push(Item::Other(event));
    }

    /// Keeps bytes; returns where.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> usize {
        self.bytes.extend_from_slice(bytes);
        self.bytes.len() - bytes.len()
    }

    pub(super) fn tell_leftover(&mut self, leftover: Option<Leftover>) {
        if let Some(Leftover { end: reason, unknown, bytes }) = leftover {
            self.unknown += unknown;
            self.undelivered += bytes.len() as u64 - unknown;
            let start = self.keep(&bytes);
            self.items.push(Item::Undelivered { reason, unknown, start, len: bytes.len() });
        }
    }

    pub(super) fn tell_given_up(
        &mut self,
        leftover: Option<Leftover>,
        reason: Option<GiveUpReason>,
    ) {
        self.tell_leftover(leftover);
        if let Some(reason) = reason {
            let (unknown, undelivered) = (self.unknown, self.undelivered);
            self.push(Event::GaveUp { reason, unknown, undelivered });
        }
    }

    /// What was told of waiting and not heard yet is replaced by what is newer.
    pub(super) fn tell_connectivity(&mut self, mut event: Event<'static>) {
        if let Event::Resumed { replayed_input, .. } = &mut event {
            *replayed_input += std::mem::take(&mut self.carried);
        }
        match self.items.last_mut() {
            Some(Item::Other(last @ Event::Reconnecting { .. })) => *last = event,
            _ => self.push(event),
        }
    }

    /// A loss that follows a return nobody heard of makes one of both: somebody who does not listen
    /// is not owed more and more.
    pub(super) fn tell_disconnected(&mut self, reason: Option<CloseReason>) {
        (self.unknown, self.undelivered) = (0, 0);
        if let [
            ..,
            Item::Other(Event::Disconnected { .. }),
            Item::Other(Event::Resumed { gap: 0, replayed_input, is_new_child: false }),
        ] = self.items[..]
        {
            self.carried = replayed_input;
            self.items.pop();
        } else {
            self.push(Event::Disconnected { reason });
        }
    }
}

/// The event a message stands for; the message was checked when it came in.
pub(super) fn event_of(message: &ArchivedEngineMessage<'static>) -> Option<Event<'static>> {
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
