//! Where the socket and the lock live, without asking.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Why there is no default path.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SocketPathError {
    /// The name of a daemon beside the default one would leave its directory.
    #[error("a daemon's name has 1 to 64 of A-Z a-z 0-9 . _ - and begins with none of . -")]
    Name,
    /// Neither `XDG_STATE_HOME` nor `HOME` is set to an absolute path.
    #[error("neither XDG_STATE_HOME nor HOME is an absolute path")]
    NoHome,
}

/// The socket of the user's own daemon: `$XDG_RUNTIME_DIR/taut/taut.sock`; without that variable,
/// `taut-UID/taut.sock` in the temporary directory.
///
/// Nothing is created or checked here; binding and connecting verify the directory.
pub fn default_socket_path() -> PathBuf {
    runtime_directory().join("taut.sock")
}

/// The socket of a daemon with a name of its own, beside the default one.
///
/// # Errors
///
/// If the name is not one a session could have.
pub fn socket_path_for(name: &str) -> Result<PathBuf, SocketPathError> {
    if !tautline_protocol::is_session_name(name.as_bytes()) {
        return Err(SocketPathError::Name);
    }
    Ok(runtime_directory().join(format!("{name}.sock")))
}

/// Where locks and logs live: `$XDG_STATE_HOME/taut`, else `$HOME/.local/state/taut`.
///
/// Not the runtime directory: logout may sweep that while shells live on, and a second daemon must
/// not start beside the first.
///
/// # Errors
///
/// If neither variable is an absolute path.
pub fn state_directory() -> Result<PathBuf, SocketPathError> {
    if let Some(state) = absolute("XDG_STATE_HOME") {
        return Ok(state.join("taut"));
    }
    let home = absolute("HOME").ok_or(SocketPathError::NoHome)?;
    Ok(home.join(".local/state/taut"))
}

fn runtime_directory() -> PathBuf {
    match absolute("XDG_RUNTIME_DIR") {
        Some(runtime) => runtime.join("taut"),
        None => env::temp_dir().join(format!("taut-{}", user_id())),
    }
}

/// XDG's rule: a relative path in such a variable is ignored.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| Path::is_absolute(path))
}

#[cfg(unix)]
fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn user_id() -> u32 {
    0
}
