//! Typing over losses, one rule each.

use super::*;

fn marks(accepted: u64, applied: u64) -> SenderMarks {
    SenderMarks { accepted, applied, unknown_to: applied, window: 100, is_child_up: true }
}

fn attached() -> InputSender {
    let mut sender = InputSender::default();
    assert_eq!(sender.handle_attached(&marks(0, 0)), (0, None));
    sender
}

/// All frames there are, as offset and text.
fn sent(sender: &mut InputSender) -> Vec<(u64, String)> {
    let mut frames = Vec::new();
    while let Some(frame) = sender.next_frame() {
        let text = String::from_utf8(sender.bytes(&frame).to_vec()).unwrap();
        frames.push((frame.offset, text));
    }
    frames
}

fn frame(offset: u64, text: &str) -> Vec<(u64, String)> {
    vec![(offset, text.into())]
}

fn stopped(end: SenderEnd, applied: u64, unknown: u64, undelivered: u64) -> Option<CallOutcome> {
    Some(CallOutcome::Stopped { end, applied, unknown, undelivered })
}

fn leftover(end: SenderEnd, unknown: u64, text: &str) -> Option<Leftover> {
    Some(Leftover { end, unknown, bytes: text.into() })
}

#[test]
fn a_call_is_over_when_its_last_byte_is_written() {
    let mut sender = attached();
    let call = sender.begin_call(5);
    assert_eq!(sender.push_call(call, b"hello"), 5);
    let planned = sender.next_frame().unwrap();
    assert!(planned.is_ack_wanted);
    assert_eq!(sender.bytes(&planned), b"hello");
    assert_eq!(sender.next_frame(), None);
    assert!(sender.handle_applied(4));
    assert_eq!(sender.take_outcome(call), None);
    assert!(sender.handle_applied(5));
    assert!(!sender.handle_applied(5), "that is no news");
    assert_eq!(sender.take_outcome(call), Some(CallOutcome::Written));
    assert_eq!(sender.unwritten(), 0);
}

#[test]
fn what_the_window_has_no_room_for_waits_and_nothing_is_dropped() {
    let mut sender = attached();
    let bytes = [b'x'; 250];
    let call = sender.begin_call(250);
    let mut taken = 0;
    for applied in [0, 100, 200] {
        sender.handle_applied(applied);
        taken += sender.push_call(call, &bytes[taken..]);
        assert_eq!(taken as u64, (applied + 100).min(250));
        assert_eq!(sent(&mut sender).len(), 1);
    }
    sender.handle_applied(250);
    assert_eq!(sender.take_outcome(call), Some(CallOutcome::Written));
}

#[test]
fn after_a_loss_input_goes_on_where_the_engine_says() {
    let mut sender = attached();
    assert_eq!(sender.push(b"abcdef"), 6);
    assert_eq!(sent(&mut sender), frame(0, "abcdef"));
    sender.handle_lost();
    assert_eq!(sender.push(b"ghi"), 3, "what is typed meanwhile is kept");
    assert_eq!(sender.next_frame(), None);
    assert_eq!(sender.handle_attached(&marks(4, 2)), (2, None));
    assert_eq!(sent(&mut sender), frame(4, "efghi"));
    assert_eq!(sender.unwritten(), 7);
}

#[test]
fn typed_before_the_first_loss_and_after_it_the_window_is_the_limit() {
    let mut sender = attached();
    assert_eq!(sender.push(&[b'x'; 60]), 60);
    sender.handle_lost();
    assert_eq!(sender.push(&[b'y'; 60]), 40);
    assert_eq!(sender.room(), 0);
    sender.handle_attached(&marks(0, 0));
    assert_eq!(sender.room(), 0);
    sender.handle_applied(10);
    assert_eq!(sender.room(), 0, "nothing was sent on this connection yet, so nothing is written");
}

#[test]
fn a_smaller_window_after_a_loss_is_kept_to() {
    let mut sender = attached();
    sender.push(&[b'x'; 100]);
    sender.handle_lost();
    sender.handle_attached(&SenderMarks { window: 30, ..marks(0, 0) });
    assert_eq!(sent(&mut sender), frame(0, &"x".repeat(30)));
    sender.handle_applied(25);
    assert_eq!(sent(&mut sender), frame(30, &"x".repeat(25)));
}

#[test]
fn a_call_that_is_written_in_part_survives_a_loss() {
    for (accepted, jump) in [(100, 0), (130, 30)] {
        let mut sender = attached();
        let call = sender.begin_call(150);
        assert_eq!(sender.push_call(call, &[b'x'; 150]), 100);
        sent(&mut sender);
        sender.handle_applied(100);
        sender.handle_lost();
        // Meanwhile another attachment of ours may have typed.
        sender.handle_attached(&marks(accepted, accepted));
        assert_eq!(sender.push_call(call, &[b'x'; 50]), 50);
        assert_eq!(sent(&mut sender), frame(100 + jump, &"x".repeat(50)));
        assert_eq!(sender.take_outcome(call), None);
        sender.handle_applied(150 + jump);
        assert_eq!(sender.take_outcome(call), Some(CallOutcome::Written));
    }
}

#[test]
fn nothing_is_taken_for_a_child_that_nobody_was_told_of() {
    let mut sender = attached();
    sender.handle_lost();
    sender.handle_marks_lost(SenderEnd::ChildEnded);
    assert_eq!(sender.push(b"for the child before"), 0);
    assert_eq!(sender.stopped(), Some(SenderEnd::ChildEnded));
    sender.handle_attached(&marks(0, 0));
    assert_eq!(sender.push(b"for this one"), 12);
}

#[test]
fn in_a_new_epoch_nothing_old_is_typed_and_all_of_it_is_told() {
    let mut sender = attached();
    let call = sender.begin_call(6);
    sender.push_call(call, b"abcdef");
    sent(&mut sender);
    sender.handle_applied(2);
    sender.handle_lost();
    sender.push(b"ghi");
    let told = sender.handle_marks_lost(SenderEnd::ChildEnded);
    assert_eq!(told, leftover(SenderEnd::ChildEnded, 4, "cdefghi"));
    assert_eq!(sender.take_outcome(call), stopped(SenderEnd::ChildEnded, 2, 4, 0));
    assert_eq!(sender.handle_attached(&marks(0, 0)), (0, None));
    assert_eq!(sender.next_frame(), None);
    sender.push(b"new");
    assert_eq!(sent(&mut sender), frame(0, "new"));
}

#[test]
fn the_end_of_a_child_tells_exactly_what_was_not_written() {
    let mut sender = attached();
    let call = sender.begin_call(6);
    sender.push_call(call, b"abcdef");
    sent(&mut sender);
    sender.handle_applied(4);
    assert_eq!(sender.handle_exited(), leftover(SenderEnd::ChildEnded, 0, "ef"));
    assert_eq!(sender.take_outcome(call), stopped(SenderEnd::ChildEnded, 4, 0, 2));
    let late = sender.begin_call(3);
    assert_eq!(sender.push_call(late, b"abc"), 0);
    assert_eq!(sender.take_outcome(late), stopped(SenderEnd::ChildEnded, 0, 0, 3));
    assert_eq!(sender.handle_started(), None);
    sender.push(b"ls");
    let planned = sender.next_frame().unwrap();
    assert_eq!((planned.offset, planned.turn), (0, 1));
}

#[test]
fn a_child_that_ended_while_we_were_away_is_heard_of_before_anything_is_given_up() {
    let mut sender = attached();
    let call = sender.begin_call(6);
    sender.push_call(call, b"abcdef");
    sent(&mut sender);
    sender.handle_lost();
    sender.handle_attached(&SenderMarks { is_child_up: false, ..marks(6, 3) });
    assert_eq!((sender.take_outcome(call), sender.next_frame()), (None, None));
    sender.handle_applied(5);
    assert_eq!(sender.handle_exited(), leftover(SenderEnd::ChildEnded, 0, "f"));
    assert_eq!(sender.take_outcome(call), stopped(SenderEnd::ChildEnded, 5, 0, 1));
}

#[test]
fn refused_input_is_told_and_typing_goes_on_where_it_was_refused() {
    let mut sender = attached();
    let good = sender.begin_call(2);
    sender.push_call(good, b"ok");
    let bad = sender.begin_call(8);
    sender.push_call(bad, b"too long");
    let behind = sender.begin_call(3);
    sender.push_call(behind, b"abc");
    sent(&mut sender);
    // Three bytes of the line were accepted.
    assert_eq!(sender.handle_refused(5), leftover(SenderEnd::Refused, 0, " longabc"));
    assert_eq!(sender.take_outcome(bad), None, "what was accepted of it may still be written");
    assert_eq!(sender.take_outcome(behind), stopped(SenderEnd::Refused, 0, 0, 3));
    let next = sender.begin_call(1);
    assert_eq!(sender.push_call(next, b"x"), 1);
    assert_eq!(sent(&mut sender), frame(5, "x"));
    sender.handle_applied(6);
    assert_eq!(sender.take_outcome(good), Some(CallOutcome::Written));
    assert_eq!(sender.take_outcome(bad), stopped(SenderEnd::Refused, 3, 0, 5));
    assert_eq!(sender.take_outcome(next), Some(CallOutcome::Written));
}

#[test]
fn calls_take_turns_and_one_that_is_forgotten_lets_the_next_go_on() {
    let mut sender = attached();
    let (first, second) = (sender.begin_call(150), sender.begin_call(2));
    assert_eq!(sender.push_call(second, b"no"), 0, "it is not its turn");
    assert_eq!(sender.push_call(first, &[b'a'; 150]), 100);
    assert_eq!(sender.push(b"no"), 0);
    sent(&mut sender);
    sender.handle_applied(100);
    sender.forget_call(first);
    assert_eq!(sender.push_call(second, b"ok"), 2);
    assert_eq!(sent(&mut sender), frame(100, "ok"));
}

#[test]
fn what_an_engine_does_not_know_is_told_and_never_sent_again() {
    let mut sender = attached();
    let call = sender.begin_call(6);
    sender.push_call(call, b"abcdef");
    sent(&mut sender);
    sender.handle_lost();
    let (again, told) = sender.handle_attached(&SenderMarks { unknown_to: 4, ..marks(4, 2) });
    assert_eq!((again, told), (0, leftover(SenderEnd::Lost, 2, "cdef")));
    assert_eq!(sender.take_outcome(call), stopped(SenderEnd::Lost, 2, 2, 2));
    sender.push(b"x");
    assert_eq!(sent(&mut sender), frame(4, "x"));
}

#[test]
fn marks_of_an_attachment_that_was_left_count_against_the_window() {
    let mut sender = InputSender::default();
    assert_eq!(sender.push(b"early"), 0, "there is no window yet");
    sender.handle_attached(&marks(70, 10));
    assert_eq!(sender.push(&[b'x'; 100]), 40);
    assert_eq!(sent(&mut sender), frame(70, &"x".repeat(40)));
    sender.handle_applied(60);
    assert_eq!((sender.unwritten(), sender.room()), (40, 50));
    sender.handle_applied(80);
    assert_eq!(sender.unwritten(), 30);
}

#[test]
fn when_it_is_over_everything_is_told_once_and_nothing_more_is_taken() {
    let mut sender = attached();
    let call = sender.begin_call(200);
    sender.push_call(call, &[b'x'; 200]);
    sent(&mut sender);
    sender.handle_applied(30);
    sender.handle_lost();
    sender.push_call(call, &[b'x'; 100]);
    let told = sender.handle_over(SenderEnd::Lost).unwrap();
    assert_eq!((told.unknown, told.bytes.len()), (70, 100));
    assert_eq!(sender.take_outcome(call), stopped(SenderEnd::Lost, 30, 70, 100));
    assert_eq!(sender.handle_over(SenderEnd::Lost), None);
    assert_eq!((sender.push(b"x"), sender.room()), (0, 0));
    assert_eq!(sender.stopped(), Some(SenderEnd::Lost));
}

#[test]
fn frames_are_cut_where_the_wire_wants_them_and_keep_their_bytes_around_the_ring() {
    let mut sender = InputSender::default();
    sender.handle_attached(&SenderMarks { window: 20_000, ..marks(0, 0) });
    let tape: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    let (mut pushed, mut received) = (0, Vec::new());
    while received.len() < tape.len() {
        pushed += sender.push(&tape[pushed..]);
        while let Some(frame) = sender.next_frame() {
            assert!(frame.len <= INPUT_MAX);
            assert_eq!(frame.offset, received.len() as u64);
            received.extend_from_slice(sender.bytes(&frame));
        }
        let applied = received.len() as u64 - (received.len() as u64 % 7);
        sender.handle_applied(applied.max(received.len() as u64 * u64::from(pushed == tape.len())));
    }
    assert_eq!(received, tape);
}
