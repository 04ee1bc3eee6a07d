//! The items of an attachment's stream.

use tautline::{
    protocol::{
        AdjustCause, ArchivedAdjusted, ArchivedDetached, ArchivedExited, ArchivedGap,
        ArchivedOutput, ArchivedStarted, Delivery, DetachReason, WindowSize,
    },
    state::SenderEnd,
};

use super::{Phase, Seat};
use crate::{census::Event, client::Truth, engine, moment::Moment, terminal::Terminal};

impl Seat {
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
            DetachReason::Kicked => {
                moment.count(Event::Kicked);
                SenderEnd::Lost
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

    pub(super) fn handle_end_done(&mut self) {
        if self.is_returning {
            self.begin_anew(self.stream.is_multiple_of(2));
        } else {
            self.phase = Phase::Over;
        }
    }

    fn terminal<'a>(&self, truth: Truth<'a>) -> &'a Terminal {
        &truth.terminals[self.place]
    }
}
