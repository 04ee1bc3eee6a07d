//! A session and the tasks that serve it: reader, writer, timer, waiter.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::{Mutex, MutexGuard};
use tautline_protocol::{DetachReason, ErrorCode, WindowSize};
use tokio::sync::{Notify, mpsc};

use super::{
    Engine, client_handle::ClientHandle, failure::Failure, pty_reader, pty_writer,
    pty_writer::PtyCommand, recipe::Recipe, session_timer, statistics::count,
};
use crate::{
    limits::{PTY_COMMANDS_MAX, SHUTDOWN_GRACE},
    pty::{Child, Controller, spawn},
    state::{AttachmentId, EndStep, READ_TURN, Session, SessionLog, SessionTerms},
};

/// One session, shared by its tasks and the clients attached to it.
#[derive(Debug)]
pub(super) struct SessionHost {
    /// Higher than that of every session made before.
    pub(super) number: u64,
    core: Mutex<SessionCore>,
    /// The child was given room to print again, or is to be given up.
    pub(super) reading: Notify,
    /// A deadline moved closer.
    pub(super) timing: Notify,
    /// The child ended and all it printed is in the log.
    pub(super) ended: Notify,
    /// Another child was started, or will not be.
    settled: Notify,
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
    /// How often another child was tried to be started, and why the last try failed.
    tries: u64,
    failed: Option<Failure>,
    /// When the last child was seen to have ended.
    pub(super) ended_at: Option<Instant>,
    is_removed: bool,
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

impl SessionHost {
    /// Starts a child in a new session.
    pub(super) fn start(
        engine: &Arc<Engine>,
        name: String,
        recipe: Recipe,
        terms: SessionTerms,
    ) -> Result<Arc<Self>, Failure> {
        let memory = crate::sys::zeroed(terms.log_size + READ_TURN)
            .map_err(|error| Failure::system("keep a log of that size", &error))?;
        let log = SessionLog::with_memory(memory);
        let host = Arc::new(Self {
            number: engine.next_number(),
            core: Mutex::new(SessionCore {
                session: Session::with_log(terms, log),
                name,
                recipe,
                command: Vec::new(),
                created: SystemTime::now(),
                restarts: 0,
                tries: 0,
                failed: None,
                ended_at: None,
                is_removed: false,
                running: None,
                read_at: Instant::now(),
                armed: None,
            }),
            reading: Notify::new(),
            timing: Notify::new(),
            ended: Notify::new(),
            settled: Notify::new(),
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
        core.session.handle_started(epoch, child.pid(), Instant::now());
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
}

impl SessionHost {
    /// Asks the child to end, and sees to it that it is killed if it does not within `grace`. No
    /// other child is started. Returns which child that was.
    pub(super) fn ask_to_stop(&self, number: i32, grace: Duration) -> u64 {
        let mut core = self.lock();
        core.session.handle_stopping();
        core.wake_all();
        let epoch = core.ask_to_end(number, grace);
        drop(core);
        self.settled.notify_waiters();
        self.timing.notify_one();
        epoch
    }

    /// As [`ask_to_stop`](Self::ask_to_stop), and another child is started then. Returns how many
    /// were tried to be started before.
    pub(super) fn ask_to_restart(&self, number: i32, grace: Duration) -> u64 {
        let mut core = self.lock();
        core.session.handle_restart_asked(Instant::now());
        core.ask_to_end(number, grace);
        let tries = core.tries;
        drop(core);
        self.timing.notify_one();
        tries
    }

    /// Waits until that child has ended and all it printed is in the log.
    pub(super) async fn stopped(&self, epoch: u64) {
        loop {
            let ended = self.ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            {
                let core = self.lock();
                if core.session.epoch() != epoch || !core.session.is_live() {
                    return;
                }
            }
            ended.await;
        }
    }

    /// Waits until a child was started after so many tries, or will not be.
    pub(super) async fn restarted(&self, tries: u64) -> Result<(), Failure> {
        loop {
            let settled = self.settled.notified();
            let mut settled = std::pin::pin!(settled);
            settled.as_mut().enable();
            {
                let core = self.lock();
                if core.tries != tries {
                    return core.failed.clone().map_or(Ok(()), Err);
                }
                if core.is_removed || core.session.is_over() {
                    let text = "the session was stopped before its child was started again";
                    return Err(Failure::new(ErrorCode::SessionExited, text));
                }
            }
            settled.await;
        }
    }

    /// Does what is due about a child that was asked to end.
    pub(super) fn end_if_due(&self) {
        let mut core = self.lock();
        while let Some(step) = core.session.poll_end(Instant::now()) {
            let running = core.running.clone();
            match (step, running) {
                (EndStep::HangUp, _) => {
                    core.session.handle_stopping();
                    core.wake_all();
                    core.ask_to_end(libc::SIGHUP, SHUTDOWN_GRACE);
                    self.settled.notify_waiters();
                }
                (EndStep::Kill, Some(running)) => {
                    // It may have ended a moment ago, which is what was wanted.
                    let _ = running.signal_session(libc::SIGKILL);
                }
                (EndStep::LetGo, Some(running)) => running.hangup.notify_one(),
                (_, None) => {}
            }
        }
    }

    /// Starts the next child if it is time to.
    pub(super) fn start_if_due(self: &Arc<Self>, engine: &Arc<Engine>) {
        let now = Instant::now();
        let is_due = {
            let core = self.lock();
            core.session.is_restart_due(now) && core.running.is_none()
        };
        if !is_due {
            return;
        }
        let started = self.start_child(engine);
        let mut core = self.lock();
        core.tries += 1;
        core.failed = started.err();
        match &core.failed {
            None => core.restarts += 1,
            Some(failure) => {
                tracing::warn!(session = core.name, why = %failure.text, "cannot start the child");
                core.session.handle_start_failed(now);
                core.wake_all();
            }
        }
        drop(core);
        self.settled.notify_waiters();
    }

    /// Ends all attachments, because the session goes.
    pub(super) fn remove(&self) {
        let mut core = self.lock();
        core.is_removed = true;
        core.session.handle_removed();
        core.wake_all();
        drop(core);
        self.settled.notify_waiters();
        self.timing.notify_one();
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
    /// Whether this is the session of that name; one whose end everybody was told is none.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name && !self.session.is_gone()
    }

    /// Wakes every client attached.
    pub(super) fn wake_all(&self) {
        for attachment in self.session.attachments() {
            attachment.handle().wake();
        }
    }

    /// Signals the child that runs, if one does, and gives it `grace` to end. Returns its epoch.
    fn ask_to_end(&mut self, number: i32, grace: Duration) -> u64 {
        self.session.handle_end_asked(grace, Instant::now());
        if let Some(running) = self.running.as_ref().filter(|_| !grace.is_zero()) {
            // A stopped child hears nothing until it is continued.
            let _ = running.signal_session(number);
            let _ = running.signal_session(libc::SIGCONT);
        }
        self.session.epoch()
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

    pub(super) fn detach_others(&mut self, except: AttachmentId) {
        self.session.handle_detach_others(except, DetachReason::Kicked);
        self.wake_all();
    }
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
