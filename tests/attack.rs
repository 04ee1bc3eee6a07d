//! Hostile and unlucky clients against a real engine: what they do, and what must come of it.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use fixture::{TestServer, command, config_in, raw_client::*, raw_script, within};
use tautline::{
    ServeError, Server,
    protocol::{ControlMessage as M, *},
    transport::{BindError, Stream},
};

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
    let mut client = RawClient::new(&server.socket);
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
    let mut raw = RawClient::new(&server.socket);
    raw.say(1, M::Status(StatusRequest { flags: 0, name: "deep".into() }));
    assert!(raw.hear_of(1, &[DONE, ERROR]).is_some(), "the connection died of a question");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reader_that_begins_late_gets_the_whole_log() {
    let server = TestServer::start();
    megabyte(&server).await;
    let mut reader = RawClient::new(&server.socket);
    reader.say(1, M::Logs(Logs { name: "long".into(), ..Logs::default() }));
    RawClient::new(&server.socket).settle();
    assert!(logs_len(&mut reader).is_some_and(|len| len >= 1_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_said_its_last_word_still_gets_its_answer() {
    let server = TestServer::start();
    megabyte(&server).await;
    let mut reader = RawClient::new(&server.socket);
    reader.say(1, M::Logs(Logs { name: "long".into(), ..Logs::default() }));
    reader.stream.shutdown(std::net::Shutdown::Write).unwrap();
    RawClient::new(&server.socket).settle();
    assert!(logs_len(&mut reader).is_some_and(|len| len >= 1_000_000), "the answer was cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn attaching_anew_grants_no_second_input_window() {
    let server = TestServer::start();
    let client = server.client().await;
    fixture::attached_ready(&client, &raw_script("deaf", "exec sleep 60")).await;
    let mut raw = RawClient::new(&server.socket);
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
    let mut other = RawClient::new(&server.socket);
    let mut flooder = RawClient::new(&server.socket);
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
    let mut clients = [0, 1].map(|_| RawClient::welcomed(&server.socket, ClientHello::default()));
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
    let mut blind = RawClient::welcomed(&server.socket, hello);
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
    let mut raw = RawClient::new(&server.socket);
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
    let mut raw = RawClient::new(&server.socket);
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
        let mut client = RawClient::new(&server.socket);
        client.write(&u32::to_be_bytes(length));
        assert_eq!(client.close_reason(), Some(reason), "{length}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reader_of_a_log_is_told_that_its_end_left_meanwhile() {
    let server = TestServer::with(|config| config.log_size = limits::LOG_SIZE_MIN as usize);
    let client = server.client().await;
    let script =
        "head -c 60000 /dev/zero; printf end; read go; head -c 900000 /dev/zero; echo; exec cat";
    let (input, mut events) = fixture::attached_ready(&client, &raw_script("s", script)).await;
    fixture::read_until(&mut events, b"end").await;
    // What does not fit the socket is read from the log later: fill it first.
    let mut reader = RawClient::new(&server.socket);
    let all: Vec<u8> = (1..=60)
        .flat_map(|id| frames(id, M::Logs(Logs { name: "s".into(), ..Logs::default() })))
        .collect();
    reader.write(&all);
    RawClient::new(&server.socket).settle();
    RawClient::new(&server.socket).settle();
    within(input.send(b"go\n")).await.unwrap();
    fixture::read_until(&mut events, b"\n").await;
    let (mut gaps, mut ended) = (0, 0);
    let mut read = [0; 61];
    while ended < 60 {
        let heard = reader.hear().expect("the connection stays");
        let at = heard.frame().id() as usize;
        match heard.frame().engine().unwrap() {
            ArchivedEngineMessage::LogChunk(chunk) => {
                let (chunk, next) = (chunk.get(), &mut read[at]);
                let offset = chunk.offset.to_native();
                let is_gap = chunk.flags.to_native() & LogFlags::GAP != 0;
                assert_eq!(is_gap, offset > *next, "a gap is marked, and nothing else is");
                gaps += u32::from(is_gap);
                *next = offset + chunk.bytes.len() as u64;
            }
            ArchivedEngineMessage::Done(_) => {
                assert!(read[at] >= 60_009, "{at} ends at {} without a word", read[at]);
                ended += 1;
            }
            _ => panic!("no log"),
        }
    }
    assert!(gaps > 0, "it was read too early to show anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_frame_that_comes_byte_by_byte_is_read_as_one() {
    let server = TestServer::start();
    let mut other = RawClient::new(&server.socket);
    let mut client = RawClient::silent(&server.socket);
    let mut byte_by_byte = |client: &mut RawClient, bytes: &[u8]| {
        for byte in bytes {
            client.write(&[*byte]);
            // By then the engine has read it.
            other.ask(1, M::Ping(Ping::default())).unwrap();
        }
    };
    byte_by_byte(&mut client, &ClientHello::default().encode());
    assert!(client.hear().is_some(), "welcome");
    byte_by_byte(&mut client, &frames(1, M::Ping(Ping::default())));
    assert!(client.hear_of(1, &[PONG]).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_on_one_attachment_leaves_another_of_its_connection_its_turn() {
    let server = TestServer::start();
    let client = server.client().await;
    within(client.spawn(&command("flood", &["yes"]))).await.unwrap();
    fixture::attached_ready(&client, &raw_script("calm", "exec cat")).await;
    let mut raw = RawClient::new(&server.socket);
    let reading = AttachTerms { window: 1 << 20, delivery: Delivery::Log.to_wire(), ..TYPING };
    raw.ask(1, attach("flood", AttachTerms { attachment: 2, ..reading })).unwrap();
    raw.ask(2, attach("calm", reading)).unwrap();
    let (mut calm, mut between, mut most) = (0, 0, 0);
    while calm < 50 {
        if between == 0 {
            raw.say(0, typed(calm, b"x"));
        }
        let heard = raw.hear_of_any(OUTPUT).expect("the connection stays");
        let ArchivedEngineMessage::Output(output) = heard.frame().engine().unwrap() else {
            panic!("no output");
        };
        let (number, bytes) = (output.get().attachment.to_native(), output.get().bytes.len());
        if number == 2 {
            between += 1;
            let offset = output.get().offset.to_native() + bytes as u64;
            raw.say(0, M::Consumed(Consumed { attachment: 2, offset }));
        } else {
            calm += bytes;
            (most, between) = (most.max(between), 0);
        }
    }
    // What lay in the socket's buffer before the answer: a few hundred frames at most.
    assert!(most < 2000, "{most} frames of the flood came before one of the other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn numbers_are_free_again_when_they_should_be_and_not_before() {
    let server = TestServer::start();
    let client = server.client().await;
    fixture::attached_ready(&client, &raw_script("s", "exec cat")).await;
    let mut raw = RawClient::new(&server.socket);
    for id in [1, 2, 3] {
        raw.ask(id, attach("s", TYPING)).unwrap();
        let taken = raw.ask(10 * id, attach("s", TYPING)).err();
        assert_eq!(taken, Some(ErrorCode::AttachmentInUse));
        raw.say(0, M::Detach(Detach { attachment: 1 }));
        assert!(raw.hear_of(id, &[DONE]).is_some());
        // It ended just now: late words about it are no fault.
        raw.say(0, M::Consumed(Consumed { attachment: 1, offset: u64::MAX >> 1 }));
        raw.settle();
    }
    // The request that opened an attachment is pending for as long as that lives.
    raw.ask(4, attach("s", TYPING)).unwrap();
    raw.say(4, M::Ping(Ping::default()));
    assert_eq!(raw.close_reason(), Some(CloseReason::IdInUse));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn input_of_no_bytes_is_nothing() {
    let server = TestServer::start();
    let client = server.client().await;
    let (_input, mut events) = fixture::attached_ready(&client, &raw_script("s", "exec cat")).await;
    let mut raw = RawClient::new(&server.socket);
    raw.ask(1, attach("s", TYPING)).unwrap();
    for _ in 0..100 {
        raw.say(0, typed(0, b""));
    }
    raw.say(0, typed(0, b"one"));
    raw.say(0, typed(3, b""));
    raw.say(0, typed(3, b"two"));
    raw.settle();
    assert_eq!(fixture::read_until(&mut events, b"two").await, b"onetwo");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_in_parts_that_is_given_up_ends_its_connection_in_time() {
    let server = TestServer::with(|config| config.deadlines.frame = Duration::from_millis(200));
    let bytes = [b'x'; limits::PING_MAX];
    let longest = archive(1, M::Ping(Ping { bytes: (&bytes).into(), ..Ping::default() }));
    let mut client = RawClient::new(&server.socket);
    client.write(&part(1, 0, &longest, &longest[..4000]));
    // Other frames do not buy it time.
    let ping = frames(2, M::Ping(Ping::default()));
    client.write(&ping);
    assert!(client.hear_of(2, &[PONG]).is_some());
    assert_eq!(client.close_reason(), Some(CloseReason::FrameTimeout));
    let mut client = RawClient::new(&server.socket);
    client.write(&ping[..7]);
    assert_eq!(client.close_reason(), Some(CloseReason::FrameTimeout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_that_fills_the_way_to_its_client_leaves_others_on_it_their_turn() {
    let server = Server::in_process(tautline::ServerConfig::default()).unwrap();
    let connector = server.connector();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async { stopped.await.unwrap_or(()) }));
    let client =
        tautline::Client::connect_in_process(&connector, tautline::ClientConfig::default());
    let client = client.await.unwrap();
    let script = "head -c 1000000 /dev/zero; printf end; exec cat";
    let (_input, mut events) = fixture::attached(&client, &raw_script("flood", script)).await;
    fixture::read_until(&mut events, b"end").await;
    let (input, mut events) =
        fixture::attached_ready(&client, &raw_script("calm", "exec cat")).await;

    // One write of the flood is as much as the way of this one holds.
    let stream = connector.connect().await.unwrap();
    let reading = AttachTerms { window: 1 << 20, delivery: Delivery::Log.to_wire(), ..TYPING };
    let flood = AttachTerms { attachment: 2, view: View::Offset.to_wire(), ..reading };
    let hello = ClientHello::default().encode().to_vec();
    let said =
        [hello, frames(1, attach("calm", reading)), frames(2, attach("flood", flood))].concat();
    stream.try_write(&[std::io::IoSlice::new(&said)]).unwrap();
    let mut buffer = ReceiveBuffer::new();
    let (mut flooded, mut is_typed) = (0, false);
    loop {
        while let Some(frame) = buffer.next_frame().unwrap() {
            let Ok(ArchivedEngineMessage::Output(output)) = frame.engine() else { continue };
            if output.get().attachment.to_native() == 1 {
                assert!(flooded < 500_000, "it waited for {flooded} bytes of the flood");
                drop(stop);
                return within(serving).await.unwrap().unwrap();
            }
            flooded += output.get().bytes.len();
        }
        if flooded > 0 && !is_typed {
            is_typed = true;
            within(input.send(b"x")).await.unwrap();
            fixture::read_until(&mut events, b"x").await;
        }
        let read = std::future::poll_fn(|cx| stream.poll_read(cx, buffer.spare()));
        let count = within(read).await.unwrap();
        buffer.advance(count);
    }
}
