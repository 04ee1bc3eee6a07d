//! What the engine does about each request.

use tautline::{
    protocol::{
        ArchivedAdjust, ArchivedControlMessage, ArchivedInput, ArchivedPing, ArchivedResize,
        CloseReason, Delivery, DetachReason, EngineMessage, ErrorCode, InputFlags, Pong,
        WindowSize,
    },
    state::{ConsumedAhead, InputVerdict},
};

use super::{
    Hosted,
    attaching::handle_attach,
    leaving::handle_pong,
    outbox::Failure,
    peer::{Peer, Place},
};
use crate::{book::Way, census::Event, moment::Moment};

/// Where a request stands after it was handled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// Not answered yet, or never.
    Open,
    /// Its final frame is in the outbox.
    Answered,
    /// The client broke the protocol, or leaves.
    Close(CloseReason),
}

/// A semantic fault is answered and the connection stays; a protocol error closes it.
pub(super) enum Refused {
    Answer(Failure),
    Close(CloseReason),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Answer(failure)
    }
}

pub(super) fn handle(
    peer: &mut Peer,
    hosted: &mut [Hosted],
    id: u64,
    message: &ArchivedControlMessage<'_>,
    moment: &mut Moment,
) -> Verdict {
    type Message<'a> = ArchivedControlMessage<'a>;
    moment.note("request", [peer.wire as u64, id, 0]);
    let outcome = match message {
        Message::Attach(attach) => handle_attach(peer, hosted, id, attach.get(), moment),
        Message::Detach(detach) => {
            handle_detach(peer, hosted, id, detach.get().attachment.to_native())
        }
        Message::Adjust(adjust) => handle_adjust(peer, hosted, id, adjust.get()),
        Message::Input(input) => handle_input(peer, hosted, input.get(), moment),
        Message::Resize(resize) => handle_resize(peer, hosted, id, resize.get()),
        Message::Consumed(consumed) => {
            let consumed = consumed.get();
            let number = consumed.attachment.to_native();
            handle_consumed(peer, hosted, number, consumed.offset.to_native())
        }
        Message::Ping(ping) => Ok(handle_ping(peer, id, ping.get())),
        Message::Pong(pong) => {
            handle_pong(peer, hosted, pong.get().token.to_native());
            Ok(Verdict::Open)
        }
        Message::Disconnect(_) => Ok(Verdict::Close(CloseReason::Requested)),
        _ => Err(Failure::new(ErrorCode::Unsupported, 0).into()),
    };
    match outcome {
        Ok(verdict) => verdict,
        Err(Refused::Close(reason)) => Verdict::Close(reason),
        Err(Refused::Answer(failure)) => {
            peer.outbox.push_failure(id, failure);
            Verdict::Answered
        }
    }
}

fn handle_detach(
    peer: &mut Peer,
    hosted: &mut [Hosted],
    id: u64,
    number: u32,
) -> Result<Verdict, Refused> {
    let place = known(peer, number)?;
    hosted[place.session].session.handle_detach(place.id, DetachReason::Asked);
    place.detaches.extend((id != 0).then_some(id));
    Ok(Verdict::Open)
}

fn handle_adjust(
    peer: &mut Peer,
    hosted: &mut [Hosted],
    id: u64,
    adjust: &ArchivedAdjust,
) -> Result<Verdict, Refused> {
    let place = known(peer, adjust.attachment.to_native())?;
    place.adjusts.extend((id != 0).then_some(id));
    let (flags, window) = (adjust.flags.to_native(), adjust.window.to_native());
    let delivery = Delivery::from_wire(adjust.delivery);
    let session = &mut hosted[place.session].session;
    let attachment = session.attachment_mut(place.id).expect("a place has its attachment");
    attachment.handle_adjust(flags, window, adjust.pause_limit_ms.to_native(), delivery);
    Ok(Verdict::Open)
}

fn handle_input(
    peer: &mut Peer,
    hosted: &mut [Hosted],
    input: &ArchivedInput<'_>,
    moment: &mut Moment,
) -> Result<Verdict, Refused> {
    let number = input.attachment.to_native();
    let (client, wire) = (peer.client, peer.wire);
    let place = known(peer, number)?;
    let hosted = &mut hosted[place.session];
    let (turn, offset) = (input.turn.to_native(), input.offset.to_native());
    if hosted.session.is_input_stale(place.id, turn, offset) {
        moment.count(Event::StaleInput);
        return Ok(Verdict::Open);
    }
    let is_live = hosted.session.is_live();
    let attachment = hosted.session.attachment_mut(place.id).expect("a place has its attachment");
    let refusal = match (attachment.is_writable(), is_live) {
        (false, _) => Some(ErrorCode::ReadOnly),
        (true, false) => Some(ErrorCode::SessionExited),
        (true, true) if moment.random.chance(hosted.plan.pickiness) => Some(ErrorCode::LineTooLong),
        (true, true) => None,
    };
    if let Some(code) = refusal {
        moment.count(Event::RefusedInput);
        hosted.session.handle_input_refused(place.id);
        let marks = hosted.session.marks(client);
        let value = marks.map_or(0, |marks| marks.accepted());
        return Err(Failure { value, ..Failure::new(code, number) }.into());
    }
    let is_ack_wanted = u32::from(input.flags.to_native()) & InputFlags::ACK_NOW != 0;
    if is_ack_wanted {
        attachment.handle_ack_wanted();
    }
    let bytes = input.bytes.as_slice();
    let outcome = hosted.session.handle_input(place.id, turn, offset, bytes.len());
    let (verdict, ledger) = outcome.expect("a place has its attachment");
    moment.note("input", [offset, bytes.len() as u64, hosted.index as u64]);
    match verdict {
        InputVerdict::Accept { skip } => {
            if skip > 0 {
                moment.count(Event::DuplicateInput);
            }
            let end = offset + bytes.len() as u64;
            place.ack_wanted = if is_ack_wanted { end } else { place.ack_wanted };
            let way = Way { wire, stream: place.stream, turn };
            hosted.queue_input((client, ledger), way, offset + skip as u64, &bytes[skip..], moment);
            Ok(Verdict::Open)
        }
        InputVerdict::Duplicate => {
            moment.count(Event::DuplicateInput);
            Ok(Verdict::Open)
        }
        InputVerdict::Stale => Ok(Verdict::Open),
        InputVerdict::Gap => Err(Refused::Close(CloseReason::InputGap)),
        InputVerdict::BeyondWindow => Err(Refused::Close(CloseReason::InputWindow)),
    }
}

fn handle_resize(
    peer: &mut Peer,
    hosted: &mut [Hosted],
    id: u64,
    resize: &ArchivedResize<'_>,
) -> Result<Verdict, Refused> {
    let number = resize.attachment.to_native();
    let place = known(peer, number)?;
    let hosted = &mut hosted[place.session];
    if !hosted.session.attachment(place.id).is_some_and(|attachment| attachment.is_writable()) {
        return Err(Failure::new(ErrorCode::ReadOnly, number).into());
    }
    if let Some(size) = hosted.session.handle_resize(place.id, WindowSize::from(&resize.size)) {
        hosted.queue_size(size);
    }
    peer.deferred.extend((id != 0).then_some(id));
    Ok(Verdict::Open)
}

fn handle_consumed(
    peer: &mut Peer,
    hosted: &mut [Hosted],
    number: u32,
    offset: u64,
) -> Result<Verdict, Refused> {
    let place = known(peer, number)?;
    match hosted[place.session].session.handle_consumed(place.id, offset) {
        Ok(()) => Ok(Verdict::Open),
        Err(ConsumedAhead) => Err(Refused::Close(CloseReason::ConsumedAhead)),
    }
}

fn handle_ping(peer: &mut Peer, id: u64, ping: &ArchivedPing<'_>) -> Verdict {
    let pong = Pong {
        token: ping.token.to_native(),
        sent_ns: ping.sent_ns.to_native(),
        bytes: ping.bytes.as_slice().into(),
        ..Pong::default()
    };
    peer.outbox.push(id, EngineMessage::Pong(pong));
    Verdict::Answered
}

fn known(peer: &mut Peer, number: u32) -> Result<&mut Place, Failure> {
    peer.place(number).ok_or_else(|| Failure::new(ErrorCode::NoSuchAttachment, number))
}
