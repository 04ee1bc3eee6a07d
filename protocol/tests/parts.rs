//! Messages too large for one frame: cut up, sent between others, put together again.

mod samples;

use samples::{Aligned, encoded, frame, random::Random, thaw};
use tautline_protocol::{
    ArchivedControlMessage, ArchivedEngineMessage, CloseReason, Configure, Consequence,
    ControlMessage, DecodeError, EncodeError, EngineMessage, Kind, Part, PartReader, PartWriter,
    ReceiveBuffer, Screen, Spawn, Vocabulary, encode,
    limits::{BODY_MAX, FRAME_MAX, HEADER_SIZE, PART_MAX, PAYLOAD_MAX, ROOT_SIZE},
};

const ID: u64 = 0x5077;
const OTHER_ID: u64 = 0x0137;

#[test]
fn a_large_spawn_arrives_whole_between_other_frames() {
    let env = environment(100 * 1024);
    let env = env.as_slice().into();
    let spawn = ControlMessage::Spawn(Spawn { env, ..samples::control::spawn() });
    let input = typed();
    for seed in 0..20 {
        let mut random = Random::seeded(seed);
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for frame in frames_of(ID, spawn) {
            for _ in 1..random.up_to(4) {
                stream.extend(encoded(OTHER_ID, input));
                expected.push((OTHER_ID, input));
            }
            stream.extend_from_slice(&frame);
        }
        expected.push((ID, spawn));
        let mut expected = expected.into_iter();
        receive(&stream, &mut random, |id, message| {
            assert_eq!(Some((id, message)), expected.next(), "seed {seed}");
        });
        assert!(expected.next().is_none(), "seed {seed}: all arrived");
    }
}

#[test]
fn a_large_screen_arrives_whole() {
    let text = "\u{2588}".repeat(60_000);
    let text = text.as_str().into();
    let screen = EngineMessage::Screen(Screen { text, ..samples::engine::screen() });
    let mut reader = PartReader::new();
    let frames = frames_of(ID, screen);
    let (last, parts) = frames.split_last().unwrap();
    for part in parts {
        let Ok(ArchivedEngineMessage::Part(part)) = frame(part).engine() else {
            panic!("only parts before the last frame");
        };
        reader.handle_part(ID, part.get()).unwrap();
    }
    let whole = reader.complete(frame(last)).unwrap();
    assert_eq!((whole.kind(), whole.id()), (screen.kind(), ID));
    assert_eq!(thaw::engine(whole.engine().unwrap()), screen);
}

#[test]
fn parts_are_full_and_in_order_and_the_rest_fits_a_frame() {
    for size in [PAYLOAD_MAX + 8, 2 * PAYLOAD_MAX, PAYLOAD_MAX + PART_MAX, 100_000, BODY_MAX] {
        let frames = frames_of(ID, configure(&entry_for(size)));
        let (last, parts) = frames.split_last().unwrap();
        for (index, part) in parts.iter().enumerate() {
            assert_eq!((part.len(), frame(part).id()), (FRAME_MAX, ID));
            let Ok(ArchivedControlMessage::Part(part)) = frame(part).control() else {
                panic!("only parts before the last frame");
            };
            let part = part.get();
            assert_eq!(part.position, (index * PART_MAX) as u32);
            assert_eq!((part.total, part.bytes.len()), ((size as u32).into(), PART_MAX));
        }
        assert_eq!(parts.len() * PART_MAX + last.len() - HEADER_SIZE, size);
        assert_eq!((frame(last).kind(), frame(last).id()), (configure(&[]).kind(), ID));
    }
}

#[test]
fn what_fits_a_frame_is_written_as_encode_does() {
    for size in [64, 4096, PAYLOAD_MAX] {
        let entry = entry_for(size);
        let frames = frames_of(ID, configure(&entry));
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].as_slice(), encoded(ID, configure(&entry)));
    }
    let entry = entry_for(PAYLOAD_MAX + 8);
    let error = encode(&mut [0; 2 * FRAME_MAX], ID, configure(&entry)).unwrap_err();
    assert_eq!(error, EncodeError::NeedsParts { size: PAYLOAD_MAX + 8 });
    assert_eq!(frames_of(ID, configure(&entry)).len(), 2);
}

#[test]
fn the_largest_body_passes_and_one_step_more_is_refused() {
    let largest = entry_for(BODY_MAX);
    let mut stream = Vec::new();
    frames_of(ID, configure(&largest)).iter().for_each(|frame| stream.extend_from_slice(frame));
    let mut arrived = 0;
    receive(&stream, &mut Random::seeded(1), |id, message| {
        assert_eq!((id, message), (ID, configure(&largest)));
        arrived += 1;
    });
    assert_eq!(arrived, 1);

    let error = EncodeError::BodyTooLarge { size: BODY_MAX + 8 };
    let mut larger = largest;
    larger.insert(2, b'v');
    assert_eq!(PartWriter::new(ID, configure(&larger)).unwrap_err(), error);
    assert_eq!(encode(&mut [0; FRAME_MAX], ID, configure(&larger)).unwrap_err(), error);
}

#[test]
fn a_body_announced_too_large_is_refused_at_its_first_part() {
    for total in [BODY_MAX as u32 + 1, BODY_MAX as u32 + 8, 1 << 31, u32::MAX] {
        let mut reader = PartReader::new();
        let error = offer(&mut reader, &Piece { total, ..FIRST }).unwrap_err();
        assert_eq!(error, DecodeError::BodyTooLarge { total });
        assert_eq!(error.consequence(), Consequence::Close(CloseReason::BodyTooLarge));
    }
    offer(&mut PartReader::new(), &Piece { total: BODY_MAX as u32, ..FIRST }).unwrap();
}

#[test]
fn pieces_that_are_not_the_next_are_refused() {
    for (what, last) in [
        ("repeated", FIRST),
        ("skipping", Piece { position: 72, ..SECOND }),
        ("overlapping", Piece { position: 56, ..SECOND }),
        ("of another id", Piece { id: OTHER_ID, ..SECOND }),
        ("of another message", Piece { id: OTHER_ID, ..FIRST }),
        ("of id 0", Piece { id: 0, ..SECOND }),
        ("of a longer message", Piece { total: FIRST.total + 8, ..SECOND }),
        ("of a shorter message", Piece { total: FIRST.total - 8, ..SECOND }),
        ("of a message of nothing", Piece { total: 0, ..SECOND }),
        ("empty", Piece { size: 0, ..SECOND }),
        ("no multiple of 8", Piece { size: 12, ..SECOND }),
        ("leaving nothing for the rest", Piece { size: 136, ..SECOND }),
        ("beyond the end", Piece { size: 144, ..SECOND }),
    ] {
        let mut reader = PartReader::new();
        offer(&mut reader, &FIRST).unwrap();
        assert_eq!(offer(&mut reader, &last), Err(DecodeError::Parts), "{what}");
    }
    let mut reader = PartReader::new();
    offer(&mut reader, &FIRST).unwrap();
    offer(&mut reader, &SECOND).unwrap();
}

#[test]
fn pieces_that_begin_no_message_are_refused() {
    for (what, first) in [
        ("not at the beginning", SECOND),
        ("of id 0", Piece { id: 0, ..FIRST }),
        ("of a message of nothing", Piece { total: 0, ..FIRST }),
        ("empty", Piece { size: 0, ..FIRST }),
        ("no multiple of 8", Piece { size: 4, ..FIRST }),
        ("the whole message", Piece { size: 200, ..FIRST }),
        ("more than the message", Piece { size: 208, ..FIRST }),
    ] {
        assert_eq!(offer(&mut PartReader::new(), &first), Err(DecodeError::Parts), "{what}");
    }
}

#[test]
fn a_rest_of_another_length_is_refused() {
    for size in (ROOT_SIZE..=PAYLOAD_MAX).step_by(8) {
        let mut reader = PartReader::new();
        offer(&mut reader, &FIRST).unwrap();
        let payload = payload_with_id(ID, size);
        let rest = samples::forged(Kind(0x0101), &payload);
        let completed = reader.complete(frame(&rest)).map(|whole| whole.payload().len());
        let missing = FIRST.total as usize - FIRST.size;
        let expected =
            if size == missing { Ok(FIRST.total as usize) } else { Err(DecodeError::Parts) };
        assert_eq!(completed, expected, "a rest of {size}");
    }
}

#[test]
fn a_rest_under_another_kind_is_refused() {
    let entry = entry_for(20_000);
    let mut frames = frames_of(ID, configure(&entry));
    let mut last = frames.pop().unwrap();
    last[5] = 1;
    let mut reader = PartReader::new();
    frames.iter().for_each(|part| offer_frame(&mut reader, part).unwrap());
    let whole = reader.complete(frame(&last)).unwrap();
    assert_eq!(
        whole.control().unwrap_err(),
        DecodeError::Mismatch { kind: Kind(0x0101), found: 26 }
    );
}

#[test]
fn frames_of_other_ids_pass_a_message_in_assembly() {
    let mut reader = PartReader::new();
    let (before, between) = (encoded(ID, typed()), encoded(OTHER_ID, typed()));
    let (before, between) = (samples::aligned(&before), samples::aligned(&between));
    assert_eq!(reader.complete(frame(&before)).unwrap().payload(), &before[HEADER_SIZE..]);
    assert!(!reader.is_mid_message());
    offer(&mut reader, &FIRST).unwrap();
    assert_eq!(reader.complete(frame(&between)).unwrap().payload(), &between[HEADER_SIZE..]);
    assert!(reader.is_mid_message());
    reader.clear();
    assert!(reader.is_mid_message(), "a message that is not complete is kept");
    offer(&mut reader, &SECOND).unwrap();
}

#[test]
fn a_completed_message_makes_room_for_the_next() {
    let (one, two) = (entry_for(20_000), entry_for(30_000));
    let mut reader = PartReader::new();
    for (id, entry) in [(ID, &one), (OTHER_ID, &two), (ID, &one)] {
        let mut frames = frames_of(id, configure(entry));
        let last = frames.pop().unwrap();
        frames.iter().for_each(|part| offer_frame(&mut reader, part).unwrap());
        assert!(reader.is_mid_message());
        let whole = reader.complete(frame(&last)).unwrap();
        assert_eq!(thaw::control(whole.control().unwrap()), configure(entry));
        reader.clear();
        assert!(!reader.is_mid_message());
    }
}

#[test]
fn a_completed_message_that_was_not_cleared_takes_no_more() {
    let mut reader = PartReader::new();
    offer(&mut reader, &FIRST).unwrap();
    let rest =
        samples::forged(Kind(0x0101), &payload_with_id(ID, FIRST.total as usize - FIRST.size));
    reader.complete(frame(&rest)).unwrap();
    assert_eq!(reader.complete(frame(&rest)).unwrap_err(), DecodeError::Parts);
    assert_eq!(offer(&mut reader, &FIRST), Err(DecodeError::Parts));
}

#[test]
fn a_frame_that_did_not_fit_can_be_asked_for_again() {
    let entry = entry_for(20_000);
    let expected = frames_of(ID, configure(&entry));
    let mut writer = PartWriter::new(ID, configure(&entry)).unwrap();
    for expected in expected {
        let needed = expected.len();
        for available in [0, HEADER_SIZE, needed - 1] {
            let error = writer.next_frame(&mut vec![0; available]).unwrap_err();
            assert_eq!(error, EncodeError::BufferTooSmall { needed, available });
        }
        let mut buffer = vec![0; needed];
        assert_eq!(writer.next_frame(&mut buffer), Ok(Some(needed)));
        assert_eq!(buffer, expected.as_slice());
    }
    assert_eq!(writer.next_frame(&mut []), Ok(None));
}

/// A `Part` that no writer of ours would send.
#[derive(Clone, Copy, Debug)]
struct Piece {
    id: u64,
    position: u32,
    total: u32,
    size: usize,
}

/// The first 64 bytes of 200.
const FIRST: Piece = Piece { id: ID, position: 0, total: 200, size: 64 };

/// What follows them: so many that a root and more is left.
const SECOND: Piece = Piece { id: ID, position: 64, total: 200, size: 64 };

fn offer(reader: &mut PartReader, piece: &Piece) -> Result<(), DecodeError> {
    let bytes = vec![0x77; piece.size];
    let part =
        Part { position: piece.position, total: piece.total, bytes: bytes.as_slice().into() };
    offer_frame(reader, &samples::aligned(&encoded(piece.id, ControlMessage::Part(part))))
}

fn offer_frame(reader: &mut PartReader, bytes: &Aligned) -> Result<(), DecodeError> {
    match frame(bytes).control()? {
        ArchivedControlMessage::Part(part) => reader.handle_part(frame(bytes).id(), part.get()),
        other => panic!("not a part: {other:?}"),
    }
}

/// A payload that is nothing but an id in the right place.
fn payload_with_id(id: u64, size: usize) -> Vec<u8> {
    let mut payload = vec![0x77; size];
    payload[size - ROOT_SIZE..][..8].copy_from_slice(&id.to_le_bytes());
    payload
}

fn frames_of(id: u64, message: impl Vocabulary) -> Vec<Aligned> {
    let mut writer = PartWriter::new(id, message).expect("not too large");
    let mut buffer = [0; FRAME_MAX];
    let next = || {
        writer
            .next_frame(&mut buffer)
            .expect("any frame fits")
            .map(|size| samples::aligned(&buffer[..size]))
    };
    std::iter::from_fn(next).collect()
}

/// Feeds `stream` in random pieces and hands every message over with its id.
fn receive(stream: &[u8], random: &mut Random, mut handle: impl FnMut(u64, ControlMessage<'_>)) {
    let mut buffer = ReceiveBuffer::new();
    let mut reader = PartReader::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let spare = buffer.spare();
        let count = random.up_to(FRAME_MAX).min(spare.len()).min(rest.len());
        spare[..count].copy_from_slice(&rest[..count]);
        buffer.advance(count);
        rest = &rest[count..];
        while let Some(frame) = buffer.next_frame().expect("only legal lengths") {
            if frame.kind() == ControlMessage::Part(Part::default()).kind() {
                let Ok(ArchivedControlMessage::Part(part)) = frame.control() else {
                    panic!("a part, by its kind");
                };
                reader.handle_part(frame.id(), part.get()).expect("parts come in order");
                continue;
            }
            let whole = reader.complete(frame).expect("the rest is what is missing");
            handle(whole.id(), thaw::control(whole.control().expect("legal")));
            reader.clear();
        }
    }
    assert!(!reader.is_mid_message() && !buffer.is_mid_frame());
}

/// `NAME_n=...` entries of `size` bytes in all.
fn environment(size: usize) -> Vec<u8> {
    let mut env = Vec::new();
    for number in 0.. {
        env.extend(format!("NAME_{number}={}\0", "v".repeat(number % 300)).bytes());
        if env.len() > size {
            break;
        }
    }
    env.truncate(size - 1);
    env.push(0);
    env
}

/// The longest configuration entry with which the archive of [`configure`] has `size` bytes.
fn entry_for(size: usize) -> Vec<u8> {
    let mut entry = b"k=\0".to_vec();
    entry.resize(size - configure(&[]).archive_size(), 0);
    while configure(&entry).archive_size() <= size {
        entry.push(0);
    }
    entry.pop();
    let value = entry.len() - 1;
    entry[2..value].fill(b'v');
    entry
}

fn configure(entries: &[u8]) -> ControlMessage<'_> {
    ControlMessage::Configure(Configure { flags: 0, entries: entries.into() })
}

fn typed() -> ControlMessage<'static> {
    ControlMessage::Input(samples::control::input())
}
