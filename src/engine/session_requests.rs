//! Requests about sessions: make, join, leave, describe, end.

use std::{sync::Arc, time::Duration};

use tautline_protocol::{
    ArchivedAdjust, ArchivedControlMessage, ArchivedKick, ArchivedResize, ArchivedRestart,
    ArchivedScreenRequest, ArchivedShutdown, ArchivedSignal, ArchivedStatsRequest, ArchivedStop,
    AttachFlags, CloseReason, Delivery, DetachReason, ErrorCode, KickFlags, Limit, LogsFlags,
    RemoveFlags, Rights, ScreenFlags, ShutdownFlags, SignalFlags, SignalTarget, SizePolicy,
    UNCHANGED, WindowSize,
};

use super::{
    client_task::Next, failure::Failure, reply_stream::ReplyStream, requests::Client,
    screen_job::ScreenRequest, session_host::SessionHost, statistics::StatsItems,
};

use crate::state::ClientId;

impl Client {
    pub(super) fn handle_session_request(
        &mut self,
        id: u64,
        message: &ArchivedControlMessage<'static>,
    ) -> Next {
        let outcome = match message {
            ArchivedControlMessage::Spawn(spawn) => return self.handle_spawn(id, spawn.get()),
            ArchivedControlMessage::Attach(attach) => return self.handle_attach(id, attach.get()),
            ArchivedControlMessage::Detach(detach) => {
                self.handle_detach(detach.get().attachment.to_native())
            }
            ArchivedControlMessage::Adjust(adjust) => self.handle_adjust(adjust.get()),
            ArchivedControlMessage::Kick(kick) => self.handle_kick(kick.get()),
            ArchivedControlMessage::Signal(signal) => self.handle_signal(signal.get()),
            ArchivedControlMessage::Stop(stop) => return self.handle_stop(id, stop.get()),
            ArchivedControlMessage::Restart(restart) => {
                return self.handle_restart(id, restart.get());
            }
            ArchivedControlMessage::Remove(remove) => {
                let remove = remove.get();
                let is_forced = remove.flags.to_native() & RemoveFlags::FORCE != 0;
                self.handle_remove(&text(&remove.name), is_forced)
            }
            ArchivedControlMessage::Rename(rename) => {
                let rename = rename.get();
                self.handle_rename(&text(&rename.name), &text(&rename.new_name))
            }
            ArchivedControlMessage::List(_) => {
                if let Err(failure) = self.require(Rights::VIEW) {
                    return self.answer(id, Err(failure));
                }
                let stream = ReplyStream::sessions(id, Arc::clone(&self.engine));
                return self.stream(id, Ok(stream));
            }
            ArchivedControlMessage::Status(status) => {
                let stream = self.status_of(id, &text(&status.get().name));
                return self.stream(id, stream);
            }
            ArchivedControlMessage::Logs(logs) => {
                let logs = logs.get();
                let host = self.require(Rights::VIEW);
                let host = host.and_then(|()| match logs.flags.to_native() & LogsFlags::FOLLOW {
                    0 => Ok(()),
                    _ => Err(Failure::unsupported("follow a log")),
                });
                let host = host.and_then(|()| self.engine.session(&text(&logs.name)));
                return self.stream(id, host.map(|host| ReplyStream::logs(id, &host, logs)));
            }
            ArchivedControlMessage::Screen(screen) => {
                let request = self.screen_request(screen.get());
                return self.stream(id, request.map(|request| ReplyStream::screen(id, request)));
            }
            ArchivedControlMessage::Stats(stats) => {
                let stream = self.stats_items(stats.get());
                return self.stream(id, stream.map(|items| ReplyStream::stats(id, items)));
            }
            ArchivedControlMessage::LoadPlugin(load) => self.handle_load_plugin(&load.get().path),
            ArchivedControlMessage::Shutdown(shutdown) => self.handle_shutdown(shutdown.get()),
            ArchivedControlMessage::Cancel(cancel) => {
                return self.handle_cancel(cancel.get().target.to_native());
            }
            _ => Err(Failure::unsupported("answer that request")),
        };
        self.answer(id, outcome)
    }

    fn handle_detach(&self, number: u32) -> Result<u64, Failure> {
        let attached = self.attached(number)?;
        attached.host.lock().session.handle_detach(attached.id, DetachReason::Asked);
        attached.host.reading.notify_one();
        Ok(0)
    }

    fn handle_adjust(&self, adjust: &ArchivedAdjust) -> Result<u64, Failure> {
        let attached = self.attached(adjust.attachment.to_native())?;
        if adjust.size_policy != UNCHANGED {
            self.require(Rights::RESIZE)?;
        }
        let delivery = Delivery::from_wire(adjust.delivery);
        let mut core = attached.host.lock();
        let window = core.session.attachment(attached.id).map_or(0, |at| at.window());
        if delivery.is_some_and(|delivery| delivery != Delivery::None)
            && window.max(adjust.window.to_native()) == 0
        {
            let failure = Failure::new(ErrorCode::InvalidNumber, "output needs a window");
            return Err(Failure { limit: Limit::OutputWindow, ..failure });
        }
        let mut flags = adjust.flags.to_native();
        if self.rights & Rights::TYPE == 0 {
            flags |= AttachFlags::READ_ONLY;
        }
        if let Some(attachment) = core.session.attachment_mut(attached.id) {
            attachment.handle_adjust(
                flags,
                adjust.window.to_native(),
                adjust.pause_limit_ms.to_native(),
                delivery,
            );
        }
        if adjust.size_policy != UNCHANGED
            && let Some(policy) = SizePolicy::from_wire(adjust.size_policy)
        {
            if let Some(size) = core.session.handle_size_policy(policy) {
                core.resize(size);
            }
            core.wake_all();
        }
        drop(core);
        attached.host.reading.notify_one();
        Ok(0)
    }

    fn handle_kick(&self, kick: &ArchivedKick<'static>) -> Result<u64, Failure> {
        self.require(Rights::ADMIN)?;
        let flags = kick.flags.to_native();
        let name = text(&kick.name);
        let (is_sparing, number) = (flags & KickFlags::OTHERS != 0, kick.attachment.to_native());
        if name.is_empty() && flags & KickFlags::CONNECTION != 0 {
            return Ok(self.kick_connections(kick.client_id, is_sparing));
        }
        let mut count = 0;
        for host in self.hosts(&name)? {
            let mut core = host.lock();
            let kicked = core.session.attachments().iter().filter(|attachment| {
                (kick.client_id == [0; 16] || attachment.client() == kick.client_id)
                    && (number == 0 || attachment.number() == number)
                    && !(is_sparing && attachment.handle().number == self.handle.number)
            });
            let kicked: Vec<_> = kicked
                .map(|attachment| (attachment.id(), Arc::clone(attachment.handle())))
                .collect();
            count += kicked.len() as u64;
            for (id, handle) in kicked {
                if flags & KickFlags::CONNECTION != 0 {
                    handle.close(CloseReason::Kicked);
                } else {
                    core.session.handle_detach(id, DetachReason::Kicked);
                    handle.wake();
                }
            }
            count += core.session.handle_detach_away(|client, away| {
                (kick.client_id == [0; 16] || client == kick.client_id)
                    && (number == 0 || away == number)
                    && !(is_sparing && client == self.id)
            });
            drop(core);
            host.reading.notify_one();
        }
        Ok(count)
    }

    /// Ends a client's connections, attached or not; returns how many.
    fn kick_connections(&self, client: ClientId, is_sparing: bool) -> u64 {
        let clients = self.engine.clients();
        let kicked = clients.iter().filter(|handle| {
            handle.client() == client && !(is_sparing && handle.number == self.handle.number)
        });
        let count = kicked.inspect(|handle| handle.close(CloseReason::Kicked)).count() as u64;
        let away = self.engine.sessions().into_iter().map(|host| {
            host.lock().session.handle_detach_away(|away, _| away == client && away != self.id)
        });
        count + away.sum::<u64>()
    }

    fn handle_signal(&self, signal: &ArchivedSignal<'static>) -> Result<u64, Failure> {
        self.require(Rights::SIGNAL)?;
        if signal.flags.to_native() & SignalFlags::DROP_INPUT != 0 {
            return Err(Failure::unsupported("drop queued input"));
        }
        let host = self.engine.session(&text(&signal.name))?;
        let running = host.lock().running.clone();
        let Some(running) = running else {
            return Err(Failure::new(ErrorCode::SessionExited, "the session's child has ended"));
        };
        let number = signal.number.to_native();
        let sent = match SignalTarget::from_wire(signal.target) {
            Some(SignalTarget::Foreground) => running.signal_foreground(number),
            Some(SignalTarget::Session) => running.signal_session(number),
            _ => running.child.signal(number),
        };
        sent.map(|()| 0).map_err(|error| Failure::system("signal the child", &error))
    }

    fn handle_stop(&mut self, id: u64, stop: &ArchivedStop<'static>) -> Next {
        let host = match self.signalled(&stop.name) {
            Ok(host) => host,
            Err(failure) => return self.answer(id, Err(failure)),
        };
        let (number, grace) = (first_signal(stop.number.to_native()), stop.grace_ms.to_native());
        let epoch = host.ask_to_stop(number, Duration::from_millis(grace.into()));
        self.wait_for(id, async move {
            host.stopped(epoch).await;
            Ok(0)
        });
        Next::Continue
    }

    fn handle_restart(&mut self, id: u64, restart: &ArchivedRestart<'static>) -> Next {
        let host = match self.signalled(&restart.name).and_then(|host| {
            self.require(Rights::SPAWN)?;
            Ok(host)
        }) {
            Ok(host) => host,
            Err(failure) => return self.answer(id, Err(failure)),
        };
        let number = first_signal(restart.number.to_native());
        let grace = Duration::from_millis(restart.grace_ms.to_native().into());
        let tries = host.ask_to_restart(number, grace);
        self.wait_for(id, async move { host.restarted(tries).await.map(|()| 0) });
        Next::Continue
    }

    /// A session whose child may be signalled.
    fn signalled(&self, name: &[u8]) -> Result<Arc<SessionHost>, Failure> {
        self.require(Rights::SIGNAL)?;
        self.engine.session(&text(name))
    }

    fn handle_remove(&self, name: &str, is_forced: bool) -> Result<u64, Failure> {
        self.require(Rights::SIGNAL)?;
        let host = self.engine.session(name)?;
        let core = host.lock();
        if !core.session.is_over() {
            if !is_forced {
                let text = format!("the child of {name} lives; stop it first, or force");
                return Err(Failure::new(ErrorCode::SessionLive, text));
            }
            if let Some(running) = &core.running {
                // It may have ended a moment ago, which is what was wanted.
                let _ = running.signal_session(libc::SIGKILL);
            }
        }
        drop(core);
        self.engine.remove_session(&host);
        host.remove();
        Ok(0)
    }

    fn handle_rename(&self, name: &str, new_name: &str) -> Result<u64, Failure> {
        self.require(Rights::SPAWN)?;
        let host = self.engine.session(name)?;
        if name != new_name && self.engine.session(new_name).is_ok() {
            let text = format!("there is a session named {new_name} already");
            return Err(Failure::new(ErrorCode::NameTaken, text));
        }
        host.lock().name = new_name.into();
        Ok(0)
    }

    fn handle_load_plugin(&self, path: &[u8]) -> Result<u64, Failure> {
        self.require(Rights::ADMIN)?;
        let directory = self.engine.config.plugin_directory.as_deref();
        super::plugin_path::check(path, directory)?;
        Err(Failure::new(ErrorCode::NoPluginHost, "no plugin host is configured"))
    }

    fn handle_shutdown(&self, shutdown: &ArchivedShutdown) -> Result<u64, Failure> {
        self.require(Rights::ADMIN)?;
        let is_forced = shutdown.flags.to_native() & ShutdownFlags::FORCE != 0;
        let live =
            self.engine.sessions().iter().filter(|host| !host.lock().session.is_over()).count();
        if live > 0 && !is_forced {
            let text = match live {
                1 => "1 session lives".into(),
                live => format!("{live} sessions live"),
            };
            let failure = Failure::new(ErrorCode::SessionsLive, text);
            return Err(Failure { value: live as u64, ..failure });
        }
        self.engine.shut_down();
        Ok(0)
    }

    fn screen_request(
        &self,
        screen: &ArchivedScreenRequest<'static>,
    ) -> Result<ScreenRequest, Failure> {
        self.require(Rights::VIEW)?;
        let host = self.engine.session(&text(&screen.name))?;
        let is_styled = screen.flags.to_native() & ScreenFlags::STYLED != 0;
        let history_lines = screen.history_lines.to_native();
        let (engine, client) = (Arc::clone(&self.engine), Arc::clone(&self.handle));
        Ok(ScreenRequest::new(engine, client, &host, is_styled, history_lines))
    }

    fn stats_items(&self, stats: &ArchivedStatsRequest<'static>) -> Result<StatsItems, Failure> {
        self.require(Rights::VIEW)?;
        let (flags, name) = (stats.flags.to_native(), text(&stats.name));
        let host = match name.as_str() {
            "" => None,
            name => Some(self.engine.session(name)?),
        };
        Ok(StatsItems::new(Arc::clone(&self.engine), host.as_ref(), flags))
    }

    fn handle_cancel(&mut self, target: u64) -> Next {
        // A message of which parts are out is finished first; the stream then says that it was
        // cancelled.
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id() == target) {
            stream.cancel();
        }
        if self.waits.cancel(target, &self.handle) {
            return self.answer(target, Err(Failure::new(ErrorCode::Cancelled, "cancelled")));
        }
        Next::Continue
    }

    /// The session a `Resize` by name is about, and its new size if it changes.
    pub(super) fn resize_by_name(
        &self,
        resize: &ArchivedResize<'static>,
    ) -> Result<(Arc<SessionHost>, Option<WindowSize>), Failure> {
        let host = self.engine.session(&text(&resize.name))?;
        let size = WindowSize::from(&resize.size);
        let mut core = host.lock();
        let changed = match SizePolicy::from_wire(resize.size_policy) {
            Some(SizePolicy::Fixed) | None => core.session.handle_size_fixed(size),
            Some(policy) => core.session.handle_size_policy(policy),
        };
        drop(core);
        Ok((host, changed))
    }

    fn status_of(&self, id: u64, name: &str) -> Result<ReplyStream, Failure> {
        self.require(Rights::VIEW)?;
        if name.is_empty() {
            return Ok(ReplyStream::status_of_all(id, Arc::clone(&self.engine)));
        }
        self.engine.session(name).map(|host| ReplyStream::status(id, &host))
    }

    fn hosts(&self, name: &str) -> Result<Vec<Arc<SessionHost>>, Failure> {
        if name.is_empty() {
            return Ok(self.engine.sessions());
        }
        self.engine.session(name).map(|host| vec![host])
    }

    /// A reply of several frames: sent one by one, as the peer reads them.
    fn stream(&mut self, id: u64, stream: Result<ReplyStream, Failure>) -> Next {
        match stream {
            Ok(stream) => {
                self.streams.push_back(stream);
                Next::Continue
            }
            Err(failure) => self.answer(id, Err(failure)),
        }
    }
}

/// The signal asked for; a hang-up if none was named.
const fn first_signal(number: i32) -> i32 {
    if number == 0 { libc::SIGHUP } else { number }
}

/// A name or path for looking up; a name was checked to be ASCII before.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
