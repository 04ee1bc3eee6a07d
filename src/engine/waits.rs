//! Requests of one client that wait for something: answered later, cancelled, or given up with the
//! connection. What they wait for goes on without them.

use std::{future::Future, sync::Arc};

use tokio::task::{AbortHandle, JoinSet};

use super::{client_handle::ClientHandle, failure::Failure};

/// The waits of a connection, one task each: as many as it may have requests pending.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// All of them end when this is dropped.
    tasks: JoinSet<()>,
    by_request: Vec<(u64, AbortHandle)>,
}

impl Waits {
    /// Answers the request once `outcome` is there.
    pub(super) fn begin(
        &mut self,
        id: u64,
        handle: &Arc<ClientHandle>,
        outcome: impl Future<Output = Result<u64, Failure>> + Send + 'static,
    ) {
        self.forget_ended();
        let handle = Arc::clone(handle);
        let task = self.tasks.spawn(async move { handle.complete(id, outcome.await) });
        self.by_request.push((id, task));
    }

    /// Runs something for as long as the connection lives.
    pub(super) fn begin_unasked(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Gives up a wait; returns whether there was one, which is still to be answered then.
    pub(super) fn cancel(&mut self, id: u64, handle: &ClientHandle) -> bool {
        let Some(at) = self.by_request.iter().position(|(known, _)| *known == id) else {
            return false;
        };
        let (_, task) = self.by_request.swap_remove(at);
        task.abort();
        // It may have come to its end in this moment: nobody hears that under an id that is free.
        handle.forget_completion(id);
        true
    }

    /// Its answer was taken.
    pub(super) fn end(&mut self, id: u64) {
        self.by_request.retain(|(known, _)| *known != id);
        self.forget_ended();
    }

    fn forget_ended(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }
}
