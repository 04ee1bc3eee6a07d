//! Attacks on the socket itself: what a peer can do besides sending bytes.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{
    io::{IoSlice, Write},
    mem::MaybeUninit,
    os::fd::AsFd,
    os::unix::net::UnixStream,
    time::Duration,
};

use fixture::{TestServer, raw_client::*, raw_script, within};

use rustix::{
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tautline::protocol::{ControlMessage as M, *};
use tokio::sync::{Mutex, MutexGuard};

/// Descriptors are the process's: one test at a time.
static DESCRIPTORS: Mutex<()> = Mutex::const_new(());

async fn alone() -> MutexGuard<'static, ()> {
    let guard = DESCRIPTORS.lock().await;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    guard
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Sends bytes, and standard error with them.
fn send_with_descriptor(stream: &UnixStream, bytes: &[u8]) {
    let stderr = std::io::stderr();
    let passed = [stderr.as_fd(); 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&passed)));
    let sent =
        rustix::net::sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::empty());
    assert_eq!(sent, Ok(bytes.len()));
}

fn ping(id: u64) -> Vec<u8> {
    frames(id, M::Ping(Ping::default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn descriptors_passed_along_are_not_kept_and_hold_up_nothing() {
    let _alone = alone().await;
    let server = TestServer::start();
    let mut client = RawClient::new(&server.socket);
    client.settle();
    let before = descriptors();
    for round in 0..500 {
        send_with_descriptor(&client.stream, &ping(2 * round + 1));
        client.write(&ping(2 * round + 2));
        for id in [2 * round + 1, 2 * round + 2] {
            assert!(client.hear_of(id, &[PONG]).is_some(), "round {round}");
        }
    }
    // 2,000 were passed; a few are those of tests that begin or end.
    let after = descriptors();
    assert!(after <= before + 200, "{after} descriptors, {before} before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_byte_out_of_band_holds_up_nothing() {
    let _alone = alone().await;
    let server = TestServer::start();
    let mut client = RawClient::new(&server.socket);
    for round in 0..500 {
        client.write(&ping(2 * round + 1));
        if rustix::net::send(&client.stream, b"!", SendFlags::OOB).is_err() {
            return println!("skipped: this kernel has no such thing");
        }
        client.write(&ping(2 * round + 2));
        for id in [2 * round + 1, 2 * round + 2] {
            assert!(client.hear_of(id, &[PONG]).is_some(), "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_honest_client_gets_in_past_1200_that_say_nothing() {
    let _alone = alone().await;
    let server = TestServer::with(|config| config.deadlines.hello = Duration::from_secs(600));
    let mut silent: Vec<_> = (0..1200).map(|_| RawClient::silent(&server.socket)).collect();
    for _ in 0..10 {
        RawClient::new(&server.socket).settle();
    }
    // Who was dropped for that is told why.
    let told = silent[0].hear().expect("a hello that refuses");
    let hello = EngineHello::decode(told.frame().kind(), told.frame().payload()).unwrap();
    assert_eq!(hello.status, Refusal::AtCapacity.to_wire());
    assert!(hello.retry_after_ms > 0);
    assert!(silent[0].hear().is_none());
    // The newest of them may still speak.
    let mut last = silent.pop().unwrap();
    last.write(&ClientHello::default().encode());
    let told = last.hear().expect("an answer to the hello");
    let hello = EngineHello::decode(told.frame().kind(), told.frame().payload()).unwrap();
    assert_eq!(hello.status, Refusal::Welcome.to_wire());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn with_every_seat_taken_one_administrator_is_served_and_a_second_refused() {
    let _alone = alone().await;
    let server = TestServer::start();
    let seated: Vec<_> = (0..64).map(|_| RawClient::new(&server.socket)).collect();
    let answer = |purpose: Purpose| {
        let mut client = RawClient::silent(&server.socket);
        let hello = ClientHello { purpose: purpose.to_wire(), ..ClientHello::default() };
        client.write(&hello.encode());
        let told = client.hear().expect("an answer to the hello");
        let told = EngineHello::decode(told.frame().kind(), told.frame().payload()).unwrap();
        (client, Refusal::from_wire(told.status).unwrap())
    };
    assert_eq!(answer(Purpose::Client).1, Refusal::AtCapacity);
    let (mut admin, status) = answer(Purpose::Admin);
    assert_eq!(status, Refusal::Welcome);
    admin.ask(1, M::List(List::default())).unwrap();
    let refused = admin.ask(2, attach("any", TYPING)).err();
    assert_eq!(refused, Some(ErrorCode::NotPermitted));
    assert_eq!(answer(Purpose::Admin).1, Refusal::AtCapacity);
    assert_eq!(seated.len(), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_write_that_fails_ends_only_the_client_it_was_for() {
    let _alone = alone().await;
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) =
        fixture::attached_ready(&client, &raw_script("shared", "exec cat")).await;
    let watching = AttachTerms {
        window: limits::OUTPUT_WINDOW_MIN,
        delivery: Delivery::Log.to_wire(),
        ..TYPING
    };
    for _ in 0..50 {
        let mut lost = RawClient::new(&server.socket);
        lost.ask(1, attach("shared", watching)).unwrap();
        // Gone with an answer unread, so that the engine's next write to it fails.
        lost.stream.write_all(&ping(2)).unwrap();
        drop(lost);
        within(input.send(b"still here.")).await.unwrap();
        assert_eq!(fixture::read_until(&mut events, b"here.").await, b"still here.");
    }
    within(client.ping(b"")).await.unwrap();
}
