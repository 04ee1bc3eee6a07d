//! The receiving half of an attachment.

use std::{ops::Deref, sync::Arc};

use crossbeam_channel::Receiver;

use super::{Delivered, delivered::Ledger, pump::Calls};
use crate::client::{Granted, RecvError};

/// The events of one attachment, in order; all methods of a [`Receiver`] can be called on it.
///
/// Dropping it leaves the session. A clone of the receiver takes events from the same channel and
/// keeps nothing alive.
#[derive(Debug)]
pub struct Events {
    receiver: Receiver<Result<Delivered, RecvError>>,
    attached: Granted,
    ledger: Arc<Ledger>,
    calls: Arc<Calls>,
}

impl Events {
    pub(super) const fn new(
        receiver: Receiver<Result<Delivered, RecvError>>,
        attached: Granted,
        ledger: Arc<Ledger>,
        calls: Arc<Calls>,
    ) -> Self {
        Self { receiver, attached, ledger, calls }
    }

    /// What the engine granted.
    pub const fn attached(&self) -> &Granted {
        &self.attached
    }

    /// The output offset up to which events were consumed: where to resume.
    pub fn consumed(&self) -> u64 {
        self.ledger.consumed()
    }
}

impl Deref for Events {
    type Target = Receiver<Result<Delivered, RecvError>>;

    fn deref(&self) -> &Self::Target {
        &self.receiver
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.calls.left.notify_one();
    }
}
