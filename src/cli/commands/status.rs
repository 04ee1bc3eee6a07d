//! `taut status`: everything about some sessions.

use std::time::{Duration, UNIX_EPOCH};

use clap::Args;

use super::{
    super::{
        context::{Context, check_name, write_json, write_output},
        failure::{Failure, Outcome, exit_code},
        text::{escape::escaped, moment::show_moment},
    },
    session_json::{session_json, show_command, show_exit, show_state},
};
use crate::SessionStatus;

/// Describe sessions
///
/// Those named, else the one we are in, else all.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut status build\n  taut status --json | jq '.[].pid'"
)]
pub(crate) struct StatusArguments {
    /// Sessions
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) async fn perform(context: &Context, arguments: StatusArguments) -> Outcome {
    let mut names = arguments.names;
    if names.is_empty() {
        names.extend(context.own_session().map(str::to_owned));
    }
    let client = context.administer().await?;
    let mut sessions = Vec::new();
    if names.is_empty() {
        sessions = client.status(None).await?;
    }
    let mut exit = exit_code::SUCCESS;
    for name in names {
        let name = check_name(name)?;
        match client.status(Some(&name)).await {
            Ok(found) => sessions.extend(found),
            Err(error) => {
                let failure = Failure::from(error);
                context.report("status", &failure);
                exit = failure.exit;
            }
        }
    }
    if context.is_json {
        write_json(&sessions.iter().map(session_json).collect())?;
    } else if sessions.is_empty() && exit == exit_code::SUCCESS {
        context.note("no sessions");
    } else {
        let shown: Vec<_> = sessions.iter().map(show).collect();
        write_output(shown.join("\n"))?;
    }
    Ok(exit)
}

fn show(session: &SessionStatus) -> String {
    let created = UNIX_EPOCH + Duration::from_millis(session.created_unix_ms);
    let policy = session.size_policy.name().to_lowercase();
    let held = session.output_offset - session.log_start.min(session.output_offset);
    let mut lines = vec![
        ("state", show_state(session)),
        ("command", show_command(session)),
        ("directory", escaped(&session.cwd)),
        ("pid", session.pid.to_string()),
        ("foreground", escaped(&session.foreground)),
        ("title", escaped(&session.title)),
        ("window", format!("{}x{} ({policy})", session.size.cols, session.size.rows)),
        ("clients", session.attachments.to_string()),
        ("created", show_moment(created)),
        ("epoch", format!("{:016x}", session.epoch)),
        ("input", format!("{} bytes", session.input_offset)),
        ("output", format!("{} bytes, the last {held} of them held", session.output_offset)),
        ("restarts", session.restarts.to_string()),
        ("exit", session.exit.map(show_exit).unwrap_or_default()),
    ];
    lines.retain(|(name, value)| !value.is_empty() && (*name, value.as_str()) != ("pid", "0"));
    let mut shown = format!("{}\n", session.name);
    for (name, value) in lines {
        shown.push_str(&format!("  {name:<12}{value}\n"));
    }
    shown
}
