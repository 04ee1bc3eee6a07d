//! The fixed eight bytes in front of every payload: read them, write them, refuse them.

use crate::limits::{
    FRAME_ALIGN, HEADER_SIZE, LENGTH_MAX, LENGTH_MIN, LENGTH_WORD_SIZE, PAYLOAD_MAX,
};

/// Kind and length of one frame, checked.
///
/// ```text
/// 0        4        6        8                  4 + length
/// | length | kind   | flags  | payload          |
/// | u32 BE | u16 BE | u16 BE | multiple of 8    |
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Header {
    /// What the payload is.
    pub kind: Kind,
    /// What was done to the payload; a set bit is legal only if the hello agreed on it.
    pub flags: Flags,
    /// Payload bytes: a multiple of 8, between 16 and [`PAYLOAD_MAX`].
    pub payload_size: usize,
}

impl Header {
    /// Checks a length word on its own, as soon as its four bytes are there.
    ///
    /// Returns the size of the whole frame, length word included.
    pub const fn frame_size(length: u32) -> Result<usize, LengthError> {
        if length > LENGTH_MAX {
            return Err(LengthError::TooLarge { length });
        }
        if length < LENGTH_MIN {
            return Err(LengthError::TooSmall { length });
        }
        if length as usize % FRAME_ALIGN != LENGTH_WORD_SIZE {
            return Err(LengthError::Misaligned { length });
        }
        Ok(length as usize + LENGTH_WORD_SIZE)
    }

    /// Reads a header.
    pub fn decode(bytes: [u8; HEADER_SIZE]) -> Result<Self, LengthError> {
        let [a, b, c, d, kind_high, kind_low, flags_high, flags_low] = bytes;
        let frame_size = Self::frame_size(u32::from_be_bytes([a, b, c, d]))?;
        Ok(Self {
            kind: Kind(u16::from_be_bytes([kind_high, kind_low])),
            flags: Flags(u16::from_be_bytes([flags_high, flags_low])),
            payload_size: frame_size - HEADER_SIZE,
        })
    }

    /// Writes a header.
    ///
    /// # Panics
    ///
    /// If `payload_size` is not one that [`Header::decode`] would accept.
    pub fn encode(self) -> [u8; HEADER_SIZE] {
        assert!(self.payload_size <= PAYLOAD_MAX, "payload of {} bytes", self.payload_size);
        let length = (self.payload_size + HEADER_SIZE - LENGTH_WORD_SIZE) as u32;
        assert!(Self::frame_size(length).is_ok(), "payload of {} bytes", self.payload_size);
        let [a, b, c, d] = length.to_be_bytes();
        let [kind_high, kind_low] = self.kind.0.to_be_bytes();
        let [flags_high, flags_low] = self.flags.0.to_be_bytes();
        [a, b, c, d, kind_high, kind_low, flags_high, flags_low]
    }
}

/// What a frame is: `class << 8 | tag`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Kind(pub u16);

impl Kind {
    /// The client's hello.
    pub const CLIENT_HELLO: Self = Self::new(Class::Hello, 1);
    /// The engine's hello.
    pub const ENGINE_HELLO: Self = Self::new(Class::Hello, 2);

    /// Puts a kind together.
    pub const fn new(class: Class, tag: u8) -> Self {
        Self((class as u16) << 8 | tag as u16)
    }

    /// The class, if it is one we know.
    pub const fn class(self) -> Option<Class> {
        match self.0 >> 8 {
            0 => Some(Class::Hello),
            1 => Some(Class::Control),
            2 => Some(Class::Engine),
            3 => Some(Class::Keeper),
            _ => None,
        }
    }

    /// The tag within the class: the discriminant of the message enum.
    pub const fn tag(self) -> u8 {
        self.0 as u8
    }
}

/// Who says it, and in which vocabulary.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Class {
    /// The frozen handshake.
    Hello = 0,
    /// [`ControlMessage`](crate::ControlMessage): client to engine.
    Control = 1,
    /// [`EngineMessage`](crate::EngineMessage): engine to client.
    Engine = 2,
    /// Reserved for the process that will keep sessions over an engine's death.
    Keeper = 3,
}

/// What was done to a payload.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags(pub u16);

impl Flags {
    /// Nothing was done.
    pub const NONE: Self = Self(0);
    /// The last 8 bytes inside `length` are CRC-32C (u32 BE) and four zero bytes.
    pub const CHECKSUM: Self = Self(1);
    /// The payload is one LZ4 block behind its two lengths.
    pub const COMPRESSED: Self = Self(2);

    /// The bits set here that `agreed` lacks.
    pub const fn beyond(self, agreed: Self) -> Self {
        Self(self.0 & !agreed.0)
    }
}

/// Why a length word was refused; nothing behind it can be trusted, so the connection ends.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum LengthError {
    /// Shorter than kind, flags and a root; an end of nothing would make a reader spin.
    #[error("frame length {length} is below the smallest, {LENGTH_MIN}")]
    TooSmall {
        /// The length word as received.
        length: u32,
    },
    /// Not 4 more than a multiple of 8: the next frame would be misaligned.
    #[error("frame length {length} is not 4 more than a multiple of 8")]
    Misaligned {
        /// The length word as received.
        length: u32,
    },
    /// Longer than any frame. Also what text protocols look like: `GET ` reads as 1,195,725,856.
    #[error("frame length {length} is above the largest, {LENGTH_MAX}")]
    TooLarge {
        /// The length word as received.
        length: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_accepted_or_refused_by_its_own_rule() {
        for length in (0..=20_000).chain([u32::MAX, 1 << 31, (1 << 31) - 1]) {
            let verdict = Header::frame_size(length);
            let expected = if length > 8188 {
                Err(LengthError::TooLarge { length })
            } else if length < 20 {
                Err(LengthError::TooSmall { length })
            } else if length % 8 != 4 {
                Err(LengthError::Misaligned { length })
            } else {
                Ok(length as usize + 4)
            };
            assert_eq!(verdict, expected);
        }
    }

    #[test]
    fn header_reads_back_as_written() {
        let header =
            Header { kind: Kind::new(Class::Engine, 6), flags: Flags::CHECKSUM, payload_size: 56 };
        assert_eq!(header.encode(), [0, 0, 0, 60, 2, 6, 0, 1]);
        assert_eq!(Header::decode(header.encode()), Ok(header));
    }

    #[test]
    fn foreign_protocols_are_refused_by_their_first_four_bytes() {
        for opening in [*b"GET ", *b"SSH-", [0x16, 0x03, 0x01, 0x02], 40_u32.to_le_bytes()] {
            let length = u32::from_be_bytes(opening);
            assert_eq!(Header::frame_size(length), Err(LengthError::TooLarge { length }));
        }
    }

    #[test]
    #[should_panic(expected = "payload of 12 bytes")]
    fn a_payload_nobody_would_accept_is_never_written() {
        let _ = Header { kind: Kind(0x0101), flags: Flags::NONE, payload_size: 12 }.encode();
    }
}
