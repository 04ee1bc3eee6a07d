//! Hostile and unlucky clients against a real engine: what they do, and what must come of it.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use fixture::{TestServer, command, config_in, raw_script, within};
use tautline::{
    ServeError, Server,
    protocol::{ControlMessage as M, *},
    transport::BindError,
};

/// A client that says whatever it is told to, byte by byte.
struct RawClient {
    stream: UnixStream,
    buffer: ReceiveBuffer,
}

impl RawClient {
    fn silent(server: &TestServer) -> Self {
        let stream = UnixStream::connect(&server.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { stream, buffer: ReceiveBuffer::new() }
    }

    fn welcomed(server: &TestServer, hello: ClientHello) -> Self {
        let mut client = Self::silent(server);
        client.write(&hello.encode());
        let answer = client.hear().expect("an answer to the hello");
        let answer = answer.frame();
        let hello = EngineHello::decode(answer.kind(), answer.payload()).unwrap();
        assert_eq!(hello.status, Refusal::Welcome.to_wire());
        client
    }

    /// Welcomed as a client nobody else is.
    fn new(server: &TestServer) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = u128::from(COUNT.fetch_add(1, Ordering::Relaxed));
        let client_id = number.to_be_bytes();
        Self::welcomed(server, ClientHello { client_id, ..ClientHello::default() })
    }

    /// Errors do not matter: what became of the connection is heard.
    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).ok();
    }

    fn say(&mut self, id: u64, message: M<'_>) {
        self.write(&frames(id, message));
    }

    /// The next frame, or `None` if the connection ended.
    fn hear(&mut self) -> Option<OwnedFrame> {
        loop {
            if let Some(frame) = self.buffer.next_frame().expect("the engine's frames are legal") {
                return Some(OwnedFrame::copy(frame));
            }
            match self.stream.read(self.buffer.spare()) {
                Ok(0) => return None,
                Ok(count) => self.buffer.advance(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing in 5 s"),
                Err(_) => return None,
            }
        }
    }

    /// The next frame with this id and one of these tags, or `None` if the connection ended.
    fn hear_of(&mut self, id: u64, tags: &[u8]) -> Option<OwnedFrame> {
        loop {
            let heard = self.hear()?;
            if heard.frame().id() == id && tags.contains(&heard.frame().kind().tag()) {
                return Some(heard);
            }
        }
    }

    /// The final frame of a request: its error, if it was refused.
    fn ask(&mut self, id: u64, message: M<'_>) -> Result<OwnedFrame, ErrorCode> {
        self.say(id, message);
        let tags = [SPAWNED, ATTACHED, PONG, SESSIONS, DONE, ERROR];
        let answer = self.hear_of(id, &tags).expect("the connection stays");
        match answer.frame().engine().unwrap() {
            ArchivedEngineMessage::Error(error) => {
                Err(ErrorCode::from_wire(error.get().code.to_native()).unwrap())
            }
            _ => Ok(answer.clone()),
        }
    }

    /// Once this is answered, all that was said before was handled, and what could be written was.
    fn settle(&mut self) {
        for id in [u64::MAX - 1, u64::MAX] {
            self.ask(id, M::Ping(Ping::default())).unwrap();
        }
    }

    fn close_reason(&mut self) -> Option<CloseReason> {
        let goodbye = self.hear_of(0, &[GOODBYE])?;
        let ArchivedEngineMessage::Goodbye(goodbye) = goodbye.frame().engine().unwrap() else {
            panic!("a goodbye with another kind");
        };
        CloseReason::from_wire(goodbye.get().reason.to_native())
    }
}

const SPAWNED: u8 = 1;
const ATTACHED: u8 = 2;
const OUTPUT: u8 = 6;
const EXITED: u8 = 12;
const PONG: u8 = 14;
const SESSIONS: u8 = 15;
const LOG_CHUNK: u8 = 17;
const DONE: u8 = 23;
const ERROR: u8 = 24;
const GOODBYE: u8 = 25;

fn frames(id: u64, message: M<'_>) -> Vec<u8> {
    let mut writer = PartWriter::new(id, message).unwrap();
    let mut buffer = [0; limits::FRAME_MAX];
    let mut bytes = Vec::new();
    while let Some(count) = writer.next_frame(&mut buffer).unwrap() {
        bytes.extend_from_slice(&buffer[..count]);
    }
    bytes
}

/// All of a message's archive, without header.
fn archive(id: u64, message: M<'_>) -> Vec<u8> {
    let whole = frames(id, message);
    whole[limits::HEADER_SIZE..].to_vec()
}

fn part(id: u64, position: usize, archive: &[u8], piece: &[u8]) -> Vec<u8> {
    let (position, total) = (position as u32, archive.len() as u32);
    frames(id, M::Part(Part { position, total, bytes: piece.into() }))
}

/// What completes a `Ping` of which parts were sent.
fn rest_of_ping(rest: &[u8]) -> Vec<u8> {
    let kind = Kind::new(Class::Control, 11);
    let header = Header { kind, flags: Flags::NONE, payload_size: rest.len() };
    [&header.encode()[..], rest].concat()
}

fn attach(name: &str, terms: AttachTerms) -> M<'_> {
    M::Attach(Attach { terms, name: name.into(), ..Attach::default() })
}

const TYPING: AttachTerms = AttachTerms {
    attachment: 1,
    flags: 0,
    output_from: 0,
    window: 0,
    pause_limit_ms: 0,
    history_lines: 0,
    delivery: Delivery::None.to_wire(),
    view: View::None.to_wire(),
};

fn typed(offset: usize, bytes: &[u8]) -> M<'_> {
    let (attachment, offset) = (1, offset as u64);
    M::Input(Input { attachment, flags: 0, turn: 0, offset, bytes: bytes.into() })
}

/// A session whose child printed a megabyte and ended.
async fn megabyte(server: &TestServer) {
    let script = "head -c 1000000 /dev/zero; echo; exit";
    let client = server.client().await;
    let (_input, mut events) = fixture::attached(&client, &raw_script("long", script)).await;
    fixture::read_to_exit(&mut events).await;
}

fn logs_len(reader: &mut RawClient) -> Option<usize> {
    let mut len = 0;
    loop {
        let heard = reader.hear_of(1, &[LOG_CHUNK, DONE])?;
        match heard.frame().engine().unwrap() {
            ArchivedEngineMessage::LogChunk(chunk) => len += chunk.get().bytes.len(),
            _ => return Some(len),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_longest_ping_behind_another_is_answered() {
    let server = TestServer::start();
    let mut client = RawClient::new(&server);
    let bytes = [b'x'; limits::PING_MAX];
    let longest = archive(1, M::Ping(Ping { bytes: (&bytes).into(), ..Ping::default() }));
    client.write(&part(1, 0, &longest, &longest[..8000]));
    client.settle();
    let small = frames(2, M::Ping(Ping::default()));
    client.write(&[small, rest_of_ping(&longest[8000..])].concat());
    let pong = client.hear_of(1, &[PONG]);
    assert!(pong.is_some(), "the connection died of a legal ping");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_with_the_longest_command_can_be_described() {
    let server = TestServer::start();
    let deep = (0..8).fold(server.directory.path().to_path_buf(), |at, _| at.join("d".repeat(200)));
    std::fs::create_dir_all(&deep).unwrap();
    let script = format!("cd {}/d*/d*/d*/d*/d*/d*/d*/d*; ", server.directory.path().display());
    let mut request = raw_script("deep", &(script + "printf there; exec sleep 60"));
    let long = |len| "x".repeat(len).into();
    request.argv.extend([long(120_000), long(120_000), long(20_500)]);
    let client = server.client().await;
    let (_input, mut events) = fixture::attached(&client, &request).await;
    fixture::read_until(&mut events, b"there").await;
    let mut raw = RawClient::new(&server);
    raw.say(1, M::Status(StatusRequest { flags: 0, name: "deep".into() }));
    assert!(raw.hear_of(1, &[DONE, ERROR]).is_some(), "the connection died of a question");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reader_that_begins_late_gets_the_whole_log() {
    let server = TestServer::start();
    megabyte(&server).await;
    let mut reader = RawClient::new(&server);
    reader.say(1, M::Logs(Logs { name: "long".into(), ..Logs::default() }));
    RawClient::new(&server).settle();
    assert!(logs_len(&mut reader).is_some_and(|len| len >= 1_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_said_its_last_word_still_gets_its_answer() {
    let server = TestServer::start();
    megabyte(&server).await;
    let mut reader = RawClient::new(&server);
    reader.say(1, M::Logs(Logs { name: "long".into(), ..Logs::default() }));
    reader.stream.shutdown(std::net::Shutdown::Write).unwrap();
    RawClient::new(&server).settle();
    assert!(logs_len(&mut reader).is_some_and(|len| len >= 1_000_000), "the answer was cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn attaching_anew_grants_no_second_input_window() {
    let server = TestServer::start();
    let client = server.client().await;
    fixture::attached_ready(&client, &raw_script("deaf", "exec sleep 60")).await;
    let mut raw = RawClient::new(&server);
    let mut typed_in_all = 0;
    for round in 0..16 {
        let Ok(attached) = raw.ask(2 * round + 1, attach("deaf", TYPING)) else { break };
        let ArchivedEngineMessage::Attached(attached) = attached.frame().engine().unwrap() else {
            panic!("not attached");
        };
        let attached = attached.get();
        let window = u64::from(attached.input_window.to_native());
        let begin = attached.input_accepted.to_native() as usize;
        let end = (attached.input_applied.to_native() + window) as usize;
        for offset in (begin..end).step_by(8000) {
            raw.say(0, typed(offset, &[b'x'; 8000][..8000.min(end - offset)]));
        }
        raw.settle();
        typed_in_all += end.saturating_sub(begin);
        raw.say(2 * round + 2, M::Detach(Detach { attachment: 1 }));
        raw.hear_of(2 * round + 1, &[DONE]);
    }
    // What the terminal itself holds, and one window.
    assert!(typed_in_all <= 3 * 64 * 1024, "{typed_in_all} bytes are queued for a deaf child");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_of_slow_requests_leaves_others_their_turn() {
    const FLOOD: u32 = 300;
    let server = TestServer::start();
    let mut other = RawClient::new(&server);
    let mut flooder = RawClient::new(&server);
    let spawn = Spawn { argv: b"/nonexistent\0".into(), cwd: b"/".into(), ..Spawn::default() };
    let flood: Vec<u8> = (1..=FLOOD).flat_map(|id| frames(id.into(), M::Spawn(spawn))).collect();
    flooder.write(&flood);
    flooder.hear_of(1, &[ERROR]).unwrap();
    let answered = Arc::new(AtomicU32::new(1));
    let counted = Arc::clone(&answered);
    let counting = std::thread::spawn(move || {
        while counted.load(Ordering::Relaxed) < FLOOD {
            flooder.hear().unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    other.ask(1, M::Ping(Ping::default())).unwrap();
    let waited_for = answered.load(Ordering::Relaxed);
    counting.join().unwrap();
    assert!(waited_for < FLOOD / 2, "a ping waited for {waited_for} requests of another client");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn anonymous_clients_type_each_for_itself() {
    let server = TestServer::start();
    let client = server.client().await;
    let (_input, mut events) =
        fixture::attached_ready(&client, &raw_script("echo", "exec cat")).await;
    let mut clients = [0, 1].map(|_| RawClient::welcomed(&server, ClientHello::default()));
    for client in &mut clients {
        client.ask(1, attach("echo", TYPING)).unwrap();
    }
    for (client, bytes) in clients.iter_mut().zip([b"first.", b"secnd."]) {
        client.say(0, typed(0, bytes));
        client.settle();
    }
    assert_eq!(fixture::read_until(&mut events, b"secnd.").await, b"first.secnd.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_second_engine_is_an_error_and_no_panic_in_its_host() {
    let server = TestServer::start();
    let config = config_in(&server.directory, |_| {});
    let second = Server::bind(&server.socket, config);
    assert!(matches!(second, Err(ServeError::Bind(BindError::AlreadyRunning { .. }))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_may_not_look_is_shown_nothing() {
    let server = TestServer::start();
    let client = server.client().await;
    within(client.spawn(&command("secret", &["sleep", "60"]))).await.unwrap();
    let hello = ClientHello { rights: Rights::SPAWN | Rights::RESIZE, ..ClientHello::default() };
    let mut blind = RawClient::welcomed(&server, hello);
    let refused = Err(ErrorCode::NotPermitted);
    let mut ask = |id, message| blind.ask(id, message).map(|_| ());
    assert_eq!(ask(1, M::List(List::default())), refused, "list");
    assert_eq!(ask(2, M::Status(StatusRequest::default())), refused, "status");
    assert_eq!(ask(3, M::Logs(Logs { name: "secret".into(), ..Logs::default() })), refused, "logs");
    assert_eq!(ask(4, attach("secret", TYPING)), refused, "attach");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_delivery_is_granted_without_a_window() {
    let server = TestServer::start();
    let client = server.client().await;
    within(client.spawn(&command("flood", &["yes"]))).await.unwrap();
    let mut raw = RawClient::new(&server);
    raw.ask(1, attach("flood", TYPING)).unwrap();
    let adjust = Adjust {
        attachment: 1,
        flags: UNCHANGED_FLAGS,
        window: 0,
        pause_limit_ms: u32::MAX,
        delivery: Delivery::Lossless.to_wire(),
        size_policy: UNCHANGED,
    };
    assert_eq!(raw.ask(2, M::Adjust(adjust)).err(), Some(ErrorCode::InvalidNumber));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_printed_before_a_kill_is_delivered() {
    let server = TestServer::start();
    let client = server.client().await;
    let mut raw = RawClient::new(&server);
    let script = "stty raw -echo; head -c 11000 /dev/zero; touch done; exec sleep 60";
    let cwd = server.directory.path().to_str().unwrap();
    let path = format!("PATH={}\0", std::env::var("PATH").unwrap());
    let argv = format!("sh\0-c\0{script}\0");
    let (window, pause_limit_ms) = (limits::OUTPUT_WINDOW_MIN, u32::MAX);
    let delivery = Delivery::Lossless.to_wire();
    let terms = AttachTerms { window, pause_limit_ms, delivery, ..TYPING };
    let (argv, env, cwd) = (argv.as_str().into(), path.as_str().into(), cwd.into());
    let name = "held".into();
    raw.say(1, M::Spawn(Spawn { terms, name, argv, env, cwd, ..Spawn::default() }));
    while !server.directory.path().join("done").exists() {
        tokio::task::yield_now().await;
    }
    within(client.stop("held", 0, Duration::ZERO)).await.unwrap();
    let mut printed = 0;
    while let Some(heard) = raw.hear_of(1, &[OUTPUT, EXITED]) {
        match heard.frame().engine().unwrap() {
            ArchivedEngineMessage::Output(output) => printed += output.get().bytes.len() as u64,
            _ => break,
        }
        raw.say(0, M::Consumed(Consumed { attachment: 1, offset: printed }));
    }
    assert_eq!(printed, 11_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_length_that_no_frame_has_is_named() {
    let server = TestServer::start();
    let lengths = [
        (0, CloseReason::LengthTooSmall),
        (25, CloseReason::LengthMisaligned),
        (8192, CloseReason::LengthTooLarge),
        (u32::MAX, CloseReason::LengthTooLarge),
    ];
    for (length, reason) in lengths {
        let mut client = RawClient::new(&server);
        client.write(&u32::to_be_bytes(length));
        assert_eq!(client.close_reason(), Some(reason), "{length}");
    }
}
