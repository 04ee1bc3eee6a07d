//! Events that were handed out, and what follows from dropping them.

use std::{collections::VecDeque, fmt, mem, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{
    client::{Credit, Event, EventReader, Item},
    limits::{DELIVERED_BUFFERS_SIZE, DELIVERED_EVENTS_MAX},
    state::SenderEnd,
};

/// An event with its bytes. Dropped, it counts as consumed, once all before it were dropped.
///
/// One that is kept holds up those after it: at most
/// [`DELIVERED_EVENTS_MAX`](crate::limits::DELIVERED_EVENTS_MAX), itself counted, are handed out.
pub struct Delivered {
    content: Content,
    number: u64,
    ledger: Arc<Ledger>,
}

enum Content {
    Output { offset: u64, bytes: Vec<u8>, is_replay: bool },
    Undelivered { reason: SenderEnd, unknown: u64, bytes: Vec<u8> },
    Other(Event<'static>),
}

/// What was handed out and is not consumed, in order.
#[derive(Debug)]
pub(super) struct Ledger {
    /// How many more may be handed out.
    free: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    credit: Credit,
    /// The number of the first one in `held`.
    first: u64,
    held: VecDeque<Held>,
    buffers: Vec<Vec<u8>>,
    /// Their capacities, summed.
    buffers_size: usize,
}

#[derive(Debug)]
struct Held {
    /// The output offset that is reached once it is consumed.
    end: Option<u64>,
    is_dropped: bool,
}

impl Delivered {
    /// What happened. Lent: it borrows from this.
    pub fn event(&self) -> Event<'_> {
        match &self.content {
            Content::Other(event) => *event,
            &Content::Output { offset, ref bytes, is_replay } => {
                Event::Output { offset, bytes, is_replay }
            }
            &Content::Undelivered { reason, unknown, ref bytes } => {
                Event::Undelivered { reason, unknown, bytes }
            }
        }
    }
}

impl fmt::Debug for Delivered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Delivered").field(&self.event()).finish()
    }
}

impl Drop for Delivered {
    fn drop(&mut self) {
        let buffer = match &mut self.content {
            Content::Output { bytes, .. } | Content::Undelivered { bytes, .. } => mem::take(bytes),
            Content::Other(_) => Vec::new(),
        };
        self.ledger.handle_dropped(self.number, buffer);
    }
}

impl Ledger {
    pub(super) fn new(credit: Credit) -> Self {
        let state = State {
            credit,
            first: 0,
            held: VecDeque::with_capacity(DELIVERED_EVENTS_MAX),
            buffers: Vec::new(),
            buffers_size: 0,
        };
        Self { free: Semaphore::new(DELIVERED_EVENTS_MAX), state: Mutex::new(state) }
    }

    pub(super) fn consumed(&self) -> u64 {
        self.state.lock().credit.consumed()
    }

    /// Waits until one more event may be handed out. Cancel safe.
    pub(super) async fn room(&self) {
        let room = self.free.acquire().await.expect("it is never closed");
        // Given back when the event is consumed.
        room.forget();
    }

    /// Hands out what `reader` read last, after [`room`](Self::room) was waited for.
    pub(super) fn deliver(self: &Arc<Self>, reader: &EventReader, item: Item) -> Delivered {
        let mut state = self.state.lock();
        let number = state.first + state.held.len() as u64;
        state.held.push_back(Held { end: item.end(), is_dropped: false });
        let content = match item {
            Item::Other(event) => Content::Other(event),
            Item::Output { offset, start, len, is_replay } => {
                let mut bytes = state.take_buffer();
                drop(state);
                bytes.extend_from_slice(reader.bytes(start, len));
                Content::Output { offset, bytes, is_replay }
            }
            Item::Undelivered { reason, unknown, start, len } => {
                Content::Undelivered { reason, unknown, bytes: reader.bytes(start, len).to_vec() }
            }
        };
        Delivered { content, number, ledger: Arc::clone(self) }
    }

    fn handle_dropped(&self, number: u64, buffer: Vec<u8>) {
        let mut state = self.state.lock();
        let spare = state.keep_buffer(buffer);
        let count = state.handle_dropped(number);
        drop(state);
        self.free.add_permits(count);
        drop(spare);
    }
}

impl State {
    /// Consumes what is dropped with all before it; returns how many that were.
    fn handle_dropped(&mut self, number: u64) -> usize {
        let at = usize::try_from(number - self.first).expect("it is among those held");
        self.held[at].is_dropped = true;
        let (mut count, mut reached) = (0, None);
        while let Some(held) = self.held.pop_front_if(|held| held.is_dropped) {
            reached = held.end.or(reached);
            count += 1;
        }
        self.first += count as u64;
        if let Some(end) = reached {
            self.credit.handle_consumed(end);
        }
        count
    }

    fn take_buffer(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.buffers_size -= buffer.capacity();
        buffer
    }

    /// Keeps a buffer for later, or returns it if there are enough.
    fn keep_buffer(&mut self, mut buffer: Vec<u8>) -> Option<Vec<u8>> {
        let size = self.buffers_size + buffer.capacity();
        if buffer.capacity() == 0 || size > DELIVERED_BUFFERS_SIZE {
            return Some(buffer);
        }
        buffer.clear();
        self.buffers_size = size;
        self.buffers.push(buffer);
        None
    }
}
