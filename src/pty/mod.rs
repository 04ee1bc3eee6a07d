//! Hosting a child on a PTY: open the pair, spawn, resize, signal, wait.
//!
//! The two ends are called controller side and user side (manual pages: master and slave). The pair
//! is opened and resized through `portable-pty`; spawning is our own, because that crate's loses
//! exec errors, its writer sends an end-of-file when dropped, and its `kill` blocks.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod controller;
#[cfg(unix)]
mod line_rules;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod spawn;

use std::{ffi::OsString, io, path::PathBuf};

#[cfg(unix)]
pub use child::Child;
#[cfg(unix)]
pub(crate) use child::signal;
#[cfg(unix)]
pub use controller::Controller;
#[cfg(unix)]
pub use line_rules::LINE_MAX;
#[cfg(unix)]
pub(crate) use process::{process_directory, process_name};
#[cfg(unix)]
pub use spawn::spawn;

/// What to run.
#[derive(Clone, Debug)]
pub struct ChildCommand {
    /// The program, looked up in the `PATH` of `env` unless it has a slash.
    pub program: OsString,
    /// The name the program is given as its first argument, if not `program`.
    pub arg0: Option<OsString>,
    /// The arguments behind it.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub cwd: PathBuf,
    /// No echo and no output processing: what the child prints is what is read.
    pub is_raw: bool,
}

// Engines are for Unix so far.
#[cfg(unix)]
impl ChildCommand {
    /// Program and arguments as a list, each ended by NUL.
    pub(crate) fn argv(&self) -> Vec<u8> {
        let program = std::iter::once(&self.program);
        let strings = program.chain(&self.args);
        strings.flat_map(|string| [string.as_encoded_bytes(), b"\0"].concat()).collect()
    }
}

/// Why nothing was started; nothing is left behind then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// No such program.
    #[error("{} was not found", program.display())]
    ProgramNotFound {
        /// The program asked for.
        program: OsString,
    },
    /// It is there, but cannot be executed.
    #[error("{} cannot be executed: {why}", program.display())]
    ProgramNotExecutable {
        /// The program asked for.
        program: OsString,
        /// In words.
        why: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The directory to start in cannot be entered.
    #[error("cannot start in {}", cwd.display())]
    BadDirectory {
        /// The directory asked for.
        cwd: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no terminal left, or refused one.
    #[error("open a terminal: {reason}")]
    NoTerminal {
        /// What the system said.
        reason: String,
    },
    /// The system refused for another reason.
    #[error("start {}", program.display())]
    System {
        /// The program asked for.
        program: OsString,
        /// What the system said.
        source: io::Error,
    },
}
