//! Appends one framed message to a caller's buffer, without allocating.

use core::mem::MaybeUninit;

use rkyv::{
    Serialize,
    api::low::LowSerializer,
    rancor::Failure,
    ser::{Positional, Writer, allocator::SubAllocator},
};

use crate::{
    error::EncodeError,
    header::{Flags, Header},
    limits::{BODY_MAX, HEADER_SIZE, PAYLOAD_MAX},
    message::Vocabulary,
};

/// Writes a whole frame to the front of `buffer` and returns its size.
///
/// # Errors
///
/// `NeedsParts` if the message does not fit one frame (see [`PartWriter`](crate::PartWriter)),
/// `BufferTooSmall` if it does not fit `buffer`. Nothing useful is in `buffer` then.
///
/// # Panics
///
/// If the message has bytes that are [`ahead`](crate::Bytes::ahead).
pub fn encode(buffer: &mut [u8], id: u64, message: impl Vocabulary) -> Result<usize, EncodeError> {
    assert_eq!(message.bytes_ahead(), 0, "`encode` writes all bytes itself");
    let size = message.archive_size();
    let header = header_for(&message, size)?;
    let available = buffer.len();
    let Some(frame) = buffer.get_mut(..HEADER_SIZE + size) else {
        return Err(EncodeError::BufferTooSmall { needed: HEADER_SIZE + size, available });
    };
    let (head, payload) = frame.split_at_mut(HEADER_SIZE);
    head.copy_from_slice(&header);
    message.write_archive(id, payload, 0);
    Ok(HEADER_SIZE + size)
}

/// Encodes all of a frame but the byte string that is [`ahead`](crate::Bytes::ahead) in it.
///
/// The frame is the returned header, then those bytes, then the first returned count of `tail`:
/// three slices for one vectored write.
///
/// # Errors
///
/// As [`encode`]; `tail` needs at most [`SPLIT_TAIL_MAX`] bytes for an `Output`.
pub fn encode_split(
    tail: &mut [u8],
    id: u64,
    message: impl Vocabulary,
) -> Result<([u8; HEADER_SIZE], usize), EncodeError> {
    let size = message.archive_size();
    let header = header_for(&message, size)?;
    let ahead = message.bytes_ahead();
    let needed = size - ahead;
    let available = tail.len();
    let Some(tail) = tail.get_mut(..needed) else {
        return Err(EncodeError::BufferTooSmall { needed, available });
    };
    message.write_archive(id, tail, ahead);
    Ok((header, needed))
}

/// Most bytes behind the byte string of an `Output`: padding, fixed part and root.
pub const SPLIT_TAIL_MAX: usize = 7 + 40 + crate::limits::ROOT_SIZE;

/// Writes into a slice that begins at some position of the archive.
#[derive(Debug)]
pub(crate) struct OffsetWriter<'a> {
    bytes: &'a mut [u8],
    start: usize,
    written: usize,
}

impl Positional for OffsetWriter<'_> {
    fn pos(&self) -> usize {
        self.start + self.written
    }
}

impl Writer<Failure> for OffsetWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let end = self.written + bytes.len();
        self.bytes.get_mut(self.written..end).ok_or(Failure)?.copy_from_slice(bytes);
        self.written = end;
        Ok(())
    }
}

fn header_for(message: &impl Vocabulary, size: usize) -> Result<[u8; HEADER_SIZE], EncodeError> {
    if size > BODY_MAX {
        return Err(EncodeError::BodyTooLarge { size });
    }
    if size > PAYLOAD_MAX {
        return Err(EncodeError::NeedsParts { size });
    }
    Ok(Header { kind: message.kind(), flags: Flags::NONE, payload_size: size }.encode())
}

/// Writes an archive from position `start` on; `out` has exactly the bytes that remain of it.
pub(crate) fn write_archive<T>(root: &T, out: &mut [u8], start: usize)
where
    T: for<'a, 'b> Serialize<LowSerializer<OffsetWriter<'a>, SubAllocator<'b>, Failure>>,
{
    let expected = out.len();
    let mut scratch = [const { MaybeUninit::uninit() }; 64];
    let writer = OffsetWriter { bytes: out, start, written: 0 };
    let writer = rkyv::api::low::to_bytes_in_with_alloc::<_, _, Failure>(
        root,
        writer,
        SubAllocator::new(&mut scratch),
    )
    .expect("the archive's size was computed from the same fields");
    assert_eq!(writer.written, expected, "the computed size is the archive's size");
}
