//! `taut detach`: everybody leaves a session, and it goes on.

use clap::Args;

use super::super::{
    context::{Context, write_json},
    failure::{Outcome, exit_code},
};

/// Detach everybody from a session; it goes on
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taut detach          inside a session: leave it\n  \
                        taut detach build    from elsewhere")]
pub(crate) struct DetachArguments {
    /// The session; the one we are in, or the only one, if none is named
    name: Option<String>,
}

pub(crate) async fn perform(context: &Context, arguments: DetachArguments) -> Outcome {
    let client = context.administer().await?;
    let name = context.name_or_usual(&client, arguments.name).await?;
    let count = client.kick(&name, false).await?;
    if context.is_json {
        write_json(&serde_json::json!({"name": name, "detached": count}))?;
    } else if context.is_verbose {
        context.note(&format!("{count} detached from {name}"));
    }
    Ok(exit_code::SUCCESS)
}
