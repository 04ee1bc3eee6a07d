//! Connecting, and requests as calls that wait for their answer.

use std::{path::Path, sync::Arc, time::Duration};

use tautline_protocol::{EngineHello, SignalTarget, SizePolicy, WindowSize};

use super::{Events, Input, background::Background, pump::join};
use crate::{
    client::{
        self, AttachOptions, ClientConfig, ConnectFailure, EngineStats, LogRange, LogText,
        PongTimes, RequestError, ScreenOptions, SessionScreen, SessionStatus, SpawnRequest,
        SpawnedSession, StatsOptions,
    },
    transport::MemoryConnector,
};

/// A connection to an engine, driven by a thread of its own.
///
/// Clones share both; they end when the last one and all attachments are dropped. Every method but
/// [`hello`](Self::hello) waits and panics inside an async runtime; see [the
/// module](crate::blocking#not-in-async-code).
#[derive(Clone, Debug)]
pub struct Client {
    // Before the thread that drives it.
    client: client::Client,
    background: Arc<Background>,
}

impl Client {
    /// Connects to the engine of the same user at `path`.
    ///
    /// # Errors
    ///
    /// See [`ConnectFailure`]. The first connection is not tried twice.
    pub fn connect(path: impl AsRef<Path>, config: ClientConfig) -> Result<Self, ConnectFailure> {
        let background = Background::start().map_err(ConnectFailure::Thread)?;
        let client = background.wait(client::Client::connect(path, config))?;
        Ok(Self { client, background })
    }

    /// Connects to an engine in this process.
    ///
    /// # Errors
    ///
    /// See [`ConnectFailure`].
    pub fn connect_in_process(
        connector: &MemoryConnector,
        config: ClientConfig,
    ) -> Result<Self, ConnectFailure> {
        let background = Background::start().map_err(ConnectFailure::Thread)?;
        let client = background.wait(client::Client::connect_in_process(connector, config))?;
        Ok(Self { client, background })
    }

    /// What the engine answered when it was connected last: its limits, the rights it granted.
    pub fn hello(&self) -> EngineHello {
        self.client.hello()
    }

    /// Joins a session: one half types, the other tells what happens. For `waker` see [the
    /// module](crate::blocking#the-waker).
    ///
    /// # Errors
    ///
    /// `NoSuchSession` among others; nothing was changed then.
    pub fn attach(
        &self,
        name: &str,
        options: &AttachOptions,
        waker: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Input, Events), RequestError> {
        let (input, events) = self.background.wait(self.client.attach(name, options))?;
        Ok(join(&self.background, input, events, waker))
    }

    /// Starts a child in a session of its own.
    ///
    /// # Errors
    ///
    /// `NameTaken`, `ProgramNotFound` and others; nothing is left behind then.
    pub fn spawn(&self, request: &SpawnRequest) -> Result<SpawnedSession, RequestError> {
        self.background.wait(self.client.spawn(request))
    }

    /// Starts a child and attaches to it in one step: nothing it prints can be missed.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub fn spawn_attached(
        &self,
        request: &SpawnRequest,
        options: &AttachOptions,
        waker: impl Fn() + Send + Sync + 'static,
    ) -> Result<(SpawnedSession, Input, Events), RequestError> {
        let spawning = self.client.spawn_attached(request, options);
        let (spawned, input, events) = self.background.wait(spawning)?;
        let (input, events) = join(&self.background, input, events, waker);
        Ok((spawned, input, events))
    }

    /// The sessions' names, oldest first.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn sessions(&self) -> Result<Vec<String>, RequestError> {
        self.background.wait(self.client.sessions())
    }

    /// Describes one session, or all.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    pub fn status(&self, name: Option<&str>) -> Result<Vec<SessionStatus>, RequestError> {
        self.background.wait(self.client.status(name))
    }

    /// Reads a session's log without attaching, and tells what of it is missing.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    pub fn logs(&self, name: &str, range: LogRange) -> Result<LogText, RequestError> {
        self.background.wait(self.client.logs(name, range))
    }

    /// Asks for a sign of life, with a payload that comes back; at most 8,128 bytes.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn ping(&self, payload: &[u8]) -> Result<PongTimes, RequestError> {
        self.background.wait(self.client.ping(payload))
    }

    /// Ends a session's child: `signal` first (0 for a hang-up), a kill after `grace`. Returns when
    /// it has ended.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` among others.
    pub fn stop(&self, name: &str, signal: i32, grace: Duration) -> Result<(), RequestError> {
        self.background.wait(self.client.stop(name, signal, grace))
    }

    /// Ends a session's child, as [`stop`](Self::stop) does, and starts it again; returns when the
    /// new child runs.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` among others, and what starting a program can be refused with.
    pub fn restart(&self, name: &str, signal: i32, grace: Duration) -> Result<(), RequestError> {
        self.background.wait(self.client.restart(name, signal, grace))
    }

    /// Reads a session's screen without attaching.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    pub fn screen(
        &self,
        name: &str,
        options: ScreenOptions,
    ) -> Result<SessionScreen, RequestError> {
        self.background.wait(self.client.screen(name, options))
    }

    /// Reads the engine's figures, or one session's.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    pub fn stats(&self, options: &StatsOptions) -> Result<EngineStats, RequestError> {
        self.background.wait(self.client.stats(options))
    }

    /// Forgets a session whose child has ended, or with `force` any.
    ///
    /// # Errors
    ///
    /// `SessionLive` without `force`.
    pub fn remove(&self, name: &str, force: bool) -> Result<(), RequestError> {
        self.background.wait(self.client.remove(name, force))
    }

    /// Gives a session another name.
    ///
    /// # Errors
    ///
    /// `NameTaken` among others.
    pub fn rename(&self, name: &str, new_name: &str) -> Result<(), RequestError> {
        self.background.wait(self.client.rename(name, new_name))
    }

    /// Sends a signal at once, past any queued input.
    ///
    /// # Errors
    ///
    /// `SessionExited` among others.
    pub fn signal(
        &self,
        name: &str,
        number: i32,
        target: SignalTarget,
    ) -> Result<(), RequestError> {
        self.background.wait(self.client.signal(name, number, target))
    }

    /// Sets a session's size and whose size counts from now on.
    ///
    /// # Errors
    ///
    /// `InvalidSize` among others.
    pub fn resize(
        &self,
        name: &str,
        size: WindowSize,
        policy: SizePolicy,
    ) -> Result<(), RequestError> {
        self.background.wait(self.client.resize(name, size, policy))
    }

    /// Ends a session's attachments, all or only others' than this connection's; returns how many.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` among others.
    pub fn kick(&self, name: &str, others_only: bool) -> Result<u64, RequestError> {
        self.background.wait(self.client.kick(name, others_only))
    }

    /// Asks the engine to load a plugin.
    ///
    /// # Errors
    ///
    /// What is wrong with the path, or that no plugin host is configured.
    pub fn load_plugin(&self, path: &Path) -> Result<(), RequestError> {
        self.background.wait(self.client.load_plugin(path))
    }

    /// Drains and stops the engine; without `force` only if no session lives.
    ///
    /// # Errors
    ///
    /// `SessionsLive` without `force`.
    pub fn shutdown(&self, force: bool) -> Result<(), RequestError> {
        self.background.wait(self.client.shutdown(force))
    }

    /// Ends the connection in order, for all who share it. Returns when the engine has handled
    /// everything sent before.
    pub fn close(self) {
        self.background.wait(self.client.close());
    }
}
