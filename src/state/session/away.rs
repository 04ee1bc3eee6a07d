//! Attachments whose connection was lost: kept for a while, because their client may come back.
//!
//! What is kept is what an attachment is made of, so a lossless subscriber holds the child for as
//! long as it may in any case, whoever was kicked meanwhile is told so, and what is replay and what
//! is live stays what it was. Input marks live as long as one attachment of their client does, here
//! or in the session.

use std::time::{Duration, Instant};

use tautline_protocol::DetachReason;

use super::{Attachment, AttachmentId, ClientId, Session};
use crate::limits::OWNER_GRACE;

/// An attachment without a connection.
#[derive(Debug)]
pub(super) struct Away<H> {
    pub(super) attachment: Attachment<H>,
    /// When nobody is waited for any more.
    pub(super) until: Instant,
}

impl<H> Away<H> {
    fn is_of(&self, client: ClientId, number: u32) -> bool {
        self.attachment.client == client && self.attachment.number == number
    }
}

impl<H> Session<H> {
    /// The connection of an attachment was lost: it is kept for `grace`, unless its client had
    /// asked to leave. Returns whether there was such an attachment.
    pub fn handle_lost(&mut self, id: AttachmentId, grace: Duration, now: Instant) -> bool {
        let Some(at) = self.attachments.iter().position(|attachment| attachment.id == id) else {
            return false;
        };
        let mut attachment = self.attachments.swap_remove(at);
        let has_left =
            matches!(attachment.ended, Some(DetachReason::Asked | DetachReason::Removed));
        if !has_left && !grace.is_zero() {
            attachment.handle_lost();
            self.away.push(Away { attachment, until: now + grace });
        }
        self.forget_ledgers();
        true
    }

    /// The end of an attachment was told, and its client may not hear it: it is kept for `grace`,
    /// so that the client can come back for it, or until it is [forgotten](Self::forget).
    pub fn handle_end_told(&mut self, id: AttachmentId, grace: Duration, now: Instant) {
        self.handle_lost(id, grace, now);
        self.note_gone();
    }

    /// Whoever is away and meant is told that it was kicked when it comes back. Returns how many.
    pub fn handle_detach_away(&mut self, mut is_meant: impl FnMut(ClientId, u32) -> bool) -> u64 {
        let mut count = 0;
        for Away { attachment, .. } in &mut self.away {
            if attachment.ended.is_none() && is_meant(attachment.client, attachment.number) {
                attachment.end(DetachReason::Kicked);
                count += 1;
            }
        }
        count
    }

    /// Whether a client may come back to that epoch: it runs or ran here, as far as anybody knows,
    /// and something is kept of an attachment of that number.
    pub fn keeps(&self, client: ClientId, number: u32, epoch: u64) -> bool {
        let is_ours = self.epoch == epoch
            || self.turns_dropped > 0
            || self.turns.iter().any(|turn| turn.epoch == epoch);
        is_ours && self.away.iter().any(|away| away.is_of(client, number))
    }

    /// What is kept of that attachment, if anything is; of several the one that goes on. One whose
    /// end was told counts only for who `comes_back`: others begin anew.
    pub(super) fn take_away(
        &mut self,
        client: ClientId,
        number: u32,
        comes_back: bool,
    ) -> Option<Attachment<H>> {
        let mut kept: Option<Attachment<H>> = None;
        while let Some(at) = self.away.iter().position(|away| away.is_of(client, number)) {
            let Away { attachment, .. } = self.away.swap_remove(at);
            let is_told = attachment.cursor.is_end_told;
            if kept.as_ref().is_none_or(|_| !is_told) && (comes_back || !is_told) {
                kept = Some(attachment);
            }
        }
        kept
    }

    /// Nothing is kept of that client any more: it cannot prove who it is.
    pub fn forget_client(&mut self, client: ClientId) {
        self.away.retain(|away| away.attachment.client != client);
        self.forget_ledgers();
        self.note_gone();
    }

    /// Makes room for the marks of one more client, if somebody who is away can: whoever is that
    /// for longest and has nothing else here.
    pub(super) fn forget_longest_away(&mut self) {
        let is_only = |away: &&Away<H>| {
            let client = away.attachment.client;
            let others = self.away.iter().filter(|other| other.attachment.client == client);
            let is_present = self.attachments.iter().any(|at| at.client == client);
            let is_queued = self.marks(client).is_some_and(|marks| marks.queued() > 0);
            !is_present && !is_queued && others.count() == 1
        };
        let longest = self.away.iter().filter(is_only).min_by_key(|away| away.until);
        if let Some(id) = longest.map(|away| away.attachment.id) {
            self.forget(id);
        }
    }

    /// Gives up whoever stayed away for too long.
    pub(super) fn forget_away(&mut self, now: Instant) {
        let before = self.away.len();
        self.away.retain(|away| now < away.until);
        if self.away.len() < before {
            self.forget_ledgers();
            self.note_gone();
        }
    }

    /// When somebody who is away is given up, or holds the child no longer.
    pub(super) fn away_deadline(&self) -> Option<Instant> {
        let deadlines =
            |away: &Away<H>| away.attachment.deadline().into_iter().chain([away.until]).min();
        self.away.iter().filter_map(deadlines).min()
    }

    /// Whether a client is away that may come back.
    pub fn is_awaiting(&self) -> bool {
        !self.away.is_empty()
    }
}

impl<H> Attachment<H> {
    /// Its connection is gone: nothing is owed to it now, and it holds the child no longer than an
    /// owner may stay away.
    fn handle_lost(&mut self) {
        (self.ack_at, self.is_ack_due, self.is_ack_wanted, self.ack_wanted_to) =
            (None, false, false, 0);
        self.pause_limit = Some(self.pause_limit.map_or(OWNER_GRACE, |it| it.min(OWNER_GRACE)));
    }
}
