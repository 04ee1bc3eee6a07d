//! `docs/wire-format.md` and the code say the same: every table and every hex block is compared.
//!
//! A failure lists what the document lacks. To see all tables and hex blocks as they must be:
//! `TAUT_BLESS=1 cargo test -p tautline-protocol --test wire_doc -- --nocapture --test-threads 1`.

#[path = "wire_doc/document.rs"]
mod document;
#[path = "wire_doc/hex.rs"]
mod hex;

use std::{collections::BTreeSet, fmt::Write, mem::offset_of};

use document::{DOC, Expected, section, verify};
use tautline_protocol::{message::*, *};

fn field_rows(fields: &[Field]) -> Vec<String> {
    fields
        .iter()
        .map(|field| format!("| {} | {} | {} |", field.offset, field.name, field.ty))
        .collect()
}

fn messages<M: Vocabulary>(
    name_of: fn(u8) -> Option<&'static str>,
    role: fn(u8) -> Option<Role>,
) -> Vec<Expected> {
    let expected = |&(tag, body): &(u8, BodySchema)| {
        let name = name_of(tag).expect("a tag of the schema has a name");
        let heading = format!("{:#06x} {name}", Kind::new(M::CLASS, tag).0);
        let role = role(tag).map_or_else(String::new, |role| format!("; role {role:?}"));
        assert!(body.align == 8 && body.size.is_multiple_of(8), "{heading}: it ends at the root");
        let line = format!("Fixed part: {} bytes{role}.", body.size);
        Expected::new(heading, line, field_rows(body.fields))
    };
    M::SCHEMA.iter().map(expected).collect()
}

#[test]
fn every_message_has_a_table_of_its_fields() {
    verify(&messages::<ControlMessage<'_>>(ControlMessage::name_of, ControlMessage::role));
    verify(&messages::<EngineMessage<'_>>(EngineMessage::name_of, |_| None));
}

#[test]
fn no_heading_names_a_message_that_does_not_exist() {
    let headings = DOC.lines().filter(|line| line.starts_with("#### 0x")).count();
    assert_eq!(headings, ControlMessage::SCHEMA.len() + EngineMessage::SCHEMA.len());
}

macro_rules! shared {
    ($name:ident / $archived:ident { $($field:ident: $ty:ident),+ $(,)? }) => {{
        $(let _: $ty = $name::default().$field;)+
        let line = format!(
            "Fixed part: {} bytes, aligned to {}.", size_of::<$archived>(), align_of::<$archived>()
        );
        let fields = [$(Field {
            name: stringify!($field),
            ty: stringify!($ty),
            offset: offset_of!($archived, $field),
        },)+];
        Expected::new(stringify!($name), line, field_rows(&fields))
    }};
}

#[test]
fn every_shared_structure_has_a_table_of_its_fields() {
    let window_size = shared! { WindowSize / ArchivedWindowSize {
        cols: u16, rows: u16, x_pixels: u16, y_pixels: u16,
    } };
    let attach_terms = shared! { AttachTerms / ArchivedAttachTerms {
        attachment: u32, flags: u32, output_from: u64, window: u32, pause_limit_ms: u32,
        history_lines: u32, delivery: u8, view: u8,
    } };
    verify(&[window_size, attach_terms]);
}

macro_rules! choices {
    ($($name:ident)+) => { vec![$(Expected::new(
        stringify!($name),
        format!("`u{}`", 8 * size_of::<$name>()),
        $name::ALL
            .iter()
            .map(|value| format!("| {} | {} |", value.to_wire(), value.name()))
            .collect(),
    ),)+] };
}

macro_rules! flag_sets {
    ($($name:ident: $repr:ident,)+) => { vec![$({
        assert!(u64::from($name::ALL) <= $repr::MAX.into(), "{} has room", stringify!($name));
        Expected::new(
            stringify!($name),
            concat!("`", stringify!($repr), "`"),
            $name::BITS.iter().map(|(name, bit)| format!("| {bit:#04x} | {name} |")).collect(),
        )
    },)+] };
}

/// The names that the sources declare with one of the two macros.
fn declared(declaration: &str) -> BTreeSet<&'static str> {
    let sources = [include_str!("../src/values.rs"), include_str!("../src/error.rs")];
    let bodies = sources.into_iter().flat_map(|source| source.split(declaration).skip(1));
    let name = |body: &'static str| {
        let line = body.lines().map(str::trim).skip(1).find(|line| !line.starts_with("///"))?;
        line.split([':', ' ']).next()
    };
    bodies.filter_map(name).collect()
}

fn assert_complete(expected: &[Expected], declaration: &str) {
    let listed: BTreeSet<_> = expected.iter().map(|expected| expected.heading.as_str()).collect();
    assert_eq!(listed, declared(declaration), "this test must list every `{declaration}`");
}

#[test]
fn every_choice_has_a_table_of_its_values() {
    let mut expected = choices! {
        Delivery View SizePolicy RestartPolicy SessionState ExitKind SignalTarget WaitKind
        WaitOutcome SnapshotSection SnapshotEncoding AdjustCause DetachReason StatsSection EventKind
        Purpose
        Refusal CloseReason ErrorClass ErrorCode Limit
    };
    assert_complete(&expected, "choice! {");
    for expected in expected.iter_mut().filter(|expected| expected.heading == "ErrorCode") {
        for (row, code) in expected.rows.iter_mut().zip(ErrorCode::ALL) {
            write!(row, " {} |", code.class().name()).unwrap();
        }
    }
    verify(&expected);
}

#[test]
fn every_flag_set_has_a_table_of_its_bits() {
    let expected = flag_sets! {
        Rights: u32, SpawnFlags: u32, AttachFlags: u32, InputFlags: u16, SignalFlags: u32,
        KickFlags: u32, RemoveFlags: u32, LogsFlags: u32, ScreenFlags: u32, StatsFlags: u32,
        ShutdownFlags: u32, SpawnedFlags: u32, OutputFlags: u32, LogFlags: u32,
    };
    assert_complete(&expected, "flag_set! {");
    verify(&expected);
}

macro_rules! constants {
    ($($name:ident)+) => { vec![$(format!("| {} | {} |", stringify!($name), limits::$name),)+] };
}

#[test]
fn every_limit_and_special_value_is_listed() {
    let mut rows = constants! {
        FRAME_MAX HEADER_SIZE LENGTH_WORD_SIZE FRAME_ALIGN BUFFER_ALIGN PAYLOAD_MAX ROOT_SIZE
        LENGTH_MAX LENGTH_MIN HELLO_SIZE BODY_MAX PART_MAX INPUT_MAX OUTPUT_MAX NAME_MAX TEXT_MAX
        PATH_MAX
        PATTERN_MAX PING_MAX WINDOW_SIDE_MAX WINDOW_CELLS_MAX HISTORY_LINES_MAX OUTPUT_WINDOW_MIN
        OUTPUT_WINDOW_MAX LOG_SIZE_MIN LOG_SIZE_MAX SIGNAL_MAX
    };
    let declared = include_str!("../src/limits.rs").matches("\npub const ").count();
    assert_eq!(rows.len(), declared, "this test must list every limit");
    rows.push(format!("| OFFSET_NOW | {OFFSET_NOW} |"));
    rows.push(format!("| EPOCH_ANY | {EPOCH_ANY} |"));
    rows.push(format!("| UNCHANGED | {UNCHANGED} |"));
    rows.push(format!("| UNCHANGED_FLAGS | {UNCHANGED_FLAGS} |"));
    verify(&[Expected::new("7.7 Limits and special values", "", rows)]);
}

#[test]
fn the_frame_is_described_as_it_is_checked() {
    let (min, max) = (limits::LENGTH_MIN, limits::LENGTH_MAX);
    let reason = |length| {
        let fault = DecodeError::from(Header::frame_size(length).unwrap_err());
        let Consequence::Close(reason) = fault.consequence() else { panic!("a bad length closes") };
        reason.name()
    };
    let lengths = [
        (format!("| length <= {max} |"), reason(max + 8)),
        (format!("| length >= {min} |"), reason(min - 8)),
        ("| length mod 8 = 4 |".to_owned(), reason(min + 4)),
    ];
    for (row, reason) in lengths {
        let section = section("2.1 Length");
        let row = section.iter().find(|line| line.starts_with(&row)).expect("a row of its own");
        assert!(row.ends_with(&format!("| {reason} |")), "{row}");
    }
    let classes = [Class::Hello, Class::Control, Class::Engine, Class::Keeper];
    let classes = classes.map(|class| format!("| {} | {class:?} |", class as u8)).to_vec();
    let flags = [("CHECKSUM", Flags::CHECKSUM), ("COMPRESSED", Flags::COMPRESSED)];
    let flags = flags.map(|(name, flag)| format!("| {:#06x} | {name} |", flag.0)).to_vec();
    verify(&[Expected::new("2.2 Kind", "", classes), Expected::new("2.3 Flags", "", flags)]);
    assert_eq!((Kind::CLIENT_HELLO.0, Kind::ENGINE_HELLO.0), (0x0001, 0x0002));
}

/// A field of a hello and how to set all its bits.
type Setter<H> = (&'static str, fn(&mut H));

/// The rows of a hello's table, found out by setting one field at a time to all ones.
fn hello_rows<H: Copy>(
    blank: H,
    encode: fn(&H) -> [u8; HELLO_FRAME_SIZE],
    fields: &[Setter<H>],
) -> Vec<String> {
    let mut rows = vec![format!("| 0 | {} | magic |", MAGIC.len())];
    let mut end = MAGIC.len();
    for (name, set) in fields {
        let mut hello = blank;
        set(&mut hello);
        let (before, after) = (encode(&blank), encode(&hello));
        let differs = |position: &usize| before[*position] != after[*position];
        let first = (0..HELLO_FRAME_SIZE).find(differs).expect(name) - limits::HEADER_SIZE;
        let last = (0..HELLO_FRAME_SIZE).rfind(differs).expect(name) - limits::HEADER_SIZE;
        if first > end {
            rows.push(format!("| {end} | {} | reserved |", first - end));
        }
        end = last + 1;
        rows.push(format!("| {first} | {} | {name} |", end - first));
    }
    rows.push(format!("| {end} | {} | reserved |", limits::HELLO_SIZE - end));
    rows
}

macro_rules! hello_rows {
    ($hello:ident { $($field:ident = $ones:expr,)+ }) => {{
        let mut blank = $hello::default();
        $(blank.$field = Default::default();)+
        let fields: &[Setter<$hello>] =
            &[$((stringify!($field), |hello| hello.$field = $ones),)+];
        hello_rows(blank, $hello::encode, fields)
    }};
}

#[test]
fn both_hellos_have_a_table_of_their_bytes() {
    let client = hello_rows!(ClientHello {
        version_min = u16::MAX,
        version_max = u16::MAX,
        archive_format = u8::MAX,
        purpose = u8::MAX,
        features_offered = Features(u64::MAX),
        features_required = Features(u64::MAX),
        client_id = [u8::MAX; 16],
        resume_secret = [u8::MAX; 16],
        engine_seen = [u8::MAX; 16],
        rights = u32::MAX,
        heartbeat_ms = u32::MAX,
        clock = u64::MAX,
    });
    let engine = hello_rows!(EngineHello {
        version = u16::MAX,
        version_min = u16::MAX,
        version_max = u16::MAX,
        archive_format = u8::MAX,
        status = u8::MAX,
        features = Features(u64::MAX),
        engine_id = [u8::MAX; 16],
        resume_secret = [u8::MAX; 16],
        rights = u32::MAX,
        heartbeat_ms = u32::MAX,
        clock = u64::MAX,
        retry_after_ms = u32::MAX,
        resume_grace_ms = u32::MAX,
        clients_limit = u32::MAX,
        attachments_limit = u32::MAX,
    });
    let features = [("CHECKSUM", Features::CHECKSUM), ("COMPRESSION", Features::COMPRESSION)];
    let features = features.map(|(name, bit)| format!("| {:#06x} | {name} |", bit.0)).to_vec();
    let magic = str::from_utf8(&MAGIC).unwrap();
    let values = vec![
        format!("| MAGIC | `{magic}` |"),
        format!("| VERSION | {VERSION} |"),
        format!("| ARCHIVE_FORMAT | {ARCHIVE_FORMAT} |"),
    ];
    verify(&[
        Expected::new("4.1 Client hello", "Kind 0x0001, length 124.", client),
        Expected::new("4.2 Engine hello", "Kind 0x0002, length 124.", engine),
        Expected::new("4.5 Features", "", features),
        Expected::new("4.6 Values", "", values),
    ]);
}

#[test]
fn every_request_has_its_role_in_the_table_of_replies() {
    let row = |&(tag, _): &(u8, BodySchema)| {
        let name = ControlMessage::name_of(tag).unwrap();
        format!("| {tag} | {name} | {:?} |", ControlMessage::role(tag).unwrap())
    };
    let rows = ControlMessage::SCHEMA.iter().map(row).collect();
    verify(&[Expected::new("5.3 Which reply ends which request", "", rows)]);
}

#[test]
fn every_request_has_its_right_in_the_table_of_rights() {
    let rights = Rights::BITS.iter().map(|(name, _)| format!("| {name} |"));
    let rows = rights.chain(["| none needed |".to_owned()]).collect();
    let heading = "Rights and what they allow";
    verify(&[Expected::new(heading, "", rows)]);

    let rows = document::rows(&section(heading));
    let allowed = rows.iter().flat_map(|row| row.split('|').nth(2).unwrap_or_default().split(','));
    let mut allowed: Vec<_> = allowed.map(str::trim).collect();
    let mut known: Vec<_> = (0..=u8::MAX).filter_map(ControlMessage::name_of).collect();
    allowed.sort_unstable();
    known.sort_unstable();
    assert_eq!(allowed, known, "each message stands in one row");
}

/// The heading of the one table of faults.
const FAULTS: &str = "10. Faults and what follows";

#[test]
fn every_fault_is_in_the_one_table() {
    let refusals = Refusal::ALL.iter().filter(|refusal| **refusal != Refusal::Welcome);
    let refusals = refusals.map(|refusal| format!("| hello, {} | closes |", refusal.name()));
    let reasons =
        CloseReason::ALL.iter().map(|reason| format!("| Goodbye{{{}}} | closes |", reason.name()));
    let codes = ErrorCode::ALL.iter().map(|code| format!("| Error{{{}}} | stays |", code.name()));
    let rows = refusals.chain(reasons).chain(codes).collect();
    verify(&[Expected::new(FAULTS, "", rows)]);
}

#[test]
fn what_follows_from_a_bad_frame_is_in_the_one_table() {
    let kind = Kind(0x0101);
    let invalid = Invalid {
        code: ErrorCode::InvalidSize,
        limit: Limit::Window,
        value: 0,
        subject: "window size",
    };
    let faults = [
        (LengthError::TooSmall { length: 0 }.into(), "length word is below 20"),
        (LengthError::Misaligned { length: 0 }.into(), "length word is not 4 more"),
        (LengthError::TooLarge { length: 0 }.into(), "length word is above 8,188"),
        (DecodeError::Flags(Flags::CHECKSUM), "flag"),
        (DecodeError::WrongClass(kind), "class"),
        (DecodeError::Archive(kind), "pointer or length"),
        (DecodeError::Mismatch { kind, found: 2 }, "another message"),
        (DecodeError::NotCanonical(kind), "canonical"),
        (DecodeError::IdMissing(kind), "id 0"),
        (DecodeError::Parts, "section 6"),
        (DecodeError::BodyTooLarge { total: 0 }, "above 262,144"),
        (DecodeError::Unknown(kind), "does not know"),
        (DecodeError::Invalid(invalid), "window size"),
    ];
    let section = section(FAULTS);
    for (fault, words) in faults {
        let row = match fault.consequence() {
            Consequence::Close(reason) => format!("| Goodbye{{{}}} | closes |", reason.name()),
            Consequence::Answer(code) => format!("| Error{{{}}} | stays |", code.name()),
        };
        let row = section.iter().find(|line| line.starts_with(&row)).expect("a row of its own");
        assert!(row.contains(words), "{row} for: {fault}");
    }
}
