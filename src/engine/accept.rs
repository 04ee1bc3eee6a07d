//! The accept loop: lets clients in, survives running out of descriptors, never spins.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Engine, client_task, statistics::count};
use crate::{
    limits::{ACCEPT_PAUSE, HANDSHAKES_LIMIT},
    transport::Listener,
};

/// Accepts until the engine shuts down.
pub(super) async fn run<L: Listener>(engine: Arc<Engine>, mut listener: L) {
    let mut closing = engine.closing.subscribe();
    let connections = Arc::new(AtomicUsize::new(0));
    let most = engine.config.clients_limit as usize + 1 + HANDSHAKES_LIMIT;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closing.wait_for(|is_closing| *is_closing) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(_) if connections.load(Ordering::Relaxed) >= most => {
                tracing::warn!(most, "dropped a connection: too many are open");
            }
            Ok(stream) => {
                connections.fetch_add(1, Ordering::Relaxed);
                count(&engine.counters.connections, 1);
                let guard = Counted(Arc::clone(&connections));
                let engine = Arc::clone(&engine);
                tokio::spawn(async move {
                    client_task::run(engine, stream).await;
                    drop(guard);
                });
            }
            // The client gave up before we looked: its business.
            Err(error) if is_clients_fault(&error) => {}
            // Out of descriptors or memory: whoever holds them must give some back first. The
            // clients in the queue wait; trying again at once would only burn a core.
            Err(error) => {
                tracing::warn!(%error, "cannot accept; trying again soon");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};

    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// One connection, counted for as long as its task runs, also if that panics.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
