//! Traces as they are shown: what is named, what is kept back, and that nothing makes it panic.

use serde_json::Value;

use super::{Form, Transcript, parse_kind};
use crate::{
    protocol::{
        AttachTerms, ClientHello, ControlMessage, Delivery, Done, EngineHello, EngineMessage,
        ErrorClass, ErrorCode, ErrorReply, Input, InputFlags, Output, PartWriter, Rename, Spawn,
        Vocabulary, WindowSize, encode, limits::FRAME_MAX,
    },
    trace::{Record, Records, Side, What},
};

/// A trace that is put together by hand.
#[derive(Default)]
struct Sample {
    bytes: Vec<u8>,
    time_unix_ns: u64,
}

impl Sample {
    fn record(&mut self, what: What, frame: &[u8]) {
        self.time_unix_ns += 1_500_000;
        let time_unix_ns = 1_795_000_000_000_000_000 + self.time_unix_ns;
        let (side, pid, connection) = (Side::Client, 4711, 1);
        let record = Record { side, what, time_unix_ns, pid, connection, frame };
        self.bytes.extend(record.header(frame.len()));
        self.bytes.extend(frame);
    }

    fn message(&mut self, what: What, id: u64, message: impl Vocabulary) {
        let mut frame = [0; FRAME_MAX];
        let mut parts = PartWriter::new(id, message).unwrap();
        while let Some(size) = parts.next_frame(&mut frame).unwrap() {
            self.record(what, &frame[..size]);
        }
    }

    /// One of everything.
    fn whole() -> Self {
        let mut trace = Self::default();
        trace.record(What::Sent, &ClientHello::default().encode());
        let hello = EngineHello { resume_secret: *b"secret of resume", ..EngineHello::default() };
        trace.record(What::Received, &hello.encode());
        let env = "TOKEN=value of env\0".repeat(600);
        let terms = AttachTerms {
            attachment: 1,
            window: 65_536,
            delivery: Delivery::Lossless.to_wire(),
            ..AttachTerms::default()
        };
        let spawn = Spawn {
            terms,
            size: WindowSize::cells(80, 24),
            name: "build".into(),
            argv: b"make\0secret argument\0".into(),
            env: env.as_str().into(),
            cwd: "/tmp/\x1b[31m".into(),
            ..Spawn::default()
        };
        trace.message(What::Sent, 7, ControlMessage::Spawn(spawn));
        let bytes = b"typed \x1b[A secret".into();
        let flags = InputFlags::ACK_NOW as u16;
        let input = Input { attachment: 1, flags, turn: 0, offset: 12, bytes };
        trace.message(What::Sent, 0, ControlMessage::Input(input));
        let output = Output { attachment: 1, bytes: b"printed secret".into(), ..Output::default() };
        trace.message(What::Received, 7, EngineMessage::Output(output));
        let error = ErrorReply {
            code: ErrorCode::NameTaken.to_wire(),
            class: ErrorClass::Caller.to_wire(),
            text: "taken \" id=9".into(),
            ..ErrorReply::default()
        };
        trace.message(What::Received, 8, EngineMessage::Error(error));
        let mut unknown = [0; FRAME_MAX];
        let done = EngineMessage::Done(Done { value: 0 });
        let size = encode(&mut unknown, 3, done).unwrap();
        unknown[5] = 0xfe;
        trace.record(What::Received, &unknown[..size]);
        trace.record(What::Received, b"GET ");
        trace.record(What::Stopped, b"");
        trace
    }

    fn show(&self, form: &Form) -> String {
        let mut transcript = Transcript::new(form.clone());
        Records::new(&self.bytes).map(|found| transcript.line(&found)).collect()
    }

    fn json(&self, form: Form) -> Vec<Value> {
        let shown = self.show(&Form { is_json: true, ..form });
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn each_frame_is_a_line_with_the_fields_that_matter() {
    let shown = Sample::whole().show(&Form::default());
    let lines = shown.lines().collect::<Vec<_>>();
    assert_eq!(lines[0], "from 2026-11-18T11:06:40.001Z");
    assert!(
        lines[1].starts_with("   0.000000 client 4711/1     -> ClientHello  len=128 version_min=1")
    );
    assert!(lines[2].contains(" <- EngineHello  len=128 status=Welcome version=1 "));
    assert!(lines[3].contains(" -> Part         len=8192 id=7 position=0 total="), "{}", lines[3]);
    for part in [
        " -> Spawn ",
        " id=7 whole_len=",
        " attachment=1 ",
        " window=65536 ",
        " delivery=Lossless ",
        " cols=80 rows=24 ",
        " name=build program=make argv_count=2 env_count=600 ",
        " cwd=\"/tmp/\\x1b[31m\"",
    ] {
        assert!(lines[4].contains(part), "{part}: {}", lines[4]);
    }
    let input =
        " -> Input        len=64 attachment=1 flags=[ACK_NOW] turn=0 offset=12 bytes_len=16";
    assert!(lines[5].ends_with(input), "{}", lines[5]);
    assert!(lines[6].ends_with(" offset=0 input_applied=0 read_ns=0 bytes_len=14"), "{}", lines[6]);
    let error = "code=NameTaken limit=0 class=Caller text=\"taken \\\" id=9\"";
    assert!(lines[7].ends_with(error), "{}", lines[7]);
    let unknown = " <- 0x02fe       len=32 id=3 payload_len=24 \
        NOT VALID: this version has no message of kind 0x02fe";
    assert!(lines[8].ends_with(unknown), "{}", lines[8]);
    let length = "NOT VALID: frame length 1195725856 is above the largest, 8188";
    assert!(lines[9].ends_with(length), "{}", lines[9]);
    assert!(lines[10].ends_with("(recording stopped: the file is full)"), "{}", lines[10]);
    assert_eq!(lines.len(), 11);
}

#[test]
fn what_was_typed_or_printed_and_secrets_are_shown_only_when_asked_for() {
    let trace = Sample::whole();
    for is_json in [false, true] {
        let form = Form { is_json, ..Form::default() };
        let shown = trace.show(&form);
        assert!(!shown.contains("secret of") && !shown.contains("secret argument"), "{shown}");
        assert!(!shown.contains("typed") && !shown.contains("printed"), "{shown}");
        assert!(!shown.contains("value of env"), "{shown}");
        let shown = trace.show(&Form { with_bytes: true, ..form });
        let secret = b"secret of resume".map(|byte| format!("{byte:02x}")).concat();
        for wanted in ["secret argument", "printed secret", "TOKEN=value of env", &secret] {
            assert!(shown.contains(wanted), "{wanted}");
        }
        assert!(shown.contains("x1b[A secret") && !shown.contains('\x1b'));
    }
}

#[test]
fn json_has_a_line_for_each_record() {
    let lines = Sample::whole().json(Form::default());
    assert_eq!(lines[0]["record"], "frame");
    assert_eq!(lines[0]["kind"], "ClientHello");
    assert!(lines[0]["id"].is_null() && lines[0]["error"].is_null());
    let spawn = &lines[3];
    assert_eq!((&spawn["kind_number"], &spawn["length"]), (&0x0101.into(), &spawn["length"]));
    assert_eq!((&spawn["side"], &spawn["direction"]), (&"client".into(), &"sent".into()));
    assert_eq!((&spawn["pid"], &spawn["connection"]), (&4711.into(), &1.into()));
    assert_eq!(spawn["id"], "0000000000000007");
    assert_eq!(spawn["elapsed_ns"], 4_500_000);
    assert_eq!(spawn["fields"]["program"], "make");
    assert_eq!(lines[4]["fields"]["flags"], serde_json::json!(["ACK_NOW"]));
    assert!(lines[7]["kind"].is_null() && lines[7]["kind_number"] == 0x02fe);
    assert!(lines[7]["error"].as_str().unwrap().contains("no message"));
    assert_eq!(lines[9]["record"], "stopped");
}

#[test]
fn only_the_kinds_asked_for_are_shown_and_long_messages_still_put_together() {
    let kinds = |names: &[&str]| names.iter().map(|name| parse_kind(name).unwrap()).collect();
    let form = |names: &[&str]| Form { kinds: kinds(names), ..Form::default() };
    let lines = Sample::whole().json(form(&["spawn", "0x0206"]));
    let shown = lines.iter().map(|line| line["kind"].as_str()).collect::<Vec<_>>();
    assert_eq!(shown, [Some("Spawn"), Some("Output"), None]);
    assert_eq!(lines[0]["fields"]["env_count"], 600);
    assert!(parse_kind("spwan").is_err() && parse_kind("0x1ffff").is_err());
    assert_eq!(parse_kind("PING"), parse_kind("ping"));
}

#[test]
fn parts_out_of_order_are_told_and_what_follows_is_read() {
    let mut whole = Sample::default();
    let env = "A=1\0".repeat(8_000);
    let spawn = Spawn { name: "a".into(), env: env.as_str().into(), ..Spawn::default() };
    whole.message(What::Sent, 1, ControlMessage::Spawn(spawn));
    let frames = Records::new(&whole.bytes).filter_map(|found| match found {
        crate::trace::Found::Record(record) => Some(record.frame.to_vec()),
        _ => None,
    });
    let mut trace = Sample::default();
    for frame in frames.enumerate().filter_map(|(at, frame)| (at != 1).then_some(frame)) {
        trace.record(What::Sent, &frame);
    }
    let rename = Rename { name: "a".into(), new_name: "b".into() };
    trace.message(What::Sent, 2, ControlMessage::Rename(rename));
    let lines = trace.json(Form::default());
    let faults = lines.iter().filter(|line| !line["error"].is_null()).count();
    assert!(faults >= 2, "{lines:?}");
    assert_eq!(lines.last().unwrap()["fields"]["new_name"], "b");
}

#[test]
fn whatever_the_bytes_are_they_are_shown_without_a_panic() {
    let trace = Sample::whole();
    let mut random = fastrand::Rng::with_seed(17);
    for round in 0..3_000 {
        let mut bytes = trace.bytes.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] ^= 1 << random.u8(..8),
                2 => bytes.truncate(at.max(1)),
                _ => drop(bytes.drain(at..(at + random.usize(1..40)).min(bytes.len() - 1).max(at))),
            }
        }
        let is_json = round % 2 == 0;
        let form = Form { is_json, with_bytes: round % 3 == 0, ..Form::default() };
        let shown = Sample { bytes, time_unix_ns: 0 }.show(&form);
        let is_harmless = |letter: char| letter == '\n' || !letter.is_control();
        assert!(shown.chars().all(is_harmless), "round {round}");
        let mut json = shown.lines().filter(|_| is_json);
        assert!(json.all(|line| serde_json::from_str::<Value>(line).is_ok()), "round {round}");
    }
}
