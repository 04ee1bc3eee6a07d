//! Clients leave sessions, or lose them with their connection.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use smallvec::SmallVec;
use tautline_protocol::DetachReason;

use super::{client_handle::ClientHandle, session_host::SessionHost};
use crate::state::{Attachment, AttachmentId, ClientId, Session};

impl SessionHost {
    /// A client left, or the end of its attachment was told.
    pub(super) fn leave(&self, id: AttachmentId) {
        self.change_attachments(|session| {
            session.forget(id);
        });
    }

    /// The connection of an attachment was lost; its client may come back for `grace`.
    pub(super) fn lose(&self, id: AttachmentId, grace: Duration) {
        self.change_attachments(|session| {
            session.handle_lost(id, grace, Instant::now());
        });
    }

    /// The same for all attachments of the connection of that number.
    pub(super) fn lose_connection(&self, number: u64, grace: Duration) {
        self.change_attachments(|session| {
            let lost = session.attachments().iter().filter(|at| at.handle().number == number);
            let lost: SmallVec<[_; 4]> = lost.map(Attachment::id).collect();
            for id in lost {
                session.handle_lost(id, grace, Instant::now());
            }
        });
    }

    /// The end of an attachment was told; until its client is known to have heard it, it may come
    /// back for it.
    pub(super) fn keep_told(&self, id: AttachmentId, grace: Duration) {
        self.change_attachments(|session| session.handle_end_told(id, grace, Instant::now()));
    }

    /// Nothing of that client is kept any more.
    pub(super) fn forget_client(&self, client: ClientId) {
        self.change_attachments(|session| session.forget_client(client));
    }

    /// Whether the end of an attachment, which was told, matters to its client so much that it is
    /// kept until we know that it was heard.
    pub(super) fn is_end_to_prove(&self, id: AttachmentId) -> bool {
        let core = self.lock();
        let ended = core.session.attachment(id).and_then(Attachment::ended);
        matches!(ended, Some(DetachReason::Ended | DetachReason::Kicked | DetachReason::TakenOver))
    }

    /// Somebody leaves: sizes are looked at anew, and a session that belongs to a client who stays
    /// away is hung up.
    fn change_attachments(&self, change: impl FnOnce(&mut Session<Arc<ClientHandle>>)) {
        let mut core = self.lock();
        let was_owned = core.session.is_owned();
        change(&mut core.session);
        if was_owned && !core.session.is_owned() {
            core.session.handle_owner_left(Instant::now());
        }
        let size = core.session.handle_sizes_changed();
        if let Some(size) = size {
            core.resize(size);
            core.wake_all();
        }
        drop(core);
        // Who held the child holds it no more, and the session may be finished with.
        self.reading.notify_one();
        self.timing.notify_one();
    }
}
