//! One attachment's turn: as many frames as fit, straight from the session log, in one write.

use std::io::{self, IoSlice};

use smallvec::SmallVec;
use tautline_protocol::{
    Adjusted, Bytes, Detached, Done, EngineMessage, ErrorCode, Exited, Gap, InputApplied, Output,
    OutputFlags, Resized, SPLIT_TAIL_MAX, Started, encode_split, limits::HEADER_SIZE,
};

use super::{
    Engine,
    failure::Failure,
    outbox::{Outbox, REPLY_ROOM},
    session_host::{SessionCore, SessionHost},
};
use crate::{
    latency::Stage,
    limits::BATCH_FRAMES,
    state::{Attachment, AttachmentId, Cursor, Send},
    transport::Stream,
};

/// What became of an attachment's turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TurnEnd {
    /// There was nothing to send.
    Nothing,
    /// Something was sent; there may be more.
    Progress,
    /// The peer does not read as fast: wait until it is writable.
    Blocked,
    /// The end of the attachment was told; forget it.
    Ended,
}

/// Header and end of one planned `Output` frame; the bytes between stay in the log.
struct Planned {
    head: [u8; HEADER_SIZE],
    tail: [u8; SPLIT_TAIL_MAX],
    tail_len: usize,
    offset: u64,
    len: usize,
    is_replay: bool,
    after: Cursor,
}

impl Planned {
    const fn size(&self) -> usize {
        HEADER_SIZE + self.len + self.tail_len
    }

    const fn end(&self) -> u64 {
        self.offset + self.len as u64
    }

    fn pieces<'a>(&'a self, core: &'a SessionCore) -> [&'a [u8]; 4] {
        let (first, second) = core.session.log().read(self.offset, self.len);
        [&self.head, first, second, &self.tail[..self.tail_len]]
    }
}

/// Sends what is next on an attachment; small messages through the outbox, output around it.
pub(super) fn send_turn<S: Stream>(
    stream: &S,
    outbox: &mut Outbox,
    host: &SessionHost,
    id: AttachmentId,
    engine: &Engine,
) -> io::Result<TurnEnd> {
    let mut core = host.lock();
    let mut end = TurnEnd::Nothing;
    loop {
        let Some(attachment) = core.session.attachment(id) else {
            return Ok(TurnEnd::Ended);
        };
        let mut cursor = attachment.cursor();
        match core.session.next_send(attachment, &mut cursor) {
            None => return Ok(end),
            Some(Send::Output { .. }) => {
                return write_output(stream, outbox, &mut core, id, engine);
            }
            Some(notice) => {
                if outbox.room() < REPLY_ROOM {
                    return Ok(TurnEnd::Blocked);
                }
                let is_last = push_notice(outbox, &core, attachment, notice);
                core.session.commit(id, cursor);
                end = TurnEnd::Progress;
                if is_last {
                    return Ok(TurnEnd::Ended);
                }
            }
        }
    }
}

/// Encodes everything but output; returns whether it was the attachment's end.
fn push_notice(
    outbox: &mut Outbox,
    core: &SessionCore,
    attachment: &Attachment<impl Sized>,
    notice: Send,
) -> bool {
    let (number, request) = (attachment.number(), attachment.request());
    let message = match notice {
        Send::Output { .. } => unreachable!("output does not go through the outbox"),
        Send::Gap { from, to } => {
            EngineMessage::Gap(Gap { attachment: number, flags: 0, from, to })
        }
        Send::InputApplied { applied } => {
            EngineMessage::InputApplied(InputApplied { attachment: number, flags: 0, applied })
        }
        Send::LineFull { accepted } => {
            let failure = Failure { attachment: number, ..line_too_long(accepted) };
            // It answers input, which may have had an id of its own or none: the offset tells.
            outbox.push_failure(0, &failure).expect("there was room for a small message");
            return false;
        }
        Send::Exited { epoch, offset, exit } => EngineMessage::Exited(Exited {
            attachment: number,
            value: exit.value,
            epoch,
            offset,
            kind: exit.kind.to_wire(),
        }),
        Send::Started { epoch, offset, pid } => {
            EngineMessage::Started(Started { attachment: number, pid, epoch, offset })
        }
        Send::Resized { size, policy } => EngineMessage::Resized(Resized {
            attachment: number,
            size,
            size_policy: policy.to_wire(),
        }),
        Send::Adjusted { cause } => EngineMessage::Adjusted(Adjusted {
            attachment: number,
            flags: attachment.flags(),
            window: attachment.window(),
            pause_limit_ms: attachment.pause_limit_ms(),
            cause: cause.to_wire(),
            delivery: attachment.delivery().to_wire(),
            size_policy: core.session.size_policy().to_wire(),
        }),
        Send::Detached { reason, offset } => EngineMessage::Detached(Detached {
            attachment: number,
            reason: reason.to_wire(),
            offset,
        }),
    };
    outbox.push(request, message).expect("there was room for a small message");
    if matches!(notice, Send::Detached { .. }) {
        let done = EngineMessage::Done(Done { value: 0 });
        outbox.push(request, done).expect("there was room for two small messages");
        return true;
    }
    false
}

fn line_too_long(accepted: u64) -> Failure {
    let text = "the program reads lines, and its terminal has no room for one that long";
    Failure { value: accepted, ..Failure::new(ErrorCode::LineTooLong, text) }
}

fn write_output<S: Stream>(
    stream: &S,
    outbox: &mut Outbox,
    core: &mut SessionCore,
    id: AttachmentId,
    engine: &Engine,
) -> io::Result<TurnEnd> {
    let frames = plan(core, id, engine.clock_ns(core.read_at));
    let log = core.session.log();
    let mut parts = SmallVec::<[IoSlice<'_>; 36]>::new();
    const { assert!(4 * BATCH_FRAMES < 36, "every slice is inline") };
    let queued = outbox.queued().len();
    if queued > 0 {
        parts.push(IoSlice::new(outbox.queued()));
    }
    for frame in &frames {
        let (first, second) = log.read(frame.offset, frame.len);
        parts.push(IoSlice::new(&frame.head));
        parts.push(IoSlice::new(first));
        if !second.is_empty() {
            parts.push(IoSlice::new(second));
        }
        parts.push(IoSlice::new(&frame.tail[..frame.tail_len]));
    }
    let written = match stream.try_write(&parts) {
        Ok(written) => written,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(TurnEnd::Blocked),
        Err(error) => return Err(error),
    };
    drop(parts);
    outbox.advance(written.min(queued));
    let mut left = written.saturating_sub(queued);
    let mut after = None;
    for frame in &frames {
        if left == 0 {
            break;
        }
        after = Some(frame.after);
        outbox.tap().sent_in_pieces(|| frame.pieces(core));
        if left < frame.size() {
            keep_rest(outbox, core, frame, left);
            break;
        }
        left -= frame.size();
    }
    if let Some(after) = after {
        core.session.commit(id, after);
    }
    let wanted = queued + frames.iter().map(Planned::size).sum::<usize>();
    if written < wanted {
        return Ok(TurnEnd::Blocked);
    }
    let log_end = core.session.log().end();
    if frames.last().is_some_and(|frame| frame.end() == log_end && !frame.is_replay) {
        engine.latency.record(Stage::ReadToSent, core.read_at.elapsed());
    }
    Ok(TurnEnd::Progress)
}

/// Plans as many output frames as one write takes.
fn plan(core: &SessionCore, id: AttachmentId, read_ns: u64) -> SmallVec<[Planned; BATCH_FRAMES]> {
    let mut frames = SmallVec::new();
    let Some(attachment) = core.session.attachment(id) else {
        return frames;
    };
    let mut cursor = attachment.cursor();
    while frames.len() < BATCH_FRAMES {
        let Some(Send::Output { offset, len, flags, input_applied }) =
            core.session.next_send(attachment, &mut cursor)
        else {
            break;
        };
        let output = Output {
            attachment: attachment.number(),
            flags,
            offset,
            input_applied,
            read_ns,
            bytes: Bytes::ahead(len as u32),
        };
        let mut tail = [0; SPLIT_TAIL_MAX];
        let (head, tail_len) =
            encode_split(&mut tail, attachment.request(), EngineMessage::Output(output))
                .expect("an output frame fits by construction");
        let is_replay = flags & OutputFlags::REPLAY != 0;
        frames.push(Planned { head, tail, tail_len, offset, len, is_replay, after: cursor });
    }
    frames
}

/// A frame that was begun is finished: what of it was not written goes into the outbox.
fn keep_rest(outbox: &mut Outbox, core: &SessionCore, frame: &Planned, written: usize) {
    let mut skip = written;
    for part in frame.pieces(core) {
        let skipped = skip.min(part.len());
        outbox.push_bytes(&part[skipped..]);
        skip -= skipped;
    }
}
