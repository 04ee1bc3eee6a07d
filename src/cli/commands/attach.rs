//! `taut attach`, and `taut` alone.

use clap::{Args, ValueEnum};

use super::{
    super::{
        attach::{self, AttachHow, Attached},
        context::{Context, check_name, only_session, write_output},
        failure::{Failure, Outcome, exit_code},
        keys::{DetachKeys, parse_detach_keys},
        terminal::Tty,
    },
    session_json::show_exit,
    spawn_options::SpawnOptions,
};
use crate::{
    Client, LogRange, SessionStatus, SpawnRequest,
    protocol::{Delivery, ErrorCode, SessionState, SpawnFlags, View},
};

/// The session of bare `taut`.
const MAIN: &str = "main";

/// Output that is shown again on the terminal: some screens of it, painted in a few milliseconds.
const REPLAY: u64 = 64 * 1024;

/// Attach to a session: see it, type into it
///
/// Leave with the detach keys, ctrl-\ by default; pressed twice, they are sent. Without a name:
/// "main", or the one session there is. Exits with the program's status when that ends, and with 0
/// when detached.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut attach build\n  taut attach -r build    only look\n  \
                        taut attach -d          take it from wherever it is attached"
)]
pub(crate) struct AttachArguments {
    /// The session
    name: Option<String>,
    /// Type nothing, and leave its window size alone
    #[arg(short, long)]
    read_only: bool,
    /// Create it with $SHELL if there is none, or start it again
    #[arg(short, long)]
    create: bool,
    /// Detach everybody else
    #[arg(short, long)]
    detach_others: bool,
    /// What becomes of output while this terminal is slow
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    delivery: DeliveryName,
    /// What detaches: keys as ctrl-p,ctrl-q, or none [default: as configured, else ctrl-\]
    #[arg(long, value_name = "KEYS", value_parser = parse_detach_keys)]
    detach_keys: Option<DetachKeys>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum DeliveryName {
    /// It waits, and the program with it, up to 2 s
    #[default]
    Lossless,
    /// It is skipped, and the newest screen shown
    Screen,
    /// It is skipped, as far as the log does not reach
    Log,
}

impl From<DeliveryName> for Delivery {
    fn from(name: DeliveryName) -> Self {
        match name {
            DeliveryName::Lossless => Self::Lossless,
            DeliveryName::Screen => Self::Screen,
            DeliveryName::Log => Self::Log,
        }
    }
}

pub(crate) async fn perform(context: &Context, arguments: AttachArguments) -> Outcome {
    let name = arguments.name.map(check_name).transpose()?;
    let how = AttachHow {
        is_read_only: arguments.read_only,
        is_alone: arguments.detach_others,
        delivery: arguments.delivery.into(),
        ..AttachHow::new(context, arguments.detach_keys)
    };
    if !arguments.create {
        let client = context.connect().await?;
        let name = match name {
            Some(name) => name,
            None if client.sessions().await?.iter().any(|name| name == MAIN) => MAIN.into(),
            None => only_session(&client).await?,
        };
        return join(context, &client, &name, how).await;
    }
    create_or_join(context, name.as_deref().unwrap_or(MAIN), how).await
}

/// `taut` alone.
pub(crate) async fn perform_bare(context: &Context) -> Outcome {
    create_or_join(context, MAIN, AttachHow::new(context, None)).await
}

async fn create_or_join(context: &Context, name: &str, how: AttachHow) -> Outcome {
    refuse_itself(context, name)?;
    if !Tty::is_there() {
        return Err(no_terminal());
    }
    let client = context.connect_or_start().await?;
    let old = match status_of(&client, name).await {
        Ok(status) if status.state != SessionState::Exited => {
            return join_live(context, &client, &status, how).await;
        }
        Ok(status) => Some(status),
        Err(failure) if failure.is_code(ErrorCode::NoSuchSession) => None,
        Err(failure) => return Err(failure),
    };
    let tty = attach::open_terminal()?;
    let flags = SpawnFlags::IF_ABSENT | SpawnFlags::EPHEMERAL;
    let request = SpawnOptions::default().request(name.into(), Vec::new())?;
    let request = SpawnRequest { flags: flags | request.flags, ..request };
    // Somebody else may make it first: then all it printed so far is shown.
    let from = old.map_or(0, |status| status.output_offset);
    let options = how.options(tty.size(), View::Offset, from);
    let (spawned, input, events) = client.spawn_attached(&request, &options).await?;
    Attached::new(&client, spawned.name, input, events).show(context, tty, how).await
}

async fn join(context: &Context, client: &Client, name: &str, how: AttachHow) -> Outcome {
    refuse_itself(context, name)?;
    let status = status_of(client, name).await?;
    if status.state == SessionState::Exited {
        return show_exited(context, client, &status).await;
    }
    join_live(context, client, &status, how).await
}

async fn join_live(
    context: &Context,
    client: &Client,
    status: &SessionStatus,
    how: AttachHow,
) -> Outcome {
    if !Tty::is_there() {
        return Err(no_terminal());
    }
    let tty = attach::open_terminal()?;
    let end = status.output_offset;
    let from = end.saturating_sub(REPLAY).max(status.log_start);
    let options = how.options(tty.size(), View::Offset, from);
    let (input, events) = client.attach(&status.name, &options).await?;
    let has_size = events.attached().size == status.size;
    let attached = Attached::new(client, status.name.clone(), input, events);
    attached.with_replay(from..end).with_old_size(has_size).show(context, tty, how).await
}

/// The tail of what a session printed whose program has ended, and its status.
async fn show_exited(context: &Context, client: &Client, status: &SessionStatus) -> Outcome {
    let from = status.output_offset.saturating_sub(REPLAY).max(status.log_start);
    let bytes = client.logs(&status.name, LogRange::From(from)).await?.into_bytes();
    let begin = if from == 0 { 0 } else { attach::line_start(&bytes).unwrap_or(0) };
    write_output(&bytes[begin..])?;
    let Some(exit) = status.exit else { return Ok(exit_code::SUCCESS) };
    attach::give_back(&bytes[begin..])?;
    context.note(&format!("[{} {}]", status.name, show_exit(exit)));
    Ok(attach::exit_status(exit))
}

async fn status_of(client: &Client, name: &str) -> Result<SessionStatus, Failure> {
    let found = client.status(Some(name)).await?;
    found.into_iter().next().ok_or_else(|| {
        Failure::new(exit_code::NO_SESSION, "no_such_session", format!("no session named {name}"))
    })
}

/// A session that shows itself shows what it shows, for ever.
fn refuse_itself(context: &Context, name: &str) -> Result<(), Failure> {
    if context.own_session() != Some(name) {
        return Ok(());
    }
    let why = format!("this is {name} already, and would show itself to itself");
    let failure = Failure::new(exit_code::REFUSED, "attach_loop", why);
    Err(failure.with_hint("leave it with the detach keys, or with taut detach"))
}

/// What is said where there is no terminal to attach.
pub(crate) fn no_terminal() -> Failure {
    let why = "standard input and output must be a terminal";
    Failure::new(exit_code::FAILURE, "no_terminal", why)
        .with_hint("taut new creates, taut send types, taut logs shows")
}
