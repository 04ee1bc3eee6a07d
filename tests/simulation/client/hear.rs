//! What a client does about each message, and what it checks of it.

use tautline::protocol::{
    AdjustCause, ArchivedEngineMessage, ArchivedErrorReply, ArchivedPong, CloseReason, ErrorCode,
    WindowSize,
};

use super::{Library, Request, Seat, Truth};
use crate::{census::Event, moment::Moment};

impl Library {
    pub(super) fn hear(
        &mut self,
        id: u64,
        message: &ArchivedEngineMessage<'_>,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) {
        type Message<'a> = ArchivedEngineMessage<'a>;
        match message {
            Message::Attached(attached) => {
                let attached = attached.get();
                let seat = self.seat(id, attached.attachment.to_native());
                seat.hear_attached(attached, truth, moment);
            }
            Message::Output(output) => {
                let output = output.get();
                let seat = self.seat(id, output.attachment.to_native());
                let terminal = &truth.terminals[seat.plan.session];
                seat.output.hear_output(output, &terminal.printed.0);
                hear_applied(seat, output.input_applied.to_native(), truth);
            }
            Message::InputApplied(applied) => {
                let seat = self.seat(id, applied.get().attachment.to_native());
                hear_applied(seat, applied.get().applied.to_native(), truth);
            }
            Message::Gap(gap) => {
                moment.count(Event::Gap);
                let seat = self.seat(id, gap.get().attachment.to_native());
                let log = truth.hosted[seat.plan.session].session.log();
                seat.output.hear_gap(gap.get(), log.start());
            }
            Message::Exited(exited) => {
                let exited = exited.get();
                let seat = self.seat(id, exited.attachment.to_native());
                if exited.epoch.to_native() != seat.epoch {
                    moment.count(Event::TurnsDropped);
                }
                seat.hear_exited(exited, truth);
            }
            Message::Started(started) => {
                let started = started.get();
                self.seat(id, started.attachment.to_native()).hear_started(started, truth, moment);
            }
            Message::Adjusted(adjusted) => {
                let adjusted = adjusted.get();
                if adjusted.cause == AdjustCause::Demoted.to_wire() {
                    moment.count(Event::Demotion);
                }
                self.seat(id, adjusted.attachment.to_native()).hear_adjusted(adjusted, truth);
            }
            Message::Resized(resized) => {
                let size = WindowSize::from(&resized.get().size);
                self.seat(id, resized.get().attachment.to_native()).hear_resized(size);
            }
            Message::Detached(detached) => {
                let detached = detached.get();
                self.seat(id, detached.attachment.to_native()).hear_detached(detached, truth);
            }
            Message::Pong(pong) => self.hear_pong(id, pong.get()),
            Message::Done(_) => self.hear_done(id),
            Message::Error(error) => self.hear_error(id, error.get(), truth, moment),
            other => panic!("client {}: did not ask for {other:?}", self.index),
        }
    }

    pub(super) fn hear_goodbye(&mut self, reason: Option<CloseReason>) {
        assert!(self.has_asked_to_leave, "client {}: closed for {reason:?}", self.index);
        assert_eq!(reason, Some(CloseReason::Requested), "client {}", self.index);
        self.has_heard_goodbye = true;
    }

    fn hear_pong(&mut self, id: u64, pong: &ArchivedPong<'_>) {
        let ping = Request::Ping { token: pong.token.to_native(), len: pong.bytes.len() };
        assert_eq!(self.requests.remove(id), Some(ping), "client {}: another pong", self.index);
    }

    fn hear_done(&mut self, id: u64) {
        let request = self.requests.remove(id);
        match request.unwrap_or_else(|| panic!("client {}: {id} is not pending", self.index)) {
            Request::Attach { seat } => self.seats[seat].hear_stream_done(),
            Request::Resize { is_refused } => assert!(!is_refused, "a viewer has no say"),
            Request::Detach | Request::Adjust => {}
            Request::Ping { .. } => panic!("client {}: a ping is answered by a pong", self.index),
        }
    }

    fn hear_error(
        &mut self,
        id: u64,
        error: &ArchivedErrorReply<'_>,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) {
        let code = ErrorCode::from_wire(error.code.to_native()).expect("the code is one of ours");
        let number = error.attachment.to_native();
        let seat = self.seats.iter_mut().find(|seat| seat.plan.number == number);
        let seat = seat.expect("every error here concerns an attachment");
        // One-way frames have id 0.
        let request = self.requests.remove(id);
        match (code, request) {
            (ErrorCode::EpochChanged, Some(Request::Attach { .. })) => {
                moment.count(Event::EpochChanged);
                seat.hear_epoch_changed();
            }
            (ErrorCode::NoSuchSession, Some(Request::Attach { .. })) => {
                seat.hear_no_session(truth);
            }
            (ErrorCode::ReadOnly, Some(Request::Resize { is_refused: true }) | None) => {
                assert!(seat.plan.is_read_only, "client {}: it may type", self.index);
            }
            (ErrorCode::LineTooLong, None) => {
                if seat.plan.is_typist {
                    seat.input.hear_line_too_long(error.value.to_native());
                    moment.frames.rewind(seat.plan.session, seat.client, seat.input.end());
                }
            }
            (ErrorCode::NoSuchAttachment, None | Some(_)) if seat.is_ended() => {}
            (ErrorCode::SessionExited, None) => {
                let exits = &truth.terminals[seat.plan.session].exits;
                let is_down = exits.iter().any(|ended| ended.epoch == seat.epoch);
                assert!(is_down, "client {}: its child lives", self.index);
                seat.input.is_child_up = false;
            }
            other => panic!("client {}: {other:?}", self.index),
        }
    }

    fn seat(&mut self, stream: u64, number: u32) -> &mut Seat {
        let seat = self.seats.iter_mut().find(|seat| seat.plan.number == number);
        let seat = seat.expect("the attachment is one of ours");
        assert_eq!(seat.stream, stream, "an item carries the id of the request that opened it");
        seat
    }
}

fn hear_applied(seat: &mut Seat, applied: u64, truth: Truth<'_>) {
    // A second seat in one session shares the count, and does not know where it began.
    if seat.plan.is_typist {
        let written = truth.terminals[seat.plan.session].written[seat.client];
        seat.input.hear_applied(seat.client, applied, written);
    }
}
