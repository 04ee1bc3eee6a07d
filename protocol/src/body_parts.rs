//! Archives too large for one frame: cutting them up, putting them together.
//!
//! ```text
//! archive   |--------- 8152 ---------|--------- 8152 ---------|--- rest, with the root ---|
//! frames    Part{0, total, bytes}    Part{8152, total, bytes}  the message's own kind
//! ```
//!
//! The rest travels as the payload of a frame of the message's own kind, so a receiver that does
//! not know the kind still finds the root's id at its end.

use rkyv::util::AlignedVec;

use crate::{
    ControlMessage, EncodeError, EngineMessage, Part,
    encode::encode,
    error::DecodeError,
    frame::Frame,
    header::{Class, Flags, Header, Kind},
    limits::{BODY_MAX, BUFFER_ALIGN, HEADER_SIZE, PART_MAX, PAYLOAD_MAX},
    message::{ArchivedPart, Vocabulary},
};

/// Cuts one message into as many frames as it needs.
///
/// Holds the whole archive: for requests and replies that are rare, not for input and output.
pub struct PartWriter {
    archive: Vec<u8>,
    sent: usize,
    id: u64,
    kind: Kind,
}

impl PartWriter {
    /// Encodes `message`.
    ///
    /// # Errors
    ///
    /// `BodyTooLarge` if it is longer than [`BODY_MAX`].
    ///
    /// # Panics
    ///
    /// If the message has bytes that are [`ahead`](crate::Bytes::ahead).
    pub fn new(id: u64, message: impl Vocabulary) -> Result<Self, EncodeError> {
        assert_eq!(message.bytes_ahead(), 0, "parts are written whole");
        let size = message.archive_size();
        if size > BODY_MAX {
            return Err(EncodeError::BodyTooLarge { size });
        }
        let mut archive = vec![0; size];
        message.write_archive(id, &mut archive, 0);
        Ok(Self { archive, sent: 0, id, kind: message.kind() })
    }

    /// Writes the next frame to the front of `buffer` and returns its size; `None` when all of the
    /// message was written.
    ///
    /// # Errors
    ///
    /// `BufferTooSmall`; the same frame can be asked for again.
    pub fn next_frame(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, EncodeError> {
        let rest = &self.archive[self.sent..];
        if rest.is_empty() {
            return Ok(None);
        }
        if rest.len() <= PAYLOAD_MAX {
            let size = self.last_frame(buffer)?;
            self.sent = self.archive.len();
            return Ok(Some(size));
        }
        let piece = &rest[..PART_MAX];
        let part = Part {
            position: self.sent as u32,
            total: self.archive.len() as u32,
            bytes: piece.into(),
        };
        let size = match self.kind.class() {
            Some(Class::Control) => encode(buffer, self.id, ControlMessage::Part(part))?,
            _ => encode(buffer, self.id, EngineMessage::Part(part))?,
        };
        self.sent += PART_MAX;
        Ok(Some(size))
    }

    fn last_frame(&self, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        let rest = &self.archive[self.sent..];
        let needed = HEADER_SIZE + rest.len();
        let available = buffer.len();
        let Some(frame) = buffer.get_mut(..needed) else {
            return Err(EncodeError::BufferTooSmall { needed, available });
        };
        let header = Header { kind: self.kind, flags: Flags::NONE, payload_size: rest.len() };
        frame[..HEADER_SIZE].copy_from_slice(&header.encode());
        frame[HEADER_SIZE..].copy_from_slice(rest);
        Ok(needed)
    }
}

/// Puts the one archive that a connection may have in parts together again.
///
/// Grows with the bytes that arrive, never with a number the peer names.
#[derive(Default)]
pub struct PartReader {
    archive: AlignedVec<BUFFER_ALIGN>,
    id: u64,
    total: usize,
}

impl PartReader {
    /// Nothing in assembly.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a message is in assembly: what the frame deadline is about, too.
    pub fn is_mid_message(&self) -> bool {
        self.total > 0
    }

    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// `Parts` if it is not the next piece of the message in assembly, `BodyTooLarge` at the first
    /// piece of a message that is too long.
    pub fn handle_part(&mut self, id: u64, part: &ArchivedPart<'_>) -> Result<(), DecodeError> {
        let total = part.total.to_native();
        if total as usize > BODY_MAX {
            return Err(DecodeError::BodyTooLarge { total });
        }
        if !self.is_mid_message() {
            self.id = id;
            self.total = total as usize;
        }
        let piece = part.bytes.as_slice();
        let in_order = id != 0
            && id == self.id
            && self.total == total as usize
            && self.archive.len() == part.position.to_native() as usize
            && !piece.is_empty()
            && piece.len().is_multiple_of(8)
            && self.archive.len() + piece.len() < self.total;
        if !in_order {
            return Err(DecodeError::Parts);
        }
        self.archive.extend_from_slice(piece);
        Ok(())
    }

    /// The whole message that `frame` completes, or `frame` itself if its id has no parts.
    ///
    /// The result borrows the assembly; call [`clear`](Self::clear) when done with it.
    ///
    /// # Errors
    ///
    /// `Parts` if the rest has not the length that is missing.
    pub fn complete<'a>(&'a mut self, frame: Frame<'a>) -> Result<Frame<'a>, DecodeError> {
        if !self.is_mid_message() || frame.id() != self.id {
            return Ok(frame);
        }
        if self.archive.len() + frame.payload().len() != self.total {
            return Err(DecodeError::Parts);
        }
        self.archive.extend_from_slice(frame.payload());
        let header =
            Header { kind: frame.kind(), flags: frame.flags(), payload_size: self.archive.len() };
        Ok(Frame::new(header, &self.archive))
    }

    /// Forgets a message that is complete, and keeps one that is not.
    pub fn clear(&mut self) {
        if self.is_mid_message() && self.archive.len() == self.total {
            *self = Self::new();
        }
    }
}

impl core::fmt::Debug for PartWriter {
    /// Lengths only: what people type does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut out = f.debug_struct("PartWriter");
        out.field("kind", &self.kind).field("id", &self.id).field("sent", &self.sent);
        out.field("total", &self.archive.len()).finish()
    }
}

impl core::fmt::Debug for PartReader {
    /// Lengths only: what people type does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut out = f.debug_struct("PartReader");
        out.field("id", &self.id).field("held", &self.archive.len());
        out.field("total", &self.total).finish()
    }
}
