//! The socket between a client and the engine: two byte pipes with bounded room and random delay.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{byte_queue::ByteQueue, moment::Moment, random::Random, scenario::WirePlan};

/// What became of a read or a write that never waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flow {
    /// So many bytes went through, at least one.
    Moved(usize),
    /// Nothing to read, or no room.
    Blocked,
    /// The other side is gone.
    Ended,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Pipe {
    bytes: ByteQueue,
    /// When how many of the bytes become readable, in order.
    arrivals: VecDeque<(Instant, usize)>,
    plan: WirePlan,
    is_ended: bool,
    /// Nobody is at the other end, and nobody knows.
    is_hole: bool,
}

impl Pipe {
    pub(crate) fn new(plan: WirePlan) -> Self {
        Self {
            bytes: ByteQueue::default(),
            arrivals: VecDeque::new(),
            plan,
            is_ended: false,
            is_hole: false,
        }
    }

    /// How many bytes a write could take.
    pub(crate) fn room(&self) -> usize {
        if self.is_ended || self.is_hole { 0 } else { self.plan.capacity - self.bytes.len() }
    }

    /// Whether a write would fail.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_ended
    }

    /// Whether a read would bring anything, or the end.
    pub(crate) fn is_readable(&self, now: Instant) -> bool {
        match self.arrivals.front() {
            Some((at, _)) => *at <= now,
            None => self.is_ended,
        }
    }

    /// Takes some of `bytes`, as many as fit or fewer.
    pub(crate) fn write(&mut self, bytes: &[u8], moment: &mut Moment) -> Flow {
        if self.is_ended {
            return Flow::Ended;
        }
        let room = bytes.len().min(self.room());
        if room == 0 {
            return Flow::Blocked;
        }
        let count = moment.random.piece(room);
        self.bytes.push(&bytes[..count]);
        let arrival = moment.now + moment.random.delay(self.plan.delay_max);
        let earliest = self.arrivals.back().map_or(arrival, |(last, _)| *last);
        self.arrivals.push_back((arrival.max(earliest), count));
        Flow::Moved(count)
    }

    /// Fills some of `into` with what has arrived.
    pub(crate) fn read(&mut self, into: &mut [u8], moment: &mut Moment) -> Flow {
        let arrived = self.arrivals.iter().take_while(|(at, _)| *at <= moment.now);
        let arrived = arrived.map(|(_, count)| count).sum::<usize>().min(into.len());
        if arrived == 0 {
            let is_over = self.is_ended && self.bytes.is_empty();
            return if is_over { Flow::Ended } else { Flow::Blocked };
        }
        let count = moment.random.piece(arrived);
        into[..count].copy_from_slice(&self.bytes.as_slice()[..count]);
        self.bytes.pop(count);
        let mut rest = count;
        while rest > 0 {
            let (_, first) = self.arrivals.front_mut().expect("what arrived is listed");
            let taken = rest.min(*first);
            *first -= taken;
            rest -= taken;
            if *first == 0 {
                self.arrivals.pop_front();
            }
        }
        Flow::Moved(count)
    }

    /// Nothing more will be written.
    pub(crate) fn end(&mut self) {
        self.is_ended = true;
    }

    /// Loses the tail of what is under way.
    fn cut(&mut self, random: &mut Random) {
        let kept = random.below(self.bytes.len() as u64 + 1) as usize;
        self.bytes.truncate(kept);
        let mut rest = kept;
        for (_, count) in &mut self.arrivals {
            *count = rest.min(*count);
            rest -= *count;
        }
        self.arrivals.retain(|(_, count)| *count > 0);
    }

    fn next_arrival(&self) -> Option<Instant> {
        self.arrivals.front().map(|(at, _)| *at)
    }
}

/// Both directions.
#[derive(Debug)]
pub(crate) struct Wire {
    /// From client to engine.
    pub(crate) up: Pipe,
    /// From engine to client.
    pub(crate) down: Pipe,
    /// It was cut: it may end in the middle of anything.
    pub(crate) is_cut: bool,
}

/// Every connection that was ever made, and who waits to be accepted.
#[derive(Debug)]
pub(crate) struct Wires {
    wires: Vec<Wire>,
    waiting: VecDeque<usize>,
    /// Whether an engine listens.
    pub(crate) is_open: bool,
}

impl Wires {
    pub(crate) fn new() -> Self {
        Self { wires: Vec::new(), waiting: VecDeque::new(), is_open: true }
    }

    pub(crate) fn connect(&mut self, plan: WirePlan) -> usize {
        let id = self.wires.len();
        let (up, down) = (Pipe::new(plan), Pipe::new(plan));
        self.wires.push(Wire { up, down, is_cut: false });
        self.waiting.push_back(id);
        id
    }

    pub(crate) fn is_anybody_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn accept(&mut self) -> Option<usize> {
        self.waiting.pop_front()
    }

    pub(crate) fn look(&self, id: usize) -> &Wire {
        &self.wires[id]
    }

    pub(crate) fn get(&mut self, id: usize) -> &mut Wire {
        &mut self.wires[id]
    }

    /// One side drops its socket: the other still reads what was sent.
    pub(crate) fn close(&mut self, id: usize) {
        self.wires[id].up.end();
        self.wires[id].down.end();
    }

    /// The connection is lost, with some of what was under way.
    pub(crate) fn cut(&mut self, id: usize, random: &mut Random) {
        self.cut_in_silence(id, random);
        self.close(id);
    }

    /// The same, and the engine is not told: nothing comes any more, and nothing is taken.
    pub(crate) fn cut_in_silence(&mut self, id: usize, random: &mut Random) {
        let wire = &mut self.wires[id];
        wire.is_cut = true;
        wire.up.cut(random);
        wire.down.cut(random);
        wire.down.is_hole = true;
    }

    /// The engine died: every connection is lost.
    pub(crate) fn cut_all(&mut self, random: &mut Random) {
        self.is_open = false;
        self.waiting.clear();
        for id in 0..self.wires.len() {
            if !self.wires[id].down.is_ended {
                self.cut(id, random);
            }
        }
    }

    /// When the next bytes arrive somewhere.
    pub(crate) fn next_arrival(&self, now: Instant) -> Option<Instant> {
        let pipes = self.wires.iter().flat_map(|wire| [&wire.up, &wire.down]);
        pipes.filter_map(Pipe::next_arrival).filter(|at| *at > now).min()
    }
}

/// A delay that nobody notices.
pub(crate) const TICK: Duration = Duration::from_micros(20);
