//! `taut shutdown`: the daemon is drained and ends.

use std::{
    io::{self, BufRead, IsTerminal},
    time::Duration,
};

use clap::Args;

use super::{
    super::{
        context::{Context, write_error},
        failure::{Failure, Outcome, exit_code},
    },
    is_live, names_where,
};
use crate::{
    Client,
    protocol::ErrorCode,
    transport::{ConnectError, UnixTransportStream},
};

/// How long the daemon may take to be gone: twice what it gives its children, and some.
const GONE_LIMIT: Duration = Duration::from_secs(5);

/// How often to look whether it is.
const GONE_PAUSE: Duration = Duration::from_millis(5);

/// Drain and stop the daemon
///
/// Returns when it is gone. While programs run it refuses; on a terminal it asks.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = "Example:\n  taut shutdown\n  taut shutdown --force")]
pub(crate) struct ShutdownArguments {
    /// Also while programs run: they are hung up
    #[arg(long)]
    force: bool,
}

pub(crate) async fn perform(context: &Context, arguments: &ShutdownArguments) -> Outcome {
    let client = context.administer().await?;
    let outcome = client.shutdown(arguments.force).await.map_err(Failure::from);
    match outcome {
        Err(failure) if failure.is_code(ErrorCode::SessionsLive) => {
            if !is_agreed(context, &client).await? {
                return Err(failure.with_hint("--force hangs them up"));
            }
            client.shutdown(true).await?;
        }
        outcome => outcome?,
    }
    // Its goodbye comes when it is drained.
    let _ = tokio::time::timeout(GONE_LIMIT, client.close()).await;
    wait_until_gone(context).await
}

/// Asks on a terminal; anywhere else nobody agrees.
async fn is_agreed(context: &Context, client: &Client) -> Result<bool, Failure> {
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !is_terminal || context.is_json {
        return Ok(false);
    }
    let names = names_where(client, is_live).await?;
    write_error(&format!("Programs run in {}. Hang them up? [y/N] ", names.join(", ")));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::system("read the answer", &error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn wait_until_gone(context: &Context) -> Outcome {
    let gone = async {
        loop {
            match UnixTransportStream::connect(&context.socket) {
                Err(ConnectError::NotRunning { .. } | ConnectError::StaleSocket { .. }) => return,
                _ => tokio::time::sleep(GONE_PAUSE).await,
            }
        }
    };
    match tokio::time::timeout(GONE_LIMIT, gone).await {
        Ok(()) => Ok(exit_code::SUCCESS),
        Err(_) => {
            let why = format!("it still answers at {}", context.socket.display());
            Err(Failure::new(exit_code::TIMED_OUT, "timed_out", why))
        }
    }
}
