//! `taut signal`: past everything that is queued, to what runs in the foreground.

use clap::Args;

use super::super::{
    context::{Context, check_name},
    failure::{Outcome, exit_code},
    text::signal_name::parse_signal,
};
use crate::protocol::SignalTarget;

/// Send a signal to what runs in the foreground of a session
///
/// At once: past input that is queued, and also if the program turned ctrl-C off. To end a
/// session's own program there is stop.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = "Example:\n  taut signal build INT")]
pub(crate) struct SignalArguments {
    /// The session
    name: String,
    /// A name, as INT or SIGINT, or a number
    #[arg(value_parser = parse_signal)]
    signal: i32,
}

pub(crate) async fn perform(context: &Context, arguments: SignalArguments) -> Outcome {
    let name = check_name(arguments.name)?;
    let client = context.administer().await?;
    client.signal(&name, arguments.signal, SignalTarget::Foreground).await?;
    Ok(exit_code::SUCCESS)
}
