//! Reading sessions without joining them: screens and figures.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use fixture::{TestServer, attached, attached_ready, raw_script, read_until, within};
use tautline::{
    AttachOptions, Client, EngineStats, RequestError, ScreenOptions, StatsOptions,
    protocol::{ErrorCode, WindowSize},
};

fn options(is_styled: bool, history_lines: u32) -> ScreenOptions {
    let mut options = ScreenOptions::default();
    (options.is_styled, options.history_lines) = (is_styled, history_lines);
    options
}

async fn stats(client: &Client, change: impl FnOnce(&mut StatsOptions)) -> EngineStats {
    let mut options = StatsOptions::default();
    options.stages = true;
    change(&mut options);
    within(client.stats(&options)).await.unwrap()
}

fn number(numbers: &[(String, u64)], name: &str) -> u64 {
    let found = numbers.iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("{name} in {numbers:?}")).1
}

#[tokio::test]
async fn a_screen_is_read_as_the_terminal_would_show_it() {
    let server = TestServer::start();
    let client = server.client().await;
    let script =
        r"printf '\033]2;a title\007\033[2J\033[3;5Hhere\033[1;1H\033[31mred\033[m\033[?25l'";
    let mut request = raw_script("a", &format!("{script}; printf '\\033[5;2Hend'; exec cat"));
    request.size = WindowSize::cells(20, 6);
    let (_input, mut events) = attached(&client, &request).await;
    read_until(&mut events, b"end").await;
    let screen = within(client.screen("a", options(false, 0))).await.unwrap();
    assert_eq!(screen.rows, ["red", "", "    here", "", " end", ""]);
    assert!(screen.history.is_empty());
    assert_eq!((screen.cursor.row, screen.cursor.col), (4, 4));
    assert!(!screen.cursor.is_visible);
    assert_eq!(screen.title, b"a title");
    assert_eq!((screen.size.cols, screen.size.rows), (20, 6));
    let status = within(client.status(Some("a"))).await.unwrap();
    assert_eq!(screen.offset, status[0].output_offset);
    let styled = within(client.screen("a", options(true, 0))).await.unwrap();
    assert_eq!(styled.rows[0], "\x1b[31mred\x1b[m");
}

#[tokio::test]
async fn a_screen_of_several_frames_arrives_whole_and_history_with_it() {
    let server = TestServer::start();
    let client = server.client().await;
    let mut request = raw_script("a", "seq -f '%0150g' 1 2000 | sed 's/$/\\r/'; printf end; cat");
    request.size = WindowSize::cells(160, 50);
    let (_input, mut events) = attached_ready(&client, &request).await;
    read_until(&mut events, b"end").await;
    let screen = within(client.screen("a", options(false, 1000))).await.unwrap();
    let line = |number: u32| format!("{number:0150}");
    assert_eq!(screen.rows.len(), 50);
    assert_eq!(screen.rows[48], line(2000));
    assert_eq!(screen.rows[49], "end");
    assert_eq!(screen.history.len(), 1000);
    let newest = screen.history.iter().rev().zip((1..=1951).rev());
    assert!(newest.into_iter().all(|(shown, number)| *shown == line(number)));
}

#[tokio::test]
async fn screens_asked_for_in_a_row_are_all_answered_and_hold_up_nobody() {
    let server = TestServer::start();
    let client = server.client().await;
    let (_input, mut events) = attached_ready(&client, &raw_script("a", "exec cat")).await;
    let asked: Vec<_> = (0..40)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.screen("a", ScreenOptions::default()).await })
        })
        .collect();
    // Another client types and reads while they are made.
    let other = server.client().await;
    let (typing, mut seen) = within(other.attach("a", &AttachOptions::default())).await.unwrap();
    within(typing.send(b"typed")).await.unwrap();
    read_until(&mut seen, b"typed").await;
    read_until(&mut events, b"typed").await;
    for screen in asked {
        assert_eq!(within(screen).await.unwrap().unwrap().rows[0], "ready");
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_keep_others_from_their_screens() {
    let server = TestServer::start();
    let client = server.client().await;
    attached_ready(&client, &raw_script("a", "exec cat")).await;
    for _ in 0..20 {
        let leaving = server.client().await;
        let asked = tokio::spawn(async move {
            let screens = (0..8).map(|_| leaving.screen("a", ScreenOptions::default()));
            let mut screens: Vec<_> = screens.map(Box::pin).collect();
            // Sent, and never waited for.
            for screen in &mut screens {
                let poll = std::future::poll_fn(|cx| {
                    let _ = screen.as_mut().poll(cx);
                    std::task::Poll::Ready(())
                });
                poll.await;
            }
        });
        within(asked).await.unwrap();
    }
    let screen = within(client.screen("a", ScreenOptions::default())).await.unwrap();
    assert_eq!(screen.rows[0], "ready");
}

#[tokio::test]
async fn the_screen_of_no_session_is_refused() {
    let server = TestServer::start();
    let client = server.client().await;
    let refused = within(client.screen("nobody", ScreenOptions::default())).await.unwrap_err();
    let RequestError::Refused(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.code, ErrorCode::NoSuchSession);
}

#[tokio::test]
async fn figures_count_what_happened_and_name_the_limits() {
    let server = TestServer::with(|config| config.clients_limit = 7);
    let client = server.client().await;
    let before = stats(&client, |_| {}).await;
    assert_eq!(number(&before.counters, "sessions_live"), 0);
    assert_eq!(number(&before.limits, "clients_limit"), 7);
    let (input, mut events) = attached_ready(&client, &raw_script("a", "exec cat")).await;
    within(input.send(&[b'x'; 100])).await.unwrap();
    read_until(&mut events, &[b'x'; 100]).await;
    let after = stats(&client, |_| {}).await;
    assert_eq!(number(&after.counters, "input_bytes_total"), 100);
    assert_eq!(number(&after.counters, "output_bytes_total"), 106);
    assert_eq!(number(&after.counters, "sessions_live"), 1);
    assert_eq!(number(&after.counters, "attachments"), 1);
    assert_eq!(number(&after.counters, "clients"), 1);
    let frames = |stats: &EngineStats| number(&stats.counters, "frames_received_total");
    assert!(frames(&after) > frames(&before));
    let names: Vec<_> = after.stages.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["received_to_decoded", "decoded_to_written", "read_to_sent"]);
    let written = &after.stages[1].1;
    assert!(!written.is_empty() && written.min() >= 1, "{} samples", written.len());
    assert!(!after.stages[2].1.is_empty());
    let session = stats(&client, |options| options.session = Some("a".into())).await;
    assert_eq!(number(&session.counters, "input_offset"), 100);
    assert_eq!(number(&session.counters, "output_offset"), 106);
    assert!(session.stages.is_empty(), "stages are the engine's");
}

#[tokio::test]
async fn an_interval_begins_where_it_was_asked_to() {
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("a", "exec cat")).await;
    within(input.send(b"one")).await.unwrap();
    read_until(&mut events, b"one").await;
    let reset = |options: &mut StatsOptions| {
        (options.interval, options.reset_interval) = (true, true);
    };
    let first = stats(&client, reset).await;
    assert_eq!(number(&first.counters, "input_bytes_total"), 3, "since the engine's start");
    within(input.send(b"twice")).await.unwrap();
    read_until(&mut events, b"twice").await;
    let second = stats(&client, reset).await;
    assert_eq!(number(&second.counters, "input_bytes_total"), 5);
    assert_eq!(second.stages[1].1.len(), 1);
    let total = stats(&client, |_| {}).await;
    assert_eq!(number(&total.counters, "input_bytes_total"), 8);
    assert_eq!(total.stages[1].1.len(), 2);
    assert!(second.interval < total.interval);
}
