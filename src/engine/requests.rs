//! What a client asks for, and what is done about it.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tautline_protocol::{
    ArchivedControlMessage, ArchivedPing, CloseReason, Done, EngineMessage, ErrorCode, Ping, Pong,
    Purpose, Rights, WindowSize,
};

use super::{
    Engine,
    client_handle::ClientHandle,
    client_task::Next,
    failure::Failure,
    outbox::{Outbox, REPLY_ROOM},
    output_batch::{TurnEnd, send_turn},
    pty_writer::PtyCommand,
    reply_stream::{Pushed, ReplyStream},
    session_host::SessionHost,
    waits::Waits,
};
use crate::{
    state::{AttachmentId, ClientId, Connection},
    trace::{Side, Tap},
    transport::Stream,
};

/// Everything about a client but its socket and its protocol state.
pub(super) struct Client {
    pub(super) engine: Arc<Engine>,
    pub(super) handle: Arc<ClientHandle>,
    pub(super) outbox: Outbox,
    pub(super) id: ClientId,
    pub(super) rights: u32,
    pub(super) attachments: Vec<Attached>,
    pub(super) streams: VecDeque<ReplyStream>,
    pub(super) waits: Waits,
    pub(super) admitted: Option<Purpose>,
    /// The user at the other end.
    pub(super) uid: u32,
    /// How long this client may come back after its connection was lost; zero if it left, or has
    /// no identity.
    pub(super) grace: Duration,
    /// Attachments whose end was told, and the tokens that will prove that it was heard.
    told: VecDeque<(u64, AttachmentId, Arc<SessionHost>)>,
    /// Something of this client is kept in a session, now that its connection goes.
    is_kept: bool,
    tokens: u64,
    /// Whose turn it is to send output first.
    turn: usize,
}

/// One attachment of the connection.
#[derive(Clone)]
pub(super) struct Attached {
    pub(super) number: u32,
    /// The request that opened its stream, which ends with it.
    pub(super) request: u64,
    pub(super) id: AttachmentId,
    pub(super) host: Arc<SessionHost>,
}

impl Client {
    pub(super) fn new(engine: Arc<Engine>, uid: u32) -> Self {
        let handle = engine.client_joined();
        let tap = Tap::new(engine.config.trace.as_ref(), Side::Engine);
        Self {
            engine,
            handle,
            outbox: Outbox::new(tap),
            id: [0; 16],
            rights: 0,
            attachments: Vec::new(),
            streams: VecDeque::new(),
            waits: Waits::default(),
            admitted: None,
            uid,
            grace: Duration::ZERO,
            told: VecDeque::new(),
            is_kept: false,
            tokens: 0,
            turn: 0,
        }
    }

    /// Leaves every session it is attached to: for good, or until it comes back.
    pub(super) fn leave_sessions(&mut self) {
        self.is_kept |= !self.attachments.is_empty() || !self.told.is_empty();
        // What is still to be proven is kept already.
        self.told.clear();
        for attached in self.attachments.drain(..) {
            attached.host.lose(attached.id, self.grace);
        }
    }

    fn give_slot_back(&self) {
        match self.admitted {
            _ if self.handle.is_slot_passed_on() => {}
            Some(Purpose::Admin) => self.engine.is_admin_admitted.store(0, Ordering::Relaxed),
            Some(_) => {
                self.engine.clients_admitted.fetch_sub(1, Ordering::Relaxed);
            }
            None => {}
        }
    }

    /// Acts on one message. Awaits only the hand-off to a PTY writer, which never waits for a PTY.
    pub(super) async fn handle_request(
        &mut self,
        id: u64,
        message: &ArchivedControlMessage<'static>,
        received: Instant,
    ) -> Next {
        match message {
            ArchivedControlMessage::Input(input) => {
                return self.handle_input(id, input.get(), received).await;
            }
            ArchivedControlMessage::Keys(keys) => self.handle_keys(id, keys.get()),
            ArchivedControlMessage::Consumed(consumed) => {
                let consumed = consumed.get();
                let (number, offset) =
                    (consumed.attachment.to_native(), consumed.offset.to_native());
                self.handle_consumed(number, offset)
            }
            ArchivedControlMessage::Ping(ping) => self.handle_ping(id, ping.get(), received),
            ArchivedControlMessage::Disconnect(_) => Next::Close(CloseReason::Requested),
            ArchivedControlMessage::Pong(pong) => {
                self.handle_pong(pong.get().token.to_native());
                Next::Continue
            }
            ArchivedControlMessage::Part(_) => Next::Continue,
            ArchivedControlMessage::Resize(resize) => {
                let resize = resize.get();
                let outcome = self.handle_resize(resize).await;
                self.answer(id, outcome.map(|()| 0))
            }
            message => self.handle_session_request(id, message),
        }
    }

    /// Answers with `Done` or `Error`; with id 0 only failures are told.
    pub(super) fn answer(&mut self, id: u64, outcome: Result<u64, Failure>) -> Next {
        match outcome {
            Ok(value) if id != 0 => self.say(id, EngineMessage::Done(Done { value })),
            Ok(_) => {}
            Err(failure) => self.refuse(id, &failure),
        }
        Next::Answered(id)
    }

    pub(super) fn refuse(&mut self, id: u64, failure: &Failure) {
        self.outbox.push_failure(id, failure).expect("room for a reply was there before");
    }

    /// Answers a request later.
    pub(super) fn wait_for(
        &mut self,
        id: u64,
        outcome: impl Future<Output = Result<u64, Failure>> + Send + 'static,
    ) {
        self.waits.begin(id, &self.handle, outcome);
    }

    /// Queues a small reply.
    pub(super) fn say(&mut self, id: u64, message: EngineMessage<'_>) {
        self.outbox.push(id, message).expect("room for a reply was there before");
    }

    pub(super) fn require(&self, right: u32) -> Result<(), Failure> {
        if self.rights & right == 0 { Err(Failure::not_permitted(right)) } else { Ok(()) }
    }

    pub(super) fn attached(&self, number: u32) -> Result<&Attached, Failure> {
        let found = self.attachments.iter().find(|attached| attached.number == number);
        found.ok_or_else(|| Failure::no_such_attachment(number))
    }

    fn handle_ping(&mut self, id: u64, ping: &ArchivedPing<'static>, received: Instant) -> Next {
        let pong = Pong {
            token: ping.token.to_native(),
            sent_ns: ping.sent_ns.to_native(),
            received_ns: self.engine.clock_ns(received),
            replied_ns: self.engine.clock_ns(Instant::now()),
            bytes: ping.bytes.as_slice().into(),
        };
        let pong = EngineMessage::Pong(pong);
        if self.outbox.push(id, pong).is_ok() {
            return Next::Answered(id);
        }
        // As long as its ping, and a little longer than the room left: it waits its turn.
        self.streams.push_back(ReplyStream::message(id, pong));
        Next::Continue
    }

    fn handle_consumed(&mut self, number: u32, offset: u64) -> Next {
        let Ok(attached) = self.attached(number) else {
            // It ended while this was on its way.
            return Next::Continue;
        };
        let mut core = attached.host.lock();
        let outcome = core.session.handle_consumed(attached.id, offset);
        let has_room = core.session.read_budget() > 0;
        drop(core);
        if has_room {
            attached.host.reading.notify_one();
        }
        match outcome {
            Ok(()) => Next::Continue,
            Err(_) => Next::Close(CloseReason::ConsumedAhead),
        }
    }

    async fn handle_resize(
        &mut self,
        resize: &tautline_protocol::ArchivedResize<'static>,
    ) -> Result<(), Failure> {
        self.require(Rights::RESIZE)?;
        let size = WindowSize::from(&resize.size);
        let number = resize.attachment.to_native();
        let (host, size) = match number {
            0 => self.resize_by_name(resize)?,
            number => self.resize_attachment(number, size)?,
        };
        let Some(size) = size else { return Ok(()) };
        let commands = {
            let core = host.lock();
            core.wake_all();
            core.running.as_ref().map(|running| running.commands.clone())
        };
        if let Some(commands) = commands {
            // In order with the input of this connection that came before.
            let _ = commands.send(PtyCommand::Resize(size)).await;
        }
        Ok(())
    }

    fn resize_attachment(
        &self,
        number: u32,
        size: WindowSize,
    ) -> Result<(Arc<SessionHost>, Option<WindowSize>), Failure> {
        let attached = self.attached(number)?;
        let mut core = attached.host.lock();
        if core.session.attachment(attached.id).is_some_and(|at| !at.is_writable()) {
            let failure = Failure::new(ErrorCode::ReadOnly, "this attachment is read-only");
            return Err(Failure { attachment: number, ..failure });
        }
        let size = core.session.handle_resize(attached.id, size);
        drop(core);
        Ok((Arc::clone(&attached.host), size))
    }

    /// Moves finished requests and reply streams into the outbox; returns whether any moved.
    pub(super) fn fill_outbox(&mut self, connection: &mut Connection) -> bool {
        let mut progress = false;
        while self.outbox.room() >= REPLY_ROOM {
            let Some(completion) = self.handle.take_completion() else { break };
            self.waits.end(completion.id);
            if connection.is_pending(completion.id) {
                self.answer(completion.id, completion.result);
                connection.handle_answered(completion.id);
            }
            progress = true;
        }
        let mut waiting = 0;
        while waiting < self.streams.len()
            && self.outbox.is_empty()
            && let Some(mut stream) = self.streams.pop_front()
        {
            if !connection.is_pending(stream.id()) {
                continue;
            }
            match stream.push_next(&mut self.outbox) {
                Pushed::Waiting => {
                    waiting += 1;
                    self.streams.push_back(stream);
                    continue;
                }
                // One message is in assembly at a time, on both sides.
                Pushed::More if stream.is_mid_message() => self.streams.push_front(stream),
                Pushed::More => self.streams.push_back(stream),
                Pushed::Last => connection.handle_answered(stream.id()),
            }
            waiting = 0;
            progress = true;
        }
        progress
    }

    /// Gives each attachment its turn; returns whether anything was sent.
    pub(super) fn send_output<S: Stream>(
        &mut self,
        stream: &S,
        connection: &mut Connection,
        is_blocked: &mut bool,
    ) -> io::Result<bool> {
        let mut sent = false;
        let count = self.attachments.len();
        let mut ended = None;
        for step in 0..count {
            let at = (self.turn + step) % count;
            let Attached { host, id, .. } = &self.attachments[at];
            match send_turn(stream, &mut self.outbox, host, *id, &self.engine)? {
                TurnEnd::Nothing => {}
                TurnEnd::Progress => sent = true,
                TurnEnd::Ended => {
                    ended = Some(at);
                    sent = true;
                    break;
                }
                TurnEnd::Blocked => {
                    *is_blocked = true;
                    // It may have filled the way: the next goes first once there is room again.
                    self.turn = (at + 1) % count;
                    return Ok(true);
                }
            }
        }
        if let Some(at) = ended {
            let attached = self.attachments.swap_remove(at);
            connection.handle_answered(attached.request);
            self.handle_end_told(attached);
        }
        self.turn = self.turn.wrapping_add(1) % self.attachments.len().max(1);
        Ok(sent)
    }
}

impl Client {
    /// Asks the peer for a sign of life; returns what proves it.
    pub(super) fn say_ping(&mut self) -> u64 {
        self.tokens += 1;
        let ping = Ping { token: self.tokens, ..Ping::default() };
        // Without room for it the peer has enough to read; it is asked another time, or never.
        let said = self.outbox.push(0, EngineMessage::Ping(ping));
        said.map_or(0, |()| self.tokens)
    }

    /// The end of an attachment is on its way. If the connection is lost before it was heard, the
    /// client comes back for it: so it is kept until an answer shows that it was.
    fn handle_end_told(&mut self, attached: Attached) {
        if self.grace.is_zero() || !attached.host.is_end_to_prove(attached.id) {
            return attached.host.leave(attached.id);
        }
        attached.host.keep_told(attached.id, self.grace);
        let token = self.say_ping();
        self.told.push_back((token, attached.id, attached.host));
        // Somebody who never answers does not keep more than it could attach to.
        if self.told.len() > self.engine.config.attachments_limit as usize
            && let Some((_, id, host)) = self.told.pop_front()
        {
            host.leave(id);
        }
    }

    fn handle_pong(&mut self, token: u64) {
        while let Some((_, id, host)) = self.told.pop_front_if(|(asked, ..)| *asked <= token) {
            host.leave(id);
        }
    }
}

impl Drop for Client {
    /// Undoes what the client's presence did, also if its task panicked: a slot that leaked would
    /// lock somebody out for good.
    fn drop(&mut self) {
        self.engine.client_left(&self.handle);
        self.leave_sessions();
        let grace = if self.is_kept { self.grace } else { Duration::ZERO };
        self.engine.identities.leave(self.id, &self.handle, grace);
        self.give_slot_back();
    }
}
