//! `taut resize`: a size that stays, or the size of whoever is attached again.

use clap::Args;

use super::super::{
    context::{Context, check_name},
    failure::{Outcome, exit_code},
    text::window_size::parse_window_size,
};
use crate::protocol::{SizePolicy, WindowSize};

/// Set a session's window size
///
/// No attachment changes it then; auto gives it back to whoever is attached.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut resize build 132x43\n  taut resize build auto"
)]
pub(crate) struct ResizeArguments {
    /// The session
    name: String,
    /// Columns x rows, or auto
    #[arg(value_name = "COLSxROWS|auto", value_parser = parse_size)]
    size: WantedSize,
}

/// A size, or that of whoever is attached.
#[derive(Clone, Copy, Debug)]
enum WantedSize {
    Auto,
    Fixed(WindowSize),
}

fn parse_size(text: &str) -> Result<WantedSize, String> {
    match text {
        "auto" => Ok(WantedSize::Auto),
        text => parse_window_size(text).map(WantedSize::Fixed),
    }
}

pub(crate) async fn perform(context: &Context, arguments: ResizeArguments) -> Outcome {
    let name = check_name(arguments.name)?;
    let client = context.administer().await?;
    let (size, policy) = match arguments.size {
        WantedSize::Fixed(size) => (size, SizePolicy::Fixed),
        WantedSize::Auto => (WindowSize::default(), SizePolicy::Latest),
    };
    client.resize(&name, size, policy).await?;
    Ok(exit_code::SUCCESS)
}
