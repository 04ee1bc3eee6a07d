//! One attachment as its client's library and user see it, over losing the connection and coming
//! back, or leaving and joining anew.

use std::time::Instant;

use tautline::{
    protocol::{
        AdjustCause, ArchivedAdjusted, ArchivedAttached, ArchivedDetached, ArchivedExited,
        ArchivedGap, ArchivedOutput, ArchivedStarted, AttachFlags, Delivery, DetachReason,
        ErrorCode, SessionState, WindowSize,
    },
    state::{Attachable, ClientId, Reception, ResumeStep, SenderEnd, SenderMarks, TURNS_MAX},
};

use super::{Truth, output::OutputSide, typing::Typing};
use crate::{
    census::Event, engine, moment::Moment, scenario::SeatPlan, scenario::SessionPlan,
    terminal::Terminal,
};

/// Numbers that are never those of other seats.
const NUMBERS: u32 = 8;

#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) client: usize,
    pub(crate) plan: SeatPlan,
    pub(super) phase: Phase,
    /// The request whose stream it is.
    pub(crate) stream: u64,
    /// Which session, among all there ever were; the stream's is not another.
    place: usize,
    /// Epochs whose end this stream told.
    exits: Vec<u64>,
    /// Epochs whose end its user was told.
    exits_told: Vec<u64>,
    has_seen_last_exit: bool,
    is_returning: bool,
    /// The session does not know it any more, and may be another.
    is_expired: bool,
    size: WindowSize,
    may_skip_ends: bool,
    pub(super) reception: Reception,
    pub(super) typing: Typing,
    pub(crate) output: OutputSide,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Not attached, and wants to be unless it has seen everything.
    New,
    /// The first `Attach` is on its way.
    Asked,
    Attached,
    /// `Detach` is on its way.
    Leaving,
    /// `Detached` was heard, or nothing is to be heard any more; `Done` was not.
    Ending,
    /// Its connection was lost.
    Away,
    /// Another `Attach` is on its way.
    AskedAgain,
    /// It is not made again.
    Over,
}

impl Seat {
    pub(crate) fn new(client: usize, plan: SeatPlan, session: &SessionPlan) -> Self {
        let may_skip_ends = session.generations > TURNS_MAX as u64;
        Self {
            client,
            phase: Phase::New,
            stream: 0,
            place: 0,
            exits: Vec::new(),
            exits_told: Vec::new(),
            has_seen_last_exit: false,
            is_returning: false,
            is_expired: false,
            size: WindowSize::default(),
            may_skip_ends,
            reception: Reception::default(),
            typing: Typing::new(client),
            output: OutputSide::new(client, &plan, may_skip_ends),
            plan,
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.reception.epoch()
    }

    pub(crate) fn wants_to_attach(&self) -> bool {
        match self.phase {
            Phase::New => !self.has_seen_last_exit,
            Phase::Away => true,
            _ => false,
        }
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.phase == Phase::Attached
    }

    /// Whether its input goes out.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Attached | Phase::Leaving)
    }

    /// Whether frames for it may still be on their way from before its end.
    pub(crate) fn is_ended(&self) -> bool {
        !matches!(self.phase, Phase::Attached | Phase::Leaving)
    }

    pub(crate) fn has_seen_end(&self, truth: Truth<'_>) -> bool {
        let is_ephemeral = truth.sessions[self.plan.session].terms.is_ephemeral;
        match self.phase {
            Phase::Over => true,
            Phase::Attached => self.has_seen_last_exit && !is_ephemeral,
            Phase::New => self.has_seen_last_exit,
            _ => false,
        }
    }

    /// The epoch in which it has nothing more to type.
    pub(crate) fn content_epoch(&self, truth: Truth<'_>) -> u64 {
        match self.phase {
            Phase::Over => u64::MAX,
            Phase::New if self.has_seen_last_exit => u64::MAX,
            _ if !self.plan.is_typist => u64::MAX,
            _ if self.epoch() == 0 => 0,
            _ if self.typing.is_content(self.epoch(), self.quota(truth)) => self.epoch(),
            _ => 0,
        }
    }

    /// How much its user types for the child that it knows.
    pub(crate) fn quota(&self, truth: Truth<'_>) -> u64 {
        let is_early = self.epoch() != 0 && engine::generation(self.epoch()) < 2;
        if is_early { truth.sessions[self.plan.session].quotas[self.client] } else { 0 }
    }

    pub(crate) fn handle_asked(&mut self, stream: u64) {
        self.phase = if self.phase == Phase::Away { Phase::AskedAgain } else { Phase::Asked };
        self.stream = stream;
        self.exits.clear();
    }

    pub(crate) fn handle_leaving(&mut self) {
        self.phase = Phase::Leaving;
    }

    /// The connection was lost, and will be made again.
    pub(crate) fn handle_lost(&mut self, now: Instant) {
        let was_attached = self.is_up();
        match self.phase {
            Phase::Attached | Phase::Leaving | Phase::Away | Phase::AskedAgain => {
                self.phase = Phase::Away;
                self.reception.handle_lost();
                self.is_expired = false;
                self.output.handle_lost(was_attached, now);
                self.typing.sender.handle_lost();
            }
            // Whoever waited for the first answer begins anew, under another number.
            Phase::Asked => self.begin_anew(true),
            Phase::Ending => self.handle_end_done(),
            Phase::New | Phase::Over => {}
        }
    }

    /// The next attachment is another one, which goes on where this one's user was.
    fn begin_anew(&mut self, is_renumbered: bool) {
        self.phase = Phase::New;
        self.plan.number += if is_renumbered { NUMBERS } else { 0 };
        self.reception = Reception::default();
        self.typing = Typing::new(self.client);
        self.exits_told.clear();
        self.output.begin_anew();
    }

    /// It is not made again.
    pub(crate) fn handle_over(&mut self, end: SenderEnd, moment: &mut Moment) {
        if self.phase == Phase::Over {
            return;
        }
        let Self { plan, typing, .. } = self;
        typing.renew(plan, moment, |sender| sender.handle_over(end));
        self.phase = Phase::Over;
    }

    /// Its user comes back to whatever is there under that name now.
    pub(crate) fn rejoin(&mut self, session: &SessionPlan) {
        let number = self.plan.number + NUMBERS;
        *self = Self::new(self.client, SeatPlan { number, ..self.plan.clone() }, session);
    }

    pub(crate) fn take_progress(&mut self) -> bool {
        let is_input = std::mem::take(&mut self.typing.has_progressed);
        std::mem::take(&mut self.output.has_progressed) || is_input
    }

    /// The engine did not attach it again. Tells whether it is lost for good.
    pub(crate) fn hear_not_attached(&mut self, code: ErrorCode, moment: &mut Moment) -> bool {
        self.output.handle_expired();
        self.is_expired |= code == ErrorCode::ResumeExpired;
        match self.reception.handle_refused(code) {
            ResumeStep::AskAgain { is_new_child } => {
                let end = if is_new_child { SenderEnd::ChildEnded } else { SenderEnd::Lost };
                let Self { plan, typing, .. } = self;
                typing.renew(plan, moment, |sender| sender.handle_marks_lost(end));
                self.phase = Phase::Away;
                false
            }
            ResumeStep::GiveUp => true,
        }
    }

    /// Tells whether it is the session that it was attached to.
    pub(crate) fn hear_attached(
        &mut self,
        attached: &ArchivedAttached,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) -> bool {
        let is_first = self.phase == Phase::Asked;
        assert!(
            is_first || self.phase == Phase::AskedAgain,
            "client {}: attached unasked",
            self.client
        );
        let attachable = Attachable {
            epoch: attached.epoch.to_native(),
            output_offset: attached.output_offset.to_native(),
            is_resumed: attached.flags.to_native() & AttachFlags::RESUMED != 0,
        };
        let Some(resumed) = self.reception.handle_attached(&attachable) else {
            let is_other = engine::place(attachable.epoch) != self.place;
            let is_lost = is_other || self.is_expired || !attachable.is_resumed;
            assert!(is_lost, "client {}: its session is there, and given up", self.client);
            return false;
        };
        assert_eq!(self.epoch(), attachable.epoch, "client {}: its epoch", self.client);
        let place = engine::place(attachable.epoch);
        assert!(is_first || place == self.place, "client {}: another session", self.client);
        self.place = place;
        self.is_expired = false;
        if resumed.is_new_child {
            // The end of the child it knew will not be told.
            self.has_seen_last_exit = false;
        }
        if std::mem::take(&mut self.is_returning) {
            moment.count(Event::Return);
        }
        self.phase = Phase::Attached;
        self.size = WindowSize::from(&attached.size);
        let session = &truth.hosted[place].session;
        if moment.book.page(self.plan.session, self.client).is_shared {
            // Its twin may have had it, and let go.
            self.output.handle_expired();
        }
        self.output.hear_attached(&self.plan, attached, is_first, session, moment.now);
        let state = SessionState::from_wire(attached.state).expect("the state was checked");
        let marks = SenderMarks {
            accepted: attached.input_accepted.to_native(),
            applied: attached.input_applied.to_native(),
            unknown_to: attached.input_unknown_to.to_native(),
            window: attached.input_window.to_native(),
            is_child_up: !matches!(state, SessionState::Exited | SessionState::Waiting),
        };
        assert!(marks.applied <= marks.accepted, "client {}", self.client);
        self.typing.hear_attached(&self.plan, &marks, moment);
        true
    }

    pub(crate) fn hear_output(&mut self, output: &ArchivedOutput<'_>, truth: Truth<'_>) {
        let taken = self.reception.handle_output(output.offset.to_native(), output.bytes.len());
        self.output.hear_output(output, taken, &self.terminal(truth).printed.0);
    }

    pub(crate) fn hear_gap(&mut self, gap: &ArchivedGap, truth: Truth<'_>) {
        let missing = self.reception.handle_gap(gap.from.to_native(), gap.to.to_native());
        self.output.hear_gap(gap, missing, truth.hosted[self.place].session.log().start());
    }

    pub(crate) fn hear_started(&mut self, started: &ArchivedStarted, moment: &mut Moment) {
        let client = self.client;
        self.output.hear_start(started.offset.to_native());
        let epoch = started.epoch.to_native();
        let previous = self.exits.last().map(|epoch| engine::generation(*epoch) + 1);
        let generation = engine::generation(epoch);
        assert_eq!(previous, Some(generation), "client {client}: starts follow ends");
        let is_known = self.exits.contains(&self.epoch()) || self.may_skip_ends;
        assert!(is_known, "client {client}: a start before the end of what ran when it attached");
        self.reception.handle_started(epoch);
        let Self { plan, typing, .. } = self;
        typing.renew(plan, moment, |sender| sender.handle_started());
    }

    pub(crate) fn hear_exited(
        &mut self,
        exited: &ArchivedExited,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) {
        let client = self.client;
        let epoch = exited.epoch.to_native();
        if epoch != self.epoch() {
            moment.count(Event::TurnsDropped);
        }
        assert!(!self.exits.contains(&epoch), "client {client}: {epoch} ended twice");
        self.exits.push(epoch);
        let offset = exited.offset.to_native();
        self.output.hear_end(offset);
        let ended = self.terminal(truth).exits.iter().find(|ended| ended.epoch == epoch);
        let ended = ended.expect("only a child that ended is told to have ended");
        assert_eq!(exited.kind, ended.exit.kind.to_wire(), "client {client}");
        assert_eq!(exited.value.to_native(), ended.exit.value, "client {client}");
        let session = &truth.sessions[self.plan.session];
        let is_last_byte = offset == ended.printed;
        assert!(
            is_last_byte || session.leaves_background && offset > ended.printed,
            "client {client}: {epoch} ended at {offset}, its last byte is before {}",
            ended.printed
        );
        self.has_seen_last_exit |= engine::generation(epoch) + 1 == session.generations;
        let Self { plan, typing, .. } = self;
        typing.change(plan, moment, |sender| sender.handle_exited());
        if !self.reception.handle_exited(epoch) {
            return moment.count(Event::ExitAgain);
        }
        let is_told = self.exits_told.contains(&epoch);
        assert!(!is_told, "client {client}: the end of {epoch} is told once");
        self.exits_told.push(epoch);
    }

    pub(crate) fn hear_adjusted(&mut self, adjusted: &ArchivedAdjusted, truth: Truth<'_>) {
        if adjusted.cause == AdjustCause::Demoted.to_wire() {
            assert_ne!(
                adjusted.pause_limit_ms.to_native(),
                u32::MAX,
                "client {}: it may hold the child for ever",
                self.client
            );
        }
        let delivery = Delivery::from_wire(adjusted.delivery).expect("the delivery was checked");
        let log = truth.hosted[self.place].session.log();
        self.output.hear_adjusted(delivery, adjusted.window.to_native(), log.start());
    }

    pub(crate) fn hear_resized(&mut self, size: WindowSize) {
        self.size = size;
    }

    pub(crate) fn hear_detached(
        &mut self,
        detached: &ArchivedDetached,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) {
        let is_ephemeral = truth.sessions[self.plan.session].terms.is_ephemeral;
        let reason = DetachReason::from_wire(detached.reason).expect("the reason was checked");
        let end = match reason {
            DetachReason::Asked => {
                assert_eq!(self.phase, Phase::Leaving);
                self.is_returning = true;
                SenderEnd::Lost
            }
            DetachReason::Ended => {
                assert!(is_ephemeral && self.has_seen_last_exit, "client {}", self.client);
                SenderEnd::ChildEnded
            }
            other => panic!("client {}: detached because {other:?}", self.client),
        };
        self.output.hear_detached(detached.offset.to_native());
        let Self { plan, typing, .. } = self;
        typing.renew(plan, moment, |sender| sender.handle_over(end));
        self.phase = Phase::Ending;
    }

    /// The stream's last frame: the number is free again.
    pub(crate) fn hear_stream_done(&mut self) {
        assert_eq!(self.phase, Phase::Ending, "client {}: done before its end", self.client);
        self.handle_end_done();
    }

    fn handle_end_done(&mut self) {
        if self.is_returning {
            self.begin_anew(self.stream.is_multiple_of(2));
        } else {
            self.phase = Phase::Over;
        }
    }

    /// Nothing is under way any more: it knows all there is to know.
    pub(crate) fn check_end(&self, client_id: ClientId, truth: Truth<'_>) {
        if self.phase != Phase::Attached {
            return;
        }
        let session = &truth.hosted[self.place].session;
        assert_eq!(self.size, session.size(), "client {}: knows another size", self.client);
        if self.plan.is_typist {
            let marks = session.marks(client_id).expect("every attached client has marks");
            let applied = self.typing.sender.applied();
            assert!(
                applied == marks.applied() || self.typing.sender.unwritten() == 0,
                "client {}: its mark",
                self.client
            );
        }
    }

    fn terminal<'a>(&self, truth: Truth<'a>) -> &'a Terminal {
        &truth.terminals[self.place]
    }
}
