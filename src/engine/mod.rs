//! The engine: hosts sessions, serves clients.
//!
//! ```text
//! input   client task -> PtyCommand over a bounded channel -> PTY writer -> child
//! output  child -> PTY reader -> session log -> client tasks, one vectored write each
//! ```
//!
//! The two ways share no queue, and nothing goes back up. Decisions are made in
//! [`state`](crate::state); everything here does I/O on their behalf.

mod accept;
mod admission;
mod attach_requests;
mod client_handle;
mod client_task;
mod config;
mod failure;
mod frame_cost;
mod handshakes;
mod identities;
mod idleness;
mod input_requests;
mod leaving;
mod line_writer;
mod outbox;
mod output_batch;
mod plugin_path;
mod pty_reader;
mod pty_writer;
mod recipe;
mod reply_stream;
mod requests;
mod screen_job;
mod screen_model;
mod server;
mod session_host;
mod session_requests;
mod session_timer;
mod statistics;
mod waits;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tautline_protocol::{CloseReason, Limit, limits::INPUT_MAX};
use tokio::sync::{Semaphore, watch};

pub use config::{ConfigError, ServerConfig};
pub use server::{Command, OpenError, ServeError, Server};

use client_handle::ClientHandle;
use failure::Failure;
use handshakes::Handshakes;
use identities::Identities;
use idleness::Occupancy;
use pty_writer::{Block, BlockBytes};
use session_host::SessionHost;
use statistics::{Counters, Interval};

use crate::{
    latency::Latency,
    limits::{INPUT_BLOCKS_KEPT, RESUME_GRACE_MAX},
    state::{AttachError, ClientId},
};

/// What all tasks of an engine share. Locks are held for moments, never across an await.
#[derive(Debug)]
struct Engine {
    config: ServerConfig,
    socket: Option<PathBuf>,
    id: [u8; 16],
    clock: u64,
    born: Instant,
    born_ns: u64,
    sessions: Mutex<Vec<Arc<SessionHost>>>,
    clients: Mutex<BTreeMap<u64, Arc<ClientHandle>>>,
    handshakes: Handshakes,
    identities: Identities,
    occupancy: Occupancy,
    clients_admitted: AtomicU32,
    is_admin_admitted: AtomicU32,
    numbers: AtomicU64,
    blocks: Mutex<Vec<Block>>,
    /// One terminal model is made at a time: that bounds what they cost.
    screen_turn: Arc<Semaphore>,
    latency: Latency,
    counters: Counters,
    /// What the interval that is running began with.
    interval: Mutex<Interval>,
    closing: watch::Sender<bool>,
}

impl Engine {
    fn new(config: ServerConfig, socket: Option<PathBuf>) -> Self {
        Self {
            config,
            socket,
            id: crate::sys::random_bytes(),
            clock: clock_identity(),
            born: Instant::now(),
            born_ns: monotonic_ns(),
            sessions: Mutex::default(),
            clients: Mutex::default(),
            handshakes: Handshakes::default(),
            identities: Identities::default(),
            occupancy: Occupancy::default(),
            clients_admitted: AtomicU32::new(0),
            is_admin_admitted: AtomicU32::new(0),
            numbers: AtomicU64::new(1),
            blocks: Mutex::new(Vec::with_capacity(INPUT_BLOCKS_KEPT)),
            screen_turn: Arc::new(Semaphore::new(1)),
            latency: Latency::new(),
            counters: Counters::default(),
            interval: Mutex::new(Interval::new()),
            closing: watch::channel(false).0,
        }
    }

    fn socket_path(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// A number nobody had before: for epochs, which must also differ over engines.
    fn new_number(&self) -> u64 {
        u64::from_ne_bytes(crate::sys::random_bytes()).max(1)
    }

    /// A moment on the monotonic clock the hello names, in nanoseconds.
    fn clock_ns(&self, at: Instant) -> u64 {
        self.born_ns + at.saturating_duration_since(self.born).as_nanos() as u64
    }

    fn session(&self, name: &str) -> Result<Arc<SessionHost>, Failure> {
        let sessions = self.sessions.lock();
        let found = sessions.iter().find(|host| host.lock().is_named(name));
        found.cloned().ok_or_else(|| Failure::no_such_session(name))
    }

    /// The session a client comes back to, whatever its name is now: also one whose end it was
    /// told and did not hear. A session of that name in which it never was is another one.
    fn session_to_resume(
        &self,
        name: &str,
        epoch: u64,
        (client, number): (ClientId, u32),
    ) -> Result<Arc<SessionHost>, Failure> {
        let sessions = self.sessions.lock();
        let keeps = |host: &&Arc<SessionHost>| host.lock().session.keeps(client, number, epoch);
        let found = sessions.iter().find(keeps).cloned();
        drop(sessions);
        match found {
            Some(found) => Ok(found),
            None => self.session(name).and(Err(AttachError::ResumeExpired.into())),
        }
    }

    /// Nothing is kept of a client any more that cannot prove who it is.
    fn forget_client(&self, client: ClientId) {
        let sessions = self.sessions.lock().clone();
        for host in sessions {
            host.forget_client(client);
        }
    }

    /// All sessions, but for those whose end was told to everybody.
    fn sessions(&self) -> Vec<Arc<SessionHost>> {
        let sessions = self.sessions.lock();
        sessions.iter().filter(|host| !host.lock().session.is_gone()).cloned().collect()
    }

    /// The oldest session made after the one of that number.
    fn session_after(&self, number: u64) -> Option<Arc<SessionHost>> {
        let sessions = self.sessions.lock();
        let at = sessions.partition_point(|host| host.number <= number);
        sessions[at..].iter().find(|host| !host.lock().session.is_gone()).cloned()
    }

    /// A name no session has: `stem-1`, `stem-2` and so on.
    fn free_name(&self, stem: &str) -> String {
        let taken: Vec<_> = self.sessions().iter().map(|host| host.lock().name.clone()).collect();
        let names = (1_u64..).map(|number| format!("{stem}-{number}"));
        let mut free = names.filter(|name| !taken.contains(name));
        free.next().expect("there are more numbers than sessions")
    }

    fn add_session(&self, host: Arc<SessionHost>) {
        let mut sessions = self.sessions.lock();
        debug_assert!(sessions.last().is_none_or(|last| last.number < host.number), "in order");
        sessions.push(host);
        drop(sessions);
        self.occupancy.changed();
    }

    fn remove_session(&self, host: &Arc<SessionHost>) {
        self.sessions.lock().retain(|known| !Arc::ptr_eq(known, host));
    }

    fn check_session_limit(&self) -> Result<(), Failure> {
        let limit = self.config.sessions_limit;
        if self.sessions.lock().len() < limit || self.sessions().len() < limit {
            return Ok(());
        }
        let text = "this engine hosts as many sessions as it may";
        Err(Failure::limit(Limit::Sessions, limit as u64, text))
    }

    /// After a session's timer ran: lets go of a child that ended, forgets a session that is done
    /// with. Returns whether the session is gone.
    fn after_session_turn(&self, host: &Arc<SessionHost>) -> bool {
        let mut core = host.lock();
        if core.session.is_live() {
            return false;
        }
        if let Some(running) = core.running.take() {
            running.hangup.notify_one();
            core.ended_at = Some(Instant::now());
        }
        let (is_over, is_finished) = (core.session.is_over(), core.session.is_finished());
        drop(core);
        if is_finished {
            self.remove_session(host);
        } else if is_over {
            self.forget_oldest_exited();
        }
        self.occupancy.changed();
        let is_known = self.sessions.lock().iter().any(|known| Arc::ptr_eq(known, host));
        !is_known
    }

    /// Of the sessions whose child ended and that nobody looks at, the newest are kept.
    fn forget_oldest_exited(&self) {
        let ended_at = |host: &Arc<SessionHost>| {
            let core = host.lock();
            let is_idle = core.session.is_over()
                && core.session.attachments().is_empty()
                && !core.session.is_awaiting();
            core.ended_at.filter(|_| is_idle)
        };
        let hosts = self.sessions().into_iter();
        let mut exited: Vec<_> = hosts.filter_map(|host| Some((ended_at(&host)?, host))).collect();
        exited.sort_by_key(|(ended_at, _)| *ended_at);
        let too_many = exited.len().saturating_sub(self.config.exited_limit);
        for (_, host) in &exited[..too_many] {
            host.remove();
            self.remove_session(host);
        }
    }

    /// A number higher than those before.
    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn client_joined(&self) -> Arc<ClientHandle> {
        let number = self.next_number();
        let handle = Arc::new(ClientHandle::new(number));
        self.clients.lock().insert(number, Arc::clone(&handle));
        self.handshakes.begin(&handle);
        handle
    }

    fn client_left(&self, handle: &ClientHandle) {
        self.clients.lock().remove(&handle.number);
        self.handshakes.end(handle);
    }

    fn clients(&self) -> Vec<Arc<ClientHandle>> {
        self.clients.lock().values().cloned().collect()
    }

    /// A newer connection takes the place of an older one: from now on nothing is acted on that
    /// came over that, and its attachments wait for the newer one to ask for them.
    fn fence(&self, older: &ClientHandle) {
        // Whoever was made to leave does not come back by being faster.
        let is_made_to_leave =
            older.close_reason().is_some_and(|reason| !client_task::is_worth_coming_back(reason));
        let grace = if is_made_to_leave { Duration::ZERO } else { self.config.resume_grace };
        let grace = grace.min(RESUME_GRACE_MAX);
        older.fence();
        let sessions = self.sessions.lock().clone();
        for host in sessions {
            host.lose_connection(older.number, grace);
        }
    }

    fn close_clients(&self, reason: CloseReason) {
        for client in self.clients() {
            client.close(reason);
        }
    }

    /// Whether nobody is connected, and no child runs or will be started again.
    fn is_idle(&self) -> bool {
        let is_over = |host: &Arc<SessionHost>| {
            let core = host.lock();
            core.session.is_over() && (core.session.is_gone() || !core.session.is_awaiting())
        };
        self.occupancy.connections() == 0 && self.sessions.lock().iter().all(is_over)
    }

    fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    fn shut_down(&self) {
        self.closing.send_replace(true);
    }

    /// A block for one frame's input: kept ones first, so that pastes do not allocate either.
    fn take_block(&self, bytes: &[u8]) -> Block {
        let kept = self.blocks.lock().pop();
        let mut block =
            kept.unwrap_or_else(|| Box::new(BlockBytes { bytes: [0; INPUT_MAX], len: 0 }));
        block.bytes[..bytes.len()].copy_from_slice(bytes);
        block.len = bytes.len();
        block
    }

    fn give_block_back(&self, block: Block) {
        let mut blocks = self.blocks.lock();
        if blocks.len() < INPUT_BLOCKS_KEPT {
            blocks.push(block);
        }
    }
}

/// Names this machine's monotonic clock: a hash of the boot id; 0 if there is none.
fn clock_identity() -> u64 {
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if boot.is_empty() { 0 } else { fastrand::Rng::with_seed(fold(&boot)).u64(1..) }
}

fn fold(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |hash: u64, &byte| hash.rotate_left(7) ^ u64::from(byte))
}

fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
