//! The fuzzer's corpus, replayed without a fuzzer.
//!
//! `TAUT_BLESS=1 cargo test -p tautline-protocol --test fuzz_corpus` writes the seeds anew: files
//! whose names begin with `seed-`. The others were found by the fuzzer, which adds its finds there;
//! few of them are worth keeping.

#[path = "../../fuzz/fuzz_targets/frames_body.rs"]
mod frames_body;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    sync::Once,
};

use tautline_protocol::{Configure, ControlMessage, PartWriter, limits::FRAME_MAX};

#[test]
fn the_corpus_is_taken_as_the_oracle_says() {
    for (_, input) in corpus() {
        frames_body::run(&input);
    }
}

/// What was found under one cut of the stream is tried under others.
#[test]
fn the_corpus_is_taken_alike_in_other_pieces() {
    for (_, mut input) in corpus() {
        for pace in [0, 1, 3, 8, 127, 128, 255] {
            if let Some(first) = input.first_mut() {
                *first = pace;
            }
            frames_body::run(&input);
        }
    }
}

#[test]
fn the_corpus_holds_every_golden_frame_and_no_stale_seed() {
    let corpus = corpus();
    let found = corpus.iter().filter(|(name, _)| name.starts_with("seed-")).cloned();
    let names = |seeds: &BTreeMap<String, Vec<u8>>| seeds.keys().cloned().collect::<BTreeSet<_>>();
    let (found, expected) = (found.collect(), seeds());
    assert_eq!(names(&found), names(&expected));
    for (name, seed) in expected {
        assert!(found[&name] == seed, "{name} is stale");
    }
}

#[test]
fn the_corpus_stays_small() {
    let corpus = corpus();
    assert!((1..200).contains(&corpus.len()), "{} files", corpus.len());
    let bytes = corpus.iter().map(|(_, input)| input.len()).sum::<usize>();
    assert!(bytes < 400 * 1024, "{bytes} bytes");
}

/// Names and contents of all inputs.
fn corpus() -> Vec<(String, Vec<u8>)> {
    static BLESSING: Once = Once::new();

    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/frames"));
    if std::env::var_os("TAUT_BLESS").is_some() {
        BLESSING.call_once(|| bless(dir).expect("the corpus can be written"));
    }
    let inputs = read_dir(dir).expect("the corpus is there");
    assert!(!inputs.is_empty(), "the corpus is not empty");
    inputs
}

fn bless(dir: &Path) -> io::Result<()> {
    for (name, _) in read_dir(dir)?.iter().filter(|(name, _)| name.starts_with("seed-")) {
        fs::remove_file(dir.join(name))?;
    }
    seeds().iter().try_for_each(|(name, seed)| fs::write(dir.join(name), seed))
}

fn read_dir(dir: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let entries = fs::read_dir(dir)?.map(|entry| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?))
    });
    entries.collect()
}

/// Every golden frame alone, all the short ones in one stream, a message in parts, and openings
/// that are refused. In front of each is the byte that says how the stream is cut.
fn seeds() -> BTreeMap<String, Vec<u8>> {
    let golden = golden_frames();
    let mut streams = golden.clone();
    let short = golden.values().filter(|frame| frame.len() < 500);
    streams.insert("all-short".to_owned(), short.flatten().copied().collect());
    streams.insert("parts".to_owned(), message_in_parts());
    for (name, opening) in [
        ("length-0", [0; 4]),
        ("length-24", 24_u32.to_be_bytes()),
        ("length-8196", 8196_u32.to_be_bytes()),
        ("length-of-http", *b"GET "),
        ("length-cut", [0, 0, 0, 52]),
    ] {
        streams.insert(name.to_owned(), opening.to_vec());
    }
    let paced = |(index, (name, stream)): (usize, (String, Vec<u8>))| {
        let pace = [0, 200, 13, 128][index % 4];
        (format!("seed-{name}"), [vec![pace], stream].concat())
    };
    streams.into_iter().enumerate().map(paced).collect()
}

fn golden_frames() -> BTreeMap<String, Vec<u8>> {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"));
    let files = read_dir(dir).expect("the golden files are there");
    let frames = files.into_iter().map(|(name, text)| {
        let text = String::from_utf8(text).expect("hexadecimal text");
        let bytes =
            text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
        let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits"));
        (name.trim_end_matches(".hex").to_owned(), bytes.collect())
    });
    frames.collect()
}

fn message_in_parts() -> Vec<u8> {
    let mut entries = vec![b'v'; 20_000];
    entries[..2].copy_from_slice(b"k=");
    entries.push(0);
    let message =
        ControlMessage::Configure(Configure { flags: 0, entries: entries.as_slice().into() });
    let mut writer = PartWriter::new(7, message).expect("not too large");
    let (mut stream, mut buffer) = (Vec::new(), [0; FRAME_MAX]);
    while let Some(size) = writer.next_frame(&mut buffer).expect("any frame fits") {
        stream.extend_from_slice(&buffer[..size]);
    }
    stream
}
