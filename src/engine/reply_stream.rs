//! Replies of several frames, made one by one as the peer reads them: no queue to fill.
//!
//! One that waits holds no session: a log is not kept because somebody asked for it and does not
//! read.

use std::{
    sync::{Arc, Weak},
    time::UNIX_EPOCH,
};

use tautline_protocol::{
    ArchivedLogs, Done, EngineMessage, ErrorCode, ExitKind, LogChunk, LogFlags, LogsFlags,
    PartWriter, Sessions, Status,
    limits::{FRAME_MAX, PAYLOAD_MAX},
};

use super::{
    Engine, failure::Failure, outbox::Outbox, screen_job::ScreenRequest, session_host::SessionHost,
    statistics::StatsItems,
};
use crate::state::Exit;

/// A reply that is not finished.
pub(super) struct ReplyStream {
    id: u64,
    rest: Rest,
    /// A message longer than a frame, part of which is out.
    parts: Option<PartWriter>,
}

enum Rest {
    /// One message, all of it in `parts`.
    Message,
    Sessions(Arc<Engine>),
    Status(Weak<SessionHost>),
    /// All sessions made after the one of that number.
    StatusAfter(Arc<Engine>, u64),
    Logs {
        host: Weak<SessionHost>,
        from: u64,
        end: u64,
    },
    Screen(ScreenRequest),
    Stats(StatsItems),
    Cancelled,
    /// Nothing but the end is left to say.
    Over,
    Finished,
}

/// What became of a stream's turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pushed {
    /// A frame, and more will follow.
    More,
    /// The last frame.
    Last,
    /// Nothing: what it tells is still being made, and the client is woken when it is ready.
    Waiting,
}

/// Most log bytes in one frame.
const CHUNK: usize = PAYLOAD_MAX - 40;

impl ReplyStream {
    /// One message that did not fit at once.
    pub(super) fn message(id: u64, message: EngineMessage<'_>) -> Self {
        let parts = PartWriter::new(id, message).expect("a pong is as short as its ping");
        Self { id, rest: Rest::Message, parts: Some(parts) }
    }

    pub(super) const fn sessions(id: u64, engine: Arc<Engine>) -> Self {
        Self { id, rest: Rest::Sessions(engine), parts: None }
    }

    pub(super) fn status(id: u64, host: &Arc<SessionHost>) -> Self {
        Self { id, rest: Rest::Status(Arc::downgrade(host)), parts: None }
    }

    pub(super) const fn status_of_all(id: u64, engine: Arc<Engine>) -> Self {
        Self { id, rest: Rest::StatusAfter(engine, 0), parts: None }
    }

    pub(super) fn logs(id: u64, host: &Arc<SessionHost>, logs: &ArchivedLogs<'static>) -> Self {
        let core = host.lock();
        let log = core.session.log();
        let (end, asked) = (log.end(), logs.from.to_native());
        let lines = logs.tail_lines.to_native() as usize;
        let from = if lines > 0 {
            log.lines_from_end(lines, 0)
        } else if logs.flags.to_native() & LogsFlags::FROM_END != 0 {
            end.saturating_sub(asked)
        } else {
            asked.min(end)
        };
        drop(core);
        Self { id, rest: Rest::Logs { host: Arc::downgrade(host), from, end }, parts: None }
    }

    pub(super) const fn screen(id: u64, request: ScreenRequest) -> Self {
        Self { id, rest: Rest::Screen(request), parts: None }
    }

    pub(super) const fn stats(id: u64, items: StatsItems) -> Self {
        Self { id, rest: Rest::Stats(items), parts: None }
    }

    /// Gives up what was not begun. A message of which parts are out is finished, and if it is the
    /// last it is the answer.
    pub(super) fn cancel(&mut self) {
        if !matches!(self.rest, Rest::Message | Rest::Finished) {
            self.rest = Rest::Cancelled;
        }
    }

    /// Whether parts of a message are out, and it is to be finished before another one is begun.
    pub(super) const fn is_mid_message(&self) -> bool {
        self.parts.is_some()
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Puts the next frame into the empty outbox, if there is one yet.
    pub(super) fn push_next(&mut self, outbox: &mut Outbox) -> Pushed {
        debug_assert!(outbox.is_empty(), "a frame of any size fits");
        if let Some(mut parts) = self.parts.take() {
            let more =
                |bytes: &mut [u8]| parts.next_frame(bytes).expect("a frame fits").unwrap_or(0);
            if outbox.push_with(more) > 0 {
                self.parts = Some(parts);
                return Pushed::More;
            }
        }
        match &mut self.rest {
            Rest::Message | Rest::Finished => Pushed::Last,
            Rest::Sessions(engine) => {
                let hosts = engine.sessions();
                let count = hosts.len() as u32;
                let name = |host: &Arc<SessionHost>| host.lock().name.clone() + "\0";
                let names: String = hosts.iter().map(name).collect();
                let names = names.as_bytes().into();
                self.push_only(outbox, EngineMessage::Sessions(Sessions { count, names }))
            }
            Rest::Status(host) => match host.upgrade() {
                Some(host) => {
                    self.rest = Rest::Over;
                    self.push_status(&host, outbox);
                    Pushed::More
                }
                None => self.push_failure(outbox, &Failure::session_gone()),
            },
            Rest::StatusAfter(engine, number) => match engine.session_after(*number) {
                Some(host) => {
                    *number = host.number;
                    self.push_status(&host, outbox);
                    Pushed::More
                }
                None => self.push_done(outbox),
            },
            Rest::Over => self.push_done(outbox),
            Rest::Logs { .. } => self.push_chunk(outbox),
            Rest::Screen(request) => match request.poll() {
                None => Pushed::Waiting,
                Some(Ok(screen)) => self
                    .push_only(outbox, EngineMessage::Screen(screen.text.message(screen.offset))),
                Some(Err(failure)) => self.push_failure(outbox, &failure),
            },
            Rest::Stats(items) => match items.next_item() {
                Ok(Some(item)) => {
                    self.start(outbox, EngineMessage::Stats(item.message()));
                    Pushed::More
                }
                Ok(None) => self.push_done(outbox),
                Err(failure) => self.push_failure(outbox, &failure),
            },
            Rest::Cancelled => {
                let cancelled = Failure::new(ErrorCode::Cancelled, "cancelled");
                self.push_failure(outbox, &cancelled)
            }
        }
    }

    /// Sends the only message of an answer that no `Done` follows.
    fn push_only(&mut self, outbox: &mut Outbox, message: EngineMessage<'_>) -> Pushed {
        self.start(outbox, message);
        self.rest = Rest::Finished;
        if self.parts.is_none() { Pushed::Last } else { Pushed::More }
    }

    fn push_failure(&mut self, outbox: &mut Outbox, failure: &Failure) -> Pushed {
        self.rest = Rest::Finished;
        outbox.push_failure(self.id, failure).expect("a small message fits a frame");
        Pushed::Last
    }

    fn push_status(&mut self, host: &SessionHost, outbox: &mut Outbox) {
        let core = host.lock();
        let session = &core.session;
        let exit = session.exit().unwrap_or(Exit { kind: ExitKind::None, value: 0 });
        let created = core.created.duration_since(UNIX_EPOCH).unwrap_or_default();
        let foreground = core.foreground_name();
        let cwd = core.current_directory();
        let status = Status {
            epoch: session.epoch(),
            created_unix_ms: created.as_millis() as u64,
            input_offset: session.input_applied(),
            output_offset: session.log().end(),
            log_start: session.log().start(),
            restarts: core.restarts,
            pid: session.pid(),
            attachments: session.attachments().len() as u32,
            exit_value: exit.value,
            size: session.size(),
            state: session.state().to_wire(),
            exit_kind: exit.kind.to_wire(),
            size_policy: session.size_policy().to_wire(),
            restart: session.restart_policy().to_wire(),
            name: core.name.as_str().into(),
            command: shown(&core.command).into(),
            cwd: cwd.as_slice().into(),
            foreground: foreground.as_slice().into(),
            title: b"".into(),
        };
        self.start(outbox, EngineMessage::Status(status));
    }

    fn push_chunk(&mut self, outbox: &mut Outbox) -> Pushed {
        let Rest::Logs { host, from, end } = &mut self.rest else {
            return Pushed::Last;
        };
        let Some(host) = host.upgrade() else {
            return self.push_failure(outbox, &Failure::session_gone());
        };
        let core = host.lock();
        let Some(piece) = core.session.log().next_piece(*from, *end, CHUNK) else {
            drop(core);
            return self.push_done(outbox);
        };
        let (first, second) = piece.bytes;
        let bytes = [first, second].concat();
        let flags = if piece.is_after_gap { LogFlags::GAP } else { 0 };
        let offset = piece.offset;
        drop(core);
        *from = offset + bytes.len() as u64;
        let chunk = LogChunk { offset, flags, bytes: bytes.as_slice().into() };
        outbox.push(self.id, EngineMessage::LogChunk(chunk)).expect("a chunk fits a frame");
        Pushed::More
    }

    fn push_done(&mut self, outbox: &mut Outbox) -> Pushed {
        self.rest = Rest::Finished;
        let done = EngineMessage::Done(Done { value: 0 });
        outbox.push(self.id, done).expect("a small message fits a frame");
        Pushed::Last
    }

    /// Sends a message, in parts if it must be.
    fn start(&mut self, outbox: &mut Outbox, message: EngineMessage<'_>) {
        if outbox.push(self.id, message).is_ok() {
            return;
        }
        let mut parts = PartWriter::new(self.id, message).expect("bounded when it came in");
        outbox.push_with(|bytes| parts.next_frame(bytes).expect("a frame fits").unwrap_or(0));
        self.parts = Some(parts);
    }
}

/// Most bytes of a command line that a description shows.
const COMMAND_SHOWN: usize = 64 * 1024;

/// As many whole arguments as a description shows, so that it always fits a message.
fn shown(argv: &[u8]) -> &[u8] {
    let cut = &argv[..argv.len().min(COMMAND_SHOWN)];
    let end = cut.iter().rposition(|&byte| byte == 0).map_or(0, |at| at + 1);
    &cut[..end]
}

const _: () = assert!(CHUNK < FRAME_MAX);

#[cfg(test)]
mod tests {
    use tautline_protocol::Pong;

    use super::*;
    use crate::trace::{Side, Tap};

    #[test]
    fn an_answer_that_is_complete_is_not_cancelled_on_top() {
        let mut outbox = Outbox::new(Tap::new(None, Side::Engine));
        let mut stream = ReplyStream::message(7, EngineMessage::Pong(Pong::default()));
        stream.cancel();
        assert_eq!(stream.push_next(&mut outbox), Pushed::More);
        outbox.advance(outbox.queued().len());
        assert_eq!(stream.push_next(&mut outbox), Pushed::Last);
        assert!(outbox.is_empty(), "a second answer to one request");
    }
}
