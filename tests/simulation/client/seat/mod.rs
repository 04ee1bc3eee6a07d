//! One attachment as its client's library and user see it, over losing the connection and coming
//! back, or leaving and joining anew.

mod stream;

use std::time::Instant;

use tautline::{
    protocol::{ArchivedAttached, AttachFlags, ErrorCode, SessionState, WindowSize},
    state::{Attachable, ClientId, Reception, ResumeStep, SenderEnd, SenderMarks, TURNS_MAX},
};

use super::{Truth, output::OutputSide, typing::Typing};
use crate::{census::Event, engine, moment::Moment, scenario::SeatPlan, scenario::SessionPlan};

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

    pub(crate) fn is_new(&self) -> bool {
        self.phase == Phase::New
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
}
