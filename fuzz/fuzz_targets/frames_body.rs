//! Any bytes, in any pieces: frames come out as an oracle cuts them, and what is read is there.
//!
//! A plain function, so that the corpus is also replayed by `cargo test` without a fuzzer. The
//! first byte of the input says how the rest is cut into pieces.

#[path = "../../protocol/tests/samples/padding.rs"]
mod padding;
#[path = "../../protocol/tests/samples/thaw.rs"]
mod thaw;

use tautline_protocol::{
    ArchivedControlMessage, ArchivedEngineMessage, ArchivedPart, ClientHello, Consequence,
    DecodeError, EngineHello, Frame, Kind, PartReader, ReceiveBuffer, Vocabulary,
    limits::{BODY_MAX, FRAME_MAX, HEADER_SIZE},
};

/// One run of the target.
pub(crate) fn run(data: &[u8]) {
    let Some((&pace, stream)) = data.split_first() else {
        return;
    };
    let mut oracle = Oracle { stream, position: 0 };
    let mut buffer = ReceiveBuffer::new();
    let (mut control, mut engine) = (Assembly::default(), Assembly::default());
    let mut rest = stream;
    let mut pieces = Pieces(u32::from(pace));
    while !rest.is_empty() {
        rest = &rest[feed(&mut buffer, rest, pieces.next())..];
        loop {
            let expected = oracle.next(stream.len() - rest.len());
            match (buffer.next_frame(), expected) {
                (Ok(Some(frame)), Cut::Frame(bytes)) => {
                    assert_same(frame, bytes);
                    read_hello(frame);
                    read_control(frame, &mut control);
                    read_engine(frame, &mut engine);
                }
                (Ok(None), Cut::Unfinished { begun }) => {
                    assert_eq!(buffer.is_mid_frame(), begun > 0);
                    assert_eq!(buffer.len(), begun);
                    break;
                }
                (Err(_), Cut::Refused) => return assert!(buffer.next_frame().is_err()),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
    }
}

/// Sizes of pieces: all that fits, all of one size, or a mixture.
struct Pieces(u32);

impl Pieces {
    fn next(&mut self) -> usize {
        match self.0 {
            0 => FRAME_MAX,
            fixed @ 1..128 => fixed as usize,
            seed => {
                // From Numerical Recipes; the low 7 bits keep the seed in this branch.
                self.0 = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) | 128;
                1 << (self.0 >> 28)
            }
        }
    }
}

fn feed(buffer: &mut ReceiveBuffer, bytes: &[u8], wanted: usize) -> usize {
    let spare = buffer.spare();
    assert!(!spare.is_empty(), "there is always room when no frame is whole");
    let count = wanted.min(bytes.len()).min(spare.len());
    spare[..count].copy_from_slice(&bytes[..count]);
    buffer.advance(count);
    count
}

/// Cuts the stream by hand.
struct Oracle<'a> {
    stream: &'a [u8],
    position: usize,
}

#[derive(Debug)]
enum Cut<'a> {
    Frame(&'a [u8]),
    Unfinished { begun: usize },
    Refused,
}

impl<'a> Oracle<'a> {
    /// The next frame of a stream of which `arrived` bytes are there.
    fn next(&mut self, arrived: usize) -> Cut<'a> {
        let begun = &self.stream[self.position..arrived];
        let Some(length) = begun.first_chunk::<4>() else {
            return Cut::Unfinished { begun: begun.len() };
        };
        let length = u32::from_be_bytes(*length);
        if length % 8 != 4 || !(20..=8188).contains(&length) {
            return Cut::Refused;
        }
        let size = length as usize + 4;
        if begun.len() < size {
            return Cut::Unfinished { begun: begun.len() };
        }
        self.position += size;
        Cut::Frame(&begun[..size])
    }
}

fn assert_same(frame: Frame<'_>, bytes: &[u8]) {
    let (head, payload) = bytes.split_at(HEADER_SIZE);
    assert_eq!(frame.payload(), payload);
    assert!(frame.payload().as_ptr().addr().is_multiple_of(8));
    assert_eq!(frame.kind().0, u16::from_be_bytes([head[4], head[5]]));
    assert_eq!(frame.flags().0, u16::from_be_bytes([head[6], head[7]]));
    let id = payload.len() - 16;
    assert_eq!(frame.id().to_le_bytes(), payload[id..id + 8]);
}

/// Hellos have no redundancy: what was read is written as it was, reserved bytes apart.
fn read_hello(frame: Frame<'_>) {
    if let Ok(hello) = ClientHello::decode(frame.kind(), frame.payload()) {
        assert_eq!(frame.kind(), Kind::CLIENT_HELLO);
        let written = hello.encode();
        assert_eq!(written[HEADER_SIZE..][..14], frame.payload()[..14]);
        assert_eq!(written[HEADER_SIZE..][16..96], frame.payload()[16..96]);
    }
    if let Ok(hello) = EngineHello::decode(frame.kind(), frame.payload()) {
        assert_eq!(frame.kind(), Kind::ENGINE_HELLO);
        assert_eq!(hello.encode()[HEADER_SIZE..][..88], frame.payload()[..88]);
    }
}

fn read_control(frame: Frame<'_>, assembly: &mut Assembly) {
    match frame.control() {
        Ok(ArchivedControlMessage::Part(part)) => assembly.take(frame, part.get()),
        Ok(message) => assert_all_there_is(frame, &thaw::control(message)),
        Err(error) => assert_explained(frame, error),
    }
    assembly.complete(frame, |whole| match whole.control() {
        Ok(message) => assert_all_there_is(whole, &thaw::control(message)),
        Err(error) => assert_explained(whole, error),
    });
}

fn read_engine(frame: Frame<'_>, assembly: &mut Assembly) {
    match frame.engine() {
        Ok(ArchivedEngineMessage::Part(part)) => assembly.take(frame, part.get()),
        Ok(message) => assert_all_there_is(frame, &thaw::engine(message)),
        Err(error) => assert_explained(frame, error),
    }
    assembly.complete(frame, |whole| match whole.engine() {
        Ok(message) => assert_all_there_is(whole, &thaw::engine(message)),
        Err(error) => assert_explained(whole, error),
    });
}

/// Encoding what was read must give the payload again, but for padding.
fn assert_all_there_is(frame: Frame<'_>, message: &impl Vocabulary) {
    assert_eq!(message.kind(), frame.kind());
    let mut archive = vec![0; message.archive_size()];
    message.write_archive(frame.id(), &mut archive, 0);
    if archive != frame.payload() {
        let padding = padding::of(message);
        assert!(padding::equal_but_for(&padding, &archive, frame.payload()));
    }
}

/// Errors name the frame they are about, and have words and a consequence.
fn assert_explained(frame: Frame<'_>, error: DecodeError) {
    assert!(!error.to_string().is_empty());
    match error {
        DecodeError::WrongClass(kind)
        | DecodeError::Archive(kind)
        | DecodeError::Mismatch { kind, .. }
        | DecodeError::NotCanonical(kind)
        | DecodeError::IdMissing(kind)
        | DecodeError::Unknown(kind) => assert_eq!(kind, frame.kind()),
        DecodeError::Invalid(invalid) => {
            assert_eq!(error.consequence(), Consequence::Answer(invalid.code));
        }
        other => panic!("reading one message cannot fail so: {other:?}"),
    }
}

/// A `PartReader` and what it should hold.
#[derive(Default)]
struct Assembly {
    reader: PartReader,
    id: u64,
    total: usize,
    held: Vec<u8>,
}

impl Assembly {
    fn take(&mut self, frame: Frame<'_>, part: &ArchivedPart<'_>) {
        let (position, total) =
            (part.position.to_native() as usize, part.total.to_native() as usize);
        let piece = part.bytes.as_slice();
        let is_first = self.held.is_empty();
        let is_next = (is_first || (frame.id() == self.id && total == self.total))
            && frame.id() != 0
            && total <= BODY_MAX
            && position == self.held.len()
            && !piece.is_empty()
            && piece.len().is_multiple_of(8)
            && position + piece.len() < total;
        match self.reader.handle_part(frame.id(), part) {
            Ok(()) => {
                assert!(is_next);
                (self.id, self.total) = (frame.id(), total);
                self.held.extend_from_slice(piece);
            }
            Err(error) => {
                assert!(!is_next);
                let is_too_large = matches!(error, DecodeError::BodyTooLarge { .. });
                assert_eq!(is_too_large, total > BODY_MAX);
                *self = Self::default();
            }
        }
    }

    /// Reads the message that `frame` ends, if it ends one.
    fn complete(&mut self, frame: Frame<'_>, read: impl FnOnce(Frame<'_>)) {
        if frame.id() != self.id || self.held.is_empty() || is_part(frame) {
            return;
        }
        self.held.extend_from_slice(frame.payload());
        match self.reader.complete(frame) {
            Ok(whole) => {
                assert_eq!((whole.payload(), self.held.len()), (self.held.as_slice(), self.total));
                assert_eq!((whole.kind(), whole.id()), (frame.kind(), frame.id()));
                read(whole);
            }
            Err(error) => {
                assert_eq!(error, DecodeError::Parts);
                assert_ne!(self.held.len(), self.total);
            }
        }
        *self = Self::default();
    }
}

fn is_part(frame: Frame<'_>) -> bool {
    matches!(frame.kind().0, 0x011f | 0x021a)
}
