//! The hex blocks of the document: real frames, in order, from the real encoder.

use tautline_protocol::*;

use super::document::DOC;

/// The frames of all hex blocks: the comment line above each, and its bytes.
fn frames_in_document() -> Vec<(&'static str, Vec<u8>)> {
    let mut frames: Vec<(_, Vec<u8>)> = Vec::new();
    let mut is_hex = false;
    for line in DOC.lines() {
        if line.starts_with("```") {
            is_hex = line == "```hex";
        } else if let (true, Some(title)) = (is_hex, line.strip_prefix("# ")) {
            frames.push((title, Vec::new()));
        } else if is_hex {
            let (_, frame) = frames.last_mut().expect("a hex block begins with a comment line");
            let bytes = line.split('#').next().unwrap_or_default().split_whitespace();
            frame.extend(bytes.map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits")));
        }
    }
    frames
}

fn encoded(id: u64, message: impl Vocabulary) -> Vec<u8> {
    let mut frame = vec![0; limits::FRAME_MAX];
    let size = encode(&mut frame, id, message).expect("the examples are short");
    frame.truncate(size);
    frame
}

fn input(offset: u64, bytes: &str) -> ControlMessage<'_> {
    ControlMessage::Input(Input { attachment: 1, flags: 0, turn: 0, offset, bytes: bytes.into() })
}

/// The examples of sections 2 and 3.
fn single_frames() -> Vec<(&'static str, Vec<u8>)> {
    let ping = Ping { token: 1, sent_ns: 2, bytes: Bytes::EMPTY };
    let rename = Rename { name: "ab".into(), new_name: "bcd".into() };
    vec![
        ("Ping without bytes", encoded(7, ControlMessage::Ping(ping))),
        ("Rename ab to bcd", encoded(9, ControlMessage::Rename(rename))),
    ]
}

fn hellos() -> [(&'static str, Vec<u8>); 2] {
    let client = ClientHello { client_id: [0xc1; 16], clock: 0xb007, ..ClientHello::default() };
    let engine = EngineHello {
        engine_id: [0xe1; 16],
        resume_secret: [0x5e; 16],
        rights: Rights::ALL,
        clock: 0xb007,
        resume_grace_ms: 60_000,
        clients_limit: 64,
        attachments_limit: 64,
        ..EngineHello::default()
    };
    [
        ("-> hello, a new client", client.encode().to_vec()),
        ("<- hello, welcome", engine.encode().to_vec()),
    ]
}

/// Beginning of the session of section 11: start `cat`, attach, type a line.
fn opening() -> [(&'static str, Vec<u8>); 5] {
    let terms = AttachTerms {
        attachment: 1,
        output_from: OFFSET_NOW,
        window: 262_144,
        pause_limit_ms: 2_000,
        delivery: Delivery::Lossless.to_wire(),
        ..AttachTerms::default()
    };
    let spawn = Spawn {
        terms,
        flags: SpawnFlags::EPHEMERAL,
        size: WindowSize::cells(80, 24),
        name: "demo".into(),
        argv: "cat\0".into(),
        ..Spawn::default()
    };
    let spawned = Spawned { epoch: 0xe90c, flags: 0, pid: 4711, name: "demo".into() };
    let attached = Attached {
        attachment: 1,
        epoch: 0xe90c,
        window: 262_144,
        input_window: 65_536,
        pause_limit_ms: 2_000,
        size: WindowSize::cells(80, 24),
        delivery: Delivery::Lossless.to_wire(),
        state: SessionState::Running.to_wire(),
        ..Attached::default()
    };
    let output = Output {
        attachment: 1,
        input_applied: 3,
        read_ns: 1_000_000,
        bytes: "hi\r\nhi\r\n".into(),
        ..Output::default()
    };
    [
        ("-> Spawn [1]: cat in a session demo, with attachment 1", {
            encoded(1, ControlMessage::Spawn(spawn))
        }),
        ("<- Spawned [1]", encoded(1, EngineMessage::Spawned(spawned))),
        ("<- Attached [1]", encoded(1, EngineMessage::Attached(attached))),
        ("-> Input [0] at 0: hi, return", encoded(0, input(0, "hi\r"))),
        ("<- Output [1] at 0: the terminal's echo and cat's", {
            encoded(1, EngineMessage::Output(output))
        }),
    ]
}

/// Its end: a ping, the end of input, the end of `cat`, the end of the connection.
fn ending() -> [(&'static str, Vec<u8>); 9] {
    let consumed = Consumed { attachment: 1, offset: 8 };
    let ping = Ping { token: 42, sent_ns: 2_000_000, bytes: "abc".into() };
    let pong = Pong {
        token: 42,
        sent_ns: 2_000_000,
        received_ns: 2_009_000,
        replied_ns: 2_010_000,
        bytes: "abc".into(),
    };
    let kind = ExitKind::Code.to_wire();
    let exited = Exited { attachment: 1, value: 0, epoch: 0xe90c, offset: 8, kind };
    let reason = DetachReason::Ended.to_wire();
    let detached = Detached { attachment: 1, reason, offset: 8 };
    let reason = CloseReason::Requested.to_wire();
    let goodbye = Goodbye { reason, retry_after_ms: 0, text: "bye".into() };
    [
        ("-> Consumed [0] up to 8", encoded(0, ControlMessage::Consumed(consumed))),
        ("-> Ping [2]", encoded(2, ControlMessage::Ping(ping))),
        ("<- Pong [2]", encoded(2, EngineMessage::Pong(pong))),
        ("-> Input [0] at 3: ctrl-D", encoded(0, input(3, "\u{4}"))),
        ("<- Exited [1] with code 0", encoded(1, EngineMessage::Exited(exited))),
        ("<- Detached [1]: ended", encoded(1, EngineMessage::Detached(detached))),
        ("<- Done [1]", encoded(1, EngineMessage::Done(Done { value: 0 }))),
        ("-> Disconnect [0]", encoded(0, ControlMessage::Disconnect(Disconnect { flags: 0 }))),
        ("<- Goodbye [0]: requested", encoded(0, EngineMessage::Goodbye(goodbye))),
    ]
}

fn expected_frames() -> Vec<(&'static str, Vec<u8>)> {
    let mut frames = single_frames();
    frames.extend(hellos());
    frames.extend(opening());
    frames.extend(ending());
    frames
}

fn dump(frame: &[u8]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
    frame.chunks(16).map(|bytes| line(bytes).join(" ") + "\n").collect()
}

#[test]
fn every_hex_block_is_what_the_encoder_writes() {
    let expected = expected_frames();
    if std::env::var_os("TAUT_BLESS").is_some() {
        for (title, frame) in &expected {
            println!("# {title}\n{}", dump(frame));
        }
    }
    let found = frames_in_document();
    for (position, (title, frame)) in expected.iter().enumerate() {
        let (found_title, found_frame) = &found.get(position).expect("a hex block for each frame");
        assert_eq!(found_title, title);
        assert_eq!(dump(found_frame), dump(frame), "{title}");
    }
    assert_eq!(found.len(), expected.len(), "hex blocks that this test does not know");
}

#[test]
fn every_hex_block_decodes() {
    for (title, bytes) in frames_in_document() {
        let mut buffer = ReceiveBuffer::new();
        buffer.spare()[..bytes.len()].copy_from_slice(&bytes);
        buffer.advance(bytes.len());
        let frame = buffer.next_frame().expect(title).expect(title);
        match frame.kind() {
            kind @ Kind::CLIENT_HELLO => {
                ClientHello::decode(kind, frame.payload()).map(drop).expect(title)
            }
            kind @ Kind::ENGINE_HELLO => {
                EngineHello::decode(kind, frame.payload()).map(drop).expect(title)
            }
            kind if kind.class() == Some(Class::Control) => {
                frame.control().map(drop).expect(title);
            }
            _ => frame.engine().map(drop).expect(title),
        }
        assert!(!buffer.is_mid_frame(), "{title}: one frame and nothing behind it");
    }
}
