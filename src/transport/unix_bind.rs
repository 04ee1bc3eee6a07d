//! Binding the socket so that nobody else's is harmed and nobody else can reach ours.
//!
//! In order: verify the directory, take the lock, ask whether somebody answers at the path, remove
//! only what is a dead socket of our own, bind with mode 0600 from the first instant.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt},
        net::UnixListener as StdUnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode},
    io::Errno,
    net::SocketAddrUnix,
};
use tokio::net::UnixListener;

use super::{
    Listener,
    unix_stream::{CheckError, ConnectError, UnixTransportStream, connect_socket},
};

/// Longest path of a socket on this platform, in bytes, without its terminating NUL.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const PATH_SIZE_MAX: usize = 107;
/// Longest path of a socket on this platform, in bytes, without its terminating NUL.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const PATH_SIZE_MAX: usize = 103;

/// Clients the system may queue while we are busy; it cuts the number to its own limit.
const BACKLOG: i32 = 4096;

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

/// A bound Unix socket, its lock, and the right to remove it.
#[derive(Debug)]
pub struct UnixTransportListener {
    listener: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
    _lock: File,
}

impl UnixTransportListener {
    /// Binds `path`, with its lock in `lock_directory`.
    ///
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BindError`]: a live daemon is never disturbed, and nothing that is not a dead socket
    /// of ours is ever removed.
    pub fn bind(path: &Path, lock_directory: &Path) -> Result<Self, BindError> {
        let at = || PathBuf::from(path);
        let address =
            SocketAddrUnix::new(path).map_err(|_| BindError::PathTooLong { path: at() })?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.ok_or_else(|| BindError::NoDirectory { path: at() })?;
        make_private_directory(parent)?;
        make_private_directory(lock_directory)?;
        let lock = take_lock(path, &lock_path(path, lock_directory))?;
        remove_dead_socket(path)?;
        let bind = || -> io::Result<(UnixListener, (u64, u64))> {
            let socket = crate::sys::unix_socket()?;
            // The mode of the file that `bind` makes is that of the socket: never wider, not even
            // for an instant, and without touching the process's umask.
            rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
            rustix::net::bind(&socket, &address)?;
            tighten(path)?;
            rustix::net::listen(&socket, BACKLOG)?;
            let metadata = fs::symlink_metadata(path)?;
            let listener = StdUnixListener::from(socket);
            listener.set_nonblocking(true)?;
            let listener = UnixListener::from_std(listener)?;
            Ok((listener, (metadata.dev(), metadata.ino())))
        };
        let (listener, identity) =
            bind().map_err(|source| BindError::SocketBind { path: at(), source })?;
        Ok(Self { listener, path: at(), identity, _lock: lock })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixTransportListener {
    /// Removes the socket, if it is still the one that was bound.
    fn drop(&mut self) {
        let ours = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| ours(&metadata)) {
            // Nobody is left to be told, and the next daemon copes with a socket that stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listener for UnixTransportListener {
    type Stream = UnixTransportStream;

    async fn accept(&mut self) -> io::Result<UnixTransportStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match UnixTransportStream::checked(stream.into_std()?) {
                Ok(stream) => return Ok(stream),
                Err(CheckError::WrongUser(uid)) => tracing::warn!(uid, "refused another user"),
                Err(CheckError::Io(error)) => return Err(error),
            }
        }
    }
}

/// The lock of a socket path, wherever the socket itself may have been swept to.
fn lock_path(socket: &Path, directory: &Path) -> PathBuf {
    let name = socket.file_name().unwrap_or_default().to_string_lossy();
    directory.join(format!("{name}-{:016x}.lock", fnv1a(socket.as_os_str().as_bytes())))
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>. Names files; proves nothing.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn take_lock(socket: &Path, path: &Path) -> Result<File, BindError> {
    let failed = |source| BindError::Lock { path: path.into(), source };
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(no_follow).open(path).map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(BindError::AlreadyRunning { path: socket.into() }),
        Err(error) => Err(failed(error.into())),
    }
}

/// Removes a socket of ours that nobody answers at; anything else stays and is named.
fn remove_dead_socket(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::SocketBind { path: path.into(), source };
    let Some(metadata) = look_at(path).map_err(failed)? else {
        return Ok(());
    };
    if let Some(what) = why_not_ours(&metadata) {
        return Err(BindError::NotOurSocket { path: path.into(), what });
    }
    match connect_socket(path) {
        Err(ConnectError::StaleSocket { .. } | ConnectError::NotRunning { .. }) => {}
        Ok(_) | Err(_) => return Err(BindError::AlreadyRunning { path: path.into() }),
    }
    match look_at(path).map_err(failed)? {
        Some(now) if (now.dev(), now.ino()) != (metadata.dev(), metadata.ino()) => {
            Err(BindError::AlreadyRunning { path: path.into() })
        }
        Some(_) => fs::remove_file(path).map_err(failed),
        None => Ok(()),
    }
}

fn look_at(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn why_not_ours(metadata: &fs::Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        Some("a symbolic link")
    } else if kind.is_dir() {
        Some("a directory")
    } else if !kind.is_socket() {
        Some("a file")
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        Some("another user's socket")
    } else {
        None
    }
}

/// Makes the directory with mode 0700, or checks the one that is there.
fn make_private_directory(path: &Path) -> Result<(), DirectoryError> {
    let failed = |source| DirectoryError::Io { path: path.into(), source };
    if look_at(path).map_err(failed)?.is_none() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    }
    check_directory(path)
}

/// Whether only we can reach into the directory.
pub(super) fn check_directory(path: &Path) -> Result<(), DirectoryError> {
    let metadata = fs::symlink_metadata(path)
        .map_err(|source| DirectoryError::Io { path: path.into(), source })?;
    if !metadata.is_dir() {
        return Err(DirectoryError::NotADirectory { path: path.into() });
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(DirectoryError::ForeignOwner { path: path.into(), uid: metadata.uid() });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DirectoryError::TooOpen { path: path.into(), mode });
    }
    Ok(())
}

/// Where a socket's own mode does not become its file's, the private directory protects it until
/// this has run.
fn tighten(path: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(path)?.mode() & 0o777;
    if mode != 0o600 {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    }
    Ok(())
}
