//! The client: connect, ask, attach.
//!
//! One task owns the socket's reading side and hands what arrives to whoever waits for it; senders
//! write to the socket themselves when it takes bytes, so a keystroke costs no hand-off on its way
//! out. Output is copied once, into a buffer its attachment owns, and lent from there.

mod attach;
mod batch;
mod connecting;
mod connection_task;
mod error;
mod events;
mod inbox;
mod input;
mod line;
mod log;
mod outgoing;
mod reconnect;
mod requests;
mod routing;
mod screen;
mod session_types;
mod stats;
mod stream;

use std::{path::Path, sync::Arc, time::Duration};

use tautline_protocol::{EngineHello, Purpose, Rights};

pub use attach::{AttachOptions, Granted};
pub use error::{ConnectFailure, EngineError, RecvError, RequestError, SendError};
pub use events::{Event, Events};
pub use input::Input;
pub use log::{LogPiece, LogRange, LogText};
pub use reconnect::{GiveUpReason, ReconnectPolicy};
pub use screen::{ScreenCursor, ScreenOptions, SessionScreen};
pub use session_types::{PongTimes, SessionStatus, SpawnRequest, SpawnedSession};
pub use stats::{EngineStats, StatsOptions};

pub(crate) use events::{Credit, EventReader, Item};

use line::Handle;
use reconnect::Target;

use crate::{trace::FrameTrace, transport::MemoryConnector};

/// A line to an engine. Clones share it; it ends when the last one and all attachments are dropped,
/// or with [`close`](Self::close).
///
/// A connection that is lost is made again, unless [`ClientConfig::reconnect`] says otherwise, and
/// attachments go on where they were; their events tell of it. Requests that change nothing, and
/// attaching, are made again; another one that waited for its answer fails with
/// [`RequestError::Lost`]: nobody knows whether it was done. One that is made meanwhile waits.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
    transport: &'static str,
}

/// How a client behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// What the connection is for. Default: sessions.
    pub purpose: Purpose,
    /// [`Rights`] asked for. Default: all.
    pub rights: u32,
    /// The client's id: the same over its connections, and nobody else's. Default: `None`, a random
    /// one for each client that is made. All zero makes one that cannot come back to what it had.
    pub client_id: Option<[u8; 16]>,
    /// How a lost connection is made again; `None` for not at all. Default: see
    /// [`ReconnectPolicy`].
    pub reconnect: Option<ReconnectPolicy>,
    /// How often either side asks the other for a sign of life, for links that can die without an
    /// end: forwarded sockets. One that is silent for three intervals is lost. Default: never,
    /// which is right for a local socket.
    pub heartbeat: Option<Duration>,
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
            client_id: None,
            reconnect: Some(ReconnectPolicy::default()),
            heartbeat: None,
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
    /// See [`ConnectFailure`]. The first connection is not tried twice.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait leaves no connection behind.
    pub async fn connect(
        path: impl AsRef<Path>,
        config: ClientConfig,
    ) -> Result<Self, ConnectFailure> {
        Self::open(Target::Unix(path.as_ref().into()), config).await
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
        Self::open(Target::Memory(connector.clone()), config).await
    }

    /// What the engine answered when it was connected last: its limits, the rights it granted.
    pub fn hello(&self) -> EngineHello {
        self.handle.line.hello()
    }

    /// How the connection is made: `unix_socket` or `in_process`.
    pub const fn transport_name(&self) -> &'static str {
        self.transport
    }

    async fn open(target: Target, config: ClientConfig) -> Result<Self, ConnectFailure> {
        let transport = target.transport_name();
        Ok(Self { handle: connecting::open(target, config).await?, transport })
    }
}
