//! Signs of life, for links that can die without an end of their stream: a forwarded socket whose
//! far side is gone.
//!
//! Both sides ask for one at an interval. Whoever hears nothing at all for
//! [`INTERVALS_SILENT`] intervals takes the other for dead, and looks at the socket once more
//! before it does: a peer that is only slow, or was stopped together with us, is not.

use std::time::{Duration, Instant};

/// Intervals of silence after which a peer is dead.
pub const INTERVALS_SILENT: u32 = 3;

/// The shortest interval there is: shorter ones would only wake processors.
pub const HEARTBEAT_MIN: Duration = Duration::from_millis(100);

/// The longest.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(3600);

/// What is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Beat {
    /// Ask the peer for a sign of life.
    Ping,
    /// It gave none for too long.
    Dead,
}

/// The heartbeat of one connection, as either side keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    interval: Duration,
    heard: Instant,
    ping_due: Instant,
    /// Pings since the peer was heard last.
    unanswered: u32,
}

impl Heartbeat {
    /// One that begins now.
    pub fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, heard: now, ping_due: now + interval, unanswered: 0 }
    }

    /// The interval in force for a peer that asks for so many milliseconds; `None` for 0.
    pub fn granted(milliseconds: u32) -> Option<Duration> {
        let asked = Duration::from_millis(milliseconds.into());
        (milliseconds != 0).then(|| asked.clamp(HEARTBEAT_MIN, HEARTBEAT_MAX))
    }

    /// Something came from the peer.
    pub fn handle_heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
        self.unanswered = 0;
    }

    /// Nothing was read for so long, by our own choice: that is no silence of the peer's.
    pub fn handle_paused(&mut self, paused_for: Duration) {
        self.heard += paused_for;
    }

    /// What is due, once the socket was read.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Beat> {
        if now < self.deadline() {
            return None;
        }
        // A pause of our own is no silence of the peer's: it was not asked meanwhile.
        let is_asked = self.unanswered + 1 >= INTERVALS_SILENT;
        if is_asked && now >= self.heard + self.interval * INTERVALS_SILENT {
            return Some(Beat::Dead);
        }
        self.ping_due = now + self.interval;
        self.unanswered += 1;
        Some(Beat::Ping)
    }

    /// When to look again.
    pub fn deadline(&self) -> Instant {
        self.ping_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_peer_that_answers_is_asked_for_ever() {
        let begun = Instant::now();
        let mut heartbeat = Heartbeat::new(SECOND, begun);
        for second in 1..1_000 {
            let now = heartbeat.deadline();
            assert_eq!(now, begun + SECOND * second);
            assert_eq!(heartbeat.handle_timeout(now), Some(Beat::Ping));
            assert_eq!(heartbeat.handle_timeout(now), None);
            heartbeat.handle_heard(now);
        }
    }

    #[test]
    fn silence_for_three_intervals_is_death() {
        let begun = Instant::now();
        let mut heartbeat = Heartbeat::new(SECOND, begun);
        assert_eq!(heartbeat.handle_timeout(begun + SECOND), Some(Beat::Ping));
        assert_eq!(heartbeat.handle_timeout(begun + SECOND * 2), Some(Beat::Ping));
        assert_eq!(heartbeat.deadline(), begun + SECOND * 3);
        assert_eq!(heartbeat.handle_timeout(begun + SECOND * 3), Some(Beat::Dead));
    }

    #[test]
    fn who_was_stopped_and_hears_something_then_goes_on() {
        let begun = Instant::now();
        let mut heartbeat = Heartbeat::new(SECOND, begun);
        let woken = begun + SECOND * 10;
        // What had arrived meanwhile is read before the silence is judged.
        heartbeat.handle_heard(woken);
        assert_eq!(heartbeat.handle_timeout(woken), Some(Beat::Ping));
    }

    #[test]
    fn a_pause_of_our_own_is_no_silence_of_the_peers() {
        let begun = Instant::now();
        let mut heartbeat = Heartbeat::new(SECOND, begun);
        let woken = begun + SECOND * 100;
        assert_eq!(heartbeat.handle_timeout(woken), Some(Beat::Ping));
        assert_eq!(heartbeat.handle_timeout(woken + SECOND), Some(Beat::Ping));
        assert_eq!(heartbeat.handle_timeout(woken + SECOND * 2), Some(Beat::Dead));
    }

    #[test]
    fn intervals_that_are_asked_for_are_kept_within_reason() {
        assert_eq!(Heartbeat::granted(0), None);
        assert_eq!(Heartbeat::granted(1), Some(HEARTBEAT_MIN));
        assert_eq!(Heartbeat::granted(2_500), Some(Duration::from_millis(2_500)));
        assert_eq!(Heartbeat::granted(u32::MAX), Some(HEARTBEAT_MAX));
    }
}
