//! When nobody uses an engine any more: no connection is open and no session lives.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use super::Engine;

/// Who is connected, and that something about it changed.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    connections: AtomicUsize,
    changed: Notify,
}

impl Occupancy {
    /// Connections that are open, those included whose hello is still to come.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Somebody came or left, a session began or ended: idle time counts from here.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }
}

/// One connection, counted for as long as its task runs, also if that panics.
pub(super) struct Counted(Arc<Engine>);

impl Counted {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        engine.occupancy.connections.fetch_add(1, Ordering::Relaxed);
        engine.occupancy.changed();
        Self(Arc::clone(engine))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.occupancy.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.occupancy.changed();
    }
}

/// Resolves when the engine has been idle for as long as its configuration says; never if that
/// says nothing. One task may wait.
///
/// # Cancel safety
///
/// Cancel safe, but the time counts anew.
pub(super) async fn wait(engine: &Engine) {
    let Some(limit) = engine.config.idle_exit else {
        return std::future::pending().await;
    };
    loop {
        let changed = engine.occupancy.changed.notified();
        if !engine.is_idle() {
            changed.await;
        } else if tokio::time::timeout(limit, changed).await.is_err() {
            return;
        }
    }
}
