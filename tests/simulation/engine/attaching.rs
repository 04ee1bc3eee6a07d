//! Requests that join a session.

use tautline::{
    protocol::{
        ArchivedAttach, AttachFlags, AttachTerms, Attached, EngineMessage, ErrorCode, WindowSize,
    },
    state::{AttachError, ClientId},
};

use super::{
    Hosted,
    hosted::place,
    outbox::Failure,
    peer::{Peer, Place},
    requests::{Refused, Verdict},
};
use crate::{census::Event, moment::Moment};

pub(super) fn handle_attach(
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
    let epoch = attach.epoch.to_native();
    let session = match epoch {
        0 => session_named(hosted, attach.name.as_slice()),
        epoch => session_to_resume(hosted, attach.name.as_slice(), epoch, (peer.client, number)),
    };
    let session = session.map_err(|code| Failure::new(code, number))?;
    let hosted = &mut hosted[session];
    hosted.check_known(peer.client, moment.now);
    let is_known = hosted.session.marks(peer.client).is_some();
    let is_kept = epoch == 0 || hosted.is_kept(peer.client, number);
    let is_ours = epoch != 0 && place(epoch) == hosted.index;
    let is_awaited = is_ours && hosted.is_awaited(peer.client, number, moment.now);
    let made = hosted.session.attach(peer.client, id, &terms, epoch, peer.wire);
    let attachment = made.map_err(|error| {
        let is_refused = matches!(error, AttachError::ResumeExpired);
        assert!(!(is_refused && is_awaited), "whoever comes back in time is known");
        let (code, value) = match error {
            AttachError::EpochChanged { current } => (ErrorCode::EpochChanged, current),
            AttachError::ResumeExpired => (ErrorCode::ResumeExpired, 0),
            _ => (ErrorCode::InvalidOffset, 0),
        };
        Refused::Answer(Failure { value, ..Failure::new(code, number) })
    })?;
    assert!(is_kept, "whoever comes back too late, or was never there, is not known");
    hosted.changes += 1;
    let live_from = hosted.keep(attachment, (peer.client, number), epoch != 0, moment);
    if terms.flags & AttachFlags::DETACH_OTHERS != 0 {
        hosted.kick_others(attachment);
    }
    let size = WindowSize::from(&attach.size);
    if !size.is_unset()
        && let Some(size) = hosted.session.handle_resize(attachment, size)
    {
        hosted.queue_size(size);
    }
    let place = Place {
        number,
        session,
        id: attachment,
        stream: id,
        live_from,
        detaches: Vec::new(),
        adjusts: Vec::new(),
        ack_wanted: 0,
        quiet_at: 0,
        ack_told: 0,
    };
    let attached = attached(hosted, &place, is_known);
    moment.note("attach", [peer.wire as u64, session as u64, attached.output_offset]);
    if is_known && epoch != 0 {
        moment.count(Event::Resume);
    }
    peer.outbox.push(id, EngineMessage::Attached(attached));
    peer.places.push(place);
    Ok(Verdict::Open)
}

/// The session of that name, unless everybody was told its end.
fn session_named(hosted: &[Hosted], name: &[u8]) -> Result<usize, ErrorCode> {
    let is_it = |hosted: &Hosted| {
        let session = &hosted.session;
        hosted.name().as_bytes() == name && !session.is_gone() && !session.is_finished()
    };
    hosted.iter().position(is_it).ok_or(ErrorCode::NoSuchSession)
}

/// The session that keeps something of that attachment in that epoch, also one whose end was told.
fn session_to_resume(
    hosted: &[Hosted],
    name: &[u8],
    epoch: u64,
    (client, number): (ClientId, u32),
) -> Result<usize, ErrorCode> {
    let keeps = |hosted: &Hosted| hosted.session.keeps(client, number, epoch);
    let found = hosted.iter().position(keeps);
    found.map_or_else(|| session_named(hosted, name).and(Err(ErrorCode::ResumeExpired)), Ok)
}

fn attached(hosted: &Hosted, place: &Place, is_known: bool) -> Attached {
    let session = &hosted.session;
    let attachment = session.attachment(place.id).expect("it was just made");
    let (epoch, marks) = session.joined(place.id);
    Attached {
        attachment: place.number,
        flags: attachment.flags() | if is_known { AttachFlags::RESUMED } else { 0 },
        epoch,
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
