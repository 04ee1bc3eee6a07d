//! Starts this very executable as a daemon, once, however many clients want one at the same time.

use std::{
    env,
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, OFlags},
    io::Errno,
};

use super::{
    super::{
        context::own_variables,
        failure::{Failure, exit_code},
        text::child_env::daemon_environment,
    },
    ALREADY_RUNNING,
    readiness::{self, NotReady},
};
use crate::{
    limits::SOCKET_RETRY,
    transport::{UnixTransportStream, state_directory},
};

/// How long a daemon may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(5);

/// How long another client may take to start one before we give up waiting for it.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

/// How often to look whether it is done; a start takes a few milliseconds.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// How long a daemon that is ending may take to be gone, before none is started in its place.
pub(crate) const LEAVING_LIMIT: Duration = Duration::from_secs(2);

/// How often to look whether it is.
pub(crate) const LEAVING_PAUSE: Duration = Duration::from_millis(5);

/// How long one that runs may take to be reached: it ends, or makes a socket again that was swept
/// away, which may take it a [`SOCKET_RETRY`].
const RETURN_LIMIT: Duration = Duration::from_secs(3);

const _: () = assert!(RETURN_LIMIT.as_millis() > SOCKET_RETRY.as_millis());
const _: () = assert!(RETURN_LIMIT.as_millis() >= LEAVING_LIMIT.as_millis());

/// Attempts to reach one that runs, a [`LEAVING_PAUSE`] apart, before we try again to start one in
/// its place: a process each time.
const ATTEMPTS: usize = 10;

/// Starts a daemon at `socket`, with that configuration file if one was named, unless one runs by
/// the time it is our turn; returns whether it was started here.
///
/// Must be called inside a tokio runtime.
pub(crate) fn start(socket: &Path, config: Option<&Path>) -> Result<bool, Failure> {
    let directory = state_directory()
        .map_err(|error| Failure::new(exit_code::FAILURE, "state_directory", error))?;
    make_directory(&directory)
        .map_err(|error| Failure::system(&format!("create {}", directory.display()), &error))?;
    let lock_path = directory.join("start.lock");
    let _lock = take_lock(&lock_path)?;
    let deadline = Instant::now() + RETURN_LIMIT;
    if is_reached(socket) {
        return Ok(false);
    }
    loop {
        match spawn(socket, config) {
            Ok(()) => return Ok(true),
            // One that is ending holds its lock a moment longer than its socket; one whose socket
            // was swept away is about to make it again; one that somebody started by hand, past
            // our lock, can be reached now.
            Err(failed) if failed.code == ALREADY_RUNNING && Instant::now() < deadline => {
                if is_reached_soon(socket) {
                    return Ok(false);
                }
            }
            Err(failed) => return Err(not_started(socket, &failed)),
        }
    }
}

fn is_reached(socket: &Path) -> bool {
    UnixTransportStream::connect(socket).is_ok()
}

fn is_reached_soon(socket: &Path) -> bool {
    (0..ATTEMPTS).any(|_| {
        let is_reached = is_reached(socket);
        if !is_reached {
            thread::sleep(LEAVING_PAUSE);
        }
        is_reached
    })
}

fn not_started(socket: &Path, failed: &NotReady) -> Failure {
    let why = format!("start a daemon at {}: {}", socket.display(), failed.why);
    let failure = Failure::new(exit_code::NO_DAEMON, "daemon_start", why);
    match log_path(socket).filter(|log| log.exists()) {
        Some(log) => failure.with_hint(format!("{} may say more", log.display())),
        None => failure,
    }
}

/// Where a daemon that was started by a client writes what it has to say.
pub(crate) fn log_path(socket: &Path) -> Option<PathBuf> {
    let mut name = socket.file_stem()?.to_os_string();
    name.push(".log");
    Some(state_directory().ok()?.join(name))
}

fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn take_lock(path: &Path) -> Result<File, Failure> {
    let failed = |error: &io::Error| Failure::system(&format!("lock {}", path.display()), error);
    let no_follow = OFlags::NOFOLLOW.bits() as i32;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(no_follow).open(path).map_err(|error| failed(&error))?;
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(LOCK_PAUSE),
            Err(Errno::WOULDBLOCK) => {
                let why = format!("somebody holds {} for too long", path.display());
                return Err(Failure::new(exit_code::TIMED_OUT, "timed_out", why));
            }
            Err(error) => return Err(failed(&error.into())),
        }
    }
}

/// Starts it and waits until it is ready.
fn spawn(socket: &Path, config: Option<&Path>) -> Result<(), NotReady> {
    let mut answer = spawn_only(socket, config).map_err(|error| error.to_string())?;
    readiness::wait(&mut answer, READY_LIMIT)
}

/// Starts it; returns the pipe through which it answers.
fn spawn_only(socket: &Path, config: Option<&Path>) -> io::Result<ChildStdout> {
    let mut command = Command::new(own_executable()?);
    command.arg0("taut").arg("--socket").arg(socket);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command.args(["serve", "--background"]);
    command.env_clear().envs(daemon_environment(&own_variables())).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    crate::sys::prepare_daemon(&mut command);
    let mut starter = command.spawn()?;
    // The daemon is a grandchild: what we started ends as soon as it has started that.
    starter.wait()?;
    starter.stdout.take().ok_or_else(|| io::Error::other("it has no way to answer"))
}

/// This very executable, also when another one was put in its place.
fn own_executable() -> io::Result<PathBuf> {
    let link = PathBuf::from("/proc/self/exe");
    if link.symlink_metadata().is_ok() { Ok(link) } else { env::current_exe() }
}
