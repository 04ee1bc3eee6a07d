//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Exponential backoff with full jitter: each delay is drawn evenly between 0 and a ceiling that
/// doubles, so that clients of a restarted engine do not come back in step.
///
/// Randomness comes in as an argument, which keeps every schedule reproducible.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    attempts: u32,
    fresh: bool,
}

/// The numbers of a [`Backoff`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BackoffPolicy {
    /// Ceiling of the first delay that is not immediate. Default 100 ms.
    pub base: Duration,
    /// Ceiling that no delay passes. Default 5 s.
    pub cap: Duration,
    /// Attempts since the last progress after which one gives up. Default 10.
    pub attempts_limit: u32,
    /// Ceiling of the first delay after progress: a restarted engine is worth an immediate try.
    /// Default 10 ms.
    pub first: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(5),
            attempts_limit: 10,
            first: Duration::from_millis(10),
        }
    }
}

impl Backoff {
    /// No attempt made yet.
    pub fn new(policy: BackoffPolicy) -> Self {
        Self { policy, attempts: 0, fresh: false }
    }

    /// The delay before the next attempt, or `None` when it is time to give up.
    ///
    /// `random` is any evenly distributed number.
    pub fn next_delay(&mut self, random: u64) -> Option<Duration> {
        if self.attempts >= self.policy.attempts_limit {
            return None;
        }
        let ceiling =
            if self.fresh && self.attempts == 0 { self.policy.first } else { self.ceiling() };
        self.attempts += 1;
        let span = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        // The product of two 64-bit numbers is below 2^128, and its upper half is below `span + 1`.
        let nanos = (u128::from(random) * (u128::from(span) + 1)) >> 64;
        Some(Duration::from_nanos(nanos as u64))
    }

    /// Something was newly applied or consumed: the connection is worth having again.
    ///
    /// Connecting alone is no progress: an engine that accepts and drops must not be hammered.
    pub fn note_progress(&mut self) {
        self.attempts = 0;
        self.fresh = true;
    }

    /// Attempts since the last progress.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    fn ceiling(&self) -> Duration {
        let skipped = u32::from(self.fresh);
        let doublings = self.attempts.saturating_sub(skipped).min(31);
        self.policy.base.saturating_mul(1 << doublings).min(self.policy.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceilings(backoff: &mut Backoff) -> Vec<u128> {
        std::iter::from_fn(|| backoff.next_delay(u64::MAX)).map(|delay| delay.as_millis()).collect()
    }

    #[test]
    fn ceilings_double_up_to_the_cap_and_then_it_gives_up() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        let expected = [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000];
        assert_eq!(ceilings(&mut backoff), expected);
        assert_eq!(backoff.next_delay(0), None);
        assert_eq!(backoff.attempts(), 10);
    }

    #[test]
    fn the_first_attempt_after_progress_is_immediate() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        ceilings(&mut backoff);
        backoff.note_progress();
        let expected = [10, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000];
        assert_eq!(ceilings(&mut backoff), expected);
    }

    #[test]
    fn delays_spread_over_the_whole_range() {
        let policy = BackoffPolicy { attempts_limit: u32::MAX, ..BackoffPolicy::default() };
        let mut backoff = Backoff::new(policy);
        for _ in 0..20 {
            backoff.next_delay(0);
        }
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut quarters = [0; 4];
        for _ in 0..4_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let delay = backoff.next_delay(random).unwrap();
            assert!(delay <= policy.cap);
            quarters[(delay.as_millis() * 4 / 5001) as usize] += 1;
        }
        assert!(quarters.iter().all(|&count| (850..=1150).contains(&count)), "{quarters:?}");
    }
}
