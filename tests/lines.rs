//! Lines that a terminal in canonical mode has no room for: refused at the byte, never cut.
//!
//! Real engine, real terminals, real children; each child keeps its own record of what it read.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::path::PathBuf;

use fixture::{
    TestServer, attached, attached_ready, command,
    raw_client::{ERROR, RawClient, TYPING, attach, typed},
    read_to_exit, read_until, within,
};
use tautline::{
    AttachOptions, Client, EngineError, Events, Input, SendError, SpawnRequest,
    protocol::{ArchivedEngineMessage, ErrorCode, SpawnFlags},
};

/// What Linux keeps of a line, not counting its end.
const LINE: usize = 4095;

/// A child that writes all it reads to a file, on a terminal that is left to itself but for the
/// echo.
struct Recorder {
    input: Input,
    events: Events,
    record: PathBuf,
}

impl Recorder {
    async fn start(server: &TestServer, client: &Client) -> Self {
        let record = server.directory.path().join("record");
        let (input, events) = attached_ready(client, &recorder(&record, "stty -echo -opost")).await;
        Self { input, events, record }
    }

    /// Ends the child, behind a line that has ended, and returns all it read.
    async fn read(mut self) -> Vec<u8> {
        within(self.input.send(b"\x04")).await.unwrap();
        read_to_exit(&mut self.events).await;
        std::fs::read(&self.record).unwrap()
    }
}

fn recorder(record: &std::path::Path, modes: &str) -> SpawnRequest {
    let script = format!("{modes}; printf 'ready\\n'; exec cat >{}", record.display());
    command("recorder", &["sh", "-c", &script])
}

/// How much was written of what was too long.
fn refused(outcome: Result<(), SendError>) -> u64 {
    match outcome {
        Err(SendError::Refused { info: EngineError { code, value, text, .. }, applied }) => {
            assert_eq!(code, ErrorCode::LineTooLong);
            assert!(value >= applied && text.contains("reads lines"), "{text}");
            applied
        }
        other => panic!("{other:?}"),
    }
}

fn line(byte: u8, count: usize, end: &[u8]) -> Vec<u8> {
    [&vec![byte; count][..], end].concat()
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_at_its_byte_and_a_short_one_works_after_it() {
    let server = TestServer::start();
    let recorder = Recorder::start(&server, &server.client().await).await;
    let long = line(b'x', 5000, b"\n");
    assert_eq!(refused(within(recorder.input.send(&long)).await), LINE as u64);
    // Whoever sees that takes the line back, and types another.
    within(recorder.input.send(b"\x15short\n")).await.unwrap();
    assert_eq!(refused(within(recorder.input.send(&long)).await), LINE as u64);
    within(recorder.input.send(b"\x7f\x7f!\n")).await.unwrap();
    let expected = [b"short\n", &line(b'x', LINE - 2, b"!\n")[..]].concat();
    assert!(recorder.read().await == expected);
}

#[tokio::test]
async fn as_much_as_fits_arrives_whole() {
    let server = TestServer::start();
    let recorder = Recorder::start(&server, &server.client().await).await;
    let mut sent = Vec::new();
    for (byte, end) in [(b'a', &b"\n"[..]), (b'b', b"\n"), (b'c', b"\r"), (b'd', b"\x04\n")] {
        let line = line(byte, LINE, end);
        within(recorder.input.send(&line)).await.unwrap();
        sent.extend(line.into_iter().filter(|&byte| byte != 4));
    }
    let many = b"a line like any other\n".repeat(20_000);
    within(recorder.input.send(&many)).await.unwrap();
    let sent = [sent, many].concat();
    let sent: Vec<u8> =
        sent.into_iter().map(|byte| if byte == b'\r' { b'\n' } else { byte }).collect();
    assert!(recorder.read().await == sent);
}

#[tokio::test]
async fn without_lines_there_is_no_limit() {
    let server = TestServer::start();
    let record = server.directory.path().join("record");
    let request = recorder(&record, "stty raw -echo");
    let client = server.client().await;
    let (input, _events) = attached_ready(&client, &request).await;
    let long = line(b'x', 3_000_000, b"\n");
    within(input.send(&long)).await.unwrap();
    within(async {
        while std::fs::read(&record).unwrap().len() < long.len() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(std::fs::read(&record).unwrap() == long);
}

#[tokio::test]
async fn keystrokes_are_refused_one_by_one_and_the_keys_that_help_are_not() {
    let server = TestServer::start();
    let recorder = Recorder::start(&server, &server.client().await).await;
    for _ in 0..LINE {
        assert_eq!(recorder.input.try_send(b"k"), Ok(1));
    }
    for _ in 0..3 {
        assert_eq!(refused(within(recorder.input.send(b"k")).await), 0);
    }
    within(recorder.input.send(b"\x7f")).await.unwrap();
    within(recorder.input.send(b"K")).await.unwrap();
    assert_eq!(refused(within(recorder.input.send(b"k")).await), 0);
    within(recorder.input.send(b"\r")).await.unwrap();
    within(recorder.input.send(b"next\r")).await.unwrap();
    let expected = [line(b'k', LINE - 1, b"K\n"), b"next\n".to_vec()].concat();
    assert!(recorder.read().await == expected);
}

#[tokio::test]
async fn two_clients_share_a_line_and_only_whom_there_is_no_room_for_is_refused() {
    let server = TestServer::start();
    let (alice, bob) = (server.client().await, server.client().await);
    let recorder = Recorder::start(&server, &alice).await;
    let (bobs, _events) = within(bob.attach("recorder", &AttachOptions::default())).await.unwrap();
    within(recorder.input.send(&[b'a'; 3000])).await.unwrap();
    within(bobs.send(&[b'b'; 1000])).await.unwrap();
    assert_eq!(refused(within(recorder.input.send(&[b'a'; 96])).await), 95);
    assert_eq!(refused(within(bobs.send(b"b")).await), 0);
    within(recorder.input.send(b"\nalice\n")).await.unwrap();
    within(bobs.send(b"bob\n")).await.unwrap();
    let expected = [line(b'a', 3000, &[b'b'; 1000]), line(b'a', 95, b"\nalice\nbob\n")].concat();
    assert!(recorder.read().await == expected);
}

#[tokio::test]
async fn a_paste_of_long_lines_is_refused_at_the_first_and_all_that_counts_as_written_was_read() {
    let server = TestServer::start();
    let recorder = Recorder::start(&server, &server.client().await).await;
    let lines: Vec<u8> = (1..200).flat_map(|number| line(b'p', number * 100, b"\n")).collect();
    let paste = lines.repeat(5);
    let mut written = Vec::new();
    let mut at = 0;
    let mut refusals = 0;
    while at < paste.len() {
        match within(recorder.input.send(&paste[at..])).await {
            Ok(()) => at = paste.len(),
            outcome => {
                let applied = refused(outcome) as usize;
                written.extend_from_slice(&paste[at..at + applied]);
                // Ends the line with what of it was written, and goes on behind it.
                within(recorder.input.send(b"\n")).await.unwrap();
                written.push(b'\n');
                at += applied;
                at += paste[at..].iter().position(|&byte| byte == b'\n').unwrap() + 1;
                refusals += 1;
            }
        }
    }
    assert_eq!(refusals, 5 * (199 - 40));
    let read = recorder.read().await;
    assert!(read == written, "{} bytes read, {} written", read.len(), written.len());
}

#[tokio::test]
async fn what_was_in_flight_behind_a_line_that_is_too_long_is_dropped() {
    let server = TestServer::start();
    let recorder = Recorder::start(&server, &server.client().await).await;
    assert_eq!(recorder.input.try_send(&[b'x'; 9000]), Ok(9000));
    // Before the refusal is heard of: the end of a command without its beginning.
    assert_eq!(recorder.input.try_send(b"; rm -r x\n"), Ok(10));
    let outcome = within(recorder.input.send(b"nor this\n")).await;
    assert!(matches!(outcome, Err(SendError::Refused { applied: 0, .. })), "{outcome:?}");
    within(recorder.input.send(b"\x15this\n")).await.unwrap();
    assert_eq!(recorder.read().await, b"this\n");
}

#[tokio::test]
async fn whoever_never_waits_is_told_once_and_types_on() {
    let server = TestServer::start();
    let recorder = Recorder::start(&server, &server.client().await).await;
    assert_eq!(recorder.input.try_send(&[b'x'; 5000]), Ok(5000));
    let error = within(async {
        loop {
            match recorder.input.try_send(b"") {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => return error,
            }
        }
    })
    .await;
    assert_eq!(refused(Err(error)), 0);
    assert_eq!(recorder.input.unwritten(), 0);
    assert_eq!(recorder.input.try_send(b"\n"), Ok(1));
    assert!(recorder.read().await == line(b'x', LINE, b"\n"));
}

#[tokio::test]
async fn a_mode_that_changes_while_input_waits_is_seen_when_it_is_written() {
    let server = TestServer::start();
    let record = server.directory.path().join("record");
    // Reads nothing until it is told to, with a line's rules from then on.
    let script = format!(
        "stty raw -echo; printf 'ready\\n'; while ! [ -e {0}.go ]; do :; done; \
         stty cooked -echo -opost; head -c 1000 >{0}.head; printf 'lines\\n'; exec cat >{0}",
        record.display()
    );
    let client = server.client().await;
    let request = command("recorder", &["sh", "-c", &script]);
    let (input, mut events) = attached_ready(&client, &request).await;
    let typist = input.clone();
    let sending = tokio::spawn(async move { within(typist.send(&[b'x'; 60_000])).await });
    within(async {
        // What the terminal takes without being read is written; the rest waits.
        while input.unwritten() == 0 || input.unwritten() == 60_000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let written = 60_000 - input.unwritten();
    std::fs::write(record.with_extension("go"), b"").unwrap();
    read_until(&mut events, b"lines\n").await;
    // What waited for the terminal has no end of a line in it either, so none of it has room.
    assert_eq!(refused(sending.await.unwrap()), written);
    within(input.send(b"\nend\n\x04")).await.unwrap();
    read_to_exit(&mut events).await;
    assert!(std::fs::read(&record).unwrap().ends_with(b"x\nend\n"));
}

#[tokio::test]
async fn a_session_made_for_a_pipe_takes_lines_of_any_length() {
    let server = TestServer::start();
    let record = server.directory.path().join("record");
    let request = SpawnRequest { flags: SpawnFlags::RAW, ..recorder(&record, "true") };
    let client = server.client().await;
    let (input, mut events) = attached(&client, &request).await;
    read_until(&mut events, b"ready\n").await;
    let mut text = line(b'x', 1_000_000, b"\n");
    for count in [LINE - 1, LINE, LINE + 1, 2 * LINE, 2 * LINE + 1] {
        text.extend(line(b'y', count, b"\n"));
    }
    text.extend(line(b'z', 2 * LINE, b""));
    within(input.send(&text)).await.unwrap();
    within(input.send(b"\x04\x04")).await.unwrap();
    read_to_exit(&mut events).await;
    assert!(std::fs::read(&record).unwrap() == text);
}

#[tokio::test]
async fn on_the_wire_the_error_names_the_attachment_and_where_to_go_on() {
    let server = TestServer::start();
    let recorder = Recorder::start(&server, &server.client().await).await;
    let socket = server.socket.clone();
    tokio::task::spawn_blocking(move || {
        let mut client = RawClient::new(&socket);
        client.ask(1, attach("recorder", TYPING)).unwrap();
        client.say(0, typed(0, &[b'r'; 4000]));
        client.say(0, typed(4000, &[b'r'; 4000]));
        client.say(0, typed(8000, b"\n"));
        assert_eq!(error_value(&mut client), LINE as u64);
        // Nothing that was in flight is a fault, nor taken; what goes on at the offset is.
        client.say(0, typed(8001, b"in flight\n"));
        client.say(0, typed(4095, b"\ngone on\n"));
        client.settle();
        // Where a line is full, any byte is refused anew.
        client.say(0, typed(4104, &[b's'; 5000]));
        assert_eq!(error_value(&mut client), 4104 + 4095);
        client.say(0, typed(4104 + 4095, b"\x15"));
        client.settle();
    })
    .await
    .unwrap();
    let expected = line(b'r', LINE, b"\ngone on\n");
    assert!(recorder.read().await == expected);
}

/// Where to go on, as the next error says.
fn error_value(client: &mut RawClient) -> u64 {
    let heard = client.hear_of(0, &[ERROR]).expect("the connection stays");
    let ArchivedEngineMessage::Error(error) = heard.frame().engine().unwrap() else {
        panic!("an error with another kind");
    };
    let error = error.get();
    assert_eq!(ErrorCode::from_wire(error.code.to_native()), Some(ErrorCode::LineTooLong));
    assert_eq!(error.attachment.to_native(), 1);
    error.value.to_native()
}
