//! The accept loop: lets clients in, survives running out of descriptors, never spins.

use std::{io, sync::Arc};

use super::{
    Engine, client_task,
    idleness::{self, Counted},
    statistics::count,
};
use crate::{
    limits::ACCEPT_PAUSE,
    transport::{Listener, Stream},
};

/// Accepts until the engine shuts down.
pub(super) async fn run<L: Listener>(engine: Arc<Engine>, mut listener: L) {
    accept(&engine, &mut listener, std::future::pending).await;
}

/// The same; shuts the engine down when nobody uses it any more.
///
/// The way in is shut first, and only if then nobody is found to wait there: whoever came in the
/// last moment is served, and whoever comes later finds no engine.
pub(super) async fn run_until_idle<L: Listener>(engine: Arc<Engine>, mut listener: L) {
    loop {
        accept(&engine, &mut listener, || idleness::wait(&engine)).await;
        if engine.is_closing() {
            return;
        }
        let Some(accepted) = listener.retire() else { break };
        take_in(&engine, accepted).await;
    }
    let idle_ms = engine.config.idle_exit.map_or(0, |limit| limit.as_millis() as u64);
    tracing::info!(idle_ms, "ending: nobody uses it");
    engine.shut_down();
}

/// Accepts until the engine shuts down or `is_over` resolves, which is asked for anew after each
/// connection.
async fn accept<L: Listener, F: Future<Output = ()>>(
    engine: &Arc<Engine>,
    listener: &mut L,
    is_over: impl Fn() -> F,
) {
    let mut closing = engine.closing.subscribe();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closing.wait_for(|is_closing| *is_closing) => return,
            accepted = listener.accept() => accepted,
            () = is_over() => return,
        };
        take_in(engine, accepted).await;
    }
}

async fn take_in<S: Stream>(engine: &Arc<Engine>, accepted: io::Result<S>) {
    match accepted {
        Ok(stream) => {
            count(&engine.counters.connections, 1);
            let guard = Counted::new(engine);
            let engine = Arc::clone(engine);
            tokio::spawn(async move {
                client_task::run(engine, stream).await;
                drop(guard);
            });
        }
        // The client gave up before we looked: its business.
        Err(error) if is_clients_fault(&error) => {}
        // Out of descriptors or memory: whoever holds them must give some back first. The clients
        // in the queue wait; trying again at once would only burn a core.
        Err(error) => {
            tracing::warn!(%error, "cannot accept; trying again soon");
            engine.handshakes.drop_oldest();
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};

    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
