//! What is typed: read just closely enough to find the detach keys and a terminal's own replies;
//! and made from the names of keys and from pasted text, for those who have no keyboard.
//!
//! Pure: bytes, names and the time go in, bytes come out.

mod detach_keys;
mod key_encoder;
mod key_name;
mod key_scanner;
mod paste;
mod reply_filter;
mod sequence;

pub(crate) use detach_keys::{DetachKeys, parse_detach_keys};
pub(crate) use key_encoder::{Key, KeyModes};
pub(crate) use key_name::parse_key;
pub(crate) use key_scanner::{KeyScanner, Scan};
pub(crate) use paste::Paste;
pub(crate) use reply_filter::ReplyFilter;
