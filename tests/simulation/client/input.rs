//! What a client typed, what the engine says became of it, and what may be typed next.

use tautline::protocol::{ArchivedAttached, limits::INPUT_MAX};

use crate::{census::Event, moment::Moment, scenario::SeatPlan};

/// So many bytes that it should know to be written a client may send once more.
const REPEATED_MAX: u64 = 20;

/// Offsets count from `base` on the client's tape: where the epoch, or the ledger, began.
#[derive(Debug, Default)]
pub(crate) struct InputSide {
    pub(crate) base: u64,
    /// The ledger died with the attachment: some of what was sent may have died with it.
    is_base_guessed: bool,
    /// Everything below was put into frames.
    sent: u64,
    /// The next offset to put into a frame: below `sent` when some is sent again.
    next: u64,
    applied: u64,
    window: u64,
    /// How many starts of children this stream told.
    turn: u16,
    /// The last stream ended in order, so that the ledger may have died with it.
    pub(crate) is_detached: bool,
    pub(crate) is_child_up: bool,
    pub(crate) has_progressed: bool,
}

impl InputSide {
    pub(crate) fn handle_lost(&mut self) {
        self.next = self.sent;
    }

    pub(crate) fn hear_attached(
        &mut self,
        client: usize,
        plan: &SeatPlan,
        attached: &ArchivedAttached,
        is_same_epoch: bool,
        written: u64,
        moment: &mut Moment,
    ) {
        let (accepted, applied) =
            (attached.input_accepted.to_native(), attached.input_applied.to_native());
        let is_new_ledger = std::mem::take(&mut self.is_detached) && accepted == 0;
        if !is_same_epoch {
            self.begin_at(written);
        } else if is_new_ledger {
            // All that was accepted is written by then; what was not may have been refused.
            assert!(written <= self.base + self.sent, "client {client}: written and never sent");
            self.begin_at(written);
        }
        self.turn = 0;
        assert!(applied <= accepted, "client {client}");
        assert!(
            (self.applied..=self.sent).contains(&accepted),
            "client {client}: {accepted} accepted of {} to {}",
            self.applied,
            self.sent
        );
        moment.frames.rewind(plan.session, client, self.base + accepted);
        self.sent = accepted;
        self.applied = self.applied.max(applied);
        // Once more what is accepted already: a duplicate, or a frame that is new only in part.
        let is_repeated = !moment.has_long_lines && moment.random.chance(30);
        let oldest = applied.saturating_sub(REPEATED_MAX);
        self.next = if is_repeated { moment.random.between(oldest, accepted) } else { accepted };
        self.window = attached.input_window.to_native().into();
    }

    /// A child was started. What was typed for the one before and not written is undelivered; its
    /// user types it once more.
    pub(crate) fn hear_started(&mut self, written: u64) {
        self.turn = self.turn.wrapping_add(1);
        self.is_child_up = true;
        self.begin_at(written);
    }

    /// Nothing was taken from here on; its user types it once more, now that there is room.
    pub(crate) fn hear_line_too_long(&mut self, accepted: u64) {
        assert_eq!(self.applied, accepted, "what was written is told before");
        (self.sent, self.next) = (accepted, accepted);
    }

    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }

    /// The child ended: everything of this client that was written is known to be.
    pub(crate) fn check_last_applied(&self, client: usize, written: u64) {
        let applied = self.base + self.applied;
        let is_known = self.is_base_guessed || applied == written;
        assert!(is_known, "client {client}: {written} bytes were written, it knows of {applied}");
    }

    pub(crate) fn turn(&self) -> u16 {
        self.turn
    }

    /// Where on the tape the next frame begins that was never sent before.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.sent
    }

    /// Input offsets begin at 0 again.
    fn begin_at(&mut self, base: u64) {
        self.base = base;
        self.is_base_guessed = false;
        (self.sent, self.next, self.applied) = (0, 0, 0);
    }

    /// How much may be typed in one frame, up to `target` on the tape.
    pub(crate) fn may_type(&self, target: u64) -> usize {
        if !self.is_child_up {
            return 0;
        }
        let end = target.saturating_sub(self.base).min(self.applied + self.window);
        end.saturating_sub(self.next).min(INPUT_MAX as u64) as usize
    }

    /// Offset and length of the next frame, if anything may be typed up to `target` on the tape.
    pub(crate) fn next_frame(&mut self, target: u64, moment: &mut Moment) -> Option<(u64, usize)> {
        let most = self.may_type(target);
        if most == 0 {
            return None;
        }
        let offset = self.next;
        let len = moment.random.piece(most);
        self.next += len as u64;
        self.sent = self.sent.max(self.next);
        if self.next == self.applied + self.window && self.base + self.next < target {
            moment.count(Event::FullWindow);
        }
        Some((offset, len))
    }

    pub(crate) fn hear_applied(&mut self, client: usize, applied: u64, written: u64) {
        assert!(
            applied == 0 || self.base + applied <= written,
            "client {client}: {applied} bytes from {} on cannot be written: {written} are",
            self.base
        );
        assert!(applied <= self.sent, "client {client}: {applied} applied, {} sent", self.sent);
        self.has_progressed |= applied > self.applied;
        self.applied = self.applied.max(applied);
    }
}
