//! A transport inside one process: for embedders that are their own client, and for tests.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Listener, PeerIdentity, Stream};

/// Bytes in flight in each direction: like a socket's buffer, it makes a writer wait.
const PIPE_SIZE: usize = 64 * 1024;

/// Streams that may wait to be accepted; one more waits in `connect`.
const BACKLOG: usize = 64;

/// A listener, and the way to connect to it.
pub fn memory_transport() -> (MemoryConnector, MemoryListener) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (MemoryConnector { sender }, MemoryListener { receiver })
}

/// Connects to a [`MemoryListener`]; clones connect to the same one.
#[derive(Clone, Debug)]
pub struct MemoryConnector {
    sender: mpsc::Sender<MemoryStream>,
}

impl MemoryConnector {
    /// A new stream to the listener.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if the listener is gone.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait has connected nothing.
    pub async fn connect(&self) -> io::Result<MemoryStream> {
        let (near, far) = MemoryStream::pair();
        let refused = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
        self.sender.send(far).await.map_err(refused)?;
        Ok(near)
    }
}

/// Accepts what [`MemoryConnector`]s connect.
#[derive(Debug)]
pub struct MemoryListener {
    receiver: mpsc::Receiver<MemoryStream>,
}

impl Listener for MemoryListener {
    type Stream = MemoryStream;

    async fn accept(&mut self) -> io::Result<MemoryStream> {
        match self.receiver.recv().await {
            Some(stream) => Ok(stream),
            // All connectors are gone: nobody will ever come, and the accept loop just waits.
            None => std::future::pending().await,
        }
    }

    /// Whoever connects between the two looks is the last.
    fn retire(&mut self) -> Option<io::Result<MemoryStream>> {
        if let Ok(stream) = self.receiver.try_recv() {
            return Some(Ok(stream));
        }
        self.receiver.close();
        self.receiver.try_recv().ok().map(Ok)
    }
}

/// One end of a stream in memory.
#[derive(Debug)]
pub struct MemoryStream {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

impl MemoryStream {
    /// Two ends of one stream.
    pub fn pair() -> (Self, Self) {
        let (a, b) = (Arc::new(Pipe::new()), Arc::new(Pipe::new()));
        let near = Self { incoming: Arc::clone(&a), outgoing: Arc::clone(&b) };
        (near, Self { incoming: b, outgoing: a })
    }
}

impl Stream for MemoryStream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.incoming.state.lock().poll_read(cx, buffer)
    }

    fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outgoing.state.lock().try_write(parts)
    }

    async fn writable(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.outgoing.state.lock().poll_writable(cx)).await;
        Ok(())
    }

    fn peer(&self) -> PeerIdentity {
        PeerIdentity { uid: own_user(), pid: Some(std::process::id()) }
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.incoming.state.lock().close();
        self.outgoing.state.lock().close();
    }
}

#[cfg(unix)]
fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn own_user() -> u32 {
    0
}

#[derive(Debug)]
struct Pipe {
    state: Mutex<PipeState>,
}

#[derive(Debug)]
struct PipeState {
    bytes: VecDeque<u8>,
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn new() -> Self {
        let bytes = VecDeque::with_capacity(PIPE_SIZE);
        Self {
            state: Mutex::new(PipeState { bytes, is_closed: false, reader: None, writer: None }),
        }
    }
}

impl PipeState {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.bytes.is_empty() {
            if self.is_closed {
                return Poll::Ready(Ok(0));
            }
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = io::Read::read(&mut self.bytes, buffer)?;
        wake(&mut self.writer);
        Poll::Ready(Ok(count))
    }

    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        for part in parts {
            let room = PIPE_SIZE - self.bytes.len();
            let fits = part.len().min(room);
            self.bytes.extend(&part[..fits]);
            written += fits;
        }
        if written == 0 && parts.iter().any(|part| !part.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wake(&mut self.reader);
        Ok(written)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_closed || self.bytes.len() < PIPE_SIZE {
            return Poll::Ready(());
        }
        self.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn close(&mut self) {
        self.is_closed = true;
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
