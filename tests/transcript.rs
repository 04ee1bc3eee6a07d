//! What the first release of the wire said, played against the engine of today.
//!
//! The files in `tests/wire/v1` are frozen: every later engine must serve the clients in them.
//! `# -> ...` is sent as the bytes below it; `# <- Kind [id]` is waited for. What an engine answers
//! has other numbers each time, so only its kinds, ids and order are compared, and the bytes of
//! output and pongs.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{collections::VecDeque, fs, path::Path};

use fixture::{TestServer, raw_client::RawClient};
use tautline::protocol::{ArchivedEngineMessage, EngineHello, Refusal};

enum Step {
    Send { what: String, bytes: Vec<u8> },
    Hear { what: String, id: u64, kind: String, bytes: Vec<u8> },
}

fn steps(text: &str) -> VecDeque<Step> {
    let sections = text.split("\n\n").filter_map(|section| section.trim().split_once('\n'));
    let steps = sections.map(|(heading, hex)| {
        let bytes = hex.split_whitespace();
        let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let what = heading.to_owned();
        if let Some(heard) = heading.strip_prefix("# <- ") {
            let (kind, rest) = heard.split_once([' ', ',']).unwrap();
            let id = rest.strip_prefix('[').and_then(|rest| rest.split(']').next());
            let id = id.map_or(0, |id| id.parse().unwrap());
            return Step::Hear { what, id, kind: kind.into(), bytes };
        }
        assert!(heading.starts_with("# -> "), "{heading}");
        Step::Send { what, bytes }
    });
    steps.collect()
}

fn kind_of(message: &ArchivedEngineMessage<'_>) -> String {
    let shown = format!("{message:?}");
    shown.split(|it: char| !it.is_ascii_alphanumeric()).next().unwrap().into()
}

/// The text that a frame carries: output, or what came back with a pong.
fn text_of(frame: &[u8]) -> Vec<u8> {
    frame[8..].iter().copied().take_while(|byte| *byte != 0 && *byte != 1).collect()
}

fn hear(client: &mut RawClient, what: &str, id: u64, kind: &str, expected: &[u8]) {
    let mut printed = Vec::new();
    loop {
        let heard = client.hear().unwrap_or_else(|| panic!("{what}: the connection ended"));
        let frame = heard.frame();
        if kind == "hello" {
            let hello = EngineHello::decode(frame.kind(), frame.payload()).unwrap();
            return assert_eq!(hello.status, Refusal::Welcome.to_wire(), "{what}");
        }
        let message = frame.engine().unwrap();
        // Acknowledgements come by themselves when output has nothing to carry them.
        if matches!(message, ArchivedEngineMessage::InputApplied(_)) {
            continue;
        }
        // A push may come at any time; the first release answered these.
        if matches!(message, ArchivedEngineMessage::Ping(_)) {
            continue;
        }
        assert_eq!((frame.id(), kind_of(message).as_str()), (id, kind), "{what}");
        match message {
            // However the terminal cuts it.
            ArchivedEngineMessage::Output(output) => {
                printed.extend_from_slice(&output.get().bytes);
                let whole = text_of(expected);
                assert!(whole.starts_with(&printed), "{what}: {printed:?}");
                if printed.len() == whole.len() {
                    return;
                }
            }
            ArchivedEngineMessage::Pong(pong) => {
                return assert_eq!(pong.get().bytes.as_slice(), text_of(expected), "{what}");
            }
            _ => return,
        }
    }
}

fn play(text: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let guard = runtime.enter();
    let server = TestServer::start();
    drop(guard);
    let mut client = RawClient::silent(&server.socket);
    for step in steps(text) {
        match step {
            Step::Send { bytes, what } => {
                if what.contains("hello") {
                    client = RawClient::silent(&server.socket);
                }
                client.write(&bytes);
            }
            Step::Hear { what, id, kind, bytes } => hear(&mut client, &what, id, &kind, &bytes),
        }
    }
    assert!(client.hear().is_none(), "nothing follows the last word");
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/v1").join(name);
    let text = fs::read_to_string(path).unwrap();
    // The first paragraph says what the file is.
    text.split_once("\n\n").unwrap().1.to_owned()
}

#[test]
fn the_documented_session_is_served() {
    play(&read("session.hex"));
}

#[test]
fn the_requests_behind_the_commands_are_served() {
    play(&read("commands.hex"));
}

#[test]
fn the_document_shows_the_session_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wire-format.md");
    let document = fs::read_to_string(path).unwrap();
    assert!(document.contains(read("session.hex").trim()), "docs/wire-format.md, 11");
}
