//! What a history is made of, as the seed decided.

use std::time::Duration;

use tautline::{
    protocol::{Delivery, limits},
    state::SessionTerms,
};

use crate::{hostile::Crime, tape::TYPISTS};

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) sessions: Vec<SessionPlan>,
    pub(crate) clients: Vec<ClientPlan>,
    pub(crate) crime: Option<Crime>,
    pub(crate) wire: WirePlan,
    /// How long what a lost connection leaves behind is kept.
    pub(crate) grace: Duration,
    /// The engine dies in that round, and another one begins with nothing after that time.
    pub(crate) death: Option<(u64, Duration)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WirePlan {
    pub(crate) capacity: usize,
    pub(crate) delay_max: Duration,
}

impl WirePlan {
    /// Whether the last word may come too late behind a frame that is under way.
    pub(crate) fn is_slow(self) -> bool {
        let frames = 2 * limits::FRAME_MAX / self.capacity + 1;
        self.delay_max * frames as u32 > Duration::from_millis(500)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SessionPlan {
    pub(crate) terms: SessionTerms,
    /// How many children run, one after the other.
    pub(crate) generations: u64,
    /// How often a child dies at some moment, whatever anybody still wanted to type, in percent.
    pub(crate) mortality: u64,
    /// Bytes each child prints by itself.
    pub(crate) flood: usize,
    pub(crate) is_echoing: bool,
    /// A process in the background keeps the terminal open and goes on printing.
    pub(crate) leaves_background: bool,
    pub(crate) input_capacity: usize,
    pub(crate) output_capacity: usize,
    /// How often the child has something else to do, in percent.
    pub(crate) laziness: u64,
    /// What each client types in each of the first two generations.
    pub(crate) quotas: [u64; TYPISTS],
    /// How often a child does nothing for a while, whatever there is to read.
    pub(crate) naps: u64,
    /// How often a line is said to be too long, in percent of frames.
    pub(crate) pickiness: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct ClientPlan {
    pub(crate) seats: Vec<SeatPlan>,
    pub(crate) pings: u64,
    pub(crate) resizes: u64,
    pub(crate) detaches: u64,
    pub(crate) adjusts: u64,
    /// How often its connection is lost.
    pub(crate) cuts: u64,
    /// How long it finds no way to the engine after that, at most.
    pub(crate) outage_max: Duration,
    /// How often the engine does not notice, in percent.
    pub(crate) silence: u64,
    pub(crate) heartbeat_ms: u32,
    /// Attempts to come back since the last progress after which it gives up.
    pub(crate) attempts_limit: u32,
    /// Another client has the same id: the one that it takes it from, or the one that does.
    pub(crate) twin_of: Option<usize>,
    pub(crate) is_shared: bool,
    /// How often it wants a session for itself when it joins, in percent.
    pub(crate) kicks: u64,
    /// How often it begins anew when its session is gone.
    pub(crate) rejoins: u64,
    /// How often it stops reading for a while.
    pub(crate) deaf: u64,
    /// Leaves with `Disconnect` when it has seen everything.
    pub(crate) leaves: bool,
}

impl ClientPlan {
    /// Whether anything may still happen to it out of the blue.
    pub(crate) fn has_whims(&self) -> bool {
        let requests = self.pings + self.resizes + self.detaches + self.adjusts;
        self.cuts + self.deaf + requests > 0
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SeatPlan {
    pub(crate) session: usize,
    /// The attachment's number on the wire.
    pub(crate) number: u32,
    pub(crate) delivery: Delivery,
    pub(crate) window: u32,
    pub(crate) pause_limit_ms: u32,
    pub(crate) is_read_only: bool,
    /// Begins with the first byte ever printed, not with the next one.
    pub(crate) is_from_start: bool,
    pub(crate) is_typist: bool,
}
