//! After warm-up, handling a message allocates nothing: counted, not believed.
//!
//! The engine runs on its own thread, the client on this one, so a counter that leaves this thread
//! out counts the engine alone. For the blocking client all threads are counted.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

mod fixture;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

use fixture::{TestDir, TestServer, attached_ready, raw_script, within};
use tautline::{
    AttachOptions, Client, ClientConfig, Event, Events, Input, blocking, protocol::WindowSize,
    trace::FrameTrace,
};
use tokio::{runtime::Builder, sync::Mutex};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// One test counts at a time.
static TURN: Mutex<()> = Mutex::const_new(());

thread_local! {
    static IS_TEST: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches an atomic
// and a thread-local that needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !IS_TEST.try_with(Cell::get).unwrap_or(true) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is `System`'s too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, and so from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Runs `round` until it is warm, then often, and tells what the engine allocated per round.
async fn allocations(rounds: usize, mut round: impl AsyncFnMut()) -> f64 {
    for _ in 0..rounds {
        round().await;
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..rounds {
        round().await;
    }
    (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / rounds as f64
}

async fn echo(input: &Input, events: &mut Events, bytes: &[u8]) {
    within(input.send(bytes)).await.unwrap();
    let mut seen = 0;
    while seen < bytes.len() {
        if let Some(Event::Output { bytes, .. }) = within(events.next()).await.unwrap() {
            seen += bytes.len();
        }
    }
}

async fn measure(client: &Client, input: &Input, events: &mut Events) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for size in [1, 64, 65, 8_000] {
        let bytes = vec![b'x'; size];
        let count = allocations(300, async || echo(input, events, &bytes).await).await;
        found.push((format!("input of {size} bytes, echoed"), count));
    }
    for size in [0, 64, 8_000] {
        let payload = vec![0; size];
        let ping = async || {
            within(client.ping(&payload)).await.unwrap();
        };
        found.push((format!("ping of {size} bytes"), allocations(300, ping).await));
    }
    let mut cols = 80;
    let resize = async || {
        cols = if cols == 80 { 81 } else { 80 };
        input.resize(WindowSize::cells(cols, 24));
        within(client.ping(b"")).await.unwrap();
    };
    found.push(("resize".into(), allocations(300, resize).await));
    found
}

/// The same while every frame is recorded.
async fn measure_traced() -> Vec<(String, f64)> {
    let directory = TestDir::new();
    let trace = FrameTrace::open(directory.path().join("trace")).unwrap();
    let server = TestServer::with(|config| config.trace = Some(trace.clone()));
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("echo", "exec cat")).await;
    let found = measure(&client, &input, &mut events).await;
    assert!(trace.end().is_none(), "it was recorded to the end");
    server.stop().await;
    found.into_iter().map(|(what, count)| (format!("{what}, traced"), count)).collect()
}

#[tokio::test]
async fn handling_a_message_allocates_nothing() {
    let _turn = TURN.lock().await;
    IS_TEST.set(true);
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("echo", "exec cat")).await;
    let mut found = measure(&client, &input, &mut events).await;
    let listing = async || drop(within(client.sessions()).await.unwrap());
    assert!(allocations(10, listing).await > 0.0, "the counter counts: a list is allocated");
    // An engine that is still ending would be counted in the next measurement.
    drop((client, input, events));
    server.stop().await;
    found.extend(measure_traced().await);
    for (what, count) in &found {
        println!("{what}: {count} allocations");
    }
    // One in a hundred would be growth of a queue to its bound, not a cost of each message.
    let costly: Vec<_> = found.iter().filter(|(_, count)| *count > 0.01).collect();
    assert!(costly.is_empty(), "{costly:?}");
}

/// Waits on the channel for so many bytes; does `meanwhile` before each wait.
fn receive(events: &blocking::Events, count: usize, mut meanwhile: impl FnMut()) {
    let mut seen = 0;
    while seen < count {
        meanwhile();
        if let Event::Output { bytes, .. } = events.recv().unwrap().unwrap().event() {
            seen += bytes.len();
        }
    }
}

fn echo_blocking(input: &blocking::Input, events: &blocking::Events, bytes: &[u8]) {
    let mut sent = 0;
    receive(events, bytes.len(), || sent += input.try_send(&bytes[sent..]).unwrap());
}

#[test]
fn the_blocking_client_allocates_nothing_for_a_message_either() {
    let _turn = TURN.blocking_lock();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let guard = runtime.enter();
    let server = TestServer::start();
    drop(guard);
    let client = blocking::Client::connect(&server.socket, ClientConfig::default()).unwrap();
    let (_, input, events) = client
        .spawn_attached(&raw_script("echo", "exec cat"), &AttachOptions::default(), || {})
        .unwrap();
    receive(&events, b"ready\n".len(), || {});
    for size in [1, 64, 8_000] {
        let bytes = vec![b'x'; size];
        let round = async || echo_blocking(&input, &events, &bytes);
        // Nothing in it waits for anything but the channel. How many buffers are on their way at
        // once depends on how three threads get their turns, so it may take a while until all there
        // can be are kept; that is bounded, and then nothing is allocated any more.
        let measured =
            || Builder::new_current_thread().build().unwrap().block_on(allocations(300, round));
        let count = (0..20).map(|_| measured()).find(|count| *count <= 0.01);
        let count = count.unwrap_or_else(|| panic!("{size} bytes are never warm"));
        println!("{size} bytes, echoed: {count} allocations");
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    drop(client.sessions().unwrap());
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > before, "the counter counts");
}
