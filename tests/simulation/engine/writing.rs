//! Sending: what is queued first, then the attachments in turn, straight from their sessions' logs.

use std::time::Instant;

use tautline::{
    protocol::{
        Adjusted, Bytes, Detached, Done, EngineMessage, ErrorCode, ErrorReply, Exited, Gap,
        InputApplied, Output, OutputFlags, Resized, SPLIT_TAIL_MAX, Started, Vocabulary, encode,
        encode_split,
    },
    state::{Attachment, Connection, Cursor, Send, Session},
};

use super::{
    Hosted,
    leaving::tell_end,
    peer::{Peer, Place},
};
use crate::{
    census::Event,
    moment::Moment,
    wire::{Flow, Wire},
};

/// A frame of a stream that is not output is no larger.
const NOTICE_MAX: usize = 256;

/// Frames of one attachment in one write.
const BATCH_FRAMES: usize = 4;

/// Frames that were planned with a copy of the cursor.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    frames: Vec<Planned>,
}

struct Planned {
    begin: usize,
    end: usize,
    /// Where the attachment stands once this frame was begun.
    cursor: Cursor,
    send: Send,
}

/// Whether a write would do anything when the socket has that much room.
pub(super) fn may_write(
    protocol: &Connection,
    peer: &Peer,
    hosted: &[Hosted],
    room: usize,
) -> bool {
    if !peer.deferred.is_empty() && peer.outbox.has_room() {
        return true;
    }
    let is_owed = |place: &Place| place.quiet_at != hosted[place.session].changes;
    let is_any_owed = || protocol.is_ready() && peer.places.iter().any(is_owed);
    room > 0 && (!peer.outbox.is_empty() || is_any_owed())
}

/// Writes once; tells whether anything was written.
pub(super) fn write(
    protocol: &mut Connection,
    peer: &mut Peer,
    hosted: &mut [Hosted],
    wire: &mut Wire,
    moment: &mut Moment,
) -> bool {
    while peer.outbox.has_room()
        && let Some(id) = peer.deferred.pop_front()
    {
        finish(protocol, peer, id);
    }
    if !peer.outbox.is_empty() {
        return match wire.down.write(peer.outbox.as_slice(), moment) {
            Flow::Moved(count) => {
                peer.outbox.pop(count);
                true
            }
            Flow::Blocked => false,
            // The reader will find out.
            Flow::Ended => false,
        };
    }
    let room = wire.down.room();
    if !protocol.is_ready() || room == 0 {
        return false;
    }
    for _ in 0..peer.places.len() {
        peer.next = (peer.next + 1) % peer.places.len();
        let at = peer.next;
        let session = peer.places[at].session;
        let changes = hosted[session].changes;
        if peer.places[at].quiet_at == changes {
            continue;
        }
        let batch = Batch::plan(&hosted[session].session, &peer.places[at], room);
        if batch.frames.is_empty() {
            check_acks(&hosted[session], &peer.places[at]);
            peer.places[at].quiet_at = changes;
            continue;
        }
        // Round robin counts writes: whoever found the socket full is next again.
        let Flow::Moved(count) = wire.down.write(&batch.bytes, moment) else {
            peer.next = (at + peer.places.len() - 1) % peer.places.len();
            return false;
        };
        batch.begun(count, protocol, peer, &mut hosted[session], moment);
        return true;
    }
    false
}

impl Batch {
    /// Plans frames without changing anything, as many as may be begun.
    fn plan(session: &Session<usize>, place: &Place, room: usize) -> Self {
        let mut batch = Self::default();
        let attachment = session.attachment(place.id).expect("a place has its attachment");
        let mut cursor = attachment.cursor();
        while batch.frames.len() < BATCH_FRAMES && batch.bytes.len() < room {
            let Some(send) = session.next_send(attachment, &mut cursor) else { break };
            let begin = batch.bytes.len();
            encode_send(&mut batch.bytes, session, attachment, &send);
            batch.frames.push(Planned { begin, end: batch.bytes.len(), cursor, send });
        }
        batch
    }

    /// `count` bytes were written: frames that were begun are finished, others are forgotten.
    fn begun(
        mut self,
        count: usize,
        protocol: &mut Connection,
        peer: &mut Peer,
        hosted: &mut Hosted,
        moment: &mut Moment,
    ) {
        self.frames.retain(|frame| frame.begin < count);
        let last = self.frames.last().expect("at least one byte was written");
        let at = peer.next;
        hosted.session.commit(peer.places[at].id, last.cursor);
        hosted.changes += 1;
        if last.end > count {
            moment.count(Event::PartialFrame);
        }
        peer.outbox.push_bytes(&self.bytes[count..last.end.max(count)]);
        for Planned { send, .. } in self.frames {
            moment.note("send", [peer.wire as u64, at as u64, hosted.session.log().end()]);
            after(&send, protocol, peer, at, hosted, moment.now);
        }
    }
}

/// What follows a frame of a stream: requests that it completes.
fn after(
    send: &Send,
    protocol: &mut Connection,
    peer: &mut Peer,
    at: usize,
    hosted: &mut Hosted,
    now: Instant,
) {
    let place = &mut peer.places[at];
    match *send {
        Send::Output { offset, len, flags, input_applied } => {
            place.ack_told = input_applied;
            let (end, is_replay) = (offset + len as u64, flags & OutputFlags::REPLAY != 0);
            let is_old = if is_replay { end <= place.live_from } else { offset >= place.live_from };
            assert!(is_old, "{offset}..{end}: replay {is_replay}, live from {}", place.live_from);
        }
        Send::InputApplied { applied } => place.ack_told = applied,
        Send::Started { .. } => (place.ack_told, place.ack_wanted) = (0, 0),
        Send::LineFull { .. } => place.ack_wanted = 0,
        Send::Adjusted { .. } => peer.deferred.extend(place.adjusts.drain(..)),
        Send::Detached { .. } => {
            let mut place = peer.places.remove(at);
            finish(protocol, peer, place.stream);
            peer.deferred.extend(place.detaches.drain(..));
            // Terms that nobody will be told any more.
            peer.deferred.extend(place.adjusts.drain(..));
            peer.next = 0;
            tell_end(peer, hosted, place, now);
        }
        _ => {}
    }
}

/// Tells that a request is complete: its id is free again.
fn finish(protocol: &mut Connection, peer: &mut Peer, id: u64) {
    peer.outbox.push(id, EngineMessage::Done(Done { value: 0 }));
    protocol.handle_answered(id);
}

/// When there is nothing to send, whatever was to be acknowledged at once has been.
fn check_acks(hosted: &Hosted, place: &Place) {
    let attachment = hosted.session.attachment(place.id).expect("a place has its attachment");
    let marks = hosted.session.marks(attachment.client()).expect("a client attached has marks");
    let applied = marks.applied();
    assert!(
        place.ack_wanted > applied || place.ack_told >= place.ack_wanted,
        "session {}: input to {} was written ({applied}), its sender wants to know at once and \
         knows {}",
        hosted.index,
        place.ack_wanted,
        place.ack_told,
    );
}

fn encode_send(
    bytes: &mut Vec<u8>,
    session: &Session<usize>,
    attachment: &Attachment<usize>,
    send: &Send,
) {
    let (id, number) = (attachment.request(), attachment.number());
    if let Send::Output { offset, len, flags, input_applied } = *send {
        let output = Output {
            attachment: number,
            flags,
            offset,
            input_applied,
            read_ns: 0,
            bytes: Bytes::ahead(len as u32),
        };
        let mut tail = [0; SPLIT_TAIL_MAX];
        let message = EngineMessage::Output(output);
        let (header, size) = encode_split(&mut tail, id, message).expect("output fits a frame");
        let (first, second) = session.log().read(offset, len);
        for piece in [&header[..], first, second, &tail[..size]] {
            bytes.extend_from_slice(piece);
        }
        return;
    }
    // Not an item of the stream: it answers input, which has no id.
    let id = if matches!(send, Send::LineFull { .. }) { 0 } else { id };
    push(bytes, id, notice(session, attachment, send));
}

/// Everything that a stream carries but output.
fn notice(
    session: &Session<usize>,
    attachment: &Attachment<usize>,
    send: &Send,
) -> EngineMessage<'static> {
    let number = attachment.number();
    match *send {
        Send::Output { .. } => unreachable!("output is written from the log"),
        Send::Gap { from, to } => {
            EngineMessage::Gap(Gap { attachment: number, flags: 0, from, to })
        }
        Send::InputApplied { applied } => {
            EngineMessage::InputApplied(InputApplied { attachment: number, flags: 0, applied })
        }
        Send::LineFull { accepted } => EngineMessage::Error(ErrorReply {
            value: accepted,
            attachment: number,
            code: ErrorCode::LineTooLong.to_wire(),
            class: ErrorCode::LineTooLong.class().to_wire(),
            ..ErrorReply::default()
        }),
        Send::Exited { epoch, offset, exit } => {
            let (kind, value) = (exit.kind.to_wire(), exit.value);
            EngineMessage::Exited(Exited { attachment: number, value, epoch, offset, kind })
        }
        Send::Started { epoch, offset, pid } => {
            EngineMessage::Started(Started { attachment: number, pid, epoch, offset })
        }
        Send::Resized { size, policy } => {
            let size_policy = policy.to_wire();
            EngineMessage::Resized(Resized { attachment: number, size, size_policy })
        }
        Send::Adjusted { cause } => EngineMessage::Adjusted(Adjusted {
            attachment: number,
            flags: attachment.flags(),
            window: attachment.window(),
            pause_limit_ms: attachment.pause_limit_ms(),
            cause: cause.to_wire(),
            delivery: attachment.delivery().to_wire(),
            size_policy: session.size_policy().to_wire(),
        }),
        Send::Detached { reason, offset } => {
            let reason = reason.to_wire();
            EngineMessage::Detached(Detached { attachment: number, reason, offset })
        }
    }
}

fn push(bytes: &mut Vec<u8>, id: u64, message: impl Vocabulary) {
    let mut frame = [0; NOTICE_MAX];
    let size = encode(&mut frame, id, message).expect("a notice is small");
    bytes.extend_from_slice(&frame[..size]);
}
