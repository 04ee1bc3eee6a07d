//! Starting a daemon when none runs, and what such a daemon does first.

mod log_file;
mod log_lines;
mod readiness;
mod start;

pub(crate) use log_file::LogFile;
pub(crate) use log_lines::{LogFormat, LogLines};
pub(crate) use readiness::Readiness;
pub(crate) use start::{LEAVING_LIMIT, LEAVING_PAUSE, log_path, start};

/// What a daemon says, for programs, that finds another one at its socket.
pub(crate) const ALREADY_RUNNING: &str = "already_running";
