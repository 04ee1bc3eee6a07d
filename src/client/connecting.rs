//! Making a line's connection: the first time, and again after each loss.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tautline_protocol::{ClientHello, EngineHello, Refusal};

use super::{
    ClientConfig, ConnectFailure,
    connection_task::{Connection, Turn, run},
    error::LineEnd,
    line::{Handle, Line},
    reconnect::{GiveUpReason, Target, is_permanent},
};
use crate::{
    state::{Heartbeat, Link, LinkAction, LinkEnd, LinkPolicy},
    trace::{FrameTrace, Side, Tap},
};

/// Where the engine is, who we are to it, and when to try again.
pub(super) struct Connecting {
    pub(super) line: Arc<Line>,
    pub(super) link: Link,
    target: Target,
    hello: ClientHello,
    hello_timeout: Duration,
    trace: Option<FrameTrace>,
    random: Rng,
    is_reconnecting: bool,
}

/// How a line ends: for whoever waits on it, and, if it is not our own doing, why.
type Ended = (LineEnd, Option<GiveUpReason>);

/// Connects for the first time; then the line lives on in a task of its own.
pub(super) async fn open(
    target: Target,
    config: ClientConfig,
) -> Result<Arc<Handle>, ConnectFailure> {
    let mut connecting = Connecting::new(target, config);
    let stream = connecting.target.connect().await?;
    let connection = connecting.say_hello(stream).await?;
    let line = Arc::clone(&connecting.line);
    tokio::spawn(run(connecting, connection));
    Ok(Arc::new(Handle { line }))
}

impl Connecting {
    fn new(target: Target, config: ClientConfig) -> Self {
        let mut policy = LinkPolicy::default();
        if let Some(reconnect) = config.reconnect {
            policy.is_reconnecting = true;
            policy.backoff = reconnect.backoff;
            policy.deadline = reconnect.deadline;
        }
        let heartbeat_ms =
            config.heartbeat.map_or(0, |it| u32::try_from(it.as_millis()).unwrap_or(u32::MAX));
        let hello = ClientHello {
            purpose: config.purpose.to_wire(),
            rights: config.rights,
            client_id: config.client_id.unwrap_or_else(crate::sys::random_bytes),
            // Ours from the beginning: an answer that is lost does not take it along.
            resume_secret: crate::sys::random_bytes(),
            heartbeat_ms,
            ..ClientHello::default()
        };
        let seed = u64::from_ne_bytes(crate::sys::random_bytes());
        Self {
            line: Line::new(),
            link: Link::new(policy),
            target,
            hello,
            hello_timeout: config.hello_timeout,
            trace: config.trace,
            random: Rng::with_seed(seed),
            is_reconnecting: policy.is_reconnecting,
        }
    }

    /// Makes a lost connection again, however often that takes.
    pub(super) async fn come_back(&mut self, lost: LineEnd) -> Result<Connection, Ended> {
        if !matches!(lost, LineEnd::Left) {
            if self.line.take_progress() {
                self.link.handle_progress();
            }
            self.handle_lost();
            if !matches!(self.link.action(), LinkAction::Stop(_)) {
                self.line.handle_lost(lost);
            }
        } else {
            self.link.handle_leave();
        }
        loop {
            match self.link.action() {
                LinkAction::Stop(end) => return Err(self.ended(end, lost)),
                LinkAction::WaitUntil(until) => {
                    self.tell_waiting(until.into());
                    tokio::select! {
                        biased;
                        () = self.line.left() => self.link.handle_leave(),
                        () = tokio::time::sleep_until(until.into()) => {
                            self.link.handle_timeout(std::time::Instant::now());
                        }
                    }
                }
                LinkAction::Connect | LinkAction::Talk => {
                    if let Some(connection) = self.attempt().await {
                        return Ok(connection);
                    }
                }
            }
        }
    }

    fn ended(&self, end: LinkEnd, lost: LineEnd) -> Ended {
        let reason = GiveUpReason::of(end).filter(|_| self.is_reconnecting);
        let end = match (end, reason) {
            (LinkEnd::Closed(reason), _) => LineEnd::Closed(reason),
            (LinkEnd::Protocol(error), _) => LineEnd::Protocol(error),
            (_, Some(reason)) => LineEnd::GaveUp(reason),
            (_, None) => lost,
        };
        (end, reason)
    }

    /// One try. Without a connection, the link knows what to do next.
    async fn attempt(&mut self) -> Option<Connection> {
        let line = Arc::clone(&self.line);
        let connected = tokio::select! {
            biased;
            () = line.left() => {
                self.link.handle_leave();
                return None;
            }
            connected = self.connect() => connected,
        };
        match connected {
            Ok(connection) => Some(connection),
            Err(failure) => {
                self.line.outgoing.break_off();
                if let ConnectFailure::Refused { refusal: Refusal::ResumeSecret, .. } = failure {
                    self.hello.client_id = crate::sys::random_bytes();
                    self.hello.resume_secret = crate::sys::random_bytes();
                }
                if self.link.action() == LinkAction::Connect {
                    let (now, random) = (std::time::Instant::now(), self.random.u64(..));
                    self.link.handle_connect_failed(is_permanent(&failure), now, random);
                } else {
                    self.handle_lost();
                }
                None
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, ConnectFailure> {
        let stream = self.target.connect().await?;
        self.say_hello(stream).await
    }

    /// Says hello and waits for the welcome.
    async fn say_hello(
        &mut self,
        stream: Arc<super::stream::ClientStream>,
    ) -> Result<Connection, ConnectFailure> {
        self.link.handle_connected();
        let tap = Tap::new(self.trace.as_ref(), Side::Client);
        let hello = self.hello.encode();
        let mut connection = Connection::new(Arc::clone(&self.line), stream, tap, &hello);
        let welcome = welcome(&mut connection, &mut self.link);
        let hello = tokio::time::timeout(self.hello_timeout, welcome)
            .await
            .map_err(|_| ConnectFailure::Timeout)??;
        let now = std::time::Instant::now();
        self.link.handle_ready(now);
        self.hello.resume_secret = hello.resume_secret;
        self.hello.engine_seen = hello.engine_id;
        if let Some(interval) = Heartbeat::granted(hello.heartbeat_ms) {
            connection.beat(Heartbeat::new(interval, now));
        }
        self.line.handle_welcome(hello);
        Ok(connection)
    }

    fn handle_lost(&mut self) {
        self.link.handle_lost(std::time::Instant::now(), self.random.u64(..));
    }

    fn tell_waiting(&self, until: tokio::time::Instant) {
        let next_in = until.saturating_duration_since(tokio::time::Instant::now());
        for inbox in self.line.inboxes() {
            inbox.handle_waiting(self.link.attempts(), next_in);
        }
    }
}

async fn welcome(
    connection: &mut Connection,
    link: &mut Link,
) -> Result<EngineHello, ConnectFailure> {
    loop {
        match connection.turn(link).await {
            Ok(Turn::Nothing) => {}
            Ok(Turn::Hello(hello)) => return Ok(hello),
            Ok(Turn::Refused(hello)) => {
                let refusal = Refusal::from_wire(hello.status).unwrap_or(Refusal::Version);
                return Err(ConnectFailure::Refused { refusal, hello: Box::new(hello) });
            }
            Err(LineEnd::Protocol(error)) => return Err(ConnectFailure::Protocol(error)),
            Err(_) => return Err(ConnectFailure::Lost),
        }
    }
}
