//! One client: socket to connection state, and back. One task, one receive and one send buffer.
//!
//! A turn: send what can be sent, wait for one thing to happen, take it in. Frames are handled in
//! order and in place. Reading stops only while replies wait for the peer to read, or for the few
//! moments in which a PTY writer's channel is full; never because of a PTY.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tautline_protocol::{CloseReason, EngineMessage, Goodbye, ReceiveBuffer, Refusal};
use tokio::time::Sleep;

use super::{
    Engine,
    frame_cost::cost_of,
    outbox::{Flushed, REPLY_ROOM},
    requests::Client,
    statistics::count,
};
use crate::{
    latency::Stage,
    limits::{DECODES_A_SAMPLE, FRAMES_A_TURN},
    state::{Connection, Expiry, Step},
    transport::Stream,
};

/// Serves one client until it leaves or is made to.
pub(super) async fn run<S: Stream>(engine: Arc<Engine>, stream: S) {
    let mut task = ClientTask::new(engine, stream);
    task.run().await;
}

struct ClientTask<S> {
    stream: S,
    buffer: ReceiveBuffer,
    connection: Connection,
    client: Client,
    is_blocked: bool,
    /// Frames are left in the buffer for which there was no room to reply.
    is_held: bool,
    held_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Instant>,
    /// Since others had their turn; requests that take their time count for many.
    frames_handled: usize,
    /// How often bytes were taken in, to sample by.
    passes: u32,
}

enum Happened {
    Received(usize),
    Woken,
    Writable,
    Deadline,
    Lost,
}

impl<S: Stream> ClientTask<S> {
    fn new(engine: Arc<Engine>, stream: S) -> Self {
        let now = Instant::now();
        let uid = stream.peer().uid;
        let config = &engine.config;
        // The request that opened an attachment's stream is pending for as long as the stream.
        let pending = config.requests_limit + config.attachments_limit as usize;
        let connection = Connection::new(config.deadlines, pending, now);
        Self {
            stream,
            buffer: ReceiveBuffer::new(),
            connection,
            client: Client::new(engine, uid),
            is_blocked: false,
            is_held: false,
            held_since: None,
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            timer_at: None,
            frames_handled: 0,
            passes: 0,
        }
    }

    async fn run(&mut self) {
        loop {
            if self.send().is_err() || self.is_finished() {
                return;
            }
            if self.frames_handled >= FRAMES_A_TURN {
                self.frames_handled = 0;
                tokio::task::yield_now().await;
            }
            if self.is_held && !self.is_blocked {
                if self.take_in(Instant::now()).await.is_err() {
                    return;
                }
                continue;
            }
            match self.wait().await {
                Happened::Received(0) => return self.finish().await,
                Happened::Lost => return,
                Happened::Received(count) => {
                    self.buffer.advance(count);
                    self.connection.handle_heard(Instant::now());
                    if self.take_in(Instant::now()).await.is_err() {
                        return;
                    }
                }
                Happened::Woken => self.look_around(),
                Happened::Writable => {
                    // It reads.
                    self.connection.handle_heard(Instant::now());
                    self.is_blocked = false;
                }
                Happened::Deadline => {
                    if self.handle_deadline().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// The peer has said its last word: it still gets its answers, for as long as a goodbye may
    /// take.
    async fn finish(&mut self) {
        if self.buffer.is_mid_frame() || !self.connection.is_ready() {
            return;
        }
        self.client.leave_sessions();
        let limit = self.client.engine.config.deadlines.closing;
        let answers = async {
            while self.send().is_ok() && self.is_blocked && self.stream.writable().await.is_ok() {
                self.is_blocked = false;
            }
        };
        // A peer that does not read them in time does not want them.
        tokio::time::timeout(limit, answers).await.ok();
    }

    /// Sends replies and output until there is nothing more or the peer does not read.
    fn send(&mut self) -> io::Result<()> {
        if self.is_blocked {
            return Ok(());
        }
        loop {
            // First what is queued: everything else wants the room.
            if self.client.outbox.flush(&self.stream)? == Flushed::Blocked {
                self.is_blocked = true;
                return Ok(());
            }
            if !self.connection.is_ready() {
                return Ok(());
            }
            let Self { stream, connection, client, is_blocked, .. } = self;
            let progress = client.fill_outbox(connection);
            let sent = client.send_output(stream, connection, is_blocked)?;
            if self.is_blocked || !(progress || sent) {
                return Ok(());
            }
        }
    }

    /// Whether the last word was said and written.
    fn is_finished(&self) -> bool {
        self.connection.is_closing() && self.client.outbox.is_empty()
    }

    async fn wait(&mut self) -> Happened {
        self.arm_timer();
        let Self { stream, buffer, client, timer, timer_at, is_blocked, is_held, .. } = self;
        let mut woken = pin!(client.handle.woken());
        let mut writable = pin!(async {
            match is_blocked {
                true => stream.writable().await,
                false => std::future::pending().await,
            }
        });
        std::future::poll_fn(|cx| {
            if !*is_held {
                match stream.poll_read(cx, buffer.spare()) {
                    Poll::Ready(Ok(count)) => return Poll::Ready(Happened::Received(count)),
                    Poll::Ready(Err(_)) => return Poll::Ready(Happened::Lost),
                    Poll::Pending => {}
                }
            }
            match writable.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Happened::Writable),
                Poll::Ready(Err(_)) => return Poll::Ready(Happened::Lost),
                Poll::Pending => {}
            }
            if woken.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Happened::Woken);
            }
            if timer_at.is_some() && timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Happened::Deadline);
            }
            Poll::Pending
        })
        .await
    }

    fn arm_timer(&mut self) {
        // While we do not read, the peer's time does not run.
        let deadline = match (self.is_held, self.is_blocked) {
            _ if self.connection.is_closing() => self.connection.deadline(),
            (false, _) => self.connection.deadline(),
            // A peer that reads nothing may be dead: only signs of life are asked of it.
            (true, true) => self.connection.heartbeat_deadline(),
            (true, false) => None,
        };
        match (deadline, self.timer_at) {
            (Some(deadline), armed) if armed != Some(deadline) => {
                self.timer.as_mut().reset(deadline.into());
            }
            // A timer that is left running costs the thread a timeout each time it sleeps.
            (None, Some(armed)) => self.timer.set(tokio::time::sleep_until(armed.into())),
            _ => {}
        }
        self.timer_at = deadline;
    }

    /// Takes in all frames that are whole. An error means: drop the connection.
    async fn take_in(&mut self, received: Instant) -> Result<(), ()> {
        if let Some(since) = self.held_since.take() {
            self.connection.handle_reading_resumed(received.saturating_duration_since(since));
        }
        self.is_held = false;
        let mut frames = 0;
        loop {
            if self.frames_handled >= FRAMES_A_TURN {
                self.hold(received);
                break;
            }
            if self.client.outbox.room() < REPLY_ROOM {
                self.hold(received);
                break;
            }
            if self.client.handle.is_fenced() {
                self.look_around();
                break;
            }
            let next = self.buffer.next_frame();
            self.client.outbox.tap().received(&next);
            let step = match next {
                Ok(Some(frame)) => self.connection.handle_frame(frame, received),
                Ok(None) => break,
                Err(error) => self.connection.handle_length_error(error),
            };
            if frames == 0 && self.passes.is_multiple_of(DECODES_A_SAMPLE) {
                let took = received.elapsed();
                self.client.engine.latency.record(Stage::ReceivedToDecoded, took);
            }
            frames += 1;
            self.frames_handled += cost_of(&step);
            let next = match step {
                Step::Hello(hello) => self.client.handle_hello(&hello),
                Step::Request { id, message } => {
                    self.client.handle_request(id, message, received).await
                }
                Step::Answer(fault) => {
                    self.client.handle_fault(fault);
                    Next::Continue
                }
                Step::Skip => Next::Continue,
                Step::Refuse(refusal) => Next::Refuse(refusal),
                Step::Close(reason) => Next::Close(reason),
            };
            if self.follow(next).is_break() {
                break;
            }
        }
        self.passes = self.passes.wrapping_add(1);
        count(&self.client.engine.counters.frames, frames as u64);
        self.connection.handle_pass(self.buffer.is_mid_frame() && !self.is_held, frames, received);
        Ok(())
    }

    fn hold(&mut self, now: Instant) {
        self.is_held = true;
        self.held_since.get_or_insert(now);
    }

    fn follow(&mut self, next: Next) -> std::ops::ControlFlow<()> {
        match next {
            Next::Continue => {}
            Next::Welcome(features, heartbeat) => {
                self.connection.handle_welcome(features);
                if let Some(interval) = heartbeat {
                    self.connection.handle_heartbeat(interval, Instant::now());
                }
            }
            Next::Answered(id) => self.connection.handle_answered(id),
            Next::Refuse(refusal) => {
                self.client.say_refusal(refusal);
                self.connection.handle_closing(Instant::now());
            }
            Next::Close(reason) => self.close(reason),
        }
        if self.connection.is_closing() {
            return std::ops::ControlFlow::Break(());
        }
        std::ops::ControlFlow::Continue(())
    }

    /// Says why and closes: what is queued goes out first, if the peer reads it in time.
    fn close(&mut self, reason: CloseReason) {
        if self.connection.is_closing() {
            return;
        }
        if !is_worth_coming_back(reason) {
            self.client.grace = Duration::ZERO;
        }
        if !self.connection.is_ready() {
            self.client.say_refusal(match reason {
                CloseReason::ShuttingDown => Refusal::ShuttingDown,
                _ => Refusal::AtCapacity,
            });
        } else if self.client.outbox.room() >= REPLY_ROOM {
            let goodbye =
                Goodbye { reason: reason.to_wire(), retry_after_ms: 0, text: reason.name().into() };
            let goodbye = EngineMessage::Goodbye(goodbye);
            self.client.outbox.push(0, goodbye).expect("there was room for a goodbye");
        }
        self.connection.handle_closing(Instant::now());
    }

    fn look_around(&mut self) {
        if let Some(reason) = self.client.handle.close_reason() {
            self.close(reason);
        }
    }

    /// A deadline passed; it counts only if nothing that came in meanwhile meets it.
    async fn handle_deadline(&mut self) -> Result<(), ()> {
        if !self.is_held && !self.connection.is_closing() {
            let buffer = &mut self.buffer;
            let stream = &self.stream;
            let read = std::future::poll_fn(|cx| match stream.poll_read(cx, buffer.spare()) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending => Poll::Ready(None),
            });
            match read.await {
                Some(Ok(0) | Err(_)) => return Err(()),
                Some(Ok(count)) => {
                    self.buffer.advance(count);
                    self.connection.handle_heard(Instant::now());
                    self.take_in(Instant::now()).await?;
                }
                None => {}
            }
        }
        self.timer_at = None;
        let now = Instant::now();
        let expiry = match self.is_held && !self.connection.is_closing() {
            true => self.connection.handle_heartbeat_timeout(now),
            false => self.connection.handle_timeout(now),
        };
        match expiry {
            None => Ok(()),
            Some(Expiry::Ping) => {
                self.client.say_ping();
                Ok(())
            }
            Some(Expiry::Drop) => Err(()),
            Some(Expiry::Refuse(refusal)) => {
                let _ = self.follow(Next::Refuse(refusal));
                Ok(())
            }
            Some(Expiry::Close(reason)) => {
                self.close(reason);
                Ok(())
            }
        }
    }
}

/// Whether a client that was told this reason may come back to what it had.
pub(super) const fn is_worth_coming_back(reason: CloseReason) -> bool {
    use CloseReason::{FrameTimeout, HeartbeatLost, Internal, TakenOver};

    matches!(reason, FrameTimeout | HeartbeatLost | Internal | TakenOver)
}

/// What follows from a frame that was handled.
pub(super) enum Next {
    Continue,
    /// With the heartbeat that was granted.
    Welcome(tautline_protocol::Features, Option<Duration>),
    Answered(u64),
    Refuse(Refusal),
    Close(CloseReason),
}
