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

    /// Everybody who is away is not waited for any more: others are to have the session alone.
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

    /// What is kept of that attachment, if anything is.
    pub(super) fn take_away(&mut self, client: ClientId, number: u32) -> Option<Attachment<H>> {
        let is_it =
            |away: &Away<H>| away.attachment.client == client && away.attachment.number == number;
        let at = self.away.iter().position(is_it)?;
        Some(self.away.swap_remove(at).attachment)
    }

    /// Makes room for the marks of one more client: whoever is away longest is given up.
    pub(super) fn forget_longest_away(&mut self) {
        let away = self.away.iter().enumerate();
        if let Some((at, _)) = away.min_by_key(|(_, away)| away.until) {
            self.away.swap_remove(at);
            self.forget_ledgers();
        }
    }

    /// Gives up whoever stayed away for too long.
    pub(super) fn forget_away(&mut self, now: Instant) {
        let before = self.away.len();
        self.away.retain(|away| now < away.until);
        if self.away.len() < before {
            self.forget_ledgers();
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
