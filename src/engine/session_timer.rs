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

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Poll};

    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    use tautline_protocol::{ExitKind, RestartPolicy, SessionState, SizePolicy, WindowSize};

    use super::{super::recipe::Recipe, *};
    use crate::{
        ServerConfig,
        state::{EXIT_GRACE, Exit, SessionTerms},
    };

    fn started(engine: &Arc<Engine>, argv: &[u8]) -> Arc<SessionHost> {
        let recipe = Recipe {
            argv: argv.into(),
            env: Vec::new(),
            cwd: b"/".into(),
            is_clean: false,
            is_raw: true,
            is_login: false,
        };
        let terms = SessionTerms {
            log_size: engine.config.log_size,
            input_window: engine.config.input_window,
            size: WindowSize::cells(80, 24),
            size_policy: SizePolicy::Latest,
            is_ephemeral: false,
            restart: RestartPolicy::Never,
        };
        SessionHost::start(engine, "a".into(), recipe, terms).unwrap()
    }

    #[tokio::test]
    async fn what_the_reader_had_no_turn_to_read_comes_before_the_end() {
        let engine = Arc::new(Engine::new(ServerConfig::default(), None));
        let host = started(&engine, b"/bin/sh\0-c\0printf 'last words'\0");
        engine.add_session(Arc::clone(&host));
        let pid = Pid::from_raw(host.lock().session.pid().try_into().unwrap()).unwrap();
        // Blocks the thread: nobody gets a turn, and the child stays for its own waiter.
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        let exit = Exit { kind: ExitKind::Code, value: 0 };
        let ended = Instant::now().checked_sub(EXIT_GRACE).unwrap();
        host.lock().session.handle_exit(exit, ended);
        // One turn of the timer, and none of any other task.
        let mut timer = pin!(run(Arc::clone(&host), engine));
        std::future::poll_fn(|cx| {
            assert!(timer.as_mut().poll(cx).is_pending(), "the session is kept");
            Poll::Ready(())
        })
        .await;
        let core = host.lock();
        assert_eq!(core.session.state(), SessionState::Exited);
        let log = core.session.log();
        assert_eq!(log.read(0, 100), (&b"last words"[..], &b""[..]));
    }
}
