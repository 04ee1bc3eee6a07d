//! One call that types: how far it came, and what became of it.

/// One call that types, and wants to know what became of its bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallId(pub(super) u64);

/// Why bytes that were typed are given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SenderEnd {
    /// The engine refused them.
    Refused,
    /// Their child ended, or was replaced by another.
    ChildEnded,
    /// The session was left, or nothing is known of it any more.
    Lost,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallOutcome {
    /// Every byte was written.
    Written,
    /// Not every byte was, or is known to be.
    Stopped {
        /// Why.
        end: SenderEnd,
        /// Bytes, from the front, that were written.
        applied: u64,
        /// Bytes behind them that were sent, and may be written or not.
        unknown: u64,
        /// Bytes behind those that were certainly not written.
        undelivered: u64,
    },
}

/// A call that is under way, or whose outcome nobody asked for yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) total: u64,
    /// Where its first byte is.
    pub(super) begin: u64,
    /// How many of its bytes are kept, sent or written.
    pub(super) taken: u64,
    /// Given up: nothing more of it is taken, and this is why.
    pub(super) end: Option<SenderEnd>,
    /// Given up with nothing more to wait for.
    pub(super) outcome: Option<CallOutcome>,
}

impl Call {
    pub(super) const fn new(id: CallId, total: u64, begin: u64) -> Self {
        Self { id, total, begin, taken: 0, end: None, outcome: None }
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.taken == self.total
    }

    /// Whether more of its bytes are to be taken before those of others.
    pub(super) const fn is_entering(&self) -> bool {
        self.outcome.is_none() && self.end.is_none() && !self.is_whole()
    }

    /// Given up: what lies between `applied` and `unknown_to` may be written or not.
    pub(super) fn stop(&mut self, end: SenderEnd, applied: u64, unknown_to: u64) {
        let written = applied.saturating_sub(self.begin).min(self.taken);
        let sent = unknown_to.saturating_sub(self.begin).min(self.taken).max(written);
        self.outcome = Some(CallOutcome::Stopped {
            end: self.end.unwrap_or(end),
            applied: written,
            unknown: sent - written,
            undelivered: self.total - sent,
        });
    }
}
