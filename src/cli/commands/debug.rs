//! `taut debug`: what goes on underneath, made visible.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::super::{
    context::Context,
    failure::{Failure, Outcome, exit_code},
    frames::{Form, KindChoice, Transcript, parse_kind},
};
use crate::trace::{Records, TRACE_SIZE_MAX};

/// Look at what goes on underneath
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = false,
    after_help = "Example:\n  TAUT_TRACE=/tmp/t taut ls; taut debug frames /tmp/t"
)]
pub(crate) struct DebugArguments {
    #[command(subcommand)]
    command: DebugCommand,
}

#[derive(Debug, Subcommand)]
enum DebugCommand {
    Frames(FramesArguments),
}

/// Decode a frame trace
///
/// Every taut that is run with TAUT_TRACE=FILE appends what it sends and receives to FILE; taut
/// serve, what the daemon does. What was typed and printed is in FILE, so only its owner may have
/// access to it; here its length is shown, unless --bytes asks for all.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  \
                  TAUT_TRACE=/tmp/t taut send build make --enter\n  \
                  taut debug frames /tmp/t\n  \
                  taut debug frames /tmp/t --kind input --kind output --bytes\n  \
                  taut debug frames /tmp/t --json | jq 'select(.error)'"
)]
struct FramesArguments {
    /// The trace
    file: PathBuf,
    /// Also what was typed and printed, environments and secrets, escaped
    #[arg(long)]
    bytes: bool,
    /// Only frames of this kind, by name or number; can be repeated
    #[arg(long = "kind", value_name = "KIND", value_parser = parse_kind)]
    kinds: Vec<KindChoice>,
}

/// Most bytes that are read: a full trace, with room for what several processes did at its end.
const READ_MAX: u64 = 2 * TRACE_SIZE_MAX;

pub(crate) fn perform(context: &Context, arguments: DebugArguments) -> Outcome {
    let DebugCommand::Frames(arguments) = arguments.command;
    let bytes = read(&arguments.file)?;
    if !Records::is_trace(&bytes) {
        let why = format!("{} is no frame trace", arguments.file.display());
        let hint = "TAUT_TRACE=FILE in front of a taut command records one";
        return Err(Failure::new(exit_code::FAILURE, "no_trace", why).with_hint(hint));
    }
    if bytes.is_empty() {
        context.note("no frame was recorded");
    }
    let form =
        Form { is_json: context.is_json, with_bytes: arguments.bytes, kinds: arguments.kinds };
    write_lines(&bytes, form).map_err(|error| Failure::output(&error))?;
    Ok(exit_code::SUCCESS)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: &io::Error| Failure::system(&format!("read {}", path.display()), error);
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(READ_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > READ_MAX {
        let why = format!("{} is larger than any frame trace", path.display());
        return Err(Failure::new(exit_code::FAILURE, "no_trace", why));
    }
    Ok(bytes)
}

fn write_lines(bytes: &[u8], form: Form) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut transcript = Transcript::new(form);
    for found in Records::new(bytes) {
        output.write_all(transcript.line(&found).as_bytes())?;
    }
    output.flush()
}
