//! What the engine does about each request.

use tautline::{
    protocol::{
        ArchivedAdjust, ArchivedAttach, ArchivedControlMessage, ArchivedInput, ArchivedPing,
        ArchivedResize, AttachTerms, Attached, CloseReason, Delivery, DetachReason, EngineMessage,
        ErrorCode, InputFlags, Pong, WindowSize,
    },
    state::{AttachError, ConsumedAhead, InputVerdict},
};

use super::{
    Hosted,
    hosted::PtyCommand,
    outbox::Failure,
    peer::{Peer, Place},
};
use crate::{census::Event, moment::Moment};

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
enum Refused {
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
        Message::Pong(_) => Ok(Verdict::Open),
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

fn handle_attach(
    peer: &mut Peer,
    hosted: &mut [Hosted],
    id: u64,
    attach: &ArchivedAttach<'_>,
    moment: &mut Moment,
) -> Result<Verdict, Refused> {
    let terms = AttachTerms::from(&attach.terms);
    let number = terms.attachment;
    if peer.place(number).is_some() {
        return Err(Failure::new(ErrorCode::AttachmentInUse, number).into());
    }
    let named = |hosted: &Hosted| hosted.name().as_bytes() == attach.name.as_slice();
    let session = hosted.iter().position(named).filter(|at| !hosted[*at].session.is_finished());
    let session = session.ok_or_else(|| Failure::new(ErrorCode::NoSuchSession, number))?;
    let hosted = &mut hosted[session];
    let epoch = attach.epoch.to_native();
    let made = hosted.session.attach(peer.client, id, &terms, epoch, peer.wire);
    let attachment = made.map_err(|error| match error {
        AttachError::EpochChanged { current } => Refused::Answer(Failure {
            value: current,
            ..Failure::new(ErrorCode::EpochChanged, number)
        }),
        _ => Refused::Answer(Failure::new(ErrorCode::InvalidOffset, number)),
    })?;
    // Only now: with the last attachment the client's input marks would have died.
    hosted.forget_orphan(peer.client, number);
    let size = WindowSize::from(&attach.size);
    if !size.is_unset()
        && let Some(size) = hosted.session.handle_resize(attachment, size)
    {
        hosted.queue(PtyCommand::resize(size));
    }
    let place = Place {
        number,
        session,
        id: attachment,
        stream: id,
        live_from: hosted.session.log().end(),
        detaches: Vec::new(),
        adjusts: Vec::new(),
        ack_wanted: 0,
        quiet_at: 0,
        ack_told: 0,
    };
    let attached = attached(hosted, &place);
    moment.note("attach", [peer.wire as u64, session as u64, attached.output_offset]);
    peer.outbox.push(id, EngineMessage::Attached(attached));
    peer.places.push(place);
    Ok(Verdict::Open)
}

fn attached(hosted: &Hosted, place: &Place) -> Attached {
    let session = &hosted.session;
    let attachment = session.attachment(place.id).expect("it was just made");
    let marks = session.marks(attachment.client()).expect("every attached client has marks");
    Attached {
        attachment: place.number,
        flags: attachment.flags(),
        epoch: session.epoch(),
        log_start: session.log().start(),
        output_offset: attachment.output_offset(),
        input_accepted: marks.accepted(),
        input_applied: marks.applied(),
        input_unknown_to: marks.applied(),
        window: attachment.window(),
        input_window: attachment.input_window(),
        pause_limit_ms: attachment.pause_limit_ms(),
        size: session.size(),
        delivery: attachment.delivery().to_wire(),
        state: session.state().to_wire(),
        size_policy: session.size_policy().to_wire(),
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
    let client = peer.client;
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
            hosted.queue(PtyCommand::input(ledger, &bytes[skip..]));
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
    let wire = peer.wire;
    let place = known(peer, number)?;
    let hosted = &mut hosted[place.session];
    if !hosted.session.attachment(place.id).is_some_and(|attachment| attachment.is_writable()) {
        return Err(Failure::new(ErrorCode::ReadOnly, number).into());
    }
    let changed = hosted.session.handle_resize(place.id, WindowSize::from(&resize.size));
    if changed.is_none() && id == 0 {
        return Ok(Verdict::Open);
    }
    // Also a size that is in force already is answered behind the input that came before.
    let size = changed.unwrap_or_else(|| hosted.session.size());
    let done = if id == 0 { Vec::new() } else { vec![(wire, id)] };
    hosted.queue(PtyCommand::Resize { size, done });
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
