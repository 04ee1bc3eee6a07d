//! The bytes of every message, pinned: a frame of the first release is a frame for ever.
//!
//! `TAUT_BLESS=1 cargo test -p tautline-protocol --test golden` writes the files anew. A released
//! body never changes, so after the first release that may only add files.

mod samples;

use std::{collections::BTreeSet, fs, io, path::Path, sync::Once};

use samples::{Sample, encoded, frame, padding, thaw};
use tautline_protocol::{
    Class, ClientHello, ControlMessage, EngineHello, EngineMessage, Input, Kind, Vocabulary,
    encode,
    limits::{FRAME_MAX, HEADER_SIZE},
};

#[test]
fn every_message_is_encoded_to_its_golden_bytes() {
    for sample in samples::all() {
        let path = golden_dir().join(format!("{}.hex", sample.name));
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert!(!golden.is_empty(), "{} is missing", path.display());
        assert_eq!(golden, render(&sample), "{} is not what is encoded", sample.name);
    }
}

#[test]
fn no_golden_file_is_without_its_message() {
    let samples = samples::all();
    let expected = samples.iter().map(|sample| format!("{}.hex", sample.name));
    let found = fs::read_dir(golden_dir()).unwrap();
    let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), expected.collect::<BTreeSet<_>>());
}

#[test]
fn golden_client_messages_read_as_what_was_said() {
    for (name, id, message) in samples::control() {
        let bytes = golden_frame(&format!("control-{name}"));
        let frame = frame(&bytes);
        assert_eq!((frame.kind(), frame.id()), (message.kind(), id), "{name}");
        let read = thaw::control(frame.control().unwrap());
        assert_eq!(read, message, "{name}");
        assert_eq!(encoded(id, read), bytes.as_slice(), "{name}");
    }
}

#[test]
fn golden_engine_messages_read_as_what_was_said() {
    for (name, id, message) in samples::engine() {
        let bytes = golden_frame(&format!("engine-{name}"));
        let frame = frame(&bytes);
        assert_eq!((frame.kind(), frame.id()), (message.kind(), id), "{name}");
        let read = thaw::engine(frame.engine().unwrap());
        assert_eq!(read, message, "{name}");
        assert_eq!(encoded(id, read), bytes.as_slice(), "{name}");
    }
}

#[test]
fn golden_hellos_read_as_what_was_said() {
    let bytes = golden_frame("hello-client");
    let hello = ClientHello::decode(Kind::CLIENT_HELLO, frame(&bytes).payload());
    assert_eq!(hello, Ok(samples::client_hello()));
    let bytes = golden_frame("hello-engine");
    let hello = EngineHello::decode(Kind::ENGINE_HELLO, frame(&bytes).payload());
    assert_eq!(hello, Ok(samples::engine_hello()));
}

/// By hand: what `every_message_is_encoded_to_its_golden_bytes` cannot know is which byte is what.
#[test]
fn fields_of_the_hellos_are_where_the_wire_format_has_them() {
    let client = golden_frame("hello-client");
    assert_eq!(client[..16], *b"\0\0\0\x7c\0\x01\0\0tautline");
    assert_eq!(client[16..24], [1, 2, 3, 4, 5, 6, 0, 0]);
    assert_eq!(client[24..40], samples::ascending::<16>(7));
    assert_eq!(client[40..88], samples::ascending::<48>(0x20));
    assert_eq!(client[88..104], samples::ascending::<16>(0x50));
    assert_eq!(client[104..], [0; 24]);

    let engine = golden_frame("hello-engine");
    assert_eq!(engine[..16], *b"\0\0\0\x7c\0\x02\0\0tautline");
    assert_eq!(engine[16..32], samples::ascending::<16>(1));
    assert_eq!(engine[32..96], samples::ascending::<64>(0x20));
    assert_eq!(engine[96..], [0; 32]);
}

#[test]
fn every_kind_has_a_sample_named_after_it() {
    let mut names = BTreeSet::new();
    names.extend(samples::control::full().iter().map(|(name, it)| (it.kind(), *name)));
    names.extend(samples::engine::full().iter().map(|(name, it)| (it.kind(), *name)));
    let schema = |class, tags: Vec<u8>, name_of: fn(u8) -> Option<&'static str>| {
        tags.into_iter()
            .map(|tag| (Kind::new(class, tag), kebab(name_of(tag).unwrap())))
            .collect::<Vec<_>>()
    };
    let mut expected =
        schema(Class::Control, tags::<ControlMessage<'_>>(), ControlMessage::name_of);
    expected.extend(schema(Class::Engine, tags::<EngineMessage<'_>>(), EngineMessage::name_of));
    let names = names.iter().map(|(kind, name)| (*kind, (*name).to_owned()));
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

#[test]
fn full_samples_leave_no_field_at_its_default() {
    let control = samples::control::full();
    control.iter().for_each(|(name, message)| assert_full(name, message));
    let engine = samples::engine::full();
    engine.iter().for_each(|(name, message)| assert_full(name, message));
}

#[test]
fn padding_is_zero_whatever_the_buffer_held() {
    for (name, id, message) in samples::control() {
        assert_no_residue(name, id, message);
    }
    for (name, id, message) in samples::engine() {
        assert_no_residue(name, id, message);
    }
}

const FORMAT_FLIPPED: &str = "rkyv's archive format is not the one this wire is made of. \
    Most likely a crate in this build enables one of rkyv's features big_endian, unaligned, \
    pointer_width_16 or pointer_width_64: they change every archive of the whole build, and such a \
    peer cannot talk to any other";

/// Written by hand, so that blessing the golden files cannot hide a change of format.
#[rustfmt::skip]
const INPUT_BY_HAND: [u8; 56] = [
    0, 0, 0, 52,  1, 6,  0, 0,                       // length, kind, flags: big-endian
    b'h', b'e', b'l', b'l', b'o',  0, 0, 0,          // bytes, zeros to 8
    0x01, 0x02, 0x03, 0x04,  1, 0,  0x05, 0x06,      // attachment, flags, turn: little-endian
    0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10,  // offset
    0xe8, 0xff, 0xff, 0xff,  5, 0, 0, 0,             // bytes: 24 bytes before here, 5 of them
    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,  // root: id
    6, 0, 0, 0,  0xdc, 0xff, 0xff, 0xff,             // tag, padding, body: 36 bytes before here
];

#[test]
fn archives_have_the_format_that_the_wire_is_made_of() {
    use rkyv::primitive::{ArchivedU16, ArchivedU32, ArchivedU64, ArchivedUsize};

    assert_eq!(align_of::<ArchivedU16>(), 2, "unaligned: {FORMAT_FLIPPED}");
    assert_eq!(align_of::<ArchivedU32>(), 4, "unaligned: {FORMAT_FLIPPED}");
    assert_eq!(align_of::<ArchivedU64>(), 8, "unaligned: {FORMAT_FLIPPED}");
    assert_eq!(size_of::<ArchivedUsize>(), 4, "pointer width: {FORMAT_FLIPPED}");
    let word = rkyv::to_bytes::<rancor::Failure>(&0x0403_0201_u32).unwrap();
    assert_eq!(word[..], [1, 2, 3, 4], "endianness: {FORMAT_FLIPPED}");
}

#[test]
fn an_input_frame_is_what_the_wire_format_says_byte_for_byte() {
    let message = ControlMessage::Input(Input {
        attachment: 0x0403_0201,
        flags: 1,
        turn: 0x0605,
        offset: 0x100f_0e0d_0c0b_0a09,
        bytes: "hello".into(),
    });
    let id = 0x1817_1615_1413_1211;
    assert_eq!(encoded(id, message), INPUT_BY_HAND, "{FORMAT_FLIPPED}");

    let bytes = samples::aligned(&INPUT_BY_HAND);
    assert_eq!(frame(&bytes).id(), id, "{FORMAT_FLIPPED}");
    let read = thaw::control(frame(&bytes).control().expect(FORMAT_FLIPPED));
    assert_eq!(read, message, "{FORMAT_FLIPPED}");
}

/// Where the golden files are; written anew before the first look, if asked for.
fn golden_dir() -> &'static Path {
    static BLESSING: Once = Once::new();

    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"));
    if std::env::var_os("TAUT_BLESS").is_some() {
        BLESSING.call_once(|| bless(dir).expect("the golden files can be written"));
    }
    dir
}

fn bless(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        fs::remove_file(entry?.path())?;
    }
    for sample in samples::all() {
        fs::write(dir.join(format!("{}.hex", sample.name)), render(&sample))?;
    }
    Ok(())
}

fn render(sample: &Sample) -> String {
    let kind = sample.frame().kind();
    let id = match kind.class() {
        Some(Class::Hello) => "no id".to_owned(),
        _ => format!("id {:#018x}", sample.frame().id()),
    };
    let mut text = format!("# {}: kind {:#06x}, {id}\n", sample.name, kind.0);
    for line in sample.bytes.chunks(16) {
        let line = line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
        text.push_str(&line.join(" "));
        text.push('\n');
    }
    text
}

fn golden_frame(name: &str) -> samples::Aligned {
    let path = golden_dir().join(format!("{name}.hex"));
    let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{name} is missing"));
    let bytes = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits"))
        .collect::<Vec<_>>();
    samples::aligned(&bytes)
}

fn tags<M: Vocabulary>() -> Vec<u8> {
    M::SCHEMA.iter().map(|(tag, _)| *tag).collect()
}

/// `ConfigGet` to `config-get`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

/// Every field has a byte that is not 0, and none the value of another of its type.
fn assert_full(name: &str, message: &impl Vocabulary) {
    let bytes = encoded(samples::id(message.tag()), *message);
    let archive = &bytes[HEADER_SIZE..];
    let schema = message.body_schema();
    let body = message.bytes_len().next_multiple_of(schema.align);
    let mut seen = BTreeSet::new();
    for field in schema.fields {
        let start = body + field.offset;
        let value = &archive[start..start + padding::significant(field.ty)];
        let only_zero = match (schema.name, field.name) {
            (_, "flags") => every_flag_is_refused(message),
            ("Resize", "attachment") | ("Wait", "kind") | ("Snapshot", "encoding") => true,
            _ => false,
        };
        let empty = match field.ty {
            "bytes" => value[4..] == [0; 4],
            _ => value.iter().all(|byte| *byte == 0),
        };
        assert_eq!(empty, only_zero, "{name}.{}", field.name);
        let fresh = seen.insert((field.ty, value));
        assert!(fresh || only_zero, "{name}.{} looks like another field", field.name);
    }
}

/// Whether the body's flags are ones that must be 0, found out by setting them all.
fn every_flag_is_refused(message: &impl Vocabulary) -> bool {
    let schema = message.body_schema();
    let body = message.bytes_len().next_multiple_of(schema.align);
    let flags = schema.fields.iter().find(|field| field.name == "flags");
    let offset = flags.expect("has flags").offset;
    (0..32).all(|bit| {
        let mut bytes = samples::aligned(&encoded(1, *message));
        let start = HEADER_SIZE + body + offset;
        bytes[start..start + 4].copy_from_slice(&(1_u32 << bit).to_le_bytes());
        let frame = frame(&bytes);
        match frame.kind().class() {
            Some(Class::Control) => frame.control().is_err(),
            _ => frame.engine().is_err(),
        }
    })
}

fn assert_no_residue(name: &str, id: u64, message: impl Vocabulary) {
    let poisoned = |poison: u8| {
        let mut buffer = [poison; FRAME_MAX + 1];
        let size = encode(&mut buffer, id, message).expect("fits one frame");
        assert!(buffer[size..].iter().all(|byte| *byte == poison), "{name} wrote past its end");
        buffer[..size].to_vec()
    };
    let bytes = poisoned(0xaa);
    assert_eq!(bytes, poisoned(0x55), "{name} left residue");
    let padding = padding::of(&message);
    let mut archive = padding.iter().zip(&bytes[HEADER_SIZE..]);
    assert!(archive.all(|(padding, byte)| !padding || *byte == 0), "{name}");
}
