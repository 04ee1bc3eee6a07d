//! How a session's child is started, now and again.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use tautline_protocol::entries;

use super::{Engine, failure::Failure};
use crate::pty::ChildCommand;

/// Program, environment and directory, as they were asked for.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) argv: Vec<u8>,
    pub(super) env: Vec<u8>,
    pub(super) cwd: Vec<u8>,
    /// Whether the child starts from the engine's own basic variables.
    pub(super) is_clean: bool,
    pub(super) is_raw: bool,
    pub(super) is_login: bool,
}

impl Recipe {
    /// Takes over variables for children started later.
    pub(super) fn refresh_env(&mut self, changes: &[u8]) {
        for change in entries(changes) {
            let name = change.split_inclusive(|&byte| byte == b'=').next().unwrap_or_default();
            let is_other = |entry: &&[u8]| !entry.starts_with(name);
            let mut env: Vec<u8> =
                entries(&self.env).filter(is_other).flat_map(terminated).collect();
            env.extend(terminated(change));
            self.env = env;
        }
    }

    pub(super) fn command(&self, engine: &Engine, session: &str) -> Result<ChildCommand, Failure> {
        let mut env: Vec<(OsString, OsString)> =
            if self.is_clean { basic_environment() } else { Vec::new() };
        for (name, value) in entries(&self.env).filter_map(variable) {
            env.retain(|(known, _)| *known != name);
            env.push((name, value));
        }
        if !env.iter().any(|(name, _)| name == "TERM") {
            env.push(("TERM".into(), "xterm-256color".into()));
        }
        let mut set = |name: &str, value: &OsStr| {
            env.retain(|(known, _)| known != name);
            env.push((name.into(), value.into()));
        };
        set("TAUT_SESSION", OsStr::new(session));
        if let Some(socket) = engine.socket_path() {
            set("TAUT_SOCKET", socket.as_os_str());
        }
        let lookup = |name: &str| {
            env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let mut argv = entries(&self.argv).map(|arg| OsStr::from_bytes(arg).to_os_string());
        let program = argv
            .next()
            .or_else(|| lookup("SHELL").filter(|shell| !shell.is_empty()))
            .unwrap_or_else(|| "/bin/sh".into());
        let cwd = match self.cwd.as_slice() {
            [] => lookup("HOME").map_or_else(|| "/".into(), PathBuf::from),
            cwd => PathBuf::from(OsStr::from_bytes(cwd)),
        };
        let arg0 = self.is_login.then(|| {
            let name = PathBuf::from(&program);
            let mut arg0 = OsString::from("-");
            arg0.push(name.file_name().unwrap_or(&program));
            arg0
        });
        let args = argv.collect();
        Ok(ChildCommand { program, arg0, args, env, cwd, is_raw: self.is_raw })
    }
}

/// The engine's own variables that any child can use.
fn basic_environment() -> Vec<(OsString, OsString)> {
    const NAMES: [&str; 7] = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ"];
    let is_basic = |name: &OsStr| {
        NAMES.iter().any(|known| name == *known) || name.as_bytes().starts_with(b"LC_")
    };
    std::env::vars_os().filter(|(name, _)| is_basic(name)).collect()
}

/// An entry as it stands in a list.
fn terminated(entry: &[u8]) -> Vec<u8> {
    [entry, b"\0"].concat()
}

fn variable(entry: &[u8]) -> Option<(OsString, OsString)> {
    let at = entry.iter().position(|&byte| byte == b'=')?;
    let text = |bytes| OsStr::from_bytes(bytes).to_os_string();
    Some((text(&entry[..at]), text(&entry[at + 1..])))
}
