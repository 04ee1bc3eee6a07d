//! A real engine, real sockets, real children: the main job, scenario by scenario.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::time::Duration;

use fixture::{
    TestServer, attached, attached_ready, command, raw_script, read_to_exit, read_until, within,
};
use tautline::{
    AttachOptions, Client, ClientConfig, ConnectFailure, Event, Events, RecvError, RequestError,
    SendError, protocol::*, state::Exit, transport::ConnectError,
};

/// So many bytes of output, whatever else happens.
async fn read_bytes(events: &mut Events, count: usize) -> Vec<u8> {
    let mut seen = Vec::new();
    while seen.len() < count {
        if let Some(Event::Output { bytes, .. }) = within(events.next()).await.unwrap() {
            seen.extend_from_slice(bytes);
        }
    }
    seen
}

/// Bytes of which every one is a function of its position.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn code(value: i32) -> Exit {
    Exit { kind: ExitKind::Code, value }
}

fn refusal<T>(outcome: Result<T, RequestError>) -> ErrorCode {
    match outcome {
        Err(RequestError::Refused(info)) => {
            assert!(!info.text.is_empty(), "an error says what is wrong");
            info.code
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

#[tokio::test]
async fn one_client_starts_a_shell_types_and_learns_how_it_ended() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached(&client, &command("one", &["sh"])).await;
    within(input.send(b"echo $((6 * 7)); exit 7\n")).await.unwrap();
    let (output, exit) = read_to_exit(&mut events).await;
    assert!(String::from_utf8_lossy(&output).contains("42"));
    assert_eq!(exit, code(7));
    let typed = within(input.send(b"more")).await;
    assert!(matches!(typed, Err(SendError::Ended { applied: 0, undelivered: 4 })), "{typed:?}");
}

#[tokio::test]
async fn a_resize_reaches_the_child() {
    let server = TestServer::start();
    let client = server.client().await;
    let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.01; done";
    let (input, mut events) = attached(&client, &command("size", &["sh", "-c", script])).await;
    read_until(&mut events, b"ready").await;
    input.resize(WindowSize { cols: 132, rows: 50, x_pixels: 1320, y_pixels: 1000 });
    read_until(&mut events, b"50 132").await;
    let status = within(client.status(Some("size"))).await.unwrap();
    assert_eq!(status[0].size.x_pixels, 1320);
}

#[tokio::test]
async fn the_size_is_set_before_the_child_runs() {
    let server = TestServer::start();
    let client = server.client().await;
    let request = tautline::SpawnRequest {
        size: WindowSize::cells(91, 17),
        ..command("size", &["stty", "size"])
    };
    let (_input, mut events) = attached(&client, &request).await;
    let (output, exit) = read_to_exit(&mut events).await;
    assert_eq!((output.as_slice(), exit), (&b"17 91\r\n"[..], code(0)));
}

#[tokio::test]
async fn all_256_byte_values_pass_both_ways() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("echo", "exec cat")).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    within(input.send(&every_byte)).await.unwrap();
    assert_eq!(read_bytes(&mut events, 256).await, every_byte);
}

#[tokio::test]
async fn a_thousand_messages_arrive_in_order() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("echo", "exec cat")).await;
    let mut expected = Vec::new();
    for number in 0..1000 {
        let message = format!("<{number}>");
        expected.extend_from_slice(message.as_bytes());
        assert_eq!(input.try_send(message.as_bytes()).unwrap(), message.len());
    }
    let len = expected.len();
    assert_eq!(read_bytes(&mut events, len).await, expected);
}

#[tokio::test]
async fn five_clients_at_once_have_five_sessions() {
    let server = TestServer::start();
    let mut tasks = Vec::new();
    for number in 0..5 {
        let client = server.client().await;
        tasks.push(tokio::spawn(async move {
            let name = format!("s{number}");
            let request = raw_script(&name, "exec cat");
            let (input, mut events) = attached_ready(&client, &request).await;
            let text = pattern(20_000 + number);
            let (sent, seen) =
                tokio::join!(within(input.send(&text)), read_bytes(&mut events, text.len()));
            sent.unwrap();
            assert!(seen == text, "client {number} got its own bytes");
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn several_clients_see_one_session_and_type_into_it() {
    let server = TestServer::start();
    let (alice, bob) = (server.client().await, server.client().await);
    let (input, mut seen_by_alice) = attached_ready(&alice, &raw_script("pair", "exec cat")).await;
    let (second, mut seen_by_bob) =
        within(bob.attach("pair", &AttachOptions::default())).await.unwrap();
    within(input.send(b"from alice;")).await.unwrap();
    within(second.send(b"from bob;")).await.unwrap();
    let text = b"from alice;from bob;";
    assert_eq!(read_bytes(&mut seen_by_alice, text.len()).await, text);
    assert_eq!(read_bytes(&mut seen_by_bob, text.len()).await, text);
}

#[tokio::test]
async fn a_client_leaves_in_order_and_its_session_lives_on() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("stay", "exec cat")).await;
    within(input.send(b"before")).await.unwrap();
    read_bytes(&mut events, 6).await;
    input.detach();
    while let Some(event) = within(events.next()).await.unwrap() {
        if let Event::Detached { reason } = event {
            assert_eq!(reason, DetachReason::Asked);
            break;
        }
    }
    within(client.clone().close()).await;
    assert_eq!(within(client.sessions()).await, Err(RequestError::Closed(CloseReason::Requested)));

    let again = server.client().await;
    let mut options = AttachOptions::default();
    (options.view, options.output_from) = (View::Offset, 0);
    let (input, mut events) = within(again.attach("stay", &options)).await.unwrap();
    within(input.send(b" and after")).await.unwrap();
    assert_eq!(read_bytes(&mut events, 22).await, b"ready\nbefore and after");
}

#[tokio::test]
async fn a_ping_comes_back_with_its_payload_and_the_engines_times() {
    let server = TestServer::start();
    let client = server.client().await;
    for size in [0, 1, 64, 8_128] {
        let times = within(client.ping(&vec![7; size])).await.unwrap();
        assert!(times.sent_ns <= times.received_ns && times.received_ns <= times.replied_ns);
    }
}

#[tokio::test]
async fn four_kilobytes_of_input_arrive_whole() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("echo", "exec cat")).await;
    let text = pattern(4096);
    within(input.send(&text)).await.unwrap();
    assert!(read_bytes(&mut events, 4096).await == text);
}

#[tokio::test]
async fn of_twenty_rapid_resizes_the_last_one_stays() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached(&client, &command("storm", &["sh"])).await;
    for cols in 60..80 {
        input.resize(WindowSize::cells(cols, 40));
    }
    within(input.send(b"stty size; exit\n")).await.unwrap();
    let (output, _) = read_to_exit(&mut events).await;
    let output = String::from_utf8_lossy(&output);
    assert!(output.contains("40 79"), "{output}");
}

#[tokio::test]
async fn input_keeps_its_place_among_resizes() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached(&client, &command("order", &["sh"])).await;
    within(input.send(b"stty size\n")).await.unwrap();
    read_until(&mut events, b"24 80").await;
    input.resize(WindowSize::cells(100, 30));
    within(input.send(b"stty size\n")).await.unwrap();
    read_until(&mut events, b"30 100").await;
}

#[tokio::test]
async fn a_large_environment_and_argument_list_travel_in_parts() {
    let server = TestServer::start();
    let client = server.client().await;
    let mut request = command("big", &["sh", "-c", "printf %s \"$BIG\" | wc -c; echo $#", "sh"]);
    request.env.push(("BIG".into(), "x".repeat(100_000).into()));
    request.argv.extend((0..1000).map(|number| format!("argument-{number}").into()));
    let (_input, mut events) = attached(&client, &request).await;
    let (output, exit) = read_to_exit(&mut events).await;
    let numbers: Vec<_> = std::str::from_utf8(&output).unwrap().split_whitespace().collect();
    assert_eq!((numbers.as_slice(), exit), (&["100000", "1000"][..], code(0)));
}

#[tokio::test]
async fn an_eight_megabyte_paste_into_an_echoing_child_completes() {
    let server = TestServer::with(|config| config.input_window = 8144);
    let client = server.client().await;
    let request = raw_script("paste", "exec cat");
    let mut options = AttachOptions::default();
    options.window = 64 * 1024;
    let (_, input, mut events) = within(client.spawn_attached(&request, &options)).await.unwrap();
    read_until(&mut events, b"ready\n").await;
    let text = pattern(8 * 1024 * 1024);
    let typed = text.clone();
    let sender = tokio::spawn(async move { within(input.send(&typed)).await });
    let seen = read_bytes(&mut events, text.len()).await;
    assert!(seen == text, "every byte came back, in order");
    sender.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_megabyte_for_a_child_that_does_not_read_stalls_nobody_else() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, _events) = attached_ready(&client, &raw_script("sleeper", "sleep 600")).await;
    let text = pattern(1024 * 1024);
    let mut sent = 0;
    // What the window takes is taken at once, and then no more.
    while let Ok(count @ 1..) = input.try_send(&text[sent..]) {
        sent += count;
    }
    assert_eq!(sent, 64 * 1024 + sent % (64 * 1024), "the window and what was written meanwhile");
    let (other, mut events) = attached_ready(&client, &raw_script("other", "exec cat")).await;
    within(other.send(b"alive")).await.unwrap();
    assert_eq!(read_bytes(&mut events, 5).await, b"alive");
    within(client.ping(b"")).await.unwrap();
    within(client.stop("sleeper", 0, Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn two_hundred_children_that_print_and_exit_at_once_lose_no_byte() {
    let server = TestServer::start();
    let client = server.client().await;
    let script = "i=0; while [ $i -lt 64 ]; do printf %01024d $i; i=$((i+1)); done";
    for number in 0..200 {
        let mut request = command(&format!("run{number}"), &["sh", "-c", script]);
        request.flags = SpawnFlags::EPHEMERAL | SpawnFlags::RAW;
        let (_input, mut events) = attached(&client, &request).await;
        let (output, exit) = read_to_exit(&mut events).await;
        assert_eq!((output.len(), exit), (64 * 1024, code(0)), "run {number}");
        assert!(matches!(
            within(events.next()).await.unwrap(),
            Some(Event::Detached { reason: DetachReason::Ended })
        ));
    }
    assert_eq!(within(client.sessions()).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn every_exit_status_and_signal_is_told_exactly() {
    let server = TestServer::start();
    let client = server.client().await;
    for value in [0, 1, 2, 126, 127, 128, 255] {
        let request = command(&format!("c{value}"), &["sh", "-c", &format!("exit {value}")]);
        let (_input, mut events) = attached(&client, &request).await;
        assert_eq!(read_to_exit(&mut events).await.1, code(value));
    }
    for value in [1, 9, 15] {
        let script = format!("kill -{value} $$");
        let request = command(&format!("k{value}"), &["sh", "-c", &script]);
        let (_input, mut events) = attached(&client, &request).await;
        let exit = Exit { kind: ExitKind::Signal, value };
        assert_eq!(read_to_exit(&mut events).await.1, exit);
    }
}

#[tokio::test]
async fn a_child_that_cannot_be_started_is_named_and_leaves_nothing() {
    let server = TestServer::start();
    let client = server.client().await;
    let script = server.directory.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let script = script.to_str().unwrap();
    let cases = [
        ("no-such-program-anywhere", ErrorCode::ProgramNotFound),
        ("/no/such/program", ErrorCode::ProgramNotFound),
        ("/", ErrorCode::ProgramNotExecutable),
        ("/etc/passwd", ErrorCode::ProgramNotExecutable),
        (script, ErrorCode::ProgramNotExecutable),
    ];
    for (program, expected) in cases {
        let outcome = within(client.spawn(&command("bad", &[program]))).await;
        assert_eq!(refusal(outcome), expected, "{program}");
    }
    // A directory in PATH that may not be looked into has nothing to do with it.
    let closed = server.directory.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let mut request = command("bad", &["no-such-program-anywhere"]);
    request.env.push(("PATH".into(), format!("{}:/bin", closed.display()).into()));
    assert_eq!(refusal(within(client.spawn(&request)).await), ErrorCode::ProgramNotFound);
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut request = command("bad", &["true"]);
    request.cwd = "/no/such/directory".into();
    assert_eq!(refusal(within(client.spawn(&request)).await), ErrorCode::BadDirectory);
    assert_eq!(within(client.sessions()).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name_and_the_connection_stays() {
    let server = TestServer::start();
    let client = server.client().await;
    within(client.spawn(&command("here", &["cat"]))).await.unwrap();
    let taken = within(client.spawn(&command("here", &["cat"]))).await;
    assert_eq!(refusal(taken), ErrorCode::NameTaken);
    for name in ["", "-x", "a b", "\u{1b}[31m", &"x".repeat(65)] {
        let outcome = within(client.attach(name, &AttachOptions::default())).await;
        assert_eq!(refusal(outcome.map(|_| ())), ErrorCode::InvalidName, "{name:?}");
    }
    let zero = within(client.resize("here", WindowSize::cells(0, 9), SizePolicy::Fixed)).await;
    assert_eq!(refusal(zero), ErrorCode::InvalidSize);
    let missing = within(client.stop("gone", 0, Duration::ZERO)).await;
    assert_eq!(refusal(missing), ErrorCode::NoSuchSession);
    assert_eq!(refusal(within(client.remove("here", false)).await), ErrorCode::SessionLive);
    assert_eq!(refusal(within(client.shutdown(false)).await), ErrorCode::SessionsLive);
    let plugin = within(client.load_plugin("/etc/passwd".as_ref())).await;
    assert_eq!(refusal(plugin), ErrorCode::InvalidPath);
    within(client.ping(b"still here")).await.unwrap();
}

#[tokio::test]
async fn over_the_client_limit_a_reason_is_given_and_one_administrator_still_gets_in() {
    let server = TestServer::with(|config| config.clients_limit = 2);
    let clients = (server.client().await, server.client().await);
    let refused = Client::connect(&server.socket, ClientConfig::default()).await;
    let Err(ConnectFailure::Refused { refusal, hello }) = refused else { panic!("over the limit") };
    assert_eq!((refusal, hello.clients_limit), (Refusal::AtCapacity, 2));
    assert!(hello.retry_after_ms > 0);
    let mut config = ClientConfig::default();
    config.purpose = Purpose::Admin;
    let admin = Client::connect(&server.socket, config.clone()).await.unwrap();
    assert_eq!(within(admin.sessions()).await.unwrap(), [""; 0]);
    let second = Client::connect(&server.socket, config).await;
    assert!(matches!(second, Err(ConnectFailure::Refused { .. })), "one at a time");
    within(clients.0.close()).await;
    // The slot is free as soon as the engine has seen the end of the other connection.
    within(async {
        while Client::connect(&server.socket, ClientConfig::default()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn shutting_down_tells_clients_hangs_up_children_and_removes_the_socket() {
    let server = TestServer::start();
    let mut config = ClientConfig::default();
    config.reconnect = None;
    let client = Client::connect(&server.socket, config).await.unwrap();
    let (_input, mut events) = attached_ready(&client, &raw_script("shell", "sleep 600")).await;
    let begun = std::time::Instant::now();
    let socket = server.socket.clone();
    let _directory = server.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    loop {
        match within(events.next()).await {
            Ok(Some(_)) => {}
            end => {
                assert_eq!(end, Err(RecvError::Closed(CloseReason::ShuttingDown)));
                break;
            }
        }
    }
    assert!(!socket.exists());
    let gone = Client::connect(&socket, ClientConfig::default()).await;
    assert!(matches!(gone, Err(ConnectFailure::Connect(ConnectError::NotRunning { .. }))));
}

/// What a program prints that runs directly on a PTY, with no shell in between.
async fn printed_by(client: &Client, name: &str, argv: &[&str]) -> String {
    let mut request = command(name, argv);
    request.flags = SpawnFlags::RAW;
    let (_input, mut events) = attached(client, &request).await;
    String::from_utf8(read_to_exit(&mut events).await.0).unwrap()
}

#[tokio::test]
async fn a_child_inherits_only_its_terminal_and_default_signals() {
    let server = TestServer::start();
    let client = server.client().await;
    let descriptors = printed_by(&client, "fds", &["ls", "/proc/self/fd"]).await;
    // Descriptor 3 is that of `ls` itself, reading the directory.
    let descriptors: Vec<_> = descriptors.split_whitespace().collect();
    assert_eq!(descriptors, ["0", "1", "2", "3"]);
    let status = printed_by(&client, "status", &["cat", "/proc/self/status"]).await;
    for line in ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"] {
        assert!(status.contains(line), "{status}");
    }
}

#[tokio::test]
async fn a_childs_environment_is_the_clients_and_not_the_engines() {
    let server = TestServer::start();
    let client = server.client().await;
    let environment = printed_by(&client, "clean", &["env"]).await;
    let mut names: Vec<_> = environment.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "PATH", "TAUT_SESSION", "TAUT_SOCKET", "TERM"], "{environment}");
    assert!(environment.contains("TAUT_SESSION=clean"));
}

#[tokio::test]
async fn a_child_leads_a_session_of_its_own_on_its_terminal() {
    let server = TestServer::start();
    let client = server.client().await;
    let stat = printed_by(&client, "leader", &["cat", "/proc/self/stat"]).await;
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let [_state, _parent, group, session, terminal, foreground, ..] = fields.as_slice() else {
        panic!("{stat}")
    };
    let pid = stat.split(' ').next().unwrap();
    assert_eq!([*group, *session, *foreground], [pid; 3]);
    assert_ne!(*terminal, "0");
}

#[tokio::test]
async fn an_in_process_client_needs_no_socket() {
    let server = tautline::Server::in_process(tautline::ServerConfig::default()).unwrap();
    let connector = server.connector();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async { stopped.await.unwrap_or(()) }));
    let client = Client::connect_in_process(&connector, ClientConfig::default()).await.unwrap();
    let (input, mut events) = attached(&client, &command("inside", &["sh"])).await;
    within(input.send(b"exit 3\n")).await.unwrap();
    assert_eq!(read_to_exit(&mut events).await.1, code(3));
    drop(stop);
    within(serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_child_left_behind_does_not_delay_the_news_of_the_exit() {
    let server = TestServer::start();
    let client = server.client().await;
    let request = command("orphan", &["sh", "-c", "sleep 600 & echo $!; exit 5"]);
    let (_input, mut events) = attached(&client, &request).await;
    let (output, exit) = read_to_exit(&mut events).await;
    assert_eq!(exit, code(5));
    let pid = String::from_utf8_lossy(&output).trim().parse::<i32>().unwrap();
    // It was hung up with its terminal.
    let status = format!("/proc/{pid}/stat");
    within(async {
        while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn stop_kills_what_ignores_the_hang_up() {
    let server = TestServer::start();
    let client = server.client().await;
    let script = "trap '' HUP; echo deaf; while :; do sleep 1; done";
    let (_input, mut events) = attached(&client, &command("deaf", &["sh", "-c", script])).await;
    read_until(&mut events, b"deaf").await;
    within(client.stop("deaf", 0, Duration::from_millis(50))).await.unwrap();
    let exit = read_to_exit(&mut events).await.1;
    assert_eq!(exit, Exit { kind: ExitKind::Signal, value: 9 });
    let status = within(client.status(Some("deaf"))).await.unwrap();
    assert_eq!(status[0].exit, Some(exit));
    assert_eq!(status[0].state, SessionState::Exited);
}

#[tokio::test]
async fn input_that_made_the_child_end_was_written_and_is_known_to_be() {
    let server = TestServer::start();
    let client = server.client().await;
    for round in 0..50 {
        let name = format!("s{round}");
        let request = raw_script(&name, "head -c 3 >/dev/null; exit 0");
        let (input, _events) = attached_ready(&client, &request).await;
        assert_eq!(within(input.send(b"end")).await, Ok(()), "round {round}");
    }
}
