//! Joining a session, for the first time or again.

use tautline_protocol::{AttachTerms, DetachReason, SessionState, View};

use super::{AttachError, Attachment, AttachmentId, ClientId, Cursor, Session, input::Ledger};
use crate::{limits::LEDGERS_MAX, state::InputMarks};

impl<H> Session<H> {
    /// Joins a client to the session.
    ///
    /// The stream begins where `terms` say; a gap between there and what is held is told in the
    /// stream. Who names an epoch comes back to it: something must be kept of an attachment of that
    /// number, and its client's input marks with it. It goes on in this one.
    ///
    /// # Errors
    ///
    /// Nothing was changed then.
    pub fn attach(
        &mut self,
        client: ClientId,
        request: u64,
        terms: &AttachTerms,
        epoch_known: u64,
        handle: H,
    ) -> Result<AttachmentId, AttachError> {
        let is_known = self.marks(client).is_some();
        // Marks alone prove nothing: they may be younger than the loss, and of another attachment.
        if epoch_known != 0 && !self.keeps(client, terms.attachment, epoch_known) {
            return Err(AttachError::ResumeExpired);
        }
        // Who comes back does so through the end of that child and the start of the next.
        let past = self.past_turn(epoch_known);
        if epoch_known != 0 && epoch_known != self.epoch && past.is_none() {
            return Err(AttachError::EpochChanged { current: self.epoch });
        }
        let end = self.log.end();
        let from = match View::from_wire(terms.view) {
            Some(View::Offset) if terms.output_from != u64::MAX => terms.output_from,
            _ => end,
        };
        if from > end {
            return Err(AttachError::FutureOffset { asked: from, end });
        }
        if !is_known && self.ledgers.len() >= LEDGERS_MAX {
            self.forget_longest_away();
            if self.ledgers.len() >= LEDGERS_MAX {
                return Err(AttachError::TooManyClients { limit: LEDGERS_MAX });
            }
        }
        self.attachments_made += 1;
        let id = AttachmentId(self.attachments_made);
        let mut cursor = self.cursor_at(from);
        if let Some((turn, _)) = past {
            cursor.turns_told = turn;
        }
        let mut attachment = Attachment::new(id, client, request, terms, handle);
        attachment.start(cursor, end, self.log_size(), self.input_window);
        if let Some(kept) = self.take_away(client, terms.attachment, epoch_known != 0) {
            attachment.live_from = kept.live_from.min(end);
            attachment.sent_before = kept.cursor.output.max(kept.sent_before);
            attachment.ended = kept.ended;
        }
        if self.is_ephemeral && self.state == SessionState::Exited {
            attachment.ended.get_or_insert(DetachReason::Ended);
        }
        attachment.begins_in = past.map(|(turn, epoch)| {
            let applied = self.turn_at(turn).map_or(0, |turn| turn.applied_by(client));
            (epoch, applied)
        });
        if attachment.is_owner() {
            self.ending.handle_owner_joined();
        }
        self.attachments.push(attachment);
        if !is_known {
            self.ledgers_made += 1;
            self.ledgers.push(Ledger::new(self.ledgers_made, client));
        }
        Ok(id)
    }

    /// The epoch in which an attachment begins, and how far its client's input was accepted and
    /// applied there.
    pub fn joined(&self, id: AttachmentId) -> (u64, InputMarks) {
        let attachment = self.attachment(id);
        if let Some((epoch, applied)) = attachment.and_then(|attachment| attachment.begins_in) {
            return (epoch, InputMarks::ended_at(applied));
        }
        let marks = attachment.and_then(|attachment| self.marks(attachment.client));
        (self.epoch, marks.unwrap_or_default())
    }

    /// The end of the child of an epoch that does not run any more, by the count of such ends.
    fn past_turn(&self, epoch: u64) -> Option<(u64, u64)> {
        let at = self.turns.iter().position(|turn| turn.epoch == epoch && turn.next.is_some())?;
        Some((self.turns_dropped + at as u64, epoch))
    }

    fn log_size(&self) -> u32 {
        u32::try_from(self.log.size()).unwrap_or(u32::MAX)
    }

    /// A cursor that goes on at `from`: earlier children are history, but how the last one ended
    /// is still told if none came after it.
    fn cursor_at(&self, from: u64) -> Cursor {
        Cursor {
            output: from,
            turns_told: self.turns_done(),
            size_told: self.size_number,
            ..Cursor::default()
        }
    }
}
