//! Binding the socket so that nobody else's is harmed and nobody else can reach ours.
//!
//! In order: take the lock, verify the directory, ask whether somebody answers at the path, remove
//! only what is a dead socket of our own, bind with mode 0600 from the first instant. The lock is
//! kept; a socket that is swept away is made again by the same rules.

use std::{
    fs::{self, File},
    io, mem,
    os::{
        fd::AsFd,
        unix::{
            fs::{DirBuilderExt, FileTypeExt, MetadataExt},
            net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::Mode,
    io::Errno,
    net::{Shutdown, SocketAddrUnix},
};
use tokio::net::UnixListener;

use super::{
    Listener,
    bind_error::{BindError, DirectoryError},
    socket_lock,
    socket_watch::{Found, SocketWatch},
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

/// A bound Unix socket, its lock, and the right to remove it.
///
/// While [`accept`](Listener::accept) is awaited, a socket that was swept away is made again.
#[derive(Debug)]
pub struct UnixTransportListener {
    bound: BoundSocket,
    path: PathBuf,
    /// What was bound before a sweep, until everybody in its queue was let in.
    swept: Option<StdUnixListener>,
    watch: SocketWatch,
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
        socket_address(path)?;
        socket_directory(path)?;
        make_private_directory(lock_directory)?;
        let lock = socket_lock::take(path, lock_directory)?;
        let bound = BoundSocket::bind(path)?;
        let watch = SocketWatch::new();
        let mut listener = Self { bound, path: path.into(), swept: None, watch, _lock: lock };
        listener.look_after_socket();
        Ok(listener)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the socket again if it is gone, and sees to it that the next sweep is noticed.
    fn look_after_socket(&mut self) {
        let Self { bound, path, swept, watch, .. } = self;
        watch.look(path, || {
            if bound.is_at(path) {
                return Ok(Found::InPlace);
            }
            let gone = mem::replace(bound, BoundSocket::bind(path)?);
            *swept = gone.close_to_newcomers();
            Ok(Found::MadeAgain)
        });
    }

    /// The next in the queue of a socket that was swept away; first come, first served.
    fn accept_swept(&mut self) -> io::Result<Option<StdUnixStream>> {
        let Some(swept) = &self.swept else {
            return Ok(None);
        };
        match swept.accept() {
            Ok((stream, _)) => return Ok(Some(stream)),
            Err(error) if is_passing(&error) => return Err(error),
            // The queue is empty, and nobody finds the way to it any more.
            Err(_) => self.swept = None,
        }
        Ok(None)
    }

    /// Removes the socket, if it is still the one that was bound last.
    fn remove_socket(&self) {
        if self.bound.is_at(&self.path) {
            // Nobody is left to be told, and the next daemon copes with a socket that stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for UnixTransportListener {
    fn drop(&mut self) {
        self.remove_socket();
    }
}

impl Listener for UnixTransportListener {
    type Stream = UnixTransportStream;

    async fn accept(&mut self) -> io::Result<UnixTransportStream> {
        loop {
            let stream = match self.accept_swept()? {
                Some(stream) => stream,
                None => tokio::select! {
                    accepted = self.bound.listener.accept() => accepted?.0.into_std()?,
                    () = self.watch.is_due() => {
                        self.look_after_socket();
                        continue;
                    }
                },
            };
            match UnixTransportStream::checked(stream) {
                Ok(stream) => return Ok(stream),
                Err(CheckError::WrongUser(uid)) => tracing::warn!(uid, "refused another user"),
                Err(CheckError::Io(error)) => return Err(error),
            }
        }
    }

    fn retire(&mut self) -> Option<io::Result<UnixTransportStream>> {
        self.remove_socket();
        loop {
            let waiting = match self.accept_swept() {
                Ok(None) => self.bound.last_in_queue(),
                swept => swept,
            };
            let outcome = match waiting.map(|stream| stream.map(UnixTransportStream::checked)) {
                Ok(None) => return None,
                Ok(Some(Ok(stream))) => Ok(stream),
                Ok(Some(Err(CheckError::WrongUser(_)))) => continue,
                Ok(Some(Err(CheckError::Io(error)))) | Err(error) => Err(error),
            };
            // As after a sweep: a new socket, and whoever still waits at the old one goes first.
            self.look_after_socket();
            return Some(outcome);
        }
    }
}

/// A listening socket, and which file is its name.
#[derive(Debug)]
struct BoundSocket {
    listener: UnixListener,
    /// Device and inode. The socket keeps its inode from being used again while it is open, so no
    /// other file can ever have this identity, swept or not.
    identity: (u64, u64),
}

impl BoundSocket {
    /// Binds `path`, whose lock we hold.
    fn bind(path: &Path) -> Result<Self, BindError> {
        let address = socket_address(path)?;
        make_private_directory(socket_directory(path)?)?;
        remove_dead_socket(path)?;
        let bind = || -> io::Result<Self> {
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
            Ok(Self { listener, identity: (metadata.dev(), metadata.ino()) })
        };
        bind().map_err(|source| BindError::SocketBind { path: path.into(), source })
    }

    /// Whether the file at `path` is still this socket.
    fn is_at(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|it| (it.dev(), it.ino()) == self.identity)
    }

    /// Lets nobody join the queue any more, so that it can be emptied without losing anybody.
    fn close_to_newcomers(self) -> Option<StdUnixListener> {
        self.shut();
        self.listener.into_std().ok()
    }

    fn shut(&self) {
        // Where a listener cannot be shut, only who connects in this very moment is turned away.
        let _ = rustix::net::shutdown(&self.listener, Shutdown::Read);
    }

    /// Shuts it, and takes who waits, if anybody does.
    fn last_in_queue(&self) -> io::Result<Option<StdUnixStream>> {
        self.shut();
        let listener = StdUnixListener::from(self.listener.as_fd().try_clone_to_owned()?);
        match listener.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(error) if is_passing(&error) => Err(error),
            Err(_) => Ok(None),
        }
    }
}

/// Whether accepting fails for now, and not because the queue is empty.
fn is_passing(error: &io::Error) -> bool {
    let passing =
        [Errno::INTR, Errno::CONNABORTED, Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

fn socket_address(path: &Path) -> Result<SocketAddrUnix, BindError> {
    SocketAddrUnix::new(path).map_err(|_| BindError::PathTooLong { path: path.into() })
}

fn socket_directory(path: &Path) -> Result<&Path, BindError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.ok_or_else(|| BindError::NoDirectory { path: path.into() })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waited_at_a_socket_that_was_swept_is_let_in_first() {
        let directory = std::env::temp_dir().join(format!("taut-b{}", std::process::id()));
        let path = directory.join("taut.sock");
        let mut listener = UnixTransportListener::bind(&path, &directory).unwrap();
        let first: Vec<_> = (0..5).map(|_| connect_socket(&path).unwrap()).collect();
        fs::remove_file(&path).unwrap();
        listener.look_after_socket();
        let last = connect_socket(&path).unwrap();
        for waited in first.iter().chain([&last]) {
            rustix::net::send(waited, b"x", rustix::net::SendFlags::empty()).unwrap();
            let stream = listener.accept().await.unwrap();
            let mut byte = [0];
            let read =
                std::future::poll_fn(|cx| super::super::Stream::poll_read(&stream, cx, &mut byte));
            assert_eq!(read.await.unwrap(), 1);
        }
        drop(listener);
        assert!(look_at(&path).unwrap().is_none());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn nobody_is_lost_when_a_listener_retires() {
        let directory = std::env::temp_dir().join(format!("taut-r{}", std::process::id()));
        let path = directory.join("taut.sock");
        let mut listener = UnixTransportListener::bind(&path, &directory).unwrap();
        let waiting = [connect_socket(&path).unwrap(), connect_socket(&path).unwrap()];
        let first = listener.retire().unwrap().unwrap();
        let third = connect_socket(&path).unwrap();
        let (second, last) = (listener.accept().await.unwrap(), listener.accept().await.unwrap());
        for (client, stream) in waiting.iter().chain([&third]).zip([first, second, last]) {
            rustix::net::send(client, b"x", rustix::net::SendFlags::empty()).unwrap();
            let mut byte = [0];
            let read =
                std::future::poll_fn(|cx| super::super::Stream::poll_read(&stream, cx, &mut byte));
            assert_eq!(read.await.unwrap(), 1);
        }
        assert!(listener.retire().is_none());
        assert!(matches!(connect_socket(&path), Err(ConnectError::NotRunning { .. })));
        drop(listener);
        fs::remove_dir_all(&directory).unwrap();
    }
}
