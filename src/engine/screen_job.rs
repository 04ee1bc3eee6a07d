//! Reading a session's screen: a terminal model is fed the log, off the engine's thread.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tautline_protocol::{ErrorCode, WindowSize};

use super::{
    Engine,
    client_handle::ClientHandle,
    failure::Failure,
    screen_model::{ScreenModel, ScreenText},
    session_host::SessionHost,
};
use crate::limits::SCREEN_LOG_MAX;

/// A client's request for a screen, which is made when its turn comes.
pub(super) struct ScreenRequest {
    engine: Arc<Engine>,
    client: Arc<ClientHandle>,
    host: Weak<SessionHost>,
    wanted: Wanted,
    job: Option<Arc<Job>>,
}

#[derive(Clone, Copy)]
struct Wanted {
    is_styled: bool,
    history_lines: u32,
}

/// A screen that was read.
pub(super) struct MadeScreen {
    pub(super) offset: u64,
    pub(super) text: ScreenText,
}

type Made = Result<MadeScreen, Failure>;

/// A screen in the making; given up when it is dropped. Holds its client's slot.
struct Job {
    client: Arc<ClientHandle>,
    made: Mutex<Option<Made>>,
}

impl ScreenRequest {
    pub(super) fn new(
        engine: Arc<Engine>,
        client: Arc<ClientHandle>,
        host: &Arc<SessionHost>,
        is_styled: bool,
        history_lines: u32,
    ) -> Self {
        let wanted = Wanted { is_styled, history_lines };
        Self { engine, client, host: Arc::downgrade(host), wanted, job: None }
    }

    /// The screen, once it is made; begins to make it. The client is woken when to ask again.
    pub(super) fn poll(&mut self) -> Option<Made> {
        if self.job.is_none() && self.client.take_screen_slot() {
            let Some(host) = self.host.upgrade() else {
                self.client.give_screen_slot_back();
                return Some(Err(Failure::session_gone()));
            };
            let job = Arc::new(Job { client: Arc::clone(&self.client), made: Mutex::default() });
            tokio::spawn(run(Arc::clone(&self.engine), host, Arc::downgrade(&job), self.wanted));
            self.job = Some(job);
        }
        self.job.as_ref()?.made.lock().take()
    }
}

impl Job {
    fn handle_made(&self, made: Made) {
        *self.made.lock() = Some(made);
        self.client.wake();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.client.give_screen_slot_back();
    }
}

/// Makes the screen when it is its turn in the whole engine, if it is still wanted then.
async fn run(engine: Arc<Engine>, host: Arc<SessionHost>, job: Weak<Job>, wanted: Wanted) {
    let turn = Arc::clone(&engine.screen_turn).acquire_owned().await;
    if job.strong_count() == 0 {
        return;
    }
    let making = tokio::task::spawn_blocking(move || {
        let made = make(&host, wanted);
        drop(turn);
        made
    });
    let crashed = || Failure::new(ErrorCode::Internal, "the terminal model failed");
    let made = making.await.unwrap_or_else(|_| Err(crashed()));
    if let Some(job) = job.upgrade() {
        job.handle_made(made);
    }
}

fn make(host: &SessionHost, wanted: Wanted) -> Made {
    let (size, offset, output) = newest_output(host);
    let mut model = ScreenModel::new(size, wanted.history_lines);
    model.handle_output(&output);
    Ok(MadeScreen { offset, text: model.show(wanted.is_styled)? })
}

/// The newest output from a line's start on, and the offset after it.
fn newest_output(host: &SessionHost) -> (WindowSize, u64, Vec<u8>) {
    let core = host.lock();
    let log = core.session.log();
    let from = log.start().max(log.end().saturating_sub(SCREEN_LOG_MAX as u64));
    let (first, second) = log.read(from, SCREEN_LOG_MAX);
    let mut output = [first, second].concat();
    let (size, offset) = (core.session.size(), log.end());
    drop(core);
    if from > 0 {
        // What stands before the first line's end may be the rest of an escape sequence.
        let start = output.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        output.drain(..start);
    }
    (size, offset, output)
}
