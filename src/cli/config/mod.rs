//! The configuration file: what may be in it, what it says, and where each value came from.
//!
//! `keys` is the table of all keys, `field` what each takes, `file` finds and reads the file. The
//! command line and the environment win over the file, the file over the defaults.

mod field;
mod file;
mod keys;

use std::path::{Path, PathBuf};

pub(crate) use field::Shown;
pub(crate) use file::{find_file, read_file};
pub(crate) use keys::{IDLE_EXIT_MIN, KEYS, Key};

use super::{
    failure::{Failure, exit_code},
    keys::DetachKeys,
    text::child_env::SEAT,
};
use crate::ServerConfig;

/// What can be configured.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where the daemon listens.
    pub(crate) socket: Option<PathBuf>,
    /// How a daemon behaves.
    pub(crate) server: ServerConfig,
    /// What detaches.
    pub(crate) detach_keys: DetachKeys,
    /// Variables that a session takes over of whoever attaches.
    pub(crate) update_environment: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socket: None,
            server: ServerConfig::default(),
            detach_keys: DetachKeys::usual(),
            update_environment: SEAT.map(String::from).to_vec(),
        }
    }
}

/// What is configured, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// The values in force, but for what the command line and the environment say.
    pub(crate) settings: Settings,
    /// The file that was read.
    pub(crate) path: Option<PathBuf>,
    /// Whether the file was named, and not found at its usual place.
    pub(crate) is_named: bool,
    /// Keys that the file sets, and in which line.
    pub(crate) lines: Vec<(&'static str, usize)>,
}

/// Something in a file that cannot be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    /// Where, counted from 1.
    pub(crate) line: usize,
    /// What, and what is allowed there.
    pub(crate) what: String,
}

impl Config {
    /// Reads the file that `--config` or `TAUT_CONFIG` names, else the usual one if there is one.
    pub(crate) fn load(flag: Option<&Path>) -> Result<Self, Failure> {
        let Some((path, is_named)) = find_file(flag)? else {
            return Ok(Self::default());
        };
        let (mut config, faults) = read_file(&path)?;
        if let Some(fault) = faults.first() {
            return Err(refuse(&path, fault, faults.len() - 1));
        }
        config.is_named = is_named;
        Ok(config)
    }
}

fn refuse(path: &Path, fault: &Fault, others: usize) -> Failure {
    let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
    let why = format!("{}:{}: {}{more}", path.display(), fault.line, fault.what);
    let hint = "taut config check lists what is wrong; --config /dev/null does without the file";
    Failure::new(exit_code::USAGE, "config", why).with_hint(hint)
}
