//! What came for one attachment and was not asked for yet, and how the attachment goes on when the
//! connection was lost.

mod again;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tautline_protocol::{
    ArchivedAdjusted, ArchivedAttached, ArchivedEngineMessage, ArchivedErrorReply, ArchivedOutput,
    AttachFlags, Delivery, DetachReason, OutputFlags, SessionState, WindowSize,
};
use tokio::sync::Notify;

use super::{
    attach::AttachOptions,
    batch::{Batch, event_of},
    error::{EngineError, LineEnd},
    events::{Event, Item},
    input::InputState,
    reconnect::GiveUpReason,
};
use crate::state::{Attachable, Reception, SenderEnd, SenderMarks};
use again::Naming;

/// Where an attachment's messages go.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) number: u32,
    state: Mutex<InboxState>,
    came: Notify,
    pub(super) input: InputState,
    /// Output before this is used up.
    consumed: AtomicU64,
    /// The connection's: something was newly consumed or written.
    progress: Arc<AtomicBool>,
}

#[derive(Debug)]
struct InboxState {
    batch: Batch,
    end: Option<LineEnd>,
    phase: Phase,
    reception: Reception,
    name: String,
    naming: Naming,
    options: AttachOptions,
    /// `Detach` was sent.
    is_leaving: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// `Attach` was sent by somebody who waits for the answer.
    Asked,
    Attached,
    /// The connection was lost, or `Attach` was sent again.
    Away,
    Over,
}

/// What is to be done about a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Handled {
    /// It is not for the inbox.
    No,
    Yes,
    /// It let input go on.
    Send,
    /// The attachment is made again.
    Resume,
    /// The attachment is to be asked for again.
    Ask,
    /// The session may have another name now.
    AskForName,
    /// The attachment is lost for good: the engine is to forget it.
    Leave,
}

impl Inbox {
    pub(super) fn new(
        number: u32,
        name: String,
        options: AttachOptions,
        progress: Arc<AtomicBool>,
    ) -> Self {
        let state = InboxState {
            batch: Batch::default(),
            end: None,
            phase: Phase::Asked,
            reception: Reception::default(),
            name,
            naming: Naming::Known,
            options,
            is_leaving: false,
        };
        Self {
            number,
            state: Mutex::new(state),
            came: Notify::new(),
            input: InputState::default(),
            consumed: AtomicU64::new(0),
            progress,
        }
    }

    /// The engine named the session.
    pub(super) fn set_name(&self, name: &str) {
        self.state.lock().name = name.into();
    }

    /// The size is told again when the attachment is made again.
    pub(super) fn set_size(&self, size: WindowSize) {
        self.state.lock().options.size = size;
    }

    pub(super) async fn came(&self) {
        self.came.notified().await;
    }

    /// Exchanges what came for an empty batch; tells whether nothing more will come, and why.
    pub(super) fn swap(&self, batch: &mut Batch) -> Option<LineEnd> {
        let mut state = self.state.lock();
        state.batch.swap(batch);
        state.end
    }

    /// Output before `end` is used up.
    pub(super) fn handle_consumed(&self, end: u64) {
        self.consumed.store(end, Ordering::Relaxed);
        self.progress.store(true, Ordering::Relaxed);
    }

    /// Output before this is used up.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Whether input typed here goes into that epoch.
    pub(super) fn types_in(&self, epoch: u64) -> bool {
        let state = self.state.lock();
        let may_type = state.options.flags & AttachFlags::READ_ONLY == 0;
        may_type && state.phase != Phase::Over && state.reception.epoch() == epoch
    }

    /// Whether the engine knows the attachment on the connection there is.
    pub(super) fn is_attached(&self) -> bool {
        self.state.lock().phase == Phase::Attached
    }

    /// Takes a message of the attachment; `id` is that of the request it answers, if any.
    pub(super) fn handle(&self, id: u64, message: &ArchivedEngineMessage<'static>) -> Handled {
        match message {
            ArchivedEngineMessage::Output(output) => self.handle_output(output.get()),
            ArchivedEngineMessage::InputApplied(applied) => {
                self.handle_applied(applied.get().applied.to_native());
            }
            ArchivedEngineMessage::Attached(attached) => {
                return self.handle_attached(attached.get());
            }
            ArchivedEngineMessage::Error(error) => return self.handle_error(id, error.get()),
            ArchivedEngineMessage::Status(status) => self.handle_status(status.get()),
            ArchivedEngineMessage::Done(_) => return self.handle_names_told(),
            message => {
                let Some(event) = event_of(message) else { return Handled::No };
                return self.handle_event(event, message);
            }
        }
        Handled::Yes
    }

    /// Nothing more comes.
    pub(super) fn handle_end(&self, end: LineEnd, reason: Option<GiveUpReason>) {
        let leftover = self.input.handle_given_up(reason);
        let mut state = self.state.lock();
        if state.phase == Phase::Over {
            return;
        }
        if state.phase != Phase::Asked {
            state.batch.tell_given_up(leftover, reason);
        }
        state.phase = Phase::Over;
        state.end = Some(end);
        drop(state);
        self.came.notify_one();
    }

    /// The events were dropped: nobody hears any more how far input came.
    pub(super) fn handle_left(&self) {
        self.state.lock().phase = Phase::Over;
        self.input.handle_over(SenderEnd::Lost);
    }

    fn handle_applied(&self, applied: u64) {
        if self.input.handle_applied(applied) {
            self.progress.store(true, Ordering::Relaxed);
        }
    }

    fn handle_output(&self, output: &ArchivedOutput<'static>) {
        self.handle_applied(output.input_applied.to_native());
        let offset = output.offset.to_native();
        let mut state = self.state.lock();
        let taken = state.reception.handle_output(offset, output.bytes.len());
        let batch = &mut state.batch;
        if let Some(missing) = taken.missing {
            batch.push(Event::Gap { from: missing.start, to: missing.end });
        }
        let bytes = &output.bytes[taken.skip..];
        if bytes.is_empty() {
            return;
        }
        let start = batch.keep(bytes);
        batch.items.push(Item::Output {
            offset: offset + taken.skip as u64,
            start,
            len: bytes.len(),
            is_replay: output.flags.to_native() & OutputFlags::REPLAY != 0,
        });
        drop(state);
        self.came.notify_one();
    }

    fn handle_attached(&self, attached: &ArchivedAttached) -> Handled {
        let mut state = self.state.lock();
        let is_first = state.phase == Phase::Asked;
        if !is_first && state.phase != Phase::Away {
            return Handled::No;
        }
        let attachable = Attachable {
            epoch: attached.epoch.to_native(),
            output_offset: attached.output_offset.to_native(),
            is_resumed: attached.flags.to_native() & AttachFlags::RESUMED != 0,
        };
        let Some(resumed) = state.reception.handle_attached(&attachable) else {
            drop(state);
            self.give_up(GiveUpReason::SessionGone);
            return Handled::Leave;
        };
        let marks = SenderMarks {
            accepted: attached.input_accepted.to_native(),
            applied: attached.input_applied.to_native(),
            unknown_to: attached.input_unknown_to.to_native(),
            window: attached.input_window.to_native(),
            is_child_up: !matches!(
                SessionState::from_wire(attached.state),
                Some(SessionState::Exited | SessionState::Waiting)
            ),
        };
        if self.input.handle_applied(marks.applied) {
            self.progress.store(true, Ordering::Relaxed);
        }
        let (replayed_input, leftover) = self.input.handle_attached(&marks);
        state.phase = Phase::Attached;
        state.naming = Naming::Known;
        if is_first {
            self.consumed.store(attachable.output_offset, Ordering::Relaxed);
            return Handled::No;
        }
        let log_start = attached.log_start.to_native();
        let gap = match state.options.delivery {
            Delivery::None => 0,
            _ => log_start.saturating_sub(state.reception.received()),
        };
        state.batch.tell_leftover(leftover);
        let is_new_child = resumed.is_new_child;
        state.batch.tell_connectivity(Event::Resumed { gap, replayed_input, is_new_child });
        drop(state);
        self.came.notify_one();
        Handled::Resume
    }

    /// Input was refused, or to attach again was.
    fn handle_error(&self, id: u64, error: &ArchivedErrorReply<'static>) -> Handled {
        let info = EngineError::from(error);
        let mut state = self.state.lock();
        match state.phase {
            Phase::Attached => {
                let leftover = self.input.handle_refused(info);
                state.batch.tell_leftover(leftover);
                drop(state);
                self.came.notify_one();
                Handled::Send
            }
            // About a frame that was sent before we were attached again.
            Phase::Away if id == 0 => Handled::Yes,
            Phase::Away => {
                drop(state);
                self.handle_not_attached(info.code)
            }
            Phase::Asked | Phase::Over => Handled::No,
        }
    }

    fn give_up(&self, reason: GiveUpReason) {
        self.handle_end(LineEnd::GaveUp(reason), Some(reason));
    }

    fn handle_event(
        &self,
        event: Event<'static>,
        message: &ArchivedEngineMessage<'static>,
    ) -> Handled {
        let mut state = self.state.lock();
        let InboxState { batch, reception, options, phase, .. } = &mut *state;
        let mut event = event;
        match message {
            ArchivedEngineMessage::Gap(gap) => {
                let gap = gap.get();
                match reception.handle_gap(gap.from.to_native(), gap.to.to_native()) {
                    Some(missing) => event = Event::Gap { from: missing.start, to: missing.end },
                    None => return Handled::Yes,
                }
            }
            ArchivedEngineMessage::Exited(exited) => {
                batch.tell_leftover(self.input.handle_exited());
                if !reception.handle_exited(exited.get().epoch.to_native()) {
                    return Handled::Yes;
                }
            }
            ArchivedEngineMessage::Started(started) => {
                reception.handle_started(started.get().epoch.to_native());
                batch.tell_leftover(self.input.handle_started());
            }
            ArchivedEngineMessage::Adjusted(adjusted) => take_terms(options, adjusted.get()),
            ArchivedEngineMessage::Detached(_) => {
                let ended = Event::Detached { reason: DetachReason::Ended };
                let end = if event == ended { SenderEnd::ChildEnded } else { SenderEnd::Lost };
                batch.tell_leftover(self.input.handle_over(end));
                *phase = Phase::Over;
            }
            _ => {}
        }
        batch.push(event);
        drop(state);
        self.came.notify_one();
        Handled::Yes
    }
}

/// The terms that hold when the attachment is made again.
fn take_terms(options: &mut AttachOptions, adjusted: &ArchivedAdjusted) {
    if let Some(delivery) = Delivery::from_wire(adjusted.delivery) {
        options.delivery = delivery;
    }
    options.window = adjusted.window.to_native();
    let kept = options.flags & (AttachFlags::DETACH_OTHERS | AttachFlags::TAKE_OVER);
    options.flags = adjusted.flags.to_native() & !AttachFlags::RESUMED | kept;
}
