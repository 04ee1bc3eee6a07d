//! The client without async, for a loop that owns its thread, as a GUI's does.
//!
//! It is the async [`Client`](crate::Client) on one background thread, `taut-client`, with the same
//! requests, events and errors. Requests are calls that wait for their answer. What happens in a
//! session arrives on a bounded [`crossbeam_channel::Receiver`], and a *waker* tells the loop when
//! to look there.
//!
//! ```
//! use tautline::{
//!     AttachOptions, ClientConfig, Command, Event, Server, ServerConfig, blocking,
//!     protocol::WindowSize,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut server = Server::in_process(ServerConfig::default())?;
//! # server.open_session("echo", Command::new("cat"), WindowSize::cells(80, 24))?;
//! # let engine = server.connector();
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # let serving = runtime.spawn(server.serve(std::future::pending()));
//! let client = blocking::Client::connect_in_process(&engine, ClientConfig::default())?;
//! let (wake, woken) = crossbeam_channel::bounded(1); // stands for the loop's event queue
//! let waker = move || {
//!     wake.try_send(()).ok();
//! };
//! let (input, events) = client.attach("echo", &AttachOptions::default(), waker)?;
//! assert_eq!(input.try_send(b"hello\r")?, 6); // never waits; takes what fits
//! 'frames: loop {
//!     woken.recv()?;
//!     for delivered in events.try_iter() {
//!         if let Event::Output { bytes, .. } = delivered?.event() {
//!             print!("{}", String::from_utf8_lossy(bytes));
//!             break 'frames;
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Not in async code
//!
//! Calls that wait panic when they are made inside an async runtime, a waker included: they would
//! block the thread that drives it. [`Input::try_send`], [`Input::resize`], [`Input::detach`] and
//! the channel's `try_` methods do not wait and may be used anywhere, and so may anything be
//! dropped.
//!
//! # The waker
//!
//! It is called on the background thread, with no lock held, and should only post to the loop's
//! event queue: what it does delays every attachment of the client. One that panics ends its
//! attachment.
//!
//! - **When events come.** Once when the channel turns from empty to non-empty, and then not again
//!   while there is something in it. So the loop takes events *until the channel is empty*, or
//!   comes back by itself. While the loop is taking events it may be called once for a turn that
//!   was none, and not for an event that is taken already. The first call may come before `attach`
//!   has returned.
//! - **When input has room again**, or will never be taken, after [`Input::try_send`] took less
//!   than it was given.
//!
//! No wakeup is lost. For events: one task pushes, and looks at the length *after* each push. A
//! loop that found the channel empty before the push is called if the length is 1; if it is 0, the
//! event is taken already; 2 or more it cannot be, since nobody else pushes. For input: `try_send`
//! leaves its wish behind after it found no room. The task takes it up, begins to listen for
//! movement, and only then looks for room, so room that came at any time is either seen or heard
//! of.
//!
//! # What bounds it
//!
//! A [`Delivered`] event that is dropped counts as consumed, once all before it were dropped too;
//! that is what gives the engine credit to send more. A loop that does not drain is owed at most
//! its attachment's window of output, in at most
//! [`DELIVERED_EVENTS_MAX`](crate::limits::DELIVERED_EVENTS_MAX) events; what comes next waits
//! without a timer until one is dropped. In the end a child waits for the loop, for as long as
//! [`AttachOptions::pause_limit`](crate::AttachOptions::pause_limit) allows.
//!
//! # How it ends
//!
//! The last item is either [`Event::Detached`](crate::Event::Detached) with its reason, or the
//! error that ended the connection; then the channel is disconnected. Dropping [`Events`] leaves
//! the session. When the last client, input and events are dropped, the connection and its thread
//! end, and nobody waits for them.

mod attachment;
mod background;
mod client;
mod delivered;
mod input;
mod pump;

pub use attachment::Events;
pub use client::Client;
pub use delivered::Delivered;
pub use input::Input;
