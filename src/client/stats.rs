//! The engine's own figures: counters, limits, latency.

use std::time::Duration;

use hdrhistogram::{Histogram, serialization::Deserializer};
use tautline_protocol::{
    ArchivedEngineMessage, ArchivedStats, ControlMessage, StatsFlags, StatsRequest, StatsSection,
    entries,
};

use super::{Client, RequestError, requests::refusal_or_lost};

/// Which figures to read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct StatsOptions {
    /// One session's; `None`, the default, for the engine's.
    pub session: Option<String>,
    /// Also how long each stage took.
    pub stages: bool,
    /// What came since the interval began, not since the engine's start. The engine has one
    /// interval for all who ask.
    pub interval: bool,
    /// Begin a new interval after answering.
    pub reset_interval: bool,
}

/// Figures of an engine, or of one session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineStats {
    /// What the figures cover.
    pub interval: Duration,
    /// Numbers by name; those that end in `_total` only grow.
    pub counters: Vec<(String, u64)>,
    /// The limits in force, by name.
    pub limits: Vec<(String, u64)>,
    /// How long each stage took, in nanoseconds, by name.
    pub stages: Vec<(String, Histogram<u64>)>,
}

impl Client {
    /// Reads the engine's figures, or one session's.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, but a new interval may have been begun.
    pub async fn stats(&self, options: &StatsOptions) -> Result<EngineStats, RequestError> {
        let flags = [
            (options.stages, StatsFlags::HISTOGRAMS),
            (options.interval, StatsFlags::INTERVAL),
            (options.reset_interval, StatsFlags::RESET_INTERVAL),
        ];
        let flags = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum();
        let name = options.session.as_deref().unwrap_or_default().into();
        let mut replies = self.ask(ControlMessage::Stats(StatsRequest { flags, name })).await?;
        let mut stats = EngineStats {
            interval: Duration::ZERO,
            counters: Vec::new(),
            limits: Vec::new(),
            stages: Vec::new(),
        };
        loop {
            let frame = self.reply(&mut replies).await?;
            match frame.frame().engine() {
                Ok(ArchivedEngineMessage::Stats(item)) => stats.take_in(item.get()),
                Ok(ArchivedEngineMessage::Done(_)) => return Ok(stats),
                other => return Err(refusal_or_lost(self.line(), other.ok())),
            }
        }
    }
}

impl EngineStats {
    fn take_in(&mut self, item: &ArchivedStats<'_>) {
        let name = || String::from_utf8_lossy(&item.name).into_owned();
        self.interval = Duration::from_nanos(item.interval_ns.to_native());
        match StatsSection::from_wire(item.section) {
            Some(StatsSection::Counters) => self.counters.extend(numbers(&item.body)),
            Some(StatsSection::Limits) => self.limits.extend(numbers(&item.body)),
            Some(StatsSection::Histogram) => {
                // One of a form we do not know is a later version's.
                if let Ok(stage) = Deserializer::new().deserialize(&mut &item.body[..]) {
                    self.stages.push((name(), stage));
                }
            }
            _ => {}
        }
    }
}

/// `name=value` entries; what is none is a later version's.
fn numbers(list: &[u8]) -> impl Iterator<Item = (String, u64)> {
    entries(list).filter_map(|entry| {
        let (name, value) = std::str::from_utf8(entry).ok()?.split_once('=')?;
        Some((name.to_owned(), value.parse().ok()?))
    })
}
