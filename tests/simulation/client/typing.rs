//! What the user of a client types, and what the library says became of it.

use std::{collections::VecDeque, ops::Range};

use tautline::{
    protocol::{ControlMessage, Input, InputFlags, limits::INPUT_MAX},
    state::{CallId, CallOutcome, InputSender, Leftover, SenderEnd, SenderMarks},
};

use crate::{
    book::{Page, Way},
    byte_queue::ByteQueue,
    census::Event,
    moment::Moment,
    scenario::SeatPlan,
    tape::tape,
};

/// Calls that one user has under way, at most.
const CALLS_MAX: usize = 3;

/// Bytes that the engine has and is sent once more, at most: all of a frame, or how it begins.
const REPEATED_MAX: u64 = 20;

/// The real sender, and where on the tape is what it keeps.
#[derive(Debug)]
pub(super) struct Typing {
    typist: usize,
    pub(super) sender: InputSender,
    /// Where what it keeps is on the tape, in order.
    kept: VecDeque<Range<u64>>,
    /// The offset on the wire of the first byte it keeps.
    base: u64,
    /// How many of the bytes it keeps were ever sent.
    flying: u64,
    window: u64,
    /// How many bytes that the engine has are sent once more.
    repeats: u64,
    calls: Vec<Call>,
    /// For which child so much was typed.
    epoch: u64,
    typed: u64,
    pub(super) has_progressed: bool,
}

/// A call that is under way.
#[derive(Debug)]
struct Call {
    id: CallId,
    total: u64,
    taken: Range<u64>,
}

impl Call {
    const fn rest(&self) -> u64 {
        self.total - (self.taken.end - self.taken.start)
    }
}

impl Typing {
    pub(super) fn new(typist: usize) -> Self {
        Self {
            typist,
            sender: InputSender::default(),
            kept: VecDeque::new(),
            base: 0,
            flying: 0,
            window: 0,
            repeats: 0,
            calls: Vec::new(),
            epoch: 0,
            typed: 0,
            has_progressed: false,
        }
    }

    /// Whether all was typed that was to be for that child, and nothing is left to wait for.
    pub(super) fn is_content(&self, epoch: u64, quota: u64) -> bool {
        let is_all_typed = quota == 0 || (self.epoch == epoch && self.typed >= quota);
        is_all_typed && self.calls.is_empty() && self.sender.unwritten() == 0
    }

    /// Whether anything can be typed now.
    pub(super) fn may_type(&self, epoch: u64, quota: u64) -> bool {
        let left = if self.epoch == epoch { quota.saturating_sub(self.typed) } else { quota };
        let is_open = self.sender.stopped().is_none() && self.sender.room() > 0;
        is_open && (left > 0 || self.calls.iter().any(|call| call.rest() > 0))
    }

    /// The user types a little.
    pub(super) fn type_on(&mut self, plan: &SeatPlan, epoch: u64, quota: u64, moment: &mut Moment) {
        if self.epoch != epoch {
            (self.epoch, self.typed) = (epoch, 0);
        }
        // Whose turn it is: others are given nothing.
        for at in 0..self.calls.len() {
            let rest = self.calls[at].rest();
            if rest > 0 && self.push_call(at, rest, plan.session, moment) > 0 {
                break;
            }
        }
        let promised = self.calls.iter().map(Call::rest).sum::<u64>();
        let left = quota.saturating_sub(self.typed + promised);
        if left > 0 && self.calls.len() < CALLS_MAX && moment.random.chance(50) {
            let total = moment.random.piece(left as usize);
            let id = self.sender.begin_call(total);
            self.calls.push(Call { id, total: total as u64, taken: 0..0 });
            self.push_call(self.calls.len() - 1, total as u64, plan.session, moment);
        } else if left > 0 && self.sender.has_room() {
            let len = moment.random.piece(left as usize);
            let page = moment.book.page(plan.session, self.typist);
            let taken = self.sender.push(tape(self.typist, page.end, len));
            self.note_typed(taken as u64, page);
        }
        if left > 0 && self.sender.room() == 0 {
            moment.count(Event::FullWindow);
        }
        if !self.calls.is_empty() && moment.random.chance(3) {
            let at = moment.random.below(self.calls.len() as u64) as usize;
            let call = self.calls.swap_remove(at);
            self.sender.forget_call(call.id);
            moment.count(Event::CallForgotten);
        }
        self.take_outcomes(plan, moment);
    }

    fn push_call(&mut self, at: usize, rest: u64, session: usize, moment: &mut Moment) -> u64 {
        let page = moment.book.page(session, self.typist);
        let from = page.end;
        let call = &mut self.calls[at];
        let taken = self.sender.push_call(call.id, tape(self.typist, from, rest as usize)) as u64;
        if call.taken.is_empty() {
            call.taken = from..from;
        }
        assert!(taken == 0 || call.taken.end == from, "bytes of a call stay together");
        call.taken.end += taken;
        self.note_typed(taken, page);
        taken
    }

    fn note_typed(&mut self, taken: u64, page: &mut Page) {
        let from = page.end;
        page.type_on(taken, self.epoch);
        self.typed += taken;
        let kept = self.sender.unwritten();
        assert!(taken == 0 || kept <= self.window, "no more is kept than the window, {kept}");
        match self.kept.back_mut() {
            Some(last) if last.end == from => last.end += taken,
            _ if taken > 0 => self.kept.push_back(from..from + taken),
            _ => {}
        }
    }

    /// Puts everything that may be sent now into frames.
    pub(super) fn send(
        &mut self,
        out: &mut ByteQueue,
        plan: &SeatPlan,
        (wire, stream, number): (usize, u64, u32),
        moment: &mut Moment,
    ) -> bool {
        let mut is_moved = false;
        while let Some(frame) = self.sender.next_frame() {
            let way = Way { wire, stream, turn: frame.turn };
            let room = (INPUT_MAX - frame.len) as u64;
            let repeats = std::mem::take(&mut self.repeats).min(frame.offset - self.base).min(room);
            let offset = frame.offset - repeats;
            let skip = offset - self.base;
            let len = repeats + frame.len as u64;
            self.flying = self.flying.max(skip + len);
            let page = moment.book.page(plan.session, self.typist);
            let (mut said, mut bytes) = (0, Vec::with_capacity(len as usize));
            for places in part(&self.kept, skip, len) {
                let count = places.end - places.start;
                bytes.extend_from_slice(tape(self.typist, places.start, count as usize));
                page.send(way, offset + said, places);
                said += count;
            }
            let is_typed = self.sender.bytes(&frame) == &bytes[repeats as usize..];
            assert!(is_typed, "client {}: what is sent is what was typed", self.typist);
            let is_ack_wanted = frame.is_ack_wanted || moment.random.chance(5);
            let input = Input {
                attachment: number,
                flags: if is_ack_wanted { InputFlags::ACK_NOW as u16 } else { 0 },
                turn: frame.turn,
                offset,
                bytes: bytes.as_slice().into(),
            };
            out.push_frame(0, ControlMessage::Input(input));
            is_moved = true;
        }
        is_moved
    }
}

/// The engine was heard, or is not any more.
impl Typing {
    pub(super) fn hear_attached(
        &mut self,
        plan: &SeatPlan,
        marks: &SenderMarks,
        moment: &mut Moment,
    ) {
        self.has_progressed |= self.sender.handle_applied(marks.applied);
        self.settle(None, plan, moment);
        self.window = marks.window.into();
        if self.flying == 0 {
            self.base = marks.accepted;
        }
        let (replayed, leftover) = self.sender.handle_attached(marks);
        if replayed > 0 {
            moment.count(Event::Replay);
        }
        self.settle(leftover, plan, moment);
        let is_repeated = moment.random.chance(30);
        self.repeats = if is_repeated { moment.random.between(1, REPEATED_MAX) } else { 0 };
    }

    pub(super) fn hear_applied(&mut self, plan: &SeatPlan, applied: u64, moment: &mut Moment) {
        self.has_progressed |= self.sender.handle_applied(applied);
        self.settle(None, plan, moment);
    }

    /// The child ended, or something was refused.
    pub(super) fn change(
        &mut self,
        plan: &SeatPlan,
        moment: &mut Moment,
        change: impl FnOnce(&mut InputSender) -> Option<Leftover>,
    ) {
        let leftover = change(&mut self.sender);
        self.settle(leftover, plan, moment);
    }

    /// Offsets begin at 0 again.
    pub(super) fn renew(
        &mut self,
        plan: &SeatPlan,
        moment: &mut Moment,
        change: impl FnOnce(&mut InputSender) -> Option<Leftover>,
    ) {
        self.change(plan, moment, change);
        (self.base, self.flying) = (0, 0);
    }

    /// Bytes that are not kept any more were written, or are left over.
    fn settle(&mut self, leftover: Option<Leftover>, plan: &SeatPlan, moment: &mut Moment) {
        let kept = self.kept.iter().map(|places| places.end - places.start).sum::<u64>();
        let left = leftover.as_ref().map_or(0, |leftover| leftover.bytes.len() as u64);
        let gone = kept - self.sender.unwritten();
        let written = gone.checked_sub(left).expect("what is left over was kept");
        self.base += written;
        self.flying = (self.flying - self.flying.min(written)).min(self.sender.unwritten());
        let page = moment.book.page(plan.session, self.typist);
        for places in take(&mut self.kept, written) {
            page.tell_written(places);
        }
        if let Some(Leftover { end, unknown, bytes }) = leftover {
            // What is still kept was typed before.
            let still = take(&mut self.kept, self.sender.unwritten());
            let mut gone = std::mem::replace(&mut self.kept, still.into());
            check_leftover(&gone, &bytes, self.typist);
            for places in take(&mut gone, unknown) {
                page.tell_unknown(places);
            }
            for places in gone {
                assert!(!places.is_empty(), "it is there");
                page.tell_undelivered(places);
            }
            assert!(
                end != SenderEnd::Refused || unknown == 0 || self.sender.stopped().is_some(),
                "what is refused is known not to be written"
            );
            let events = [(unknown, Event::Unknown), (left - unknown, Event::Undelivered)];
            let events = events.into_iter().filter(|(count, _)| *count > 0);
            events.for_each(|(_, event)| moment.census.count(event));
        }
        self.take_outcomes(plan, moment);
    }

    fn take_outcomes(&mut self, plan: &SeatPlan, moment: &mut Moment) {
        let Self { calls, sender, typist, .. } = self;
        calls.retain(|call| {
            let Some(outcome) = sender.take_outcome(call.id) else { return true };
            let page = moment.book.page(plan.session, *typist);
            check_outcome(call, outcome, page);
            moment.census.count(match outcome {
                CallOutcome::Written => Event::CallWritten,
                CallOutcome::Stopped { .. } => Event::CallStopped,
            });
            false
        });
    }
}

/// A call and the bytes it typed tell the same story.
fn check_outcome(call: &Call, outcome: CallOutcome, page: &Page) {
    let Range { start, end } = call.taken;
    match outcome {
        CallOutcome::Written => {
            assert_eq!(end - start, call.total, "a call that is written was typed in full");
            page.check_call(&(start..end), &(0..0), &(0..0));
        }
        CallOutcome::Stopped { applied, unknown, undelivered, .. } => {
            let sum = applied + unknown + undelivered;
            assert_eq!(sum, call.total, "a call accounts for each of its bytes");
            let (written, maybe) = (start + applied, start + applied + unknown);
            assert!(maybe <= end, "a call accounts only for bytes that were taken");
            page.check_call(&(start..written), &(written..maybe), &(maybe..end));
        }
    }
}

/// The bytes that are given back are those that were typed.
fn check_leftover(gone: &VecDeque<Range<u64>>, bytes: &[u8], typist: usize) {
    let mut rest = bytes;
    for places in gone {
        let len = (places.end - places.start) as usize;
        let is_typed = rest.get(..len) == Some(tape(typist, places.start, len));
        assert!(is_typed, "client {typist}: what is left over is what was typed, {places:?}");
        rest = &rest[len..];
    }
    assert!(rest.is_empty(), "client {typist}: more is left over than was typed");
}

/// The places of `len` bytes behind the first `skip`.
fn part(kept: &VecDeque<Range<u64>>, skip: u64, len: u64) -> impl Iterator<Item = Range<u64>> {
    let (mut skip, mut left) = (skip, len);
    kept.iter().filter_map(move |places| {
        let count = places.end - places.start;
        let skipped = skip.min(count);
        skip -= skipped;
        let taken = left.min(count - skipped);
        left -= taken;
        let from = places.start + skipped;
        (taken > 0).then_some(from..from + taken)
    })
}

/// The first `count` bytes of what is kept.
fn take(kept: &mut VecDeque<Range<u64>>, count: u64) -> Vec<Range<u64>> {
    let mut taken = Vec::new();
    let mut left = count;
    while left > 0 {
        let first = kept.front_mut().expect("what is taken was kept");
        let len = left.min(first.end - first.start);
        taken.push(first.start..first.start + len);
        first.start += len;
        left -= len;
        if first.is_empty() {
            kept.pop_front();
        }
    }
    taken
}
