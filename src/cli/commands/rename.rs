//! `taut rename`.

use clap::Args;

use super::super::{
    context::{Context, check_name},
    failure::{Outcome, exit_code},
};

/// Give a session another name
///
/// Whoever is attached stays attached.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = "Example:\n  taut rename session-1 build")]
pub(crate) struct RenameArguments {
    /// The session
    old: String,
    /// Its new name
    new: String,
}

pub(crate) async fn perform(context: &Context, arguments: RenameArguments) -> Outcome {
    let (old, new) = (check_name(arguments.old)?, check_name(arguments.new)?);
    let client = context.administer().await?;
    client.rename(&old, &new).await?;
    Ok(exit_code::SUCCESS)
}
