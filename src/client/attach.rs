//! Joining a session.

use std::{ffi::OsString, sync::Arc, time::Duration};

use tautline_protocol::{
    ArchivedAttached, ArchivedEngineMessage, Attach, AttachTerms, ControlMessage, Delivery,
    ErrorCode, Limit, OFFSET_NOW, OwnedFrame, SessionState, SizePolicy, View, WindowSize,
};
use tokio::sync::mpsc;

use super::{
    Client, EngineError, Events, Input, RequestError,
    inbox::Inbox,
    requests::{refusal_or_lost, unsent},
    session_types::env_list,
};

/// How to join a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AttachOptions {
    /// How output comes. Default: lossless.
    pub delivery: Delivery,
    /// What is shown first. Default: nothing.
    pub view: View,
    /// With view `Offset`: the first byte wanted. Default: what comes next.
    pub output_from: u64,
    /// Output the engine may send ahead of what is consumed, in bytes. Default 256 KiB.
    pub window: u32,
    /// How long this attachment may hold the child; `None` for ever. Default 2 s.
    pub pause_limit: Option<Duration>,
    /// [`AttachFlags`](tautline_protocol::AttachFlags). Default: none.
    pub flags: u32,
    /// The window's size; 0x0 leaves the session's alone, which is the default.
    pub size: WindowSize,
    /// Variables that refresh the session's environment for children started later.
    pub env: Vec<(OsString, OsString)>,
}

impl Default for AttachOptions {
    fn default() -> Self {
        Self {
            delivery: Delivery::Lossless,
            view: View::None,
            output_from: OFFSET_NOW,
            window: 256 * 1024,
            pause_limit: Some(Duration::from_secs(2)),
            flags: 0,
            size: WindowSize::default(),
            env: Vec::new(),
        }
    }
}

impl AttachOptions {
    pub(super) fn terms(&self, attachment: u32) -> AttachTerms {
        let is_silent = self.delivery == Delivery::None;
        let limit = |limit: Duration| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX - 1);
        AttachTerms {
            attachment,
            flags: self.flags,
            output_from: self.output_from,
            window: if is_silent { 0 } else { self.window },
            pause_limit_ms: self.pause_limit.map_or(u32::MAX, |time| limit(time).max(1)),
            history_lines: 0,
            delivery: self.delivery.to_wire(),
            view: self.view.to_wire(),
        }
    }
}

/// What the engine granted.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Granted {
    /// [`AttachFlags`](tautline_protocol::AttachFlags) granted.
    pub flags: u32,
    /// How output comes.
    pub delivery: Delivery,
    /// The epoch that runs, or ran last.
    pub epoch: u64,
    /// The oldest output byte the log holds.
    pub log_start: u64,
    /// The first output byte of the stream.
    pub output_offset: u64,
    /// Output the engine may send ahead of what is consumed.
    pub window: u32,
    /// Input that may be sent ahead of what was written.
    pub input_window: u32,
    /// The session's window.
    pub size: WindowSize,
    /// What the session is doing.
    pub state: SessionState,
    /// Whose size counts.
    pub size_policy: SizePolicy,
}

impl From<&ArchivedAttached> for Granted {
    fn from(attached: &ArchivedAttached) -> Self {
        Self {
            flags: attached.flags.to_native(),
            delivery: Delivery::from_wire(attached.delivery).unwrap_or(Delivery::None),
            epoch: attached.epoch.to_native(),
            log_start: attached.log_start.to_native(),
            output_offset: attached.output_offset.to_native(),
            window: attached.window.to_native(),
            input_window: attached.input_window.to_native(),
            size: WindowSize::from(&attached.size),
            state: SessionState::from_wire(attached.state).unwrap_or(SessionState::Exited),
            size_policy: SizePolicy::from_wire(attached.size_policy).unwrap_or(SizePolicy::Latest),
        }
    }
}

impl Client {
    /// Joins a session: one half types, the other tells what happens.
    ///
    /// Of several attachments of one client to one session, the first types; what the others type
    /// is refused.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` among others; nothing was changed then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait leaves no attachment behind.
    pub async fn attach(
        &self,
        name: &str,
        options: &AttachOptions,
    ) -> Result<(Input, Events), RequestError> {
        self.again(|| self.ask_to_attach(name, options)).await
    }

    async fn ask_to_attach(
        &self,
        name: &str,
        options: &AttachOptions,
    ) -> Result<(Input, Events), RequestError> {
        let pending = PendingAttachment::new(self, name, options);
        let env = env_list(&options.env);
        let attach = Attach {
            terms: options.terms(pending.inbox.number),
            epoch: 0,
            size: options.size,
            name: name.into(),
            env: env.as_slice().into(),
        };
        let request = self.handle.line.request(ControlMessage::Attach(attach)).await;
        let (_, mut replies) = request.map_err(unsent)?;
        pending.finish(&mut replies).await
    }
}

/// An attachment that was asked for; given up if it is dropped.
pub(super) struct PendingAttachment<'a> {
    client: &'a Client,
    pub(super) inbox: Arc<Inbox>,
    is_done: bool,
}

impl<'a> PendingAttachment<'a> {
    pub(super) fn new(client: &'a Client, name: &str, options: &AttachOptions) -> Self {
        let inbox = client.handle.line.new_attachment(name, options);
        Self { client, inbox, is_done: false }
    }

    /// Input offsets are counted for each client and session: of two attachments that counted
    /// alone, one would send what passes for the other's.
    fn refuse_second_typist(&self, attached: &Granted) {
        let others = self.client.handle.line.inboxes();
        let types = |other: &Arc<Inbox>| {
            other.number != self.inbox.number && other.types_in(attached.epoch)
        };
        if others.iter().any(types) {
            self.inbox.input.handle_refused(EngineError {
                code: ErrorCode::AttachmentInUse,
                class: ErrorCode::AttachmentInUse.class(),
                errno: 0,
                limit: Limit::None,
                value: 0,
                text: "another attachment of this client types into that session".into(),
            });
        }
    }

    /// Waits for `Attached`.
    pub(super) async fn finish(
        mut self,
        replies: &mut mpsc::Receiver<OwnedFrame>,
    ) -> Result<(Input, Events), RequestError> {
        let line = &self.client.handle.line;
        let frame = replies.recv().await.ok_or_else(|| refusal_or_lost(line, None))?;
        let attached = match frame.frame().engine() {
            Ok(ArchivedEngineMessage::Attached(attached)) => Granted::from(attached.get()),
            other => return Err(refusal_or_lost(line, other.ok())),
        };
        self.is_done = true;
        self.refuse_second_typist(&attached);
        let handle = Arc::clone(&self.client.handle);
        let inbox = Arc::clone(&self.inbox);
        let input = Input::new(Arc::clone(&handle), Arc::clone(&inbox));
        let number = inbox.number;
        Ok((input, Events::new(handle, inbox, number, attached)))
    }
}

impl Drop for PendingAttachment<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let line = &self.client.handle.line;
            let detach = tautline_protocol::Detach { attachment: self.inbox.number };
            // If it cannot be sent, the connection is ending anyway.
            line.tell(ControlMessage::Detach(detach)).ok();
            line.forget_attachment(self.inbox.number);
        }
    }
}
