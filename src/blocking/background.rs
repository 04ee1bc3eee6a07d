//! The thread everything of one client runs on.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// A thread with a runtime; it ends when this is dropped, by itself.
#[derive(Debug)]
pub(super) struct Background {
    runtime: Handle,
    /// Dropped, it tells the thread to end. Nobody joins it, so this may be dropped anywhere, the
    /// thread itself included.
    _stop: oneshot::Sender<()>,
}

impl Background {
    pub(super) fn start() -> io::Result<Arc<Self>> {
        let (started, starting) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        // The runtime is made and dropped on its own thread: tokio's panics if it is dropped
        // inside another one.
        thread::Builder::new().name("taut-client".into()).spawn(move || {
            let runtime = Builder::new_current_thread().enable_io().enable_time().build();
            match runtime {
                Ok(runtime) => {
                    started.send(Ok(runtime.handle().clone())).ok();
                    runtime.block_on(stopped).ok();
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        let runtime = starting.recv().map_err(io::Error::other)??;
        Ok(Arc::new(Self { runtime, _stop: stop }))
    }

    /// Waits for `future` on this thread, while the background drives what it waits for.
    #[track_caller]
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}
