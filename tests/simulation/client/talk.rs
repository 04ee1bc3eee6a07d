//! A client's connection: made, talked over, lost and made again, as the real library does.

use std::time::Instant;

use tautline::{
    protocol::{
        ClientHello, CloseReason, ControlMessage, EngineHello, Ping, ReceiveBuffer, Refusal,
    },
    state::{BackoffPolicy, Beat, Heartbeat, LinkAction, LinkEnd, LinkStep},
};

use super::{Client, DEAF_MAX, Library, Request, Truth, Whim, choose_secret};
use crate::{
    census::Event,
    moment::Moment,
    wire::{Flow, Wires},
};

impl Client {
    pub(super) fn connect(&mut self, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) {
        let is_out = self.out_until.is_some_and(|until| moment.now < until);
        if is_out || !wires.is_open {
            self.tries += 1;
            let random = moment.random.next();
            self.link.handle_connect_failed(false, moment.now, random);
            return self.look_for_end(wires, truth, moment);
        }
        let wire = wires.connect(self.wire_plan);
        moment.note("connect", [self.library.index as u64, wire as u64, 0]);
        self.wire = Some(wire);
        self.receive = ReceiveBuffer::new();
        self.outgoing.clear();
        let hello = ClientHello {
            client_id: self.identity.id,
            resume_secret: self.identity.secret,
            engine_seen: self.identity.engine_seen,
            heartbeat_ms: self.library.plan.heartbeat_ms,
            ..ClientHello::default()
        };
        self.outgoing.push(&hello.encode());
        self.link.handle_connected();
    }

    /// Things that happen to a client: it stops reading, or its connection is lost.
    pub(super) fn take_whim(
        &mut self,
        wires: &mut Wires,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        let library = &mut self.library;
        let Some(whim) = self.whim.take() else { return false };
        if library.has_asked_to_leave || library.has_seen_all(truth) {
            return false;
        }
        match whim {
            Whim::Deafness => {
                library.plan.deaf -= 1;
                self.deaf_until = Some(moment.now + moment.random.delay(DEAF_MAX));
            }
            Whim::Cut => self.cut(wires, truth, moment),
            Whim::Request => library.is_whimsical = true,
        }
        true
    }

    fn cut(&mut self, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) {
        let plan = &mut self.library.plan;
        plan.cuts -= 1;
        let wire = self.wire.expect("a link that talks has a wire");
        if moment.random.chance(plan.silence) {
            moment.count(Event::SilentCut);
            wires.cut_in_silence(wire, &mut moment.random);
            self.buried.push(wire);
        } else {
            moment.count(Event::Cut);
            wires.cut(wire, &mut moment.random);
        }
        moment.note("cut", [self.library.index as u64, wire as u64, 0]);
        let outage = moment.random.delay(plan.outage_max);
        self.out_until = Some(moment.now + outage);
        self.lose(wires, truth, moment);
    }

    /// The connection is over: another is made, if that is of any use.
    fn lose(&mut self, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) {
        let lived = self.ready_since.take().map(|since| moment.now - since);
        let has_lived = lived.is_some_and(|lived| lived >= BackoffPolicy::default().cap);
        if self.library.seats.iter_mut().any(|seat| seat.take_progress()) {
            self.link.handle_progress();
            self.tries = 0;
        } else if has_lived {
            self.tries = 0;
        }
        self.tries += 1;
        if self.library.has_asked_to_leave {
            self.link.handle_leave();
        }
        let random = moment.random.next();
        self.link.handle_lost(moment.now, random);
        self.wire = None;
        self.outgoing.clear();
        (self.deaf_until, self.heartbeat, self.whim) = (None, None, None);
        if !matches!(self.link.action(), LinkAction::Stop(_)) {
            self.library.handle_lost(moment.now);
        }
        self.look_for_end(wires, truth, moment);
    }

    /// What is left to do when there will be no other connection.
    fn look_for_end(&mut self, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) {
        let LinkAction::Stop(end) = self.link.action() else { return };
        let Library { index, plan, .. } = &self.library;
        match end {
            LinkEnd::Closed(CloseReason::Requested | CloseReason::TakenOver) | LinkEnd::Left => {}
            // Marks that are also somebody else's may be beyond all that it sent.
            LinkEnd::Closed(CloseReason::InputGap | CloseReason::InputWindow) if plan.is_shared => {
            }
            LinkEnd::GaveUp { attempts } => {
                moment.count(Event::GaveUp);
                assert_eq!(attempts, plan.attempts_limit, "client {index}");
                assert!(
                    self.tries > plan.attempts_limit,
                    "client {index}: who makes progress in between is not given up on"
                );
            }
            other => panic!("client {index}: {other:?}"),
        }
        self.library.handle_end(moment);
        self.library.tell_content(truth, moment);
        self.buried.drain(..).for_each(|wire| wires.close(wire));
    }

    pub(super) fn read(
        &mut self,
        wires: &mut Wires,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        let Some(wire) = self.wire else { return false };
        if self.deaf_until.is_some_and(|until| moment.now < until) {
            return false;
        }
        self.deaf_until = None;
        match wires.get(wire).down.read(self.receive.spare(), moment) {
            Flow::Blocked => return false,
            Flow::Moved(count) => self.receive.advance(count),
            Flow::Ended => {
                self.check_cut_off(wires.look(wire).is_cut);
                wires.close(wire);
                self.lose(wires, truth, moment);
                return true;
            }
        }
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.handle_heard(moment.now);
        }
        self.take_in(wire, wires, truth, moment);
        true
    }

    /// Nobody is cut off without a word, or in the middle of one.
    fn check_cut_off(&self, is_cut: bool) {
        let plan = &self.library.plan;
        let may_be_late = plan.heartbeat_ms > 0 || plan.is_shared || !self.link.is_ready();
        let index = self.library.index;
        assert!(is_cut || may_be_late, "client {index}: cut off without a word");
    }

    fn take_in(&mut self, wire: usize, wires: &mut Wires, truth: Truth<'_>, moment: &mut Moment) {
        loop {
            let frame = self.receive.next_frame().expect("the engine sends frames");
            let Some(frame) = frame else { return };
            moment.note("frame", [wire as u64, frame.kind().0.into(), frame.id()]);
            match self.link.handle_frame(frame) {
                LinkStep::Message { id, message, .. } => {
                    self.library.hear(id, message, &mut self.outgoing, truth, moment);
                }
                LinkStep::Welcome(hello) => self.hear_welcome(&hello, moment.now),
                LinkStep::Refused(hello) => {
                    self.hear_refusal(&hello, moment);
                    wires.close(wire);
                    return self.lose(wires, truth, moment);
                }
                LinkStep::Goodbye { reason, .. } => {
                    self.library.hear_goodbye(reason);
                    wires.close(wire);
                    return self.lose(wires, truth, moment);
                }
                other => panic!("client {}: {other:?}", self.library.index),
            }
        }
    }

    fn hear_welcome(&mut self, hello: &EngineHello, now: Instant) {
        self.link.handle_ready(now);
        self.ready_since = Some(now);
        assert_eq!(self.identity.secret, hello.resume_secret, "a secret is the client's choice");
        self.identity.engine_seen = hello.engine_id;
        let interval = Heartbeat::granted(hello.heartbeat_ms);
        self.heartbeat = interval.map(|interval| Heartbeat::new(interval, now));
    }

    /// Its id is somebody else's: it takes another, and all it held is lost.
    fn hear_refusal(&mut self, hello: &EngineHello, moment: &mut Moment) {
        match Refusal::from_wire(hello.status) {
            Some(Refusal::ResumeSecret) => {
                moment.count(Event::NewId);
                self.identity.secret = choose_secret(moment);
                self.identity.id[1..9].copy_from_slice(&moment.random.next().to_be_bytes());
            }
            Some(Refusal::Timeout) => {}
            other => panic!("client {}: refused for {other:?}", self.library.index),
        }
    }

    /// When to look whether the engine lives, if ever.
    pub(super) fn beat_at(&self) -> Option<Instant> {
        self.heartbeat.filter(|_| self.deaf_until.is_none()).map(|beat| beat.deadline())
    }

    /// The socket was read, and was empty.
    pub(super) fn beat(
        &mut self,
        wires: &mut Wires,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        if self.deaf_until.is_some() {
            return false;
        }
        let Some(heartbeat) = &mut self.heartbeat else { return false };
        match heartbeat.handle_timeout(moment.now) {
            None => false,
            Some(Beat::Ping) => {
                let id = self.library.next_id(Request::Ping { token: 0, len: 0 });
                self.outgoing.push_frame(id, ControlMessage::Ping(Ping::default()));
                true
            }
            Some(Beat::Dead) => {
                let wire = self.wire.expect("a heart beats while there is a wire");
                wires.cut(wire, &mut moment.random);
                self.lose(wires, truth, moment);
                true
            }
        }
    }

    pub(super) fn write(
        &mut self,
        wires: &mut Wires,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        let Some(wire) = self.wire else { return false };
        let mut is_moved = false;
        if self.outgoing.is_empty() && self.link.is_ready() {
            is_moved = self.library.say(&mut self.outgoing, truth, moment);
        }
        match wires.get(wire).up.write(self.outgoing.as_slice(), moment) {
            Flow::Moved(count) => {
                self.outgoing.pop(count);
                true
            }
            Flow::Blocked | Flow::Ended => is_moved,
        }
    }
}
