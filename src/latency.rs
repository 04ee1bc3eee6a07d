//! How long each stage takes, always on: bounded HDR histograms in nanoseconds.

use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// A stretch of a message's way that is timed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// From the wake that brought a frame to its message understood; one in 16 is timed.
    ReceivedToDecoded,
    /// From input understood to input written to the PTY.
    DecodedToWritten,
    /// From output read from the PTY to the same output written to a client's socket; only for
    /// clients that keep up.
    ReadToSent,
}

impl Stage {
    /// All of them, in the order of a message's way.
    pub const ALL: [Self; 3] = [Self::ReceivedToDecoded, Self::DecodedToWritten, Self::ReadToSent];

    /// The name, as `stats` shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReceivedToDecoded => "received_to_decoded",
            Self::DecodedToWritten => "decoded_to_written",
            Self::ReadToSent => "read_to_sent",
        }
    }
}

/// Histograms of all stages: 1 ns to 60 s, three digits. Never allocates after it was made; what is
/// out of range counts at the edge.
#[derive(Debug)]
pub struct Latency {
    stages: [Mutex<Histogram<u32>>; Stage::ALL.len()],
}

impl Latency {
    /// Empty histograms, about 108 KiB each.
    pub fn new() -> Self {
        let empty =
            || Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("these bounds are legal");
        Self { stages: Stage::ALL.map(|_| Mutex::new(empty())) }
    }

    /// Counts one sample.
    pub fn record(&self, stage: Stage, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.stages[stage as usize].lock().saturating_record(nanos.max(1));
    }

    /// Reads a stage's histogram.
    pub fn read<T>(&self, stage: Stage, read: impl FnOnce(&Histogram<u32>) -> T) -> T {
        read(&self.stages[stage as usize].lock())
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_out_of_range_count_at_the_edges() {
        let latency = Latency::new();
        latency.record(Stage::DecodedToWritten, Duration::ZERO);
        latency.record(Stage::DecodedToWritten, Duration::from_secs(1_000_000));
        latency.read(Stage::DecodedToWritten, |histogram| {
            assert_eq!(histogram.len(), 2);
            assert_eq!(histogram.min(), 1);
            assert!(histogram.max() >= 60_000_000_000);
        });
        assert_eq!(latency.read(Stage::ReceivedToDecoded, |histogram| histogram.len()), 0);
    }
}
