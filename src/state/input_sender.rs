//! What one attachment typed: kept until it is known to be written, sent again after a loss.
//!
//! ```text
//! applied        base          sent         sent_ever         end
//!    | not ours   | on its way  | sent again  | never sent yet |
//!    |            |<----------------- kept ------------------>|
//!    |<----------------------- window ------------------------------>|
//! ```
//!
//! Offsets count the bytes that the client typed in one epoch. `sent` goes back when a connection
//! was lost, to where the engine says; `sent_ever` does not, because what was ever sent and is not
//! known to be written may be. What is not ours is of an attachment that the client left before.

use std::collections::VecDeque;

use tautline_protocol::limits::INPUT_MAX;

use super::input_call::{Call, CallId, CallOutcome, SenderEnd};

/// A frame of input to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InputFrame {
    /// Position of its first byte.
    pub offset: u64,
    /// How many bytes.
    pub len: usize,
    /// Which child it is for.
    pub turn: u16,
    /// Whether somebody waits for it to be written.
    pub is_ack_wanted: bool,
}

/// Bytes that were typed and are given up, in order: those that may be written, then those that
/// were not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leftover {
    /// Why.
    pub end: SenderEnd,
    /// How many of them may be written.
    pub unknown: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What the engine says about our input when it attaches us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SenderMarks {
    /// Everything below is in its hands.
    pub accepted: u64,
    /// Everything below was written to the PTY.
    pub applied: u64,
    /// What lies between `applied` and this may be written or not, and is never sent again.
    pub unknown_to: u64,
    /// How much may be typed beyond `applied`.
    pub window: u32,
    /// Whether a child runs that takes input.
    pub is_child_up: bool,
}

/// The typing side of one attachment.
#[derive(Debug, Default)]
pub struct InputSender {
    kept: VecDeque<u8>,
    applied: u64,
    base: u64,
    sent: u64,
    sent_ever: u64,
    window: u64,
    turn: u16,
    phase: Phase,
    calls: VecDeque<Call>,
    calls_made: u64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    /// No connection, or not attached on it yet: what is typed is kept.
    #[default]
    Away,
    Open,
    /// No child runs; another may.
    ChildEnded,
    Over(SenderEnd),
}

impl InputSender {
    /// The engine attached us. What was typed and is not in its hands is sent, or sent again: the
    /// first number tells how many bytes of the latter there are.
    pub fn handle_attached(&mut self, marks: &SenderMarks) -> (u64, Option<Leftover>) {
        self.window = marks.window.into();
        self.turn = 0;
        self.handle_applied(marks.applied);
        let unknown = marks.unknown_to.saturating_sub(self.base.max(marks.applied));
        let leftover = match unknown {
            0 => None,
            unknown => self.give_up(SenderEnd::Lost, unknown),
        };
        self.applied = marks.applied;
        if self.sent_ever == self.base {
            self.rebase(marks.accepted.max(marks.unknown_to));
        }
        self.sent = marks.accepted.clamp(self.base, self.sent_ever);
        self.phase = if marks.is_child_up { Phase::Open } else { Phase::ChildEnded };
        (self.sent_ever - self.sent, leftover)
    }

    /// The connection was lost: what is typed meanwhile is kept, as far as the window goes.
    pub fn handle_lost(&mut self) {
        if !matches!(self.phase, Phase::Over(_)) {
            self.phase = Phase::Away;
        }
    }

    /// Everything below `applied` was written to the PTY. Returns whether that is news.
    pub fn handle_applied(&mut self, applied: u64) -> bool {
        let applied = applied.min(self.sent_ever);
        if applied <= self.applied {
            return false;
        }
        self.applied = applied;
        if applied > self.base {
            self.kept.drain(..(applied - self.base) as usize);
            self.base = applied;
            self.sent = self.sent.max(applied);
            self.settle_calls();
        }
        true
    }

    /// The engine took nothing from `accepted` on, and goes on with what is sent from there.
    pub fn handle_refused(&mut self, accepted: u64) -> Option<Leftover> {
        let from = accepted.clamp(self.base, self.sent_ever);
        let leftover = self.leftover(SenderEnd::Refused, from, 0);
        self.truncate(from);
        for call in self.calls.iter_mut().filter(|call| call.outcome.is_none()) {
            if call.taken > 0 && call.begin + call.taken > from {
                call.taken = call.taken.min(from.saturating_sub(call.begin));
                call.end = Some(SenderEnd::Refused);
            }
        }
        self.settle_calls();
        leftover
    }

    /// The child ended, and how far input was written is known: the rest was not.
    pub fn handle_exited(&mut self) -> Option<Leftover> {
        let leftover = self.leftover(SenderEnd::ChildEnded, self.base, 0);
        self.stop_calls(SenderEnd::ChildEnded, self.base);
        self.truncate(self.base);
        if !matches!(self.phase, Phase::Over(_)) {
            self.phase = Phase::ChildEnded;
        }
        leftover
    }

    /// Another child was started: offsets begin at 0 again.
    ///
    /// If the end of the one before was told, nothing is left over here.
    pub fn handle_started(&mut self) -> Option<Leftover> {
        let leftover = self.give_up(SenderEnd::ChildEnded, self.in_flight());
        self.turn = self.turn.wrapping_add(1);
        self.phase = Phase::Open;
        leftover
    }

    /// Another child runs, or the engine kept nothing of ours: what it made of what was sent will
    /// never be known. The next [`handle_attached`](Self::handle_attached) begins anew; until then
    /// nothing is taken for a child that nobody was told of.
    pub fn handle_marks_lost(&mut self, end: SenderEnd) -> Option<Leftover> {
        let leftover = self.give_up(end, self.in_flight());
        self.phase = match end {
            SenderEnd::ChildEnded => Phase::ChildEnded,
            SenderEnd::Refused | SenderEnd::Lost => Phase::Away,
        };
        leftover
    }

    /// Nothing will be taken any more.
    pub fn handle_over(&mut self, end: SenderEnd) -> Option<Leftover> {
        if matches!(self.phase, Phase::Over(_)) {
            return None;
        }
        let leftover = self.give_up(end, self.in_flight());
        self.phase = Phase::Over(end);
        leftover
    }

    /// Announces a call of so many bytes. Calls take turns, so that the bytes of one stay together.
    pub fn begin_call(&mut self, total: usize) -> CallId {
        self.calls_made += 1;
        let (id, begin) = (CallId(self.calls_made), self.end());
        let mut call = Call::new(id, total as u64, begin);
        match self.phase {
            Phase::ChildEnded => call.stop(SenderEnd::ChildEnded, begin, begin),
            Phase::Over(end) => call.stop(end, begin, begin),
            Phase::Away | Phase::Open => {}
        }
        self.calls.push_back(call);
        self.settle_calls();
        id
    }

    /// Takes what there is room for of a call's bytes, from where it stopped; tells how many.
    pub fn push_call(&mut self, id: CallId, bytes: &[u8]) -> usize {
        let entering = self.calls.iter().position(|call| call.is_entering());
        let Some(at) = entering.filter(|at| self.calls[*at].id == id) else { return 0 };
        let end = self.end();
        let taken = self.take(bytes);
        let call = &mut self.calls[at];
        if call.taken == 0 {
            call.begin = end;
        }
        call.taken += taken as u64;
        taken
    }

    /// Takes what there is room for, now; 0 also while a call is not taken in full.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        if self.calls.iter().any(Call::is_entering) { 0 } else { self.take(bytes) }
    }

    /// What became of a call, once that is settled; asked once.
    pub fn take_outcome(&mut self, id: CallId) -> Option<CallOutcome> {
        let at = self.calls.iter().position(|call| call.id == id)?;
        let outcome = self.calls[at].outcome?;
        self.calls.remove(at);
        Some(outcome)
    }

    /// Nobody waits for a call any more: what was taken of it goes on its way, the rest does not.
    pub fn forget_call(&mut self, id: CallId) {
        self.calls.retain(|call| call.id != id);
    }

    /// The next frame to send, if there is one; it counts as sent.
    pub fn next_frame(&mut self) -> Option<InputFrame> {
        if self.phase != Phase::Open {
            return None;
        }
        let end = self.end().min(self.applied + self.window);
        let len = end.saturating_sub(self.sent).min(INPUT_MAX as u64);
        if len == 0 {
            return None;
        }
        let offset = self.sent;
        let range = offset + 1..=offset + len;
        let is_waited = |call: &Call| call.is_whole() && range.contains(&(call.begin + call.total));
        let is_ack_wanted = self.calls.iter().any(is_waited);
        self.sent += len;
        self.sent_ever = self.sent_ever.max(self.sent);
        Some(InputFrame { offset, len: len as usize, turn: self.turn, is_ack_wanted })
    }

    /// The bytes of a frame that was just planned.
    ///
    /// # Panics
    ///
    /// If they were written meanwhile.
    pub fn bytes(&mut self, frame: &InputFrame) -> &[u8] {
        let begin = usize::try_from(frame.offset - self.base).expect("it is kept");
        let range = begin..begin + frame.len;
        let first = self.kept.as_slices().0.len();
        if range.start < first && range.end > first {
            self.kept.make_contiguous();
        }
        let (first, second) = self.kept.as_slices();
        if range.end <= first.len() {
            &first[range]
        } else {
            &second[range.start - first.len()..range.end - first.len()]
        }
    }

    /// Bytes that can be taken now: before the first attachment none, there is no window yet.
    pub fn room(&self) -> u64 {
        match self.phase {
            Phase::Away | Phase::Open => (self.applied + self.window).saturating_sub(self.end()),
            Phase::ChildEnded | Phase::Over(_) => 0,
        }
    }

    /// Whether [`push`](Self::push) would take something.
    pub fn has_room(&self) -> bool {
        self.room() > 0 && !self.calls.iter().any(Call::is_entering)
    }

    /// Bytes that were taken and are not known to be written.
    pub fn unwritten(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Everything below is known to be written, in this epoch.
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// Why nothing is taken for now, if so.
    pub const fn stopped(&self) -> Option<SenderEnd> {
        match self.phase {
            Phase::Away | Phase::Open => None,
            Phase::ChildEnded => Some(SenderEnd::ChildEnded),
            Phase::Over(end) => Some(end),
        }
    }

    /// The offset of the next byte that is typed.
    fn end(&self) -> u64 {
        self.base + self.kept.len() as u64
    }

    /// Bytes that were sent, on some connection, and are not known to be written.
    const fn in_flight(&self) -> u64 {
        self.sent_ever - self.base
    }

    fn take(&mut self, bytes: &[u8]) -> usize {
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let taken = bytes.len().min(room);
        self.kept.extend(&bytes[..taken]);
        taken
    }

    /// Nothing of ours is on its way: what is kept begins at `base`.
    fn rebase(&mut self, base: u64) {
        for call in self.calls.iter_mut().filter(|call| call.outcome.is_none()) {
            // A call that is written in part began before all that is kept.
            call.begin = (call.begin + base).saturating_sub(self.base);
        }
        (self.base, self.sent, self.sent_ever) = (base, base, base);
    }

    /// Forgets what was typed from `from` on.
    fn truncate(&mut self, from: u64) {
        self.kept.truncate((from - self.base) as usize);
        self.sent = self.sent.min(from);
        self.sent_ever = self.sent_ever.min(from);
    }

    /// Gives up everything, of which the first `unknown` bytes may be written; offsets begin at 0
    /// again.
    fn give_up(&mut self, end: SenderEnd, unknown: u64) -> Option<Leftover> {
        let leftover = self.leftover(end, self.base, unknown);
        self.stop_calls(end, self.base + unknown);
        self.kept.clear();
        (self.applied, self.base, self.sent, self.sent_ever) = (0, 0, 0, 0);
        leftover
    }

    fn leftover(&self, end: SenderEnd, from: u64, unknown: u64) -> Option<Leftover> {
        let bytes: Vec<u8> = self.kept.iter().skip((from - self.base) as usize).copied().collect();
        (!bytes.is_empty()).then_some(Leftover { end, unknown, bytes })
    }

    /// Ends every call: what lies between what is written and `unknown_to` may be or not.
    fn stop_calls(&mut self, end: SenderEnd, unknown_to: u64) {
        let base = self.base;
        for call in self.calls.iter_mut().filter(|call| call.outcome.is_none()) {
            call.stop(end, base, unknown_to);
        }
    }

    /// Ends the calls for which there is nothing left to wait for.
    fn settle_calls(&mut self) {
        let base = self.base;
        for call in self.calls.iter_mut().filter(|call| call.outcome.is_none()) {
            if call.begin + call.taken <= base || call.taken == 0 {
                match call.end {
                    None if call.is_whole() => call.outcome = Some(CallOutcome::Written),
                    None => {}
                    Some(end) => call.stop(end, base, base),
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "input_sender_tests.rs"]
mod tests;
