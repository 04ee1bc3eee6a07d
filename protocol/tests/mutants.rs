//! Frames with one thing wrong: nothing panics, and what is still read is exactly what is there.

mod samples;

use samples::{Aligned, Sample, padding, thaw};
use tautline_protocol::{
    ArchivedControlMessage, ArchivedEngineMessage, ArchivedPart, Class, ClientHello, CloseReason,
    Consequence, ControlMessage, DecodeError, EngineHello, EngineMessage, Frame, Header, Kind,
    LengthError, PartReader, Vocabulary, limits::HEADER_SIZE,
};

/// What a receiver makes of one frame.
#[derive(Debug)]
enum Taken<'a> {
    Refused(DecodeError),
    NoHello,
    Unfinished,
    Hello,
    Control(ControlMessage<'a>),
    Engine(EngineMessage<'a>),
}

#[test]
fn client_messages_with_a_changed_byte_are_refused_or_read_as_they_are() {
    change_every_byte("control-");
}

#[test]
fn engine_messages_with_a_changed_byte_are_refused_or_read_as_they_are() {
    change_every_byte("engine-");
}

#[test]
fn hellos_with_a_changed_byte_are_refused_or_read() {
    change_every_byte("hello-");
}

/// As it arrives: the length word still promises more, so nothing else is looked at.
#[test]
fn cut_frames_are_never_finished() {
    for sample in samples::all() {
        for size in HEADER_SIZE..sample.bytes.len() {
            let taken = take(&sample.bytes[..size]);
            assert!(matches!(taken, Taken::Unfinished), "{} cut at {size}", sample.name);
        }
    }
}

/// As a forger would have it: the length word says what is there.
#[test]
fn shortened_archives_are_refused() {
    for sample in messages() {
        let (head, payload) = sample.bytes.split_at(HEADER_SIZE);
        for size in 0..payload.len() {
            let error = refusal(&relengthened(head, &payload[..size]));
            let is_legal_size = size >= 16 && size % 8 == 0;
            let is_length_error = matches!(error, DecodeError::Length(_));
            assert_ne!(is_length_error, is_legal_size, "{} of {size}: {error}", sample.name);
        }
    }
}

#[test]
fn junk_before_an_archive_is_refused_as_not_canonical() {
    for sample in messages() {
        let (head, payload) = sample.bytes.split_at(HEADER_SIZE);
        for junk in JUNK {
            let bytes = relengthened(head, &[junk, payload].concat());
            let length = bytes.len() as u32 - 4;
            let expected = match Header::frame_size(length) {
                Ok(_) => DecodeError::NotCanonical(sample.frame().kind()),
                Err(_) => DecodeError::Length(LengthError::TooLarge { length }),
            };
            assert_eq!(refusal(&bytes), expected, "{} behind {} bytes", sample.name, junk.len());
        }
    }
}

#[test]
fn junk_behind_an_archive_is_refused() {
    for sample in messages() {
        let (head, payload) = sample.bytes.split_at(HEADER_SIZE);
        for junk in JUNK {
            let error = refusal(&relengthened(head, &[payload, junk].concat()));
            assert!(matches!(error.consequence(), Consequence::Close(_)), "{error}");
        }
    }
}

#[test]
fn a_message_under_the_header_of_another_is_refused() {
    for mut sample in messages() {
        let (kind, id) = (sample.frame().kind(), sample.frame().id());
        for tag in (0..=u8::MAX).filter(|tag| *tag != kind.tag()) {
            let [high, low] = [sample.bytes[4], tag];
            sample.bytes[5] = tag;
            let claimed = Kind(u16::from_be_bytes([high, low]));
            let error = refusal(&sample.bytes);
            let is_expected = match error {
                DecodeError::Mismatch { kind: of, found } => of == claimed && found == kind.tag(),
                DecodeError::IdMissing(of) => of == claimed && id == 0,
                DecodeError::Unknown(of) => of == claimed && !is_known(claimed),
                _ => false,
            };
            assert!(is_expected, "{} as {tag}: {error}", sample.name);
        }
    }
}

/// Built by hand, because no encoder would.
#[test]
fn byte_strings_that_are_not_where_they_belong_are_refused() {
    let honest = forged_rename([-8, -12]);
    assert!(matches!(take(&honest), Taken::Control(ControlMessage::Rename(_))), "well forged");
    for (what, pointers) in [
        ("both are the first", [-8, -16]),
        ("both are the second", [-4, -12]),
        ("swapped", [-4, -16]),
        ("overlapping", [-8, -14]),
        ("the second is a pointer", [-8, 0]),
        ("the first is its own pointer", [0, -12]),
        ("the first is in the root", [16, -12]),
        ("the first begins before the archive", [-9, -12]),
        ("the second ends behind the archive", [-8, 21]),
        ("the first is far before", [i32::MIN, -12]),
        ("the second is far behind", [-8, i32::MAX]),
    ] {
        let consequence = refusal(&forged_rename(pointers)).consequence();
        let expected = [CloseReason::BadArchive, CloseReason::NotCanonical].map(Consequence::Close);
        assert!(expected.contains(&consequence), "{what}: {consequence:?}");
    }
}

/// Access in place needs alignment; a receiver that forgot it must be told, not served.
#[test]
fn an_archive_at_an_odd_address_is_refused() {
    for sample in messages() {
        let (head, payload) = sample.bytes.split_first_chunk::<HEADER_SIZE>().unwrap();
        let header = Header::decode(*head).unwrap();
        for shift in 1..8 {
            let mut shifted = samples::aligned(&[0; 8][..shift]);
            shifted.extend_from_slice(payload);
            let error = read(Frame::new(header, &shifted[shift..])).unwrap_err();
            assert_eq!(error, DecodeError::Archive(header.kind), "{} at {shift}", sample.name);
        }
    }
}

/// Equal messages are equal bytes only as our encoder writes them: a receiver does not insist.
#[test]
fn bytes_in_padding_change_nothing_that_is_read() {
    for (name, id, message) in samples::control() {
        let bytes = with_filled_padding(id, &message);
        assert!(matches!(take(&bytes), Taken::Control(read) if read == message), "{name}");
    }
    for (name, id, message) in samples::engine() {
        let bytes = with_filled_padding(id, &message);
        assert!(matches!(take(&bytes), Taken::Engine(read) if read == message), "{name}");
    }
}

const JUNK: [&[u8]; 4] = [&[0; 8], &[0xee; 8], &[0; 16], &[0xee; 16]];

fn change_every_byte(group: &str) {
    let (mut refused, mut unfinished, mut read) = (0_u32, 0_u32, 0_u32);
    for mut sample in samples::all() {
        if !sample.name.starts_with(group) {
            continue;
        }
        let original = sample.bytes.to_vec();
        let lengths = byte_lengths(&take(&samples::aligned(&original)));
        for (offset, change) in changes(original.len()) {
            sample.bytes[offset] ^= change;
            match take(&sample.bytes) {
                Taken::Refused(_) | Taken::NoHello => refused += 1,
                Taken::Unfinished => unfinished += 1,
                Taken::Hello => read += 1,
                taken => {
                    read += 1;
                    assert_same_lengths(&byte_lengths(&taken), &lengths, &sample.name);
                }
            }
            sample.bytes[offset] = original[offset];
        }
    }
    println!("{group}: {refused} refused, {unfinished} unfinished, {read} read");
    assert!(refused > 0 && unfinished > 0 && read > 0);
}

/// Where to change what: every byte to every value; in long frames one bit at a time, and in the
/// middle of them only here and there.
fn changes(size: usize) -> impl Iterator<Item = (usize, u8)> {
    let is_long = size > 512;
    let is_plain = move |offset: &usize| is_long && (128..size - 128).contains(offset);
    let offsets = (0..size).filter(move |offset| !is_plain(offset) || offset % 61 == 0);
    let bits = (0..8).map(|bit| 1 << bit).collect::<Vec<u8>>();
    let all = (1..=u8::MAX).collect::<Vec<u8>>();
    offsets.flat_map(move |offset| {
        let changes = if is_long { bits.clone() } else { all.clone() };
        changes.into_iter().map(move |change| (offset, change))
    })
}

/// Takes the first frame in `bytes`, which are aligned, as a connection would.
fn take(bytes: &[u8]) -> Taken<'_> {
    let (head, rest) = bytes.split_first_chunk::<HEADER_SIZE>().expect("a header");
    let header = match Header::decode(*head) {
        Ok(header) => header,
        Err(error) => return Taken::Refused(error.into()),
    };
    let Some(payload) = rest.get(..header.payload_size) else {
        return Taken::Unfinished;
    };
    if header.kind.class() == Some(Class::Hello) {
        let client = ClientHello::decode(header.kind, payload).map(|_| Taken::Hello);
        let either =
            client.or_else(|_| EngineHello::decode(header.kind, payload).map(|_| Taken::Hello));
        return either.unwrap_or(Taken::NoHello);
    }
    read(Frame::new(header, payload)).unwrap_or_else(Taken::Refused)
}

fn read(frame: Frame<'_>) -> Result<Taken<'_>, DecodeError> {
    if frame.kind().class() != Some(Class::Engine) {
        let archived = frame.control()?;
        if let ArchivedControlMessage::Part(part) = archived {
            assemble(frame, part.get());
        }
        let message = thaw::control(archived);
        assert_is_all_there_is(frame, &message);
        return Ok(Taken::Control(message));
    }
    let archived = frame.engine()?;
    if let ArchivedEngineMessage::Part(part) = archived {
        assemble(frame, part.get());
    }
    let message = thaw::engine(archived);
    assert_is_all_there_is(frame, &message);
    Ok(Taken::Engine(message))
}

/// A part is taken only as the first of a message; then this very frame cannot be its end.
fn assemble(frame: Frame<'_>, part: &ArchivedPart<'_>) {
    let mut reader = PartReader::new();
    match reader.handle_part(frame.id(), part) {
        Ok(()) => assert_eq!(part.position, 0),
        Err(error) => {
            assert!(matches!(error, DecodeError::Parts | DecodeError::BodyTooLarge { .. }))
        }
    }
    let _ = reader.complete(frame);
}

/// Encoding what was read must give the payload again, but for padding.
fn assert_is_all_there_is(frame: Frame<'_>, message: &impl Vocabulary) {
    assert_eq!(message.kind(), frame.kind());
    assert_eq!(message.archive_size(), frame.payload().len());
    let mut archive = vec![0; frame.payload().len()];
    message.write_archive(frame.id(), &mut archive, 0);
    if archive != frame.payload() {
        let padding = padding::of(message);
        assert!(padding::equal_but_for(&padding, &archive, frame.payload()), "{:?}", frame.kind());
    }
}

/// Lengths of a message's byte strings, in order.
fn byte_lengths(taken: &Taken<'_>) -> Vec<u32> {
    match taken {
        Taken::Control(message) => archived_lengths(message),
        Taken::Engine(message) => archived_lengths(message),
        _ => Vec::new(),
    }
}

fn archived_lengths(message: &impl Vocabulary) -> Vec<u32> {
    let mut archive = vec![0; message.archive_size()];
    message.write_archive(0, &mut archive, 0);
    let schema = message.body_schema();
    let body = message.bytes_len().next_multiple_of(schema.align);
    let fields = schema.fields.iter().filter(|field| field.ty == "bytes");
    let starts = fields.map(|field| body + field.offset + 4);
    starts.map(|at| u32::from_le_bytes(archive[at..at + 4].try_into().expect("4 bytes"))).collect()
}

/// No byte string can change its length alone, but the last: it and the zeros behind it share their
/// room.
fn assert_same_lengths(found: &[u32], original: &[u32], name: &str) {
    assert_eq!(found.len(), original.len(), "{name}");
    if let (Some((last, found)), Some((was, original))) =
        (found.split_last(), original.split_last())
    {
        assert_eq!(found, original, "{name}");
        assert!(last.abs_diff(*was) < 8, "{name}");
    }
}

fn refusal(bytes: &[u8]) -> DecodeError {
    match take(bytes) {
        Taken::Refused(error) => error,
        taken => panic!("not refused: {taken:?}"),
    }
}

fn with_filled_padding(id: u64, message: &impl Vocabulary) -> Aligned {
    let mut bytes = samples::aligned(&samples::encoded(id, *message));
    let padding = padding::of(message);
    let padded = bytes[HEADER_SIZE..].iter_mut().zip(padding);
    padded.filter(|(_, is_padding)| *is_padding).for_each(|(byte, _)| *byte = 0xff);
    bytes
}

/// Client and engine messages, without the hellos.
fn messages() -> impl Iterator<Item = Sample> {
    samples::all().into_iter().filter(|sample| sample.frame().kind().class() != Some(Class::Hello))
}

fn is_known(kind: Kind) -> bool {
    match kind.class() {
        Some(Class::Control) => ControlMessage::name_of(kind.tag()).is_some(),
        _ => EngineMessage::name_of(kind.tag()).is_some(),
    }
}

/// The header `head`, its length made that of `payload`, which follows it.
fn relengthened(head: &[u8], payload: &[u8]) -> Aligned {
    let mut bytes = samples::aligned(&[head, payload].concat());
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// `Rename` from `name` to `more`, with the pointers to them given.
fn forged_rename([name, new_name]: [i32; 2]) -> Aligned {
    let mut payload = b"namemore".to_vec();
    payload.extend(name.to_le_bytes());
    payload.extend(4_u32.to_le_bytes());
    payload.extend(new_name.to_le_bytes());
    payload.extend(4_u32.to_le_bytes());
    payload.extend(7_u64.to_le_bytes());
    payload.extend([16, 0, 0, 0]);
    payload.extend((-28_i32).to_le_bytes());
    samples::forged(Kind::new(Class::Control, 16), &payload)
}
