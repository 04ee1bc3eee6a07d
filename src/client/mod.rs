//! The client: connect, ask, attach.
//!
//! One task owns the socket's reading side and hands what arrives to whoever waits for it; senders
//! write to the socket themselves when it takes bytes, so a keystroke costs no hand-off on its way
//! out. Output is copied once, into a buffer its attachment owns, and lent from there.

mod attach;
mod connection_task;
mod error;
mod events;
mod input;
mod log;
mod outgoing;
mod requests;
mod screen;
mod session_types;
mod stats;
mod stream;

use std::{path::Path, sync::Arc, time::Duration};

use tautline_protocol::{ClientHello, EngineHello, Purpose, Rights};

pub use attach::{AttachOptions, Granted};
pub use error::{ConnectFailure, EngineError, RecvError, RequestError, SendError};
pub use events::{Event, Events};
pub use input::Input;
pub use log::{LogPiece, LogRange, LogText};
pub use screen::{ScreenCursor, ScreenOptions, SessionScreen};
pub use session_types::{PongTimes, SessionStatus, SpawnRequest, SpawnedSession};
pub use stats::{EngineStats, StatsOptions};

pub(crate) use events::{Credit, EventReader, Item};

use connection_task::{Handle, Line};
use stream::ClientStream;

use crate::{
    trace::{FrameTrace, Side, Tap},
    transport::{MemoryConnector, UnixTransportStream},
};

/// A connection to an engine. Clones share it; it ends when the last one and all attachments are
/// dropped, or with [`close`](Self::close).
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
    hello: EngineHello,
}

/// How a client behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// What the connection is for. Default: sessions.
    pub purpose: Purpose,
    /// [`Rights`] asked for. Default: all.
    pub rights: u32,
    /// The client's id: the same over its connections. Default: random.
    pub client_id: [u8; 16],
    /// How long the engine may take to answer the hello. Default 5 s.
    pub hello_timeout: Duration,
    /// Where every frame that is sent or received is recorded. Default: nowhere.
    pub trace: Option<FrameTrace>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            purpose: Purpose::Client,
            rights: Rights::ALL,
            client_id: crate::sys::random_bytes(),
            hello_timeout: Duration::from_secs(5),
            trace: None,
        }
    }
}

impl Client {
    /// Connects to the engine of the same user at `path`.
    ///
    /// Must be called inside a tokio runtime; the connection's task runs there.
    ///
    /// # Errors
    ///
    /// See [`ConnectFailure`]. Nothing is tried twice.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait leaves no connection behind.
    pub async fn connect(
        path: impl AsRef<Path>,
        config: ClientConfig,
    ) -> Result<Self, ConnectFailure> {
        let stream = UnixTransportStream::connect(path.as_ref())?;
        Self::over(ClientStream::Unix(stream), config).await
    }

    /// Connects to an engine in this process.
    ///
    /// # Errors
    ///
    /// See [`ConnectFailure`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn connect_in_process(
        connector: &MemoryConnector,
        config: ClientConfig,
    ) -> Result<Self, ConnectFailure> {
        let stream = connector.connect().await.map_err(|_| ConnectFailure::Lost)?;
        Self::over(ClientStream::Memory(stream), config).await
    }

    /// What the engine answered: its limits, the rights it granted.
    pub const fn hello(&self) -> EngineHello {
        self.hello
    }

    /// How the connection is made: `unix_socket` or `in_process`.
    pub fn transport_name(&self) -> &'static str {
        self.handle.line.stream.transport_name()
    }

    async fn over(stream: ClientStream, config: ClientConfig) -> Result<Self, ConnectFailure> {
        let hello = ClientHello {
            purpose: config.purpose.to_wire(),
            rights: config.rights,
            client_id: config.client_id,
            ..ClientHello::default()
        };
        let opening = Line::open(stream, &hello, Tap::new(config.trace.as_ref(), Side::Client));
        let (handle, hello) = tokio::time::timeout(config.hello_timeout, opening)
            .await
            .map_err(|_| ConnectFailure::Timeout)??;
        Ok(Self { handle, hello })
    }
}
