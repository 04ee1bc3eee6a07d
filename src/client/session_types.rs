//! What is asked of sessions and told about them, as owned values.

use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::PathBuf, time::Duration};

use tautline_protocol::{
    ArchivedStatus, ExitKind, RestartPolicy, SessionState, SizePolicy, WindowSize, entries,
};

use crate::state::Exit;

/// What to start.
#[derive(Clone, Debug)]
pub struct SpawnRequest {
    /// The session's name; empty for one of the engine's choosing.
    pub name: String,
    /// Program and arguments; empty for `$SHELL` of `env`.
    pub argv: Vec<OsString>,
    /// The child's environment; the engine adds `TAUT_SESSION` and `TAUT_SOCKET`.
    pub env: Vec<(OsString, OsString)>,
    /// Where to start; empty for `$HOME` of `env`.
    pub cwd: PathBuf,
    /// The window's size; 0x0 for the engine's choice, 80x24.
    pub size: WindowSize,
    /// What happens when the child ends.
    pub restart: RestartPolicy,
    /// Whose size counts.
    pub size_policy: SizePolicy,
    /// Size of the session log in bytes; 0 for the engine's choice.
    pub log_size: u32,
    /// [`SpawnFlags`](tautline_protocol::SpawnFlags).
    pub flags: u32,
}

impl Default for SpawnRequest {
    fn default() -> Self {
        Self {
            name: String::new(),
            argv: Vec::new(),
            env: Vec::new(),
            cwd: PathBuf::new(),
            size: WindowSize::default(),
            restart: RestartPolicy::Never,
            size_policy: SizePolicy::Latest,
            log_size: 0,
            flags: 0,
        }
    }
}

/// What was started, or was there already.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SpawnedSession {
    /// The session's name.
    pub name: String,
    /// The child's process id, for display.
    pub pid: u32,
    /// The epoch that runs.
    pub epoch: u64,
    /// It was there already; nothing was started.
    pub existed: bool,
}

/// One session, described.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: SessionState,
    /// The child's process id; 0 if there is none.
    pub pid: u32,
    /// Program and arguments.
    pub command: Vec<Vec<u8>>,
    /// The child's directory, if known.
    pub cwd: Vec<u8>,
    /// Name of the process in the foreground, if known.
    pub foreground: Vec<u8>,
    /// The title the child set.
    pub title: Vec<u8>,
    /// The window.
    pub size: WindowSize,
    /// Whose size counts.
    pub size_policy: SizePolicy,
    /// What happens when the child ends.
    pub restart: RestartPolicy,
    /// Attachments.
    pub attachments: u32,
    /// When it was made, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// The epoch that runs, or ran last.
    pub epoch: u64,
    /// Input bytes written to the PTY in this epoch.
    pub input_offset: u64,
    /// Output bytes printed since the session was made.
    pub output_offset: u64,
    /// The oldest output byte the log holds.
    pub log_start: u64,
    /// How often the child was started again.
    pub restarts: u32,
    /// How the child ended, if it did.
    pub exit: Option<Exit>,
}

impl From<&ArchivedStatus<'_>> for SessionStatus {
    fn from(status: &ArchivedStatus<'_>) -> Self {
        let kind = ExitKind::from_wire(status.exit_kind).filter(|kind| *kind != ExitKind::None);
        Self {
            name: String::from_utf8_lossy(&status.name).into_owned(),
            state: SessionState::from_wire(status.state).unwrap_or(SessionState::Exited),
            pid: status.pid.to_native(),
            command: entries(&status.command).map(<[u8]>::to_vec).collect(),
            cwd: status.cwd.to_vec(),
            foreground: status.foreground.to_vec(),
            title: status.title.to_vec(),
            size: WindowSize::from(&status.size),
            size_policy: SizePolicy::from_wire(status.size_policy).unwrap_or(SizePolicy::Latest),
            restart: RestartPolicy::from_wire(status.restart).unwrap_or(RestartPolicy::Never),
            attachments: status.attachments.to_native(),
            created_unix_ms: status.created_unix_ms.to_native(),
            epoch: status.epoch.to_native(),
            input_offset: status.input_offset.to_native(),
            output_offset: status.output_offset.to_native(),
            log_start: status.log_start.to_native(),
            restarts: status.restarts.to_native(),
            exit: kind.map(|kind| Exit { kind, value: status.exit_value.to_native() }),
        }
    }
}

/// The times of one ping. The engine's clock compares with ours only on one machine since one boot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PongTimes {
    /// From before the ping was sent to after the answer was taken in.
    pub round_trip: Duration,
    /// Our clock when the ping was sent, in nanoseconds.
    pub sent_ns: u64,
    /// The engine's clock when it had read the ping.
    pub received_ns: u64,
    /// The engine's clock when it answered.
    pub replied_ns: u64,
}

/// Strings as they travel: each ended by NUL.
pub(super) fn list(strings: &[OsString]) -> Vec<u8> {
    strings.iter().flat_map(|string| [string.as_bytes(), b"\0"].concat()).collect()
}

/// Variables as they travel: `NAME=value`, each ended by NUL.
pub(super) fn env_list(env: &[(OsString, OsString)]) -> Vec<u8> {
    let entry = |(name, value): &(OsString, OsString)| {
        [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat()
    };
    env.iter().flat_map(entry).collect()
}
