//! What each command takes and does, one file each.

pub(crate) mod attach;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod debug;
pub(crate) mod detach;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod ping;
pub(crate) mod rename;
pub(crate) mod resize;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod screen;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod session_json;
pub(crate) mod shutdown;
pub(crate) mod signal;
pub(crate) mod spawn_options;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod typed_items;
pub(crate) mod version;
pub(crate) mod wait;

use std::future::Future;

use super::{
    arguments::Command,
    context::Context,
    failure::{Failure, Outcome, exit_code},
};
use crate::{Client, SessionStatus, protocol::SessionState};

/// Does what was asked; without a command, attaches to the main session.
pub(crate) fn perform(context: &Context, command: Option<Command>) -> Outcome {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| Failure::system("start", &error))
    };
    // The engine has a thread and a runtime of its own, and is bound outside of ours.
    if let Some(Command::Serve(arguments)) = command {
        return serve::perform(context, &arguments, runtime);
    }
    let command = match command {
        Some(Command::Debug(arguments)) => return debug::perform(context, arguments),
        Some(Command::Config(arguments)) => return config::perform(context, &arguments),
        Some(Command::Completions(arguments)) => return completions::perform(&arguments),
        Some(Command::Man(arguments)) => return man::perform(&arguments),
        command => command,
    };
    let runtime = runtime()?;
    let outcome = runtime.block_on(perform_as_client(context, command));
    // A thread may be waiting for standard input: nobody waits for that.
    runtime.shutdown_background();
    context.report_trace_end();
    outcome
}

async fn perform_as_client(context: &Context, command: Option<Command>) -> Outcome {
    let Some(command) = command else {
        return attach::perform_bare(context).await;
    };
    match command {
        Command::Attach(arguments) => attach::perform(context, arguments).await,
        Command::New(arguments) => new::perform(context, arguments).await,
        Command::Run(arguments) => run::perform(context, arguments).await,
        Command::Send(arguments) => send::perform(context, arguments).await,
        Command::Ls(arguments) => ls::perform(context, &arguments).await,
        Command::Status(arguments) => status::perform(context, arguments).await,
        Command::Screen(arguments) => screen::perform(context, arguments).await,
        Command::Logs(arguments) => logs::perform(context, arguments).await,
        Command::Wait(arguments) => wait::perform(context, arguments).await,
        Command::Detach(arguments) => detach::perform(context, arguments).await,
        Command::Resize(arguments) => resize::perform(context, arguments).await,
        Command::Signal(arguments) => signal::perform(context, arguments).await,
        Command::Rename(arguments) => rename::perform(context, arguments).await,
        Command::Stop(arguments) => stop::perform(context, arguments).await,
        Command::Kill(arguments) => stop::perform_kill(context, arguments).await,
        Command::Restart(arguments) => stop::perform_restart(context, arguments).await,
        Command::Rm(arguments) => rm::perform(context, arguments).await,
        Command::Stats(arguments) => stats::perform(context, arguments).await,
        Command::Ping(arguments) => ping::perform(context, &arguments).await,
        Command::Shutdown(arguments) => shutdown::perform(context, &arguments).await,
        Command::Version(arguments) => version::perform(context, &arguments).await,
        Command::Serve(_)
        | Command::Debug(_)
        | Command::Config(_)
        | Command::Completions(_)
        | Command::Man(_) => Err(Failure::usage("that is no client")),
    }
}

/// Does something to each session named; what fails is said, and does not keep the others from
/// their turn. The exit code is that of the first failure.
async fn for_each<F>(
    context: &Context,
    what: &str,
    names: &[String],
    mut act: impl FnMut(String) -> F,
) -> u8
where
    F: Future<Output = Result<(), Failure>>,
{
    let mut exit = exit_code::SUCCESS;
    for name in names {
        if let Err(failure) = act(name.clone()).await {
            context.report(what, &failure);
            exit = if exit == exit_code::SUCCESS { failure.exit } else { exit };
        }
    }
    exit
}

/// The names of all sessions that are as wanted.
async fn names_where(
    client: &Client,
    is_wanted: impl Fn(&SessionStatus) -> bool,
) -> Result<Vec<String>, Failure> {
    let sessions = client.status(None).await?;
    Ok(sessions.into_iter().filter(is_wanted).map(|session| session.name).collect())
}

/// Whether a child runs, or will again.
fn is_live(session: &SessionStatus) -> bool {
    session.state != SessionState::Exited
}
