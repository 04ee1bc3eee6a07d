//! What a client has of a session's output, over lost connections: nothing twice, nothing missing
//! in silence, no end of a child told twice.
//!
//! ```text
//! Known --loss--> ask for the epoch we know --EpochChanged---> ask for any --Attached--> Known
//!                      |                   `--ResumeExpired--> ask for any --Attached--> Known
//!                   Attached                                       |
//!                      v                                other session, or none: give up
//!                    Known
//! ```
//!
//! Output offsets never go back while a session exists, and epochs are random: a session of the
//! same name that knows neither us nor our epoch is another one.

use std::ops::Range;

use tautline_protocol::ErrorCode;

/// What the engine says of a session when it attaches us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attachable {
    /// The epoch that runs, or ran last.
    pub epoch: u64,
    /// Where the stream begins.
    pub output_offset: u64,
    /// Whether our input marks were kept.
    pub is_resumed: bool,
}

/// How an attachment goes on after a loss.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resumed {
    /// Another child runs than the one we knew.
    pub is_new_child: bool,
}

/// What to do about a refusal to attach again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResumeStep {
    /// The marks of our input are gone. Ask again, for [`Reception::epoch_to_name`].
    AskAgain {
        /// Another child runs.
        is_new_child: bool,
    },
    /// Coming back is not possible.
    GiveUp,
}

/// What is new of a piece of output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// Output before it that never came.
    pub missing: Option<Range<u64>>,
    /// Bytes at its front that were received before.
    pub skip: usize,
}

/// How far the output of one attachment was received.
#[derive(Debug, Default)]
pub struct Reception {
    epoch: u64,
    received: u64,
    is_exit_told: bool,
    asking: Asking,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Asking {
    /// For the epoch we know; for any if we know none.
    #[default]
    Known,
    /// For any: the engine knows us, and another child runs.
    Newer,
    /// For any: the engine does not know us. The session may be another.
    Stranger,
}

impl Reception {
    /// The epoch to name in `Attach`; 0 is any.
    pub const fn epoch_to_name(&self) -> u64 {
        match self.asking {
            Asking::Known => self.epoch,
            Asking::Newer | Asking::Stranger => 0,
        }
    }

    /// Where output is to go on: behind what is `consumed`; behind what was received if the engine
    /// does not know what it sent us.
    pub const fn output_from(&self, consumed: u64) -> u64 {
        match self.asking {
            Asking::Known | Asking::Newer => consumed,
            Asking::Stranger => self.received,
        }
    }

    /// The epoch whose output comes.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// All output before was received, or is known to be missing.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// The connection was lost.
    pub fn handle_lost(&mut self) {
        self.asking = Asking::Known;
    }

    /// The engine attached us; `None` if it is to another session of that name.
    pub fn handle_attached(&mut self, attached: &Attachable) -> Option<Resumed> {
        let asking = std::mem::take(&mut self.asking);
        if self.epoch == 0 {
            (self.epoch, self.received) = (attached.epoch, attached.output_offset);
            return Some(Resumed { is_new_child: false });
        }
        if attached.epoch == self.epoch {
            return Some(Resumed { is_new_child: false });
        }
        if asking != Asking::Newer || !attached.is_resumed {
            return None;
        }
        self.epoch = attached.epoch;
        self.is_exit_told = false;
        Some(Resumed { is_new_child: true })
    }

    /// The engine did not attach us again.
    pub fn handle_refused(&mut self, code: ErrorCode) -> ResumeStep {
        let (asking, is_new_child) = match (self.asking, code) {
            (Asking::Known | Asking::Newer, ErrorCode::EpochChanged) => (Asking::Newer, true),
            (Asking::Known | Asking::Newer, ErrorCode::ResumeExpired) => (Asking::Stranger, false),
            _ => return ResumeStep::GiveUp,
        };
        self.asking = asking;
        ResumeStep::AskAgain { is_new_child }
    }

    /// `len` bytes of output came, the first of them at `offset`.
    pub fn handle_output(&mut self, offset: u64, len: usize) -> Taken {
        let missing = self.handle_gap(self.received, offset);
        let skip = self.received.saturating_sub(offset).min(len as u64);
        self.received = self.received.max(offset + len as u64);
        Taken { missing, skip: skip as usize }
    }

    /// Output from `from` to `to` is missing; tells what of that is not here.
    pub fn handle_gap(&mut self, from: u64, to: u64) -> Option<Range<u64>> {
        let missing = from.max(self.received)..to;
        self.received = self.received.max(to);
        (!missing.is_empty()).then_some(missing)
    }

    /// The end of a child is told; returns whether it was not before.
    pub fn handle_exited(&mut self, epoch: u64) -> bool {
        let is_news = epoch != self.epoch || !self.is_exit_told;
        self.is_exit_told |= epoch == self.epoch;
        is_news
    }

    /// A child was started.
    pub fn handle_started(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.is_exit_told = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESUMED: Option<Resumed> = Some(Resumed { is_new_child: false });
    const NEW_CHILD: Option<Resumed> = Some(Resumed { is_new_child: true });

    fn attachable(epoch: u64, is_resumed: bool) -> Attachable {
        Attachable { epoch, output_offset: 100, is_resumed }
    }

    fn attached() -> Reception {
        let mut reception = Reception::default();
        assert_eq!(reception.epoch_to_name(), 0);
        assert_eq!(reception.handle_attached(&attachable(7, false)), RESUMED);
        assert_eq!(reception.received(), 100);
        reception
    }

    #[test]
    fn what_comes_again_is_skipped_and_what_does_not_come_is_told() {
        let mut reception = attached();
        let whole = |skip| Taken { missing: None, skip };
        assert_eq!(reception.handle_output(100, 50), whole(0));
        assert_eq!(reception.handle_output(120, 20), whole(20));
        assert_eq!(reception.handle_output(140, 20), whole(10));
        let holed = Taken { missing: Some(160..170), skip: 0 };
        assert_eq!(reception.handle_output(170, 10), holed);
        assert_eq!(reception.received(), 180);
    }

    #[test]
    fn of_a_gap_only_what_is_not_here_is_missing() {
        let mut reception = attached();
        reception.handle_output(100, 50);
        assert_eq!(reception.handle_gap(100, 140), None);
        assert_eq!(reception.handle_gap(100, 200), Some(150..200));
        assert_eq!(reception.handle_output(200, 5), Taken { missing: None, skip: 0 });
    }

    #[test]
    fn the_end_of_a_child_is_told_once_however_often_it_is_heard() {
        let mut reception = attached();
        assert!(reception.handle_exited(7));
        reception.handle_lost();
        assert_eq!(reception.handle_attached(&attachable(7, true)), RESUMED);
        assert!(!reception.handle_exited(7));
        reception.handle_started(8);
        assert!(reception.handle_exited(8));
    }

    #[test]
    fn another_child_of_a_session_that_knows_us_is_followed() {
        let mut reception = attached();
        reception.handle_exited(7);
        reception.handle_lost();
        assert_eq!(reception.epoch_to_name(), 7);
        let step = reception.handle_refused(ErrorCode::EpochChanged);
        assert_eq!(step, ResumeStep::AskAgain { is_new_child: true });
        assert_eq!(reception.epoch_to_name(), 0);
        assert_eq!(reception.handle_attached(&attachable(8, true)), NEW_CHILD);
        assert!(reception.handle_exited(8));
        reception.handle_lost();
        assert_eq!(reception.epoch_to_name(), 8);
    }

    #[test]
    fn who_was_away_for_too_long_comes_back_to_the_same_child_only() {
        for (epoch, expected) in [(7, RESUMED), (8, None)] {
            let mut reception = attached();
            reception.handle_lost();
            let step = reception.handle_refused(ErrorCode::ResumeExpired);
            assert_eq!(step, ResumeStep::AskAgain { is_new_child: false });
            assert_eq!(reception.epoch_to_name(), 0);
            assert_eq!(reception.handle_attached(&attachable(epoch, false)), expected);
        }
    }

    #[test]
    fn a_session_that_forgot_us_between_two_questions_may_be_another() {
        let mut reception = attached();
        reception.handle_lost();
        reception.handle_refused(ErrorCode::EpochChanged);
        assert_eq!(reception.handle_attached(&attachable(8, false)), None);
    }

    #[test]
    fn other_refusals_are_final() {
        for code in [ErrorCode::NoSuchSession, ErrorCode::InvalidOffset, ErrorCode::NotPermitted] {
            let mut reception = attached();
            reception.handle_lost();
            assert_eq!(reception.handle_refused(code), ResumeStep::GiveUp);
        }
    }
}
