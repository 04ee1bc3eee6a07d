//! `taut stop`, `taut kill` and `taut restart`: the end of sessions' programs.

use std::time::Duration;

use clap::Args;

use super::{
    super::{
        context::{Context, check_name},
        failure::{Failure, Outcome},
        text::{duration::parse_duration, signal_name::parse_signal},
    },
    for_each, is_live, names_where,
};

/// End the programs of sessions
///
/// First politely; returns when they have ended. The sessions stay, with their logs, until rm;
/// those made by bare taut, run and attach --create go.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut stop build\n  taut stop --all -t 30s -s TERM"
)]
pub(crate) struct StopArguments {
    /// Sessions
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// How long to wait before killing; 0 kills at once
    #[arg(short, long, value_name = "DURATION", default_value = "10s")]
    #[arg(value_parser = parse_duration)]
    time: Duration,
    /// The polite signal
    #[arg(short, long, default_value = "HUP", value_parser = parse_signal)]
    signal: i32,
}

/// Kill the programs of sessions: stop with a time of 0
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taut kill build")]
pub(crate) struct KillArguments {
    /// Sessions
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

/// End the programs of sessions and start them again
///
/// With the command, environment and directory they were started with. Who is attached stays
/// attached; input that was not yet written is not typed into the new program.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut restart build\n  taut restart --all -t 30s -s TERM"
)]
pub(crate) struct RestartArguments {
    #[command(flatten)]
    stop: StopArguments,
}

pub(crate) async fn perform_restart(context: &Context, arguments: RestartArguments) -> Outcome {
    let StopArguments { names, all, time, signal } = arguments.stop;
    let names = names.into_iter().map(check_name).collect::<Result<Vec<_>, _>>()?;
    let client = context.administer().await?;
    let names = if all { names_where(&client, |_| true).await? } else { names };
    let restart = |name: String| {
        let client = client.clone();
        async move { client.restart(&name, signal, time).await.map_err(Failure::from) }
    };
    Ok(for_each(context, "restart", &names, restart).await)
}

pub(crate) async fn perform(context: &Context, arguments: StopArguments) -> Outcome {
    let names = arguments.names.into_iter().map(check_name).collect::<Result<Vec<_>, _>>()?;
    let client = context.administer().await?;
    let names = if arguments.all { names_where(&client, is_live).await? } else { names };
    let stop = |name: String| {
        let client = client.clone();
        async move {
            let stopped = client.stop(&name, arguments.signal, arguments.time).await;
            stopped.map_err(Failure::from)
        }
    };
    Ok(for_each(context, "stop", &names, stop).await)
}

pub(crate) async fn perform_kill(context: &Context, arguments: KillArguments) -> Outcome {
    let KillArguments { names, all } = arguments;
    let stop = StopArguments { names, all, time: Duration::ZERO, signal: libc::SIGKILL };
    perform(context, stop).await
}
