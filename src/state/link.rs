//! The client's long-lived view of its engine: connecting, ready, waiting to try again.
//!
//! The I/O shell does what [`action`](Link::action) says, reports what came of it with `handle_*`,
//! and asks again. Randomness and time come in as arguments.

use std::time::{Duration, Instant};

use tautline_protocol::{
    ArchivedEngineMessage, Class, CloseReason, DecodeError, EngineHello, EngineMessage, Frame,
    HelloError, Kind, LengthError, PartReader, Refusal, VERSION,
};

use super::{Backoff, BackoffPolicy};

/// How a link behaves.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LinkPolicy {
    /// Whether a lost connection is made again; without it the first loss ends the link.
    pub is_reconnecting: bool,
    /// The waits between attempts.
    pub backoff: BackoffPolicy,
    /// How long to go on trying since the connection was lost, or since the last progress; `None`
    /// for as long as there are attempts.
    pub deadline: Option<Duration>,
}

/// What the I/O shell does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkAction {
    /// Connect to the socket, then call [`Link::handle_connected`] or
    /// [`Link::handle_connect_failed`].
    Connect,
    /// Send the hello and read frames; report the connection's end with [`Link::handle_lost`].
    Talk,
    /// Wait until then and call [`Link::handle_timeout`].
    WaitUntil(Instant),
    /// Nothing more: it is over.
    Stop(LinkEnd),
}

/// Why a link ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LinkEnd {
    /// We left in order.
    Left,
    /// The engine refused the hello, and trying again would not help.
    Refused(Refusal),
    /// The engine closed the connection for good.
    Closed(CloseReason),
    /// The connection broke, and the policy is not to make it again.
    Lost,
    /// No connection could be made, for a reason that stays.
    Permanent,
    /// So many attempts without progress, or so much time.
    GaveUp {
        /// How many attempts.
        attempts: u32,
    },
    /// The engine said something impossible.
    Protocol(DecodeError),
}

/// What a frame from the engine means.
#[derive(Debug)]
pub enum LinkStep<'a> {
    /// The hello was answered: requests are being handled.
    Welcome(EngineHello),
    /// The hello was refused; the engine's hello names both sides' values.
    Refused(EngineHello),
    /// A message.
    Message {
        /// Its id: of the request it answers, or 0.
        id: u64,
        /// The whole frame, put together if it came in parts.
        frame: Frame<'a>,
        /// The message in it, where it was received.
        message: &'a ArchivedEngineMessage<'static>,
    },
    /// The engine closes, and this is why.
    Goodbye {
        /// The reason, if this version knows it.
        reason: Option<CloseReason>,
        /// Its advice when to connect again; zero for none.
        retry_after: Duration,
    },
    /// Nothing: a part, or a kind of a later version.
    Skip,
    /// The engine broke the protocol: drop the connection.
    Fault(DecodeError),
}

/// The client's side of a line.
#[derive(Debug)]
pub struct Link {
    phase: Phase,
    policy: LinkPolicy,
    backoff: Backoff,
    parts: PartReader,
    retry_after: Duration,
    /// When the connection was welcomed that lives.
    ready_since: Option<Instant>,
    /// Since when there is no connection that made progress.
    down_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Connecting,
    Hello,
    Ready,
    Waiting { until: Instant },
    Ended(LinkEnd),
}

impl Link {
    /// A link that connects at once.
    pub fn new(policy: LinkPolicy) -> Self {
        Self {
            phase: Phase::Connecting,
            policy,
            backoff: Backoff::new(policy.backoff),
            parts: PartReader::new(),
            retry_after: Duration::ZERO,
            ready_since: None,
            down_since: None,
        }
    }

    /// What to do next.
    pub const fn action(&self) -> LinkAction {
        match self.phase {
            Phase::Connecting => LinkAction::Connect,
            Phase::Hello | Phase::Ready => LinkAction::Talk,
            Phase::Waiting { until } => LinkAction::WaitUntil(until),
            Phase::Ended(end) => LinkAction::Stop(end),
        }
    }

    /// The socket is connected.
    pub fn handle_connected(&mut self) {
        self.phase = Phase::Hello;
        self.parts = PartReader::new();
        self.retry_after = Duration::ZERO;
    }

    /// No connection could be made.
    ///
    /// `is_permanent` if trying again cannot help: another user's socket, no permission.
    pub fn handle_connect_failed(&mut self, is_permanent: bool, now: Instant, random: u64) {
        if is_permanent {
            self.phase = Phase::Ended(LinkEnd::Permanent);
        } else {
            self.wait_or_end(LinkEnd::Permanent, now, random);
        }
    }

    /// The engine's welcome was acted on.
    pub fn handle_ready(&mut self, now: Instant) {
        self.ready_since = Some(now);
    }

    /// The connection ended: by itself, or after a goodbye or a refusal that time may mend.
    pub fn handle_lost(&mut self, now: Instant, random: u64) {
        let lived = self.ready_since.take().map(|since| now.saturating_duration_since(since));
        if lived.is_some_and(|lived| lived >= self.policy.backoff.cap) {
            // An engine that lets us stay for longer than any wait is not hammered by a try.
            self.handle_progress();
        }
        if !matches!(self.phase, Phase::Ended(_)) {
            self.wait_or_end(LinkEnd::Lost, now, random);
        }
    }

    /// A byte was newly applied or consumed.
    pub fn handle_progress(&mut self) {
        self.backoff.note_progress();
        self.down_since = None;
    }

    /// Attempts since the last progress, the one that is waited for included.
    pub const fn attempts(&self) -> u32 {
        self.backoff.attempts()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Phase::Waiting { until } = self.phase
            && now >= until
        {
            self.phase = Phase::Connecting;
        }
    }

    /// We leave on purpose.
    pub fn handle_leave(&mut self) {
        self.end(LinkEnd::Left);
    }

    /// Takes in the next frame.
    pub fn handle_frame<'a>(&'a mut self, frame: Frame<'a>) -> LinkStep<'a> {
        match self.phase {
            Phase::Hello => self.handle_hello(frame),
            Phase::Ready => self.handle_message(frame),
            _ => LinkStep::Skip,
        }
    }

    /// The stream has no frames any more.
    pub fn handle_length_error(&mut self, error: LengthError) -> LinkStep<'static> {
        self.fault(DecodeError::Length(error))
    }

    /// Whether the engine welcomed us on this connection.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    fn handle_hello(&mut self, frame: Frame<'_>) -> LinkStep<'static> {
        let hello = match EngineHello::decode(frame.kind(), frame.payload()) {
            Ok(hello) => hello,
            Err(HelloError::Kind(_) | HelloError::Size(_) | HelloError::Magic) => {
                return self.fault(DecodeError::WrongClass(frame.kind()));
            }
        };
        let Some(refusal) = Refusal::from_wire(hello.status) else {
            // A refusal of a later version: nothing we can do about it.
            self.end(LinkEnd::Permanent);
            return LinkStep::Refused(hello);
        };
        if refusal == Refusal::Welcome && hello.version == VERSION {
            self.phase = Phase::Ready;
            return LinkStep::Welcome(hello);
        }
        match refusal {
            Refusal::AtCapacity | Refusal::ShuttingDown | Refusal::Timeout => {
                self.retry_after = Duration::from_millis(hello.retry_after_ms.into());
                if !self.policy.is_reconnecting {
                    self.end(LinkEnd::Refused(refusal));
                }
            }
            // The client takes another id: what was kept under this one is somebody else's, or was
            // promised in an answer that was lost.
            Refusal::ResumeSecret if self.policy.is_reconnecting => {}
            Refusal::Welcome => self.end(LinkEnd::Refused(Refusal::Version)),
            refusal => self.end(LinkEnd::Refused(refusal)),
        }
        LinkStep::Refused(hello)
    }

    fn handle_message<'a>(&'a mut self, frame: Frame<'a>) -> LinkStep<'a> {
        self.parts.clear();
        if frame.kind() == PART {
            return self.handle_part(frame);
        }
        let Self { phase, policy, parts, retry_after, .. } = self;
        let id = frame.id();
        let outcome = parts.complete(frame).and_then(|frame| Ok((frame, frame.engine()?)));
        match outcome {
            Ok((_, ArchivedEngineMessage::Goodbye(goodbye))) => {
                let goodbye = goodbye.get();
                let reason = CloseReason::from_wire(goodbye.reason.to_native());
                *retry_after = Duration::from_millis(goodbye.retry_after_ms.to_native().into());
                if let Some(reason) = reason.filter(|reason| is_final(*reason, policy)) {
                    *phase = Phase::Ended(LinkEnd::Closed(reason));
                }
                LinkStep::Goodbye { reason, retry_after: *retry_after }
            }
            Ok((frame, message)) => LinkStep::Message { id, frame, message },
            Err(DecodeError::Unknown(_)) => LinkStep::Skip,
            Err(error) => {
                *phase = Phase::Ended(LinkEnd::Protocol(error));
                LinkStep::Fault(error)
            }
        }
    }

    fn handle_part(&mut self, frame: Frame<'_>) -> LinkStep<'static> {
        let taken = match frame.engine() {
            Ok(ArchivedEngineMessage::Part(part)) => self.parts.handle_part(frame.id(), part),
            Ok(_) => unreachable!("access compares the kind with the message"),
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => LinkStep::Skip,
            Err(error) => self.fault(error),
        }
    }

    fn fault(&mut self, error: DecodeError) -> LinkStep<'static> {
        self.end(LinkEnd::Protocol(error));
        LinkStep::Fault(error)
    }

    fn end(&mut self, end: LinkEnd) {
        if !matches!(self.phase, Phase::Ended(_)) {
            self.phase = Phase::Ended(end);
        }
    }

    fn wait_or_end(&mut self, end: LinkEnd, now: Instant, random: u64) {
        if !self.policy.is_reconnecting {
            self.end(end);
            return;
        }
        let attempts = self.backoff.attempts();
        let down_since = *self.down_since.get_or_insert(now);
        let deadline = self.policy.deadline.map(|limit| down_since + limit);
        self.phase = match self.backoff.next_delay(random) {
            Some(_) if deadline.is_some_and(|at| now >= at) => {
                Phase::Ended(LinkEnd::GaveUp { attempts })
            }
            Some(delay) => {
                let until = now + delay.max(self.retry_after);
                Phase::Waiting { until: deadline.map_or(until, |at| until.min(at)) }
            }
            None => Phase::Ended(LinkEnd::GaveUp { attempts }),
        };
    }
}

/// Whether coming back after this goodbye would be wrong or useless.
fn is_final(reason: CloseReason, policy: &LinkPolicy) -> bool {
    match reason {
        CloseReason::ShuttingDown
        | CloseReason::FrameTimeout
        | CloseReason::HeartbeatLost
        | CloseReason::AdminTimeout
        | CloseReason::Internal => !policy.is_reconnecting,
        _ => true,
    }
}

const PART: Kind = Kind::new(Class::Engine, 26);

const _: () = assert!(matches!(EngineMessage::name_of(PART.tag()), Some(name) if is_part(name)));

const fn is_part(name: &str) -> bool {
    matches!(name.as_bytes(), b"Part")
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
