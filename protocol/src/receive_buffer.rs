//! The fixed buffer a connection reads into, and the frames it yields in place.
//!
//! ```text
//! 0          consumed       validated            filled        8192
//! |  done    |  lent frame  |  begun, unchecked  |  spare      |
//! ```
//!
//! Three cursors are the whole specification: `consumed <= validated <= filled`, and the first two
//! are multiples of 8, so every frame starts where its archive can be read in place. The frame
//! between `consumed` and `validated` is on loan to the caller; asking for the next one, or for
//! spare room, gives it back.

use crate::{
    frame::Frame,
    header::{Header, LengthError},
    limits::{BUFFER_ALIGN, FRAME_ALIGN, FRAME_MAX, HEADER_SIZE, LENGTH_WORD_SIZE},
};

/// Fixed-capacity receive buffer that splits a byte stream into frames.
///
/// Read from the stream into [`spare`](Self::spare), report the count with
/// [`advance`](Self::advance), then call [`next_frame`](Self::next_frame) until it returns `None`.
/// Frames borrow the buffer: nothing is copied but the beginning of an unfinished frame, at most
/// once per frame, and nothing is allocated after construction.
///
/// ```
/// use tautline_protocol::{ClientHello, Kind, ReceiveBuffer};
///
/// let mut buffer = ReceiveBuffer::new();
/// for piece in ClientHello::default().encode().chunks(50) {
///     buffer.spare()[..piece.len()].copy_from_slice(piece);
///     buffer.advance(piece.len());
/// }
/// let frame = buffer.next_frame()?.expect("all pieces arrived");
/// assert_eq!(frame.kind(), Kind::CLIENT_HELLO);
/// # Ok::<(), tautline_protocol::LengthError>(())
/// ```
pub struct ReceiveBuffer {
    bytes: Box<AlignedBytes>,
    consumed: usize,
    validated: usize,
    filled: usize,
}

impl ReceiveBuffer {
    /// An empty buffer: one allocation of 8 KiB, the last.
    pub fn new() -> Self {
        Self { bytes: Box::new(AlignedBytes([0; FRAME_MAX])), consumed: 0, validated: 0, filled: 0 }
    }

    /// Room to read into; never empty while [`next_frame`](Self::next_frame) has returned `None`.
    pub fn spare(&mut self) -> &mut [u8] {
        self.release();
        // What is left is less than one frame. Moving it to the front costs at most one copy a
        // frame, and only when the frame would not fit where it began.
        if self.consumed > 0 && self.room_for_begun_frame() > FRAME_MAX - self.consumed {
            self.bytes.0.copy_within(self.consumed..self.filled, 0);
            self.filled -= self.consumed;
            self.consumed = 0;
            self.validated = 0;
        }
        &mut self.bytes.0[self.filled..]
    }

    /// Reports that the first `count` bytes of [`spare`](Self::spare) were filled.
    ///
    /// # Panics
    ///
    /// If `count` is more than `spare` had.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= FRAME_MAX - self.filled, "more bytes than there was room for");
        self.filled += count;
    }

    /// The next whole frame, or `None` until more bytes arrive.
    ///
    /// A bad length is reported as soon as its four bytes are there. After an error the stream has
    /// no frames any more; every further call reports it again.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, LengthError> {
        self.release();
        let begun = &self.bytes.0[self.consumed..self.filled];
        let Some((length, _)) = begun.split_first_chunk::<LENGTH_WORD_SIZE>() else {
            return Ok(None);
        };
        let frame_size = Header::frame_size(u32::from_be_bytes(*length))?;
        let Some(frame) = begun.get(..frame_size) else {
            return Ok(None);
        };
        let (header, payload) =
            frame.split_first_chunk::<HEADER_SIZE>().expect("a frame has a header");
        self.validated = self.consumed + frame_size;
        Ok(Some(Frame::new(Header::decode(*header)?, payload)))
    }

    /// Whether the beginning of an unfinished frame is held: what the frame deadline is about, and
    /// what tells a clean end of the stream from a cut one.
    pub fn is_mid_frame(&self) -> bool {
        self.validated < self.filled
    }

    /// Bytes received and not yet given back, the lent frame included.
    pub const fn len(&self) -> usize {
        self.filled - self.consumed
    }

    /// Whether nothing is held.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes back the lent frame.
    fn release(&mut self) {
        self.consumed = self.validated;
        if self.consumed == self.filled {
            self.consumed = 0;
            self.validated = 0;
            self.filled = 0;
        }
        debug_assert!(self.consumed.is_multiple_of(FRAME_ALIGN), "frames stay aligned");
    }

    /// Bytes the unfinished frame takes in all, or the most any takes while its length is unknown.
    fn room_for_begun_frame(&self) -> usize {
        let begun = &self.bytes.0[self.consumed..self.filled];
        let length = begun.split_first_chunk::<LENGTH_WORD_SIZE>();
        length
            .and_then(|(length, _)| Header::frame_size(u32::from_be_bytes(*length)).ok())
            .unwrap_or(FRAME_MAX)
    }
}

impl core::fmt::Debug for ReceiveBuffer {
    /// The cursors only: what people type does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReceiveBuffer")
            .field("consumed", &self.consumed)
            .field("validated", &self.validated)
            .field("filled", &self.filled)
            .finish()
    }
}

impl Default for ReceiveBuffer {
    fn default() -> Self {
        Self::new()
    }
}

#[repr(align(16))]
struct AlignedBytes([u8; FRAME_MAX]);

const _: () = assert!(align_of::<AlignedBytes>() == BUFFER_ALIGN);
