//! What an actor is given when it is its turn: the time, chance, and the record to write to.

use std::time::Instant;

use crate::{
    book::Book,
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
    pub(crate) book: Book,
    /// The epoch in which each typist has nothing more to type, by session.
    pub(crate) content: [[u64; TYPISTS]; SESSIONS_MAX],
    pub(crate) census: Census,
    /// Nothing moved lately: whoever can do something does it now.
    pub(crate) is_pressed: bool,
    pub(crate) rounds: u64,
}

impl Moment {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            random: Random::new(seed),
            trace: Trace::new(now),
            book: Book::default(),
            content: [[0; TYPISTS]; SESSIONS_MAX],
            census: Census::default(),
            is_pressed: false,
            rounds: 0,
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
