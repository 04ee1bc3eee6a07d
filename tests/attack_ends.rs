//! Attacks with the end of children: requests that wait for it, and clients that do not.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::time::Duration;

use fixture::{
    TestServer, attached, attached_ready, raw_client::*, raw_script, read_to_exit, read_until,
    within,
};
use tautline::{
    Events, SpawnRequest,
    protocol::{ControlMessage as M, *},
    state::Exit,
};

/// A child that only a kill ends.
fn stubborn(name: &str) -> SpawnRequest {
    raw_script(name, "trap '' HUP TERM; printf 'deaf\\n'; while :; do sleep 1000 & wait; done")
}

const KILLED: Exit = Exit { kind: ExitKind::Signal, value: 9 };

fn stop(grace_ms: u32) -> M<'static> {
    M::Stop(Stop { number: 0, grace_ms, name: "s".into() })
}

fn restart(grace_ms: u32) -> M<'static> {
    M::Restart(Restart { number: 0, grace_ms, name: "s".into() })
}

async fn stubborn_session(server: &TestServer) -> (tautline::Client, Events) {
    let client = server.client().await;
    let (_, mut events) = attached(&client, &stubborn("s")).await;
    read_until(&mut events, b"deaf\n").await;
    (client, events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stop_and_a_restart_that_are_cancelled_are_answered_at_once() {
    let server = TestServer::start();
    let (_client, mut events) = stubborn_session(&server).await;
    let mut raw = RawClient::new(&server.socket);
    // The id is free again each time, and no late answer comes under it.
    for round in 0..100 {
        raw.say(1, if round % 2 == 0 { stop(u32::MAX) } else { restart(u32::MAX) });
        raw.say(0, M::Cancel(Cancel { target: 1 }));
        let refused = raw.hear_of(1, &[DONE, ERROR]).expect("the connection stays");
        let ArchivedEngineMessage::Error(error) = refused.frame().engine().unwrap() else {
            panic!("it was not cancelled");
        };
        assert_eq!(error.get().code.to_native(), ErrorCode::Cancelled.to_wire());
    }
    raw.ask(1, M::Ping(Ping::default())).unwrap();
    // A child that was asked to end with time to spare can still be ended at once.
    raw.ask(2, stop(0)).unwrap();
    assert_eq!(read_to_exit(&mut events).await.1, KILLED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stop_goes_on_when_nobody_waits_for_it() {
    let server = TestServer::start();
    let (_client, mut events) = stubborn_session(&server).await;
    let mut raw = RawClient::new(&server.socket);
    raw.say(1, stop(u32::MAX));
    raw.say(2, stop(100));
    raw.settle();
    drop(raw);
    assert_eq!(read_to_exit(&mut events).await.1, KILLED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn of_several_stops_the_one_that_is_due_first_counts_for_all() {
    let server = TestServer::start();
    let (client, mut events) = stubborn_session(&server).await;
    let mut raw = RawClient::new(&server.socket);
    for (id, grace_ms) in [(1, u32::MAX), (2, 50), (3, u32::MAX)] {
        raw.say(id, stop(grace_ms));
    }
    for id in [1, 2, 3] {
        let answer = raw.hear_of(id, &[DONE, ERROR]).unwrap();
        assert_eq!(answer.frame().kind().tag(), DONE, "{id}");
    }
    assert_eq!(read_to_exit(&mut events).await.1, KILLED);
    // It was for that child: the next one is left alone.
    within(client.restart("s", 0, Duration::from_secs(10))).await.unwrap();
    let status = within(client.status(Some("s"))).await.unwrap();
    assert_eq!(status[0].state, SessionState::Running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_is_removed_renamed_and_joined_in_the_middle_of_a_paste() {
    let server = TestServer::start();
    let client = server.client().await;
    for round in 0..20 {
        let name = format!("s{round}");
        let (input, mut events) =
            attached_ready(&client, &raw_script(&name, "exec cat >/dev/null")).await;
        let mut raw = RawClient::new(&server.socket);
        raw.ask(1, attach(&name, TYPING)).unwrap();
        for offset in (0..56_000).step_by(8000) {
            raw.say(0, typed(offset, &[b'x'; 8000]));
        }
        let new_name = format!("r{round}");
        let rename = Rename { name: name.as_str().into(), new_name: new_name.as_str().into() };
        let others = AttachTerms { attachment: 2, flags: AttachFlags::DETACH_OTHERS, ..TYPING };
        raw.say(2, M::Rename(rename));
        raw.say(3, attach(&name, others));
        raw.say(4, attach(&new_name, others));
        for offset in (56_000..64_000).step_by(1000) {
            raw.say(0, typed(offset, &[b'y'; 1000]));
        }
        let force = Remove { flags: RemoveFlags::FORCE, name: new_name.as_str().into() };
        raw.say(5, M::Remove(force));
        assert!(raw.hear_of(5, &[DONE]).is_some(), "round {round}");
        raw.ask(6, M::Ping(Ping::default())).unwrap();
        // Everybody else's attachment ended in order, and the engine goes on.
        while within(events.next()).await.unwrap().is_some() {}
        assert!(input.try_send(b"z").is_err());
    }
    assert_eq!(within(client.sessions()).await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn two_that_attach_alone_at_once_leave_one_and_both_are_told() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("s", "exec cat")).await;
    let alone = AttachTerms { flags: AttachFlags::DETACH_OTHERS, ..TYPING };
    let mut pair = [0, 1].map(|_| RawClient::new(&server.socket));
    for id in 1..200 {
        for raw in &mut pair {
            raw.say(id, attach("s", alone));
        }
        // Of each pair one was made to leave, and says so under its own request.
        let told = [0, 1].map(|at| {
            let raw: &mut RawClient = &mut pair[at];
            let answer = raw.hear_of(id, &[ATTACHED, ERROR]).unwrap();
            assert_eq!(answer.frame().kind().tag(), ATTACHED, "{id}");
            raw.say(0, M::Detach(Detach { attachment: 1 }));
            raw.hear_of(id, &[DONE]).is_some()
        });
        assert_eq!(told, [true; 2]);
    }
    // The first of them took the session from the client that made it.
    while within(events.next()).await.unwrap().is_some() {}
    drop(input);
    let (input, mut events) =
        within(client.attach("s", &tautline::AttachOptions::default())).await.unwrap();
    within(input.send(b"lives")).await.unwrap();
    assert_eq!(read_until(&mut events, b"lives").await, b"lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_kick_in_the_middle_of_a_paste_loses_nobody_elses_bytes() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("s", "exec cat")).await;
    for round in 0..20 {
        let mut kicked = RawClient::new(&server.socket);
        kicked.ask(1, attach("s", TYPING)).unwrap();
        for offset in (0..64_000).step_by(1000) {
            kicked.say(0, typed(offset, &[b'k'; 1000]));
        }
        let text = format!("<{round}>").repeat(2000);
        let sending = within(input.send(text.as_bytes()));
        let mut admin = RawClient::new(&server.socket);
        let flags = if round % 2 == 0 { KickFlags::CONNECTION } else { 0 };
        let client_id = kicked.client_id;
        let kick = Kick { client_id, attachment: 0, flags, name: "s".into() };
        admin.say(1, M::Kick(kick));
        let mut seen = Vec::<u8>::new();
        let reading = async {
            while seen.len() < text.len() {
                let event = within(events.next()).await.unwrap().expect("it stays attached");
                if let tautline::Event::Output { bytes, .. } = event {
                    seen.extend(bytes.iter().filter(|&&byte| byte != b'k'));
                }
            }
        };
        let (sent, ()) = tokio::join!(sending, reading);
        sent.unwrap();
        assert!(seen == text.as_bytes(), "round {round}");
        assert!(admin.hear_of(1, &[DONE]).is_some());
    }
}
