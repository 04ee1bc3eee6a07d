//! What everyone on one line shares, over all its connections: who waits for what.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tautline_protocol::{
    Attach, ControlMessage, Disconnect, EngineHello, OwnedFrame, Ping, StatusRequest,
};
use tokio::sync::{Notify, mpsc};

use super::{
    attach::AttachOptions,
    error::LineEnd,
    inbox::Inbox,
    outgoing::{Outgoing, Unsent},
    reconnect::GiveUpReason,
};

/// What everyone on one line shares, over all its connections.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) outgoing: Outgoing,
    /// The last handle was dropped.
    left: Notify,
    /// A connection was made, or none will be any more.
    changed: Notify,
    /// Something was newly written or consumed.
    progress: Arc<AtomicBool>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_id: u64,
    next_attachment: u32,
    /// The engine's welcome, while there is a connection.
    is_up: bool,
    hello: EngineHello,
    /// Requests by id, and where their replies go.
    requests: BTreeMap<u64, mpsc::Sender<OwnedFrame>>,
    /// Attachments by the client's number.
    inboxes: BTreeMap<u32, Arc<Inbox>>,
    /// Requests on behalf of attachments that are made again, and which.
    asked: BTreeMap<u64, u32>,
    end: Option<LineEnd>,
}

/// Replies one request may have unread before the connection waits for its reader.
const REPLIES_MAX: usize = 64;

impl Line {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            outgoing: Outgoing::default(),
            left: Notify::new(),
            changed: Notify::new(),
            progress: Arc::default(),
            waiting: Mutex::new(Waiting { next_id: 1, next_attachment: 1, ..Waiting::default() }),
        })
    }

    /// Sends a request; its replies come out of the channel. Waits for a connection, if one is
    /// being made.
    pub(super) async fn request(
        &self,
        message: ControlMessage<'_>,
    ) -> Result<(u64, mpsc::Receiver<OwnedFrame>), RequestFailed> {
        let (sender, receiver) = mpsc::channel(REPLIES_MAX);
        let id = self.announce(sender).await?;
        match self.outgoing.send(id, message) {
            Ok(()) => Ok((id, receiver)),
            Err(unsent) => {
                self.waiting.lock().requests.remove(&id);
                Err(match unsent {
                    Unsent::Broken => RequestFailed::Ended(LineEnd::Lost),
                    Unsent::TooLarge => RequestFailed::TooLarge,
                })
            }
        }
    }

    /// An id for a request whose replies go there, once there is a connection.
    async fn announce(&self, replies: mpsc::Sender<OwnedFrame>) -> Result<u64, RequestFailed> {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut waiting = self.waiting.lock();
                if let Some(end) = waiting.end {
                    return Err(RequestFailed::Ended(end));
                }
                if waiting.is_up {
                    let id = waiting.take_id();
                    waiting.requests.insert(id, replies);
                    return Ok(id);
                }
            }
            changed.await;
        }
    }

    /// Sends a message nobody answers.
    pub(super) fn tell(&self, message: ControlMessage<'_>) -> Result<(), Unsent> {
        self.outgoing.send(0, message)
    }

    /// Sends a frame of input.
    pub(super) fn tell_input(&self, message: ControlMessage<'_>) -> Result<(), Unsent> {
        self.outgoing.send_input(message)
    }

    /// Nobody waits for more replies to that request.
    pub(super) fn forget_request(&self, id: u64) {
        self.waiting.lock().requests.remove(&id);
    }

    /// Where the events of a new attachment go.
    pub(super) fn new_attachment(&self, name: &str, options: &AttachOptions) -> Arc<Inbox> {
        let mut waiting = self.waiting.lock();
        let number = waiting.next_attachment;
        waiting.next_attachment += 1;
        let progress = Arc::clone(&self.progress);
        let inbox = Arc::new(Inbox::new(number, name.into(), options.clone(), progress));
        waiting.inboxes.insert(number, Arc::clone(&inbox));
        inbox
    }

    pub(super) fn forget_attachment(&self, number: u32) {
        self.waiting.lock().inboxes.remove(&number);
    }

    /// Ends the line: the engine is told, if there is one.
    pub(super) fn leave(&self) {
        let disconnect = Disconnect { flags: 0 };
        self.tell(ControlMessage::Disconnect(disconnect)).ok();
        self.left.notify_one();
    }

    /// Waits until the last handle was dropped. Cancel safe.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    /// Why the line ended, if it did.
    pub(super) fn end(&self) -> Option<LineEnd> {
        self.waiting.lock().end
    }

    /// What the engine answered when it was connected last.
    pub(super) fn hello(&self) -> EngineHello {
        self.waiting.lock().hello
    }

    /// Whether something was written or consumed since this was asked last.
    pub(super) fn take_progress(&self) -> bool {
        self.progress.swap(false, Ordering::Relaxed)
    }

    /// There is a connection: attachments are asked for again, and requests can be made.
    pub(super) fn handle_welcome(&self, hello: EngineHello) {
        {
            let mut waiting = self.waiting.lock();
            waiting.is_up = true;
            waiting.hello = hello;
        }
        for inbox in self.inboxes() {
            self.ask_again(&inbox);
        }
        self.changed.notify_waiters();
    }

    /// Asks for an attachment that was lost.
    pub(super) fn ask_again(&self, inbox: &Inbox) {
        let Some(ask) = inbox.ask() else { return };
        let id = self.asked_for(inbox);
        let name = ask.name.as_str().into();
        let (terms, epoch, size) = (ask.terms, ask.epoch, ask.size);
        let attach = Attach { terms, epoch, size, name, env: b"".into() };
        // If it cannot be sent, the connection is ending, and it is asked for on the next.
        self.outgoing.send(id, ControlMessage::Attach(attach)).ok();
    }

    /// Asks for all sessions: the one of an attachment may have another name now.
    pub(super) fn ask_for_name(&self, inbox: &Inbox) {
        let id = self.asked_for(inbox);
        let everybody = StatusRequest { flags: 0, name: b"".into() };
        self.outgoing.send(id, ControlMessage::Status(everybody)).ok();
    }

    fn asked_for(&self, inbox: &Inbox) -> u64 {
        let mut waiting = self.waiting.lock();
        let id = waiting.take_id();
        waiting.asked.insert(id, inbox.number);
        id
    }

    /// The connection is gone; requests that wait for an answer will not get it.
    pub(super) fn handle_lost(&self, end: LineEnd) {
        self.outgoing.break_off();
        {
            let mut waiting = self.waiting.lock();
            waiting.is_up = false;
            waiting.requests.clear();
            waiting.asked.clear();
        }
        let reason = if let LineEnd::Closed(reason) = end { Some(reason) } else { None };
        for inbox in self.inboxes() {
            inbox.handle_lost(reason);
        }
    }

    /// Nothing more comes, for that reason if it is not our own doing.
    pub(super) fn handle_end(&self, end: LineEnd, reason: Option<GiveUpReason>) {
        self.outgoing.break_off();
        let inboxes = {
            let mut waiting = self.waiting.lock();
            waiting.end.get_or_insert(end);
            waiting.is_up = false;
            waiting.requests.clear();
            std::mem::take(&mut waiting.inboxes)
        };
        for inbox in inboxes.values() {
            inbox.handle_end(end, reason);
        }
        self.changed.notify_waiters();
    }

    /// Waits until the line has ended.
    pub(super) async fn ended(&self) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.end().is_some() {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn inboxes(&self) -> Vec<Arc<Inbox>> {
        self.waiting.lock().inboxes.values().cloned().collect()
    }

    /// The attachment of that number.
    pub(super) fn inbox(&self, number: u32) -> Option<Arc<Inbox>> {
        self.waiting.lock().inboxes.get(&number).cloned()
    }

    /// The attachment on whose behalf a request was made.
    pub(super) fn inbox_that_asked(&self, id: u64, is_final: bool) -> Option<Arc<Inbox>> {
        let mut waiting = self.waiting.lock();
        let number = *waiting.asked.get(&id)?;
        if is_final {
            waiting.asked.remove(&id);
        }
        waiting.inboxes.get(&number).cloned()
    }

    /// Where a reply goes; nobody any more if its request was given up.
    pub(super) fn replies(&self, id: u64, is_final: bool) -> Option<mpsc::Sender<OwnedFrame>> {
        let mut waiting = self.waiting.lock();
        let replies = waiting.requests.get(&id)?.clone();
        if is_final || replies.is_closed() {
            waiting.requests.remove(&id);
        }
        Some(replies)
    }

    /// Asks for a sign of life that nobody waits for.
    pub(super) fn ping(&self) {
        let id = self.waiting.lock().take_id();
        self.outgoing.send(id, ControlMessage::Ping(Ping::default())).ok();
    }
}

impl Waiting {
    const fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}

/// What clients and attachments hold: the line ends when the last one is dropped.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) line: Arc<Line>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.line.leave();
    }
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequestFailed {
    Ended(LineEnd),
    TooLarge,
}
