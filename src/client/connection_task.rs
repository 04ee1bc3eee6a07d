//! The one task of a client: reads frames and hands them to whoever waits, connection after
//! connection.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Instant,
};

use tautline_protocol::{EngineHello, OwnedFrame, ReceiveBuffer};
use tokio::{sync::mpsc, time::Sleep};

use super::{
    connecting::Connecting, error::LineEnd, line::Line, outgoing::Flushed, routing::hand_out,
    stream::ClientStream,
};
use crate::{
    state::{Beat, Heartbeat, Link, LinkStep},
    trace::Tap,
    transport::Stream,
};

/// One connection, as its task sees it.
pub(super) struct Connection {
    pub(super) line: Arc<Line>,
    pub(super) stream: Arc<ClientStream>,
    pub(super) tap: Tap,
    buffer: ReceiveBuffer,
    heartbeat: Option<Heartbeat>,
    timer: Pin<Box<Sleep>>,
}

/// What came of a turn.
pub(super) enum Turn {
    Nothing,
    /// The hello was answered.
    Hello(EngineHello),
    Refused(EngineHello),
}

impl Connection {
    /// Says `hello`; what cannot be sent is found out by whoever waits for the answer.
    pub(super) fn new(line: Arc<Line>, stream: Arc<ClientStream>, tap: Tap, hello: &[u8]) -> Self {
        line.outgoing.connect(Arc::clone(&stream), tap.clone(), hello).ok();
        let timer = Box::pin(tokio::time::sleep(std::time::Duration::ZERO));
        Self { line, stream, tap, buffer: ReceiveBuffer::new(), heartbeat: None, timer }
    }

    /// The engine granted a heartbeat.
    pub(super) fn beat(&mut self, heartbeat: Heartbeat) {
        self.timer.as_mut().reset(heartbeat.deadline().into());
        self.heartbeat = Some(heartbeat);
    }

    /// Waits until something happens, and acts on it.
    pub(super) async fn turn(&mut self, link: &mut Link) -> Result<Turn, LineEnd> {
        let flushed = self.line.outgoing.flush();
        match self.wait(flushed).await? {
            Happened::Received(count) => {
                self.buffer.advance(count);
                if let Some(heartbeat) = &mut self.heartbeat {
                    heartbeat.handle_heard(Instant::now());
                }
            }
            Happened::Beat => self.handle_beat()?,
            Happened::Woken => {}
        }
        loop {
            match self.take_in(link)? {
                Step::Empty => return Ok(Turn::Nothing),
                Step::Hello(turn) => return Ok(turn),
                // A reader that is slow makes the connection wait, not grow; one that is gone does
                // not.
                Step::Reply(reply) => drop(reply.to.send(reply.frame).await),
            }
        }
    }

    async fn wait(&mut self, flushed: Flushed) -> Result<Happened, LineEnd> {
        let Self { line, stream, buffer, heartbeat, timer, .. } = self;
        let mut queued = pin!(line.outgoing.queued.notified());
        let mut left = pin!(line.left());
        let mut writable = pin!(async {
            match flushed {
                Flushed::Blocked => stream.writable().await,
                Flushed::Empty | Flushed::Broken => std::future::pending().await,
            }
        });
        std::future::poll_fn(|cx| {
            if left.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(LineEnd::Left));
            }
            match stream.poll_read(cx, buffer.spare()) {
                Poll::Ready(Ok(count @ 1..)) => return Poll::Ready(Ok(Happened::Received(count))),
                Poll::Ready(_) => return Poll::Ready(Err(LineEnd::Lost)),
                Poll::Pending if flushed == Flushed::Broken => {
                    return Poll::Ready(Err(LineEnd::Lost));
                }
                Poll::Pending => {}
            }
            match writable.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(Happened::Woken)),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(LineEnd::Lost)),
                Poll::Pending => {}
            }
            if queued.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(Happened::Woken));
            }
            if heartbeat.is_some() && timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(Happened::Beat));
            }
            Poll::Pending
        })
        .await
    }

    /// The socket was read, and was empty.
    fn handle_beat(&mut self) -> Result<(), LineEnd> {
        let Some(heartbeat) = &mut self.heartbeat else { return Ok(()) };
        let beat = heartbeat.handle_timeout(Instant::now());
        self.timer.as_mut().reset(heartbeat.deadline().into());
        match beat {
            Some(Beat::Dead) => return Err(LineEnd::Lost),
            Some(Beat::Ping) => self.line.ping(),
            None => {}
        }
        Ok(())
    }

    /// Takes in frames until one is a reply somebody waits for, or there are no more.
    fn take_in(&mut self, link: &mut Link) -> Result<Step, LineEnd> {
        loop {
            let received = self.buffer.next_frame();
            self.tap.received(&received);
            let step = match received {
                Ok(None) => return Ok(Step::Empty),
                Ok(Some(frame)) => link.handle_frame(frame),
                Err(error) => link.handle_length_error(error),
            };
            match step {
                LinkStep::Message { id, frame, message } => {
                    if let Some(to) = hand_out(&self.line, id, message) {
                        return Ok(Step::Reply(Reply { to, frame: OwnedFrame::copy(frame) }));
                    }
                }
                LinkStep::Welcome(hello) => return Ok(Step::Hello(Turn::Hello(hello))),
                LinkStep::Refused(hello) => return Ok(Step::Hello(Turn::Refused(hello))),
                LinkStep::Goodbye { reason, .. } => {
                    return Err(reason.map_or(LineEnd::Lost, LineEnd::Closed));
                }
                LinkStep::Skip => {}
                LinkStep::Fault(error) => return Err(LineEnd::Protocol(error)),
            }
        }
    }
}

enum Happened {
    Received(usize),
    Woken,
    Beat,
}

enum Step {
    Empty,
    Hello(Turn),
    Reply(Reply),
}

/// A reply on its way to the request it answers.
struct Reply {
    to: mpsc::Sender<OwnedFrame>,
    frame: OwnedFrame,
}

/// Runs until the line ends.
pub(super) async fn run(mut connecting: Connecting, mut connection: Connection) {
    let (end, reason) = loop {
        let lost = loop {
            if let Err(end) = connection.turn(&mut connecting.link).await {
                break end;
            }
        };
        drop(connection);
        connection = match connecting.come_back(lost).await {
            Ok(connection) => connection,
            Err(end) => break end,
        };
    };
    connecting.line.handle_end(end, reason);
}
