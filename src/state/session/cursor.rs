//! What one attachment has been told so far, and what it is told next.
//!
//! [`Session::next_send`] is a pure function of session and cursor. The I/O shell plans a batch
//! with a copy of the cursor, writes, and [commits](Session::commit) the cursor as it stood after
//! the last frame it *began*: a frame not begun is forgotten and planned again, so a subscriber
//! that does not read costs its cursor and no queue.

use tautline_protocol::{
    AdjustCause, Delivery, DetachReason, OutputFlags, SizePolicy, WindowSize, limits::OUTPUT_MAX,
};

use super::{Attachment, Exit, Session, life::Turn};

/// How far an attachment's stream went.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cursor {
    /// The next output offset to send.
    pub(super) output: u64,
    /// Where the newest gap ended: output up to there counts as consumed.
    pub(super) gap_end: u64,
    /// How many ends and starts of children were told in full.
    pub(super) turns_told: u64,
    /// How many starts of children were told.
    pub(super) starts_told: u64,
    /// Whether the end of the next turn was told, and only its start is left.
    pub(super) is_exit_told: bool,
    /// The input mark the client knows.
    pub(super) applied_told: u64,
    /// The number of the newest size told.
    pub(super) size_told: u64,
    /// The number of the newest terms told.
    pub(super) terms_told: u64,
    /// How often it was told that input did not fit the terminal's line.
    pub(super) lines_full_told: u64,
    /// Whether the end of the attachment was told.
    pub(super) is_end_told: bool,
}

/// The next thing to send on an attachment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Send {
    /// Bytes of the log.
    Output {
        /// Offset of the first.
        offset: u64,
        /// How many: at least 1, at most one frame's worth.
        len: usize,
        /// [`OutputFlags`].
        flags: u32,
        /// The client's input mark: acknowledgements ride along.
        input_applied: u64,
    },
    /// Bytes that left the log before they could be sent.
    Gap {
        /// The first missing.
        from: u64,
        /// The first held again.
        to: u64,
    },
    /// The client's input mark alone.
    InputApplied {
        /// Everything below was written to the PTY.
        applied: u64,
    },
    /// Input did not fit the line that the terminal puts together.
    LineFull {
        /// Where it goes on.
        accepted: u64,
    },
    /// The child ended, and everything it printed was sent.
    Exited {
        /// The epoch that ended.
        epoch: u64,
        /// The output offset after its last byte.
        offset: u64,
        /// How.
        exit: Exit,
    },
    /// A new child runs.
    Started {
        /// Its epoch.
        epoch: u64,
        /// Its first output offset.
        offset: u64,
        /// Its process id.
        pid: u32,
    },
    /// The window has another size.
    Resized {
        /// The size.
        size: WindowSize,
        /// Who decides it.
        policy: SizePolicy,
    },
    /// The attachment's terms changed.
    Adjusted {
        /// Why.
        cause: AdjustCause,
    },
    /// The attachment ended; nothing follows.
    Detached {
        /// Why.
        reason: DetachReason,
        /// How far the output went.
        offset: u64,
    },
}

impl<H> Session<H> {
    /// What `attachment` is told next, if anything; moves `cursor` behind it.
    pub fn next_send(&self, attachment: &Attachment<H>, cursor: &mut Cursor) -> Option<Send> {
        if cursor.is_end_told {
            return None;
        }
        // Whoever leaves or is made to leave does not wait for a flood to end.
        if let Some(reason) = attachment.ended.filter(|reason| *reason != DetachReason::Ended) {
            return Some(Self::end(reason, cursor));
        }
        self.skip_turns_dropped(cursor);
        self.next_notice(attachment, cursor)
            .or_else(|| self.next_refusal(attachment, cursor))
            .or_else(|| self.next_output(attachment, cursor))
            .or_else(|| self.next_turn(attachment, cursor))
            .or_else(|| Self::next_end(attachment, cursor))
            .or_else(|| self.next_applied(attachment, cursor))
    }

    /// Whoever is so far behind that ends of children were forgotten goes on with the oldest known.
    const fn skip_turns_dropped(&self, cursor: &mut Cursor) {
        if cursor.turns_told < self.turns_dropped {
            cursor.turns_told = self.turns_dropped;
            cursor.is_exit_told = false;
            cursor.applied_told = 0;
        }
    }

    fn next_notice(&self, attachment: &Attachment<H>, cursor: &mut Cursor) -> Option<Send> {
        if cursor.terms_told < attachment.terms_number {
            cursor.terms_told = attachment.terms_number;
            return Some(Send::Adjusted { cause: attachment.adjust_cause });
        }
        if cursor.size_told < self.size_number {
            cursor.size_told = self.size_number;
            return Some(Send::Resized { size: self.size, policy: self.size_policy });
        }
        None
    }

    /// A line that was too long, behind the mark that says what of it was written.
    fn next_refusal(&self, attachment: &Attachment<H>, cursor: &mut Cursor) -> Option<Send> {
        // Input of a child that was started since is another matter.
        if cursor.lines_full_told == attachment.lines_full || cursor.turns_told != self.turns_done()
        {
            return None;
        }
        let applied = self.applied_of(attachment);
        if cursor.applied_told < applied {
            cursor.applied_told = applied;
            return Some(Send::InputApplied { applied });
        }
        cursor.lines_full_told = attachment.lines_full;
        let accepted = self.marks(attachment.client).map_or(0, |marks| marks.accepted());
        Some(Send::LineFull { accepted })
    }

    fn next_output(&self, attachment: &Attachment<H>, cursor: &mut Cursor) -> Option<Send> {
        let limit = self.output_limit(cursor);
        if attachment.delivery == Delivery::None {
            cursor.output = limit;
            return None;
        }
        let from = cursor.output;
        // What left the log may include ends of children that were never told; those still are.
        let held = self.log.start().min(limit);
        if from < held {
            cursor.output = held;
            cursor.gap_end = held;
            return Some(Send::Gap { from, to: held });
        }
        let credit_end = attachment.consumed.max(cursor.gap_end) + u64::from(attachment.window);
        let is_replay = from < attachment.live_from;
        // One frame is all replay or all live: whoever answers a terminal's queries must know.
        let limit = if is_replay { limit.min(attachment.live_from) } else { limit };
        let end = limit.min(credit_end).min(from + OUTPUT_MAX as u64);
        if end <= from {
            return None;
        }
        cursor.output = end;
        // Output of an epoch that ended carries the last mark of that epoch.
        let is_current = cursor.turns_told == self.turns_done();
        let input_applied =
            if is_current { self.applied_of(attachment) } else { cursor.applied_told };
        cursor.applied_told = input_applied;
        let flags = if is_replay { OutputFlags::REPLAY } else { 0 };
        Some(Send::Output { offset: from, len: (end - from) as usize, flags, input_applied })
    }

    /// The next end or start of a child, once all output before it was sent, and how much of the
    /// client's input was written by then.
    fn next_turn(&self, attachment: &Attachment<H>, cursor: &mut Cursor) -> Option<Send> {
        let turn = self.turn_after(cursor)?;
        if cursor.output < turn.offset {
            return None;
        }
        if !cursor.is_exit_told {
            let applied = self.last_applied(turn, attachment);
            if cursor.applied_told < applied {
                cursor.applied_told = applied;
                return Some(Send::InputApplied { applied });
            }
            cursor.is_exit_told = true;
            return Some(Send::Exited { epoch: turn.epoch, offset: turn.offset, exit: turn.exit });
        }
        let next = turn.next?;
        cursor.is_exit_told = false;
        cursor.turns_told += 1;
        cursor.starts_told += 1;
        cursor.applied_told = 0;
        Some(Send::Started { epoch: next.epoch, offset: turn.offset, pid: next.pid })
    }

    fn last_applied(&self, turn: &Turn, attachment: &Attachment<H>) -> u64 {
        if turn.next.is_none() {
            return self.applied_of(attachment);
        }
        turn.applied_by(attachment.client())
    }

    /// Whoever is forgotten with the session still gets its last byte and its status first.
    fn next_end(attachment: &Attachment<H>, cursor: &mut Cursor) -> Option<Send> {
        let reason = attachment.ended.filter(|_| cursor.is_exit_told)?;
        Some(Self::end(reason, cursor))
    }

    const fn end(reason: DetachReason, cursor: &mut Cursor) -> Send {
        cursor.is_end_told = true;
        Send::Detached { reason, offset: cursor.output }
    }

    fn next_applied(&self, attachment: &Attachment<H>, cursor: &mut Cursor) -> Option<Send> {
        let applied = self.applied_of(attachment);
        let owed = applied.saturating_sub(cursor.applied_told);
        let is_wanted = (cursor.applied_told + 1..=applied).contains(&attachment.ack_wanted_to);
        let is_half = owed >= u64::from(attachment.input_window / 2);
        let is_due = attachment.is_ack_due || is_wanted || is_half;
        if owed == 0 || !is_due || cursor.turns_told != self.turns_done() {
            return None;
        }
        cursor.applied_told = applied;
        Some(Send::InputApplied { applied })
    }

    /// Output may be sent up to here before a turn is told.
    fn output_limit(&self, cursor: &Cursor) -> u64 {
        self.turn_after(cursor).map_or_else(|| self.log.end(), |turn| turn.offset)
    }
}
