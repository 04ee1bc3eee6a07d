//! A control line between terminals and PTYs.

#[cfg(unix)]
pub mod client;
#[cfg(unix)]
mod engine;
pub mod latency;
pub mod limits;
pub mod pty;
pub mod state;
#[cfg(unix)]
mod sys;
pub mod transport;

#[cfg(unix)]
pub use client::{
    AttachOptions, AttachedInfo, Client, ClientConfig, ConnectFailure, ErrorInfo, Event, Events,
    Input, LogRange, PongTimes, RecvError, RequestError, SendError, SessionStatus, SpawnRequest,
    SpawnedSession,
};
#[cfg(unix)]
pub use engine::{Command, ConfigError, OpenError, ServeError, Server, ServerConfig};
pub use tautline_protocol as protocol;
pub use transport::default_socket_path;
