//! `taut ls`: all sessions, a line each.

use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;

use super::{
    super::{
        context::{Context, is_coloured, write_json, write_output},
        failure::{Outcome, exit_code},
        text::{duration::show_age, escape::escaped, table::Table},
    },
    session_json::{session_json, show_command, show_state},
};
use crate::SessionStatus;

/// List the sessions
///
/// Oldest first; with -q, only their names.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut ls\n  taut ls -q | xargs -r taut stop"
)]
pub(crate) struct LsArguments {}

pub(crate) async fn perform(context: &Context, _: &LsArguments) -> Outcome {
    let client = context.administer().await?;
    if context.is_quiet && !context.is_json {
        let names = client.sessions().await?;
        write_output(names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
        return Ok(exit_code::SUCCESS);
    }
    let sessions = client.status(None).await?;
    if context.is_json {
        write_json(&sessions.iter().map(session_json).collect())?;
    } else if sessions.is_empty() {
        context.note("no sessions");
    } else {
        write_output(table(&sessions).show(is_coloured(&io::stdout())))?;
    }
    Ok(exit_code::SUCCESS)
}

fn table(sessions: &[SessionStatus]) -> Table {
    let mut table = Table::new(&["NAME", "STATE", "PID", "SIZE", "CLIENTS", "AGE", "COMMAND"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for session in sessions {
        let age = now.saturating_sub(Duration::from_millis(session.created_unix_ms));
        let pid = if session.pid == 0 { "-".into() } else { session.pid.to_string() };
        table.row(vec![
            escaped(session.name.as_bytes()),
            show_state(session),
            pid,
            format!("{}x{}", session.size.cols, session.size.rows),
            session.attachments.to_string(),
            show_age(age),
            show_command(session),
        ]);
    }
    table
}
