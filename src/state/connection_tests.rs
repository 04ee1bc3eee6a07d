//! The connection's rules, one test each.

use tautline_protocol::{
    ControlMessage, Input, List, Part, PartWriter, ReceiveBuffer, Spawn, encode,
};

use super::*;

struct Harness {
    connection: Connection,
    buffer: ReceiveBuffer,
    now: Instant,
}

impl Harness {
    fn opened() -> Self {
        let now = Instant::now();
        let connection = Connection::new(Deadlines::default(), 2, now);
        Self { connection, buffer: ReceiveBuffer::new(), now }
    }

    fn ready() -> Self {
        let mut harness = Self::opened();
        harness.connection.handle_welcome(Features::default());
        harness
    }

    fn receive(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut steps = Vec::new();
        for piece in bytes.chunks(1000) {
            self.buffer.spare()[..piece.len()].copy_from_slice(piece);
            self.buffer.advance(piece.len());
            let mut frames = 0;
            loop {
                match self.buffer.next_frame() {
                    Ok(Some(frame)) => {
                        frames += 1;
                        let step = self.connection.handle_frame(frame, self.now);
                        steps.push(describe(&step));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        steps.push(describe(&self.connection.handle_length_error(error)));
                        return steps;
                    }
                }
            }
            self.connection.handle_pass(self.buffer.is_mid_frame(), frames, self.now);
        }
        steps
    }

    fn say(&mut self, id: u64, message: ControlMessage<'_>) -> Vec<String> {
        self.receive(&frame(id, message))
    }

    fn wait(&mut self, seconds: u64) -> Option<Expiry> {
        self.now += Duration::from_secs(seconds);
        self.connection.handle_timeout(self.now)
    }
}

fn frame(id: u64, message: ControlMessage<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let size = encode(&mut bytes, id, message).unwrap();
    bytes.truncate(size);
    bytes
}

fn describe(step: &Step<'_>) -> String {
    match step {
        Step::Hello(_) => "hello".into(),
        Step::Request { id, message } => {
            let text = format!("{message:?}");
            let name: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
            format!("{id} {name}")
        }
        Step::Answer(fault) => format!("{} {}", fault.id, fault.code.name()),
        Step::Skip => "skip".into(),
        Step::Refuse(refusal) => format!("refuse {}", refusal.name()),
        Step::Close(reason) => format!("close {}", reason.name()),
    }
}

fn input(bytes: &[u8]) -> ControlMessage<'_> {
    ControlMessage::Input(Input {
        attachment: 1,
        flags: 0,
        turn: 0,
        offset: 0,
        bytes: bytes.into(),
    })
}

const LIST: ControlMessage<'static> = ControlMessage::List(List { flags: 0 });

#[test]
fn the_first_frame_is_a_hello_or_the_client_is_refused() {
    assert_eq!(Harness::opened().receive(&ClientHello::default().encode()), ["hello"]);
    assert_eq!(Harness::opened().say(1, LIST), ["refuse NotOurProtocol"]);
    let greetings: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        &[0; 64],
        b"SSH-2.0-OpenSSH\r\n",
    ];
    for greeting in greetings {
        assert_eq!(Harness::opened().receive(greeting), ["refuse NotOurProtocol"]);
    }
    let mut flagged = ClientHello::default().encode();
    flagged[7] = 1;
    assert_eq!(Harness::opened().receive(&flagged), ["refuse NotOurProtocol"]);
}

#[test]
fn a_second_hello_closes() {
    let mut harness = Harness::ready();
    assert_eq!(harness.receive(&ClientHello::default().encode()), ["close WrongClass"]);
}

#[test]
fn requests_behind_the_hello_are_taken_in_once_welcomed() {
    let mut harness = Harness::opened();
    assert_eq!(harness.receive(&ClientHello::default().encode()), ["hello"]);
    harness.connection.handle_welcome(Features::default());
    assert_eq!(harness.say(5, LIST), ["5 List"]);
}

#[test]
fn a_hello_has_five_seconds_however_slowly_it_drips() {
    let mut harness = Harness::opened();
    let hello = ClientHello::default().encode();
    for byte in &hello[..4] {
        harness.receive(&[*byte]);
        assert_eq!(harness.wait(1), None);
    }
    assert_eq!(harness.wait(1), Some(Expiry::Refuse(Refusal::Timeout)));
}

#[test]
fn a_frame_begun_has_five_seconds_however_slowly_it_drips() {
    let mut harness = Harness::ready();
    let bytes = frame(0, input(b"x"));
    for byte in &bytes[..4] {
        harness.receive(&[*byte]);
        assert_eq!(harness.wait(1), None);
    }
    harness.receive(&bytes[4..5]);
    assert_eq!(harness.wait(1), Some(Expiry::Close(CloseReason::FrameTimeout)));
}

#[test]
fn an_idle_client_lives() {
    let mut harness = Harness::ready();
    harness.say(0, input(b"x"));
    assert_eq!(harness.connection.deadline(), None);
    assert_eq!(harness.wait(1_000_000), None);
}

#[test]
fn whole_frames_give_the_next_one_its_own_time() {
    let mut harness = Harness::ready();
    let bytes = frame(0, input(b"x"));
    for _ in 0..20 {
        harness.receive(&bytes[..7]);
        assert_eq!(harness.wait(4), None);
        harness.receive(&[&bytes[7..], &bytes[..3]].concat());
        assert_eq!(harness.wait(4), None);
        harness.receive(&bytes[3..]);
    }
}

#[test]
fn a_pause_of_ours_is_not_counted() {
    let mut harness = Harness::ready();
    harness.receive(&frame(0, input(b"x"))[..9]);
    harness.connection.handle_reading_resumed(Duration::from_secs(10));
    assert_eq!(harness.wait(14), None);
    assert_eq!(harness.wait(1), Some(Expiry::Close(CloseReason::FrameTimeout)));
}

#[test]
fn an_id_is_used_once_at_a_time() {
    let mut harness = Harness::ready();
    assert_eq!(harness.say(7, LIST), ["7 List"]);
    assert_eq!(harness.say(7, LIST), ["close IdInUse"]);

    let mut harness = Harness::ready();
    assert_eq!(harness.say(7, LIST), ["7 List"]);
    harness.connection.handle_answered(7);
    assert_eq!(harness.say(7, LIST), ["7 List"]);
    assert_eq!(harness.say(0, LIST), ["close IdMissing"]);
}

#[test]
fn too_many_pending_requests_are_refused_by_name_and_the_connection_stays() {
    let mut harness = Harness::ready();
    harness.say(1, LIST);
    harness.say(2, LIST);
    assert_eq!(harness.say(3, LIST), ["3 LimitReached"]);
    harness.connection.handle_answered(1);
    assert_eq!(harness.say(3, LIST), ["3 List"]);
}

#[test]
fn input_is_never_pending() {
    let mut harness = Harness::ready();
    for _ in 0..10 {
        assert_eq!(harness.say(9, input(b"x")), ["9 Input"]);
    }
}

#[test]
fn an_unknown_kind_is_answered_and_skipped() {
    let mut harness = Harness::ready();
    let mut unknown = frame(11, LIST);
    unknown[5] = 200;
    let then = frame(12, LIST);
    assert_eq!(harness.receive(&[unknown, then].concat()), ["11 Unsupported", "12 List"]);
}

#[test]
fn a_message_in_parts_is_one_request() {
    let mut harness = Harness::ready();
    let env = [b"A=".as_slice(), &[b'x'; 40_000], b"\0"].concat();
    let spawn = ControlMessage::Spawn(Spawn { env: env.as_slice().into(), ..Spawn::default() });
    let mut writer = PartWriter::new(4, spawn).unwrap();
    let mut bytes = vec![0; 8192];
    let mut steps = Vec::new();
    while let Some(size) = writer.next_frame(&mut bytes).unwrap() {
        assert_eq!(harness.wait(0), None);
        steps.extend(harness.receive(&bytes[..size]));
        steps.extend(harness.say(0, input(b"x")));
    }
    steps.retain(|step| step != "skip" && step != "0 Input");
    assert_eq!(steps, ["4 Spawn"]);
    assert_eq!(harness.connection.deadline(), None, "a whole message has no deadline");
    assert_eq!(harness.say(5, LIST), ["5 List"]);
}

#[test]
fn parts_that_stop_coming_close_like_an_unfinished_frame() {
    let mut harness = Harness::ready();
    let part = Part { position: 0, total: 1000, bytes: (&[0; 8]).into() };
    assert_eq!(harness.say(4, ControlMessage::Part(part)), ["skip"]);
    for _ in 0..4 {
        harness.say(0, input(b"x"));
        assert_eq!(harness.wait(1), None);
    }
    assert_eq!(harness.wait(1), Some(Expiry::Close(CloseReason::FrameTimeout)));
}

#[test]
fn a_flag_nobody_agreed_on_closes() {
    let mut harness = Harness::ready();
    let mut bytes = frame(1, LIST);
    bytes[7] = 1;
    assert_eq!(harness.receive(&bytes), ["close FlagsNotAgreed"]);
}

#[test]
fn closing_lasts_a_second_and_hears_nothing() {
    let mut harness = Harness::ready();
    harness.connection.handle_closing(harness.now);
    assert!(harness.connection.is_closing());
    assert_eq!(harness.say(1, LIST), ["skip"]);
    assert_eq!(harness.wait(1), Some(Expiry::Drop));
}
