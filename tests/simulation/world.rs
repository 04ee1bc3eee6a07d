//! One history: everybody takes small steps in random order until all is said and done.

use std::time::{Duration, Instant};

use crate::{
    census::{Census, Event},
    client::{Client, Truth},
    engine::{Engine, Hosted},
    hostile::Hostile,
    moment::Moment,
    scenario::Scenario,
    terminal::Terminal,
    wire::{TICK, Wires},
};

/// Rounds after which somebody must be stuck in a circle.
const ROUNDS_MAX: u64 = 2_000_000;

/// How often whoever moved leaves it at that, in percent.
const BURSTS: u64 = 30;

/// Virtual time after which everything was to be over.
const TIME_MAX: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
struct World {
    moment: Moment,
    begun: Instant,
    scenario: Scenario,
    wires: Wires,
    terminals: Vec<Terminal>,
    engine: Engine,
    clients: Vec<Client>,
    hostile: Option<Hostile>,
    /// When an engine begins anew, if the one there was died.
    rebirth: Option<Instant>,
    /// Nothing is under way and nobody can do anything.
    is_quiet: bool,
    /// Who has something to do in this round.
    ready: Vec<Actor>,
}

/// What is left of a history.
pub(crate) struct History {
    pub(crate) hash: u64,
    pub(crate) census: Census,
}

/// Who takes a step.
#[derive(Clone, Copy, Debug)]
enum Actor {
    Client(usize),
    Hostile,
    Accept,
    Reading(usize),
    Writing(usize),
    Session(usize),
    Child(usize),
}

/// Lives through the history of `seed`.
pub(crate) fn run(seed: u64) -> History {
    let mut world = World::new(seed);
    while !(world.is_quiet && world.is_done()) {
        world.round();
    }
    world.check_end();
    History { hash: world.moment.trace.hash(), census: world.moment.census }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut moment = Moment::new(seed);
        let scenario = Scenario::new(&mut moment.random);
        if moment.trace.is_printed() {
            println!("{scenario:#?}");
        }
        let clients = scenario.clients.iter().enumerate();
        let clients = clients.map(|(index, plan)| {
            Client::new(index, plan.clone(), scenario.wire, &scenario.sessions, &mut moment)
        });
        let clients = clients.collect();
        let hostile = scenario.crime;
        let mut world = Self {
            begun: moment.now,
            wires: Wires::new(),
            terminals: Vec::new(),
            engine: Engine::new(scenario.grace),
            clients,
            rebirth: None,
            hostile: hostile
                .map(|crime| Hostile::new(crime, scenario.wire, scenario.grace, &mut moment)),
            is_quiet: false,
            ready: Vec::new(),
            scenario,
            moment,
        };
        world.begin_engine();
        world
    }

    fn begin_engine(&mut self) {
        let Self { engine, scenario, terminals, moment, wires, .. } = self;
        engine.start(&scenario.sessions, terminals, moment);
        wires.is_open = true;
        self.rebirth = None;
    }

    /// The engine dies once, with everything in it, and another begins with nothing.
    fn live_and_let_die(&mut self) {
        let now = self.moment.now;
        if self.rebirth.is_some_and(|at| at <= now) {
            self.begin_engine();
        }
        let death = self.scenario.death.take_if(|(round, _)| *round <= self.moment.rounds);
        if let Some((_, time)) = death {
            self.moment.count(Event::EngineDeath);
            self.engine.die(&mut self.terminals, &mut self.moment);
            self.wires.cut_all(&mut self.moment.random);
            self.rebirth = Some(now + time);
        }
    }

    fn is_done(&self) -> bool {
        let truth = self.truth();
        self.rebirth.is_none()
            && self.clients.iter().all(|client| client.is_done(truth))
            && self.hostile.as_ref().is_none_or(Hostile::is_done)
            && self.engine.live().iter().all(Hosted::is_over)
    }

    fn round(&mut self) {
        self.moment.rounds += 1;
        assert!(self.moment.rounds < ROUNDS_MAX, "it goes round in circles: {self:?}");
        assert!(self.moment.now - self.begun < TIME_MAX, "it takes for ever: {self:?}");
        self.moment.now += self.moment.random.delay(TICK);
        self.is_quiet = false;
        self.live_and_let_die();
        self.list_ready();
        let is_asleep = self.ready.is_empty();
        let (mut is_moved, is_idle) = self.step_ready();
        is_moved |= self.engine.step_timers(&mut self.terminals, &mut self.wires, &mut self.moment);
        self.engine.check(&self.terminals, self.moment.now);
        if is_moved {
            self.moment.is_pressed = false;
        } else if is_idle || !(is_asleep || self.moment.is_pressed) {
            self.moment.is_pressed = true;
        } else {
            self.moment.is_pressed = false;
            let mut sessions = self.engine.live().iter().map(|hosted| &hosted.session);
            self.is_quiet = self.wires.next_arrival(self.moment.now).is_none()
                && sessions.all(|session| session.deadline().is_none());
            if !(self.is_quiet && self.is_done()) {
                self.jump();
            }
        }
    }

    /// Everybody who has something to do takes a step, or several; tells whether anybody moved, and
    /// whether anybody had no mind to.
    fn step_ready(&mut self) -> (bool, bool) {
        let (mut is_moved, mut is_idle) = (false, false);
        while !self.ready.is_empty() {
            let at = self.moment.random.below(self.ready.len() as u64) as usize;
            let is_busy = !self.moment.may_idle(10);
            let has_moved = is_busy && self.step(self.ready[at]);
            is_idle |= !is_busy;
            is_moved |= has_moved;
            // Whoever moved can often go on, and bursts are an order like any other.
            if !has_moved || self.moment.random.chance(BURSTS) {
                self.ready.swap_remove(at);
            }
        }
        (is_moved, is_idle)
    }

    /// Lists who has something to do: most have nothing most of the time, and to ask is cheaper
    /// than to let them try.
    fn list_ready(&mut self) {
        let Self { moment, scenario, wires, terminals, engine, clients, hostile, ready, .. } = self;
        let now = moment.now;
        for (at, client) in clients.iter_mut().enumerate() {
            let truth = truth(scenario, terminals, engine);
            if client.may_step(wires, truth, moment) {
                ready.push(Actor::Client(at));
            }
        }
        if hostile.as_ref().is_some_and(|hostile| hostile.may_step(wires, now)) {
            ready.push(Actor::Hostile);
        }
        if wires.is_anybody_waiting() {
            ready.push(Actor::Accept);
        }
        for at in 0..engine.connection_count() {
            if engine.may_read(at, wires, now) {
                ready.push(Actor::Reading(at));
            }
            if engine.may_write(at, wires) {
                ready.push(Actor::Writing(at));
            }
        }
        for (at, terminal) in terminals.iter().enumerate() {
            if engine.may_step_session(at, terminal, now) {
                ready.push(Actor::Session(at));
            }
            if terminal.may_step(moment) {
                ready.push(Actor::Child(at));
            }
        }
    }

    fn step(&mut self, actor: Actor) -> bool {
        let Self { moment, scenario, wires, terminals, engine, clients, hostile, .. } = self;
        let truth = truth(scenario, terminals, engine);
        match actor {
            Actor::Client(at) => {
                if let Some(other) = clients[at].unborn_twin_of()
                    && let Ok([twin, other]) = clients.get_disjoint_mut([at, other])
                {
                    twin.impersonate(other);
                }
                clients[at].step(wires, truth, moment)
            }
            Actor::Hostile => hostile.as_mut().is_some_and(|it| it.step(wires, truth, moment)),
            Actor::Accept => engine.accept(wires, moment),
            Actor::Reading(at) => engine.step_reading(at, wires, moment),
            Actor::Writing(at) => engine.step_writing(at, wires, moment),
            Actor::Session(at) => engine.step_session(at, &mut terminals[at], moment),
            Actor::Child(at) => terminals[at].step(moment),
        }
    }

    /// Nobody can do anything now: on to when somebody can.
    fn jump(&mut self) {
        let now = self.moment.now;
        let clients = self.clients.iter().filter_map(|client| client.next_wake(now));
        let hostile = self.hostile.as_ref().and_then(|hostile| hostile.next_wake(now));
        let terminals = self.terminals.iter().filter_map(Terminal::next_wake);
        let wakes = clients.chain(hostile).chain(terminals).chain(self.engine.next_wake());
        let wakes = wakes.chain(self.rebirth);
        let next = wakes.chain(self.wires.next_arrival(now)).min();
        let Some(next) = next else { panic!("everybody waits for somebody else: {self:?}") };
        self.moment.note("jump", [0; 3]);
        self.moment.now = next.max(now);
    }

    fn check_end(&self) {
        let truth = self.truth();
        for client in &self.clients {
            client.check_end(truth);
        }
        if let Some(hostile) = &self.hostile {
            hostile.check_end(truth);
        }
        self.engine.check_end(self.moment.now);
        let is_answered = |wire| self.clients.iter().any(|client| client.is_talking_over(wire));
        assert!(!self.engine.is_waiting_for_proof(is_answered), "an end that was heard is proven");
        self.moment.book.check_end();
    }

    fn truth(&self) -> Truth<'_> {
        truth(&self.scenario, &self.terminals, &self.engine)
    }
}

fn truth<'a>(scenario: &'a Scenario, terminals: &'a [Terminal], engine: &'a Engine) -> Truth<'a> {
    let (hosted, live) = (&engine.hosted[..], engine.live());
    Truth { sessions: &scenario.sessions, terminals, hosted, live }
}
