//! The seam between the engine and whatever carries bytes: listener, stream, peer identity.
//!
//! Two implementations: Unix sockets, and a pair in memory for clients in the engine's own process
//! and for tests. The engine is generic over them: one copy of the hot path per transport, no
//! virtual call in it. `cfg(platform)` appears only here, in `pty` and in `sys`.

#[cfg(unix)]
mod bind_error;
#[cfg(unix)]
mod directory_watch;
mod memory;
#[cfg(unix)]
mod socket_lock;
mod socket_path;
#[cfg(unix)]
mod socket_watch;
#[cfg(unix)]
mod unix_bind;
#[cfg(unix)]
mod unix_stream;

use std::{
    future::Future,
    io::{self, IoSlice},
    task::{Context, Poll},
};

#[cfg(unix)]
pub use bind_error::{BindError, DirectoryError};
pub use memory::{MemoryConnector, MemoryListener, MemoryStream, memory_transport};
pub use socket_path::{SocketPathError, default_socket_path, socket_path_for, state_directory};
#[cfg(unix)]
pub use unix_bind::UnixTransportListener;
#[cfg(unix)]
pub use unix_stream::{ConnectError, UnixTransportStream};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerIdentity {
    /// The user. The only part anything is decided by.
    pub uid: u32,
    /// The process, for display: it may be gone or another by now.
    pub pid: Option<u32>,
}

/// An ordered, reliable stream of bytes in both directions.
pub trait Stream: Send + Sync + 'static {
    /// Reads what is there, up to `buffer`'s size; 0 is the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a pending read has taken nothing.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes what fits now, from as many slices as the system takes; never waits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing fits.
    fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until something fits again, after a [`try_write`](Self::try_write) that did not fit.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Who is at the other end.
    fn peer(&self) -> PeerIdentity;
}

/// Where streams come from.
pub trait Listener: Send + 'static {
    /// What it yields.
    type Stream: Stream;

    /// Waits for the next client.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait has accepted nobody.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Lets nobody new come, unless somebody came already: then that is the next client, and it
    /// goes on. Nobody is lost in between.
    fn retire(&mut self) -> Option<io::Result<Self::Stream>>;
}
