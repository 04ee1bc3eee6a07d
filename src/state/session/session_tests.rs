//! The session's rules, one test each.

use tautline_protocol::{
    AdjustCause, AttachFlags, AttachTerms, Delivery, OutputFlags, View, limits::OUTPUT_MAX,
};

use super::*;
use crate::state::InputVerdict;

const EXITED: Exit = Exit { kind: ExitKind::Code, value: 7 };
const ALICE: ClientId = [1; 16];
const BOB: ClientId = [2; 16];

/// A small session that stays.
pub(super) const TERMS: SessionTerms = SessionTerms {
    log_size: 100_000,
    input_window: 100,
    size: WindowSize::cells(80, 24),
    size_policy: SizePolicy::Latest,
    is_ephemeral: false,
    restart: RestartPolicy::Never,
};

struct Harness {
    session: Session<&'static str>,
    now: Instant,
}

impl Harness {
    fn started() -> Self {
        let mut session = Session::new(TERMS);
        let now = Instant::now();
        session.handle_started(77, 1234, now);
        Self { session, now }
    }

    fn ephemeral() -> Self {
        let mut harness = Self::started();
        harness.session.is_ephemeral = true;
        harness
    }

    fn attach(&mut self, client: ClientId, terms: AttachTerms) -> AttachmentId {
        self.session.attach(client, 5, &terms, 0, "handle").unwrap()
    }

    /// Prints as much as the reader may, and tells how much that was.
    fn print(&mut self, mut count: usize) -> usize {
        let mut printed = 0;
        while count > 0 {
            let room = self.session.log_spare().len().min(count);
            if room == 0 {
                break;
            }
            self.session.handle_output(room, self.now);
            count -= room;
            printed += room;
        }
        printed
    }

    /// Sends all there is, as an I/O shell with an endlessly fast socket would.
    fn send_all(&mut self, id: AttachmentId) -> Vec<Send> {
        let mut sends = Vec::new();
        while let Some(attachment) = self.session.attachment(id) {
            let mut cursor = attachment.cursor();
            let Some(send) = self.session.next_send(attachment, &mut cursor) else { break };
            self.session.commit(id, cursor);
            sends.push(send);
        }
        sends
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
    }

    fn exit(&mut self) {
        self.session.handle_exit(EXITED, self.now);
        self.session.handle_output_end(self.now);
    }
}

fn terms(delivery: Delivery) -> AttachTerms {
    AttachTerms {
        attachment: 3,
        delivery: delivery.to_wire(),
        window: if delivery == Delivery::None { 0 } else { 20_000 },
        pause_limit_ms: 2_000,
        output_from: u64::MAX,
        ..AttachTerms::default()
    }
}

fn from_offset(offset: u64) -> AttachTerms {
    AttachTerms { view: View::Offset.to_wire(), output_from: offset, ..terms(Delivery::Log) }
}

fn output_bytes(sends: &[Send]) -> usize {
    let len = |send: &Send| if let Send::Output { len, .. } = send { *len } else { 0 };
    sends.iter().map(len).sum()
}

#[test]
fn output_is_sent_in_order_and_in_frames_that_fit() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(10_000);
    let sends = harness.send_all(id);
    let frame = |offset, len| Send::Output { offset, len, flags: 0, input_applied: 0 };
    assert_eq!(sends, [frame(0, OUTPUT_MAX), frame(8128, 10_000 - OUTPUT_MAX)]);
}

#[test]
fn a_subscriber_gets_its_window_and_then_as_much_as_it_consumes() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(50_000);
    assert_eq!(output_bytes(&harness.send_all(id)), 20_000);
    assert_eq!(harness.session.handle_consumed(id, 5_000), Ok(()));
    assert_eq!(output_bytes(&harness.send_all(id)), 5_000);
    assert_eq!(harness.session.handle_consumed(id, 25_001), Err(ConsumedAhead));
    assert_eq!(harness.session.handle_consumed(id, 0), Ok(()), "a late one changes nothing");
    assert_eq!(output_bytes(&harness.send_all(id)), 0);
}

#[test]
fn a_lossless_subscriber_holds_the_child_and_others_do_not() {
    let mut harness = Harness::started();
    let slow = harness.attach(ALICE, terms(Delivery::Lossless));
    assert_eq!(harness.print(1_000_000), 20_000);
    assert_eq!(harness.session.read_budget(), 0);
    harness.send_all(slow);
    harness.session.handle_consumed(slow, 100).unwrap();
    assert_eq!(harness.print(1_000_000), 100);
    harness.session.handle_detach(slow, DetachReason::Asked);
    assert_eq!(harness.print(1_000_000), 1_000_000, "who has left holds nobody");

    let mut harness = Harness::started();
    harness.attach(ALICE, terms(Delivery::Log));
    harness.attach(BOB, terms(Delivery::None));
    assert_eq!(harness.print(1_000_000), 1_000_000);
}

#[test]
fn who_holds_the_child_too_long_is_demoted_and_told() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Lossless));
    harness.print(20_000);
    harness.send_all(id);
    assert_eq!(harness.session.deadline(), Some(harness.now + Duration::from_secs(2)));
    harness.wait(Duration::from_millis(1_999));
    assert_eq!(harness.session.read_budget(), 0);
    harness.wait(Duration::from_millis(1));
    assert_eq!(harness.send_all(id), [Send::Adjusted { cause: AdjustCause::Demoted }]);
    assert_eq!(harness.print(500_000), 500_000);
    let attachment = harness.session.attachment(id).unwrap();
    assert_eq!(attachment.delivery(), Delivery::Log);
}

#[test]
fn consuming_in_time_starts_the_pause_limit_anew() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Lossless));
    for round in 1..10 {
        harness.print(20_000);
        harness.send_all(id);
        harness.wait(Duration::from_millis(1_500));
        harness.session.handle_consumed(id, round * 10_000).unwrap();
    }
    assert_eq!(harness.session.attachment(id).unwrap().delivery(), Delivery::Lossless);
}

#[test]
fn what_left_the_log_is_a_gap_of_exactly_the_missing_bytes() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(1_000_000);
    let held_from = harness.session.log().start();
    let sends = harness.send_all(id);
    assert_eq!(sends[0], Send::Gap { from: 0, to: held_from });
    let Send::Output { offset, .. } = sends[1] else { panic!("output follows the gap") };
    assert_eq!(offset, held_from);
}

#[test]
fn a_client_that_comes_back_goes_on_where_it_says() {
    let mut harness = Harness::started();
    harness.print(3_000);
    let id = harness.attach(ALICE, from_offset(1_000));
    harness.print(500);
    let sends = harness.send_all(id);
    assert_eq!(output_bytes(&sends), 2_500);
    let replay = OutputFlags::REPLAY;
    assert!(matches!(sends[0], Send::Output { offset: 1_000, flags, .. } if flags == replay));

    let future = harness.session.attach(BOB, 5, &from_offset(3_501), 0, "handle");
    assert_eq!(future, Err(AttachError::FutureOffset { asked: 3_501, end: 3_500 }));
    let stranger = harness.session.attach(BOB, 5, &from_offset(0), 78, "handle");
    assert_eq!(stranger, Err(AttachError::ResumeExpired));
}

#[test]
fn exit_is_told_once_after_the_last_byte() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(100);
    harness.session.handle_exit(EXITED, harness.now);
    harness.print(30_000);
    assert_eq!(output_bytes(&harness.send_all(id)), 20_000);
    harness.session.handle_output_end(harness.now);
    assert_eq!(harness.send_all(id), [], "no credit, no exit");
    harness.session.handle_consumed(id, 20_000).unwrap();
    let sends = harness.send_all(id);
    assert_eq!(output_bytes(&sends), 10_100);
    let exited = Send::Exited { epoch: 77, offset: 30_100, exit: EXITED };
    assert_eq!(sends.last(), Some(&exited));
    assert_eq!(harness.send_all(id), []);
    assert_eq!(harness.session.state(), SessionState::Exited);
}

#[test]
fn a_child_left_behind_does_not_keep_the_session_open() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.session.handle_exit(EXITED, harness.now);
    for _ in 0..4 {
        harness.print(10);
        harness.wait(EXIT_GRACE / 5);
        assert!(harness.session.is_live());
    }
    harness.wait(EXIT_GRACE / 5);
    let exited = Send::Exited { epoch: 77, offset: 40, exit: EXITED };
    assert_eq!(harness.send_all(id).last(), Some(&exited));
}

#[test]
fn what_a_child_left_in_the_terminal_is_taken_in_whoever_held_it() {
    let mut harness = Harness::started();
    let holder = AttachTerms { pause_limit_ms: u32::MAX, ..terms(Delivery::Lossless) };
    let id = harness.attach(ALICE, holder);
    harness.print(20_000);
    assert_eq!(harness.print(1), 0, "it is held");
    harness.session.handle_exit(EXITED, harness.now);
    assert_eq!(harness.print(4_000), 4_000);
    harness.session.handle_output_end(harness.now);
    assert_eq!(output_bytes(&harness.send_all(id)), 20_000);
    harness.session.handle_consumed(id, 20_000).unwrap();
    let sends = harness.send_all(id);
    assert_eq!(output_bytes(&sends), 4_000);
    assert!(matches!(sends.last(), Some(Send::Exited { offset: 24_000, .. })));
}

#[test]
fn the_grace_after_an_exit_does_not_cut_what_the_log_has_no_room_for() {
    let mut harness = Harness::started();
    let holder = AttachTerms { pause_limit_ms: u32::MAX, ..terms(Delivery::Lossless) };
    let id = harness.attach(ALICE, holder);
    harness.session.handle_exit(EXITED, harness.now);
    assert_eq!(harness.print(200_000), 100_000, "all that the log holds unsent");
    harness.wait(Duration::from_secs(60));
    assert!(harness.session.is_live(), "its last words are still in the terminal");
    harness.send_all(id);
    harness.session.handle_consumed(id, 20_000).unwrap();
    assert_eq!(harness.print(200_000), 20_000);
    harness.session.handle_output_end(harness.now);
    assert!(!harness.session.is_live());
}

#[test]
fn a_restart_is_told_between_the_two_children_even_to_those_behind() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(20_500);
    harness.exit();
    harness.session.handle_started(78, 1235, harness.now);
    harness.print(40);
    assert_eq!(output_bytes(&harness.send_all(id)), 20_000);
    harness.session.handle_consumed(id, 20_000).unwrap();
    let sends = harness.send_all(id);
    let output = |offset, len| Send::Output { offset, len, flags: 0, input_applied: 0 };
    let expected = [
        output(20_000, 500),
        Send::Exited { epoch: 77, offset: 20_500, exit: EXITED },
        Send::Started { epoch: 78, offset: 20_500, pid: 1235 },
        output(20_500, 40),
    ];
    assert_eq!(sends, expected);
}

#[test]
fn an_ephemeral_session_is_finished_once_everyone_knows() {
    let mut harness = Harness::ephemeral();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(10);
    harness.exit();
    assert!(!harness.session.is_finished());
    let sends = harness.send_all(id);
    assert!(matches!(sends[0], Send::Output { len: 10, .. }));
    assert!(matches!(sends[1], Send::Exited { .. }));
    assert_eq!(sends[2], Send::Detached { reason: DetachReason::Ended, offset: 10 });
    assert_eq!(harness.session.forget(id), Some("handle"));
    assert!(harness.session.is_finished());
}

#[test]
fn whoever_leaves_does_not_wait_for_a_flood_to_end() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(10_000);
    harness.session.handle_detach(id, DetachReason::Kicked);
    harness.session.handle_detach(id, DetachReason::Asked);
    let detached = Send::Detached { reason: DetachReason::Kicked, offset: 0 };
    assert_eq!(harness.send_all(id), [detached], "the first reason counts");
}

#[test]
fn input_marks_live_until_the_last_attachment_is_gone_and_all_is_written() {
    let mut harness = Harness::started();
    let first = harness.attach(ALICE, terms(Delivery::None));
    let second = harness.attach(ALICE, terms(Delivery::None));
    let (verdict, ledger) = harness.session.handle_input(first, 0, 0, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Accept { skip: 0 });
    harness.session.forget(first);
    let (verdict, _) = harness.session.handle_input(second, 0, 5, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Accept { skip: 5 });
    harness.session.forget(second);
    let third = harness.attach(ALICE, terms(Delivery::None));
    let (verdict, _) = harness.session.handle_input(third, 0, 15, 86).unwrap();
    assert_eq!(verdict, InputVerdict::BeyondWindow, "what is queued still counts");
    harness.session.handle_applied(ledger, 15, harness.now);
    harness.session.forget(third);
    let fourth = harness.attach(ALICE, terms(Delivery::None));
    let (verdict, _) = harness.session.handle_input(fourth, 0, 0, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Accept { skip: 0 }, "a new ledger begins at 0");
}

#[test]
fn an_acknowledgement_rides_on_output_or_comes_after_five_milliseconds() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    let (_, ledger) = harness.session.handle_input(id, 0, 0, 10).unwrap();
    harness.session.handle_applied(ledger, 4, harness.now);
    assert_eq!(harness.send_all(id), []);
    harness.print(1);
    let output = Send::Output { offset: 0, len: 1, flags: 0, input_applied: 4 };
    assert_eq!(harness.send_all(id), [output]);
    assert_eq!(harness.session.deadline(), None);

    harness.session.handle_applied(ledger, 6, harness.now);
    assert_eq!(harness.session.deadline(), Some(harness.now + ACK_DELAY));
    harness.wait(ACK_DELAY);
    assert_eq!(harness.send_all(id), [Send::InputApplied { applied: 10 }]);
    assert_eq!(harness.session.deadline(), None);
}

#[test]
fn an_acknowledgement_comes_at_once_when_asked_for_or_half_a_window_is_owed() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    let (_, ledger) = harness.session.handle_input(id, 0, 0, 60).unwrap();
    harness.session.handle_applied(ledger, 50, harness.now);
    assert_eq!(harness.send_all(id), [Send::InputApplied { applied: 50 }]);
    harness.session.attachment_mut(id).unwrap().handle_ack_wanted();
    harness.session.handle_input(id, 0, 60, 4).unwrap();
    harness.session.handle_applied(ledger, 14, harness.now);
    assert_eq!(harness.send_all(id), [Send::InputApplied { applied: 64 }]);
}

#[test]
fn input_to_be_acknowledged_at_once_is_so_whatever_was_acknowledged_meanwhile() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    let (_, ledger) = harness.session.handle_input(id, 0, 0, 10).unwrap();
    harness.session.attachment_mut(id).unwrap().handle_ack_wanted();
    harness.session.handle_input(id, 0, 10, 5).unwrap();
    harness.session.handle_applied(ledger, 10, harness.now);
    harness.print(1);
    let output = Send::Output { offset: 0, len: 1, flags: 0, input_applied: 10 };
    assert_eq!(harness.send_all(id), [output]);
    harness.session.handle_applied(ledger, 5, harness.now);
    assert_eq!(harness.send_all(id), [Send::InputApplied { applied: 15 }]);
}

#[test]
fn a_new_child_starts_input_at_zero_and_ignores_the_old_writer() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    let (_, old) = harness.session.handle_input(id, 0, 0, 60).unwrap();
    harness.exit();
    harness.session.handle_started(78, 1235, harness.now);
    harness.session.handle_applied(old, 60, harness.now);
    let marks = harness.session.marks(ALICE).unwrap();
    assert_eq!((marks.accepted(), marks.applied()), (0, 0));
    assert!(matches!(harness.send_all(id)[..], [Send::Exited { .. }, Send::Started { .. }]));
}

#[test]
fn input_meant_for_a_child_that_was_replaced_is_dropped() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.session.handle_input(id, 0, 0, 60).unwrap();
    harness.exit();
    harness.session.handle_started(78, 1235, harness.now);
    let (verdict, _) = harness.session.handle_input(id, 0, 60, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Stale, "it was in flight over the restart");
    let (verdict, _) = harness.session.handle_input(id, 0, 0, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Stale, "also where the offset would fit");
    let (verdict, _) = harness.session.handle_input(id, 1, 0, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Accept { skip: 0 });
    let late = harness.attach(BOB, terms(Delivery::Log));
    let (verdict, _) = harness.session.handle_input(late, 0, 0, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Accept { skip: 0 }, "counted from its own attach");
}

#[test]
fn input_in_flight_over_a_refusal_is_dropped_and_no_fault() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.session.handle_input(id, 0, 0, 10).unwrap();
    harness.session.handle_input_refused(id);
    let (verdict, _) = harness.session.handle_input(id, 0, 30, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Stale);
    let (verdict, _) = harness.session.handle_input(id, 0, 10, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Accept { skip: 0 });
    let (verdict, _) = harness.session.handle_input(id, 0, 30, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Gap, "from here on a gap is a gap again");
}

#[test]
fn a_line_that_is_too_long_is_told_behind_what_of_it_was_written() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    let other = harness.attach(BOB, terms(Delivery::Log));
    harness.session.attachment_mut(id).unwrap().handle_ack_wanted();
    let (_, old) = harness.session.handle_input(id, 0, 0, 60).unwrap();
    let (_, bobs) = harness.session.handle_input(other, 0, 0, 10).unwrap();
    harness.session.handle_applied(old, 40, harness.now);
    harness.session.handle_line_full(old);
    let (verdict, _) = harness.session.handle_input(id, 0, 40, 5).unwrap();
    assert_eq!(verdict, InputVerdict::Stale, "nobody goes on before it is told");
    let told = [Send::InputApplied { applied: 40 }, Send::LineFull { accepted: 40 }];
    assert_eq!(harness.send_all(id), told);
    assert_eq!(harness.send_all(other), [], "who types where there is room hears nothing");
    assert!(!harness.session.is_ledger_known(old) && harness.session.is_ledger_known(bobs));
    harness.session.handle_line_full(old);
    assert_eq!(harness.send_all(id), [], "what is dropped is not refused again");
    let (verdict, _) = harness.session.handle_input(id, 0, 60, 10).unwrap();
    assert_eq!(verdict, InputVerdict::Stale, "it was in flight");
    harness.session.attachment_mut(id).unwrap().handle_ack_wanted();
    let (verdict, new) = harness.session.handle_input(id, 0, 40, 5).unwrap();
    assert_eq!(verdict, InputVerdict::Accept { skip: 0 });
    harness.session.handle_applied(new, 5, harness.now);
    let at_once = Send::InputApplied { applied: 45 };
    assert_eq!(harness.send_all(id), [at_once], "not only once 60 bytes are written");
}

#[test]
fn a_line_of_a_child_that_was_replaced_is_not_told() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    let (_, ledger) = harness.session.handle_input(id, 0, 0, 60).unwrap();
    harness.session.handle_line_full(ledger);
    harness.exit();
    harness.session.handle_started(78, 1235, harness.now);
    assert!(matches!(harness.send_all(id)[..], [Send::Exited { .. }, Send::Started { .. }]));
    let (_, ledger) = harness.session.handle_input(id, 1, 0, 60).unwrap();
    harness.session.handle_line_full(ledger);
    assert_eq!(harness.send_all(id), [Send::LineFull { accepted: 0 }]);
}

#[test]
fn size_policies_pick_among_those_attached() {
    let size = WindowSize::cells;
    let mut harness = Harness::started();
    let alice = harness.attach(ALICE, terms(Delivery::Log));
    let bob = harness.attach(BOB, terms(Delivery::Log));
    assert_eq!(harness.session.handle_resize(alice, size(80, 24)), None, "no change, no signal");
    assert_eq!(harness.session.handle_resize(bob, size(100, 20)), Some(size(100, 20)));
    let policy = |harness: &mut Harness, policy| harness.session.handle_size_policy(policy);
    assert_eq!(policy(&mut harness, SizePolicy::Smallest), Some(size(80, 20)));
    assert_eq!(policy(&mut harness, SizePolicy::Largest), Some(size(100, 24)));
    assert_eq!(harness.session.handle_size_fixed(size(9, 9)), Some(size(9, 9)));
    assert_eq!(harness.session.handle_resize(bob, size(50, 50)), None);
    assert_eq!(policy(&mut harness, SizePolicy::Smallest), Some(size(50, 24)));
    harness.session.forget(bob);
    assert_eq!(harness.session.handle_sizes_changed(), Some(size(80, 24)));
    let told = harness.send_all(alice);
    let policy = SizePolicy::Smallest;
    assert_eq!(told, [Send::Resized { size: size(80, 24), policy }], "only the newest is told");
}

#[test]
fn a_viewer_has_no_say_in_the_size() {
    let mut harness = Harness::started();
    let viewer = AttachTerms { flags: AttachFlags::READ_ONLY, ..terms(Delivery::Log) };
    let viewer = harness.attach(BOB, viewer);
    assert_eq!(harness.session.handle_resize(viewer, WindowSize::cells(10, 10)), None);
    assert_eq!(harness.session.size(), WindowSize::cells(80, 24));
}

#[test]
fn a_frame_that_was_not_begun_is_planned_again() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(10);
    let attachment = harness.session.attachment(id).unwrap();
    let mut cursor = attachment.cursor();
    let first = harness.session.next_send(attachment, &mut cursor);
    harness.print(10);
    let attachment = harness.session.attachment(id).unwrap();
    let mut cursor = attachment.cursor();
    let again = harness.session.next_send(attachment, &mut cursor);
    assert!(matches!(first, Some(Send::Output { offset: 0, len: 10, .. })));
    assert!(matches!(again, Some(Send::Output { offset: 0, len: 20, .. })));
}

#[test]
fn no_frame_is_part_replay_and_part_live() {
    let mut harness = Harness::started();
    harness.print(100);
    let id = harness.attach(ALICE, from_offset(40));
    harness.print(20);
    let frame = |offset, len, flags| Send::Output { offset, len, flags, input_applied: 0 };
    let expected = [frame(40, 60, OutputFlags::REPLAY), frame(100, 20, 0)];
    assert_eq!(harness.send_all(id), expected);
}

#[test]
fn whoever_comes_late_to_an_ephemeral_session_is_told_its_end_as_well() {
    let mut harness = Harness::ephemeral();
    harness.attach(ALICE, terms(Delivery::Log));
    harness.print(10);
    harness.exit();
    let late = harness.attach(BOB, from_offset(0));
    let sends = harness.send_all(late);
    assert!(matches!(sends[..2], [Send::Output { len: 10, .. }, Send::Exited { .. }]));
    assert_eq!(sends[2..], [Send::Detached { reason: DetachReason::Ended, offset: 10 }]);
}

#[test]
fn whoever_leaves_an_ended_session_does_not_wait_for_its_last_output() {
    let mut harness = Harness::ephemeral();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(50_000);
    harness.exit();
    assert_eq!(output_bytes(&harness.send_all(id)), 20_000, "no credit for more");
    harness.session.handle_detach(id, DetachReason::Asked);
    let detached = Send::Detached { reason: DetachReason::Asked, offset: 20_000 };
    assert_eq!(harness.send_all(id), [detached]);
}

#[test]
fn no_window_is_larger_than_the_log() {
    let mut harness = Harness::started();
    let wide = AttachTerms { window: 1 << 20, ..terms(Delivery::Lossless) };
    let id = harness.attach(ALICE, wide);
    assert_eq!(harness.session.attachment(id).unwrap().window(), 100_000);
    let attachment = harness.session.attachment_mut(id).unwrap();
    attachment.handle_adjust(0, 1 << 20, 0, None);
    assert_eq!(harness.print(1 << 20), 100_000);
    assert_eq!(harness.session.log().start(), 0, "nothing it is owed was lost");
}

#[test]
fn a_hold_that_begins_without_output_ends_in_time_as_well() {
    let mut harness = Harness::started();
    harness.print(50_000);
    let terms = AttachTerms { delivery: Delivery::Lossless.to_wire(), ..from_offset(0) };
    let id = harness.attach(ALICE, terms);
    assert_eq!(harness.session.read_budget(), 0);
    harness.session.handle_reader_held(harness.now);
    assert_eq!(harness.session.deadline(), Some(harness.now + Duration::from_secs(2)));
    let attachment = harness.session.attachment_mut(id).unwrap();
    attachment.handle_adjust(0, 0, 0, None);
    harness.wait(Duration::from_secs(2));
    let attachment = harness.session.attachment(id).unwrap();
    assert_eq!(attachment.delivery(), Delivery::Log, "asking for other terms gains no time");
}

#[test]
fn last_words_are_read_when_hold_and_grace_end_together() {
    let mut harness = Harness::started();
    let limit = EXIT_GRACE.as_millis() as u32;
    let holder = AttachTerms { pause_limit_ms: limit, ..terms(Delivery::Lossless) };
    harness.attach(ALICE, holder);
    harness.session.handle_exit(EXITED, harness.now);
    harness.print(100_000);
    harness.session.handle_reader_held(harness.now);
    harness.wait(EXIT_GRACE);
    assert!(harness.session.is_live(), "until now nobody could read them");
    assert_eq!(harness.print(4), 4);
    harness.wait(EXIT_GRACE);
    assert!(!harness.session.is_live());
}

#[test]
fn whoever_is_too_far_behind_to_be_told_all_ends_is_told_each_once_and_may_type() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    let last = 77 + TURNS_MAX as u64 + 3;
    for epoch in 78..=last {
        harness.print(1);
        harness.exit();
        harness.session.handle_started(epoch, 1, harness.now);
    }
    let ended =
        |send: &Send| if let Send::Exited { epoch, .. } = send { Some(*epoch) } else { None };
    let sends = harness.send_all(id);
    let ends = sends.iter().filter_map(ended).collect::<Vec<_>>();
    assert_eq!(ends, (last - TURNS_MAX as u64..last).collect::<Vec<_>>());
    assert_eq!(output_bytes(&sends) as u64, last - 77);
    let (verdict, _) = harness.session.handle_input(id, TURNS_MAX as u16, 0, 1).unwrap();
    assert_eq!(verdict, InputVerdict::Accept { skip: 0 }, "it counts what it was told");
}

#[test]
fn a_child_that_fails_is_started_again_later_and_later() {
    let mut harness = Harness::started();
    harness.session.set_restart_policy(RestartPolicy::OnFailure);
    let mut waits = Vec::new();
    for epoch in 100..112 {
        harness.exit();
        assert_eq!(harness.session.state(), SessionState::Waiting);
        assert!(!harness.session.is_restart_due(harness.now));
        let due = harness.session.deadline().unwrap();
        waits.push(due.duration_since(harness.now));
        harness.now = due;
        assert!(harness.session.is_restart_due(harness.now));
        harness.session.handle_started(epoch, 1, harness.now);
        assert_eq!(harness.session.deadline(), None);
    }
    assert_eq!(waits[0], RESTART_DELAY);
    assert_eq!(waits[1], RESTART_DELAY * 2);
    assert_eq!(*waits.last().unwrap(), RESTART_DELAY_MAX);
    harness.now += RUN_SOUND;
    harness.exit();
    let due = harness.session.deadline().unwrap();
    assert_eq!(due.duration_since(harness.now), RESTART_DELAY, "it did well before it failed");
}

#[test]
fn a_child_that_succeeds_is_started_again_only_if_always() {
    let success = Exit { kind: ExitKind::Code, value: 0 };
    for (policy, state) in [
        (RestartPolicy::Never, SessionState::Exited),
        (RestartPolicy::OnFailure, SessionState::Exited),
        (RestartPolicy::Always, SessionState::Waiting),
    ] {
        let mut harness = Harness::started();
        harness.session.set_restart_policy(policy);
        harness.session.handle_exit(success, harness.now);
        harness.session.handle_output_end(harness.now);
        assert_eq!(harness.session.state(), state, "{policy:?}");
    }
}

#[test]
fn a_child_that_was_stopped_stays_ended() {
    let mut harness = Harness::started();
    harness.session.set_restart_policy(RestartPolicy::Always);
    harness.session.handle_stopping();
    harness.exit();
    assert_eq!(harness.session.state(), SessionState::Exited);
}

#[test]
fn stopping_while_the_next_child_is_awaited_ends_the_wait_for_those_attached() {
    let mut harness = Harness::started();
    harness.session.set_restart_policy(RestartPolicy::Always);
    let alice = harness.attach(ALICE, terms(Delivery::Lossless));
    harness.exit();
    let told = harness.send_all(alice);
    assert!(matches!(told[..], [Send::Exited { .. }]), "{told:?}");
    harness.session.handle_stopping();
    assert_eq!(harness.session.deadline(), None);
    let told = harness.send_all(alice);
    assert!(matches!(told[..], [Send::Detached { reason: DetachReason::Ended, .. }]), "{told:?}");
}

#[test]
fn a_restart_that_was_asked_for_comes_at_once_and_whatever_the_policy() {
    let mut harness = Harness::ephemeral();
    let alice = harness.attach(ALICE, terms(Delivery::Lossless));
    harness.session.handle_restart_asked(harness.now);
    assert_eq!(harness.session.state(), SessionState::Stopping);
    harness.exit();
    assert!(harness.session.is_restart_due(harness.now));
    harness.session.handle_started(78, 2, harness.now);
    let told = harness.send_all(alice);
    assert!(matches!(told[..], [Send::Exited { .. }, Send::Started { epoch: 78, .. }]), "{told:?}");
    harness.exit();
    assert_eq!(harness.session.state(), SessionState::Exited, "it was asked for once");
}

#[test]
fn a_child_that_cannot_be_started_is_tried_again_only_if_the_policy_says_so() {
    for (policy, state) in [
        (RestartPolicy::Never, SessionState::Exited),
        (RestartPolicy::Always, SessionState::Waiting),
    ] {
        let mut harness = Harness::started();
        harness.exit();
        harness.session.set_restart_policy(policy);
        harness.session.handle_restart_asked(harness.now);
        harness.session.handle_start_failed(harness.now);
        assert_eq!(harness.session.state(), state, "{policy:?}");
        assert!(!harness.session.is_restart_due(harness.now));
    }
}

#[test]
fn what_was_written_is_told_before_the_childs_end_also_to_those_behind() {
    let mut harness = Harness::started();
    let near = harness.attach(ALICE, terms(Delivery::Log));
    let far = harness.attach(BOB, terms(Delivery::Log));
    for (id, len) in [(near, 10), (far, 20)] {
        let (_, ledger) = harness.session.handle_input(id, 0, 0, len).unwrap();
        harness.session.handle_applied(ledger, len as u64, harness.now);
    }
    harness.exit();
    let exited = Send::Exited { epoch: 77, offset: 0, exit: EXITED };
    assert_eq!(harness.send_all(near), [Send::InputApplied { applied: 10 }, exited]);
    // The next child counts anew, and whoever has not heard of the last one still does.
    harness.session.handle_started(78, 1235, harness.now);
    let started = Send::Started { epoch: 78, offset: 0, pid: 1235 };
    assert_eq!(harness.send_all(near), [started]);
    assert_eq!(harness.send_all(far), [Send::InputApplied { applied: 20 }, exited, started]);
}

#[test]
fn when_who_told_the_latest_size_leaves_the_one_before_counts() {
    let size = WindowSize::cells;
    let mut harness = Harness::started();
    let alice = harness.attach(ALICE, terms(Delivery::Log));
    let bob = harness.attach(BOB, terms(Delivery::Log));
    let silent = harness.attach(BOB, AttachTerms { attachment: 4, ..terms(Delivery::Log) });
    assert_eq!(harness.session.handle_resize(bob, size(60, 15)), Some(size(60, 15)));
    assert_eq!(harness.session.handle_resize(alice, size(101, 31)), Some(size(101, 31)));
    harness.session.forget(silent);
    assert_eq!(harness.session.handle_sizes_changed(), None, "whoever told no size has no say");
    harness.session.forget(alice);
    assert_eq!(harness.session.handle_sizes_changed(), Some(size(60, 15)));
    harness.session.forget(bob);
    assert_eq!(harness.session.handle_sizes_changed(), None, "nobody is left to please");
}

/// A client whose connection is lost now, for up to a minute.
fn lose(harness: &mut Harness, id: AttachmentId) {
    assert!(harness.session.handle_lost(id, Duration::from_secs(60), harness.now));
}

fn come_back(
    harness: &mut Harness,
    terms: &AttachTerms,
    epoch: u64,
) -> Result<AttachmentId, AttachError> {
    harness.session.attach(ALICE, 6, terms, epoch, "handle")
}

#[test]
fn marks_are_kept_for_a_client_that_was_lost_and_not_for_one_that_left() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.session.handle_input(id, 0, 0, 5).unwrap();
    lose(&mut harness, id);
    let back = come_back(&mut harness, &from_offset(0), 77).unwrap();
    assert_eq!(harness.session.marks(ALICE).map(|marks| marks.accepted()), Some(5));
    harness.session.forget(back);
    // What is queued still counts; once it is written nothing is left.
    let (_, ledger) = (back, harness.session.ledgers[0].id);
    harness.session.handle_applied(ledger, 5, harness.now);
    assert_eq!(come_back(&mut harness, &from_offset(0), 77), Err(AttachError::ResumeExpired));
}

#[test]
fn whoever_stays_away_for_too_long_is_a_stranger() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    lose(&mut harness, id);
    assert_eq!(harness.session.deadline(), Some(harness.now + Duration::from_secs(60)));
    harness.wait(Duration::from_secs(60));
    assert_eq!(harness.session.deadline(), None);
    assert_eq!(come_back(&mut harness, &from_offset(0), 77), Err(AttachError::ResumeExpired));
}

#[test]
fn who_is_kept_comes_back_through_the_end_of_its_child_and_the_start_of_the_next() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    let (_, ledger) = harness.session.handle_input(id, 0, 0, 9).unwrap();
    harness.session.handle_applied(ledger, 4, harness.now);
    lose(&mut harness, id);
    harness.print(10);
    harness.exit();
    harness.session.handle_started(78, 1235, harness.now);
    let back = come_back(&mut harness, &from_offset(0), 77).unwrap();
    let (epoch, marks) = harness.session.joined(back);
    assert_eq!((epoch, marks.accepted(), marks.applied()), (77, 4, 4));
    let input = |turn| harness.session.is_input_stale(back, turn, 0);
    assert!(input(0) && !input(1), "what is typed for the old child is dropped");
    let told = harness.send_all(back);
    assert_eq!(
        told,
        [
            Send::Output { offset: 0, len: 10, flags: 0, input_applied: 0 },
            Send::InputApplied { applied: 4 },
            Send::Exited { epoch: 77, offset: 10, exit: EXITED },
            Send::Started { epoch: 78, offset: 10, pid: 1235 },
        ]
    );
}

#[test]
fn another_attachment_of_its_client_makes_nobody_known_that_stayed_away_for_too_long() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.session.handle_input(id, 0, 0, 10).unwrap();
    lose(&mut harness, id);
    harness.wait(Duration::from_secs(60));
    let other = AttachTerms { attachment: 99, ..terms(Delivery::Log) };
    harness.attach(ALICE, other);
    // Its marks are those of the other: to resume with them would be to type everything again.
    assert_eq!(come_back(&mut harness, &from_offset(0), 77), Err(AttachError::ResumeExpired));
    assert!(come_back(&mut harness, &from_offset(0), 0).is_ok());
}

#[test]
fn what_is_queued_is_forgotten_with_its_child_if_its_client_is_gone() {
    let mut harness = Harness::started();
    for is_restarted in [false, true] {
        let id = harness.attach(ALICE, terms(Delivery::Log));
        harness.session.handle_input(id, 0, 0, 10).unwrap();
        harness.session.forget(id);
        assert!(harness.session.marks(ALICE).is_some(), "it counts against the window");
        harness.exit();
        assert_eq!(harness.session.marks(ALICE), None, "{is_restarted}");
        harness.session.handle_started(78, 1235, harness.now);
    }
}

#[test]
fn an_epoch_that_never_ran_here_is_that_of_another_session() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    lose(&mut harness, id);
    assert_eq!(come_back(&mut harness, &from_offset(0), 66), Err(AttachError::ResumeExpired));
    assert!(come_back(&mut harness, &from_offset(0), 77).is_ok());
}

#[test]
fn what_was_sent_before_may_be_consumed_before_it_is_sent_again() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.print(10_000);
    harness.send_all(id);
    lose(&mut harness, id);
    let back = come_back(&mut harness, &from_offset(0), 77).unwrap();
    assert_eq!(harness.session.handle_consumed(back, 9_000), Ok(()));
    assert_eq!(harness.session.handle_consumed(back, 10_001), Err(ConsumedAhead));
}

#[test]
fn an_owner_whose_end_was_told_owns_nothing_any_more() {
    let mut harness = Harness::started();
    let owner = AttachTerms { flags: AttachFlags::OWNER, ..terms(Delivery::Log) };
    let id = harness.attach(ALICE, owner);
    harness.session.handle_detach(id, DetachReason::Kicked);
    harness.send_all(id);
    harness.session.handle_end_told(id, Duration::from_secs(60), harness.now);
    assert!(!harness.session.is_owned());
    assert_eq!(harness.session.attachments().len(), 0);
    // On the same connection it begins anew.
    let anew = come_back(&mut harness, &terms(Delivery::Log), 0).unwrap();
    assert_eq!(harness.send_all(anew), []);
}

#[test]
fn a_session_that_everybody_was_told_the_end_of_stays_gone() {
    let mut harness = Harness::ephemeral();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.exit();
    assert!(!harness.session.is_gone());
    harness.send_all(id);
    assert!(harness.session.is_gone());
    harness.session.handle_end_told(id, Duration::from_secs(60), harness.now);
    let back = come_back(&mut harness, &from_offset(0), 77).unwrap();
    assert!(harness.session.is_gone(), "its name may be another's by now");
    let sends = harness.send_all(back);
    assert!(matches!(sends[..], [Send::Exited { .. }, Send::Detached { .. }]));
    harness.session.forget(back);
    assert!(harness.session.is_finished());
}

#[test]
fn output_goes_on_where_it_was_consumed_and_what_was_live_is_no_replay() {
    let mut harness = Harness::started();
    harness.print(1_000);
    let id = harness.attach(ALICE, from_offset(500));
    harness.print(1_000);
    harness.send_all(id);
    lose(&mut harness, id);
    harness.print(1_000);
    let back = come_back(&mut harness, &from_offset(700), 77).unwrap();
    let frame = |offset, len, flags| Send::Output { offset, len, flags, input_applied: 0 };
    let sends = harness.send_all(back);
    assert_eq!(sends, [frame(700, 300, OutputFlags::REPLAY), frame(1_000, 2_000, 0)]);
}

#[test]
fn a_lossless_subscriber_that_was_lost_holds_the_child_as_long_as_it_may() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Lossless));
    harness.print(5_000);
    harness.send_all(id);
    harness.session.handle_consumed(id, 1_000).unwrap();
    lose(&mut harness, id);
    assert_eq!(harness.print(50_000), 16_000, "its window beyond what it consumed");
    harness.wait(Duration::from_millis(1_999));
    assert_eq!(harness.print(1), 0);
    harness.wait(Duration::from_millis(1));
    assert_eq!(harness.print(1), 1);
}

#[test]
fn a_client_that_comes_back_in_time_misses_nothing_of_what_it_held() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Lossless));
    harness.print(50_000);
    lose(&mut harness, id);
    harness.wait(Duration::from_millis(1_000));
    let terms = AttachTerms { delivery: Delivery::Lossless.to_wire(), ..from_offset(0) };
    let back = come_back(&mut harness, &terms, 77).unwrap();
    assert_eq!(output_bytes(&harness.send_all(back)), 20_000);
    harness.wait(Duration::from_millis(1_500));
    assert_eq!(harness.session.attachment(back).unwrap().delivery(), Delivery::Lossless);
}

#[test]
fn no_limit_ends_with_the_connection() {
    let mut harness = Harness::started();
    let owner = AttachTerms { pause_limit_ms: u32::MAX, ..terms(Delivery::Lossless) };
    let id = harness.attach(ALICE, owner);
    harness.print(50_000);
    lose(&mut harness, id);
    harness.wait(Duration::from_secs(29));
    assert_eq!(harness.print(1), 0);
    harness.wait(Duration::from_secs(1));
    assert_eq!(harness.print(1), 1);
}

#[test]
fn a_session_made_for_one_child_waits_for_a_client_that_may_come_for_its_end() {
    let mut harness = Harness::ephemeral();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    lose(&mut harness, id);
    harness.print(10);
    harness.exit();
    assert!(!harness.session.is_finished());
    let back = come_back(&mut harness, &from_offset(0), 77).unwrap();
    let sends = harness.send_all(back);
    let ended = Send::Detached { reason: DetachReason::Ended, offset: 10 };
    assert!(matches!(sends[..], [Send::Output { .. }, Send::Exited { .. }, last] if last == ended));
    harness.session.forget(back);
    assert!(harness.session.is_finished());
}

#[test]
fn a_session_made_for_one_child_does_not_wait_for_ever() {
    let mut harness = Harness::ephemeral();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    lose(&mut harness, id);
    harness.exit();
    harness.wait(Duration::from_secs(60));
    assert!(harness.session.is_finished());
}

#[test]
fn who_was_kicked_while_it_was_away_is_told_when_it_is_back() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    lose(&mut harness, id);
    assert_eq!(harness.session.handle_detach_away(|client, _| client == BOB), 0);
    assert_eq!(harness.session.handle_detach_away(|client, _| client == ALICE), 1);
    let back = come_back(&mut harness, &from_offset(0), 77).unwrap();
    let kicked = Send::Detached { reason: DetachReason::Kicked, offset: 0 };
    assert_eq!(harness.send_all(back), [kicked]);
}

#[test]
fn who_had_asked_to_leave_has_left_whether_or_not_it_heard_the_answer() {
    let mut harness = Harness::started();
    let id = harness.attach(ALICE, terms(Delivery::Log));
    harness.session.handle_detach(id, DetachReason::Asked);
    lose(&mut harness, id);
    assert!(!harness.session.is_awaiting());
}

#[test]
fn room_for_the_marks_of_one_more_client_is_made_by_whoever_is_away_longest() {
    let mut harness = Harness::started();
    let client = |number: usize| {
        let mut id = [9; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        id
    };
    for number in 0..crate::limits::LEDGERS_MAX {
        let id = harness.attach(client(number), terms(Delivery::None));
        lose(&mut harness, id);
        harness.now += Duration::from_millis(1);
    }
    harness.attach(ALICE, terms(Delivery::None));
    assert_eq!(harness.session.marks(client(0)), None);
    assert!(harness.session.marks(client(1)).is_some());
}
