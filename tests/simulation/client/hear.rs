//! What a client does about each message, and what it checks of it.

use tautline::{
    protocol::{
        AdjustCause, ArchivedAttached, ArchivedEngineMessage, ArchivedErrorReply, ArchivedPong,
        CloseReason, ControlMessage, Detach, ErrorCode, Pong, WindowSize,
    },
    state::SenderEnd,
};

use super::{Library, Request, Seat, Truth, seat::Phase};
use crate::{byte_queue::ByteQueue, census::Event, moment::Moment};

impl Library {
    pub(super) fn hear(
        &mut self,
        id: u64,
        message: &ArchivedEngineMessage<'_>,
        out: &mut ByteQueue,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) {
        type Message<'a> = ArchivedEngineMessage<'a>;
        if self.is_abandoned(message) {
            return;
        }
        match message {
            Message::Attached(attached) => {
                self.hear_attached(id, attached.get(), out, truth, moment);
            }
            Message::Output(output) => {
                let output = output.get();
                let seat = self.seat(id, output.attachment.to_native());
                hear_applied(seat, output.input_applied.to_native(), moment);
                seat.hear_output(output, truth);
            }
            Message::InputApplied(applied) => {
                let seat = self.seat(id, applied.get().attachment.to_native());
                hear_applied(seat, applied.get().applied.to_native(), moment);
            }
            Message::Gap(gap) => {
                moment.count(Event::Gap);
                self.seat(id, gap.get().attachment.to_native()).hear_gap(gap.get(), truth);
            }
            Message::Exited(exited) => {
                let exited = exited.get();
                self.seat(id, exited.attachment.to_native()).hear_exited(exited, truth, moment);
            }
            Message::Started(started) => {
                let started = started.get();
                self.seat(id, started.attachment.to_native()).hear_started(started, moment);
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
                let seat = self.seat(id, detached.attachment.to_native());
                seat.hear_detached(detached, truth, moment);
            }
            Message::Ping(ping) => {
                let token = ping.get().token.to_native();
                out.push_frame(0, ControlMessage::Pong(Pong { token, ..Pong::default() }));
            }
            Message::Pong(pong) => self.hear_pong(id, pong.get()),
            Message::Done(_) => self.hear_done(id),
            Message::Error(error) => self.hear_error(id, error.get(), truth, moment),
            other => panic!("client {}: did not ask for {other:?}", self.index),
        }
    }

    /// Whether it is about an attachment that was given up.
    fn is_abandoned(&self, message: &ArchivedEngineMessage<'_>) -> bool {
        type Message<'a> = ArchivedEngineMessage<'a>;
        let number = match message {
            Message::Output(body) => body.get().attachment.to_native(),
            Message::InputApplied(body) => body.get().attachment.to_native(),
            Message::Gap(body) => body.get().attachment.to_native(),
            Message::Exited(body) => body.get().attachment.to_native(),
            Message::Started(body) => body.get().attachment.to_native(),
            Message::Resized(body) => body.get().attachment.to_native(),
            Message::Adjusted(body) => body.get().attachment.to_native(),
            Message::Detached(body) => body.get().attachment.to_native(),
            _ => return false,
        };
        self.abandoned.contains(&number)
    }

    fn hear_attached(
        &mut self,
        id: u64,
        attached: &ArchivedAttached,
        out: &mut ByteQueue,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) {
        let number = attached.attachment.to_native();
        if self.seat(id, number).hear_attached(attached, truth, moment) {
            return;
        }
        out.push_frame(0, ControlMessage::Detach(Detach { attachment: number }));
        self.abandoned.push(number);
        let is_it = |seat: &Seat| seat.plan.number == number;
        let at = self.seats.iter().position(is_it).expect("it was just there");
        self.give_up(at, truth, moment);
    }

    /// The session is gone.
    fn give_up(&mut self, at: usize, truth: Truth<'_>, moment: &mut Moment) {
        moment.count(Event::SessionGone);
        let seat = &mut self.seats[at];
        seat.handle_over(SenderEnd::Lost, moment);
        if self.plan.rejoins > 0 {
            self.plan.rejoins -= 1;
            seat.rejoin(&truth.sessions[seat.plan.session]);
        }
    }

    /// The engine closes: tells whether that was to be expected.
    pub(super) fn hear_goodbye(&mut self, reason: Option<CloseReason>) {
        let is_expected = match reason {
            Some(CloseReason::Requested) => self.has_asked_to_leave,
            Some(CloseReason::TakenOver | CloseReason::InputGap | CloseReason::InputWindow) => {
                self.plan.is_shared
            }
            Some(CloseReason::HeartbeatLost) => self.plan.heartbeat_ms > 0,
            _ => false,
        };
        assert!(is_expected, "client {}: closed for {reason:?}", self.index);
        self.has_heard_goodbye = reason == Some(CloseReason::Requested);
    }

    fn hear_pong(&mut self, id: u64, pong: &ArchivedPong<'_>) {
        let ping = Request::Ping { token: pong.token.to_native(), len: pong.bytes.len() };
        assert_eq!(self.requests.remove(id), Some(ping), "client {}: another pong", self.index);
    }

    fn hear_done(&mut self, id: u64) {
        let request = self.requests.remove(id);
        match request.unwrap_or_else(|| panic!("client {}: {id} is not pending", self.index)) {
            Request::Attach { number, .. } if self.abandoned.contains(&number) => {}
            Request::Attach { seat, .. } => self.seats[seat].hear_stream_done(),
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
        // One-way frames have id 0.
        let request = self.requests.remove(id);
        if let Some(Request::Attach { seat, .. }) = request {
            return self.hear_not_attached(seat, code, truth, moment);
        }
        if self.abandoned.contains(&number) {
            return;
        }
        let seat = self.seats.iter_mut().find(|seat| seat.plan.number == number);
        let Some(seat) = seat else {
            // It has another number by now.
            assert_eq!(code, ErrorCode::NoSuchAttachment, "client {}", self.index);
            return;
        };
        match (code, request) {
            (ErrorCode::ReadOnly, Some(Request::Resize { is_refused: true }) | None) => {
                assert!(seat.plan.is_read_only, "client {}: it may type", self.index);
            }
            (ErrorCode::NoSuchAttachment, None | Some(_)) if seat.is_ended() => {}
            (ErrorCode::LineTooLong, None) => {
                let Seat { plan, typing, .. } = seat;
                let accepted = error.value.to_native();
                typing.change(plan, moment, |sender| sender.handle_refused(accepted));
            }
            (ErrorCode::SessionExited, None) => {
                let mut exits = truth.terminals.iter().flat_map(|terminal| &terminal.exits);
                let is_down = exits.any(|ended| ended.epoch == seat.epoch());
                assert!(is_down, "client {}: its child lives", self.index);
            }
            other => panic!("client {}: {other:?}", self.index),
        }
    }

    fn hear_not_attached(
        &mut self,
        at: usize,
        code: ErrorCode,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) {
        let seat = &mut self.seats[at];
        match code {
            ErrorCode::EpochChanged => moment.count(Event::EpochChanged),
            ErrorCode::ResumeExpired => moment.count(Event::ResumeExpired),
            ErrorCode::NoSuchSession => {
                let plan = &truth.sessions[seat.plan.session];
                assert!(plan.terms.is_ephemeral, "client {}: where is it?", self.index);
            }
            ErrorCode::InvalidOffset => {
                assert!(truth.has_died(), "client {}: so much was printed", self.index);
            }
            other => panic!("client {}: {other:?}", self.index),
        }
        if seat.phase == Phase::Asked || seat.hear_not_attached(code, moment) {
            self.give_up(at, truth, moment);
        }
    }

    fn seat(&mut self, stream: u64, number: u32) -> &mut Seat {
        let seat = self.seats.iter_mut().find(|seat| seat.plan.number == number);
        let seat = seat.expect("the attachment is one of ours");
        assert_eq!(seat.stream, stream, "an item carries the id of the request that opened it");
        seat
    }
}

fn hear_applied(seat: &mut Seat, applied: u64, moment: &mut Moment) {
    // A second seat in one session shares the count, and does not know where it began.
    if seat.plan.is_typist {
        let Seat { plan, typing, .. } = seat;
        typing.hear_applied(plan, applied, moment);
    }
}
