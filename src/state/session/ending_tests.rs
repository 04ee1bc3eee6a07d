//! The end of a child that was asked to end, rule by rule.

use tautline_protocol::{AttachTerms, ExitKind};

use super::{super::tests::TERMS, *};
use crate::state::Exit;

const SECOND: Duration = Duration::from_secs(1);

fn started(now: Instant) -> Session<()> {
    let mut session = Session::new(TERMS);
    session.handle_started(1, 2, now);
    session
}

fn end(session: &mut Session<()>, now: Instant) {
    session.handle_exit(Exit { kind: ExitKind::Code, value: 0 }, now);
    session.handle_output_end(now);
}

#[test]
fn of_several_that_ask_the_closest_deadline_counts() {
    let now = Instant::now();
    let mut session = started(now);
    for seconds in [1000, 3, 50] {
        session.handle_end_asked(seconds * SECOND, now);
    }
    assert_eq!(session.deadline(), Some(now + 3 * SECOND));
    assert_eq!(session.poll_end(now + 2 * SECOND), None);
    assert_eq!(session.poll_end(now + 3 * SECOND), Some(EndStep::Kill));
    assert_eq!(session.poll_end(now + 3 * SECOND), None, "once");
}

#[test]
fn a_kill_that_brings_no_end_lets_go_of_the_terminal_and_is_not_put_off() {
    let now = Instant::now();
    let mut session = started(now);
    session.handle_end_asked(Duration::ZERO, now);
    assert_eq!(session.poll_end(now), Some(EndStep::Kill));
    let due = now + 2 * EXIT_GRACE;
    session.handle_end_asked(Duration::ZERO, now + EXIT_GRACE);
    assert_eq!(session.poll_end(now + EXIT_GRACE), None, "it was killed");
    assert_eq!(session.deadline(), Some(due));
    assert_eq!(session.poll_end(due), Some(EndStep::LetGo));
    assert_eq!(session.poll_end(due), None);
}

#[test]
fn what_one_child_was_asked_does_not_concern_the_next() {
    let now = Instant::now();
    let mut session = started(now);
    session.handle_end_asked(SECOND, now);
    session.handle_restart_asked(now);
    end(&mut session, now);
    session.handle_end_asked(Duration::ZERO, now);
    assert_eq!(session.poll_end(now + 9 * SECOND), None, "nothing runs");
    session.handle_started(2, 3, now);
    assert_eq!(session.poll_end(now + 9 * SECOND), None);
    session.handle_end_asked(SECOND, now);
    assert_eq!(session.poll_end(now + SECOND), Some(EndStep::Kill));
}

#[test]
fn an_owner_that_stays_away_ends_the_session_and_one_that_comes_back_does_not() {
    let now = Instant::now();
    let mut session = started(now);
    let terms = AttachTerms { attachment: 1, flags: AttachFlags::OWNER, ..AttachTerms::default() };
    let attach = |session: &mut Session<()>| session.attach([1; 16], 5, &terms, 0, ()).unwrap();
    let leave = |session: &mut Session<()>, id, now| {
        session.forget(id);
        session.handle_owner_left(now);
    };
    let first = attach(&mut session);
    leave(&mut session, first, now);
    let second = attach(&mut session);
    assert_eq!(session.poll_end(now + OWNER_GRACE), None, "it came back");
    // From its second leave it has all its time again.
    let later = now + OWNER_GRACE - SECOND;
    leave(&mut session, second, later);
    assert_eq!(session.poll_end(now + OWNER_GRACE), None);
    assert_eq!(session.poll_end(later + OWNER_GRACE), Some(EndStep::HangUp));
    assert_eq!(session.poll_end(later + OWNER_GRACE), None);
}
