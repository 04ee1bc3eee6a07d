//! `taut run`: a program on a terminal of its own, from here as if it had none.

use std::{ffi::OsString, io, time::Duration};

use clap::Args;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use super::{
    super::{
        attach::{self, AttachHow, Attached, exit_status},
        context::{Context, check_name},
        failure::{Failure, Outcome, exit_code},
        keys::DetachKeys,
        standard_input::StandardInput,
        terminal::{StandardOutput, Tty},
        text::duration::parse_duration,
    },
    spawn_options::{SpawnOptions, with_shell_exit},
};
use crate::{
    AttachOptions, Client, Event, Events, Input, SendError, SpawnRequest, SpawnedSession,
    protocol::{AttachFlags, ErrorCode, ExitKind, SpawnFlags, WindowSize},
    state::Exit,
};

/// Run a command on a terminal of its own, and exit with its status
///
/// Unless standard input and output are terminals, the command's own terminal neither echoes nor
/// changes what is printed: the bytes that come out are the command's. Standard input is forwarded,
/// its end as the terminal's end-of-file character. It is typed there: unless the command asks its
/// terminal for every byte, control characters are keys. Lines may be of any length; one longer
/// than the terminal takes is read in pieces. Exits with 125 if the daemon fails or something could
/// not be typed, 126 if the command cannot be executed, 127 if there is no such command, 124 if the
/// time runs out.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut run -- make test | tee log\n  \
                        taut run --timeout 5m -C ~/src ./check.sh"
)]
pub(crate) struct RunArguments {
    /// The session's name [default: run-N]
    #[arg(long)]
    name: Option<String>,
    /// Hang up after so long, and exit with 124
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    options: SpawnOptions,
    /// The command and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// How long the command may take to end when it is hung up.
const HANGUP_GRACE: Duration = Duration::from_secs(2);

/// The end-of-file character of a terminal left to itself: ctrl-D.
const END_OF_FILE: u8 = 0x04;

pub(crate) async fn perform(context: &Context, arguments: RunArguments) -> Outcome {
    // What the command may exit with is no code of ours.
    run(context, arguments).await.map_err(|failure| match failure.exit {
        exit_code::FAILURE => failure.with_exit(exit_code::RUN_FAILED),
        _ => failure,
    })
}

async fn run(context: &Context, arguments: RunArguments) -> Outcome {
    let name = arguments.name.map(check_name).transpose()?;
    let is_terminal = Tty::is_there();
    let mut request = arguments.options.request(String::new(), arguments.command)?;
    request.flags |= SpawnFlags::EPHEMERAL;
    if !is_terminal {
        request.flags |= SpawnFlags::RAW;
    }
    let is_shown = rustix::termios::isatty(rustix::stdio::stdout());
    if !is_shown && !arguments.options.has_size() {
        request.size = WindowSize::cells(80, 24);
    }
    let nothing_detaches = Some(DetachKeys::default());
    let how = AttachHow { is_silent: true, ..AttachHow::new(context, nothing_detaches) };
    let options =
        AttachOptions { flags: AttachFlags::OWNER, pause_limit: None, ..AttachOptions::default() };
    let client = context.connect_or_start().await.map_err(with_shell_exit)?;
    let spawned = spawn(&client, &mut request, &options, name).await.map_err(with_shell_exit)?;
    let (session, input, events) = spawned;
    let deadline = arguments.timeout.map(|timeout| Instant::now() + timeout);
    let name = session.name;
    let shown = async {
        if is_terminal {
            let attached = Attached::new(&client, name.clone(), input, events);
            let outcome = attached.show(context, attach::open_terminal()?, how).await;
            return outcome.map_err(|failure| failure.with_exit(exit_code::RUN_FAILED));
        }
        stream(input, events, &client, &name).await
    };
    let outcome = tokio::select! {
        outcome = shown => outcome,
        () = run_out(deadline) => {
            let limit = arguments.timeout.unwrap_or_default();
            Err(Failure::new(exit_code::TIMED_OUT, "timed_out", format!("it ran for {limit:?}")))
        }
    };
    if !matches!(outcome, Ok(exit) if exit < exit_code::SIGNAL) {
        // Ended by itself or not, it does not outlive us.
        let _ = client.stop(&name, libc::SIGHUP, HANGUP_GRACE).await;
    }
    outcome
}

async fn run_out(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Starts it, under the name asked for or the first of `run-1`, `run-2` ... that is free.
async fn spawn(
    client: &Client,
    request: &mut SpawnRequest,
    options: &AttachOptions,
    name: Option<String>,
) -> Result<(SpawnedSession, Input, Events), Failure> {
    if let Some(name) = name {
        request.name = name;
        return Ok(client.spawn_attached(request, options).await?);
    }
    loop {
        let taken = client.sessions().await?;
        let mut names = (1_u64..).map(|number| format!("run-{number}"));
        request.name = names.find(|name| !taken.contains(name)).unwrap_or_default();
        match client.spawn_attached(request, options).await.map_err(Failure::from) {
            // Somebody else was faster.
            Err(failure) if failure.is_code(ErrorCode::NameTaken) => {}
            result => return result,
        }
    }
}

/// Bytes in, bytes out, until the command has ended.
async fn stream(input: Input, mut events: Events, client: &Client, name: &str) -> Outcome {
    let failed = |error: &io::Error| Failure::system("start", error);
    let mut signals = Signals::listen().map_err(|error| failed(&error))?;
    let output = StandardOutput::start().map_err(|error| failed(&error))?;
    tokio::select! {
        biased;
        exit = signals.wait(client, name) => Ok(exit),
        outcome = print(&mut events, output) => match outcome? {
            Exit { kind: ExitKind::Lost, .. } => {
                let why = "the command ended, and its status was lost";
                Err(Failure::new(exit_code::RUN_FAILED, "status_lost", why))
            }
            exit => Ok(exit_status(exit)),
        },
        failure = forward(&input) => Err(failure),
    }
}

/// Prints output until the command has ended.
async fn print(events: &mut Events, mut output: StandardOutput) -> Result<Exit, Failure> {
    let lost = |code, why: String| Failure::new(exit_code::RUN_FAILED, code, why);
    loop {
        match events.next().await {
            Ok(Some(Event::Output { bytes, .. })) => {
                output.write(bytes).await.map_err(|error| Failure::output(&error))?;
            }
            Ok(Some(Event::Exited { exit, .. })) => return Ok(exit),
            Ok(Some(Event::Gap { from, to })) => {
                let why = format!("{} bytes of its output were lost", to - from);
                return Err(lost("output_lost", why));
            }
            Ok(Some(Event::Detached { .. }) | None) => {
                return Err(lost("detached", "the session was taken away".into()));
            }
            Ok(Some(_)) => {}
            Err(error) => return Err(Failure::from(error).with_exit(exit_code::RUN_FAILED)),
        }
    }
}

/// Types standard input; its end is the end-of-file character. Ends only if input cannot be read.
async fn forward(input: &Input) -> Failure {
    let mut standard_input = match StandardInput::start() {
        Ok(started) => started,
        Err(error) => return Failure::system("start reading standard input", &error),
    };
    let mut last = b'\n';
    loop {
        match standard_input.next().await {
            Ok(Some(bytes)) => {
                last = bytes.last().copied().unwrap_or(last);
                match input.send(&bytes).await {
                    Ok(()) => {}
                    Err(SendError::Refused { info, .. }) if info.code == ErrorCode::LineTooLong => {
                        return info.into();
                    }
                    // The command ended, or the connection did: an event says so.
                    Err(_) => return std::future::pending().await,
                }
            }
            Ok(None) => break,
            Err(error) => return Failure::system("read standard input", &error),
        }
    }
    // Behind an unfinished line, the first one only ends that.
    let ends: &[u8] = if last == b'\n' { &[END_OF_FILE] } else { &[END_OF_FILE, END_OF_FILE] };
    let _ = input.send(ends).await;
    std::future::pending().await
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Passes the first ctrl-C on; returns the exit code at the second, or when we are to end.
    async fn wait(&mut self, client: &Client, name: &str) -> u8 {
        let mut is_interrupted = false;
        let number = loop {
            tokio::select! {
                _ = self.interrupt.recv() => {
                    if is_interrupted {
                        break libc::SIGINT;
                    }
                    is_interrupted = true;
                    let target = crate::protocol::SignalTarget::Foreground;
                    // If it has ended meanwhile, an event says so.
                    let _ = client.signal(name, libc::SIGINT, target).await;
                }
                _ = self.terminate.recv() => break libc::SIGTERM,
                _ = self.hangup.recv() => break libc::SIGHUP,
            }
        };
        exit_code::SIGNAL + number as u8
    }
}
