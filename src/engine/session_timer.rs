//! The task that keeps a session's deadlines: pause limits, late acknowledgements, exit grace, the
//! end of a child that was asked to end, the next child.

use std::{sync::Arc, time::Instant};

use super::{Engine, pty_reader, session_host::SessionHost};

/// Runs until the session is over and forgotten.
pub(super) async fn run(host: Arc<SessionHost>, engine: Arc<Engine>) {
    loop {
        pty_reader::read_last_words(&engine, &host);
        {
            let mut core = host.lock();
            core.session.handle_timeout(Instant::now());
            core.wake_due();
        }
        host.reading.notify_one();
        host.end_if_due();
        if engine.after_session_turn(&host) {
            return;
        }
        host.start_if_due(&engine);
        let armed = {
            let mut core = host.lock();
            core.armed = core.session.deadline();
            core.armed
        };
        match armed {
            Some(deadline) => tokio::select! {
                () = tokio::time::sleep_until(deadline.into()) => {}
                () = host.timing.notified() => {}
            },
            None => host.timing.notified().await,
        }
    }
}
