//! One fully populated sample of every message, and some at the edges of what is legal.
//!
//! Numbers are bytes that ascend on the wire, so a field that moved or was read in the wrong order
//! is seen at a glance. Where a field knows only few values, neighbours have different ones.

#![allow(dead_code, reason = "each test file uses its part of this")]

pub(crate) mod control;
pub(crate) mod engine;
pub(crate) mod padding;
pub(crate) mod random;
pub(crate) mod shared;
pub(crate) mod thaw;

use rkyv::util::AlignedVec;
use tautline_protocol::{
    ClientHello, ControlMessage, EngineHello, EngineMessage, Features, Flags, Frame, Header, Kind,
    Vocabulary, encode,
    limits::{BUFFER_ALIGN, FRAME_MAX, HEADER_SIZE},
};

/// Bytes where an archive can be read in place.
pub(crate) type Aligned = AlignedVec<BUFFER_ALIGN>;

/// A frame as it travels, and the name of its golden file.
#[derive(Debug)]
pub(crate) struct Sample {
    /// As in `control-spawn`.
    pub(crate) name: String,
    /// The whole frame.
    pub(crate) bytes: Aligned,
}

impl Sample {
    fn new(group: &str, name: &str, bytes: &[u8]) -> Self {
        Self { name: format!("{group}-{name}"), bytes: aligned(bytes) }
    }

    /// The frame, read by hand and not by a `ReceiveBuffer`.
    pub(crate) fn frame(&self) -> Frame<'_> {
        frame(&self.bytes)
    }
}

/// Every client message: name, id, message.
pub(crate) fn control() -> Vec<(&'static str, u64, ControlMessage<'static>)> {
    let full = control::full().into_iter();
    let full = full.map(|(name, message)| (name, id(message.tag()), message));
    full.chain(control::edges()).collect()
}

/// Every engine message: name, id, message.
pub(crate) fn engine() -> Vec<(&'static str, u64, EngineMessage<'static>)> {
    let full = engine::full().into_iter();
    let full = full.map(|(name, message)| (name, id(message.tag()), message));
    full.chain(engine::edges()).collect()
}

/// Every sample as a frame, hellos first.
pub(crate) fn all() -> Vec<Sample> {
    let hellos = [
        Sample::new("hello", "client", &client_hello().encode()),
        Sample::new("hello", "engine", &engine_hello().encode()),
    ];
    let control = control().into_iter();
    let control = control.map(|(name, id, it)| Sample::new("control", name, &encoded(id, it)));
    let engine = engine().into_iter();
    let engine = engine.map(|(name, id, it)| Sample::new("engine", name, &encoded(id, it)));
    hellos.into_iter().chain(control).chain(engine).collect()
}

/// A client's hello without a default in it.
pub(crate) fn client_hello() -> ClientHello {
    ClientHello {
        version_min: 0x0102,
        version_max: 0x0304,
        archive_format: 5,
        purpose: 6,
        features_offered: Features(0x0708_090a_0b0c_0d0e),
        features_required: Features(0x0f10_1112_1314_1516),
        client_id: ascending(0x20),
        resume_secret: ascending(0x30),
        engine_seen: ascending(0x40),
        rights: 0x5051_5253,
        heartbeat_ms: 0x5455_5657,
        clock: 0x5859_5a5b_5c5d_5e5f,
    }
}

/// An engine's hello without a default in it.
pub(crate) fn engine_hello() -> EngineHello {
    EngineHello {
        version: 0x0102,
        version_min: 0x0304,
        version_max: 0x0506,
        archive_format: 7,
        status: 8,
        features: Features(0x090a_0b0c_0d0e_0f10),
        engine_id: ascending(0x20),
        resume_secret: ascending(0x30),
        rights: 0x4041_4243,
        heartbeat_ms: 0x4445_4647,
        clock: 0x4849_4a4b_4c4d_4e4f,
        retry_after_ms: 0x5051_5253,
        resume_grace_ms: 0x5455_5657,
        clients_limit: 0x5859_5a5b,
        attachments_limit: 0x5c5d_5e5f,
    }
}

/// The id of the full sample with that tag: the tag, then bytes that ascend.
pub(crate) const fn id(tag: u8) -> u64 {
    u64::from_le_bytes([tag, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7])
}

/// A whole frame in a vector of its own.
pub(crate) fn encoded(id: u64, message: impl Vocabulary) -> Vec<u8> {
    let mut buffer = vec![0; FRAME_MAX];
    let size = encode(&mut buffer, id, message).expect("fits one frame");
    buffer.truncate(size);
    buffer
}

/// A header and an archive of any length, as a receiver of parts would have them.
pub(crate) fn assembled(id: u64, message: impl Vocabulary) -> (Header, Aligned) {
    let mut archive = Aligned::new();
    archive.resize(message.archive_size(), 0);
    message.write_archive(id, &mut archive, 0);
    (header(message.kind(), archive.len()), archive)
}

/// A header without flags.
pub(crate) const fn header(kind: Kind, payload_size: usize) -> Header {
    Header { kind, flags: Flags::NONE, payload_size }
}

/// A frame of a payload that nobody's encoder made.
pub(crate) fn forged(kind: Kind, payload: &[u8]) -> Aligned {
    let mut bytes = aligned(&header(kind, payload.len()).encode());
    bytes.extend_from_slice(payload);
    bytes
}

/// A copy at an aligned address.
pub(crate) fn aligned(bytes: &[u8]) -> Aligned {
    let mut copy = Aligned::with_capacity(bytes.len());
    copy.extend_from_slice(bytes);
    copy
}

/// The frame that `bytes` are.
pub(crate) fn frame(bytes: &Aligned) -> Frame<'_> {
    let (header, payload) = bytes.split_first_chunk::<HEADER_SIZE>().expect("a header");
    let header = Header::decode(*header).expect("a legal length");
    assert_eq!(payload.len(), header.payload_size, "exactly one frame");
    Frame::new(header, payload)
}

/// Bytes that ascend, wrapping.
pub(crate) const fn ascending<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [first; N];
    let mut index = 0;
    while index < N {
        bytes[index] = first.wrapping_add(index as u8);
        index += 1;
    }
    bytes
}

/// A number whose bytes ascend on the wire.
pub(crate) const fn half(first: u8) -> u16 {
    u16::from_le_bytes(ascending(first))
}

/// A number whose bytes ascend on the wire.
pub(crate) const fn word(first: u8) -> u32 {
    u32::from_le_bytes(ascending(first))
}

/// A number whose bytes ascend on the wire.
pub(crate) const fn signed(first: u8) -> i32 {
    i32::from_le_bytes(ascending(first))
}

/// A number whose bytes ascend on the wire.
pub(crate) const fn long(first: u8) -> u64 {
    u64::from_le_bytes(ascending(first))
}
