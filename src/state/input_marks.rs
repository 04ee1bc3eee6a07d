//! How far one client's input came in one epoch: the ledger behind "typed exactly once".

/// The two marks of one client in one epoch.
///
/// Invariant: `applied <= accepted`. Offsets count the bytes this client typed since the epoch
/// began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InputMarks {
    accepted: u64,
    applied: u64,
}

/// What to do with input that arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InputVerdict {
    /// The bytes from this index on are new and now accepted.
    Accept {
        /// Bytes at the front that were accepted before.
        skip: usize,
    },
    /// All of it was accepted before: nothing to do.
    Duplicate,
    /// It begins above what was accepted: bytes between are missing.
    Gap,
    /// It passes the window granted.
    BeyondWindow,
    /// It was sent before its sender knew that the child was replaced, or that input was refused:
    /// dropped, and no fault.
    Stale,
}

impl InputMarks {
    /// The marks of an epoch that has ended: what was not written will not be.
    pub const fn ended_at(applied: u64) -> Self {
        Self { accepted: applied, applied }
    }

    /// Everything below is in our hands: the client goes on from here.
    pub const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Everything below was written to the PTY.
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// Bytes accepted and not yet written.
    pub const fn queued(&self) -> u64 {
        self.accepted - self.applied
    }

    /// Judges `len` bytes at `offset`, and accepts what is new.
    ///
    /// `window` is what the client was granted beyond `applied`.
    pub fn handle_input(&mut self, offset: u64, len: usize, window: u64) -> InputVerdict {
        let end = offset.saturating_add(len as u64);
        if offset > self.accepted {
            return InputVerdict::Gap;
        }
        if end > self.applied.saturating_add(window) {
            return InputVerdict::BeyondWindow;
        }
        if end <= self.accepted {
            return InputVerdict::Duplicate;
        }
        let skip = (self.accepted - offset) as usize;
        self.accepted = end;
        InputVerdict::Accept { skip }
    }

    /// `count` more bytes were written to the PTY.
    ///
    /// # Panics
    ///
    /// If they were never accepted.
    pub fn handle_applied(&mut self, count: u64) {
        self.applied += count;
        assert!(self.applied <= self.accepted, "applied more than was accepted");
    }

    /// What was not written is not to be: it is not accepted any more.
    pub const fn handle_refused(&mut self) {
        self.accepted = self.applied;
    }

    /// Accepted bytes that were not written were dropped on request: they count as done.
    pub fn handle_dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.applied, self.accepted).abs_diff(self.accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_accepted_once_however_often_it_comes() {
        let mut marks = InputMarks::default();
        assert_eq!(marks.handle_input(0, 4, 64), InputVerdict::Accept { skip: 0 });
        assert_eq!(marks.handle_input(0, 4, 64), InputVerdict::Duplicate);
        assert_eq!(marks.handle_input(2, 4, 64), InputVerdict::Accept { skip: 2 });
        assert_eq!(marks.handle_input(1, 5, 64), InputVerdict::Duplicate);
        assert_eq!((marks.accepted(), marks.applied(), marks.queued()), (6, 0, 6));
    }

    #[test]
    fn input_above_what_was_accepted_is_a_gap_and_changes_nothing() {
        let mut marks = InputMarks::default();
        assert_eq!(marks.handle_input(1, 1, 64), InputVerdict::Gap);
        assert_eq!(marks, InputMarks::default());
    }

    #[test]
    fn the_window_counts_from_what_was_applied() {
        let mut marks = InputMarks::default();
        assert_eq!(marks.handle_input(0, 8, 8), InputVerdict::Accept { skip: 0 });
        assert_eq!(marks.handle_input(8, 1, 8), InputVerdict::BeyondWindow);
        marks.handle_applied(3);
        assert_eq!(marks.handle_input(8, 3, 8), InputVerdict::Accept { skip: 0 });
        assert_eq!(marks.handle_input(11, 1, 8), InputVerdict::BeyondWindow);
        assert_eq!(marks.handle_input(u64::MAX - 1, 1, u64::MAX), InputVerdict::Gap);
    }

    #[test]
    fn dropped_input_opens_the_window_again() {
        let mut marks = InputMarks::default();
        marks.handle_input(0, 8, 8);
        marks.handle_applied(3);
        assert_eq!(marks.handle_dropped(), 5);
        assert_eq!((marks.accepted(), marks.applied()), (8, 8));
    }

    #[test]
    fn what_was_refused_is_accepted_anew_from_where_writing_ended() {
        let mut marks = InputMarks::default();
        marks.handle_input(0, 8, 8);
        marks.handle_applied(3);
        marks.handle_refused();
        assert_eq!((marks.accepted(), marks.applied(), marks.queued()), (3, 3, 0));
        assert_eq!(marks.handle_input(8, 1, 8), InputVerdict::Gap);
        assert_eq!(marks.handle_input(3, 8, 8), InputVerdict::Accept { skip: 0 });
    }

    #[test]
    #[should_panic(expected = "applied more than was accepted")]
    fn applying_what_nobody_typed_is_our_own_bug() {
        InputMarks::default().handle_applied(1);
    }
}
