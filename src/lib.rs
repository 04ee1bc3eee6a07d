//! A control line between terminals and PTYs.
//!
//! An *engine* hosts sessions, each a PTY with a child, and serves clients over a Unix socket of
//! the user's own, or in the same process. A *client* starts sessions, joins them, types into them
//! and reads what they print. Positions are byte offsets, so input is written in order and at most
//! once, and output that could not be kept is told as a gap. Between the socket and the PTY a
//! message is read in place and nothing is allocated for it.
//!
//! ```text
//!  Client ── frames over a socket ──> client task ─────────────> PTY writer ──> child
//!    ^                                     |                                      |
//!    └──── frames, one write a turn ───────┴── session log <─── PTY reader <──────┘
//! ```
//!
//! # Hosting sessions
//!
//! ```no_run
//! use tautline::{Command, Server, ServerConfig, default_socket_path, protocol::WindowSize};
//!
//! # async fn host() -> Result<(), Box<dyn std::error::Error>> {
//! let mut server = Server::bind(default_socket_path(), ServerConfig::default())?;
//! server.open_session("build", Command::new("sh"), WindowSize::cells(80, 24))?;
//! server.serve(std::future::pending()).await?; // until a client asks for the end
//! # Ok(())
//! # }
//! ```
//!
//! The engine has a thread of its own, so [`Server::serve`] can be awaited from any runtime. It
//! installs no signal handler and waits for no child but its own.
//!
//! # Joining one
//!
//! ```no_run
//! use tautline::{AttachOptions, Client, ClientConfig, Event, default_socket_path};
//!
//! # async fn join() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(default_socket_path(), ClientConfig::default()).await?;
//! let (input, mut events) = client.attach("build", &AttachOptions::default()).await?;
//! input.send(b"make test\r").await?; // resolves when written to the PTY
//! while let Some(event) = events.next().await? {
//!     match event {
//!         Event::Output { bytes, .. } => print!("{}", String::from_utf8_lossy(bytes)),
//!         Event::Gap { from, to } => eprintln!("[{} bytes of output lost]", to - from),
//!         Event::Exited { .. } => break,
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`blocking`] is the same client for a loop that owns its thread, as a GUI's does.
//!
//! A client connects once: when its connection is lost, that is an error, and joining again is its
//! caller's business. Engine and client are for Unix; [`protocol`] and [`state`] for any platform.
//!
//! # Features
//!
//! `cli`, on by default, is the `taut` command. An embedder turns it off and is spared its
//! dependencies.

#[cfg(unix)]
pub mod blocking;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
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
#[cfg(unix)]
pub mod trace;
pub mod transport;

#[cfg(unix)]
pub use client::{
    AttachOptions, Client, ClientConfig, ConnectFailure, EngineError, EngineStats, Event, Events,
    GiveUpReason, Granted, Input, LogPiece, LogRange, LogText, PongTimes, ReconnectPolicy,
    RecvError, RequestError, ScreenCursor, ScreenOptions, SendError, SessionScreen, SessionStatus,
    SpawnRequest, SpawnedSession, StatsOptions,
};
#[cfg(unix)]
pub use engine::{Command, ConfigError, OpenError, ServeError, Server, ServerConfig};
pub use tautline_protocol as protocol;
pub use transport::default_socket_path;

/// The README's example compiles and runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So do those for embedders.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;
