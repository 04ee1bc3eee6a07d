//! Why a socket was not bound.

use std::{io, path::PathBuf};

use super::unix_bind::PATH_SIZE_MAX;

/// Why nobody listens; nothing was removed or changed then but directories that were made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// A daemon runs there already.
    #[error("a daemon is already running at {}", path.display())]
    AlreadyRunning {
        /// The path asked for.
        path: PathBuf,
    },
    /// The path holds something that is no socket of ours.
    #[error(
        "{} is {what}, not a socket of yours; remove it or choose another path",
        path.display()
    )]
    NotOurSocket {
        /// The path asked for.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The directory is not private.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The path is too long for a socket.
    #[error(
        "{} is longer than a socket's path may be, {PATH_SIZE_MAX} bytes; choose a shorter one",
        path.display()
    )]
    PathTooLong {
        /// The path asked for.
        path: PathBuf,
    },
    /// The path has no directory.
    #[error("{} is not a path a socket can have", path.display())]
    NoDirectory {
        /// The path asked for.
        path: PathBuf,
    },
    /// The lock could not be taken for another reason than a daemon holding it.
    #[error("lock {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused to bind.
    #[error("bind {}", path.display())]
    SocketBind {
        /// The path asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a directory may not hold our socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It belongs to somebody else.
    #[error("{} belongs to user {uid}, not to you; choose a directory of your own", path.display())]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Others can reach into it.
    #[error(
        "{0} has mode {mode:03o}, and others must not reach into it; try: chmod 700 {0}",
        path.display()
    )]
    TooOpen {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is a symbolic link, a file, or something else that is no directory.
    #[error("{} is not a directory of its own (a symbolic link does not count)", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// It could not be made or looked at.
    #[error("directory {}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DirectoryError {
    /// Whose the directory is, if that is what is wrong.
    pub(super) const fn foreign_uid(&self) -> Option<u32> {
        match self {
            Self::ForeignOwner { uid, .. } => Some(*uid),
            _ => None,
        }
    }
}
