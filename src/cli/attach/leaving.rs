//! The ways out, and what is said and done on each.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    super::{
        commands::session_json::show_exit,
        context::{Context, write_output},
        failure::{Failure, Outcome, exit_code},
        terminal::TerminalModes,
        text::signal_name::show_signal,
    },
    Stage,
};
use crate::{
    Event, Events, Input,
    protocol::{DetachReason, ExitKind},
    state::Exit,
};

/// How long the engine may take to take in what was typed last.
const DETACH_LIMIT: Duration = Duration::from_secs(1);

/// Why one is not attached any more.
#[derive(Clone, Debug)]
pub(crate) enum Leave {
    /// The detach keys.
    Left,
    /// The engine ended the attachment.
    Detached(DetachReason),
    /// The child ended.
    Exited(Exit),
    /// Somebody wants this process to end.
    Signal(i32),
    /// The terminal is gone.
    TerminalGone,
    /// Something went wrong.
    Failed(Failure),
}

impl Leave {
    /// What is said, and the exit code.
    pub(super) fn conclude(
        self,
        context: &Context,
        name: &str,
        is_mid_line: bool,
        (unknown, undelivered): (u64, u64),
    ) -> Outcome {
        let break_line = || {
            if is_mid_line && !context.is_quiet {
                // If the terminal is gone, so are those who would see it.
                let _ = write_output("\n");
            }
        };
        let say = |text: String| {
            break_line();
            context.note(&text);
        };
        match self {
            Self::Left => {
                say(format!("[detached from {name}]"));
                if unknown + undelivered > 0 {
                    let count = unknown + undelivered;
                    context.note(&format!("[{count} bytes typed last may not have arrived]"));
                }
                Ok(exit_code::SUCCESS)
            }
            Self::Detached(DetachReason::Removed) => {
                say(format!("[{name} was removed]"));
                Ok(exit_code::FAILURE)
            }
            Self::Detached(reason) => {
                let by = if reason == DetachReason::Kicked { " by another client" } else { "" };
                say(format!("[detached from {name}{by}]"));
                Ok(exit_code::SUCCESS)
            }
            Self::Exited(exit) => {
                say(format!("[{name} {}]", show_exit(exit)));
                if unknown + undelivered > 0 {
                    let count = unknown + undelivered;
                    context.note(&format!("[{count} bytes typed last came too late]"));
                }
                Ok(exit_status(exit))
            }
            Self::Signal(number) => {
                say(format!("[detached from {name} by {}]", show_signal(number)));
                Ok(exit_code::SIGNAL + number as u8)
            }
            Self::TerminalGone => {
                // Seen only where standard error leads somewhere else.
                context.note(&format!("[the terminal is gone; detached from {name}]"));
                Ok(exit_code::SIGNAL + libc::SIGHUP as u8)
            }
            Self::Failed(failure) => {
                break_line();
                if undelivered > 0 {
                    context.note(&format!("[{undelivered} bytes typed last were not delivered]"));
                }
                if unknown > 0 {
                    context.note(&format!("[{unknown} bytes typed last may have arrived or not]"));
                }
                Err(failure)
            }
        }
    }
}

/// A child's status as an exit code: 128 and the signal for one that a signal ended.
pub(crate) const fn exit_status(exit: Exit) -> u8 {
    match exit.kind {
        ExitKind::Code => exit.value as u8,
        ExitKind::Signal => exit_code::SIGNAL.wrapping_add(exit.value as u8),
        _ => exit_code::FAILURE,
    }
}

/// Turns off on our terminal what output turned on that was written to it.
pub(crate) fn give_back(output: &[u8]) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        return Ok(());
    }
    let mut modes = TerminalModes::default();
    modes.push(output);
    write_output(modes.undo())
}

/// Leaves in order: what was typed before is taken in.
pub(super) async fn detach(input: &Input, events: &mut Events, stage: &Stage) {
    input.detach();
    let told = async {
        while let Ok(Some(event)) = events.next().await {
            match event {
                Event::Undelivered { unknown, bytes, .. } => stage.note_given_up(unknown, bytes),
                Event::Detached { .. } => return,
                _ => {}
            }
        }
    };
    // An engine that does not answer in time is left without its answer.
    let _ = tokio::time::timeout(DETACH_LIMIT, told).await;
}

/// The signals that end this process.
#[derive(Debug)]
pub(crate) struct EndingSignals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
    quit: Signal,
    alarm: Signal,
    user: [Signal; 2],
}

impl EndingSignals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            alarm: signal(SignalKind::alarm())?,
            user: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
        })
    }

    /// Waits for one of them.
    pub(crate) async fn wait(&mut self) -> Leave {
        let [first, second] = &mut self.user;
        let number = tokio::select! {
            _ = self.terminate.recv() => libc::SIGTERM,
            _ = self.hangup.recv() => libc::SIGHUP,
            _ = self.interrupt.recv() => libc::SIGINT,
            _ = self.quit.recv() => libc::SIGQUIT,
            _ = self.alarm.recv() => libc::SIGALRM,
            _ = first.recv() => libc::SIGUSR1,
            _ = second.recv() => libc::SIGUSR2,
        };
        Leave::Signal(number)
    }
}
