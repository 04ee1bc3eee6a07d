//! Lines that are cut: real clients, real engines, real children, and a proxy that cuts between.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{path::Path, time::Duration};

use fixture::{
    TestServer, attached_ready, command,
    cutting_proxy::{Cutting, CuttingProxy},
    raw_script, read_until, within,
};
use tautline::{
    AttachOptions, Client, ClientConfig, Event, Events, GiveUpReason, Input, ReconnectPolicy,
    SendError, SpawnRequest,
    protocol::{ErrorCode, View, WindowSize},
    state::{BackoffPolicy, SenderEnd},
};

/// Tries again at once, and as often as it takes.
fn eager() -> ClientConfig {
    let mut backoff = BackoffPolicy::default();
    backoff.base = Duration::from_millis(1);
    backoff.cap = Duration::from_millis(20);
    backoff.first = Duration::ZERO;
    backoff.attempts_limit = 1_000;
    let mut reconnect = ReconnectPolicy::default();
    reconnect.backoff = backoff;
    let mut config = ClientConfig::default();
    config.reconnect = Some(reconnect);
    config
}

async fn connect(proxy: &CuttingProxy) -> Client {
    Client::connect(&proxy.socket, eager()).await.unwrap()
}

/// Starts it without a cut in the way, and joins it over the line that is cut.
async fn joined(server: &TestServer, client: &Client, request: &SpawnRequest) -> (Input, Events) {
    let maker = server.client().await;
    within(maker.spawn(request)).await.unwrap();
    let mut options = AttachOptions::default();
    (options.view, options.output_from) = (View::Offset, 0);
    loop {
        // A request whose answer was cut off fails: nobody knows whether it was done.
        if let Ok(attached) = within(client.attach(&request.name, &options)).await {
            return attached;
        }
    }
}

/// Bytes that tell where they belong.
fn tape(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 16);
    while bytes.len() < len {
        bytes.extend_from_slice(format!("{:07}\n", bytes.len()).as_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A child that writes everything it reads, raw, into a file.
fn witness(name: &str, file: &Path) -> SpawnRequest {
    raw_script(name, &format!("exec cat > '{}'", file.display()))
}

async fn file_of_size(path: &Path, size: usize) -> Vec<u8> {
    let whole = async {
        loop {
            let bytes = std::fs::read(path).unwrap_or_default();
            if bytes.len() >= size {
                return bytes;
            }
            tokio::task::yield_now().await;
        }
    };
    within(whole).await
}

#[tokio::test(flavor = "multi_thread")]
async fn input_over_a_line_that_is_cut_is_written_once() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::every(1..40_000, 60, 1));
    let client = connect(&proxy).await;
    let file = server.directory.path().join("seen");
    let (input, mut events) = joined(&server, &client, &witness("w", &file)).await;
    read_until(&mut events, b"ready\n").await;
    let typed = tape(1_000_000);
    let sending = input.send(&typed);
    let hearing = async {
        loop {
            if let Some(Event::Undelivered { bytes, .. }) = events.next().await.unwrap() {
                panic!("{} bytes undelivered", bytes.len());
            }
        }
    };
    tokio::select! {
        sent = within(sending) => sent.unwrap(),
        () = hearing => unreachable!("events go on"),
    }
    let seen = file_of_size(&file, typed.len()).await;
    assert!(seen == typed, "{} bytes seen", seen.len());
    assert!(proxy.cuts() >= 50, "{} cuts", proxy.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn output_over_a_line_that_is_cut_is_shown_once() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::every(1..40_000, 60, 2));
    let client = connect(&proxy).await;
    let file = server.directory.path().join("tape");
    let printed = tape(1_000_000);
    std::fs::write(&file, &printed).unwrap();
    let script = raw_script("w", &format!("cat '{}'; exit 3", file.display()));
    let (_, mut events) = joined(&server, &client, &script).await;
    let mut seen = Vec::new();
    let exit = loop {
        match within(events.next()).await.unwrap().unwrap() {
            Event::Output { offset, bytes, .. } => {
                assert_eq!(offset, seen.len() as u64, "nothing twice, nothing missing");
                seen.extend_from_slice(bytes);
            }
            Event::Gap { from, to } => panic!("{from}..{to} is missing"),
            Event::Exited { exit, offset } => {
                assert_eq!(offset, seen.len() as u64);
                break exit;
            }
            _ => {}
        }
    };
    assert_eq!(exit.value, 3);
    assert!(seen.strip_prefix(b"ready\n").unwrap() == printed);
    assert!(proxy.cuts() >= 20, "{} cuts", proxy.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_over_a_line_that_is_cut_every_few_bytes_is_whole() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::every(1..700, 200, 3));
    let client = connect(&proxy).await;
    let (input, mut events) = joined(&server, &client, &raw_script("w", "exec cat")).await;
    read_until(&mut events, b"ready\n").await;
    let typed = tape(20_000);
    let sending = tokio::spawn({
        let typed = typed.clone();
        async move {
            for bytes in typed.chunks(17) {
                input.send(bytes).await.unwrap();
            }
        }
    });
    let mut seen = Vec::new();
    while seen.len() < typed.len() {
        if let Some(Event::Output { bytes, .. }) = within(events.next()).await.unwrap() {
            seen.extend_from_slice(bytes);
        }
    }
    assert!(seen == typed, "{}", String::from_utf8_lossy(&seen));
    within(sending).await.unwrap();
    assert!(proxy.cuts() >= 100, "{} cuts", proxy.cuts());
}

#[tokio::test]
async fn a_cut_is_told_and_so_is_the_return() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let client = connect(&proxy).await;
    let (input, mut events) = attached_ready(&client, &raw_script("w", "exec cat")).await;
    proxy.cut();
    let mut told = Vec::new();
    loop {
        match within(events.next()).await.unwrap().unwrap() {
            Event::Disconnected { reason: None } => told.push("disconnected"),
            Event::Reconnecting { attempt: 1, .. } => told.push("reconnecting"),
            Event::Resumed { gap: 0, replayed_input: 0, is_new_child: false } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, ["disconnected", "reconnecting"]);
    within(input.send(b"still here")).await.unwrap();
    assert_eq!(read_until(&mut events, b"here").await, b"still here");
}

#[tokio::test]
async fn what_is_typed_for_a_child_that_was_replaced_is_told_and_not_typed() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let client = connect(&proxy).await;
    // It never reads: what is typed stays in the engine's hands.
    let script = raw_script("w", "exec sleep 1000");
    let (input, mut events) = joined(&server, &client, &script).await;
    read_until(&mut events, b"ready\n").await;
    let typed = vec![b'x'; 50_000];
    let sending = tokio::spawn({
        let (input, typed) = (input.clone(), typed.clone());
        async move { input.send(&typed).await }
    });
    let maker = server.client().await;
    while maker.status(Some("w")).await.unwrap()[0].input_offset == 0 {}
    drop(proxy);
    maker.restart("w", libc::SIGKILL, Duration::ZERO).await.unwrap();
    let _proxy = CuttingProxy::before(&server.socket, "cut2", Cutting::never());
    std::fs::remove_file(server.socket.with_file_name("cut")).unwrap();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    proxy.cut();
    let mut undelivered = 0;
    loop {
        match within(events.next()).await.unwrap().unwrap() {
            Event::Undelivered { bytes, reason, .. } => {
                assert_eq!(reason, SenderEnd::ChildEnded);
                undelivered += bytes.len();
            }
            Event::Started { .. } | Event::Resumed { is_new_child: true, .. } => break,
            _ => {}
        }
    }
    let error = within(sending).await.unwrap().unwrap_err();
    let (applied, rest) = match error {
        SendError::Lost { applied, unknown, undelivered, .. } => (applied, unknown + undelivered),
        SendError::Ended { applied, undelivered } => (applied, undelivered),
        other => panic!("{other:?}"),
    };
    assert_eq!(applied + rest, 50_000);
    assert_eq!(undelivered as u64, rest, "events tell of the same bytes");
    read_until(&mut events, b"ready\n").await;
    within(input.send(b"new")).await.unwrap();
}

#[tokio::test]
async fn a_session_of_the_same_name_is_another_session() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let client = connect(&proxy).await;
    let (input, mut events) = joined(&server, &client, &raw_script("w", "exec cat")).await;
    read_until(&mut events, b"ready\n").await;
    let maker = server.client().await;
    // Removed and made anew while nobody could tell us.
    drop(proxy);
    within(events.next()).await.unwrap();
    maker.remove("w", true).await.unwrap();
    let seen = server.directory.path().join("seen");
    maker.spawn(&witness("w", &seen)).await.unwrap();
    let sending = tokio::spawn(async move { input.send(b"rm -rf /").await });
    std::fs::remove_file(server.socket.with_file_name("cut")).unwrap();
    let _proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let (mut reason, mut undelivered) = (None, Vec::new());
    let error = loop {
        match within(events.next()).await {
            Ok(Some(Event::Undelivered { bytes, unknown: 0, .. })) => {
                undelivered.extend_from_slice(bytes);
            }
            Ok(Some(Event::GaveUp { reason: why, undelivered: 8, unknown: 0 })) => {
                reason = Some(why);
            }
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends with an error"),
            Err(error) => break error,
        }
    };
    assert_eq!(reason, Some(GiveUpReason::SessionGone));
    assert_eq!(error.to_string(), "the connection to the daemon was lost: the session is gone");
    assert_eq!(undelivered, b"rm -rf /");
    let error = within(sending).await.unwrap().unwrap_err();
    let is_whole = matches!(error, SendError::Lost { applied: 0, unknown: 0, undelivered: 8, .. });
    assert!(is_whole, "{error:?}");
    assert_eq!(std::fs::read(&seen).unwrap_or_default(), b"");
    // The line itself lives.
    assert_eq!(within(client.sessions()).await.unwrap(), ["w"]);
}

#[tokio::test]
async fn without_a_daemon_it_gives_up_after_ten_attempts_and_starts_none() {
    let server = TestServer::start();
    let mut config = eager();
    let mut policy = ReconnectPolicy::default();
    policy.backoff.base = Duration::from_millis(1);
    policy.backoff.cap = Duration::from_millis(10);
    config.reconnect = Some(policy);
    let client = Client::connect(&server.socket, config).await.unwrap();
    let (input, mut events) = attached_ready(&client, &raw_script("w", "exec cat")).await;
    let socket = server.socket.clone();
    server.stop().await;
    let mut attempts = Vec::new();
    let error = loop {
        match within(events.next()).await {
            Ok(Some(Event::Reconnecting { attempt, .. })) => attempts.push(attempt),
            Ok(Some(Event::GaveUp { reason: GiveUpReason::Attempts(10), .. })) => {}
            Ok(Some(Event::GaveUp { reason, .. })) => panic!("{reason:?}"),
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends with an error"),
            Err(error) => break error,
        }
    };
    assert!(attempts.is_sorted() && *attempts.last().unwrap() == 10, "{attempts:?}");
    assert!(error.to_string().contains("gave up after 10 attempts"), "{error}");
    assert!(matches!(within(input.send(b"x")).await, Err(SendError::Lost { .. })));
    assert!(within(client.sessions()).await.is_err());
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_cut_off_is_not_kept_waiting() {
    let server = TestServer::start();
    let client = Client::connect(&server.socket, ClientConfig::default()).await.unwrap();
    let (input, mut events) = attached_ready(&client, &raw_script("w", "exec cat")).await;
    server.stop().await;
    while !matches!(within(events.next()).await, Ok(Some(Event::Reconnecting { .. }))) {}
    input.detach();
    loop {
        match within(events.next()).await.unwrap() {
            Some(Event::Detached { .. }) => break,
            Some(_) => {}
            None => panic!("it is told"),
        }
    }
    assert_eq!(within(events.next()).await.unwrap(), None);
    within(client.close()).await;
}

#[tokio::test]
async fn the_end_of_a_session_is_heard_of_however_often_its_telling_is_cut() {
    let server = TestServer::start();
    for cut_at in (60..1_400).step_by(23) {
        let name = format!("cut{cut_at}");
        let cutting = Cutting::every(cut_at..cut_at + 1, 1, 0);
        let proxy = CuttingProxy::before(&server.socket, &name, cutting);
        // The hello itself may be cut.
        let Ok(client) = Client::connect(&proxy.socket, eager()).await else { continue };
        let mut request = command(&name, &["sh", "-c", "printf done; exit 9"]);
        request.flags |= tautline::protocol::SpawnFlags::EPHEMERAL;
        let spawned = within(client.spawn_attached(&request, &AttachOptions::default())).await;
        let Ok((_, _, mut events)) = spawned else { continue };
        let (mut seen, mut exits) = (Vec::new(), Vec::new());
        loop {
            match within(events.next()).await.unwrap() {
                Some(Event::Output { bytes, .. }) => seen.extend_from_slice(bytes),
                Some(Event::Exited { exit, .. }) => exits.push(exit.value),
                Some(Event::Detached { .. }) | None => break,
                Some(_) => {}
            }
        }
        assert_eq!((&seen[..], &exits[..]), (&b"done"[..], &[9][..]), "cut at {cut_at}");
    }
}

#[tokio::test]
async fn who_heard_the_end_does_not_keep_the_session() {
    let server = TestServer::start();
    let client = server.client().await;
    let mut request = command("w", &["true"]);
    request.flags |= tautline::protocol::SpawnFlags::EPHEMERAL;
    let options = AttachOptions::default();
    let (_, _, mut events) = within(client.spawn_attached(&request, &options)).await.unwrap();
    while within(events.next()).await.unwrap().is_some() {}
    within(async { while !client.sessions().await.unwrap().is_empty() {} }).await;
}

#[tokio::test]
async fn a_name_that_was_given_away_meanwhile_is_no_reason_to_give_up() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let client = connect(&proxy).await;
    let (input, mut events) = joined(&server, &client, &raw_script("w", "exec cat")).await;
    read_until(&mut events, b"ready\n").await;
    server.client().await.rename("w", "v").await.unwrap();
    proxy.cut();
    within(input.send(b"hello")).await.unwrap();
    assert_eq!(read_until(&mut events, b"hello").await, b"hello");
}

#[tokio::test]
async fn requests_wait_for_the_line_and_one_that_was_cut_says_so() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let client = connect(&proxy).await;
    for _ in 0..20 {
        proxy.cut();
        // Made before or after the cut is noticed: lost or answered, and never stuck.
        if let Ok(names) = within(client.sessions()).await {
            assert_eq!(names, [""; 0]);
        }
    }
    assert!(matches!(
        within(client.attach("nobody", &AttachOptions::default())).await,
        Err(tautline::RequestError::Refused(info)) if info.code == ErrorCode::NoSuchSession
    ));
}

#[tokio::test]
async fn a_line_that_died_without_an_end_is_noticed_by_its_silence() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let mut config = eager();
    config.heartbeat = Some(Duration::from_millis(300));
    let client = Client::connect(&proxy.socket, config).await.unwrap();
    assert_eq!(client.hello().heartbeat_ms, 300);
    let (input, mut events) = attached_ready(&client, &raw_script("w", "exec cat")).await;
    proxy.freeze();
    let sending = tokio::spawn({
        let input = input.clone();
        async move { input.send(b"into the void").await }
    });
    while !matches!(within(events.next()).await, Ok(Some(Event::Disconnected { .. }))) {}
    within(sending).await.unwrap().unwrap();
    assert_eq!(read_until(&mut events, b"void").await, b"into the void");
}

#[tokio::test]
async fn a_size_told_while_the_line_is_lost_counts_when_it_is_back() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let client = connect(&proxy).await;
    let (input, mut events) = joined(&server, &client, &raw_script("w", "exec cat")).await;
    read_until(&mut events, b"ready\n").await;
    for cols in 100..130 {
        proxy.cut();
        // At whatever moment of coming back this is.
        for _ in 0..cols % 7 {
            tokio::task::yield_now().await;
        }
        input.resize(WindowSize::cells(cols, 30));
        within(input.send(b"x")).await.unwrap();
    }
    let maker = server.client().await;
    let size = async {
        while maker.status(Some("w")).await.unwrap()[0].size != WindowSize::cells(129, 30) {}
    };
    within(size).await;
}

#[tokio::test]
async fn a_backlog_may_be_used_up_while_the_line_comes_back() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let client = connect(&proxy).await;
    let script = raw_script("w", "head -c 3000000 /dev/zero; exec cat");
    let (_input, mut events) = joined(&server, &client, &script).await;
    let (mut seen, mut cut_at) = (0, 100_000);
    while seen < 3_000_006 {
        match within(events.next()).await.unwrap() {
            Some(Event::Output { offset, bytes, .. }) => {
                assert_eq!(offset, seen);
                seen += bytes.len() as u64;
            }
            Some(Event::Adjusted { .. }) => panic!("what it used up was not told"),
            _ => {}
        }
        if seen >= cut_at {
            proxy.cut();
            cut_at += 300_000;
        }
    }
}

#[tokio::test]
async fn who_leaves_has_left_also_if_the_line_is_lost_with_the_word() {
    let server = TestServer::start();
    for round in 0..20 {
        let name = format!("cut{round}");
        let proxy = CuttingProxy::before(&server.socket, &name, Cutting::never());
        let client = connect(&proxy).await;
        let (input, mut events) = attached_ready(&client, &raw_script(&name, "exec cat")).await;
        input.detach();
        proxy.cut();
        while !matches!(within(events.next()).await.unwrap(), Some(Event::Detached { .. })) {}
        assert_eq!(within(events.next()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn of_two_attachments_to_one_session_the_first_types() {
    let server = TestServer::start();
    let client = server.client().await;
    let (first, mut events) = attached_ready(&client, &raw_script("w", "exec cat")).await;
    let (second, _events) = client.attach("w", &AttachOptions::default()).await.unwrap();
    let refused = within(second.send(b"never")).await;
    assert!(matches!(
        refused,
        Err(SendError::Refused { info, applied: 0 }) if info.code == ErrorCode::AttachmentInUse
    ));
    within(first.send(b"typed")).await.unwrap();
    assert_eq!(read_until(&mut events, b"typed").await, b"typed");
}

#[tokio::test]
async fn clients_come_back_to_a_socket_that_was_swept_away_and_made_again() {
    let server = TestServer::start();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    let client = connect(&proxy).await;
    let (input, mut events) = attached_ready(&client, &raw_script("w", "exec cat")).await;
    std::fs::remove_file(&server.socket).unwrap();
    proxy.cut();
    within(input.send(b"swept")).await.unwrap();
    assert_eq!(read_until(&mut events, b"swept").await, b"swept");
    assert!(server.socket.exists());
}
