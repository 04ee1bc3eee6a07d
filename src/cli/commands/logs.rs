//! `taut logs`: what sessions printed, as far as it is held.

use clap::Args;

use super::super::{
    context::{Context, check_name, write_output},
    failure::{Failure, Outcome, exit_code},
    text::escape::escaped_lines,
};
use crate::LogRange;

/// Print what a session printed
///
/// As far as its log reaches. Control characters are written out, unless --raw asks for the bytes
/// themselves.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut logs build --tail 20\n  taut logs build --raw | less -R"
)]
pub(crate) struct LogsArguments {
    /// Sessions; the one we are in if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only the last lines
    #[arg(long, value_name = "LINES", conflicts_with = "from")]
    tail: Option<u32>,
    /// Only from this output offset on
    #[arg(long, value_name = "OFFSET")]
    from: Option<u64>,
    /// The bytes as they were printed
    #[arg(long)]
    raw: bool,
}

pub(crate) async fn perform(context: &Context, arguments: LogsArguments) -> Outcome {
    let mut names = arguments.names;
    if names.is_empty() {
        names.push(context.name_or_own(None)?);
    }
    let range = match (arguments.tail, arguments.from) {
        (Some(lines), _) => LogRange::TailLines(lines),
        (None, Some(offset)) => LogRange::From(offset),
        (None, None) => LogRange::All,
    };
    let client = context.connect().await?;
    let has_headings = names.len() > 1 && !context.is_quiet;
    let mut exit = exit_code::SUCCESS;
    for name in names {
        let name = check_name(name)?;
        match client.logs(&name, range).await {
            Ok(bytes) => {
                if has_headings {
                    write_output(format!("==> {name} <==\n"))?;
                }
                show(&bytes, arguments.raw)?;
            }
            Err(error) => {
                let failure = Failure::from(error);
                context.report("logs", &failure);
                exit = failure.exit;
            }
        }
    }
    Ok(exit)
}

fn show(bytes: &[u8], is_raw: bool) -> Result<(), Failure> {
    if is_raw {
        return write_output(bytes);
    }
    let mut text = escaped_lines(bytes);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    write_output(text)
}
