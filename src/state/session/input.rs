//! The ledgers of a session: how far each client's input came in the epoch that runs.

use std::time::Instant;

use super::{Attachment, AttachmentId, ClientId, Session};
use crate::state::{InputMarks, InputVerdict};

/// Under which number the writing of input is reported: one client in one epoch.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LedgerId(u64);

#[cfg(test)]
impl LedgerId {
    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Ledger {
    pub(super) id: LedgerId,
    pub(super) client: ClientId,
    pub(super) marks: InputMarks,
}

impl Ledger {
    pub(super) fn new(number: u64, client: ClientId) -> Self {
        Self { id: LedgerId(number), client, marks: InputMarks::default() }
    }
}

impl<H> Session<H> {
    /// An attachment typed `len` bytes at `offset`: which of them are to be written, and under
    /// which number their writing is reported. `None` if the attachment is forgotten.
    ///
    /// `turn` says for which child it was meant, counted in `Started` told on the attachment.
    pub fn handle_input(
        &mut self,
        id: AttachmentId,
        turn: u16,
        offset: u64,
        len: usize,
    ) -> Option<(InputVerdict, LedgerId)> {
        let is_stale = self.is_input_stale(id, turn, offset);
        let attachment = self.attachments.iter_mut().find(|attachment| attachment.id == id)?;
        let (client, window) = (attachment.client, u64::from(attachment.input_window));
        let ledger = self.ledgers.iter_mut().find(|ledger| ledger.client == client)?;
        if is_stale {
            return Some((InputVerdict::Stale, ledger.id));
        }
        attachment.is_refusing = false;
        attachment.note_input(offset.saturating_add(len as u64));
        Some((ledger.marks.handle_input(offset, len, window), ledger.id))
    }

    /// Whether input was sent before its sender knew better, and is to be dropped without a word:
    /// for a child that was replaced, or behind bytes that were refused.
    pub fn is_input_stale(&self, id: AttachmentId, turn: u16, offset: u64) -> bool {
        let Some(attachment) = self.attachment(id) else { return true };
        let accepted = self.marks(attachment.client).map_or(0, |marks| marks.accepted());
        turn != attachment.turn(self.turns_done(), self.turns_dropped)
            || (attachment.is_refusing && (offset > accepted || attachment.is_line_full_untold()))
    }

    /// An attachment's input was refused and it is told so: what it sent meanwhile is no fault.
    pub fn handle_input_refused(&mut self, id: AttachmentId) {
        if let Some(attachment) = self.attachment_mut(id) {
            attachment.is_refusing = true;
        }
    }

    /// The next byte of a ledger's input does not fit the line that its terminal puts together:
    /// what of that input is not written will not be, and its client is told where to go on.
    ///
    /// The ledger gets another number: what is still on its way under the old one
    /// [is to be dropped](Self::is_ledger_known).
    pub fn handle_line_full(&mut self, ledger: LedgerId) {
        let Some(ledger) = self.ledgers.iter_mut().find(|known| known.id == ledger) else {
            return;
        };
        self.ledgers_made += 1;
        ledger.id = LedgerId(self.ledgers_made);
        ledger.marks.handle_refused();
        let client = ledger.client;
        for attachment in &mut self.attachments {
            if attachment.client == client {
                attachment.note_line_full();
            }
        }
        self.forget_ledgers();
    }

    /// Whether input under that number is still wanted.
    pub fn is_ledger_known(&self, ledger: LedgerId) -> bool {
        self.ledgers.iter().any(|known| known.id == ledger)
    }

    /// `count` bytes of a ledger's input were written to the PTY.
    ///
    /// A ledger that is gone is ignored: its client left, or its child was replaced.
    pub fn handle_applied(&mut self, ledger: LedgerId, count: u64, now: Instant) {
        let Some(ledger) = self.ledgers.iter_mut().find(|known| known.id == ledger) else {
            return;
        };
        ledger.marks.handle_applied(count);
        let client = ledger.client;
        self.input_applied += count;
        self.forget_ledgers();
        for attachment in &mut self.attachments {
            if attachment.client == client {
                attachment.note_applied(now);
            }
        }
    }

    /// Forgets whose clients have left, once nothing of theirs is queued: until then it counts
    /// against the window of whoever comes back. What is queued goes with its child.
    pub(super) fn forget_ledgers(&mut self) {
        let is_live = self.is_live();
        let Self { attachments, away, ledgers, .. } = self;
        ledgers.retain(|ledger| {
            let away = away.iter().map(|away| &away.attachment);
            let is_kept = attachments.iter().chain(away).any(|at| at.client == ledger.client);
            is_kept || (is_live && ledger.marks.queued() > 0)
        });
    }

    /// The marks of a client that is attached, or away and awaited.
    pub fn marks(&self, client: ClientId) -> Option<InputMarks> {
        self.ledgers.iter().find_map(|ledger| (ledger.client == client).then_some(ledger.marks))
    }

    pub(super) fn applied_of(&self, attachment: &Attachment<H>) -> u64 {
        self.marks(attachment.client).map_or(0, |marks| marks.applied())
    }
}
