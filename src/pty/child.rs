//! A child: waiting for it, and signalling it without ever hitting a stranger.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{Child as StdChild, ExitStatus},
    sync::Arc,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal};
use tautline_protocol::ExitKind;
use tokio::io::{Interest, unix::AsyncFd};

use crate::state::Exit;

/// A child of ours, shared by whoever waits and whoever signals.
///
/// Its process id is only used while it was not waited for, and both happen under one lock: a
/// signal never reaches a process that was given the same number later.
#[derive(Clone, Debug)]
pub struct Child {
    state: Arc<Mutex<State>>,
    pid: Pid,
}

#[derive(Debug)]
struct State {
    child: StdChild,
    exit: Option<Exit>,
}

impl Child {
    pub(super) fn new(child: StdChild) -> Self {
        let pid = Pid::from_child(&child);
        Self { state: Arc::new(Mutex::new(State { child, exit: None })), pid }
    }

    /// The process id, for display.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits for the end, and for this child only: the host's other children are its own.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; but somebody has to wait, or the child stays behind as a zombie.
    pub async fn wait(&self) -> Exit {
        match self.end_descriptor() {
            Ok(descriptor) => self.wait_on(descriptor).await,
            Err(_) => self.wait_by_looking().await,
        }
    }

    /// Sends a signal to the child, unless it has ended.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        self.with_live(|pid| {
            rustix::process::kill_process(pid, signal(number)?).map_err(Into::into)
        })
    }

    /// Sends a signal to the child's process group.
    pub fn signal_group(&self, number: i32) -> io::Result<()> {
        self.with_live(|pid| {
            rustix::process::kill_process_group(pid, signal(number)?).map_err(Into::into)
        })
    }

    fn with_live(&self, send: impl FnOnce(Pid) -> io::Result<()>) -> io::Result<()> {
        let state = self.state.lock();
        if state.exit.is_some() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the child has ended"));
        }
        send(self.pid)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn end_descriptor(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let flags = rustix::process::PidfdFlags::NONBLOCK;
        let descriptor = rustix::process::pidfd_open(self.pid, flags)?;
        crate::sys::register(descriptor, Interest::READABLE)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn end_descriptor(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let _ = Interest::READABLE;
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn wait_on(&self, descriptor: AsyncFd<OwnedFd>) -> Exit {
        loop {
            let ready = descriptor.readable().await;
            if let Some(exit) = self.try_wait() {
                return exit;
            }
            match ready {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => return self.wait_by_looking().await,
            }
        }
    }

    /// Where a process cannot be waited for by descriptor, a timer looks at it, often at first.
    async fn wait_by_looking(&self) -> Exit {
        let mut pause = std::time::Duration::from_millis(1);
        loop {
            if let Some(exit) = self.try_wait() {
                return exit;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(std::time::Duration::from_millis(50));
        }
    }

    fn try_wait(&self) -> Option<Exit> {
        let mut state = self.state.lock();
        if state.exit.is_none() {
            state.exit = match state.child.try_wait() {
                Ok(status) => status.map(exit_of),
                // Somebody else in this process waited for our child: its status is gone.
                Err(_) => Some(Exit { kind: ExitKind::Lost, value: 0 }),
            };
        }
        state.exit
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(value), _) => Exit { kind: ExitKind::Code, value },
        (None, Some(value)) => Exit { kind: ExitKind::Signal, value },
        (None, None) => Exit { kind: ExitKind::Lost, value: 0 },
    }
}

pub(crate) fn signal(number: i32) -> io::Result<Signal> {
    Signal::from_named_raw(number)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such signal"))
}
