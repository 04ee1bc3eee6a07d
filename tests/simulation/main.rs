//! Whole histories of clients, sessions and failures around the real state, in virtual time.
//!
//! One thread, no clock, no sockets: a seed decides how many clients and sessions there are, how
//! narrow the pipes, windows and terminals, who types how much, who stops reading, who loses its
//! connection at which byte and for how long, which child dies when, and whether the engine does.
//! Each byte that is typed is followed from its typist to the terminal and to what the typist is
//! told of it; all that is printed is compared with what its readers are handed, at every step.
//!
//! `TAUT_SIM_SEEDS=N` runs N seeds instead of 4,000, `TAUT_SIM_SEED=n` exactly one, and
//! `TAUT_SIM_TRACE=1` prints its history. `TAUT_SIM_CENSUS=1` tells what happened how often.

mod book;
mod byte_queue;
mod census;
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

use std::{
    ops::Range,
    panic::resume_unwind,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, available_parallelism},
    time::Instant,
};

use census::Census;

const SEEDS: u64 = 4_000;

/// A history went wrong: no more are begun.
static IS_BROKEN: AtomicBool = AtomicBool::new(false);

#[test]
fn every_history_keeps_every_promise() {
    let seeds = seeds();
    let count = seeds.end - seeds.start;
    let threads = available_parallelism().map_or(1, |cores| cores.get() as u64).min(count);
    let begun = Instant::now();
    let census = run_all(seeds, threads);
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    let rate_per_core = rate / threads as f64;
    println!("{count} histories, {rate:.0} a second, {rate_per_core:.0} a second a core");
    if std::env::var_os("TAUT_SIM_CENSUS").is_some() {
        census.print();
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..20 {
        let _hint = Hint(seed);
        assert_eq!(world::run(seed).hash, world::run(seed).hash, "seed {seed}");
    }
}

/// Each of the threads takes every so manyth seed: long histories are spread evenly.
fn run_all(seeds: Range<u64>, threads: u64) -> Census {
    thread::scope(|scope| {
        let shares = (0..threads).map(|first| seeds.clone().skip(first as usize));
        let shares = shares.map(|share| share.step_by(threads as usize));
        let running = shares.map(|share| scope.spawn(|| run_share(share))).collect::<Vec<_>>();
        let mut census = Census::default();
        for thread in running {
            census.add(&thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        census
    })
}

fn run_share(seeds: impl Iterator<Item = u64>) -> Census {
    let mut census = Census::default();
    for seed in seeds.take_while(|_| !IS_BROKEN.load(Ordering::Relaxed)) {
        let _hint = Hint(seed);
        census.add(&world::run(seed).census);
    }
    census
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
        if thread::panicking() {
            IS_BROKEN.store(true, Ordering::Relaxed);
            // In one piece: another thread may be failing, too.
            let again = format!("\nTAUT_SIM_SEED={} cargo test --test simulation", self.0);
            eprint!("{}", again + " every_history\n\n");
        }
    }
}
