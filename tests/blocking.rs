//! The client without async, on real engines and real shells.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use fixture::{
    TestServer, command,
    cutting_proxy::{Cutting, CuttingProxy},
    raw_script, within,
};
use tautline::{
    AttachOptions, ClientConfig, Command, ConnectFailure, Event, LogRange, RecvError, RequestError,
    SendError, Server, ServerConfig, SpawnRequest,
    blocking::{Client, Delivered, Events, Input},
    limits::DELIVERED_EVENTS_MAX,
    protocol::*,
    state::Exit,
};
use tokio::runtime::{Builder, Runtime};

/// An engine, and the runtime that awaits it.
struct Engine {
    server: Option<TestServer>,
    runtime: Runtime,
}

impl Engine {
    fn start() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let guard = runtime.enter();
        let server = Some(TestServer::with(change));
        drop(guard);
        Self { server, runtime }
    }

    fn client(&self) -> Client {
        let socket = &self.server.as_ref().unwrap().socket;
        Client::connect(socket, ClientConfig::default()).unwrap()
    }

    fn directory(&self) -> &std::path::Path {
        self.server.as_ref().unwrap().directory.path()
    }

    fn stop(&mut self) {
        let server = self.server.take().unwrap();
        self.runtime.block_on(server.stop());
    }
}

const LONG: Duration = Duration::from_secs(60);

/// A loop's event queue: the waker posts to it.
fn queue() -> (impl Fn() + Send + Sync + 'static, Receiver<()>) {
    let (post, queue) = bounded(1);
    let waker = move || {
        post.try_send(()).ok();
    };
    (waker, queue)
}

fn attached(client: &Client, request: &SpawnRequest) -> (Input, Events) {
    let options = AttachOptions::default();
    let (_, input, events) = client.spawn_attached(request, &options, || {}).unwrap();
    (input, events)
}

fn next(events: &Events) -> Result<Delivered, RecvError> {
    events.recv_timeout(LONG).expect("an item in 60 s")
}

/// Output up to and with `end`.
fn read_until(events: &Events, end: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    while !seen.windows(end.len()).any(|window| window == end) {
        if let Event::Output { bytes, .. } = next(events).unwrap().event() {
            seen.extend_from_slice(bytes);
        }
    }
    seen
}

/// All output up to the child's end, gap-free, and how it ended.
fn read_to_exit(events: &Events) -> (Vec<u8>, Exit) {
    let (mut seen, mut reached) = (Vec::new(), None);
    loop {
        match next(events).unwrap().event() {
            Event::Output { offset, bytes, .. } => {
                assert_eq!(offset, reached.unwrap_or(offset), "output is gap-free");
                reached = Some(offset + bytes.len() as u64);
                seen.extend_from_slice(bytes);
            }
            Event::Exited { exit, .. } => return (seen, exit),
            Event::Gap { from, to } => panic!("{} bytes lost", to - from),
            _ => {}
        }
    }
}

/// Looks until `is_so`, without a pause that could be too short.
fn look_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what} in 60 s");
        thread::yield_now();
    }
}

/// What `seq 1 count` prints.
fn numbers(count: u32) -> String {
    (1..=count).map(|number| format!("{number}\n")).collect()
}

#[test]
fn a_shell_is_typed_into_and_its_end_is_told() {
    let engine = Engine::start();
    let client = engine.client();
    let (input, events) = attached(&client, &command("one", &["sh"]));
    input.send(b"echo $((6 * 7)); exit 7\n").unwrap();
    let (output, exit) = read_to_exit(&events);
    assert!(String::from_utf8_lossy(&output).contains("42"));
    assert_eq!(exit, Exit { kind: ExitKind::Code, value: 7 });
    let ended = SendError::Ended { applied: 0, undelivered: 4 };
    assert_eq!(input.try_send(b"more"), Err(ended.clone()));
    assert_eq!(input.send(b"more"), Err(ended));
}

#[test]
fn every_request_has_its_answer() {
    let engine = Engine::start();
    let client = engine.client();
    assert_eq!(client.hello().status, 0);
    let script = "trap 'echo signalled' USR1; echo ready; while :; do sleep 0.01; done";
    let spawned = client.spawn(&command("a", &["sh", "-c", script])).unwrap();
    assert_eq!((spawned.name.as_str(), spawned.existed), ("a", false));
    client.rename("a", "b").unwrap();
    assert_eq!(client.sessions().unwrap(), ["b"]);
    client.resize("b", WindowSize::cells(91, 17), SizePolicy::Fixed).unwrap();
    assert_eq!(client.status(Some("b")).unwrap()[0].size, WindowSize::cells(91, 17));
    let mut options = AttachOptions::default();
    (options.view, options.output_from) = (View::Offset, 0);
    let (_input, events) = client.attach("b", &options, || {}).unwrap();
    assert_eq!((events.attached().output_offset, events.consumed()), (0, 0));
    read_until(&events, b"ready\r\n");
    client.signal("b", 10, SignalTarget::Child).unwrap();
    read_until(&events, b"signalled\r\n");
    assert_eq!(
        client.logs("b", LogRange::From(0)).unwrap().into_bytes(),
        b"ready\r\nsignalled\r\n"
    );
    assert!(client.ping(b"payload").unwrap().round_trip > Duration::ZERO);
    assert_eq!(client.kick("b", false).unwrap(), 1);
    client.stop("b", 9, Duration::ZERO).unwrap();
    client.remove("b", true).unwrap();
    let missing = client.status(Some("b"));
    assert!(matches!(missing, Err(RequestError::Refused(error))
        if error.code == ErrorCode::NoSuchSession));
    client.clone().close();
    assert_eq!(client.sessions(), Err(RequestError::Closed(CloseReason::Requested)));
}

#[test]
fn an_engine_in_the_same_process_needs_no_socket() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut server = Server::in_process(ServerConfig::default()).unwrap();
    server.open_session("echo", Command::new("cat"), WindowSize::cells(80, 24)).unwrap();
    let connector = server.connector();
    let serving = runtime.spawn(server.serve(std::future::pending()));
    let client = Client::connect_in_process(&connector, ClientConfig::default()).unwrap();
    let (input, events) = client.attach("echo", &AttachOptions::default(), || {}).unwrap();
    input.send(b"hello\r").unwrap();
    assert_eq!(read_until(&events, b"hello\r\nhello\r\n").len(), 14);
    client.shutdown(true).unwrap();
    runtime.block_on(within(serving)).unwrap().unwrap();
}

#[test]
fn without_an_engine_there_is_an_error_and_no_client() {
    let directory = fixture::TestDir::new();
    let path = directory.path().join("nobody.sock");
    let refused = Client::connect(path, ClientConfig::default());
    assert!(matches!(refused, Err(ConnectFailure::Connect(_))), "{refused:?}");
}

#[test]
fn a_burst_calls_the_waker_once_until_the_loop_has_drained() {
    let engine = Engine::start();
    let client = engine.client();
    let wakes = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&wakes);
    let waker = move || {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    client.spawn(&command("quiet", &["sleep", "600"])).unwrap();
    let (_input, events) = client.attach("quiet", &AttachOptions::default(), waker).unwrap();
    for round in 1..=3 {
        for cols in 1..=50 {
            let size = WindowSize::cells(cols, 10 + round);
            client.resize("quiet", size, SizePolicy::Fixed).unwrap();
        }
        look_until("a burst", || events.len() >= 20);
        // The answer passes through the thread that would call the waker once more.
        client.ping(b"").unwrap();
        assert_eq!(wakes.load(Ordering::SeqCst), 1, "after {} events", events.len());
        let is_last = |item: Result<Delivered, _>| {
            let last = WindowSize::cells(50, 10 + round);
            matches!(item.unwrap().event(), Event::Resized { size, .. } if size == last)
        };
        while !is_last(next(&events)) {}
        assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
        client.ping(b"").unwrap();
        wakes.store(0, Ordering::SeqCst);
    }
}

#[test]
fn a_loop_that_sleeps_until_it_is_woken_misses_nothing() {
    let engine = Engine::with(|config| config.input_window = 8144);
    let client = engine.client();
    let (waker, woken) = queue();
    let request = raw_script("paste", "exec cat");
    let (_, input, events) =
        client.spawn_attached(&request, &AttachOptions::default(), waker).unwrap();
    let text: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let (mut sent, mut seen) = (0, Vec::new());
    while seen.len() < text.len() + 6 {
        woken.recv_timeout(LONG).expect("a wake while something is owed");
        sent += input.try_send(&text[sent..]).unwrap();
        for delivered in events.try_iter() {
            if let Event::Output { bytes, .. } = delivered.unwrap().event() {
                seen.extend_from_slice(bytes);
            }
        }
    }
    assert_eq!(&seen[..6], b"ready\n");
    assert!(seen[6..] == text, "every byte came back, in order");
}

#[test]
fn input_never_blocks_and_the_waker_tells_of_room() {
    let engine = Engine::with(|config| config.input_window = 8144);
    let client = engine.client();
    let gate = engine.directory().join("gate");
    let text = vec![b'x'; 1024 * 1024];
    let script = format!(
        "mkfifo {gate}; echo made; cat {gate}; head -c {size} | wc -c",
        gate = gate.display(),
        size = text.len()
    );
    let (waker, woken) = queue();
    let request = raw_script("gated", &script);
    let (_, input, events) =
        client.spawn_attached(&request, &AttachOptions::default(), waker).unwrap();
    read_until(&events, b"made\n");
    let mut sent = 0;
    while let Ok(count @ 1..) = input.try_send(&text[sent..]) {
        sent += count;
    }
    assert!((8144..text.len() / 2).contains(&sent), "{sent} of a window and what the PTY holds");
    std::fs::write(&gate, b"go\n").unwrap();
    while sent < text.len() {
        woken.recv_timeout(LONG).expect("a wake when there is room");
        sent += input.try_send(&text[sent..]).unwrap();
    }
    let (output, _) = read_to_exit(&events);
    assert_eq!(output, b"go\n1048576\n");
}

#[test]
fn the_waker_tells_also_that_input_will_never_be_taken() {
    let engine = Engine::start();
    let client = engine.client();
    let (waker, woken) = queue();
    let (_, input, _events) = client
        .spawn_attached(&raw_script("deaf", "sleep 600"), &AttachOptions::default(), waker)
        .unwrap();
    let text = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    while sent < text.len() && input.try_send(&text[sent..]).map(|count| sent += count).is_ok() {
        if sent > 0 && client.sessions().unwrap() == ["deaf"] {
            client.stop("deaf", 9, Duration::ZERO).unwrap();
        }
        woken.recv_timeout(LONG).expect("a wake for room, for events or for the end");
    }
    let ended = input.try_send(&text[sent..]);
    assert!(matches!(ended, Err(SendError::Ended { applied: 0, .. })), "{ended:?}");
}

#[test]
fn a_loop_that_does_not_drain_holds_the_child_and_loses_nothing() {
    let engine = Engine::start();
    let client = engine.client();
    let mut options = AttachOptions::default();
    (options.window, options.pause_limit) = (16 * 1024, None);
    let request = raw_script("seq", "seq 1 100000");
    let (_, _input, events) = client.spawn_attached(&request, &options, || {}).unwrap();
    let (mut kept, mut kept_bytes) = (Vec::new(), 0);
    let mut keep = |item: Result<Delivered, RecvError>| {
        let delivered = item.unwrap();
        if let Event::Output { bytes, .. } = delivered.event() {
            kept_bytes += bytes.len();
        }
        kept.push(delivered);
        kept_bytes
    };
    while keep(next(&events)) < 12 * 1024 {}
    for _ in 0..100 {
        client.ping(b"").unwrap();
        let bytes = events.try_iter().map(&mut keep).last().unwrap_or(0);
        assert!(bytes <= 16 * 1024, "{bytes} bytes are more than the window");
    }
    let mut seen = Vec::new();
    for delivered in &kept {
        if let Event::Output { bytes, .. } = delivered.event() {
            seen.extend_from_slice(bytes);
        }
    }
    drop(kept);
    let (rest, exit) = read_to_exit(&events);
    seen.extend(rest);
    assert_eq!(exit, Exit { kind: ExitKind::Code, value: 0 });
    assert!(seen == format!("ready\n{}", numbers(100_000)).as_bytes(), "{} bytes", seen.len());
    assert_eq!(events.consumed(), seen.len() as u64);
}

#[test]
fn what_is_dropped_out_of_order_counts_only_up_to_what_is_kept() {
    let engine = Engine::start();
    let client = engine.client();
    let (input, events) = attached(&client, &raw_script("echo", "exec cat"));
    read_until(&events, b"ready\n");
    let echoed = |text: &[u8]| {
        input.send(text).unwrap();
        loop {
            let delivered = next(&events).unwrap();
            if let Event::Output { .. } = delivered.event() {
                return delivered;
            }
        }
    };
    let (first, second, third) = (echoed(b"1"), echoed(b"22"), echoed(b"333"));
    let begin = events.consumed();
    drop(second);
    assert_eq!(events.consumed(), begin, "the first is kept");
    drop(first);
    assert_eq!(events.consumed(), begin + 3);
    drop(third);
    assert_eq!(events.consumed(), begin + 6);
}

#[test]
fn a_channel_full_of_resizes_goes_on_once_it_is_drained() {
    let engine = Engine::start();
    let client = engine.client();
    let (waker, woken) = queue();
    client.spawn(&command("storm", &["sleep", "600"])).unwrap();
    let (_input, events) = client.attach("storm", &AttachOptions::default(), waker).unwrap();
    let mut cols = 0;
    let mut resize = || {
        cols += 1;
        client.resize("storm", WindowSize::cells(cols, 24), SizePolicy::Fixed).unwrap();
        cols
    };
    look_until("a full channel", || {
        resize();
        events.len() == DELIVERED_EVENTS_MAX
    });
    let last = (0..50).map(|_| resize()).last().unwrap();
    assert_eq!(events.len(), DELIVERED_EVENTS_MAX);
    let (mut seen, mut count) = (0, 0);
    while seen < last {
        woken.recv_timeout(LONG).expect("a wake while something is owed");
        for delivered in events.try_iter() {
            if let Event::Resized { size, .. } = delivered.unwrap().event() {
                assert!(size.cols > seen, "{} after {seen}", size.cols);
                (seen, count) = (size.cols, count + 1);
            }
        }
    }
    assert!(count > DELIVERED_EVENTS_MAX, "{count} events");
}

#[test]
fn events_that_are_kept_hold_up_those_after_them() {
    let engine = Engine::start();
    let client = engine.client();
    client.spawn(&command("kept", &["sleep", "600"])).unwrap();
    let (_input, events) = client.attach("kept", &AttachOptions::default(), || {}).unwrap();
    let mut kept = Vec::new();
    let mut cols = 0;
    look_until("all that may be handed out", || {
        cols += 1;
        client.resize("kept", WindowSize::cells(cols, 24), SizePolicy::Fixed).unwrap();
        kept.extend(events.try_iter().map(Result::unwrap));
        kept.len() == DELIVERED_EVENTS_MAX
    });
    client.resize("kept", WindowSize::cells(1, 1), SizePolicy::Fixed).unwrap();
    kept.swap_remove(1);
    client.ping(b"").unwrap();
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty, "the first is kept");
    drop(kept);
    next(&events).unwrap();
}

#[test]
fn the_end_of_the_session_is_the_last_event() {
    let engine = Engine::start();
    let client = engine.client();
    let mut request = command("short", &["true"]);
    request.flags = SpawnFlags::EPHEMERAL;
    let (_input, events) = attached(&client, &request);
    read_to_exit(&events);
    let last = next(&events).unwrap();
    assert_eq!(last.event(), Event::Detached { reason: DetachReason::Ended });
    assert_eq!(events.recv_timeout(LONG).unwrap_err(), RecvTimeoutError::Disconnected);
}

#[test]
fn the_end_of_the_engine_is_an_error_that_says_so() {
    let mut engine = Engine::start();
    let mut config = ClientConfig::default();
    config.reconnect = None;
    let client = Client::connect(&engine.server.as_ref().unwrap().socket, config).unwrap();
    let (input, events) = attached(&client, &raw_script("stay", "exec cat"));
    read_until(&events, b"ready\n");
    engine.stop();
    let error = loop {
        if let Err(error) = next(&events) {
            break error;
        }
    };
    assert_eq!(error, RecvError::Closed(CloseReason::ShuttingDown));
    assert_eq!(events.recv_timeout(LONG).unwrap_err(), RecvTimeoutError::Disconnected);
    assert!(matches!(input.send(b"x"), Err(SendError::Lost { .. } | SendError::Ended { .. })));
    assert_eq!(client.sessions(), Err(RequestError::Closed(CloseReason::ShuttingDown)));
}

#[test]
fn leaving_on_purpose_ends_with_its_reason() {
    let engine = Engine::start();
    let client = engine.client();
    let (input, events) = attached(&client, &raw_script("stay", "exec cat"));
    input.detach();
    let reason = loop {
        if let Event::Detached { reason } = next(&events).unwrap().event() {
            break reason;
        }
    };
    assert_eq!(reason, DetachReason::Asked);
    assert_eq!(events.recv_timeout(LONG).unwrap_err(), RecvTimeoutError::Disconnected);
}

#[test]
fn dropping_the_events_of_a_silent_session_leaves_it() {
    let engine = Engine::start();
    let client = engine.client();
    let (input, events) = attached(&client, &command("silent", &["sleep", "600"]));
    let attachments = || client.status(Some("silent")).unwrap()[0].attachments;
    assert_eq!(attachments(), 1);
    let receiver = events.clone();
    drop(events);
    look_until("nobody attached", || attachments() == 0);
    let rest = receiver.iter().count();
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected, "after {rest}");
    let lost = SendError::Lost { reason: None, applied: 0, unknown: 0, undelivered: 1 };
    let (done, outcome) = bounded(1);
    thread::spawn(move || done.send(input.send(b"x")));
    assert_eq!(outcome.recv_timeout(LONG), Ok(Err(lost)), "it does not wait for ever");
}

#[test]
fn several_threads_type_and_every_frame_arrives_whole() {
    let engine = Engine::start();
    let client = engine.client();
    let (input, events) = attached(&client, &raw_script("many", "exec cat"));
    read_until(&events, b"ready\n");
    let typists = (0..4_u8).map(|typist| {
        let input = input.clone();
        thread::spawn(move || {
            for number in 0..500_u16 {
                let line = format!("{typist}:{number};");
                match number % 2 {
                    0 => input.send(line.as_bytes()).unwrap(),
                    _ => assert_eq!(input.try_send(line.as_bytes()), Ok(line.len())),
                }
            }
        })
    });
    let typists: Vec<_> = typists.collect();
    let mut expected = [0_u16; 4];
    let mut seen = String::new();
    while expected != [500; 4] {
        if let Event::Output { bytes, .. } = next(&events).unwrap().event() {
            seen.push_str(std::str::from_utf8(bytes).unwrap());
        }
        while let Some((line, rest)) = seen.split_once(';') {
            let (typist, number) = line.split_once(':').unwrap();
            let expected = &mut expected[typist.parse::<usize>().unwrap()];
            assert_eq!(number.parse::<u16>().unwrap(), *expected);
            *expected += 1;
            seen = rest.to_owned();
        }
    }
    typists.into_iter().for_each(|typist| typist.join().unwrap());
}

thread_local! {
    /// Dropped when its thread ends.
    static ALIVE: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
}

/// A waker that marks the thread it is called on, and what is disconnected when that ends.
fn thread_watcher() -> (impl Fn() + Send + Sync + 'static, Receiver<()>) {
    let (alive, ended) = bounded(1);
    let alive = std::sync::Mutex::new(Some(alive));
    let waker = move || {
        if let Some(alive) = alive.lock().unwrap().take() {
            alive.send(()).unwrap();
            ALIVE.set(Some(alive));
        }
    };
    (waker, ended)
}

#[test]
fn the_thread_ends_with_the_last_handle_in_any_order() {
    let engine = Engine::start();
    let watcher = engine.client();
    for order in 0..6 {
        let client = engine.client();
        let clone = client.clone();
        let (waker, ended) = thread_watcher();
        let name = format!("order{order}");
        let (_, input, events) = client
            .spawn_attached(&raw_script(&name, "exec cat"), &AttachOptions::default(), waker)
            .unwrap();
        ended.recv_timeout(LONG).expect("the waker is called");
        drop(client);
        // Whatever is left keeps the thread, until the last of the three is gone.
        let mut handles: [Option<Box<dyn Send>>; 3] =
            [Some(Box::new(clone)), Some(Box::new(input)), Some(Box::new(events))];
        let first = order % 3;
        let second = (first + 1 + order / 3) % 3;
        for at in [first, second] {
            handles[at] = None;
            assert_eq!(ended.try_recv(), Err(TryRecvError::Empty), "order {order}");
        }
        drop(handles);
        assert_eq!(ended.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
        look_until("nobody attached", || watcher.status(Some(&name)).unwrap()[0].attachments == 0);
    }
}

#[test]
fn events_that_are_kept_outlive_their_client() {
    let engine = Engine::start();
    let client = engine.client();
    let (waker, ended) = thread_watcher();
    let (_, input, events) = client
        .spawn_attached(&raw_script("late", "exec cat"), &AttachOptions::default(), waker)
        .unwrap();
    ended.recv_timeout(LONG).expect("the waker is called");
    let delivered = next(&events).unwrap();
    drop((client, input, events));
    assert_eq!(ended.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    assert!(matches!(delivered.event(), Event::Output { offset: 0, .. }));
}

#[test]
fn everything_may_be_dropped_inside_a_runtime_and_nothing_may_wait_there() {
    let engine = Engine::start();
    let client = engine.client();
    let (waker, ended) = thread_watcher();
    let (_, input, events) = client
        .spawn_attached(&raw_script("inside", "exec cat"), &AttachOptions::default(), waker)
        .unwrap();
    ended.recv_timeout(LONG).expect("the waker is called");
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(input.try_send(b"x"), Ok(1));
        let waits = catch_unwind(AssertUnwindSafe(|| client.sessions()));
        waits.expect_err("it panics instead of blocking the runtime");
        drop((client, input, events));
    });
    assert_eq!(ended.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_waker_that_waits_ends_its_attachment_instead_of_hanging() {
    let engine = Engine::start();
    let client = engine.client();
    let waiting = client.clone();
    ends_its_attachment(&client, move || drop(waiting.sessions()));
}

#[test]
fn a_loop_may_select_among_events_and_its_own_channels() {
    let engine = Engine::start();
    let client = engine.client();
    let (_input, events) = attached(&client, &raw_script("select", "exec cat"));
    let (_post, queue) = bounded::<()>(1);
    let delivered = crossbeam_channel::select! {
        recv(events) -> item => item.unwrap().unwrap(),
        recv(queue) -> _ => panic!("nobody posted"),
        default(LONG) => panic!("no event in 60 s"),
    };
    assert!(matches!(delivered.event(), Event::Output { offset: 0, .. }));
}

#[test]
fn a_waker_that_panics_ends_its_attachment_only() {
    let engine = Engine::start();
    let client = engine.client();
    let (_input, healthy) = attached(&client, &raw_script("healthy", "exec cat"));
    ends_its_attachment(&client, || panic!("sick"));
    read_until(&healthy, b"ready\n");
}

fn ends_its_attachment(client: &Client, waker: impl Fn() + Send + Sync + 'static) {
    let (alive, ended) = bounded::<()>(1);
    let waker = move || {
        let _kept_with_the_waker = &alive;
        waker();
    };
    let (_, _input, events) = client
        .spawn_attached(&raw_script("sick", "exec cat"), &AttachOptions::default(), waker)
        .unwrap();
    // Nothing is taken before: an event that is taken already wakes nobody.
    assert_eq!(ended.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    let woke = next(&events).unwrap();
    assert!(matches!(woke.event(), Event::Output { offset: 0, .. }));
    assert_eq!(events.recv_timeout(LONG).unwrap_err(), RecvTimeoutError::Disconnected);
    assert!(client.sessions().unwrap().contains(&"sick".to_owned()), "the client goes on");
}

#[test]
fn a_line_that_is_lost_is_told_and_made_again_here_too() {
    let engine = Engine::start();
    let server = engine.server.as_ref().unwrap();
    let guard = engine.runtime.enter();
    let proxy = CuttingProxy::before(&server.socket, "cut", Cutting::never());
    drop(guard);
    let client = Client::connect(&proxy.socket, ClientConfig::default()).unwrap();
    let (input, events) = attached(&client, &raw_script("w", "exec cat"));
    read_until(&events, b"ready\n");
    proxy.cut();
    let mut told = Vec::new();
    loop {
        match next(&events).unwrap().event() {
            Event::Disconnected { reason: None } => told.push("lost"),
            Event::Reconnecting { attempt: 1, .. } => told.push("waiting"),
            Event::Resumed { gap: 0, is_new_child: false, .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, ["lost", "waiting"]);
    input.send(b"still here").unwrap();
    assert_eq!(read_until(&events, b"here"), b"still here");
}
