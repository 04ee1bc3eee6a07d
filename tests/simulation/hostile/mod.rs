//! A peer that breaks one rule, and what must follow for it alone.

mod crime;

use std::{
    fmt,
    time::{Duration, Instant},
};

use tautline::{
    protocol::{
        ArchivedEngineMessage, Attach, AttachTerms, ClientHello, Consumed, ControlMessage,
        Delivery, ErrorCode, Input, LengthError, List, Ping, ReceiveBuffer, Refusal, View, encode,
        limits::{FRAME_MAX, INPUT_MAX, OUTPUT_WINDOW_MIN},
    },
    state::{Link, LinkPolicy, LinkStep},
};

use crime::Outcome;
pub(crate) use crime::{CRIMES, Crime};

use crate::{
    book::Way,
    byte_queue::ByteQueue,
    client::Truth,
    engine,
    moment::Moment,
    scenario::WirePlan,
    tape::{TYPISTS, tape},
    wire::{Flow, Wires},
};

pub(crate) struct Hostile {
    crime: Crime,
    link: Link,
    receive: ReceiveBuffer,
    outgoing: ByteQueue,
    wire: Option<usize>,
    plan: WirePlan,
    begins_at: Option<Instant>,
    grace: Duration,
    /// The epoch it is attached in, and the secret it got: what it comes back with.
    epoch: u64,
    secret: [u8; 16],
    is_second_act: bool,
    is_committed: bool,
    outcome: Option<Outcome>,
    is_gone: bool,
    pings: u64,
}

impl fmt::Debug for Hostile {
    /// Without the buffer's bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hostile")
            .field("crime", &self.crime)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl Hostile {
    pub(crate) fn new(crime: Crime, plan: WirePlan, grace: Duration, moment: &mut Moment) -> Self {
        moment.book.page(0, TYPISTS - 1).is_shared = true;
        let delay = moment.random.delay(Duration::from_millis(20));
        Self {
            crime,
            link: Link::new(LinkPolicy::default()),
            receive: ReceiveBuffer::new(),
            outgoing: ByteQueue::default(),
            wire: None,
            plan,
            begins_at: Some(moment.now + delay),
            grace,
            epoch: 0,
            secret: [0; 16],
            is_second_act: false,
            is_committed: false,
            outcome: None,
            is_gone: false,
            pings: 40,
        }
    }

    pub(crate) fn step(
        &mut self,
        wires: &mut Wires,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        if self.begins_at.is_some_and(|at| moment.now < at) || self.is_gone {
            return false;
        }
        let Some(wire) = self.wire else {
            self.begin(wires, truth);
            moment.census.count_crime(self.crime as usize);
            return true;
        };
        let is_read = self.crime != Crime::Deafness && self.read(wire, wires, moment);
        let is_deaf = self.crime == Crime::Deafness && self.pings > 0;
        if is_deaf && self.outgoing.is_empty() {
            self.pings -= 1;
            self.say(100 + self.pings, ControlMessage::Ping(Ping::default()));
        }
        if self.link.is_ready() && !self.is_committed && self.may_commit() {
            self.commit(truth, moment);
        }
        if self.crime.has_second_act() && !self.is_second_act && self.epoch != 0 {
            self.leave_for_second_act(wire, wires, moment);
            return true;
        }
        match wires.get(wire).up.write(self.outgoing.as_slice(), moment) {
            Flow::Moved(count) => {
                self.outgoing.pop(count);
                true
            }
            Flow::Blocked | Flow::Ended => is_read,
        }
    }

    /// Whether there is anything to do for it.
    pub(crate) fn may_step(&self, wires: &Wires, now: Instant) -> bool {
        if self.begins_at.is_some_and(|at| now < at) || self.is_gone {
            return false;
        }
        let Some(wire) = self.wire else { return true };
        let wire = wires.look(wire);
        let is_deaf = self.crime == Crime::Deafness;
        (!is_deaf && wire.down.is_readable(now))
            || (is_deaf && self.pings > 0 && self.outgoing.is_empty())
            || (self.link.is_ready() && !self.is_committed && self.may_commit())
            || (!self.outgoing.is_empty() && wire.up.room() > 0)
    }

    /// Whoever types wants to know for which child.
    fn may_commit(&self) -> bool {
        !matches!(self.crime, Crime::Hoarding | Crime::ReusedOffset) || self.epoch != 0
    }

    pub(crate) fn next_wake(&self, now: Instant) -> Option<Instant> {
        self.begins_at.filter(|at| *at > now)
    }

    pub(crate) fn is_done(&self) -> bool {
        let is_answered = matches!(self.outcome, Some(Outcome::Answered(_)));
        is_answered || self.is_gone || self.crime.outcome() == Outcome::Ignored
    }

    pub(crate) fn check_end(&self, truth: Truth<'_>) {
        let expected = self.crime.outcome();
        // Whoever types into a session that is over is told just that.
        let is_over = truth.live[0].is_over();
        let late =
            [ErrorCode::SessionExited, ErrorCode::NoSuchSession, ErrorCode::NoSuchAttachment];
        let is_late = matches!(self.outcome, Some(Outcome::Answered(code)) if late.contains(&code));
        let is_unheard = self.plan.is_slow() && self.outcome.is_none() && self.is_gone;
        if expected != Outcome::Ignored && !(is_over && is_late) && !is_unheard {
            assert_eq!(self.outcome, Some(expected), "{:?}", self.crime);
        }
    }

    fn begin(&mut self, wires: &mut Wires, truth: Truth<'_>) {
        self.wire = Some(wires.connect(self.plan));
        self.link.handle_connected();
        let client_id = [TYPISTS as u8; 16];
        let secret = match self.crime {
            Crime::WrongSecret if self.is_second_act => [0xee; 16],
            _ => self.secret,
        };
        let hello = ClientHello { client_id, resume_secret: secret, ..ClientHello::default() };
        let hello = hello.encode();
        match self.crime {
            Crime::Silence => {}
            Crime::HalfHello => self.outgoing.push(&hello[..50]),
            Crime::ForeignProtocol => self.outgoing.push(b"GET / HTTP/1.1\r\n\r\n"),
            _ => self.outgoing.push(&hello),
        }
        if !self.crime.says_hello() {
            return;
        }
        let from_future = self.crime == Crime::FutureOffset;
        let terms = AttachTerms {
            attachment: 1,
            delivery: Delivery::Lossless.to_wire(),
            window: OUTPUT_WINDOW_MIN,
            pause_limit_ms: 100,
            view: View::Offset.to_wire(),
            output_from: if from_future { 1 << 40 } else { truth.live[0].session.log().end() },
            ..AttachTerms::default()
        };
        let name = engine::Hosted::name(&truth.live[0]).into();
        let epoch = match self.crime {
            Crime::LateReturn if self.is_second_act => self.epoch,
            Crime::ForeignEpoch if self.is_second_act => 99_999_001,
            _ => 0,
        };
        self.say(1, ControlMessage::Attach(Attach { terms, name, epoch, ..Attach::default() }));
    }

    /// Its connection is lost, or stays; it comes again at once, or when nothing is kept any more.
    fn leave_for_second_act(&mut self, wire: usize, wires: &mut Wires, moment: &mut Moment) {
        self.is_second_act = true;
        let wait = match self.crime {
            Crime::LateReturn => self.grace + Duration::from_secs(2),
            _ => Duration::ZERO,
        };
        if self.crime != Crime::WrongSecret {
            wires.cut(wire, &mut moment.random);
        }
        self.wire = None;
        self.link = Link::new(LinkPolicy::default());
        self.receive = ReceiveBuffer::new();
        self.outgoing.clear();
        self.begins_at = Some(moment.now + wait);
    }

    fn commit(&mut self, truth: Truth<'_>, moment: &mut Moment) {
        self.is_committed = true;
        let list = frame(7, ControlMessage::List(List { flags: 0 }));
        let changed = |at: usize, value: u8| {
            let mut bytes = list.clone();
            bytes[at] = value;
            bytes
        };
        match self.crime {
            Crime::Junk => self.outgoing.push(&[0xff; 100]),
            Crime::TooSmall => self.outgoing.push(&[0, 0, 0, 4, 0, 0]),
            Crime::Misaligned => self.outgoing.push(&[0, 0, 0, 30, 0, 0]),
            Crime::HalfFrame => self.outgoing.push(&list[..13]),
            Crime::UnknownKind => self.outgoing.push(&changed(5, 200)),
            Crime::SecondHello => self.outgoing.push(&ClientHello::default().encode()),
            Crime::UnagreedFlag => self.outgoing.push(&changed(7, 1)),
            Crime::BrokenArchive => self.outgoing.push(&changed(list.len() - 1, 0x7f)),
            Crime::NoId => self.outgoing.push(&frame(0, ControlMessage::List(List { flags: 0 }))),
            Crime::IdTwice => self.say(1, ControlMessage::Ping(Ping::default())),
            Crime::InputGap => self.say_input(1, 1, 1),
            Crime::InputBeyondWindow => {
                self.say_input(0, 0, truth.sessions[0].terms.input_window as usize + 1);
            }
            Crime::Hoarding | Crime::ReusedOffset => self.type_much(truth, moment),
            Crime::ConsumedAhead => {
                let consumed = Consumed { attachment: 1, offset: 1 << 40 };
                self.say(0, ControlMessage::Consumed(consumed));
            }
            _ => {}
        }
    }

    /// Types as much as may be, and perhaps other bytes instead of the first ones.
    fn type_much(&mut self, truth: Truth<'_>, moment: &mut Moment) {
        let len = truth.sessions[0].terms.input_window.min(INPUT_MAX as u32).min(1_000);
        let way = Way { wire: self.wire.expect("it is connected"), stream: 1, turn: 0 };
        let page = moment.book.page(0, TYPISTS - 1);
        page.type_on(len.into(), self.epoch);
        page.send(way, 0, 0..len.into());
        if self.crime == Crime::Hoarding {
            return self.say_input(0, 0, len as usize);
        }
        // Other bytes where it typed before, and behind them what is right.
        let before = len as usize / 2;
        let mut bytes = tape(TYPISTS - 1, 10_000, before).to_vec();
        bytes.extend_from_slice(tape(TYPISTS - 1, before as u64, len as usize - before));
        self.say_input(0, 0, before.max(1));
        self.say_bytes(0, &bytes);
    }

    /// Says a piece of its tape, whatever offset it says that for.
    fn say_input(&mut self, offset: u64, from: u64, len: usize) {
        self.say_bytes(offset, tape(TYPISTS - 1, from, len));
    }

    fn say_bytes(&mut self, offset: u64, bytes: &[u8]) {
        let bytes = bytes.into();
        let input = Input { attachment: 1, flags: 0, turn: 0, offset, bytes };
        self.say(0, ControlMessage::Input(input));
    }

    fn say(&mut self, id: u64, message: ControlMessage<'_>) {
        self.outgoing.push_frame(id, message);
    }

    fn read(&mut self, wire: usize, wires: &mut Wires, moment: &mut Moment) -> bool {
        match wires.get(wire).down.read(self.receive.spare(), moment) {
            Flow::Blocked => return false,
            Flow::Moved(count) => self.receive.advance(count),
            Flow::Ended => {
                self.is_gone = true;
                wires.close(wire);
                return true;
            }
        }
        while let Some(frame) = self.receive.next_frame().unwrap_or_else(never) {
            match self.link.handle_frame(frame) {
                LinkStep::Refused(hello) => {
                    self.outcome = Refusal::from_wire(hello.status).map(Outcome::Refused);
                }
                LinkStep::Welcome(hello) => self.secret = hello.resume_secret,
                LinkStep::Message {
                    message: ArchivedEngineMessage::Attached(attached), ..
                } => {
                    self.epoch = attached.get().epoch.to_native();
                }
                LinkStep::Goodbye { reason, .. } => self.outcome = reason.map(Outcome::Closed),
                LinkStep::Message { message: ArchivedEngineMessage::Error(error), .. } => {
                    let code = ErrorCode::from_wire(error.get().code.to_native());
                    self.outcome = code.map(Outcome::Answered);
                }
                _ => {}
            }
        }
        true
    }
}

fn never<T>(error: LengthError) -> T {
    panic!("the engine sends frames, also to its enemies: {error}")
}

fn frame(id: u64, message: ControlMessage<'_>) -> Vec<u8> {
    let mut bytes = vec![0; FRAME_MAX];
    let size = encode(&mut bytes, id, message).expect("a crime fits a frame");
    bytes.truncate(size);
    bytes
}
