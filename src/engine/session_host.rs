//! A session and the tasks that serve it: reader, writer, timer, waiter.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::{Mutex, MutexGuard};
use tautline_protocol::{AttachFlags, DetachReason, RestartPolicy, WindowSize, entries};
use tokio::sync::{Notify, mpsc};

use super::{
    Engine, client_handle::ClientHandle, failure::Failure, pty_reader, pty_writer,
    pty_writer::PtyCommand, requests::Attached, session_timer, statistics::count,
};
use crate::{
    limits::{OWNER_GRACE, PTY_COMMANDS_MAX, SHUTDOWN_GRACE},
    pty::{Child, ChildCommand, Controller, spawn},
    state::{AttachmentId, EXIT_GRACE, Session, SessionTerms},
};

/// One session, shared by its tasks and the clients attached to it.
#[derive(Debug)]
pub(super) struct SessionHost {
    core: Mutex<SessionCore>,
    /// The child was given room to print again, or is to be given up.
    pub(super) reading: Notify,
    /// A deadline moved closer.
    pub(super) timing: Notify,
    /// The child ended and all it printed is in the log.
    pub(super) ended: Notify,
}

/// What changes, under one lock that is never held across an await.
#[derive(Debug)]
pub(super) struct SessionCore {
    pub(super) session: Session<Arc<ClientHandle>>,
    pub(super) name: String,
    pub(super) recipe: Recipe,
    /// What runs or ran last, as a list: the shell too, if that was the engine's choice.
    pub(super) command: Vec<u8>,
    pub(super) created: SystemTime,
    pub(super) restarts: u32,
    pub(super) running: Option<Running>,
    /// When output was last read from the terminal.
    pub(super) read_at: Instant,
    /// When the timer will look next.
    pub(super) armed: Option<Instant>,
}

/// The child that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) controller: Controller,
    pub(super) commands: mpsc::Sender<PtyCommand>,
    /// Tells the tasks of this child to let go of the terminal.
    pub(super) hangup: Arc<Notify>,
}

/// How to start the child, now and again.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) argv: Vec<u8>,
    pub(super) env: Vec<u8>,
    pub(super) cwd: Vec<u8>,
    /// Whether the child starts from the engine's own basic variables.
    pub(super) is_clean: bool,
    pub(super) is_raw: bool,
    pub(super) is_login: bool,
    pub(super) restart: RestartPolicy,
}

impl SessionHost {
    /// Starts a child in a new session.
    pub(super) fn start(
        engine: &Arc<Engine>,
        name: String,
        recipe: Recipe,
        terms: SessionTerms,
    ) -> Result<Arc<Self>, Failure> {
        let host = Arc::new(Self {
            core: Mutex::new(SessionCore {
                session: Session::new(terms),
                name,
                recipe,
                command: Vec::new(),
                created: SystemTime::now(),
                restarts: 0,
                running: None,
                read_at: Instant::now(),
                armed: None,
            }),
            reading: Notify::new(),
            timing: Notify::new(),
            ended: Notify::new(),
        });
        host.start_child(engine)?;
        count(&engine.counters.sessions, 1);
        tokio::spawn(session_timer::run(Arc::clone(&host), Arc::clone(engine)));
        Ok(host)
    }

    /// Starts the session's child, the first or the next.
    pub(super) fn start_child(self: &Arc<Self>, engine: &Arc<Engine>) -> Result<(), Failure> {
        let mut core = self.lock();
        let command = core.recipe.command(engine, &core.name)?;
        let (controller, child) = spawn(&command, core.session.size())?;
        core.command = command.argv();
        let (commands, receiver) = mpsc::channel(PTY_COMMANDS_MAX);
        let hangup = Arc::new(Notify::new());
        let epoch = engine.new_number();
        core.session.handle_started(epoch, child.pid());
        core.running = Some(Running {
            child: child.clone(),
            controller: controller.clone(),
            commands,
            hangup: Arc::clone(&hangup),
        });
        core.wake_all();
        drop(core);
        tokio::spawn(pty_reader::run(
            Arc::clone(engine),
            Arc::clone(self),
            controller.clone(),
            hangup,
            epoch,
        ));
        let writer = pty_writer::PtyWriter::new(Arc::clone(self), Arc::clone(engine), controller);
        tokio::spawn(writer.run(receiver));
        tokio::spawn(wait_for(Arc::clone(self), child));
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SessionCore> {
        self.core.lock()
    }

    /// The child exited or its output ended: whoever waits for either looks again, and the timer
    /// for what is due now.
    pub(super) fn tell_end(&self, core: MutexGuard<'_, SessionCore>) {
        core.wake_all();
        let is_over = !core.session.is_live();
        drop(core);
        if is_over {
            self.ended.notify_waiters();
        }
        self.timing.notify_one();
    }

    /// Looks whether a deadline moved closer than the timer knows; wakes it if so.
    pub(super) fn rearm(&self, core: &mut SessionCore) {
        let deadline = core.session.deadline();
        let is_closer = match (deadline, core.armed) {
            (Some(deadline), Some(armed)) => deadline < armed,
            (deadline, None) => deadline.is_some(),
            (None, Some(_)) => false,
        };
        if is_closer {
            core.armed = deadline;
            self.timing.notify_one();
        }
    }

    /// A client left or was lost. A session that belongs to a client who stays away is hung up.
    pub(super) fn leave(self: &Arc<Self>, attached: &Attached) {
        let was_owned = self.lock().is_owned();
        self.forget(attached.id);
        if was_owned && !self.lock().is_owned() {
            let host = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(OWNER_GRACE).await;
                if !host.lock().is_owned() {
                    host.stop(libc::SIGHUP, SHUTDOWN_GRACE).await;
                }
            });
        }
    }

    /// Ends an attachment whose connection is gone or whose end was told.
    fn forget(&self, id: AttachmentId) {
        let mut core = self.lock();
        core.session.forget(id);
        let size = core.session.handle_sizes_changed();
        if let Some(size) = size {
            core.resize(size);
            core.wake_all();
        }
        drop(core);
        // Who held the child holds it no more, and the session may be finished with.
        self.reading.notify_one();
        self.timing.notify_one();
    }
}

impl SessionHost {
    /// Asks the child to end, and kills it if it does not within `grace`; returns when it has.
    pub(super) async fn stop(&self, number: i32, grace: Duration) {
        let ended = self.ended.notified();
        let mut ended = std::pin::pin!(ended);
        ended.as_mut().enable();
        let running = {
            let mut core = self.lock();
            core.session.handle_stopping();
            if !core.session.is_live() {
                return;
            }
            core.running.clone()
        };
        let Some(running) = running else { return };
        if !grace.is_zero() {
            // A stopped child hears nothing until it is continued.
            let _ = running.signal_session(number);
            let _ = running.signal_session(libc::SIGCONT);
            if tokio::time::timeout(grace, ended.as_mut()).await.is_ok() {
                return;
            }
        }
        let _ = running.signal_session(libc::SIGKILL);
        // What it printed is still in the terminal: only what nobody reads in time is cut.
        if tokio::time::timeout(2 * EXIT_GRACE, ended.as_mut()).await.is_err() {
            running.hangup.notify_one();
            ended.await;
        }
    }
}

impl Running {
    /// Signals the process group in the foreground of the terminal.
    pub(super) fn signal_foreground(&self, number: i32) -> io::Result<()> {
        let signal = crate::pty::signal(number)?;
        match self.controller.foreground() {
            Some(group) => Ok(rustix::process::kill_process_group(group, signal)?),
            None => self.child.signal_group(number),
        }
    }

    /// Signals the child's group and the one in the foreground: all that job control knows.
    pub(super) fn signal_session(&self, number: i32) -> io::Result<()> {
        let foreground = self.signal_foreground(number);
        self.child.signal_group(number).or(foreground)
    }
}

impl SessionCore {
    /// Wakes every client attached.
    pub(super) fn wake_all(&self) {
        for attachment in self.session.attachments() {
            attachment.handle().wake();
        }
    }

    /// Whether somebody attached owns the session.
    fn is_owned(&self) -> bool {
        let owns = |flags: u32| flags & AttachFlags::OWNER != 0;
        self.session.attachments().iter().any(|attachment| owns(attachment.flags()))
    }

    /// Wakes every client that there is something to send to.
    pub(super) fn wake_due(&self) {
        for attachment in self.session.attachments() {
            let mut cursor = attachment.cursor();
            if self.session.next_send(attachment, &mut cursor).is_some() {
                attachment.handle().wake();
            }
        }
    }

    /// Passes a new size on to the terminal, behind the input that came before.
    pub(super) fn resize(&self, size: WindowSize) {
        let Some(running) = &self.running else { return };
        let commands = running.commands.clone();
        if let Err(mpsc::error::TrySendError::Full(command)) =
            commands.try_send(PtyCommand::Resize(size))
        {
            // Full for this turn only; a child that ended meanwhile needs no size.
            tokio::spawn(async move { commands.send(command).await.ok() });
        }
    }

    /// Name of the process in the foreground, if it can be known.
    pub(super) fn foreground_name(&self) -> Vec<u8> {
        let foreground = self.running.as_ref().and_then(|running| running.controller.foreground());
        foreground.map_or_else(Vec::new, crate::pty::process_name)
    }

    /// The child's directory now, or the one it was started in.
    pub(super) fn current_directory(&self) -> Vec<u8> {
        let running = self.running.as_ref().map(|running| running.child.pid());
        let now = running.and_then(crate::pty::process_directory);
        now.unwrap_or_else(|| self.recipe.cwd.clone())
    }

    /// Ends all attachments, because the session goes.
    pub(super) fn remove(&mut self) {
        self.session.handle_removed();
        self.wake_all();
    }

    pub(super) fn detach_others(&mut self, except: AttachmentId) {
        self.session.handle_detach_others(except, DetachReason::Kicked);
        self.wake_all();
    }
}

impl Recipe {
    /// Takes over variables for children started later.
    pub(super) fn refresh_env(&mut self, changes: &[u8]) {
        for change in entries(changes) {
            let name = change.split_inclusive(|&byte| byte == b'=').next().unwrap_or_default();
            let is_other = |entry: &&[u8]| !entry.starts_with(name);
            let mut env: Vec<u8> =
                entries(&self.env).filter(is_other).flat_map(terminated).collect();
            env.extend(terminated(change));
            self.env = env;
        }
    }

    fn command(&self, engine: &Engine, session: &str) -> Result<ChildCommand, Failure> {
        let mut env: Vec<(OsString, OsString)> =
            if self.is_clean { basic_environment() } else { Vec::new() };
        for (name, value) in entries(&self.env).filter_map(variable) {
            env.retain(|(known, _)| *known != name);
            env.push((name, value));
        }
        if !env.iter().any(|(name, _)| name == "TERM") {
            env.push(("TERM".into(), "xterm-256color".into()));
        }
        let mut set = |name: &str, value: &OsStr| {
            env.retain(|(known, _)| known != name);
            env.push((name.into(), value.into()));
        };
        set("TAUT_SESSION", OsStr::new(session));
        if let Some(socket) = engine.socket_path() {
            set("TAUT_SOCKET", socket.as_os_str());
        }
        let lookup = |name: &str| {
            env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let mut argv = entries(&self.argv).map(|arg| OsStr::from_bytes(arg).to_os_string());
        let program = argv
            .next()
            .or_else(|| lookup("SHELL").filter(|shell| !shell.is_empty()))
            .unwrap_or_else(|| "/bin/sh".into());
        let cwd = match self.cwd.as_slice() {
            [] => lookup("HOME").map_or_else(|| "/".into(), PathBuf::from),
            cwd => PathBuf::from(OsStr::from_bytes(cwd)),
        };
        let arg0 = self.is_login.then(|| {
            let name = PathBuf::from(&program);
            let mut arg0 = OsString::from("-");
            arg0.push(name.file_name().unwrap_or(&program));
            arg0
        });
        let args = argv.collect();
        Ok(ChildCommand { program, arg0, args, env, cwd, is_raw: self.is_raw })
    }
}

/// The engine's own variables that any child can use.
fn basic_environment() -> Vec<(OsString, OsString)> {
    const NAMES: [&str; 7] = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ"];
    let is_basic = |name: &OsStr| {
        NAMES.iter().any(|known| name == *known) || name.as_bytes().starts_with(b"LC_")
    };
    std::env::vars_os().filter(|(name, _)| is_basic(name)).collect()
}

/// An entry as it stands in a list.
fn terminated(entry: &[u8]) -> Vec<u8> {
    [entry, b"\0"].concat()
}

fn variable(entry: &[u8]) -> Option<(OsString, OsString)> {
    let at = entry.iter().position(|&byte| byte == b'=')?;
    let text = |bytes| OsStr::from_bytes(bytes).to_os_string();
    Some((text(&entry[..at]), text(&entry[at + 1..])))
}

/// Waits for the child, and reports its end to the session.
async fn wait_for(host: Arc<SessionHost>, child: Child) {
    let exit = child.wait().await;
    let mut core = host.lock();
    core.session.handle_exit(exit, Instant::now());
    // Nobody holds it any more: its last words are taken in.
    host.reading.notify_one();
    host.tell_end(core);
}
