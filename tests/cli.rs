//! The `taut` command from outside: real processes, real terminals, real daemons.

#![cfg(all(unix, feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "cli/attaching.rs"]
mod attaching;
#[path = "cli/completing.rs"]
mod completing;
#[path = "cli/configuring.rs"]
mod configuring;
#[path = "cli/cutting.rs"]
mod cutting;
#[path = "cli/daemon.rs"]
mod daemon;
#[path = "cli/following.rs"]
mod following;
#[path = "cli/json_doc.rs"]
mod json_doc;
#[path = "cli/lab.rs"]
mod lab;
#[path = "fixture/cutting_proxy.rs"]
mod proxy;
#[path = "cli/reading.rs"]
mod reading;
#[path = "cli/running.rs"]
mod running;
#[path = "cli/screen.rs"]
mod screen;
#[path = "cli/sessions.rs"]
mod sessions;
#[path = "cli/tracing.rs"]
mod tracing;
#[path = "cli/typing.rs"]
mod typing;
#[path = "cli/waiting.rs"]
mod waiting;
