//! Children that are started again, and sessions that are kept or forgotten after their end.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::time::Duration;

use fixture::{TestServer, attached, attached_ready, command, raw_script, read_until, within};
use tautline::{
    Client, Event, Events, RequestError, SessionStatus,
    protocol::{DetachReason, ErrorCode, ExitKind, RestartPolicy, SessionState},
    state::Exit,
};

async fn status(client: &Client, name: &str) -> SessionStatus {
    within(client.status(Some(name))).await.unwrap().remove(0)
}

/// The next event that is no output.
async fn next_notice(events: &mut Events) -> Option<Event<'static>> {
    loop {
        match within(events.next()).await.unwrap() {
            Some(Event::Output { .. }) => {}
            Some(Event::Exited { exit, offset }) => return Some(Event::Exited { exit, offset }),
            Some(Event::Started { epoch, pid, offset }) => {
                return Some(Event::Started { epoch, pid, offset });
            }
            Some(Event::Detached { reason }) => return Some(Event::Detached { reason }),
            Some(event) => panic!("{event:?}"),
            None => return None,
        }
    }
}

#[tokio::test]
async fn a_child_that_fails_is_started_again_under_those_attached() {
    let server = TestServer::start();
    let client = server.client().await;
    let mut request = raw_script("a", "read line; exit 3");
    request.restart = RestartPolicy::OnFailure;
    let (input, mut events) = attached_ready(&client, &request).await;
    let first = status(&client, "a").await;
    within(input.send(b"one\n")).await.unwrap();
    let exited = next_notice(&mut events).await.unwrap();
    let exit = Exit { kind: ExitKind::Code, value: 3 };
    let Event::Exited { exit: told, offset } = exited else { panic!("{exited:?}") };
    assert_eq!(told, exit);
    let started = next_notice(&mut events).await.unwrap();
    let Event::Started { epoch, offset: begins, .. } = started else { panic!("{started:?}") };
    assert_eq!(offset, begins);
    assert_ne!(epoch, first.epoch);
    // The attachment types into the new child.
    read_until(&mut events, b"ready\n").await;
    within(input.send(b"two\n")).await.unwrap();
    assert!(matches!(next_notice(&mut events).await, Some(Event::Exited { .. })));
    assert!(matches!(next_notice(&mut events).await, Some(Event::Started { .. })));
    assert_eq!(status(&client, "a").await.restarts, 2);
}

#[tokio::test]
async fn a_child_that_succeeds_stays_ended_unless_always() {
    let server = TestServer::start();
    let client = server.client().await;
    let mut request = command("a", &["true"]);
    request.restart = RestartPolicy::OnFailure;
    let (_input, mut events) = attached(&client, &request).await;
    assert!(matches!(next_notice(&mut events).await, Some(Event::Exited { .. })));
    assert_eq!(status(&client, "a").await.state, SessionState::Exited);
    let mut request = command("b", &["true"]);
    request.restart = RestartPolicy::Always;
    let (_input, mut events) = attached(&client, &request).await;
    assert!(matches!(next_notice(&mut events).await, Some(Event::Exited { .. })));
    assert!(matches!(next_notice(&mut events).await, Some(Event::Started { .. })));
}

#[tokio::test]
async fn stopping_ends_the_wait_for_the_next_child() {
    let server = TestServer::start();
    let client = server.client().await;
    let mut request = command("a", &["false"]);
    request.restart = RestartPolicy::Always;
    let (_input, mut events) = attached(&client, &request).await;
    // Until the waits are long enough to stop in one.
    for _ in 0..4 {
        assert!(matches!(next_notice(&mut events).await, Some(Event::Exited { .. })));
        assert!(matches!(next_notice(&mut events).await, Some(Event::Started { .. })));
    }
    assert!(matches!(next_notice(&mut events).await, Some(Event::Exited { .. })));
    assert_eq!(status(&client, "a").await.state, SessionState::Waiting);
    let refused = within(client.remove("a", false)).await.unwrap_err();
    assert!(
        matches!(refused, RequestError::Refused(error) if error.code == ErrorCode::SessionLive)
    );
    within(client.stop("a", 0, Duration::from_secs(10))).await.unwrap();
    let told = next_notice(&mut events).await;
    assert_eq!(told, Some(Event::Detached { reason: DetachReason::Ended }));
    assert_eq!(status(&client, "a").await.state, SessionState::Exited);
    within(client.remove("a", false)).await.unwrap();
}

#[tokio::test]
async fn a_restart_replaces_the_child_and_types_nothing_old_into_the_new_one() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("a", "exec cat")).await;
    within(input.send(b"seen")).await.unwrap();
    read_until(&mut events, b"seen").await;
    within(client.restart("a", 0, Duration::from_secs(10))).await.unwrap();
    assert!(matches!(next_notice(&mut events).await, Some(Event::Exited { .. })));
    assert!(matches!(next_notice(&mut events).await, Some(Event::Started { .. })));
    let seen = read_until(&mut events, b"ready\n").await;
    assert_eq!(seen, b"ready\n");
    within(input.send(b"fresh")).await.unwrap();
    assert_eq!(read_until(&mut events, b"fresh").await, b"fresh");
    assert_eq!(status(&client, "a").await.restarts, 1);
}

#[tokio::test]
async fn a_session_that_ended_is_restarted_too_and_a_kill_is_enough_for_the_stubborn() {
    let server = TestServer::start();
    let client = server.client().await;
    let (_input, mut events) = attached(&client, &command("a", &["true"])).await;
    assert!(matches!(next_notice(&mut events).await, Some(Event::Exited { .. })));
    within(client.restart("a", 0, Duration::ZERO)).await.unwrap();
    assert!(matches!(next_notice(&mut events).await, Some(Event::Started { .. })));
    let stubborn = raw_script("b", "trap '' HUP TERM; while :; do sleep 1000 & wait; done");
    attached_ready(&client, &stubborn).await;
    within(client.restart("b", 0, Duration::from_millis(50))).await.unwrap();
    assert_eq!(status(&client, "b").await.state, SessionState::Running);
}

#[tokio::test]
async fn a_program_that_is_gone_is_an_error_of_the_restart() {
    let server = TestServer::start();
    let client = server.client().await;
    let program = server.directory.path().join("program");
    std::fs::write(&program, "#!/bin/sh\nexec cat\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&program, mode).unwrap();
    let path = program.to_str().unwrap();
    within(client.spawn(&command("a", &[path]))).await.unwrap();
    std::fs::remove_file(&program).unwrap();
    let refused = within(client.restart("a", 0, Duration::from_secs(10))).await.unwrap_err();
    let RequestError::Refused(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.code, ErrorCode::ProgramNotFound);
    assert_eq!(status(&client, "a").await.state, SessionState::Exited);
}

#[tokio::test]
async fn of_those_that_ended_the_newest_are_kept() {
    let server = TestServer::with(|config| config.exited_limit = 3);
    let client = server.client().await;
    for number in 1..=5 {
        let name = format!("s{number}");
        let (_input, mut events) = attached(&client, &command(&name, &["true"])).await;
        assert!(matches!(next_notice(&mut events).await, Some(Event::Exited { .. })));
    }
    within(client.spawn(&command("live", &["cat"]))).await.unwrap();
    // A detachment takes its moment: the last to leave is the last to be counted.
    loop {
        let names = within(client.sessions()).await.unwrap();
        if names == ["s3", "s4", "s5", "live"] {
            break;
        }
        assert!(names.len() > 4, "{names:?}");
        tokio::task::yield_now().await;
    }
}
