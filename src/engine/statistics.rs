//! What the engine counts, and how it tells it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2Serializer},
};
use tautline_protocol::{Stats, StatsFlags, StatsSection};

use super::{Engine, failure::Failure, session_host::SessionHost};
use crate::latency::Stage;

/// What only ever grows, since the engine was made.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Connections accepted.
    pub(super) connections: AtomicU64,
    /// Hellos refused.
    pub(super) refusals: AtomicU64,
    /// Sessions made.
    pub(super) sessions: AtomicU64,
    /// Frames received.
    pub(super) frames: AtomicU64,
    /// Input written to PTYs.
    pub(super) input_bytes: AtomicU64,
    /// Output read from PTYs.
    pub(super) output_bytes: AtomicU64,
}

/// Counts `more`. Only the engine's thread counts, so the order of memory does not matter.
pub(super) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

const COUNTERS: usize = 6;

impl Counters {
    /// All of them, by name. The names are a promise: `taut stats` prints them.
    fn read(&self) -> [(&'static str, u64); COUNTERS] {
        [
            ("connections_total", &self.connections),
            ("refusals_total", &self.refusals),
            ("sessions_total", &self.sessions),
            ("frames_received_total", &self.frames),
            ("input_bytes_total", &self.input_bytes),
            ("output_bytes_total", &self.output_bytes),
        ]
        .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }
}

/// What there was when the running interval began. There is one for the whole engine.
#[derive(Debug)]
pub(super) struct Interval {
    begun: Option<Instant>,
    counters: [u64; COUNTERS],
    stages: Vec<Histogram<u32>>,
}

impl Interval {
    pub(super) const fn new() -> Self {
        Self { begun: None, counters: [0; COUNTERS], stages: Vec::new() }
    }

    fn begin(&mut self, engine: &Engine) {
        self.begun = Some(Instant::now());
        self.counters = engine.counters.read().map(|(_, value)| value);
        self.stages = Stage::ALL.map(|stage| engine.latency.read(stage, Histogram::clone)).into();
    }
}

/// The items of one answer, each made when it is sent.
pub(super) struct StatsItems {
    engine: Arc<Engine>,
    /// One session's figures are wanted, not the engine's.
    host: Option<Weak<SessionHost>>,
    flags: u32,
    left: VecDeque<Kind>,
}

#[derive(Clone, Copy)]
enum Kind {
    Counters,
    Limits,
    Stage(Stage),
    Reset,
}

/// One item, ready to be sent.
pub(super) struct StatsItem {
    interval: Duration,
    section: StatsSection,
    name: &'static str,
    body: Vec<u8>,
}

impl StatsItem {
    pub(super) fn message(&self) -> Stats<'_> {
        Stats {
            interval_ns: self.interval.as_nanos() as u64,
            section: self.section.to_wire(),
            name: self.name.into(),
            body: self.body.as_slice().into(),
        }
    }
}

impl StatsItems {
    pub(super) fn new(engine: Arc<Engine>, host: Option<&Arc<SessionHost>>, flags: u32) -> Self {
        let mut left = VecDeque::from([Kind::Counters, Kind::Limits]);
        if host.is_none() && flags & StatsFlags::HISTOGRAMS != 0 {
            left.extend(Stage::ALL.map(Kind::Stage));
        }
        if host.is_none() && flags & StatsFlags::RESET_INTERVAL != 0 {
            left.push_back(Kind::Reset);
        }
        Self { engine, host: host.map(Arc::downgrade), flags, left }
    }

    /// The next item; after the last one the interval begins anew, if that was asked for.
    pub(super) fn next_item(&mut self) -> Result<Option<StatsItem>, Failure> {
        let Some(kind) = self.left.pop_front() else { return Ok(None) };
        let host = match &self.host {
            Some(host) => Some(host.upgrade().ok_or_else(Failure::session_gone)?),
            None => None,
        };
        let host = host.as_deref();
        let interval = self.covered(host);
        let (section, name, body) = match kind {
            Kind::Counters => (StatsSection::Counters, "", self.counters(host)),
            Kind::Limits => (StatsSection::Limits, "", self.limits(host)),
            Kind::Stage(stage) => (StatsSection::Histogram, stage.name(), self.histogram(stage)),
            Kind::Reset => {
                self.engine.interval.lock().begin(&self.engine);
                return Ok(None);
            }
        };
        Ok(Some(StatsItem { interval, section, name, body }))
    }

    const fn is_interval(&self) -> bool {
        self.flags & StatsFlags::INTERVAL != 0
    }

    /// How long what is told took to come together.
    fn covered(&self, host: Option<&SessionHost>) -> Duration {
        let begun = self.engine.interval.lock().begun.filter(|_| self.is_interval());
        match host {
            Some(host) => host.lock().created.elapsed().unwrap_or_default(),
            None => begun.unwrap_or(self.engine.born).elapsed(),
        }
    }

    fn counters(&self, host: Option<&SessionHost>) -> Vec<u8> {
        if let Some(host) = host {
            return session_counters(host);
        }
        let engine = &self.engine;
        let mut counters = engine.counters.read();
        if self.is_interval() {
            let before = engine.interval.lock().counters;
            counters.iter_mut().zip(before).for_each(|((_, value), before)| *value -= before);
        }
        let hosts = engine.sessions();
        let live = hosts.iter().filter(|host| host.lock().session.is_live()).count();
        let attached = |host: &Arc<SessionHost>| host.lock().session.attachments().len();
        let attachments: usize = hosts.iter().map(attached).sum();
        let gauges = [
            ("clients", engine.clients.lock().len() as u64),
            ("attachments", attachments as u64),
            ("sessions", hosts.len() as u64),
            ("sessions_live", live as u64),
        ];
        list(gauges.into_iter().chain(counters))
    }

    fn limits(&self, host: Option<&SessionHost>) -> Vec<u8> {
        if let Some(host) = host {
            let core = host.lock();
            let log_size = core.session.log().size() as u64;
            return list([("log_size", log_size)]);
        }
        let config = &self.engine.config;
        let ms = |duration: Duration| duration.as_millis() as u64;
        list([
            ("clients_limit", config.clients_limit.into()),
            ("attachments_limit", config.attachments_limit.into()),
            ("requests_limit", config.requests_limit as u64),
            ("sessions_limit", config.sessions_limit as u64),
            ("exited_limit", config.exited_limit as u64),
            ("input_window", config.input_window.into()),
            ("log_size", config.log_size as u64),
            ("log_size_limit", config.log_size_limit as u64),
            ("hello_deadline_ms", ms(config.deadlines.hello)),
            ("frame_deadline_ms", ms(config.deadlines.frame)),
            ("closing_deadline_ms", ms(config.deadlines.closing)),
            ("shutdown_grace_ms", ms(config.shutdown_grace)),
        ])
    }

    fn histogram(&self, stage: Stage) -> Vec<u8> {
        let mut histogram = self.engine.latency.read(stage, Histogram::clone);
        if self.is_interval()
            && let Some(before) = self.engine.interval.lock().stages.get(stage as usize)
        {
            histogram.subtract(before).expect("what was counted is still counted");
        }
        let mut body = Vec::new();
        V2Serializer::new().serialize(&histogram, &mut body).expect("memory takes every write");
        body
    }
}

fn session_counters(host: &SessionHost) -> Vec<u8> {
    let core = host.lock();
    let session = &core.session;
    let log = session.log();
    list([
        ("attachments", session.attachments().len() as u64),
        ("restarts_total", core.restarts.into()),
        ("input_offset", session.input_applied()),
        ("output_offset", log.end()),
        ("log_bytes", log.end() - log.start()),
    ])
}

/// Numbers as they travel: `name=value`, each ended by NUL.
fn list(numbers: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<u8> {
    numbers.into_iter().flat_map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}
