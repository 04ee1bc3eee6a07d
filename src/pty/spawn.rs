//! Starting a child on a fresh PTY, and saying exactly what went wrong if it cannot be.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use parking_lot::Mutex;
use portable_pty::native_pty_system;
use rustix::{
    fs::OFlags,
    termios::{InputModes, LocalModes, OptionalActions, OutputModes, Termios},
};
use tautline_protocol::WindowSize;

use super::{Child, ChildCommand, Controller, SpawnError, controller::pty_size};

/// portable-pty marks its descriptors close-on-exec only after opening them: a spawn in between
/// would hand them to another child.
static OPENING: Mutex<()> = Mutex::new(());

/// Opens a PTY of that size and starts the command on it.
///
/// Blocks for as long as fork and exec take, about a millisecond. Must be called inside a tokio
/// runtime.
///
/// # Errors
///
/// Also what only shows in the child: a missing program, interpreter or directory.
pub fn spawn(command: &ChildCommand, size: WindowSize) -> Result<(Controller, Child), SpawnError> {
    check_directory(&command.cwd)?;
    let opening = OPENING.lock();
    let pair = native_pty_system().openpty(pty_size(size)).map_err(no_terminal)?;
    let name = pair.master.tty_name().ok_or_else(|| no_terminal("it has no name"))?;
    let flags = (OFlags::NOCTTY | OFlags::CLOEXEC).bits() as i32;
    let user_side = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(name)
        .map_err(no_terminal)?;
    set_modes(&user_side, command.is_raw).map_err(no_terminal)?;
    let controller = Controller::new(pair.master).map_err(no_terminal)?;
    let stdio = || user_side.try_clone().map(Stdio::from).map_err(no_terminal);
    let mut child = Command::new(&command.program);
    child.args(&command.args).current_dir(&command.cwd).env_clear();
    child.envs(command.env.iter().map(|(name, value)| (name, value)));
    child.stdin(stdio()?).stdout(stdio()?).stderr(stdio()?);
    if let Some(arg0) = &command.arg0 {
        child.arg0(arg0);
    }
    crate::sys::prepare_child(&mut child);
    let started = child.spawn();
    drop(opening);
    match started {
        Ok(started) => Ok((controller, Child::new(started))),
        Err(source) => Err(why_not_started(command, source)),
    }
}

fn check_directory(cwd: &Path) -> Result<(), SpawnError> {
    let failed = |source| SpawnError::BadDirectory { cwd: cwd.into(), source };
    let metadata = fs::metadata(cwd).map_err(failed)?;
    if !metadata.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    rustix::fs::access(cwd, rustix::fs::Access::EXEC_OK).map_err(|errno| failed(errno.into()))
}

fn no_terminal(reason: impl std::fmt::Display) -> SpawnError {
    SpawnError::NoTerminal { reason: reason.to_string() }
}

/// UTF-8 aware erasing, which portable-pty leaves off; for a raw child, no echo and no output
/// processing, but still an end-of-file and an interrupt character.
fn set_modes(user_side: &fs::File, is_raw: bool) -> io::Result<()> {
    let mut modes: Termios = rustix::termios::tcgetattr(user_side)?;
    modes.input_modes |= InputModes::IUTF8;
    if is_raw {
        modes.local_modes -= LocalModes::ECHO | LocalModes::ECHONL;
        modes.output_modes -= OutputModes::OPOST;
    }
    Ok(rustix::termios::tcsetattr(user_side, OptionalActions::Now, &modes)?)
}

fn why_not_started(command: &ChildCommand, source: io::Error) -> SpawnError {
    let program = command.program.clone();
    let found = find_program(command);
    match (source.raw_os_error(), found) {
        (Some(libc::ENOENT | libc::ENOTDIR), None) => SpawnError::ProgramNotFound { program },
        // A directory in PATH that may not be looked into is the reason, and no program.
        (Some(libc::EACCES), None) if is_bare(&program) => SpawnError::ProgramNotFound { program },
        (Some(libc::ENOENT), Some(_)) => SpawnError::ProgramNotExecutable {
            program,
            why: "the interpreter it names does not exist",
            source,
        },
        (Some(libc::EACCES), Some(metadata)) if metadata.is_dir() => {
            SpawnError::ProgramNotExecutable { program, why: "it is a directory", source }
        }
        (Some(libc::EACCES | libc::EPERM), _) => {
            SpawnError::ProgramNotExecutable { program, why: "you may not execute it", source }
        }
        (Some(libc::ENOEXEC), _) => SpawnError::ProgramNotExecutable {
            program,
            why: "it is neither a program nor a script with an interpreter",
            source,
        },
        (Some(libc::E2BIG), _) => SpawnError::ProgramNotExecutable {
            program,
            why: "arguments and environment are larger than the system allows",
            source,
        },
        _ => SpawnError::System { program, source },
    }
}

/// The file a program's name leads to, executable or not.
fn find_program(command: &ChildCommand) -> Option<fs::Metadata> {
    let program = Path::new(&command.program);
    if !is_bare(&command.program) {
        return fs::metadata(command.cwd.join(program)).ok();
    }
    let (_, path) = command.env.iter().find(|(name, _)| name == "PATH")?;
    let candidates = std::env::split_paths(path).map(|directory| directory.join(program));
    let mut found = candidates.filter_map(|candidate| fs::metadata(candidate).ok());
    found.find(fs::Metadata::is_file)
}

/// Whether a program is looked up in PATH.
fn is_bare(program: &OsStr) -> bool {
    !program.as_bytes().contains(&b'/')
}
