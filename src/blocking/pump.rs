//! The task of an attachment: from the inbox to the channel, and the calls of the waker.

use std::sync::Arc;

use crossbeam_channel::{Sender, bounded};
use tokio::sync::Notify;

use super::{Delivered, Events, Input, background::Background, delivered::Ledger};
use crate::{
    client::{self, EventReader, RecvError},
    limits::DELIVERED_EVENTS_MAX,
};

/// What an attachment's user asks of its task.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// The events were dropped.
    pub(super) left: Notify,
    /// Input found no room, and somebody wants to know when there is some.
    pub(super) room_wanted: Notify,
}

/// Starts the task of an attachment, and gives its user the ends of it.
pub(super) fn join(
    background: &Arc<Background>,
    input: client::Input,
    events: client::Events,
    waker: impl Fn() + Send + Sync + 'static,
) -> (Input, Events) {
    let (reader, credit, attached) = events.into_parts();
    let (sender, receiver) = bounded(DELIVERED_EVENTS_MAX);
    let (ledger, calls) = (Arc::new(Ledger::new(credit)), Arc::new(Calls::default()));
    let out = Out { sender, ledger: Arc::clone(&ledger), waker };
    let pump = run(reader, input.clone(), out, Arc::clone(&calls), Arc::clone(background));
    background.spawn(pump);
    let input = Input::new(input, Arc::clone(&calls), Arc::clone(background));
    (input, Events::new(receiver, attached, ledger, calls))
}

/// Runs until the last event was pushed or the events were dropped. Keeps the thread it runs on.
async fn run(
    mut reader: EventReader,
    input: client::Input,
    out: Out<impl Fn()>,
    calls: Arc<Calls>,
    _background: Arc<Background>,
) {
    tokio::select! {
        biased;
        () = calls.left.notified() => {}
        () = out.pass_on(&mut reader) => {}
        () = out.tell_room(&calls, &input) => {}
    }
}

/// The way to the loop.
struct Out<W> {
    sender: Sender<Result<Delivered, RecvError>>,
    ledger: Arc<Ledger>,
    waker: W,
}

impl<W: Fn()> Out<W> {
    /// Pushes what is read, one by one, as places become free.
    async fn pass_on(&self, reader: &mut EventReader) {
        while !reader.is_over() {
            self.ledger.room().await;
            match reader.next().await {
                Ok(Some(item)) => self.push(Ok(self.ledger.deliver(reader, item))),
                Ok(None) => return,
                Err(error) => return self.push(Err(error)),
            }
        }
    }

    fn push(&self, item: Result<Delivered, RecvError>) {
        push(&self.sender, item, &self.waker);
    }

    /// Wakes the loop when input it could not send has room.
    async fn tell_room(&self, calls: &Calls, input: &client::Input) {
        loop {
            calls.room_wanted.notified().await;
            input.room().await;
            (self.waker)();
        }
    }
}

/// Pushes, and wakes the loop if that is the only item: it may have found the channel empty.
fn push<T>(sender: &Sender<T>, item: T, waker: impl Fn()) {
    // It has room for all the ledger hands out; if nobody receives, we are about to hear.
    let is_pushed = sender.try_send(item).is_ok();
    // After the push, not before: the loop may have taken the rest in between. See `mod.rs`.
    if is_pushed && sender.len() == 1 {
        waker();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn a_loop_that_sleeps_whenever_it_found_nothing_gets_every_item() {
        const COUNT: u32 = 100_000;
        let (sender, receiver) = bounded(8);
        let (post, woken) = bounded(1);
        let taken = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..COUNT {
                    // Like a window: one that is missed stops everything.
                    while number.saturating_sub(taken.load(Ordering::Acquire)) >= 2 {
                        thread::yield_now();
                    }
                    push(&sender, number, || {
                        post.try_send(()).ok();
                    });
                }
            });
            let mut next = 0;
            while next < COUNT {
                let wake = woken.recv_timeout(Duration::from_secs(60));
                if wake.is_err() {
                    // Lets the other thread go, so that the test fails instead of hanging.
                    taken.store(COUNT, Ordering::Release);
                    panic!("no wake after {next} items, with {} to be taken", receiver.len());
                }
                for number in receiver.try_iter() {
                    assert_eq!(number, next);
                    next += 1;
                    taken.store(next, Ordering::Release);
                }
            }
        });
    }
}
