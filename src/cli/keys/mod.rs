//! What is typed, read just closely enough to find the detach keys and a terminal's own replies.
//!
//! Pure: bytes and the time go in, bytes come out.

mod detach_keys;
mod key_scanner;
mod reply_filter;
mod sequence;

pub(crate) use detach_keys::{DetachKeys, parse_detach_keys};
pub(crate) use key_scanner::{KeyScanner, Scan};
pub(crate) use reply_filter::ReplyFilter;
