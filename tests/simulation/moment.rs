//! What an actor is given when it is its turn: the time, chance, and the record to write to.

use std::time::Instant;

use crate::{
    census::{Census, Event},
    random::Random,
    scenario::SESSIONS_MAX,
    tape::TYPISTS,
};

#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    pub(crate) random: Random,
    pub(crate) trace: Trace,
    pub(crate) frames: FrameEnds,
    pub(crate) census: Census,
    /// Nothing moved lately: whoever can do something does it now.
    pub(crate) is_pressed: bool,
    pub(crate) rounds: u64,
    /// Lines may be too long. In such a history nobody sends again what is accepted: a frame that
    /// begins there would pass for one that goes on behind a refusal.
    pub(crate) has_long_lines: bool,
}

impl Moment {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            random: Random::new(seed),
            trace: Trace::new(now),
            frames: FrameEnds::default(),
            census: Census::default(),
            is_pressed: false,
            rounds: 0,
            has_long_lines: seed.is_multiple_of(2),
        }
    }

    /// Whether an actor has something else to do this time.
    pub(crate) fn may_idle(&mut self, percent: u64) -> bool {
        !self.is_pressed && self.random.chance(percent)
    }

    /// Something happened that a simulation is good for.
    pub(crate) fn count(&mut self, event: Event) {
        self.census.count(event);
    }

    /// Writes down what happened.
    pub(crate) fn note(&mut self, what: &'static str, numbers: [u64; 3]) {
        self.trace.note(self.now, what, numbers);
    }
}

/// The history as one number; printed line by line if `TAUT_SIM_TRACE` is set.
#[derive(Debug)]
pub(crate) struct Trace {
    begun: Instant,
    hash: u64,
    is_printed: bool,
}

impl Trace {
    fn new(begun: Instant) -> Self {
        let is_printed = std::env::var_os("TAUT_SIM_TRACE").is_some();
        Self { begun, hash: 0xcbf2_9ce4_8422_2325, is_printed }
    }

    fn note(&mut self, now: Instant, what: &'static str, numbers: [u64; 3]) {
        let at = now.duration_since(self.begun).as_nanos() as u64;
        let name = what.len() as u64 ^ u64::from(what.as_bytes()[0]) << 8;
        let [a, b, c] = numbers;
        for word in [at ^ name << 48, a ^ b.rotate_left(21) ^ c.rotate_left(42)] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
        if self.is_printed {
            println!("{:>12.3} us  {what} {a} {b} {c}", at as f64 / 1e3);
        }
    }

    pub(crate) fn is_printed(&self) -> bool {
        self.is_printed
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

/// Where the frames end that a client typed into a session, as positions on its tape: the only
/// places where another client's input may come between.
#[derive(Debug, Default)]
pub(crate) struct FrameEnds([[Vec<u64>; TYPISTS]; SESSIONS_MAX]);

impl FrameEnds {
    pub(crate) fn add(&mut self, session: usize, client: usize, end: u64) {
        let ends = &mut self.0[session][client];
        if ends.last().is_none_or(|last| *last < end) {
            ends.push(end);
        }
    }

    /// Frames behind `position` were lost and will be cut anew.
    pub(crate) fn rewind(&mut self, session: usize, client: usize, position: u64) {
        let ends = &mut self.0[session][client];
        ends.truncate(ends.partition_point(|end| *end <= position));
    }

    pub(crate) fn is_end(&self, session: usize, client: usize, position: u64) -> bool {
        position == 0 || self.0[session][client].binary_search(&position).is_ok()
    }
}
