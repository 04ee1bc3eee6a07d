//! Connections whose hello was not answered with a welcome: bounded, and the oldest goes first.
//!
//! Whoever means it says hello at once, so the one that has been silent for the longest makes way
//! for a newer one. Many that say nothing keep nobody out.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tautline_protocol::CloseReason;

use super::client_handle::ClientHandle;
use crate::limits::HANDSHAKES_LIMIT;

/// The handshakes of an engine, by the numbers of their connections, which only grow.
#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<BTreeMap<u64, Arc<ClientHandle>>>);

impl Handshakes {
    /// A connection was accepted.
    pub(super) fn begin(&self, handle: &Arc<ClientHandle>) {
        let mut waiting = self.0.lock();
        waiting.insert(handle.number, Arc::clone(handle));
        let too_many = waiting.len() > HANDSHAKES_LIMIT;
        drop(waiting);
        if too_many {
            self.drop_oldest();
        }
    }

    /// It was welcomed, or is gone.
    pub(super) fn end(&self, handle: &ClientHandle) {
        self.0.lock().remove(&handle.number);
    }

    /// Refuses whoever has been silent for the longest.
    pub(super) fn drop_oldest(&self) {
        let oldest = self.0.lock().pop_first();
        if let Some((_, handle)) = oldest {
            tracing::debug!("refused the oldest connection without a hello: too many are open");
            handle.close(CloseReason::Kicked);
        }
    }
}
