//! What an operator or embedder may choose.

use std::{path::PathBuf, time::Duration};

use crate::{limits, limits::SESSIONS_MAX, state::Deadlines, trace::FrameTrace};

/// How an engine behaves. Checked once, when it is bound.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Clients served at once; one more is refused with a reason. Default 64.
    pub clients_limit: u32,
    /// Attachments one connection may have. Default 64.
    pub attachments_limit: u32,
    /// Answered requests one connection may have pending. Default 64.
    pub requests_limit: usize,
    /// Sessions hosted. Default 1,024.
    pub sessions_limit: usize,
    /// Sessions kept whose child has ended and that nobody looks at, the newest. Default 64.
    pub exited_limit: usize,
    /// Input one client may send ahead of what was written to the PTY, in bytes. Default 64 KiB; at
    /// least one frame's worth.
    pub input_window: u32,
    /// Output a session log holds unless its maker chooses, in bytes. Default 1 MiB.
    pub log_size: usize,
    /// Output a session log may hold if its maker chooses, in bytes. Default 64 MiB.
    pub log_size_limit: usize,
    /// How long a client may take over its hello, a frame, and a goodbye. Default 5 s, 5 s, 1 s.
    pub deadlines: Deadlines,
    /// How long a client that lost its connection may come back to what it had: its attachments and
    /// how far its input came. Default 60 s; zero keeps nothing.
    pub resume_grace: Duration,
    /// How long children may take to end at shutdown before they are killed. Default 400 ms.
    pub shutdown_grace: Duration,
    /// How long no session may live and no client be connected before the engine ends by itself;
    /// `None`, the default, for ever. Sessions whose child has ended and will not be started again
    /// do not keep it: they go with it.
    pub idle_exit: Option<Duration>,
    /// The only directory plugins may be loaded from; `None` allows none.
    pub plugin_directory: Option<PathBuf>,
    /// Where the socket's lock lives; `None` for the user's state directory.
    pub lock_directory: Option<PathBuf>,
    /// Where every frame that is sent or received is recorded; `None` for nowhere. Each costs the
    /// engine's thread a write.
    pub trace: Option<FrameTrace>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            clients_limit: limits::CLIENTS_LIMIT,
            attachments_limit: limits::ATTACHMENTS_LIMIT,
            requests_limit: limits::REQUESTS_LIMIT,
            sessions_limit: limits::SESSIONS_LIMIT,
            exited_limit: limits::EXITED_LIMIT,
            input_window: limits::INPUT_WINDOW,
            log_size: limits::LOG_SIZE,
            log_size_limit: limits::LOG_SIZE_LIMIT,
            deadlines: Deadlines::default(),
            resume_grace: limits::RESUME_GRACE,
            shutdown_grace: limits::SHUTDOWN_GRACE,
            idle_exit: None,
            plugin_directory: None,
            lock_directory: None,
            trace: None,
        }
    }
}

/// Limits that contradict each other; nothing was started.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nobody could ever be served.
    #[error(
        "clients_limit, attachments_limit, requests_limit and sessions_limit must be at least 1"
    )]
    ZeroLimit,
    /// One frame of input would not fit.
    #[error("input_window is {given}; one input frame takes {least}")]
    InputWindow {
        /// The window configured.
        given: u32,
        /// The least that works.
        least: usize,
    },
    /// The names of so many sessions would not fit one answer.
    #[error("sessions_limit is {given}; the most is {SESSIONS_MAX}")]
    SessionsLimit {
        /// The limit configured.
        given: usize,
    },
    /// The log is smaller than the wire allows to ask for, or larger.
    #[error("log_size is {given}; it may be {least} to {most}")]
    LogSize {
        /// The size configured.
        given: usize,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
}

impl ServerConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        use tautline_protocol::limits::{INPUT_MAX, LOG_SIZE_MAX, LOG_SIZE_MIN};

        let limits = [self.clients_limit as usize, self.attachments_limit as usize];
        if limits.contains(&0) || self.requests_limit == 0 || self.sessions_limit == 0 {
            return Err(ConfigError::ZeroLimit);
        }
        if (self.input_window as usize) < INPUT_MAX {
            return Err(ConfigError::InputWindow { given: self.input_window, least: INPUT_MAX });
        }
        if self.sessions_limit > SESSIONS_MAX {
            return Err(ConfigError::SessionsLimit { given: self.sessions_limit });
        }
        if !(LOG_SIZE_MIN as usize..=LOG_SIZE_MAX as usize).contains(&self.log_size) {
            return Err(ConfigError::LogSize {
                given: self.log_size,
                least: LOG_SIZE_MIN,
                most: LOG_SIZE_MAX,
            });
        }
        Ok(())
    }
}
