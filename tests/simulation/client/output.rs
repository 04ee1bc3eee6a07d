//! What a client may expect of the output it is sent, and how much of it was consumed.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use tautline::{
    protocol::{ArchivedAttached, ArchivedGap, ArchivedOutput, Delivery},
    state::{Session, Taken},
};

use crate::{moment::Moment, scenario::SeatPlan};

/// Whoever is away for less than that still holds the child, if it did for as long as it takes.
const HOLD_SURE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct OutputSide {
    client: usize,
    delivery: Delivery,
    window: u32,
    /// The first offset asked for; `None` for whatever comes next.
    asked: Option<u64>,
    /// Whether there is an offset to go on from.
    is_positioned: bool,
    /// What comes next on this connection.
    expected: u64,
    /// What the user is handed next: nothing twice, and nothing left out without a word.
    handed: u64,
    consumed: u64,
    /// What the engine was told to be consumed.
    told: u64,
    gap_end: u64,
    /// A lossless stream may miss only what was lost before it was one.
    lost_before: u64,
    /// Held the child for as long as it takes when its connection was lost.
    is_holding: bool,
    lost_at: Option<Instant>,
    is_after_end: bool,
    /// So many children ran that the session may have forgotten ends it never told.
    may_skip_ends: bool,
    pub(crate) has_progressed: bool,
}

impl OutputSide {
    pub(crate) fn new(client: usize, plan: &SeatPlan, may_skip_ends: bool) -> Self {
        Self {
            client,
            delivery: plan.delivery,
            window: plan.window,
            asked: None,
            is_positioned: plan.is_from_start,
            expected: 0,
            handed: 0,
            consumed: 0,
            told: 0,
            gap_end: 0,
            lost_before: 0,
            is_holding: false,
            lost_at: None,
            is_after_end: false,
            may_skip_ends,
            has_progressed: false,
        }
    }

    /// Where to go on: at the first byte that was not consumed, if there was any.
    pub(crate) fn ask(&mut self) -> Option<u64> {
        let is_delivered = self.delivery != Delivery::None;
        self.asked = (is_delivered && self.is_positioned).then_some(self.consumed);
        self.asked
    }

    pub(crate) fn is_demoted(&self, plan: &SeatPlan) -> bool {
        plan.delivery == Delivery::Lossless && self.delivery == Delivery::Log
    }

    pub(crate) fn delivery(&self) -> Delivery {
        self.delivery
    }

    pub(crate) fn unconsumed(&self) -> u64 {
        self.handed - self.consumed
    }

    pub(crate) fn consume(&mut self, moment: &mut Moment) -> bool {
        self.consumed += moment.random.piece(self.unconsumed() as usize) as u64;
        self.has_progressed = true;
        true
    }

    /// Whether so much was consumed that the engine is to be told.
    pub(crate) fn is_telling_due(&self) -> bool {
        let owed = self.owed();
        owed > 0 && owed >= u64::from(self.window / 4) && self.delivery != Delivery::None
    }

    /// The offset to tell the engine: when a quarter of the window is owed, or if a frame goes
    /// anyway.
    pub(crate) fn consumed_to_tell(&mut self, goes_anyway: bool) -> Option<u64> {
        let owed = self.owed();
        let is_due = owed > 0 && (goes_anyway || owed >= u64::from(self.window / 4));
        if !is_due || self.delivery == Delivery::None {
            return None;
        }
        self.told += owed;
        Some(self.told)
    }

    /// What may be told: what came again on this connection may have been consumed before it came.
    fn owed(&self) -> u64 {
        self.consumed.min(self.expected).saturating_sub(self.told)
    }

    pub(crate) fn handle_lost(&mut self, was_attached: bool, now: Instant) {
        self.is_holding &= was_attached;
        self.lost_at = self.lost_at.or(Some(now));
    }

    /// The next attachment is another one: it goes on behind what was consumed.
    pub(crate) fn begin_anew(&mut self) {
        self.handed = self.consumed;
        self.is_holding = false;
        self.lost_at = None;
    }

    /// Nothing is kept of it: others held the child, or nobody.
    pub(crate) fn handle_expired(&mut self) {
        self.is_holding = false;
    }

    pub(crate) fn hear_attached(
        &mut self,
        plan: &SeatPlan,
        attached: &ArchivedAttached,
        is_first: bool,
        session: &Session<usize>,
        now: Instant,
    ) {
        let client = self.client;
        let log_start = attached.log_start.to_native();
        self.window = attached.window.to_native();
        self.delivery = Delivery::from_wire(attached.delivery).expect("the delivery was checked");
        let log_size = session.log().size().try_into().unwrap_or(u32::MAX);
        assert_eq!(self.window, plan.window.min(log_size), "client {client}: its window");
        let from = attached.output_offset.to_native();
        match self.asked {
            Some(asked) => assert_eq!(from, asked, "client {client}: goes on elsewhere"),
            None => assert!(from <= session.log().end()),
        }
        let was_away = self.lost_at.take().map(|at| now - at);
        if self.is_holding && was_away.is_none_or(|time| time < HOLD_SURE) {
            let is_kept = log_start <= from.max(self.lost_before);
            assert!(is_kept, "client {client}: its hold was not kept: {log_start}");
        }
        self.is_holding = self.delivery == Delivery::Lossless && plan.pause_limit_ms == u32::MAX;
        self.is_positioned = true;
        (self.expected, self.told, self.gap_end) = (from, from, 0);
        if is_first {
            (self.handed, self.consumed) = (from, from);
        }
        self.lost_before = log_start;
        self.is_after_end = false;
    }

    pub(crate) fn hear_output(
        &mut self,
        output: &ArchivedOutput<'_>,
        taken: Taken,
        printed: &[u8],
    ) {
        let client = self.client;
        let (offset, bytes) = (output.offset.to_native(), output.bytes.as_slice());
        let end = offset + bytes.len() as u64;
        assert_ne!(self.delivery, Delivery::None, "client {client}: wanted no output");
        assert_eq!(offset, self.expected, "client {client}: output is contiguous");
        let is_of_the_dead = self.is_after_end && !self.may_skip_ends;
        assert!(!is_of_the_dead, "client {client}: output of a child that ended");
        let credit_end = self.told.max(self.gap_end) + u64::from(self.window);
        assert!(end <= credit_end, "client {client}: {end} is beyond the window, {credit_end}");
        let truth = printed.get(offset as usize..end as usize);
        assert!(truth == Some(bytes), "client {client}: {offset}..{end} was never printed");
        self.expected = end;
        self.hand_gap(taken.missing);
        let skip = taken.skip as u64;
        if skip < end - offset {
            assert_eq!(
                offset + skip,
                self.handed,
                "client {client}: output is handed over once, and gaps are marked"
            );
            self.handed = end;
        }
    }

    fn hand_gap(&mut self, missing: Option<Range<u64>>) {
        let Some(missing) = missing else { return };
        let client = self.client;
        assert_eq!(missing.start, self.handed, "client {client}: a gap is told once");
        self.handed = missing.end;
    }

    pub(crate) fn hear_gap(
        &mut self,
        gap: &ArchivedGap,
        missing: Option<Range<u64>>,
        log_start: u64,
    ) {
        let client = self.client;
        let (from, to) = (gap.from.to_native(), gap.to.to_native());
        assert_eq!(from, self.expected, "client {client}: a gap begins where output stopped");
        assert!(to > from, "client {client}: an empty gap");
        assert!(to <= log_start, "client {client}: {from}..{to} is still held");
        match self.delivery {
            Delivery::Log => {}
            _ => assert!(to <= self.lost_before, "client {client}: lost {from}..{to}"),
        }
        self.expected = to;
        self.gap_end = to;
        self.hand_gap(missing);
    }

    pub(crate) fn hear_adjusted(&mut self, delivery: Delivery, window: u32, log_start: u64) {
        let is_new = self.delivery != delivery;
        if is_new && delivery == Delivery::Lossless {
            self.lost_before = log_start;
        }
        self.is_holding = false;
        self.delivery = delivery;
        self.window = window;
    }

    /// A child ended, and everything it printed was sent.
    pub(crate) fn hear_end(&mut self, offset: u64) {
        if self.delivery != Delivery::None {
            assert_eq!(offset, self.expected, "client {}: ended before its last byte", self.client);
            assert_eq!(
                offset, self.handed,
                "client {}: its end comes after all of it",
                self.client
            );
        }
        let is_twice = self.is_after_end && !self.may_skip_ends;
        assert!(!is_twice, "client {}: ended twice", self.client);
        self.is_after_end = true;
    }

    pub(crate) fn hear_start(&mut self, offset: u64) {
        if self.delivery != Delivery::None {
            assert_eq!(offset, self.expected, "client {}: starts elsewhere", self.client);
        }
        assert!(self.is_after_end, "client {}: two children at once", self.client);
        self.is_after_end = false;
    }

    pub(crate) fn hear_detached(&mut self, offset: u64) {
        if self.delivery != Delivery::None {
            assert_eq!(offset, self.expected, "client {}: stream ends elsewhere", self.client);
        }
        self.is_holding = false;
    }
}
