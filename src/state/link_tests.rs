//! The link's rules, one test each.

use tautline_protocol::{Done, Goodbye, ReceiveBuffer, encode};

use super::*;

fn reconnecting() -> LinkPolicy {
    LinkPolicy { is_reconnecting: true, ..LinkPolicy::default() }
}

fn hear(link: &mut Link, bytes: &[u8]) -> String {
    let mut buffer = ReceiveBuffer::new();
    buffer.spare()[..bytes.len()].copy_from_slice(bytes);
    buffer.advance(bytes.len());
    let step = match buffer.next_frame() {
        Ok(frame) => link.handle_frame(frame.expect("a whole frame")),
        Err(error) => link.handle_length_error(error),
    };
    match step {
        LinkStep::Welcome(_) => "welcome".into(),
        LinkStep::Refused(hello) => format!("refused {}", hello.status),
        LinkStep::Message { id, .. } => format!("message {id}"),
        LinkStep::Goodbye { reason, .. } => format!("goodbye {reason:?}"),
        LinkStep::Skip => "skip".into(),
        LinkStep::Fault(error) => format!("fault {error}"),
    }
}

fn welcome() -> [u8; 128] {
    EngineHello::default().encode()
}

fn refusal(refusal: Refusal, retry_after_ms: u32) -> [u8; 128] {
    let status = refusal.to_wire();
    EngineHello { status, retry_after_ms, version: 0, ..EngineHello::default() }.encode()
}

fn frame(id: u64, message: EngineMessage<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let size = encode(&mut bytes, id, message).unwrap();
    bytes.truncate(size);
    bytes
}

fn goodbye(reason: CloseReason, retry_after_ms: u32) -> Vec<u8> {
    let reason = reason.to_wire();
    let text = "".into();
    frame(0, EngineMessage::Goodbye(Goodbye { reason, retry_after_ms, text }))
}

fn ready(policy: LinkPolicy) -> Link {
    let mut link = Link::new(policy);
    assert_eq!(link.action(), LinkAction::Connect);
    link.handle_connected();
    assert_eq!(hear(&mut link, &welcome()), "welcome");
    assert!(link.is_ready());
    link
}

#[test]
fn messages_come_through_once_welcomed() {
    let mut link = ready(LinkPolicy::default());
    let done = frame(9, EngineMessage::Done(Done { value: 0 }));
    assert_eq!(hear(&mut link, &done), "message 9");
    assert_eq!(link.action(), LinkAction::Talk);
}

#[test]
fn kinds_of_a_later_version_are_ignored() {
    let mut link = ready(LinkPolicy::default());
    let mut unknown = frame(9, EngineMessage::Done(Done { value: 0 }));
    unknown[5] = 200;
    assert_eq!(hear(&mut link, &unknown), "skip");
    assert!(link.is_ready());
}

#[test]
fn an_engine_that_talks_nonsense_ends_the_link() {
    let mut link = ready(reconnecting());
    let mut wrong = frame(9, EngineMessage::Done(Done { value: 0 }));
    wrong[4] = 1;
    assert!(hear(&mut link, &wrong).starts_with("fault"));
    link.handle_lost(Instant::now(), 0);
    assert!(matches!(link.action(), LinkAction::Stop(LinkEnd::Protocol(_))));

    let mut link = Link::new(reconnecting());
    link.handle_connected();
    assert!(hear(&mut link, b"HTTP/1.1 400 Bad Request").starts_with("fault"));
}

#[test]
fn without_reconnecting_the_first_loss_is_the_end() {
    let mut link = ready(LinkPolicy::default());
    link.handle_lost(Instant::now(), 0);
    assert_eq!(link.action(), LinkAction::Stop(LinkEnd::Lost));
}

#[test]
fn a_lost_link_waits_tries_and_gives_up_after_ten_attempts() {
    let mut link = ready(reconnecting());
    let mut now = Instant::now();
    link.handle_lost(now, u64::MAX);
    let mut waits = Vec::new();
    while let LinkAction::WaitUntil(until) = link.action() {
        waits.push((until - now).as_millis());
        link.handle_timeout(until - Duration::from_nanos(1));
        assert!(matches!(link.action(), LinkAction::WaitUntil(_)));
        now = until;
        link.handle_timeout(now);
        assert_eq!(link.action(), LinkAction::Connect);
        link.handle_connect_failed(false, now, u64::MAX);
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
    assert_eq!(link.action(), LinkAction::Stop(LinkEnd::GaveUp { attempts: 10 }));
}

#[test]
fn connecting_alone_is_no_progress() {
    let mut link = Link::new(reconnecting());
    let now = Instant::now();
    for _ in 0..10 {
        link.handle_connected();
        hear(&mut link, &welcome());
        link.handle_lost(now, 0);
        assert!(matches!(link.action(), LinkAction::WaitUntil(_)));
        link.handle_timeout(now);
    }
    link.handle_lost(now, 0);
    assert_eq!(link.action(), LinkAction::Stop(LinkEnd::GaveUp { attempts: 10 }));
}

#[test]
fn what_time_cannot_mend_is_not_tried_again() {
    let permanent = [Refusal::Version, Refusal::WrongUser, Refusal::Feature, Refusal::Rights];
    for reason in permanent {
        let mut link = Link::new(reconnecting());
        link.handle_connected();
        hear(&mut link, &refusal(reason, 0));
        link.handle_lost(Instant::now(), 0);
        assert_eq!(link.action(), LinkAction::Stop(LinkEnd::Refused(reason)));
    }
    for reason in [CloseReason::TakenOver, CloseReason::Kicked, CloseReason::Requested] {
        let mut link = ready(reconnecting());
        hear(&mut link, &goodbye(reason, 0));
        link.handle_lost(Instant::now(), 0);
        assert_eq!(link.action(), LinkAction::Stop(LinkEnd::Closed(reason)));
    }
    let mut link = Link::new(reconnecting());
    link.handle_connect_failed(true, Instant::now(), 0);
    assert_eq!(link.action(), LinkAction::Stop(LinkEnd::Permanent));
}

#[test]
fn the_engines_advice_when_to_come_back_is_kept() {
    let now = Instant::now();
    let mut link = Link::new(reconnecting());
    link.handle_connected();
    assert_eq!(hear(&mut link, &refusal(Refusal::AtCapacity, 700)), "refused 5");
    link.handle_lost(now, 0);
    assert_eq!(link.action(), LinkAction::WaitUntil(now + Duration::from_millis(700)));

    let mut link = ready(reconnecting());
    hear(&mut link, &goodbye(CloseReason::ShuttingDown, 900));
    link.handle_lost(now, 0);
    assert_eq!(link.action(), LinkAction::WaitUntil(now + Duration::from_millis(900)));
}

#[test]
fn an_engine_of_another_version_is_left_alone() {
    let mut link = Link::new(reconnecting());
    link.handle_connected();
    hear(&mut link, &EngineHello { version: 2, ..EngineHello::default() }.encode());
    assert_eq!(link.action(), LinkAction::Stop(LinkEnd::Refused(Refusal::Version)));
}

#[test]
fn a_connection_that_lived_long_is_progress() {
    let mut link = ready(reconnecting());
    let mut now = Instant::now();
    for _ in 0..100 {
        link.handle_ready(now);
        now += Duration::from_secs(5);
        link.handle_lost(now, u64::MAX);
        let LinkAction::WaitUntil(until) = link.action() else { panic!("{:?}", link.action()) };
        assert_eq!(until - now, Duration::from_millis(10), "the first try is immediate");
        link.handle_timeout(until);
        link.handle_connected();
        assert_eq!(hear(&mut link, &welcome()), "welcome");
    }
}

#[test]
fn connections_that_do_not_last_are_no_progress() {
    let mut link = ready(reconnecting());
    let mut now = Instant::now();
    let mut attempts = 0;
    loop {
        link.handle_ready(now);
        now += Duration::from_secs(4);
        link.handle_lost(now, u64::MAX);
        let until = match link.action() {
            LinkAction::WaitUntil(until) => until,
            action => break assert_eq!(action, LinkAction::Stop(LinkEnd::GaveUp { attempts: 10 })),
        };
        attempts += 1;
        assert_eq!(link.attempts(), attempts);
        now = until;
        link.handle_timeout(now);
        link.handle_connected();
        assert_eq!(hear(&mut link, &welcome()), "welcome");
    }
    assert_eq!(attempts, 10);
}

#[test]
fn the_callers_deadline_ends_it_and_the_last_try_is_made_then() {
    let mut policy = reconnecting();
    policy.deadline = Some(Duration::from_secs(1));
    let mut link = ready(policy);
    let begun = Instant::now();
    let mut now = begun;
    let mut attempts = 0;
    link.handle_lost(now, u64::MAX);
    while let LinkAction::WaitUntil(until) = link.action() {
        attempts += 1;
        now = until;
        link.handle_timeout(now);
        link.handle_connect_failed(false, now, u64::MAX);
    }
    assert_eq!(link.action(), LinkAction::Stop(LinkEnd::GaveUp { attempts }));
    assert_eq!(now - begun, Duration::from_secs(1));
}

#[test]
fn who_cannot_prove_who_it_was_comes_back_as_somebody_else() {
    let mut link = Link::new(reconnecting());
    link.handle_connected();
    assert_eq!(hear(&mut link, &refusal(Refusal::ResumeSecret, 0)), "refused 9");
    link.handle_lost(Instant::now(), 0);
    assert!(matches!(link.action(), LinkAction::WaitUntil(_)));
}
