//! What a seed stands for: sessions, clients, sizes, limits and how much goes wrong.

mod plan;

use std::time::Duration;

use tautline::{
    protocol::{Delivery, RestartPolicy, SizePolicy, WindowSize, limits},
    state::SessionTerms,
};

pub(crate) use plan::{ClientPlan, Scenario, SeatPlan, SessionPlan, WirePlan};

use crate::{hostile::Crime, random::Random, tape::TYPISTS};

/// Sessions of one history, at most.
pub(crate) const SESSIONS_MAX: usize = 2;

/// How much there is to do, by how narrow the pipes are.
#[derive(Clone, Copy)]
struct Scale {
    pipe: (u64, u64),
    terminal: (u64, u64),
    quota_max: u64,
    floods_max: [u64; 3],
    input_windows: [u32; 3],
    delays_us: [u64; 4],
}

/// How often what is typed or printed fills the narrowest place on its way, at most: whatever takes
/// more turns than that shows the same once more.
const PASSES_MAX: u64 = 25;

const TINY: Scale = Scale {
    pipe: (4, 96),
    terminal: (1, 32),
    quota_max: 40,
    floods_max: [20, 100, 200],
    input_windows: [1, 7, 64],
    delays_us: [0, 0, 5, 20],
};

const SMALL: Scale = Scale {
    pipe: (64, 8_192),
    terminal: (64, 2_048),
    quota_max: 600,
    floods_max: [200, 2_000, 20_000],
    input_windows: [20, 100, limits::INPUT_MAX as u32],
    delays_us: [0, 50, 1_000, 20_000],
};

/// Much output through wide pipes, so that it leaves the log before it was read.
const LARGE: Scale = Scale {
    pipe: (16_384, 262_144),
    terminal: (8_192, 65_536),
    quota_max: 8_000,
    floods_max: [20_000, 120_000, 200_000],
    input_windows: [limits::INPUT_MAX as u32, 8_192, 65_536],
    delays_us: [0, 50, 1_000, 20_000],
};

/// So many children one after the other that their ends are forgotten before a slow client is told.
const CROWDED: Scale = Scale {
    pipe: (64, 1_000),
    terminal: (16, 64),
    quota_max: 0,
    floods_max: [20, 20, 40],
    input_windows: SMALL.input_windows,
    delays_us: SMALL.delays_us,
};

impl Scenario {
    pub(crate) fn new(random: &mut Random) -> Self {
        match random.below(100) {
            0..40 => Self::of(&TINY, random),
            40..83 => Self::of(&SMALL, random),
            83..96 => Self::of(&LARGE, random).with_sleepers(),
            _ => Self::crowded(random),
        }
    }

    fn of(scale: &Scale, random: &mut Random) -> Self {
        let wire = wire(scale, random);
        let session_count = random.pick(&[1, 1, SESSIONS_MAX]);
        let sessions = (0..session_count).map(|_| {
            let generations = random.pick(&[1, 1, 1, 2, 3]);
            session(scale, wire, generations, random)
        });
        let mut sessions = sessions.collect::<Vec<_>>();
        let client_count = random.pick(&[1, 1, 2, 2, 3, TYPISTS - 1]);
        let clients = (0..client_count).map(|_| client(&sessions, wire, random));
        let mut clients = clients.collect::<Vec<_>>();
        if client_count < TYPISTS - 1 && random.chance(12) {
            add_twin(&mut clients, random);
        }
        for (client, plan) in clients.iter().enumerate() {
            for seat in plan.seats.iter().filter(|seat| seat.is_typist) {
                let session = &mut sessions[seat.session];
                let most = wire.capacity.min(session.input_capacity) as u64 * PASSES_MAX;
                session.quotas[client] = random.between(1, scale.quota_max.min(most));
            }
        }
        let death = random.chance(8).then(|| death(random));
        let crime = (death.is_none() && random.chance(40)).then(|| Crime::any(random));
        let crime = crime.filter(|crime| crime.is_possible(&sessions[0]));
        if crime.is_some() {
            // Nothing keeps it from its crime.
            sessions[0].pickiness = 0;
            clients.iter_mut().for_each(|client| client.kicks = 0);
        }
        Self { sessions, clients, crime, wire, grace: grace(random), death }
    }

    /// Everybody stops reading once: a flood goes by, or waits.
    fn with_sleepers(mut self) -> Self {
        self.clients.iter_mut().for_each(|client| client.deaf = 2);
        self
    }

    /// Nobody types, and everybody stops reading.
    fn crowded(random: &mut Random) -> Self {
        let wire = wire(&CROWDED, random);
        let generations = random.between(66, 80);
        let sessions = vec![session(&CROWDED, wire, generations, random)];
        let clients = (0..random.between(1, 2)).map(|_| {
            let mut client = client(&sessions, wire, random);
            client.seats.iter_mut().for_each(|seat| seat.is_typist = false);
            client.deaf = 3;
            client
        });
        let clients = clients.collect();
        Self { clients, sessions, crime: None, wire, grace: grace(random), death: None }
    }
}

fn grace(random: &mut Random) -> Duration {
    Duration::from_millis(random.pick(&[0, 1, 10, 300, 2_000, 60_000, 60_000, 60_000]))
}

fn death(random: &mut Random) -> (u64, Duration) {
    let longest = random.pick(&[1, 100, 2_000]);
    (random.between(1, 300), random.delay(Duration::from_millis(longest)))
}

/// Somebody else who has a client's id and its secret, and wants the same.
fn add_twin(clients: &mut Vec<ClientPlan>, random: &mut Random) {
    let at = random.below(clients.len() as u64) as usize;
    clients[at].is_shared = true;
    clients.push(ClientPlan { twin_of: Some(at), ..clients[at].clone() });
}

fn wire(scale: &Scale, random: &mut Random) -> WirePlan {
    WirePlan {
        capacity: random.between(scale.pipe.0, scale.pipe.1) as usize,
        delay_max: Duration::from_micros(random.pick(&scale.delays_us)),
    }
}

fn session(scale: &Scale, wire: WirePlan, generations: u64, random: &mut Random) -> SessionPlan {
    let output_capacity = random.between(scale.terminal.0, scale.terminal.1) as usize;
    let flood_most = wire.capacity.min(output_capacity) as u64 * PASSES_MAX;
    let flood_max = random.pick(&scale.floods_max).min(flood_most);
    let terms = SessionTerms {
        log_size: random.pick(&[limits::OUTPUT_WINDOW_MIN as usize, 20_000, 100_000]),
        input_window: random.pick(&scale.input_windows),
        size: WindowSize::cells(80, 24),
        size_policy: random.pick(&[SizePolicy::Latest, SizePolicy::Latest, SizePolicy::Smallest]),
        is_ephemeral: generations == 1 && random.chance(25),
        restart: RestartPolicy::Never,
    };
    SessionPlan {
        terms,
        generations,
        mortality: random.pick(&[0, 0, 40, 100]),
        flood: if random.chance(70) { random.below(flood_max) as usize } else { 0 },
        is_echoing: random.chance(70),
        leaves_background: random.chance(15),
        input_capacity: random.between(scale.terminal.0, scale.terminal.1) as usize,
        output_capacity,
        laziness: random.pick(&[0, 20, 60]),
        quotas: [0; TYPISTS],
        naps: random.pick(&[0, 0, 1, 3]),
        pickiness: random.pick(&[0, 0, 0, 5]),
    }
}

fn client(sessions: &[SessionPlan], wire: WirePlan, random: &mut Random) -> ClientPlan {
    let mut seats: Vec<SeatPlan> = Vec::new();
    for number in 1..=random.pick(&[1, 1, 1, 2, 3]) {
        let session = random.below(sessions.len() as u64) as usize;
        let is_taken = seats.iter().any(|seat| seat.session == session && seat.is_typist);
        let mut seat = seat(session, number, random);
        seat.is_typist &= !is_taken;
        seats.push(seat);
    }
    let heartbeat_ms = heartbeat_ms(wire, random);
    ClientPlan {
        seats,
        pings: random.below(4),
        resizes: random.below(4),
        detaches: random.pick(&[0, 0, 1, 3]),
        adjusts: random.pick(&[0, 0, 2]),
        cuts: random.pick(&[0, 0, 1, 2, 6]),
        outage_max: Duration::from_millis(random.pick(&[0, 0, 0, 20, 1_000, 8_000])),
        silence: random.pick(&[0, 0, 50]),
        heartbeat_ms,
        attempts_limit: random.pick(&[10, 10, 10, 2]),
        twin_of: None,
        is_shared: false,
        kicks: random.pick(&[0, 0, 5]),
        rejoins: random.below(2),
        deaf: random.pick(&[0, 1, 3]),
        // Hearts that beat until every grace is over take long.
        leaves: heartbeat_ms > 0 || random.chance(60),
    }
}

/// None for most; for the others longer than a frame may take on the way.
fn heartbeat_ms(wire: WirePlan, random: &mut Random) -> u32 {
    let is_fast = wire.delay_max < Duration::from_millis(1);
    match random.below(6) {
        0 if is_fast => 500,
        0 | 1 => 5_000,
        _ => 0,
    }
}

fn seat(session: usize, number: u32, random: &mut Random) -> SeatPlan {
    let delivery = random.pick(&[
        Delivery::Lossless,
        Delivery::Lossless,
        Delivery::Log,
        Delivery::Screen,
        Delivery::None,
    ]);
    let is_read_only = random.chance(20);
    SeatPlan {
        session,
        number,
        delivery,
        window: match delivery {
            Delivery::None => 0,
            _ => random.pick(&[limits::OUTPUT_WINDOW_MIN, 10_000, 65_536]),
        },
        pause_limit_ms: random.pick(&[u32::MAX, 20, 20, 500, 2_000]),
        is_read_only,
        is_from_start: random.chance(60),
        is_typist: !is_read_only && random.chance(75),
    }
}
