//! What crosses the wire between Tautline's engine and its clients: bytes to messages and back.
//!
//! ```text
//! 0        4        6        8                                4 + length
//! | length | kind   | flags  | payload                        |
//! | u32 BE | u16 BE | u16 BE | rkyv archive, or the hello     |
//! |        | class  |        | a multiple of 8 bytes          |
//! |        | << 8   |        | ... | root: id u64, message    |
//! |        | | tag  |        |     | (the last 16 bytes)      |
//! ```
//!
//! Receiving: read into a [`ReceiveBuffer`], take [`Frame`]s from it, ask a frame for its
//! [`control`](Frame::control) or [`engine`](Frame::engine) message, which is read where it lies.
//! Sending: [`encode()`] into a buffer of your own, or [`encode_split`] around bytes that are
//! elsewhere. What does not fit a frame goes through [`PartWriter`] and [`PartReader`].
//!
//! Nothing here does I/O, reads a clock or knows a runtime. The normative description of the wire
//! is `docs/wire-format.md`.

mod body_parts;
mod bytes;
mod check;
mod choice;
mod encode;
mod error;
mod frame;
mod header;
mod hello;
pub mod limits;
pub mod message;
mod receive_buffer;
mod values;

pub use body_parts::{PartReader, PartWriter};
pub use bytes::Bytes;
pub use check::{entries, is_session_name};
pub use encode::{SPLIT_TAIL_MAX, encode, encode_split};
pub use error::{
    CloseReason, Consequence, DecodeError, EncodeError, ErrorClass, ErrorCode, Limit, Refusal,
};
pub use frame::{Frame, OwnedFrame};
pub use header::{Class, Flags, Header, Kind, LengthError};
pub use hello::{
    ARCHIVE_FORMAT, ClientHello, EngineHello, Features, HELLO_FRAME_SIZE, HelloError, MAGIC,
    VERSION,
};
pub use message::*;
pub use receive_buffer::ReceiveBuffer;
pub use values::*;
