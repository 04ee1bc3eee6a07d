//! The handshake: hand-written, 120 bytes each way, frozen for every version.
//!
//! Nothing here depends on the archive format, because agreeing on that is its purpose.

use crate::{
    error::Refusal,
    header::{Class, Flags, Header, Kind},
    limits::{HEADER_SIZE, HELLO_SIZE},
    values::Purpose,
};

/// The first eight payload bytes of either hello.
pub const MAGIC: [u8; 8] = *b"tautline";

/// The one protocol version there is.
pub const VERSION: u16 = 1;

/// The archive format of this build: rkyv 0.8, little-endian, aligned, 32-bit offsets.
pub const ARCHIVE_FORMAT: u8 = 1;

/// Bytes of a whole hello frame.
pub const HELLO_FRAME_SIZE: usize = HEADER_SIZE + HELLO_SIZE;

/// Features a hello can offer or require, one bit each.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Features(pub u64);

impl Features {
    /// Frames may carry [`Flags::CHECKSUM`].
    pub const CHECKSUM: Self = Self(1);
    /// Frames may carry [`Flags::COMPRESSED`].
    pub const COMPRESSION: Self = Self(1 << 1);

    /// Features in both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Features of this set that `other` lacks.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The frame flags these features make legal.
    pub const fn flags(self) -> Flags {
        Flags((self.0 & (Self::CHECKSUM.0 | Self::COMPRESSION.0)) as u16)
    }
}

/// What the client says first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientHello {
    /// Lowest version the client speaks.
    pub version_min: u16,
    /// Highest version the client speaks.
    pub version_max: u16,
    /// The archive format the client writes and reads.
    pub archive_format: u8,
    /// [`Purpose`] of the connection, as a number: the engine refuses one it does not know.
    pub purpose: u8,
    /// Features the client can use.
    pub features_offered: Features,
    /// Features the client cannot do without.
    pub features_required: Features,
    /// Random, and the same over reconnects of one client; all zero for one that will not resume.
    ///
    /// A newer connection with the same id and purpose takes the older one over.
    pub client_id: [u8; 16],
    /// Proves the client id, and is always the same: the client's choice, or all zero for the
    /// engine to choose.
    pub resume_secret: [u8; 16],
    /// The engine the client spoke to before; all zero if none.
    pub engine_seen: [u8; 16],
    /// [`Rights`](crate::Rights) asked for.
    pub rights: u32,
    /// Heartbeat interval wanted, in milliseconds; 0 for none.
    pub heartbeat_ms: u32,
    /// Names the client's monotonic clock: a hash of the machine's boot id; 0 if unknown.
    pub clock: u64,
}

impl Default for ClientHello {
    fn default() -> Self {
        Self {
            version_min: VERSION,
            version_max: VERSION,
            archive_format: ARCHIVE_FORMAT,
            purpose: Purpose::Client.to_wire(),
            features_offered: Features::default(),
            features_required: Features::default(),
            client_id: [0; 16],
            resume_secret: [0; 16],
            engine_seen: [0; 16],
            rights: crate::Rights::ALL,
            heartbeat_ms: 0,
            clock: 0,
        }
    }
}

impl ClientHello {
    /// The whole frame.
    pub fn encode(&self) -> [u8; HELLO_FRAME_SIZE] {
        let mut out = Writer::new(Kind::CLIENT_HELLO);
        out.put(MAGIC);
        out.put(self.version_min.to_be_bytes());
        out.put(self.version_max.to_be_bytes());
        out.put([self.archive_format, self.purpose, 0, 0]);
        out.put(self.features_offered.0.to_be_bytes());
        out.put(self.features_required.0.to_be_bytes());
        out.put(self.client_id);
        out.put(self.resume_secret);
        out.put(self.engine_seen);
        out.put(self.rights.to_be_bytes());
        out.put(self.heartbeat_ms.to_be_bytes());
        out.put(self.clock.to_be_bytes());
        out.finish(24)
    }

    /// Reads the payload of a hello frame. Reserved bytes are ignored.
    pub fn decode(kind: Kind, payload: &[u8]) -> Result<Self, HelloError> {
        let mut from = Reader::new(kind, Kind::CLIENT_HELLO, payload)?;
        Ok(Self {
            version_min: u16::from_be_bytes(from.take()),
            version_max: u16::from_be_bytes(from.take()),
            archive_format: from.byte(),
            purpose: from.byte(),
            features_offered: {
                let _pad: [u8; 2] = from.take();
                Features(u64::from_be_bytes(from.take()))
            },
            features_required: Features(u64::from_be_bytes(from.take())),
            client_id: from.take(),
            resume_secret: from.take(),
            engine_seen: from.take(),
            rights: u32::from_be_bytes(from.take()),
            heartbeat_ms: u32::from_be_bytes(from.take()),
            clock: u64::from_be_bytes(from.take()),
        })
    }

    /// The version both sides speak, if there is one: the highest.
    pub fn version_agreed(&self, min: u16, max: u16) -> Option<u16> {
        let version = self.version_max.min(max);
        (version >= min && version >= self.version_min).then_some(version)
    }
}

/// What the engine answers, welcome or refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EngineHello {
    /// The version agreed on; 0 in a refusal.
    pub version: u16,
    /// Lowest version the engine speaks.
    pub version_min: u16,
    /// Highest version the engine speaks.
    pub version_max: u16,
    /// The archive format the engine writes and reads.
    pub archive_format: u8,
    /// [`Refusal`] as a number; 0 is welcome.
    pub status: u8,
    /// Features agreed on; in a refusal, those the engine has.
    pub features: Features,
    /// New for every engine process.
    pub engine_id: [u8; 16],
    /// Keep it: it proves the client id when reconnecting. All zero in a refusal.
    pub resume_secret: [u8; 16],
    /// [`Rights`](crate::Rights) granted: never more than were asked for.
    pub rights: u32,
    /// Heartbeat interval in force, in milliseconds; 0 for none.
    pub heartbeat_ms: u32,
    /// Names the engine's monotonic clock.
    pub clock: u64,
    /// In a refusal: try again after so many milliseconds; 0 if that would not help.
    pub retry_after_ms: u32,
    /// How long input marks and attachments are kept for a client that lost its connection, in
    /// milliseconds.
    pub resume_grace_ms: u32,
    /// Clients the engine serves at once.
    pub clients_limit: u32,
    /// Attachments one connection may have.
    pub attachments_limit: u32,
}

impl Default for EngineHello {
    fn default() -> Self {
        Self {
            version: VERSION,
            version_min: VERSION,
            version_max: VERSION,
            archive_format: ARCHIVE_FORMAT,
            status: Refusal::Welcome.to_wire(),
            features: Features::default(),
            engine_id: [0; 16],
            resume_secret: [0; 16],
            rights: 0,
            heartbeat_ms: 0,
            clock: 0,
            retry_after_ms: 0,
            resume_grace_ms: 0,
            clients_limit: 0,
            attachments_limit: 0,
        }
    }
}

impl EngineHello {
    /// The whole frame.
    pub fn encode(&self) -> [u8; HELLO_FRAME_SIZE] {
        let mut out = Writer::new(Kind::ENGINE_HELLO);
        out.put(MAGIC);
        out.put(self.version.to_be_bytes());
        out.put(self.version_min.to_be_bytes());
        out.put(self.version_max.to_be_bytes());
        out.put([self.archive_format, self.status]);
        out.put(self.features.0.to_be_bytes());
        out.put(self.engine_id);
        out.put(self.resume_secret);
        out.put(self.rights.to_be_bytes());
        out.put(self.heartbeat_ms.to_be_bytes());
        out.put(self.clock.to_be_bytes());
        out.put(self.retry_after_ms.to_be_bytes());
        out.put(self.resume_grace_ms.to_be_bytes());
        out.put(self.clients_limit.to_be_bytes());
        out.put(self.attachments_limit.to_be_bytes());
        out.finish(32)
    }

    /// Reads the payload of a hello frame. Reserved bytes are ignored.
    pub fn decode(kind: Kind, payload: &[u8]) -> Result<Self, HelloError> {
        let mut from = Reader::new(kind, Kind::ENGINE_HELLO, payload)?;
        Ok(Self {
            version: u16::from_be_bytes(from.take()),
            version_min: u16::from_be_bytes(from.take()),
            version_max: u16::from_be_bytes(from.take()),
            archive_format: from.byte(),
            status: from.byte(),
            features: Features(u64::from_be_bytes(from.take())),
            engine_id: from.take(),
            resume_secret: from.take(),
            rights: u32::from_be_bytes(from.take()),
            heartbeat_ms: u32::from_be_bytes(from.take()),
            clock: u64::from_be_bytes(from.take()),
            retry_after_ms: u32::from_be_bytes(from.take()),
            resume_grace_ms: u32::from_be_bytes(from.take()),
            clients_limit: u32::from_be_bytes(from.take()),
            attachments_limit: u32::from_be_bytes(from.take()),
        })
    }
}

/// Why a first frame is no hello: the peer speaks something else.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HelloError {
    /// Another kind of frame.
    #[error("the first frame has kind {:#06x}, not a hello's", .0.0)]
    Kind(Kind),
    /// Another size.
    #[error("a hello has {HELLO_SIZE} payload bytes, not {0}")]
    Size(usize),
    /// Another magic.
    #[error("a hello begins with \"tautline\"")]
    Magic,
}

struct Writer {
    frame: [u8; HELLO_FRAME_SIZE],
    filled: usize,
}

impl Writer {
    fn new(kind: Kind) -> Self {
        let mut writer = Self { frame: [0; HELLO_FRAME_SIZE], filled: 0 };
        let header = Header { kind, flags: Flags::NONE, payload_size: HELLO_SIZE };
        writer.put(header.encode());
        writer
    }

    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.frame[self.filled..self.filled + N].copy_from_slice(&bytes);
        self.filled += N;
    }

    fn finish(self, reserved: usize) -> [u8; HELLO_FRAME_SIZE] {
        assert_eq!(self.filled + reserved, HELLO_FRAME_SIZE, "a hello is exactly full");
        self.frame
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(kind: Kind, expected: Kind, payload: &'a [u8]) -> Result<Self, HelloError> {
        if kind != expected {
            return Err(HelloError::Kind(kind));
        }
        if payload.len() != HELLO_SIZE {
            return Err(HelloError::Size(payload.len()));
        }
        payload.strip_prefix(&MAGIC).map(Reader).ok_or(HelloError::Magic)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (bytes, rest) = self.0.split_first_chunk().expect("the size was checked in `new`");
        self.0 = rest;
        *bytes
    }

    fn byte(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }
}

const _: () = assert!(Class::Hello as u8 == 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> ClientHello {
        ClientHello {
            version_min: 1,
            version_max: 3,
            archive_format: 1,
            purpose: 1,
            features_offered: Features(0x0102_0304_0506_0708),
            features_required: Features(1),
            client_id: [0xc1; 16],
            resume_secret: [0x5e; 16],
            engine_seen: [0xe5; 16],
            rights: 0x3f,
            heartbeat_ms: 5_000,
            clock: 0x1122_3344_5566_7788,
        }
    }

    #[test]
    fn hellos_read_back_as_written() {
        let hello = client();
        let frame = hello.encode();
        assert_eq!(ClientHello::decode(Kind::CLIENT_HELLO, &frame[8..]), Ok(hello));

        let hello = EngineHello { rights: 7, clients_limit: 64, ..EngineHello::default() };
        let frame = hello.encode();
        assert_eq!(EngineHello::decode(Kind::ENGINE_HELLO, &frame[8..]), Ok(hello));
    }

    #[test]
    fn reserved_bytes_are_ignored() {
        let mut frame = client().encode();
        frame[8 + 14..8 + 16].fill(0xff);
        frame[8 + 96..].fill(0xff);
        assert_eq!(ClientHello::decode(Kind::CLIENT_HELLO, &frame[8..]), Ok(client()));
    }

    #[test]
    fn what_is_no_hello_is_named() {
        let frame = client().encode();
        let decode = |kind, payload: &[u8]| ClientHello::decode(kind, payload).unwrap_err();
        assert_eq!(decode(Kind(0x0101), &frame[8..]), HelloError::Kind(Kind(0x0101)));
        assert_eq!(decode(Kind::CLIENT_HELLO, &frame[16..]), HelloError::Size(112));
        assert_eq!(decode(Kind::CLIENT_HELLO, &[b'x'; 120]), HelloError::Magic);
        assert_eq!(decode(Kind::ENGINE_HELLO, &frame[8..]), HelloError::Kind(Kind::ENGINE_HELLO));
    }

    #[test]
    fn the_highest_common_version_is_agreed_on() {
        let agreed = |min, max| {
            let hello = ClientHello { version_min: min, version_max: max, ..client() };
            hello.version_agreed(2, 4)
        };
        assert_eq!(agreed(1, 1), None);
        assert_eq!(agreed(1, 2), Some(2));
        assert_eq!(agreed(1, 9), Some(4));
        assert_eq!(agreed(4, 4), Some(4));
        assert_eq!(agreed(5, 9), None);
        assert_eq!(agreed(3, 2), None, "an empty range agrees with nothing");
    }
}
