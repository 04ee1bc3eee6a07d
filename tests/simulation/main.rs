//! Whole histories of clients, sessions and failures around the real state, in virtual time.
//!
//! One thread, no clock, no sockets: a seed decides how many clients and sessions there are, how
//! narrow the pipes, windows and terminals, who types how much, who stops reading, who loses its
//! connection, and which child dies when. Every byte either way is compared with what was really
//! typed and printed, at every step.
//!
//! `TAUT_SIM_SEEDS=N` runs N seeds instead of 500, `TAUT_SIM_SEED=n` exactly one, and
//! `TAUT_SIM_TRACE=1` prints its history.

mod byte_queue;
mod client;
mod engine;
mod hostile;
mod moment;
mod random;
mod scenario;
mod tape;
mod terminal;
mod wire;
mod world;

use std::{ops::Range, time::Instant};

const SEEDS: u64 = 500;

#[test]
fn every_history_keeps_every_promise() {
    let seeds = seeds();
    let count = seeds.end - seeds.start;
    let begun = Instant::now();
    for seed in seeds {
        let _hint = Hint(seed);
        world::run(seed);
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    println!("{count} histories, {rate:.0} a second");
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..20 {
        let _hint = Hint(seed);
        assert_eq!(world::run(seed), world::run(seed), "seed {seed}");
    }
}

fn seeds() -> Range<u64> {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
    };
    match number("TAUT_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TAUT_SIM_SEEDS").unwrap_or(SEEDS),
    }
}

/// Tells how to live through the same history again, if it ends badly.
struct Hint(u64);

impl Drop for Hint {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nTAUT_SIM_SEED={} cargo test --test simulation every_history\n", self.0);
        }
    }
}
