//! `taut serve`: the daemon.

use std::{io, process, time::Duration};

use clap::Args;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tracing::Level;

use super::super::{
    config::IDLE_EXIT_MIN,
    context::Context,
    daemon::{ALREADY_RUNNING, LogFile, LogFormat, LogLines, Readiness, log_path},
    failure::{Failure, Outcome, exit_code},
    text::duration::{parse_duration, write_duration},
};
use crate::{ServeError, Server, ServerConfig, transport::BindError};

/// Run the daemon in the foreground
///
/// Until shutdown, SIGTERM, SIGHUP or ctrl-C: then clients are told and programs are hung up. A
/// second signal ends it at once.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut serve\n  taut -L test serve -v --log-format json\n  \
                  taut serve --idle-exit 10m"
)]
pub(crate) struct ServeArguments {
    /// How the log on standard error looks
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
    /// End after so long without a client and a running program, or none [default: as configured,
    /// else none]
    #[arg(long, value_name = "DURATION", value_parser = parse_idle_exit)]
    idle_exit: Option<IdleExit>,
    /// Started by a client: the log is a file, and standard output is told when we are ready
    #[arg(long, hide = true)]
    background: bool,
}

/// When to end unused.
#[derive(Clone, Copy, Debug)]
struct IdleExit(Option<Duration>);

fn parse_idle_exit(text: &str) -> Result<IdleExit, String> {
    if text == "none" {
        return Ok(IdleExit(None));
    }
    let limit = parse_duration(text)?;
    if limit < IDLE_EXIT_MIN {
        return Err(format!("it must be at least {}", write_duration(IDLE_EXIT_MIN)));
    }
    Ok(IdleExit(Some(limit)))
}

impl ServeArguments {
    /// Tells whoever started us, and waits for the word, why nothing will serve.
    pub(crate) fn tell_starter(&self, failure: &Failure) {
        if self.background {
            Readiness.failed(failure.code(), failure.why());
        }
    }
}

pub(crate) fn perform(
    context: &Context,
    arguments: &ServeArguments,
    runtime: impl FnOnce() -> Result<Runtime, Failure>,
) -> Outcome {
    let readiness = arguments.background.then_some(Readiness);
    let outcome = begin(context, arguments).and_then(|server| Ok((server, runtime()?)));
    let (server, runtime) = match (outcome, readiness) {
        (Ok(begun), readiness) => {
            tracing::info!(
                socket = %context.socket.display(), pid = process::id(),
                version = env!("CARGO_PKG_VERSION"), "serving"
            );
            if let Some(readiness) = readiness {
                readiness.ready();
            } else {
                let socket = context.socket.display();
                context.note(&format!("serving at {socket}, until ctrl-C or taut shutdown"));
            }
            begun
        }
        (Err(failure), _) => {
            arguments.tell_starter(&failure);
            return Err(failure);
        }
    };
    runtime.block_on(serve(context, server))
}

/// Everything up to the bound socket.
fn begin(context: &Context, arguments: &ServeArguments) -> Result<Server, Failure> {
    if arguments.background {
        crate::sys::make_files_private();
        // It was started through a link, by whose name tools would show it.
        crate::sys::name_process(c"taut");
    }
    start_log(context, arguments)?;
    crate::sys::raise_descriptor_limit();
    let configured = context.config.settings.server.clone();
    let idle_exit = arguments.idle_exit.map_or(configured.idle_exit, |IdleExit(limit)| limit);
    let config = ServerConfig { trace: context.trace()?, idle_exit, ..configured };
    Server::bind(&context.socket, config).map_err(|error| {
        let why = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let failure = Failure::new(exit_code::FAILURE, "bind", why);
        match error {
            ServeError::Bind(BindError::AlreadyRunning { .. }) => failure
                .with_code(ALREADY_RUNNING)
                .with_hint("taut shutdown stops it; taut -L NAME serve runs another beside it"),
            _ => failure,
        }
    })
}

fn start_log(context: &Context, arguments: &ServeArguments) -> Result<(), Failure> {
    let level = if context.is_verbose { Level::DEBUG } else { Level::INFO };
    let format = arguments.log_format;
    let result = if arguments.background {
        let path = log_path(&context.socket).ok_or_else(|| {
            Failure::new(exit_code::FAILURE, "state_directory", "there is no place for the log")
        })?;
        let file = LogFile::open(&path)
            .map_err(|error| Failure::system(&format!("open {}", path.display()), &error))?;
        tracing::subscriber::set_global_default(LogLines::new(level, format, file))
    } else {
        // What a person started tells that person what goes wrong, and no more unless asked to.
        let level = if context.is_verbose { Level::DEBUG } else { Level::WARN };
        tracing::subscriber::set_global_default(LogLines::new(level, format, io::stderr()))
    };
    result.map_err(|error| Failure::new(exit_code::FAILURE, "log", error))
}

async fn serve(context: &Context, server: Server) -> Outcome {
    let failed = |error: &io::Error| Failure::system("listen for signals", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| failed(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| failed(&error))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| failed(&error))?;
    let (drain, is_draining) = oneshot::channel();
    let mut drain = Some(drain);
    let serving = server.serve(async {
        is_draining.await.ok();
    });
    let mut serving = std::pin::pin!(serving);
    loop {
        let number = tokio::select! {
            served = &mut serving => {
                served.map_err(|error| Failure::new(exit_code::FAILURE, "serve", error))?;
                tracing::info!("ended");
                return Ok(exit_code::SUCCESS);
            }
            _ = terminate.recv() => libc::SIGTERM,
            _ = interrupt.recv() => libc::SIGINT,
            _ = hangup.recv() => libc::SIGHUP,
        };
        match drain.take() {
            Some(drain) => {
                tracing::info!(signal = number, "draining");
                context.note("draining; once more ends it at once");
                // If nobody listens, it is over already.
                drain.send(()).ok();
            }
            None => process::exit(i32::from(exit_code::SIGNAL) + number),
        }
    }
}
