//! Coming back, byte by byte: what a client that was lost is promised, and what nobody else gets.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::path::Path;

use fixture::{TestServer, raw_client::*, raw_script, within};
use tautline::protocol::{ControlMessage as M, *};

/// Says hello; the engine's answer, welcome or not.
fn greet(socket: &Path, hello: &ClientHello) -> (RawClient, EngineHello) {
    let mut client = RawClient::silent(socket);
    client.client_id = hello.client_id;
    client.write(&hello.encode());
    let answer = client.hear().expect("an answer to the hello");
    let frame = answer.frame();
    let hello = EngineHello::decode(frame.kind(), frame.payload()).unwrap();
    (client, hello)
}

/// A client that knows its secret.
fn known(server: &TestServer, id: u8) -> (RawClient, ClientHello) {
    let hello = ClientHello { client_id: [id; 16], ..ClientHello::default() };
    let (client, welcome) = greet(&server.socket, &hello);
    assert_eq!(welcome.status, Refusal::Welcome.to_wire());
    assert_eq!(welcome.resume_grace_ms, 60_000);
    (client, ClientHello { resume_secret: welcome.resume_secret, ..hello })
}

fn status_of(server: &TestServer, hello: &ClientHello) -> u8 {
    greet(&server.socket, hello).1.status
}

struct Marks {
    epoch: u64,
    accepted: u64,
    applied: u64,
    is_resumed: bool,
}

fn attach_to(client: &mut RawClient, epoch: u64, terms: AttachTerms) -> Result<Marks, ErrorCode> {
    let attach = Attach { terms, epoch, name: "w".into(), ..Attach::default() };
    let answer = client.ask(7, M::Attach(attach))?;
    let ArchivedEngineMessage::Attached(attached) = answer.frame().engine().unwrap() else {
        panic!("it is attached");
    };
    let attached = attached.get();
    assert_eq!(attached.input_unknown_to, attached.input_applied);
    Ok(Marks {
        epoch: attached.epoch.to_native(),
        accepted: attached.input_accepted.to_native(),
        applied: attached.input_applied.to_native(),
        is_resumed: attached.flags.to_native() & AttachFlags::RESUMED != 0,
    })
}

/// A session whose child writes what it reads, raw, into a file.
async fn witness(server: &TestServer) -> std::path::PathBuf {
    let file = server.directory.path().join("seen");
    let script = format!("exec cat > '{}'", file.display());
    start(server, &script).await;
    file
}

async fn start(server: &TestServer, script: &str) {
    let client = server.client().await;
    let (_input, mut events) = fixture::attached(&client, &raw_script("w", script)).await;
    fixture::read_until(&mut events, b"ready\n").await;
}

async fn seen(file: &Path, expected: &[u8]) {
    let whole = async {
        while std::fs::read(file).unwrap_or_default().len() < expected.len() {
            tokio::task::yield_now().await;
        }
    };
    within(whole).await;
    assert_eq!(std::fs::read(file).unwrap(), expected);
}

fn lose(client: RawClient) {
    client.stream.shutdown(std::net::Shutdown::Both).unwrap();
}

/// Attaches again until the engine has noticed that the connection before is gone, or goes on from
/// it: either way the marks are what counts.
fn come_back(server: &TestServer, hello: &ClientHello, epoch: u64) -> (RawClient, Marks) {
    let (mut client, welcome) = greet(&server.socket, hello);
    assert_eq!(welcome.status, Refusal::Welcome.to_wire());
    assert_eq!(welcome.resume_secret, hello.resume_secret, "the secret stays the same");
    let marks = attach_to(&mut client, epoch, TYPING).unwrap();
    (client, marks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn input_goes_on_where_the_engine_has_it_whatever_came_of_the_connection() {
    let server = TestServer::start();
    let file = witness(&server).await;
    let (mut client, hello) = known(&server, 1);
    let epoch = attach_to(&mut client, 0, TYPING).unwrap().epoch;
    client.say(0, typed(0, b"one "));
    client.settle();
    // Half a frame: nothing of it counts.
    let half = frames(0, typed(4, b"two "));
    client.write(&half[..half.len() - 1]);
    lose(client);
    let (mut client, marks) = come_back(&server, &hello, epoch);
    assert_eq!((marks.accepted, marks.applied, marks.is_resumed), (4, 4, true));
    // Some of it once more: a client may not know.
    client.say(0, typed(0, b"one two three"));
    client.settle();
    seen(&file, b"one two three").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_newer_connection_takes_over_and_the_older_is_told() {
    let server = TestServer::start();
    let file = witness(&server).await;
    let (mut older, hello) = known(&server, 1);
    let epoch = attach_to(&mut older, 0, TYPING).unwrap().epoch;
    older.say(0, typed(0, b"old"));
    older.settle();
    let (mut newer, marks) = come_back(&server, &hello, epoch);
    assert_eq!(marks.accepted, 3);
    assert_eq!(older.close_reason(), Some(CloseReason::TakenOver));
    newer.say(0, typed(3, b" new"));
    newer.settle();
    seen(&file, b"old new").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_an_older_connection_still_says_is_not_acted_on() {
    let server = TestServer::start();
    let file = witness(&server).await;
    let (mut older, hello) = known(&server, 1);
    let epoch = attach_to(&mut older, 0, TYPING).unwrap().epoch;
    for round in 0..50_u8 {
        // Whatever of these the engine reads before the newer one's hello counts, and nothing else.
        let frame = frames(0, typed(usize::from(round) * 2, b"xy"));
        older.write(&frame);
    }
    let (mut newer, marks) = come_back(&server, &hello, epoch);
    older.write(&frames(0, typed(marks.accepted as usize, b"OLD")));
    let rest = vec![b'n'; 10];
    newer.say(0, typed(marks.accepted as usize, &rest));
    newer.settle();
    let accepted = marks.accepted as usize;
    let expected = [&b"xy".repeat(50)[..accepted], &rest].concat();
    seen(&file, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_cannot_prove_it_is_not_let_in_and_the_client_stays() {
    let server = TestServer::start();
    let (mut client, hello) = known(&server, 1);
    let mut wrong = hello.resume_secret;
    wrong[0] ^= 1;
    for resume_secret in [wrong, [0; 16]] {
        let stranger = ClientHello { resume_secret, ..hello };
        assert_eq!(status_of(&server, &stranger), Refusal::ResumeSecret.to_wire());
    }
    client.settle();
    // Nothing of it is left once it has left in order.
    client.say(0, M::Disconnect(Disconnect { flags: 0 }));
    assert_eq!(client.close_reason(), Some(CloseReason::Requested));
    assert!(client.hear().is_none());
    drop(client);
    let anew = ClientHello { resume_secret: [0; 16], ..hello };
    within(async {
        while status_of(&server, &anew) != Refusal::Welcome.to_wire() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_takes_over_needs_no_slot_of_its_own() {
    let server = TestServer::with(|config| config.clients_limit = 1);
    let (older, hello) = known(&server, 1);
    for _ in 0..20 {
        let (mut newer, welcome) = greet(&server.socket, &hello);
        assert_eq!(welcome.status, Refusal::Welcome.to_wire());
        newer.settle();
        let stranger = ClientHello { client_id: [2; 16], ..ClientHello::default() };
        assert_eq!(status_of(&server, &stranger), Refusal::AtCapacity.to_wire());
        std::mem::forget(newer);
    }
    drop(older);
    assert_eq!(status_of(&server, &hello), Refusal::Welcome.to_wire());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn claims_from_the_future_harm_only_who_makes_them() {
    let server = TestServer::start();
    let file = witness(&server).await;
    let (mut honest, _) = known(&server, 1);
    attach_to(&mut honest, 0, TYPING).unwrap();
    let (mut liar, hello) = known(&server, 2);
    let from_future = AttachTerms { view: View::Offset.to_wire(), output_from: 1 << 60, ..TYPING };
    let looking = AttachTerms { window: 65_536, delivery: Delivery::Log.to_wire(), ..from_future };
    assert!(matches!(attach_to(&mut liar, 0, looking), Err(ErrorCode::InvalidOffset)));
    attach_to(&mut liar, 0, TYPING).unwrap();
    liar.say(0, typed(1 << 40, b"x"));
    assert_eq!(liar.close_reason(), Some(CloseReason::InputGap));
    // A fault leaves nothing to come back to.
    let (mut liar, welcome) =
        greet(&server.socket, &ClientHello { resume_secret: [0; 16], client_id: [3; 16], ..hello });
    assert_eq!(welcome.status, Refusal::Welcome.to_wire());
    attach_to(&mut liar, 0, TYPING).unwrap();
    let consumed = Consumed { attachment: 1, offset: u64::MAX };
    liar.say(0, M::Consumed(consumed));
    assert_eq!(liar.close_reason(), Some(CloseReason::ConsumedAhead));
    honest.say(0, typed(0, b"honest"));
    honest.settle();
    seen(&file, b"honest").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_epoch_is_named_by_who_was_there() {
    let server = TestServer::start();
    witness(&server).await;
    let (mut client, hello) = known(&server, 1);
    let epoch = attach_to(&mut client, 0, TYPING).unwrap().epoch;
    let (mut stranger, _) = known(&server, 2);
    assert!(matches!(attach_to(&mut stranger, epoch, TYPING), Err(ErrorCode::ResumeExpired)));
    stranger.settle();
    lose(client);
    let maker = server.client().await;
    maker.restart("w", libc::SIGKILL, std::time::Duration::ZERO).await.unwrap();
    let (mut client, _) = greet(&server.socket, &hello);
    assert!(matches!(attach_to(&mut client, epoch + 1, TYPING), Err(ErrorCode::ResumeExpired)));
    // Through the end of the child it knew to the one that runs.
    let marks = attach_to(&mut client, epoch, TYPING).unwrap();
    assert!(marks.is_resumed && marks.epoch == epoch);
    let told = [EXITED, STARTED].map(|tag| client.hear_of(7, &[tag]).unwrap());
    let ArchivedEngineMessage::Started(started) = told[1].frame().engine().unwrap() else {
        panic!("it is told what runs now");
    };
    assert_ne!(started.get().epoch.to_native(), epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_ends_between_two_frames_gives_no_identity_away() {
    let server = TestServer::start();
    witness(&server).await;
    let (mut client, hello) = known(&server, 1);
    let epoch = attach_to(&mut client, 0, TYPING).unwrap().epoch;
    client.settle();
    drop(client);
    for _ in 0..20 {
        // Hello and gone, without asking for anything.
        let (idle, welcome) = greet(&server.socket, &hello);
        assert_eq!(welcome.resume_secret, hello.resume_secret);
        drop(idle);
        let stranger = ClientHello { resume_secret: [0; 16], ..hello };
        assert_eq!(status_of(&server, &stranger), Refusal::ResumeSecret.to_wire());
    }
    let (_, marks) = come_back(&server, &hello, epoch);
    assert!(marks.is_resumed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_comes_back_to_its_session_whatever_that_is_called_now() {
    let server = TestServer::start();
    let file = witness(&server).await;
    let (mut client, hello) = known(&server, 1);
    let epoch = attach_to(&mut client, 0, TYPING).unwrap().epoch;
    lose(client);
    let maker = server.client().await;
    within(maker.rename("w", "v")).await.unwrap();
    within(maker.spawn(&raw_script("w", "exec sleep 1000"))).await.unwrap();
    let (mut client, marks) = come_back(&server, &hello, epoch);
    assert!(marks.is_resumed && marks.epoch == epoch);
    client.say(0, typed(0, b"mine"));
    client.settle();
    seen(&file, b"mine").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_whose_end_was_told_does_not_take_its_name_back() {
    let server = TestServer::start();
    let (mut client, hello) = known(&server, 1);
    let terms = AttachTerms { window: 65_536, delivery: Delivery::Log.to_wire(), ..TYPING };
    let argv = b"sh\0-c\0exit 3\0";
    let flags = SpawnFlags::EPHEMERAL;
    let spawn = Spawn {
        flags,
        terms,
        name: "w".into(),
        argv: argv.into(),
        cwd: "/".into(),
        ..Spawn::default()
    };
    client.say(7, M::Spawn(spawn));
    let attached = client.hear_of(7, &[ATTACHED]).unwrap();
    let ArchivedEngineMessage::Attached(attached) = attached.frame().engine().unwrap() else {
        panic!("it is attached");
    };
    let epoch = attached.get().epoch.to_native();
    client.hear_of(7, &[DONE]).unwrap();
    // The ping behind it is not answered: who knows whether the end was heard?
    let maker = server.client().await;
    within(maker.spawn(&raw_script("w", "exec sleep 1000"))).await.unwrap();
    drop(client);
    let (mut client, _) = greet(&server.socket, &hello);
    attach_to(&mut client, epoch, terms).unwrap();
    assert_eq!(within(maker.sessions()).await.unwrap(), ["w"]);
    assert_ne!(within(maker.status(Some("w"))).await.unwrap()[0].epoch, epoch);
    let ended = client.hear_of(7, &[EXITED]).unwrap();
    let ArchivedEngineMessage::Exited(ended) = ended.frame().engine().unwrap() else {
        panic!("its end is told again");
    };
    assert_eq!(ended.get().value.to_native(), 3);
    assert_eq!(within(maker.status(Some("w"))).await.unwrap()[0].exit, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dead_peer_that_left_replies_unread_is_given_up_too() {
    let server = TestServer::start();
    let hello = ClientHello { client_id: [1; 16], heartbeat_ms: 200, ..ClientHello::default() };
    let (mut client, _) = greet(&server.socket, &hello);
    let bytes = [b'x'; limits::PING_MAX];
    let ping = frames(1, M::Ping(Ping { bytes: (&bytes).into(), ..Ping::default() }));
    client.write_until_blocked(&ping.repeat(400));
    let maker = server.client().await;
    within(async {
        loop {
            let stats = maker.stats(&tautline::StatsOptions::default()).await.unwrap();
            let clients = stats.counters.iter().find(|(name, _)| name == "clients").unwrap().1;
            if clients == 1 {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_left_on_purpose_has_nothing_to_come_back_to() {
    let server = TestServer::start();
    witness(&server).await;
    let (mut client, _) = known(&server, 1);
    let epoch = attach_to(&mut client, 0, TYPING).unwrap().epoch;
    client.ask(8, M::Detach(Detach { attachment: 1 })).unwrap();
    client.hear_of(7, &[DONE]).unwrap();
    assert!(matches!(attach_to(&mut client, epoch, TYPING), Err(ErrorCode::ResumeExpired)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_engine_that_keeps_nothing_says_so() {
    let server = TestServer::with(|config| config.resume_grace = std::time::Duration::ZERO);
    witness(&server).await;
    let hello = ClientHello { client_id: [1; 16], ..ClientHello::default() };
    let (mut client, welcome) = greet(&server.socket, &hello);
    assert_eq!(welcome.resume_grace_ms, 0);
    let epoch = attach_to(&mut client, 0, TYPING).unwrap().epoch;
    lose(client);
    let back = ClientHello { resume_secret: welcome.resume_secret, ..hello };
    within(async {
        loop {
            let (mut client, welcome) = greet(&server.socket, &back);
            // Until the engine has noticed the loss, the newer takes over from the older.
            if welcome.status == Refusal::Welcome.to_wire() {
                let answer = attach_to(&mut client, epoch, TYPING);
                return assert!(matches!(answer, Err(ErrorCode::ResumeExpired)));
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_peer_that_answers_lives_and_one_that_is_silent_does_not() {
    let server = TestServer::start();
    let hello = ClientHello { client_id: [9; 16], heartbeat_ms: 1, ..ClientHello::default() };
    assert_eq!(greet(&server.socket, &hello).1.heartbeat_ms, 100, "no shorter one is granted");
    let hello = ClientHello { client_id: [1; 16], heartbeat_ms: 500, ..hello };
    let (mut client, welcome) = greet(&server.socket, &hello);
    // Longer than silence may last.
    for _ in 0..4 {
        let heard = client.hear().expect("an idle peer that answers is not given up");
        let ArchivedEngineMessage::Ping(ping) = heard.frame().engine().unwrap() else {
            panic!("another push")
        };
        assert_eq!(heard.frame().id(), 0);
        let token = ping.get().token.to_native();
        client.say(0, M::Pong(Pong { token, ..Pong::default() }));
    }
    assert_eq!(client.close_reason(), Some(CloseReason::HeartbeatLost));
    let back = ClientHello { resume_secret: welcome.resume_secret, ..hello };
    assert_eq!(status_of(&server, &back), Refusal::Welcome.to_wire());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bytes_of_any_kind_are_signs_of_life() {
    let server = TestServer::start();
    let hello = ClientHello { client_id: [1; 16], heartbeat_ms: 300, ..ClientHello::default() };
    let (mut client, _) = greet(&server.socket, &hello);
    let mut pings = 0;
    while pings < 6 {
        let heard = client.hear().expect("it talks");
        if matches!(heard.frame().engine(), Ok(ArchivedEngineMessage::Ping(_))) {
            pings += 1;
            // No answer to that, but a word.
            client.say(1, M::Ping(Ping::default()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_error_names_the_attachment_also_where_a_value_makes_no_sense() {
    let server = TestServer::start();
    witness(&server).await;
    let (mut client, _) = known(&server, 1);
    attach_to(&mut client, 0, TYPING).unwrap();
    let size = WindowSize::default();
    let wrong = [
        M::Resize(Resize { attachment: 1, size, ..Resize::default() }),
        M::Input(Input { attachment: 1, flags: 1 << 15, bytes: b"x".into(), ..Input::default() }),
        M::Adjust(Adjust { attachment: 1, window: 5, ..Adjust::default() }),
    ];
    for message in wrong {
        client.say(0, message);
        let heard = client.hear_of(0, &[ERROR]).unwrap();
        let ArchivedEngineMessage::Error(error) = heard.frame().engine().unwrap() else {
            panic!("it is refused");
        };
        assert_eq!(error.get().attachment.to_native(), 1, "{:?}", error.get());
    }
}
