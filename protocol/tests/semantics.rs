//! What is wrong, and what follows: one row per semantic rule, one per way to fail.

mod samples;
mod violations;

use std::collections::BTreeSet;

use samples::{Aligned, aligned, encoded, frame};
use tautline_protocol::{
    ArchivedControlMessage, Class, CloseReason, Consequence, ControlMessage, DecodeError,
    ErrorCode, Flags, Frame, Invalid, Kind, LengthError, Part, PartReader, ReceiveBuffer, Role,
    Vocabulary, limits::BODY_MAX,
};
use violations::{ID, Row};

#[test]
fn a_message_that_makes_no_sense_is_answered_by_name() {
    for row in rows() {
        let error = read(row_frame(&row)).expect_err(row.deed);
        let DecodeError::Invalid(invalid) = error else {
            panic!("{}: {error}", row.deed);
        };
        let Invalid { code, limit, value, .. } = invalid;
        assert_eq!((code, limit, value), (row.code, row.limit, row.value), "{}", row.deed);
        assert_eq!(error.consequence(), Consequence::Answer(row.code), "{}", row.deed);
    }
}

#[test]
fn a_message_that_makes_no_sense_still_tells_its_id() {
    for row in rows() {
        assert_eq!(row_frame(&row).id(), ID, "{}", row.deed);
    }
}

/// Looks for the rules in the source: one that is added there needs a row here.
#[test]
fn every_rule_has_a_row_that_breaks_it() {
    let broken =
        rows().iter().map(|row| (row.body.to_owned(), subject(row))).collect::<BTreeSet<_>>();
    let mut ruled = BTreeSet::new();
    for file in ["control.rs", "engine.rs", "parts.rs"] {
        let path = format!("{}/src/message/{file}", env!("CARGO_MANIFEST_DIR"));
        ruled.extend(rules(&std::fs::read_to_string(path).unwrap()));
    }
    assert!(ruled.len() > 100, "the rules are found in the source");
    let missing = ruled.difference(&broken).collect::<Vec<_>>();
    assert!(missing.is_empty(), "no row breaks {missing:?}");
}

#[test]
fn only_messages_that_are_not_always_answered_may_have_no_id() {
    let mut without_id = Vec::new();
    for (name, message) in samples::control::full() {
        let bytes = aligned(&encoded(0, message));
        let frame = frame(&bytes);
        match frame.control() {
            Ok(_) => without_id.push(name),
            Err(error) => assert_eq!(error, DecodeError::IdMissing(message.kind()), "{name}"),
        }
        let is_answered = ControlMessage::role(message.tag()) == Some(Role::Answered);
        assert_eq!(frame.control().is_err(), is_answered, "{name}");
    }
    let expected = [
        "detach",
        "adjust",
        "input",
        "keys",
        "resize",
        "consumed",
        "pong",
        "cancel",
        "disconnect",
        "part",
    ];
    assert_eq!(without_id, expected);
}

#[test]
fn an_engine_may_push_anything() {
    for (name, message) in samples::engine::full() {
        let bytes = aligned(&encoded(0, message));
        assert!(frame(&bytes).engine().is_ok(), "{name}");
    }
}

#[test]
fn every_way_to_fail_has_its_consequence() {
    let mut seen = BTreeSet::new();
    for (what, error, expected) in failures() {
        assert_eq!(error.consequence(), expected, "{what}: {error}");
        let debug = format!("{error:?}");
        seen.insert(debug.split(|it: char| !it.is_alphanumeric()).next().unwrap().to_owned());
    }
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/error.rs"));
    assert_eq!(seen, variants(&source.unwrap(), "DecodeError"));
}

#[test]
fn a_message_of_the_other_direction_is_refused_unread() {
    for sample in samples::all() {
        let frame = sample.frame();
        let wrong = DecodeError::WrongClass(frame.kind());
        if frame.kind().class() != Some(Class::Control) {
            assert_eq!(frame.control().unwrap_err(), wrong, "{}", sample.name);
        }
        if frame.kind().class() != Some(Class::Engine) {
            assert_eq!(frame.engine().unwrap_err(), wrong, "{}", sample.name);
        }
    }
}

#[test]
fn a_message_of_a_later_version_is_refused_by_its_kind_and_tells_its_id() {
    for tag in (0..=u8::MAX).filter(|tag| ControlMessage::name_of(*tag).is_none()) {
        let kind = Kind::new(Class::Control, tag);
        let bytes = forged_root(kind);
        assert_eq!(frame(&bytes).control().unwrap_err(), DecodeError::Unknown(kind));
        assert_eq!(frame(&bytes).id(), ID);
    }
}

/// What it is, the error as the code under test reports it, and what must follow.
fn failures() -> Vec<(&'static str, DecodeError, Consequence)> {
    use CloseReason as Reason;
    use Consequence::{Answer, Close};

    let detach = encoded(ID, ControlMessage::Detach(samples::control::detach()));
    let ping = encoded(ID, ControlMessage::Ping(samples::shared::ping()));
    let row = |what, error, consequence| (what, error, consequence);
    vec![
        row("length 16", length(16), Close(Reason::LengthTooSmall)),
        row("length 53", length(53), Close(Reason::LengthMisaligned)),
        row("length 8196", length(8196), Close(Reason::LengthTooLarge)),
        row("a flag", unagreed_flags(&detach), Close(Reason::FlagsNotAgreed)),
        row("a second hello", under(&detach, Kind::CLIENT_HELLO), Close(Reason::WrongClass)),
        row("the keeper's class", under(&detach, Kind(0x0303)), Close(Reason::WrongClass)),
        row("no class", under(&detach, Kind(0xff03)), Close(Reason::WrongClass)),
        row("no body", bodiless(&detach), Close(Reason::BadArchive)),
        row("no message", tagged(&detach, 0), Close(Reason::KindMismatch)),
        row("another's message", under(&detach, Kind(0x0104)), Close(Reason::KindMismatch)),
        row("junk in front", behind_junk(&detach), Close(Reason::NotCanonical)),
        row("no id", without_id(&ping), Close(Reason::IdMissing)),
        row("a part alone", part(8, 1000), Close(Reason::PartsOutOfOrder)),
        row("a large body", part(0, BODY_MAX as u32 + 1), Close(Reason::BodyTooLarge)),
        row("a later kind", under(&detach, Kind(0x01c8)), Answer(ErrorCode::Unsupported)),
        row("no attachment", nobodys_detach(), Answer(ErrorCode::InvalidAttachment)),
    ]
}

fn length(length: u32) -> DecodeError {
    let mut buffer = ReceiveBuffer::new();
    buffer.spare()[..4].copy_from_slice(&length.to_be_bytes());
    buffer.advance(4);
    let error: LengthError = buffer.next_frame().expect_err("a bad length");
    error.into()
}

/// As a connection without any feature tells it.
fn unagreed_flags(bytes: &[u8]) -> DecodeError {
    let mut bytes = aligned(bytes);
    bytes[7] = 1;
    let unagreed = frame(&bytes).flags().beyond(Flags::NONE);
    assert_eq!(unagreed, Flags::CHECKSUM);
    DecodeError::Flags(unagreed)
}

fn under(bytes: &[u8], kind: Kind) -> DecodeError {
    let mut bytes = aligned(bytes);
    bytes[4..6].copy_from_slice(&kind.0.to_be_bytes());
    frame(&bytes).control().expect_err("another kind")
}

/// With a root that points in front of the archive.
fn bodiless(bytes: &[u8]) -> DecodeError {
    let mut bytes = aligned(bytes);
    let pointer = bytes.len() - 4;
    bytes[pointer..].copy_from_slice(&i32::MIN.to_le_bytes());
    frame(&bytes).control().expect_err("nothing is there")
}

/// With another tag in the root than any message has.
fn tagged(bytes: &[u8], tag: u8) -> DecodeError {
    let mut bytes = aligned(bytes);
    let root_tag = bytes.len() - 8;
    bytes[root_tag] = tag;
    frame(&bytes).control().expect_err("no such message")
}

fn behind_junk(bytes: &[u8]) -> DecodeError {
    let (_, payload) = bytes.split_at(8);
    let kind = frame(&aligned(bytes)).kind();
    let bytes = samples::forged(kind, &[&[0; 8], payload].concat());
    frame(&bytes).control().expect_err("junk in front")
}

fn without_id(bytes: &[u8]) -> DecodeError {
    let mut bytes = aligned(bytes);
    let id = bytes.len() - 16;
    bytes[id..id + 8].fill(0);
    frame(&bytes).control().expect_err("no id")
}

fn part(position: u32, total: u32) -> DecodeError {
    let part = Part { position, total, bytes: "8 bytes.".into() };
    let bytes = aligned(&encoded(ID, ControlMessage::Part(part)));
    match frame(&bytes).control() {
        Ok(ArchivedControlMessage::Part(part)) => {
            PartReader::new().handle_part(ID, part.get()).expect_err("not the next piece")
        }
        other => panic!("a part, by its kind: {other:?}"),
    }
}

fn nobodys_detach() -> DecodeError {
    let bytes = aligned(&encoded(ID, ControlMessage::Detach(Default::default())));
    frame(&bytes).control().expect_err("attachment 0")
}

/// The root of a message that nobody defined: there is an id, and nothing else to know.
fn forged_root(kind: Kind) -> Aligned {
    let mut payload = ID.to_le_bytes().to_vec();
    payload.extend([kind.tag(), 0, 0, 0, 0, 0, 0, 0]);
    samples::forged(kind, &payload)
}

fn rows() -> Vec<Row> {
    let mut rows = violations::control::rows();
    rows.extend(violations::engine::rows());
    rows
}

fn row_frame(row: &Row) -> Frame<'_> {
    let (header, archive) = &row.frame;
    Frame::new(*header, archive)
}

fn read(frame: Frame<'_>) -> Result<(), DecodeError> {
    match frame.kind().class() {
        Some(Class::Control) => frame.control().map(|_| ()),
        _ => frame.engine().map(|_| ()),
    }
}

fn subject(row: &Row) -> String {
    match read(row_frame(row)) {
        Err(DecodeError::Invalid(invalid)) => invalid.subject.to_owned(),
        other => panic!("{}: {other:?}", row.deed),
    }
}

/// What the checks that name no subject, because it is theirs, refuse.
const IMPLIED: [(&str, &[&str]); 12] = [
    ("attach_terms(", &["attachment", "attach flags", "delivery", "view", "output window"]),
    ("attach_terms(", &["history lines", "window without delivery"]),
    ("check::attachment(", &["attachment"]),
    ("check::env(", &["environment", "environment entry"]),
    ("check::history(", &["history lines"]),
    ("check::name(", &["session name"]),
    ("check::output_window", &["output window"]),
    ("check::path_or_empty(", &["path"]),
    ("check::signal", &["signal number"]),
    ("check::window_size(", &["window of no cells", "window size"]),
    ("name_or_empty(", &["session name"]),
    ("window_size_or_unset(", &["window of no cells", "window size"]),
];

/// Every body and subject of a check in `source`.
fn rules(source: &str) -> BTreeSet<(String, String)> {
    let mut rules = BTreeSet::new();
    for body in source.split("body! {").skip(1) {
        let body = body.split("\n}\n").next().expect("there is a first");
        let (head, checks) = body.split_once("check |this|").expect("a body has checks");
        let name = head.lines().find_map(|line| line.split_once(" / Archived")).expect("a name").0;
        // Between quotes is every other piece.
        let quoted = checks.split('"').skip(1).step_by(2);
        let implied = IMPLIED.iter().filter(|(call, _)| checks.contains(call));
        let subjects = quoted.chain(implied.flat_map(|(_, subjects)| subjects.iter().copied()));
        rules.extend(subjects.map(|subject| (name.trim().to_owned(), subject.to_owned())));
    }
    // `Spawn` asks for an attachment by giving its number.
    rules.remove(&("Spawn".to_owned(), "attachment".to_owned()));
    rules
}

/// Names of an enum's variants, from its source.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{")).expect("it is there");
    let lines = body.split("\n}").next().expect("there is a first").lines();
    let variants = lines.filter_map(|line| line.strip_prefix("    "));
    let variants =
        variants.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    let end = |it: char| !it.is_alphanumeric();
    variants.filter_map(|line| line.split(end).next()).map(str::to_owned).collect()
}
