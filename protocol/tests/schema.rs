//! What bodies may be made of: few types, in one order, so that every archive has one layout.

mod samples;

use std::{
    fs,
    path::{Path, PathBuf},
};

use samples::{encoded, padding};
use tautline_protocol::{BodySchema, ControlMessage, EngineMessage, Field, Vocabulary};

/// Types of fixed fields; `padding::significant` knows their sizes.
const TYPES: [&str; 8] =
    ["u8", "u16", "u32", "u64", "i32", "[u8; 16]", "WindowSize", "AttachTerms"];

/// Bodies about an attachment: its number is found without knowing the body.
const OF_AN_ATTACHMENT: [&str; 20] = [
    "Spawn",
    "Attach",
    "Detach",
    "Adjust",
    "Kick",
    "Input",
    "Keys",
    "Resize",
    "Consumed",
    "Attached",
    "Started",
    "Adjusted",
    "Detached",
    "Output",
    "InputApplied",
    "Gap",
    "Lagged",
    "Snapshot",
    "Resized",
    "Exited",
];

#[test]
fn tags_ascend_without_gaps_and_leave_the_ends_free() {
    for schema in [ControlMessage::SCHEMA, EngineMessage::SCHEMA] {
        let tags = schema.iter().map(|(tag, _)| *tag).collect::<Vec<_>>();
        assert_eq!(tags, (1..=tags.len() as u8).collect::<Vec<_>>());
        assert!(tags.iter().all(|tag| (1..=254).contains(tag)));
    }
}

#[test]
fn every_tag_has_a_name_and_no_other_number_has() {
    for tag in 0..=u8::MAX {
        let is_control = ControlMessage::SCHEMA.iter().any(|(known, _)| *known == tag);
        assert_eq!(ControlMessage::name_of(tag).is_some(), is_control, "{tag}");
        assert_eq!(ControlMessage::role(tag).is_some(), is_control, "{tag}");
        let is_engine = EngineMessage::SCHEMA.iter().any(|(known, _)| *known == tag);
        assert_eq!(EngineMessage::name_of(tag).is_some(), is_engine, "{tag}");
    }
}

#[test]
fn fields_are_of_the_few_types_that_need_no_pointer() {
    for body in bodies() {
        let (fixed, strings) = split(body);
        for field in fixed {
            assert!(TYPES.contains(&field.ty), "{}.{}: {}", body.name, field.name, field.ty);
        }
        let is_string = |field: &Field| field.ty == "bytes";
        assert!(strings.iter().all(is_string), "{}: byte strings come last", body.name);
    }
}

#[test]
fn fields_lie_in_the_order_they_are_declared_in() {
    for body in bodies() {
        let mut end = 0;
        for field in body.fields {
            assert!(field.offset >= end, "{}.{} overlaps", body.name, field.name);
            assert!(field.offset - end < 8, "{}.{} leaves a hole", body.name, field.name);
            end = field.offset + padding::significant(field.ty);
        }
        assert!((end..end + 8).contains(&body.size), "{} ends with its last field", body.name);
    }
}

#[test]
fn bodies_are_aligned_to_eight() {
    for body in bodies() {
        assert_eq!(body.align, 8, "{}", body.name);
        assert!(body.size.is_multiple_of(8), "{}", body.name);
    }
}

/// So a reader finds every field without following a pointer.
#[test]
fn every_fixed_part_ends_where_the_root_begins() {
    let control = samples::control().into_iter();
    let control = control.map(|(name, id, it)| (name, it.body_schema(), encoded(id, it)));
    let engine = samples::engine().into_iter();
    let engine = engine.map(|(name, id, it)| (name, it.body_schema(), encoded(id, it)));
    for (name, body, frame) in control.chain(engine) {
        let (_, pointer) = frame.split_last_chunk().unwrap();
        assert_eq!(i32::from_le_bytes(*pointer), -(body.size as i32 + 12), "{name}");
    }
}

#[test]
fn an_attachment_comes_first_in_what_is_about_one() {
    for body in bodies() {
        let first = body.fields.first().map(|field| (field.name, field.ty, field.offset));
        let is_about_one =
            matches!(first, Some(("attachment", "u32", 0) | ("terms", "AttachTerms", 0)));
        assert_eq!(is_about_one, OF_AN_ATTACHMENT.contains(&body.name), "{}", body.name);
        // An error may be about one, and is not part of its stream.
        let names_one =
            body.fields.iter().any(|field| ["attachment", "terms"].contains(&field.name));
        assert_eq!(names_one, is_about_one || body.name == "ErrorReply", "{}", body.name);
    }
}

#[test]
fn bodies_of_one_name_are_one_body() {
    for one in bodies() {
        for other in bodies().filter(|other| other.name == one.name) {
            let layout = |it: &BodySchema| (it.size, it.align, format!("{:?}", it.fields));
            assert_eq!(layout(one), layout(other), "{}", one.name);
        }
    }
}

#[test]
fn no_banned_type_is_named_where_messages_are_declared() {
    let anywhere =
        ["HashMap", "BTreeMap", "Rc<", "Arc<", "String", "f32", "f64", "NonZero", "niche", "Niche"];
    let in_bodies =
        ["Option<", "Vec<", "usize", "isize", "bool", "char", "i8", "i16", "i64", "u128"];
    for file in ["control.rs", "engine.rs", "parts.rs", "mod.rs", "schema.rs"] {
        let source = code_of(&crate_dir().join("src/message").join(file));
        for banned in anywhere {
            assert!(!words(&source, banned), "{file} names {banned}");
        }
        for body in source.split("body! {").skip(1).filter(|_| file != "schema.rs") {
            let fields = body.split("check |").next().expect("there is a first");
            for banned in in_bodies {
                assert!(!words(fields, banned), "{file} names {banned}: {fields}");
            }
        }
    }
}

#[test]
fn every_file_that_declares_messages_is_looked_at() {
    let mut files = Vec::new();
    collect_sources(&crate_dir().join("src/message"), &mut files);
    let names = files.iter().filter_map(|path| path.file_name()?.to_str()).collect::<Vec<_>>();
    assert_eq!(names, ["control.rs", "engine.rs", "mod.rs", "parts.rs", "schema.rs"]);
}

/// Checked access is what keeps a peer's bytes from being trusted; there is no way around it.
#[test]
fn archives_are_never_read_unchecked() {
    let mut files = Vec::new();
    collect_sources(&crate_dir().join("src"), &mut files);
    collect_sources(&crate_dir().join("../src"), &mut files);
    assert!(files.len() > 15, "sources were found");
    for path in files {
        let source = fs::read_to_string(&path).unwrap();
        for banned in ["access_unchecked", "from_bytes_unchecked", "access_pos_unchecked"] {
            assert!(!source.contains(banned), "{} calls {banned}", path.display());
        }
    }
}

fn bodies() -> impl Iterator<Item = &'static BodySchema> {
    ControlMessage::SCHEMA.iter().chain(EngineMessage::SCHEMA).map(|(_, body)| body)
}

/// The fixed fields, and all from the first byte string on.
fn split(body: &'static BodySchema) -> (&'static [Field], &'static [Field]) {
    let fixed = body.fields.iter().take_while(|field| field.ty != "bytes").count();
    body.fields.split_at(fixed)
}

/// Whether `word` stands in `source` for itself, and not inside another.
fn words(source: &str, word: &str) -> bool {
    let is_inside = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    source.match_indices(word).any(|(at, _)| {
        let before = source[..at].chars().next_back();
        let after = source[at + word.len()..].chars().next();
        !is_inside(before) && (word.ends_with('<') || word == "NonZero" || !is_inside(after))
    })
}

/// A source file without its comments.
fn code_of(path: &Path) -> String {
    let source = fs::read_to_string(path).expect("the source is there");
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file in `dir` and below, in order of name.
fn collect_sources(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect_sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
