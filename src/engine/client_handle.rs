//! What the rest of the engine can do to a client: wake it, answer it later, end it.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use tautline_protocol::CloseReason;
use tokio::sync::Notify;

use super::failure::Failure;
use crate::state::ClientId;

/// One connected client, as others see it.
#[derive(Debug)]
pub(super) struct ClientHandle {
    pub(super) number: u64,
    notify: Notify,
    is_making_screen: AtomicBool,
    is_fenced: AtomicBool,
    is_slot_passed_on: AtomicBool,
    mailbox: Mutex<Mailbox>,
}

/// What waits for the client's task. Bounded: completions by the requests it may have pending.
#[derive(Debug, Default)]
struct Mailbox {
    client: ClientId,
    completions: VecDeque<Completion>,
    close: Option<CloseReason>,
}

/// The end of a request that took its time.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) id: u64,
    pub(super) result: Result<u64, Failure>,
}

impl ClientHandle {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            notify: Notify::new(),
            is_making_screen: AtomicBool::new(false),
            is_fenced: AtomicBool::new(false),
            is_slot_passed_on: AtomicBool::new(false),
            mailbox: Mutex::default(),
        }
    }

    /// There is something to send or to look at.
    pub(super) fn wake(&self) {
        self.notify.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// Who it is, once its hello was answered.
    pub(super) fn client(&self) -> ClientId {
        self.mailbox.lock().client
    }

    pub(super) fn set_client(&self, client: ClientId) {
        self.mailbox.lock().client = client;
    }

    /// Ends the connection, with the first reason given.
    pub(super) fn close(&self, reason: CloseReason) {
        self.mailbox.lock().close.get_or_insert(reason);
        self.wake();
    }

    /// The client's slot is that of a newer connection now.
    pub(super) fn pass_slot_on(&self) {
        self.is_slot_passed_on.store(true, Ordering::Relaxed);
    }

    /// Whether there is no slot to give back.
    pub(super) fn is_slot_passed_on(&self) -> bool {
        self.is_slot_passed_on.load(Ordering::Relaxed)
    }

    /// A newer connection of this client has taken this one's place.
    pub(super) fn fence(&self) {
        self.is_fenced.store(true, Ordering::Relaxed);
        self.close(CloseReason::TakenOver);
    }

    /// Whether nothing that came over this connection is to be acted on any more.
    pub(super) fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::Relaxed)
    }

    pub(super) fn complete(&self, id: u64, result: Result<u64, Failure>) {
        self.mailbox.lock().completions.push_back(Completion { id, result });
        self.wake();
    }

    pub(super) fn forget_completion(&self, id: u64) {
        self.mailbox.lock().completions.retain(|completion| completion.id != id);
    }

    pub(super) fn take_completion(&self) -> Option<Completion> {
        self.mailbox.lock().completions.pop_front()
    }

    /// Whether a screen may be made for this client now: one at a time, which bounds what is held
    /// for a peer that does not read.
    pub(super) fn take_screen_slot(&self) -> bool {
        !self.is_making_screen.swap(true, Ordering::Relaxed)
    }

    /// The next screen may be made.
    pub(super) fn give_screen_slot_back(&self) {
        self.is_making_screen.store(false, Ordering::Relaxed);
        self.wake();
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        self.mailbox.lock().close
    }
}
