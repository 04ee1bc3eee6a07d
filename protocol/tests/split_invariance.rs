//! However a stream is cut up on its way, the same frames come out of it.

mod samples;

use samples::{Sample, random::Random};
use tautline_protocol::{
    Flags, Frame, Header, Kind, LengthError, ReceiveBuffer,
    limits::{FRAME_ALIGN, FRAME_MAX, HEADER_SIZE},
};

/// A frame as the oracle sees it: not cut by the code under test.
#[derive(Debug, PartialEq)]
struct Cut {
    kind: Kind,
    flags: Flags,
    payload: Vec<u8>,
}

#[test]
fn pieces_of_one_size_yield_the_frames_of_the_whole() {
    let stream = joined(&samples::all());
    let expected = cut_by_hand(&stream);
    for size in 1..=200 {
        assert_eq!(receive(&stream, |_| size), expected, "pieces of {size}");
    }
}

/// Some seeds trickle, some flood; each has its own order, so frames begin everywhere.
#[test]
fn pieces_of_random_sizes_yield_the_frames_of_the_whole() {
    let mut frames = samples::all();
    for seed in 0..500 {
        let mut random = Random::seeded(seed);
        shuffle(&mut frames, &mut random);
        let stream = joined(&frames);
        let largest = 1 << (seed % 16 + 1);
        let received = receive(&stream, |_| random.up_to(largest));
        assert_eq!(received, cut_by_hand(&stream), "seed {seed}");
    }
}

#[test]
fn reads_that_end_around_every_boundary_yield_the_frames_of_the_whole() {
    let stream = joined(&samples::all());
    let expected = cut_by_hand(&stream);
    for shift in 0..2 * HEADER_SIZE {
        let ends = boundaries(&stream).into_iter().map(|end| end + shift).collect::<Vec<_>>();
        let received = receive(&stream, |position| {
            let end = ends.iter().find(|end| **end > position);
            end.map_or(FRAME_MAX, |end| end - position)
        });
        assert_eq!(received, expected, "{shift} bytes after each boundary");
    }
}

#[test]
fn no_frame_is_moved_twice() {
    let stream = joined(&samples::all());
    for size in [1, 7, 64, 1000, 4096, FRAME_MAX] {
        let mut buffer = ReceiveBuffer::new();
        let mut rest = stream.as_slice();
        let (mut filled, mut frames, mut moved_frame, mut moved) = (0, 0, None, 0);
        while !rest.is_empty() {
            // Bytes can only be nearer to the front than they were by having been moved there.
            let filled_now = FRAME_MAX - buffer.spare().len();
            if filled_now < filled && !buffer.is_empty() {
                assert_ne!(moved_frame, Some(frames), "moved again, in pieces of {size}");
                moved_frame = Some(frames);
                moved += buffer.len();
            }
            let count = feed(&mut buffer, &rest[..size.min(rest.len())]);
            filled = filled_now + count;
            rest = &rest[count..];
            while buffer.next_frame().unwrap().is_some() {
                frames += 1;
            }
        }
        assert!(moved < stream.len(), "{moved} bytes moved in pieces of {size}");
        // Single bytes never leave anything behind a frame; large pieces nearly always do.
        assert_eq!(moved == 0, size == 1, "{moved} bytes moved in pieces of {size}");
    }
}

#[test]
fn an_unfinished_frame_is_told_from_a_clean_end_at_every_byte() {
    let stream = joined(&samples::all());
    let boundaries = boundaries(&stream);
    let mut buffer = ReceiveBuffer::new();
    assert!(!buffer.is_mid_frame(), "nothing was begun");
    for (index, byte) in stream.iter().enumerate() {
        feed(&mut buffer, &[*byte]);
        while buffer.next_frame().unwrap().is_some() {}
        let clean = boundaries.binary_search(&(index + 1)).is_ok();
        assert_eq!(buffer.is_mid_frame(), !clean, "after {} bytes", index + 1);
        assert_eq!(buffer.is_empty(), clean, "after {} bytes", index + 1);
    }
}

/// What it is, the length word, and the verdict on it.
type BadLength = (&'static str, u32, fn(u32) -> LengthError);

const BAD_LENGTHS: [BadLength; 13] = [
    ("nothing", 0, |length| LengthError::TooSmall { length }),
    ("only kind and flags", 4, |length| LengthError::TooSmall { length }),
    ("less than a root", 16, |length| LengthError::TooSmall { length }),
    ("misaligned", 24, |length| LengthError::Misaligned { length }),
    ("misaligned by one", 53, |length| LengthError::Misaligned { length }),
    ("one too large", 8189, |length| LengthError::TooLarge { length }),
    ("the buffer's size", 8192, |length| LengthError::TooLarge { length }),
    ("largest signed", 0x7fff_ffff, |length| LengthError::TooLarge { length }),
    ("smallest signed", 0x8000_0000, |length| LengthError::TooLarge { length }),
    ("largest", 0xffff_ffff, |length| LengthError::TooLarge { length }),
    ("HTTP", u32::from_be_bytes(*b"GET "), |length| LengthError::TooLarge { length }),
    ("TLS", 0x1603_0102, |length| LengthError::TooLarge { length }),
    ("little-endian 52", 52_u32.swap_bytes(), |length| LengthError::TooLarge { length }),
];

#[test]
fn a_bad_length_is_refused_by_its_fourth_byte_and_for_ever() {
    for (what, length, error) in BAD_LENGTHS {
        let mut buffer = ReceiveBuffer::new();
        let [first @ .., last] = length.to_be_bytes();
        for byte in first {
            feed(&mut buffer, &[byte]);
            assert!(matches!(buffer.next_frame(), Ok(None)), "{what}: not known yet");
        }
        feed(&mut buffer, &[last]);
        assert_refused(&mut buffer, error(length), what);
        feed(&mut buffer, &samples::all()[0].bytes);
        assert_refused(&mut buffer, error(length), what);
        while !buffer.spare().is_empty() {
            feed(&mut buffer, &[0; FRAME_MAX]);
            assert_refused(&mut buffer, error(length), what);
        }
    }
}

#[test]
fn a_bad_length_does_not_swallow_the_frames_before_it() {
    for (what, length, error) in BAD_LENGTHS {
        for sample in samples::all().iter().filter(|sample| sample.bytes.len() < 1000) {
            let mut buffer = ReceiveBuffer::new();
            let mut stream = sample.bytes.to_vec();
            stream.extend_from_slice(&length.to_be_bytes());
            stream.extend_from_slice(b"and more of that");
            feed(&mut buffer, &stream);
            let frame = buffer.next_frame().unwrap().expect("a whole frame");
            assert_eq!(frame.payload(), &sample.bytes[HEADER_SIZE..], "{what}");
            assert_refused(&mut buffer, error(length), what);
            assert!(buffer.is_mid_frame(), "{what}: what was refused was never finished");
        }
    }
}

#[test]
fn every_legal_length_is_received() {
    let mut buffer = ReceiveBuffer::new();
    for payload_size in (16..=FRAME_MAX - HEADER_SIZE).step_by(FRAME_ALIGN) {
        let kind = Kind(payload_size as u16);
        let bytes = samples::forged(kind, &vec![payload_size as u8; payload_size]);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            assert!(buffer.next_frame().unwrap().is_none(), "not whole yet");
            rest = &rest[feed(&mut buffer, rest)..];
        }
        assert_eq!(cut(buffer.next_frame().unwrap().expect("whole")), cut(samples::frame(&bytes)));
    }
}

#[test]
fn flags_reach_the_receiver_as_sent() {
    let sample = samples::forged(Kind(0x0101), &[0; 16]);
    for flags in [1, 2, 0x8000, 0xffff].map(Flags) {
        let header = Header { flags, ..samples::header(Kind(0x0101), 16) };
        let mut bytes = sample.to_vec();
        bytes[..HEADER_SIZE].copy_from_slice(&header.encode());
        let mut buffer = ReceiveBuffer::new();
        feed(&mut buffer, &bytes);
        assert_eq!(buffer.next_frame().unwrap().expect("whole").flags(), flags);
    }
}

#[test]
fn a_lent_frame_is_given_back_by_asking_for_room() {
    let frames = joined(&samples::all()[..2]);
    let mut buffer = ReceiveBuffer::new();
    feed(&mut buffer, &frames);
    assert_eq!(buffer.len(), frames.len());
    buffer.next_frame().unwrap().expect("the first");
    assert_eq!(buffer.len(), frames.len(), "the first is on loan");
    buffer.spare();
    assert_eq!(buffer.len(), frames.len() / 2, "the second was not looked at");
    buffer.next_frame().unwrap().expect("the second");
    assert!(!buffer.is_mid_frame());
    buffer.spare();
    assert!(buffer.is_empty());
}

#[test]
#[should_panic(expected = "more bytes than there was room for")]
fn more_bytes_than_there_was_room_for_are_never_believed() {
    let mut buffer = ReceiveBuffer::new();
    feed(&mut buffer, &[0, 0, 0, 52]);
    buffer.advance(FRAME_MAX - 3);
}

fn assert_refused(buffer: &mut ReceiveBuffer, expected: LengthError, what: &str) {
    for _ in 0..2 {
        assert_eq!(buffer.next_frame().expect_err("a bad length"), expected, "{what}");
    }
}

/// Puts in as much of `bytes` as there is room for.
fn feed(buffer: &mut ReceiveBuffer, bytes: &[u8]) -> usize {
    let spare = buffer.spare();
    let count = bytes.len().min(spare.len());
    assert!(count > 0, "there is always room after the last frame was taken");
    spare[..count].copy_from_slice(&bytes[..count]);
    buffer.advance(count);
    count
}

/// Feeds `stream`, asking `wanted` for the size of the piece at each position.
fn receive(stream: &[u8], mut wanted: impl FnMut(usize) -> usize) -> Vec<Cut> {
    let mut buffer = ReceiveBuffer::new();
    let mut received = Vec::new();
    let mut position = 0;
    while position < stream.len() {
        let piece = &stream[position..];
        position += feed(&mut buffer, &piece[..wanted(position).min(piece.len())]);
        while let Some(frame) = buffer.next_frame().expect("only legal lengths") {
            assert!(frame.payload().as_ptr().addr().is_multiple_of(FRAME_ALIGN));
            received.push(cut(frame));
        }
    }
    assert!(buffer.is_empty(), "everything was whole");
    received
}

fn cut(frame: Frame<'_>) -> Cut {
    Cut { kind: frame.kind(), flags: frame.flags(), payload: frame.payload().to_vec() }
}

/// The oracle: nothing but the length words.
fn cut_by_hand(stream: &[u8]) -> Vec<Cut> {
    let mut start = 0;
    let cut = |end| {
        let [a, b, c, d, e, f, g, h] = stream[start..start + 8].try_into().expect("8 bytes");
        assert_eq!(u32::from_be_bytes([a, b, c, d]) as usize, end - start - 4);
        let payload = stream[start + 8..end].to_vec();
        start = end;
        let (kind, flags) = (u16::from_be_bytes([e, f]), u16::from_be_bytes([g, h]));
        Cut { kind: Kind(kind), flags: Flags(flags), payload }
    };
    boundaries(stream).into_iter().map(cut).collect()
}

/// Where frames end, ascending.
fn boundaries(stream: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut end = 0;
    while end < stream.len() {
        let length = stream[end..end + 4].try_into().expect("4 bytes");
        end += 4 + u32::from_be_bytes(length) as usize;
        ends.push(end);
    }
    ends
}

fn joined(frames: &[Sample]) -> Vec<u8> {
    frames.iter().flat_map(|sample| sample.bytes.as_slice()).copied().collect()
}

fn shuffle(frames: &mut [Sample], random: &mut Random) {
    for index in 1..frames.len() {
        frames.swap(index, random.up_to(index + 1) - 1);
    }
}
