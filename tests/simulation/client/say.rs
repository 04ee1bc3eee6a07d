//! What a client says next: one frame at a time, whatever controls ahead of what is typed.

use std::time::{Duration, Instant};

use tautline::protocol::{
    Adjust, Attach, AttachFlags, AttachTerms, Consumed, ControlMessage, Delivery, Detach,
    Disconnect, Input, Ping, Resize, UNCHANGED, View, WindowSize, limits::PING_MAX,
};

use super::{Library, Request, Seat, Truth};
use crate::{
    byte_queue::ByteQueue,
    census::Event,
    engine::{Hosted, name},
    moment::Moment,
};

/// How long its user thinks before typing on, at most.
const THOUGHT_MAX: Duration = Duration::from_millis(20);

impl Library {
    /// Encodes the next frame; tells whether there was one.
    pub(super) fn say(
        &mut self,
        out: &mut ByteQueue,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        if self.has_asked_to_leave {
            return false;
        }
        let goes_anyway = moment.random.chance(10);
        self.say_consumed(out, goes_anyway)
            || self.say_attach(out, moment)
            || self.say_whim(out, moment)
            || self.say_disconnect(out, truth)
    }

    /// Whether there is a frame to say now.
    pub(super) fn may_say(&self, truth: Truth<'_>) -> bool {
        let may_say = |seat: &Seat| match seat.is_attached() {
            true => seat.output.is_telling_due(),
            false => seat.wants_to_attach(),
        };
        !self.has_asked_to_leave && (self.seats.iter().any(may_say) || self.may_leave(truth))
    }

    fn say_consumed(&mut self, out: &mut ByteQueue, goes_anyway: bool) -> bool {
        for seat in self.seats.iter_mut().filter(|seat| seat.is_attached()) {
            let attachment = seat.plan.number;
            if let Some(offset) = seat.output.consumed_to_tell(goes_anyway) {
                out.push_frame(0, ControlMessage::Consumed(Consumed { attachment, offset }));
                return true;
            }
        }
        false
    }

    fn say_attach(&mut self, out: &mut ByteQueue, moment: &mut Moment) -> bool {
        let Some(at) = self.seats.iter().position(Seat::wants_to_attach) else { return false };
        if moment.may_idle(50) {
            return false;
        }
        let number = self.seats[at].plan.number;
        let id = self.next_id(Request::Attach { seat: at, number });
        let index = self.index;
        let seat = &mut self.seats[at];
        let from = seat.output.ask();
        let read_only = if seat.plan.is_read_only { AttachFlags::READ_ONLY } else { 0 };
        // Who comes back does not do that again.
        let kicks = seat.is_new() && moment.random.chance(self.plan.kicks);
        let terms = AttachTerms {
            attachment: seat.plan.number,
            flags: read_only | if kicks { AttachFlags::DETACH_OTHERS } else { 0 },
            output_from: from.unwrap_or_default(),
            window: seat.plan.window,
            pause_limit_ms: seat.plan.pause_limit_ms,
            history_lines: 0,
            delivery: seat.plan.delivery.to_wire(),
            view: from.map_or(View::None, |_| View::Offset).to_wire(),
        };
        let has_size = moment.random.chance(50);
        let attach = Attach {
            terms,
            epoch: seat.reception.epoch_to_name(),
            size: if has_size { some_size(index, moment) } else { WindowSize::default() },
            name: name(seat.plan.session).into(),
            ..Attach::default()
        };
        seat.handle_asked(id);
        out.push_frame(id, ControlMessage::Attach(attach));
        true
    }

    fn say_whim(&mut self, out: &mut ByteQueue, moment: &mut Moment) -> bool {
        if !std::mem::take(&mut self.is_whimsical) {
            return false;
        }
        let at = moment.random.below(self.seats.len() as u64) as usize;
        if !self.seats[at].is_attached() {
            return false;
        }
        match moment.random.below(4) {
            0 if self.plan.pings > 0 => self.say_ping(out, moment),
            1 if self.plan.resizes > 0 => self.say_resize(out, at, moment),
            2 if self.plan.detaches > 0 => self.say_detach(out, at, moment),
            3 if self.plan.adjusts > 0 => self.say_adjust(out, at, moment),
            _ => return false,
        }
        true
    }

    fn say_ping(&mut self, out: &mut ByteQueue, moment: &mut Moment) {
        self.plan.pings -= 1;
        let len_max = if self.wire_plan.capacity < 64 { 16 } else { PING_MAX };
        let (token, len) = (moment.random.next(), moment.random.piece(len_max));
        let id = self.next_id(Request::Ping { token, len });
        let bytes = vec![b'.'; len];
        let bytes = bytes.as_slice().into();
        out.push_frame(id, ControlMessage::Ping(Ping { token, sent_ns: 0, bytes }));
    }

    fn say_resize(&mut self, out: &mut ByteQueue, at: usize, moment: &mut Moment) {
        self.plan.resizes -= 1;
        if self.seats[at].plan.is_read_only && moment.random.chance(50) {
            return self.say_forbidden_input(out, at);
        }
        let plan = &self.seats[at].plan;
        let (attachment, is_refused) = (plan.number, plan.is_read_only);
        let is_answered = is_refused || moment.random.chance(50);
        let id = if is_answered { self.next_id(Request::Resize { is_refused }) } else { 0 };
        let size = some_size(self.index, moment);
        let resize = Resize { attachment, size, ..Resize::default() };
        out.push_frame(id, ControlMessage::Resize(resize));
    }

    /// What a viewer types is refused and never written.
    fn say_forbidden_input(&mut self, out: &mut ByteQueue, at: usize) {
        let seat = &self.seats[at];
        let attachment = seat.plan.number;
        let bytes = (b"forbidden").into();
        let input = Input { attachment, flags: 0, turn: 0, offset: 0, bytes };
        out.push_frame(0, ControlMessage::Input(input));
    }

    fn say_detach(&mut self, out: &mut ByteQueue, at: usize, moment: &mut Moment) {
        moment.count(Event::Detach);
        self.plan.detaches -= 1;
        let id = self.next_id(Request::Detach);
        let attachment = self.seats[at].plan.number;
        self.seats[at].handle_leaving();
        out.push_frame(id, ControlMessage::Detach(Detach { attachment }));
    }

    fn say_adjust(&mut self, out: &mut ByteQueue, at: usize, moment: &mut Moment) {
        self.plan.adjusts -= 1;
        let seat = &self.seats[at];
        if seat.output.delivery() == Delivery::None {
            return self.say_ping_for_once(out);
        }
        let is_demoted = seat.output.is_demoted(&seat.plan);
        let delivery = if is_demoted { Delivery::Lossless.to_wire() } else { UNCHANGED };
        let adjust = Adjust {
            attachment: seat.plan.number,
            flags: if seat.plan.is_read_only { AttachFlags::READ_ONLY } else { 0 },
            window: moment.random.pick(&[0, 8_192, 50_000, 500_000]),
            pause_limit_ms: 0,
            delivery,
            size_policy: UNCHANGED,
        };
        let id = self.next_id(Request::Adjust);
        out.push_frame(id, ControlMessage::Adjust(adjust));
    }

    fn say_ping_for_once(&mut self, out: &mut ByteQueue) {
        let id = self.next_id(Request::Ping { token: 1, len: 0 });
        out.push_frame(id, ControlMessage::Ping(Ping { token: 1, ..Ping::default() }));
    }

    /// Its users type, also while there is no connection, and what may be sent is.
    pub(super) fn type_on(
        &mut self,
        out: &mut ByteQueue,
        wire: Option<usize>,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        let is_typing = self.types_at.is_none_or(|at| at <= moment.now);
        let mut is_moved = false;
        for seat in self.seats.iter_mut().filter(|seat| seat.plan.is_typist) {
            let quota = seat.quota(truth);
            let epoch = seat.epoch();
            if is_typing && seat.typing.may_type(epoch, quota) && !moment.may_idle(30) {
                seat.typing.type_on(&seat.plan, epoch, quota, moment);
                is_moved = true;
            }
            if seat.is_up()
                && let Some(wire) = wire
            {
                let way = (wire, seat.stream, seat.plan.number);
                is_moved |= seat.typing.send(out, &seat.plan, way, moment);
            }
        }
        if is_typing && is_moved {
            self.types_at = None;
            if moment.random.chance(10) {
                self.types_at = Some(moment.now + moment.random.delay(THOUGHT_MAX));
            }
        }
        is_moved
    }

    /// Whether anybody types now.
    pub(super) fn may_type(&self, truth: Truth<'_>, now: Instant) -> bool {
        let may_type = |seat: &Seat| seat.typing.may_type(seat.epoch(), seat.quota(truth));
        self.types_at.is_none_or(|at| at <= now)
            && self.seats.iter().any(|seat| seat.plan.is_typist && may_type(seat))
    }

    fn say_disconnect(&mut self, out: &mut ByteQueue, truth: Truth<'_>) -> bool {
        if !self.may_leave(truth) {
            return false;
        }
        self.has_asked_to_leave = true;
        out.push_frame(0, ControlMessage::Disconnect(Disconnect { flags: 0 }));
        true
    }

    fn may_leave(&self, truth: Truth<'_>) -> bool {
        let is_over = || truth.live.iter().all(Hosted::is_over);
        self.plan.leaves && is_over() && self.has_seen_all(truth)
    }

    pub(super) fn next_id(&mut self, request: Request) -> u64 {
        self.last_id += 1;
        self.requests.insert(self.last_id, request);
        self.last_id
    }
}

/// A size that no other client tells.
fn some_size(client: usize, moment: &mut Moment) -> WindowSize {
    WindowSize::cells(100 * (client as u16 + 1) + moment.random.below(100) as u16, 24)
}
