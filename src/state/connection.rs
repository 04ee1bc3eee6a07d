//! One client's connection as the engine sees it: hello, ready, closing.
//!
//! The I/O shell reads into a receive buffer and calls [`handle_frame`](Connection::handle_frame)
//! for each frame, [`handle_pass`](Connection::handle_pass) after the last one of a read, and
//! [`handle_timeout`](Connection::handle_timeout) when [`deadline`](Connection::deadline) has
//! passed
//! *and* the socket was read once more. Each tells what to do; nothing here waits or writes.

use std::time::{Duration, Instant};

use tautline_protocol::{
    ArchivedControlMessage, Class, ClientHello, CloseReason, Consequence, ControlMessage,
    DecodeError, ErrorCode, Features, Flags, Frame, HelloError, Kind, LengthError, Limit,
    PartReader, Refusal, Role,
};

use super::{Beat, Heartbeat};

/// How long a client may take; see each field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Deadlines {
    /// From the connection to the end of its hello. Default 5 s.
    pub hello: Duration,
    /// From the first byte of a frame to its last, and from the first part of a message to its
    /// last frame; counted only while we are reading. Default 5 s.
    pub frame: Duration,
    /// From our decision to close until the socket is dropped, so that the reason can be read.
    /// Default 1 s.
    pub closing: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(5),
            frame: Duration::from_secs(5),
            closing: Duration::from_secs(1),
        }
    }
}

/// What a frame asks of the engine.
#[derive(Debug)]
pub enum Step<'a> {
    /// The hello: admit the client with [`Connection::handle_welcome`], or refuse it.
    Hello(ClientHello),
    /// A message to act on. If its role is answered, its id is pending now.
    Request {
        /// The message's id.
        id: u64,
        /// The message, where it was received.
        message: &'a ArchivedControlMessage<'static>,
    },
    /// Answer with an `Error`, and go on.
    Answer(Fault),
    /// Nothing: a part of a message, or a late reply.
    Skip,
    /// Send a hello with this refusal and close.
    Refuse(Refusal),
    /// Send a `Goodbye` with this reason and close.
    Close(CloseReason),
}

/// What an `Error` says about a message that made no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The message's id.
    pub id: u64,
    /// What kind of message it was.
    pub kind: Kind,
    /// Which attachment it was for; 0 for none, or if that cannot be read.
    pub attachment: u32,
    /// The code.
    pub code: ErrorCode,
    /// The limit that was passed, if one was.
    pub limit: Limit,
    /// The value that was refused.
    pub value: u64,
    /// What the value belongs to, for the text.
    pub subject: &'static str,
}

/// Protocol state of one client's connection.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    deadlines: Deadlines,
    deadline: Option<Instant>,
    flags_agreed: Flags,
    parts: PartReader,
    parts_begun: Option<Instant>,
    pending: Vec<u64>,
    pending_limit: usize,
    heartbeat: Option<Heartbeat>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Hello,
    Ready,
    Closing,
}

impl Connection {
    /// A connection that was just accepted.
    ///
    /// At most `pending_limit` answered requests may be pending at once; one more is refused with
    /// `LimitReached`.
    pub fn new(deadlines: Deadlines, pending_limit: usize, now: Instant) -> Self {
        Self {
            phase: Phase::Hello,
            deadlines,
            deadline: Some(now + deadlines.hello),
            flags_agreed: Flags::NONE,
            parts: PartReader::new(),
            parts_begun: None,
            pending: Vec::with_capacity(pending_limit),
            pending_limit,
            heartbeat: None,
        }
    }

    /// Takes in the next frame.
    pub fn handle_frame<'a>(&'a mut self, frame: Frame<'a>, now: Instant) -> Step<'a> {
        match self.phase {
            Phase::Hello => Self::handle_first(frame),
            Phase::Ready => self.handle_ready(frame, now),
            Phase::Closing => Step::Skip,
        }
    }

    /// The stream has no frames any more.
    pub fn handle_length_error(&mut self, error: LengthError) -> Step<'static> {
        match self.phase {
            Phase::Hello => Step::Refuse(Refusal::NotOurProtocol),
            Phase::Ready => Self::fault(0, Kind(0), DecodeError::Length(error)),
            Phase::Closing => Step::Skip,
        }
    }

    /// The client was admitted.
    pub fn handle_welcome(&mut self, features: Features) {
        assert_eq!(self.phase, Phase::Hello, "a client is welcomed once");
        self.phase = Phase::Ready;
        self.deadline = None;
        self.flags_agreed = features.flags();
    }

    /// A heartbeat was granted with the welcome.
    pub fn handle_heartbeat(&mut self, interval: Duration, now: Instant) {
        self.heartbeat = Some(Heartbeat::new(interval, now));
    }

    /// Bytes came from the peer, whatever they are: it lives.
    pub fn handle_heard(&mut self, now: Instant) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.handle_heard(now);
        }
    }

    /// All frames of a read were taken in; `is_mid_frame` tells whether the beginning of another
    /// one is left, `frames` how many were taken.
    pub fn handle_pass(&mut self, is_mid_frame: bool, frames: usize, now: Instant) {
        if self.phase != Phase::Ready {
            return;
        }
        let frame_due = match self.deadline {
            // The same frame as before is still unfinished.
            Some(deadline) if is_mid_frame && frames == 0 => Some(deadline),
            _ => is_mid_frame.then(|| now + self.deadlines.frame),
        };
        self.parts.clear();
        if !self.parts.is_mid_message() {
            self.parts_begun = None;
        }
        let parts_due = self.parts_begun.map(|begun| begun + self.deadlines.frame);
        self.deadline = match (frame_due, parts_due) {
            (Some(frame), Some(parts)) => Some(frame.min(parts)),
            (frame, parts) => frame.or(parts),
        };
    }

    /// We stopped reading, or went on after a stop: no deadline counts the pause.
    pub fn handle_reading_resumed(&mut self, paused_for: Duration) {
        if self.phase == Phase::Ready {
            self.deadline = self.deadline.map(|deadline| deadline + paused_for);
            self.parts_begun = self.parts_begun.map(|begun| begun + paused_for);
            if let Some(heartbeat) = &mut self.heartbeat {
                heartbeat.handle_paused(paused_for);
            }
        }
    }

    /// We decided to close, and said why: the peer has until the deadline to read it.
    pub fn handle_closing(&mut self, now: Instant) {
        self.phase = Phase::Closing;
        self.deadline = Some(now + self.deadlines.closing);
        self.heartbeat = None;
        self.parts = PartReader::new();
        self.parts_begun = None;
    }

    /// The final frame of a request went out: its id is free again.
    pub fn handle_answered(&mut self, id: u64) {
        if let Some(at) = self.pending.iter().position(|&pending| pending == id) {
            self.pending.swap_remove(at);
        }
    }

    /// What to do at the deadline; `None` if it has not passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Expiry> {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Some(match self.phase {
                Phase::Hello => Expiry::Refuse(Refusal::Timeout),
                Phase::Ready => Expiry::Close(CloseReason::FrameTimeout),
                Phase::Closing => Expiry::Drop,
            });
        }
        self.handle_heartbeat_timeout(now)
    }

    /// The same for the heartbeat alone, while nothing is read.
    pub fn handle_heartbeat_timeout(&mut self, now: Instant) -> Option<Expiry> {
        match self.heartbeat.as_mut()?.handle_timeout(now)? {
            Beat::Ping => Some(Expiry::Ping),
            Beat::Dead => Some(Expiry::Close(CloseReason::HeartbeatLost)),
        }
    }

    /// When to call [`handle_heartbeat_timeout`](Self::handle_heartbeat_timeout), if ever.
    pub fn heartbeat_deadline(&self) -> Option<Instant> {
        self.heartbeat.as_ref().map(Heartbeat::deadline)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if ever.
    pub fn deadline(&self) -> Option<Instant> {
        let beat = self.heartbeat.as_ref().map(Heartbeat::deadline);
        self.deadline.into_iter().chain(beat).min()
    }

    /// Whether the hello was answered with a welcome and nobody closed since.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Whether we said why and wait for the peer to read it.
    pub fn is_closing(&self) -> bool {
        self.phase == Phase::Closing
    }

    /// Whether the request is still to be answered.
    pub fn is_pending(&self, id: u64) -> bool {
        self.pending.contains(&id)
    }

    fn handle_first(frame: Frame<'_>) -> Step<'static> {
        if frame.flags() != Flags::NONE {
            return Step::Refuse(Refusal::NotOurProtocol);
        }
        match ClientHello::decode(frame.kind(), frame.payload()) {
            Ok(hello) => Step::Hello(hello),
            Err(HelloError::Kind(_) | HelloError::Size(_) | HelloError::Magic) => {
                Step::Refuse(Refusal::NotOurProtocol)
            }
        }
    }

    fn handle_ready<'a>(&'a mut self, frame: Frame<'a>, now: Instant) -> Step<'a> {
        let id = frame.id();
        let unagreed = frame.flags().beyond(self.flags_agreed);
        if unagreed != Flags::NONE {
            return Self::fault(id, frame.kind(), DecodeError::Flags(unagreed));
        }
        // A message that is complete was acted on before the next frame is looked at.
        self.parts.clear();
        if frame.kind() == PART {
            return self.handle_part(frame, now);
        }
        let kind = frame.kind();
        match self.parts.complete(frame) {
            Ok(frame) => Self::dispatch(frame, &mut self.pending, self.pending_limit),
            Err(error) => Self::fault(id, kind, error),
        }
    }

    fn handle_part(&mut self, frame: Frame<'_>, now: Instant) -> Step<'static> {
        if !self.parts.is_mid_message() {
            self.parts_begun = Some(now);
        }
        let taken = match frame.control() {
            Ok(ArchivedControlMessage::Part(part)) => self.parts.handle_part(frame.id(), part),
            Ok(_) => unreachable!("access compares the kind with the message"),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            return Self::fault(frame.id(), frame.kind(), error);
        }
        Step::Skip
    }

    fn dispatch<'a>(frame: Frame<'a>, pending: &mut Vec<u64>, limit: usize) -> Step<'a> {
        let id = frame.id();
        let message = match frame.control() {
            Ok(message) => message,
            Err(error) => return Self::fault(id, frame.kind(), error).about(frame),
        };
        let is_answered = match ControlMessage::role(frame.kind().tag()) {
            Some(Role::Answered) => true,
            Some(Role::Either) => id != 0,
            Some(Role::OneWay) | None => false,
        };
        if is_answered {
            if pending.contains(&id) {
                return Step::Close(CloseReason::IdInUse);
            }
            if pending.len() == limit {
                return Step::Answer(Fault {
                    id,
                    kind: frame.kind(),
                    attachment: 0,
                    code: ErrorCode::LimitReached,
                    limit: Limit::Requests,
                    value: limit as u64,
                    subject: "pending requests of this connection",
                });
            }
            pending.push(id);
        }
        Step::Request { id, message }
    }

    fn fault(id: u64, kind: Kind, error: DecodeError) -> Step<'static> {
        let code = match error.consequence() {
            Consequence::Close(reason) => return Step::Close(reason),
            Consequence::Answer(code) => code,
        };
        let (limit, value, subject) = match error {
            DecodeError::Invalid(invalid) => (invalid.limit, invalid.value, invalid.subject),
            DecodeError::Unknown(kind) => (Limit::None, kind.0.into(), "message kind"),
            _ => (Limit::None, 0, ""),
        };
        Step::Answer(Fault { id, kind, attachment: 0, code, limit, value, subject })
    }
}

impl Step<'static> {
    /// Names the attachment that a message without sense was for, if it was for one.
    fn about(mut self, frame: Frame<'_>) -> Self {
        if let Self::Answer(fault) = &mut self {
            fault.attachment = attachment_in(frame).unwrap_or(0);
        }
        self
    }
}

/// The attachment with which the fixed part of some messages begins. Nothing of the frame is
/// trusted: what is read is only said.
fn attachment_in(frame: Frame<'_>) -> Option<u32> {
    if !SCOPED.contains(&frame.kind()) {
        return None;
    }
    let payload = frame.payload();
    let pointer_at = payload.len().checked_sub(size_of::<i32>())?;
    let pointer = i32::from_le_bytes(payload[pointer_at..].try_into().ok()?);
    let begin = pointer_at.checked_add_signed(pointer as isize)?;
    let bytes = payload.get(begin..begin.checked_add(size_of::<u32>())?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// What an expired deadline means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expiry {
    /// Send a hello with this refusal and close.
    Refuse(Refusal),
    /// Send a `Goodbye` with this reason and close.
    Close(CloseReason),
    /// Drop the socket: the peer had its time to read why.
    Drop,
    /// Nothing is over: send a `Ping`, so that the peer says something.
    Ping,
}

const PART: Kind = Kind::new(Class::Control, 31);

/// `Detach`, `Adjust`, `Input`, `Keys`, `Resize` and `Consumed`.
const SCOPED: [Kind; 6] = [
    Kind::new(Class::Control, 3),
    Kind::new(Class::Control, 4),
    Kind::new(Class::Control, 6),
    Kind::new(Class::Control, 7),
    Kind::new(Class::Control, 8),
    Kind::new(Class::Control, 10),
];

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
