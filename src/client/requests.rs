//! Requests: one answer each, as owned values.

use std::{
    os::unix::ffi::OsStrExt,
    time::{Duration, Instant},
};

use tautline_protocol::{
    ArchivedEngineMessage, ArchivedSpawned, AttachTerms, ControlMessage, Disconnect, Kick,
    KickFlags, List, LoadPlugin, OwnedFrame, Ping, Remove, RemoveFlags, Rename, Resize, Restart,
    Shutdown, ShutdownFlags, Signal, SignalTarget, SizePolicy, Spawn, SpawnedFlags, StatusRequest,
    Stop, WindowSize, entries,
};
use tokio::sync::mpsc;

use super::{
    AttachOptions, Client, EngineError, Events, Input, PongTimes, RequestError, SessionStatus,
    SpawnRequest, SpawnedSession,
    attach::PendingAttachment,
    error::LineEnd,
    line::{Line, RequestFailed},
    session_types::{env_list, list},
};

impl Client {
    /// Starts a child in a session of its own.
    ///
    /// # Errors
    ///
    /// `NameTaken`, `ProgramNotFound` and others; nothing is left behind then.
    pub async fn spawn(&self, request: &SpawnRequest) -> Result<SpawnedSession, RequestError> {
        let (id, mut replies) = self.send_spawn(request, AttachTerms::default()).await?;
        let spawned = self.spawned(&mut replies).await;
        // `Spawned` ends this request: without an attachment nothing follows it.
        self.line().forget_request(id);
        spawned
    }

    /// Starts a child and attaches to it in one step: nothing it prints can be missed.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub async fn spawn_attached(
        &self,
        request: &SpawnRequest,
        options: &AttachOptions,
    ) -> Result<(SpawnedSession, Input, Events), RequestError> {
        let mut options = options.clone();
        if options.size.is_unset() {
            options.size = request.size;
        }
        let pending = PendingAttachment::new(self, &request.name, &options);
        let terms = options.terms(pending.inbox.number);
        let (_, mut replies) = self.send_spawn(request, terms).await?;
        let spawned = self.spawned(&mut replies).await?;
        pending.inbox.set_name(&spawned.name);
        let (input, events) = pending.finish(&mut replies).await?;
        Ok((spawned, input, events))
    }

    /// The sessions' names, oldest first.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub async fn sessions(&self) -> Result<Vec<String>, RequestError> {
        self.again(|| self.ask_sessions()).await
    }

    async fn ask_sessions(&self) -> Result<Vec<String>, RequestError> {
        let mut replies = self.ask(ControlMessage::List(List { flags: 0 })).await?;
        let frame = self.reply(&mut replies).await?;
        match frame.frame().engine() {
            Ok(ArchivedEngineMessage::Sessions(sessions)) => {
                let name = |name| String::from_utf8_lossy(name).into_owned();
                Ok(entries(&sessions.get().names).map(name).collect())
            }
            other => Err(refusal_or_lost(self.line(), other.ok())),
        }
    }

    /// Describes one session, or all.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    pub async fn status(&self, name: Option<&str>) -> Result<Vec<SessionStatus>, RequestError> {
        self.again(|| self.ask_status(name)).await
    }

    async fn ask_status(&self, name: Option<&str>) -> Result<Vec<SessionStatus>, RequestError> {
        let name = name.unwrap_or_default().into();
        let mut replies =
            self.ask(ControlMessage::Status(StatusRequest { flags: 0, name })).await?;
        let mut found = Vec::new();
        loop {
            let frame = self.reply(&mut replies).await?;
            match frame.frame().engine() {
                Ok(ArchivedEngineMessage::Status(status)) => {
                    found.push(SessionStatus::from(status.get()));
                }
                Ok(ArchivedEngineMessage::Done(_)) => return Ok(found),
                other => return Err(refusal_or_lost(self.line(), other.ok())),
            }
        }
    }

    /// Asks for a sign of life, with a payload that comes back; at most 8,128 bytes.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub async fn ping(&self, payload: &[u8]) -> Result<PongTimes, RequestError> {
        let begun = Instant::now();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let sent_ns = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
        let ping = Ping { token: sent_ns, sent_ns, bytes: payload.into() };
        let mut replies = self.ask(ControlMessage::Ping(ping)).await?;
        let frame = self.reply(&mut replies).await?;
        let round_trip = begun.elapsed();
        match frame.frame().engine() {
            Ok(ArchivedEngineMessage::Pong(pong)) => {
                let pong = pong.get();
                let (received_ns, replied_ns) =
                    (pong.received_ns.to_native(), pong.replied_ns.to_native());
                Ok(PongTimes { round_trip, sent_ns, received_ns, replied_ns })
            }
            other => Err(refusal_or_lost(self.line(), other.ok())),
        }
    }

    /// Ends a session's child: `signal` first (0 for a hang-up), a kill after `grace`. Resolves
    /// when it has ended.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` among others.
    pub async fn stop(&self, name: &str, signal: i32, grace: Duration) -> Result<(), RequestError> {
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        let stop = Stop { number: signal, grace_ms, name: name.into() };
        self.done(ControlMessage::Stop(stop)).await.map(|_| ())
    }

    /// Ends a session's child, as [`stop`](Self::stop) does, and starts it again; if it has ended
    /// already, only that. Resolves when the new child runs. Who is attached stays so.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` among others, and what starting a program can be refused with.
    pub async fn restart(
        &self,
        name: &str,
        signal: i32,
        grace: Duration,
    ) -> Result<(), RequestError> {
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        let restart = Restart { number: signal, grace_ms, name: name.into() };
        self.done(ControlMessage::Restart(restart)).await.map(|_| ())
    }

    /// Forgets a session whose child has ended, or with `force` any.
    ///
    /// # Errors
    ///
    /// `SessionLive` without `force`.
    pub async fn remove(&self, name: &str, force: bool) -> Result<(), RequestError> {
        let flags = if force { RemoveFlags::FORCE } else { 0 };
        let remove = Remove { flags, name: name.into() };
        self.done(ControlMessage::Remove(remove)).await.map(|_| ())
    }

    /// Gives a session another name.
    ///
    /// # Errors
    ///
    /// `NameTaken` among others.
    pub async fn rename(&self, name: &str, new_name: &str) -> Result<(), RequestError> {
        let rename = Rename { name: name.into(), new_name: new_name.into() };
        self.done(ControlMessage::Rename(rename)).await.map(|_| ())
    }

    /// Sends a signal at once, past any queued input.
    ///
    /// # Errors
    ///
    /// `SessionExited` among others.
    pub async fn signal(
        &self,
        name: &str,
        number: i32,
        target: SignalTarget,
    ) -> Result<(), RequestError> {
        let signal = Signal { number, flags: 0, target: target.to_wire(), name: name.into() };
        self.done(ControlMessage::Signal(signal)).await.map(|_| ())
    }

    /// Sets a session's size and whose size counts from now on.
    ///
    /// # Errors
    ///
    /// `InvalidSize` among others.
    pub async fn resize(
        &self,
        name: &str,
        size: WindowSize,
        policy: SizePolicy,
    ) -> Result<(), RequestError> {
        let size_policy = policy.to_wire();
        let resize = Resize { attachment: 0, size_policy, size, name: name.into() };
        self.done(ControlMessage::Resize(resize)).await.map(|_| ())
    }

    /// Ends a session's attachments, all or only others' than this connection's; returns how many.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` among others.
    pub async fn kick(&self, name: &str, others_only: bool) -> Result<u64, RequestError> {
        let flags = if others_only { KickFlags::OTHERS } else { 0 };
        let kick = Kick { attachment: 0, flags, client_id: [0; 16], name: name.into() };
        self.done(ControlMessage::Kick(kick)).await
    }

    /// Asks the engine to load a plugin.
    ///
    /// # Errors
    ///
    /// What is wrong with the path, or that no plugin host is configured.
    pub async fn load_plugin(&self, path: &std::path::Path) -> Result<(), RequestError> {
        let path = path.as_os_str().as_bytes().into();
        self.done(ControlMessage::LoadPlugin(LoadPlugin { flags: 0, path })).await.map(|_| ())
    }

    /// Drains and stops the engine; without `force` only if no session lives.
    ///
    /// # Errors
    ///
    /// `SessionsLive` without `force`.
    pub async fn shutdown(&self, force: bool) -> Result<(), RequestError> {
        let flags = if force { ShutdownFlags::FORCE } else { 0 };
        let shutdown = Shutdown { flags, grace_ms: 0 };
        self.done(ControlMessage::Shutdown(shutdown)).await.map(|_| ())
    }

    /// Ends the connection in order, for all who share it.
    ///
    /// Resolves when the engine has handled everything sent before.
    pub async fn close(self) {
        if self.line().tell(ControlMessage::Disconnect(Disconnect { flags: 0 })).is_ok() {
            self.line().ended().await;
        }
    }

    pub(super) fn line(&self) -> &Line {
        &self.handle.line
    }

    /// Asks once more when the answer was lost with the connection, for what may be asked twice. On
    /// a line that is not made again, it is asked once.
    pub(super) async fn again<T, F>(&self, ask: impl Fn() -> F) -> Result<T, RequestError>
    where
        F: Future<Output = Result<T, RequestError>>,
    {
        loop {
            match ask().await {
                Err(RequestError::Lost) if self.line().end().is_none() => {}
                outcome => return outcome,
            }
        }
    }

    pub(super) async fn ask(
        &self,
        message: ControlMessage<'_>,
    ) -> Result<mpsc::Receiver<OwnedFrame>, RequestError> {
        let (_, replies) = self.line().request(message).await.map_err(unsent)?;
        Ok(replies)
    }

    pub(super) async fn reply(
        &self,
        replies: &mut mpsc::Receiver<OwnedFrame>,
    ) -> Result<OwnedFrame, RequestError> {
        replies.recv().await.ok_or_else(|| refusal_or_lost(self.line(), None))
    }

    pub(super) async fn done(&self, message: ControlMessage<'_>) -> Result<u64, RequestError> {
        let mut replies = self.ask(message).await?;
        let frame = self.reply(&mut replies).await?;
        match frame.frame().engine() {
            Ok(ArchivedEngineMessage::Done(done)) => Ok(done.get().value.to_native()),
            other => Err(refusal_or_lost(self.line(), other.ok())),
        }
    }

    async fn send_spawn(
        &self,
        request: &SpawnRequest,
        terms: AttachTerms,
    ) -> Result<(u64, mpsc::Receiver<OwnedFrame>), RequestError> {
        let (argv, env) = (list(&request.argv), env_list(&request.env));
        let spawn = Spawn {
            terms,
            flags: request.flags,
            log_size: request.log_size,
            size: request.size,
            restart: request.restart.to_wire(),
            size_policy: request.size_policy.to_wire(),
            name: request.name.as_str().into(),
            argv: argv.as_slice().into(),
            env: env.as_slice().into(),
            cwd: request.cwd.as_os_str().as_bytes().into(),
        };
        self.line().request(ControlMessage::Spawn(spawn)).await.map_err(unsent)
    }

    async fn spawned(
        &self,
        replies: &mut mpsc::Receiver<OwnedFrame>,
    ) -> Result<SpawnedSession, RequestError> {
        let frame = self.reply(replies).await?;
        match frame.frame().engine() {
            Ok(ArchivedEngineMessage::Spawned(spawned)) => Ok(SpawnedSession::from(spawned.get())),
            other => Err(refusal_or_lost(self.line(), other.ok())),
        }
    }
}

impl From<&ArchivedSpawned<'_>> for SpawnedSession {
    fn from(spawned: &ArchivedSpawned<'_>) -> Self {
        Self {
            name: String::from_utf8_lossy(&spawned.name).into_owned(),
            pid: spawned.pid.to_native(),
            epoch: spawned.epoch.to_native(),
            existed: spawned.flags.to_native() & SpawnedFlags::EXISTED != 0,
        }
    }
}

/// Why there is no such answer: the engine's refusal, or the connection's end.
pub(super) fn refusal_or_lost(
    line: &Line,
    message: Option<&ArchivedEngineMessage<'_>>,
) -> RequestError {
    match message {
        Some(ArchivedEngineMessage::Error(error)) => {
            RequestError::Refused(EngineError::from(error.get()))
        }
        _ => line.end().unwrap_or(LineEnd::Lost).into(),
    }
}

pub(super) fn unsent(failed: RequestFailed) -> RequestError {
    match failed {
        RequestFailed::Ended(end) => end.into(),
        RequestFailed::TooLarge => RequestError::TooLarge,
    }
}
