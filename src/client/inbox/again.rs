//! How an attachment goes on after its connection was lost.

use std::{sync::atomic::Ordering, time::Duration};

use tautline_protocol::{
    ArchivedStatus, AttachFlags, AttachTerms, CloseReason, Delivery, DetachReason, ErrorCode, View,
    WindowSize,
};

use super::{Event, GiveUpReason, Handled, Inbox, Item, Phase};
use crate::state::{ResumeStep, SenderEnd};

/// What we know of the session's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Naming {
    Known,
    /// There is no session of that name any more, and all were asked for.
    Asked,
    /// It has another name now.
    Found,
}

/// How to ask for an attachment again.
#[derive(Clone, Debug)]
pub(in crate::client) struct Ask {
    pub(in crate::client) terms: AttachTerms,
    pub(in crate::client) epoch: u64,
    pub(in crate::client) size: WindowSize,
    pub(in crate::client) name: String,
}

impl Inbox {
    /// The connection was lost, for a reason the engine gave or none, and will be made again.
    pub(in crate::client) fn handle_lost(&self, reason: Option<CloseReason>) {
        let mut state = self.state.lock();
        if state.phase != Phase::Attached && state.phase != Phase::Away {
            return;
        }
        if state.is_leaving {
            // Whether or not the engine heard it: it is not asked for again.
            drop(state);
            return self.handle_detached_away();
        }
        let was_attached = std::mem::replace(&mut state.phase, Phase::Away) == Phase::Attached;
        state.reception.handle_lost();
        state.naming = Naming::Known;
        if was_attached {
            state.batch.tell_disconnected(reason);
        }
        drop(state);
        self.input.handle_lost();
        self.came.notify_one();
    }

    /// The next attempt is waited for.
    pub(in crate::client) fn handle_waiting(&self, attempt: u32, next_in: Duration) {
        let mut state = self.state.lock();
        if state.phase == Phase::Away {
            state.batch.tell_connectivity(Event::Reconnecting { attempt, next_in });
            drop(state);
            self.came.notify_one();
        }
    }

    /// How to ask for the attachment again; `None` if it is not to be.
    pub(in crate::client) fn ask(&self) -> Option<Ask> {
        let state = self.state.lock();
        if state.phase != Phase::Away {
            return None;
        }
        let mut terms = state.options.terms(self.number);
        terms.flags &= !(AttachFlags::DETACH_OTHERS | AttachFlags::TAKE_OVER);
        if state.options.delivery == Delivery::None {
            terms.view = View::None.to_wire();
        } else {
            terms.view = View::Offset.to_wire();
            let consumed = self.consumed.load(Ordering::Relaxed);
            terms.output_from = state.reception.output_from(consumed);
        }
        Some(Ask {
            terms,
            epoch: state.reception.epoch_to_name(),
            size: state.options.size,
            name: state.name.clone(),
        })
    }

    /// We leave, and the engine is about to hear of it.
    pub(in crate::client) fn handle_leaving(&self) {
        self.state.lock().is_leaving = true;
    }

    /// We leave while there is no connection: nobody else will say that we left.
    pub(in crate::client) fn handle_detached_away(&self) {
        let leftover = self.input.handle_over(SenderEnd::Lost);
        let mut state = self.state.lock();
        if state.phase == Phase::Over {
            return;
        }
        state.phase = Phase::Over;
        state.batch.tell_leftover(leftover);
        let detached = Event::Detached { reason: DetachReason::Asked };
        state.batch.items.push(Item::Other(detached));
        drop(state);
        self.came.notify_one();
    }

    /// The engine did not attach us again.
    pub(super) fn handle_not_attached(&self, code: ErrorCode) -> Handled {
        let mut state = self.state.lock();
        match state.reception.handle_refused(code) {
            ResumeStep::AskAgain { is_new_child } => {
                let end = if is_new_child { SenderEnd::ChildEnded } else { SenderEnd::Lost };
                let leftover = self.input.handle_marks_lost(end);
                state.batch.tell_leftover(leftover);
                return Handled::Ask;
            }
            ResumeStep::GiveUp
                if code == ErrorCode::NoSuchSession && state.naming == Naming::Known =>
            {
                state.naming = Naming::Asked;
                return Handled::AskForName;
            }
            ResumeStep::GiveUp => {}
        }
        drop(state);
        self.give_up(match code {
            ErrorCode::NoSuchSession | ErrorCode::InvalidOffset => GiveUpReason::SessionGone,
            code => GiveUpReason::AttachRefused(code),
        });
        Handled::Leave
    }

    /// One of all sessions is described: it is ours if its child is.
    pub(super) fn handle_status(&self, status: &ArchivedStatus<'static>) {
        let mut state = self.state.lock();
        if state.naming == Naming::Asked && status.epoch.to_native() == state.reception.epoch() {
            state.name = String::from_utf8_lossy(&status.name).into_owned();
            state.naming = Naming::Found;
        }
    }

    pub(super) fn handle_names_told(&self) -> Handled {
        let mut state = self.state.lock();
        match state.naming {
            Naming::Found => Handled::Ask,
            Naming::Asked => {
                state.naming = Naming::Known;
                drop(state);
                self.give_up(GiveUpReason::SessionGone);
                Handled::Yes
            }
            // The end of the stream.
            Naming::Known => Handled::No,
        }
    }
}
