//! The one task of a client's connection: reads frames and hands them to whoever waits.

use std::{collections::BTreeMap, future::Future, pin::pin, sync::Arc, task::Poll};

use parking_lot::Mutex;
use tautline_protocol::{
    ArchivedEngineMessage, ClientHello, ControlMessage, EngineHello, OwnedFrame, Pong,
    ReceiveBuffer, Refusal,
};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    error::{ConnectFailure, LineEnd},
    events::Inbox,
    outgoing::{Outgoing, Unsent},
    stream::ClientStream,
};
use crate::{
    state::{Link, LinkPolicy, LinkStep},
    trace::Tap,
    transport::Stream,
};

/// What everyone on one connection shares.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) stream: ClientStream,
    pub(super) outgoing: Outgoing,
    /// The last handle was dropped.
    left: Notify,
    /// The connection ended.
    is_over: Notify,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_id: u64,
    next_attachment: u32,
    /// Requests by id, and where their replies go.
    requests: BTreeMap<u64, mpsc::Sender<OwnedFrame>>,
    /// Attachments by the client's number.
    inboxes: BTreeMap<u32, Arc<Inbox>>,
    end: Option<LineEnd>,
}

/// Replies one request may have unread before the connection waits for its reader.
const REPLIES_MAX: usize = 64;

impl Line {
    /// Says hello and waits for the welcome; then the connection lives on in a task of its own.
    pub(super) async fn open(
        stream: ClientStream,
        hello: &ClientHello,
        tap: Tap,
    ) -> Result<(Arc<Handle>, EngineHello), ConnectFailure> {
        let waiting = Waiting { next_id: 1, next_attachment: 1, ..Waiting::default() };
        let outgoing = Outgoing::new(tap);
        let line = Arc::new(Self {
            stream,
            outgoing,
            left: Notify::new(),
            is_over: Notify::new(),
            waiting: Mutex::new(waiting),
        });
        let sent = line.outgoing.send_bytes(&line.stream, &hello.encode());
        sent.map_err(|_| ConnectFailure::Lost)?;
        let (welcome, welcomed) = oneshot::channel();
        let task = Task {
            line: Arc::clone(&line),
            link: Link::new(LinkPolicy::default()),
            buffer: ReceiveBuffer::new(),
            welcome: Some(welcome),
        };
        tokio::spawn(task.run());
        let handle = Arc::new(Handle { line });
        let hello = welcomed.await.map_err(|_| ConnectFailure::Lost)??;
        Ok((handle, hello))
    }

    /// Sends a request; its replies come out of the channel.
    pub(super) fn request(
        &self,
        message: ControlMessage<'_>,
    ) -> Result<(u64, mpsc::Receiver<OwnedFrame>), RequestFailed> {
        let (sender, receiver) = mpsc::channel(REPLIES_MAX);
        let id = {
            let mut waiting = self.waiting.lock();
            if let Some(end) = waiting.end {
                return Err(RequestFailed::Ended(end));
            }
            let id = waiting.next_id;
            waiting.next_id += 1;
            waiting.requests.insert(id, sender);
            id
        };
        match self.outgoing.send(&self.stream, id, message) {
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

    /// Sends a message nobody answers.
    pub(super) fn tell(&self, message: ControlMessage<'_>) -> Result<(), Unsent> {
        self.outgoing.send(&self.stream, 0, message)
    }

    /// Nobody waits for more replies to that request.
    pub(super) fn forget_request(&self, id: u64) {
        self.waiting.lock().requests.remove(&id);
    }

    /// A number for a new attachment, and where its events go.
    pub(super) fn new_attachment(&self, inbox: &Arc<Inbox>) -> u32 {
        let mut waiting = self.waiting.lock();
        let number = waiting.next_attachment;
        waiting.next_attachment += 1;
        waiting.inboxes.insert(number, Arc::clone(inbox));
        number
    }

    pub(super) fn forget_attachment(&self, number: u32) {
        self.waiting.lock().inboxes.remove(&number);
    }

    /// Ends the connection without a word.
    pub(super) fn leave(&self) {
        self.left.notify_one();
    }

    /// Why the connection ended, if it did.
    pub(super) fn end(&self) -> Option<LineEnd> {
        self.waiting.lock().end
    }

    fn handle_end(&self, end: LineEnd) {
        self.outgoing.break_off();
        let mut waiting = self.waiting.lock();
        waiting.end.get_or_insert(end);
        waiting.requests.clear();
        for inbox in waiting.inboxes.values() {
            inbox.handle_end(end);
        }
        waiting.inboxes.clear();
        drop(waiting);
        self.is_over.notify_waiters();
    }

    /// Waits until the connection has ended.
    pub(super) async fn ended(&self) {
        let mut over = pin!(self.is_over.notified());
        over.as_mut().enable();
        if self.end().is_none() {
            over.await;
        }
    }

    fn inbox(&self, number: u32) -> Option<Arc<Inbox>> {
        self.waiting.lock().inboxes.get(&number).cloned()
    }

    /// Where a reply goes; nobody any more if its request was given up.
    fn replies(&self, id: u64, is_final: bool) -> Option<mpsc::Sender<OwnedFrame>> {
        let mut waiting = self.waiting.lock();
        let replies = waiting.requests.get(&id)?.clone();
        if is_final || replies.is_closed() {
            waiting.requests.remove(&id);
        }
        Some(replies)
    }
}

/// What clients and attachments hold: the connection ends when the last one is dropped.
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

struct Task {
    line: Arc<Line>,
    link: Link,
    buffer: ReceiveBuffer,
    welcome: Option<Welcome>,
}

impl Task {
    async fn run(mut self) {
        self.link.handle_connected();
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        self.line.handle_end(end);
    }

    async fn turn(&mut self) -> Result<(), LineEnd> {
        let is_blocked = self.line.outgoing.flush(&self.line.stream).map_err(|_| LineEnd::Lost)?;
        let count = self.wait(is_blocked).await?;
        self.buffer.advance(count);
        while let Some(reply) = self.take_in()? {
            // A reader that is slow makes the connection wait, not grow; one that is gone does not.
            reply.to.send(reply.frame).await.ok();
        }
        Ok(())
    }

    /// Waits for bytes; 0 if there is something else to look at.
    async fn wait(&mut self, is_blocked: bool) -> Result<usize, LineEnd> {
        let Self { line, buffer, .. } = self;
        let mut queued = pin!(line.outgoing.queued.notified());
        let mut left = pin!(line.left.notified());
        let mut writable = pin!(async {
            match is_blocked {
                true => line.stream.writable().await,
                false => std::future::pending().await,
            }
        });
        std::future::poll_fn(|cx| {
            if left.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(LineEnd::Lost));
            }
            match line.stream.poll_read(cx, buffer.spare()) {
                Poll::Ready(Ok(count @ 1..)) => return Poll::Ready(Ok(count)),
                Poll::Ready(_) => return Poll::Ready(Err(LineEnd::Lost)),
                Poll::Pending => {}
            }
            match writable.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(0)),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(LineEnd::Lost)),
                Poll::Pending => {}
            }
            if queued.as_mut().poll(cx).is_ready() { Poll::Ready(Ok(0)) } else { Poll::Pending }
        })
        .await
    }

    /// Takes in frames until one is a reply somebody waits for, or there are no more.
    fn take_in(&mut self) -> Result<Option<Reply>, LineEnd> {
        loop {
            let received = self.buffer.next_frame();
            self.line.outgoing.tap.received(&received);
            let step = match received {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => self.link.handle_frame(frame),
                Err(error) => self.link.handle_length_error(error),
            };
            match step {
                LinkStep::Message { id, frame, message } => {
                    if let Some(to) = hand_out(&self.line, id, message) {
                        return Ok(Some(Reply { to, frame: OwnedFrame::copy(frame) }));
                    }
                }
                LinkStep::Welcome(hello) => answer(&mut self.welcome, Ok(hello)),
                LinkStep::Refused(hello) => {
                    let refusal = Refusal::from_wire(hello.status).unwrap_or(Refusal::Version);
                    let hello = Box::new(hello);
                    let refused = ConnectFailure::Refused { refusal, hello };
                    answer(&mut self.welcome, Err(refused));
                    return Err(LineEnd::Lost);
                }
                LinkStep::Goodbye { reason, .. } => {
                    return Err(reason.map_or(LineEnd::Lost, LineEnd::Closed));
                }
                LinkStep::Skip => {}
                LinkStep::Fault(error) => {
                    answer(&mut self.welcome, Err(ConnectFailure::Protocol(error)));
                    return Err(LineEnd::Protocol(error));
                }
            }
        }
    }
}

/// A reply on its way to the request it answers.
struct Reply {
    to: mpsc::Sender<OwnedFrame>,
    frame: OwnedFrame,
}

type Welcome = oneshot::Sender<Result<EngineHello, ConnectFailure>>;

fn answer(welcome: &mut Option<Welcome>, outcome: Result<EngineHello, ConnectFailure>) {
    if let Some(welcome) = welcome.take() {
        // Whoever connected may have given up: then the connection ends with the last handle.
        welcome.send(outcome).ok();
    }
}

/// Gives an attachment its message; returns who waits for it if it is a reply.
fn hand_out(
    line: &Line,
    id: u64,
    message: &ArchivedEngineMessage<'static>,
) -> Option<mpsc::Sender<OwnedFrame>> {
    if let ArchivedEngineMessage::Ping(ping) = message {
        let ping = ping.get();
        let (token, sent_ns) = (ping.token.to_native(), ping.sent_ns.to_native());
        let bytes = ping.bytes.as_slice().into();
        let pong = Pong { token, sent_ns, received_ns: 0, replied_ns: 0, bytes };
        // If it cannot be sent, the connection is ending anyway.
        line.tell(ControlMessage::Pong(pong)).ok();
        return None;
    }
    let number = attachment_of(message);
    if number != 0
        && let Some(inbox) = line.inbox(number)
        && inbox.handle(message)
    {
        return None;
    }
    let is_final = !matches!(
        message,
        ArchivedEngineMessage::Spawned(_)
            | ArchivedEngineMessage::Status(_)
            | ArchivedEngineMessage::LogChunk(_)
            | ArchivedEngineMessage::Event(_)
            | ArchivedEngineMessage::Stats(_)
    );
    line.replies(id, is_final)
}

/// The attachment a message is about; 0 if none.
fn attachment_of(message: &ArchivedEngineMessage<'static>) -> u32 {
    match message {
        ArchivedEngineMessage::Output(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::InputApplied(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Gap(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Exited(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Started(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Resized(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Adjusted(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Detached(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Attached(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Error(body) => body.get().attachment.to_native(),
        _ => 0,
    }
}
