//! One attachment as its client sees it, over detaching, losing the connection and coming back.

use tautline::{
    protocol::{
        AdjustCause, ArchivedAdjusted, ArchivedAttached, ArchivedDetached, ArchivedExited,
        ArchivedStarted, Delivery, DetachReason, SessionState, WindowSize,
    },
    state::ClientId,
};

use super::{Truth, input::InputSide, output::OutputSide};
use crate::{census::Event, engine, moment::Moment, scenario::SeatPlan};

#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) client: usize,
    pub(crate) plan: SeatPlan,
    phase: Phase,
    /// The request whose stream it is.
    pub(crate) stream: u64,
    /// The epoch whose input is counted; 0 before the first `Attached`.
    pub(crate) epoch: u64,
    is_epoch_in_doubt: bool,
    /// Epochs whose end this stream told.
    exits: Vec<u64>,
    has_seen_last_exit: bool,
    /// What the next `Attached` means.
    comes_back: Option<Event>,
    size: WindowSize,
    pub(crate) input: InputSide,
    pub(crate) output: OutputSide,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Not attached, and wants to be unless it has seen everything.
    Away,
    /// `Attach` is on its way.
    Asked,
    Attached,
    /// `Detach` is on its way.
    Leaving,
    /// `Detached` was heard, `Done` was not.
    Ending,
    /// The session is forgotten.
    Over,
}

impl Seat {
    pub(crate) fn new(client: usize, plan: SeatPlan) -> Self {
        Self {
            client,
            phase: Phase::Away,
            stream: 0,
            epoch: 0,
            is_epoch_in_doubt: false,
            exits: Vec::new(),
            has_seen_last_exit: false,
            comes_back: None,
            size: WindowSize::default(),
            input: InputSide::default(),
            output: OutputSide::new(client, &plan),
            plan,
        }
    }

    pub(crate) fn is_away(&self) -> bool {
        self.phase == Phase::Away && !self.has_seen_last_exit
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.phase == Phase::Attached
    }

    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving | Phase::Ending)
    }

    /// Whether frames for it may still be on their way from before its end.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ending | Phase::Away | Phase::Over)
    }

    pub(crate) fn has_seen_end(&self, truth: Truth<'_>) -> bool {
        let is_ephemeral = truth.sessions[self.plan.session].terms.is_ephemeral;
        match self.phase {
            Phase::Over => true,
            Phase::Attached => self.has_seen_last_exit && !is_ephemeral,
            Phase::Away => self.has_seen_last_exit,
            _ => false,
        }
    }

    /// The epoch to name when attaching: the one it knows, or any.
    pub(crate) fn epoch_to_name(&self, moment: &mut Moment) -> u64 {
        if self.is_epoch_in_doubt || moment.random.chance(50) { 0 } else { self.epoch }
    }

    pub(crate) fn handle_asked(&mut self, stream: u64) {
        self.phase = Phase::Asked;
        self.stream = stream;
        self.exits.clear();
    }

    pub(crate) fn handle_leaving(&mut self) {
        self.phase = Phase::Leaving;
        self.comes_back = Some(Event::Return);
    }

    pub(crate) fn handle_lost(&mut self) {
        let was_attached = self.phase == Phase::Attached;
        if was_attached {
            self.comes_back = Some(Event::Resume);
        }
        if self.phase != Phase::Over {
            self.phase = Phase::Away;
        }
        self.input.handle_lost();
        self.output.handle_lost(was_attached);
    }

    pub(crate) fn take_progress(&mut self) -> bool {
        let is_input = std::mem::take(&mut self.input.has_progressed);
        std::mem::take(&mut self.output.has_progressed) || is_input
    }

    /// The attachment was refused because another child runs.
    pub(crate) fn hear_epoch_changed(&mut self) {
        assert_eq!(self.phase, Phase::Asked);
        assert_ne!(self.epoch, 0, "client {}: any epoch is right", self.client);
        self.is_epoch_in_doubt = true;
        self.phase = Phase::Away;
    }

    /// The attachment was refused because the session is gone.
    pub(crate) fn hear_no_session(&mut self, truth: Truth<'_>) {
        let plan = &truth.sessions[self.plan.session];
        assert!(plan.terms.is_ephemeral, "client {}: where is the session?", self.client);
        assert!(!truth.terminals[self.plan.session].is_alive());
        self.phase = Phase::Over;
    }

    pub(crate) fn hear_attached(
        &mut self,
        attached: &ArchivedAttached,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) {
        assert_eq!(self.phase, Phase::Asked, "client {}: attached unasked", self.client);
        self.phase = Phase::Attached;
        self.is_epoch_in_doubt = false;
        if let Some(event) = self.comes_back.take() {
            moment.count(event);
        }
        self.size = WindowSize::from(&attached.size);
        self.output.hear_attached(&self.plan, attached, truth);
        let epoch = attached.epoch.to_native();
        let state = SessionState::from_wire(attached.state).expect("the state was checked");
        // Its end may have been told on the connection that was lost: then the marks are gone.
        let is_ephemeral = truth.sessions[self.plan.session].terms.is_ephemeral;
        self.input.is_detached |= is_ephemeral && state == SessionState::Exited;
        if self.plan.is_typist {
            let is_same = epoch == self.epoch;
            let written = truth.terminals[self.plan.session].written[self.client];
            self.input.hear_attached(self.client, &self.plan, attached, is_same, written, moment);
        }
        self.epoch = epoch;
        self.input.is_child_up = state == SessionState::Running;
    }

    pub(crate) fn hear_started(
        &mut self,
        started: &ArchivedStarted,
        truth: Truth<'_>,
        moment: &mut Moment,
    ) {
        let (client, session) = (self.client, self.plan.session);
        self.output.hear_start(started.offset.to_native());
        let epoch = started.epoch.to_native();
        let previous = self.exits.last().map(|epoch| engine::generation(*epoch) + 1);
        assert_eq!(
            previous,
            Some(engine::generation(epoch)),
            "client {client}: starts follow ends"
        );
        let is_known = self.exits.contains(&self.epoch) || self.output.may_skip_ends();
        assert!(is_known, "client {client}: a start before the end of what ran when it attached");
        self.epoch = epoch;
        self.input.hear_started(truth.terminals[session].written[client]);
        if self.plan.is_typist {
            moment.frames.rewind(session, client, self.input.end());
        }
    }

    pub(crate) fn hear_exited(&mut self, exited: &ArchivedExited, truth: Truth<'_>) {
        let (client, session) = (self.client, self.plan.session);
        let epoch = exited.epoch.to_native();
        assert!(!self.exits.contains(&epoch), "client {client}: {epoch} ended twice");
        self.exits.push(epoch);
        let offset = exited.offset.to_native();
        self.output.hear_end(offset);
        let ended = truth.terminals[session].exits.iter().find(|ended| ended.epoch == epoch);
        let ended = ended.expect("only a child that ended is told to have ended");
        assert_eq!(exited.kind, ended.exit.kind.to_wire(), "client {client}");
        assert_eq!(exited.value.to_native(), ended.exit.value, "client {client}");
        let plan = &truth.sessions[session];
        let is_last_byte = offset == ended.printed;
        assert!(
            is_last_byte || plan.leaves_background && offset > ended.printed,
            "client {client}: {epoch} ended at {offset}, its last byte is before {}",
            ended.printed
        );
        if epoch == self.epoch {
            if self.plan.is_typist {
                let written =
                    truth.terminals[session].written_by(engine::generation(epoch), client);
                self.input.check_last_applied(client, written);
            }
            self.input.is_child_up = false;
        }
        self.has_seen_last_exit |= engine::generation(epoch) + 1 == plan.generations;
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
        let log = truth.hosted[self.plan.session].session.log();
        self.output.hear_adjusted(delivery, adjusted.window.to_native(), log.start());
    }

    pub(crate) fn hear_resized(&mut self, size: WindowSize) {
        self.size = size;
    }

    pub(crate) fn hear_detached(&mut self, detached: &ArchivedDetached, truth: Truth<'_>) {
        let is_ephemeral = truth.sessions[self.plan.session].terms.is_ephemeral;
        let reason = DetachReason::from_wire(detached.reason).expect("the reason was checked");
        match reason {
            DetachReason::Asked => assert_eq!(self.phase, Phase::Leaving),
            DetachReason::Ended => {
                assert!(is_ephemeral && self.has_seen_last_exit, "client {}", self.client);
            }
            other => panic!("client {}: detached because {other:?}", self.client),
        }
        self.output.hear_detached(detached.offset.to_native());
        self.input.is_detached = true;
        self.phase = Phase::Ending;
    }

    /// The stream's last frame: the number is free again.
    pub(crate) fn hear_stream_done(&mut self) {
        assert_eq!(self.phase, Phase::Ending, "client {}: done before its end", self.client);
        self.phase = Phase::Away;
    }

    /// Nothing is under way any more: it knows all there is to know.
    pub(crate) fn check_end(&self, client_id: ClientId, truth: Truth<'_>) {
        if self.phase != Phase::Attached {
            return;
        }
        let session = &truth.hosted[self.plan.session].session;
        assert_eq!(self.size, session.size(), "client {}: knows another size", self.client);
        if self.plan.is_typist {
            let marks = session.marks(client_id).expect("every attached client has marks");
            assert_eq!(self.input.applied(), marks.applied(), "client {}: its mark", self.client);
        }
    }
}
