//! `taut logs`: what sessions printed, as far as it is held, and what comes.

use clap::Args;

use super::super::{
    attach::{EndingSignals, Leave},
    context::{Context, check_name},
    failure::{Failure, Outcome, exit_code},
    follow::{self, Source},
    printer::Printer,
    terminal::reader_gone,
};
use crate::{Client, LogPiece, LogRange};

/// Print what a session printed
///
/// As far as its log reaches; what is missing is told on standard error. Control characters are
/// written out, unless --raw asks for the bytes themselves.
/// With --follow, goes on with what comes until the program has ended and is not started again. A
/// program never waits for who follows it: what is read too slowly may be missing.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut logs build --tail 20\n  taut logs build --raw | less -R\n  \
                  taut logs -f build\n  \
                  taut logs -f --tail 0 build test    only what comes, of both"
)]
pub(crate) struct LogsArguments {
    /// Sessions; the one we are in, or the only one, if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only the last lines
    #[arg(long, value_name = "LINES", conflicts_with = "from")]
    tail: Option<u32>,
    /// Only from this output offset on
    #[arg(long, value_name = "OFFSET")]
    from: Option<u64>,
    /// Go on with what comes, until the program has ended for good
    #[arg(short, long)]
    follow: bool,
    /// The bytes as they were printed
    #[arg(long)]
    raw: bool,
}

pub(crate) async fn perform(context: &Context, arguments: LogsArguments) -> Outcome {
    let LogsArguments { mut names, tail, from, follow: goes_on, raw } = arguments;
    let client = context.connect().await?;
    if names.is_empty() {
        names.push(context.name_or_usual(&client, None).await?);
    }
    let names = names.into_iter().map(check_name).collect::<Result<Vec<_>, _>>()?;
    let range = match (tail, from) {
        (Some(lines), _) => LogRange::TailLines(lines),
        (None, Some(offset)) => LogRange::From(offset),
        (None, None) => LogRange::All,
    };
    let mut printer = Printer::start(context, names, raw)
        .map_err(|error| Failure::system("start writing", &error))?;
    if !goes_on {
        let (_, exit) = print_held(&client, &mut printer, range, raw, false).await?;
        return Ok(exit);
    }
    let mut signals =
        EndingSignals::listen().map_err(|error| Failure::system("listen for signals", &error))?;
    let all = async {
        let (sources, exit) = print_held(&client, &mut printer, range, raw, true).await?;
        let failed = follow::follow(&client, sources, &mut printer).await?;
        Ok(if exit == exit_code::SUCCESS { failed } else { exit })
    };
    tokio::select! {
        biased;
        leave = signals.wait() => match leave {
            Leave::Signal(number) => Ok(exit_code::SIGNAL + number as u8),
            _ => Ok(exit_code::FAILURE),
        },
        outcome = all => outcome,
        () = reader_gone() => Err(Failure::reader_gone()),
    }
}

/// Prints what is held of each session; returns where to go on with each that there is, and the
/// exit code of the first that could not be read.
async fn print_held(
    client: &Client,
    printer: &mut Printer<'_>,
    range: LogRange,
    is_raw: bool,
    goes_on: bool,
) -> Result<(Vec<Source>, u8), Failure> {
    let mut sources = Vec::new();
    let mut exit = exit_code::SUCCESS;
    for index in 0..printer.names().len() {
        let name = printer.names()[index].clone();
        let read = read_held(client, &name, range).await;
        let (mut pieces, next) = match read {
            Ok(held) => held,
            Err(failure) => {
                printer.report(&failure).await?;
                exit = if exit == exit_code::SUCCESS { failure.exit } else { exit };
                continue;
            }
        };
        printer.begin(index).await?;
        if !is_raw && range == LogRange::All {
            begin_at_a_line(&mut pieces);
        }
        let gaps = gaps_before(range, &pieces);
        for (piece, gap) in pieces.iter().zip(gaps) {
            if let Some(note) = gap {
                printer.note(index, &note).await?;
            }
            printer.print(index, &piece.bytes).await?;
        }
        if !goes_on {
            printer.finish(index).await?;
        }
        sources.push(Source { index, name, from: next.attach, wanted: next.wanted });
    }
    Ok((sources, exit))
}

/// Where following begins.
struct Next {
    attach: u64,
    wanted: u64,
}

async fn read_held(
    client: &Client,
    name: &str,
    range: LogRange,
) -> Result<(Vec<LogPiece>, Next), Failure> {
    // Asked first: what is printed meanwhile is behind it, and is read or follows.
    let found = client.status(Some(name)).await?;
    let end = found.first().map_or(0, |status| status.output_offset);
    let pieces = client.logs(name, range).await?.pieces;
    let next = match (pieces.last(), range) {
        (Some(last), _) => Next { attach: last.end(), wanted: last.end() },
        (None, LogRange::From(from)) => Next { attach: from.min(end), wanted: from },
        (None, _) => Next { attach: end, wanted: end },
    };
    Ok((pieces, next))
}

/// The rest of a line whose beginning left the log is no line, and left out too.
fn begin_at_a_line(pieces: &mut [LogPiece]) {
    let Some(first) = pieces.first_mut().filter(|piece| piece.is_after_gap) else { return };
    let rest = first.bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    first.bytes.drain(..rest);
    first.offset += rest as u64;
}

/// What to say before each piece: whatever of the range was not held any more.
fn gaps_before(range: LogRange, pieces: &[LogPiece]) -> Vec<Option<String>> {
    let mut end = match range {
        LogRange::From(from) => Some(from),
        _ => None,
    };
    let gaps = pieces.iter().enumerate().map(|(number, piece)| {
        let before = end.replace(piece.end());
        if !piece.is_after_gap {
            return None;
        }
        match (before, range) {
            (Some(from), _) => Some(show_gap(from, piece.offset)),
            (None, LogRange::All) if number == 0 => {
                Some(format!("the first {} bytes are not held any more", piece.offset))
            }
            (None, _) => Some("the first of these lines are not held any more".into()),
        }
    });
    gaps.collect()
}

/// What is said about bytes that are missing.
pub(crate) fn show_gap(from: u64, to: u64) -> String {
    format!("{} bytes are missing here, from offset {from} on: they left the log", to - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, len: usize, is_after_gap: bool) -> LogPiece {
        LogPiece { offset, bytes: vec![b'x'; len], is_after_gap }
    }

    #[test]
    fn what_was_asked_for_and_is_not_held_is_told() {
        let told = |range, pieces: &[LogPiece]| {
            gaps_before(range, pieces).into_iter().flatten().collect::<Vec<_>>()
        };
        let moved = [piece(100, 50, true), piece(170, 10, true)];
        let (first, second) = (show_gap(40, 100), show_gap(150, 170));
        assert_eq!(told(LogRange::From(40), &moved), [first, second.clone()]);
        let begin = "the first 100 bytes are not held any more";
        assert_eq!(told(LogRange::All, &moved), [begin, second.as_str()]);
        let lines = "the first of these lines are not held any more";
        assert_eq!(told(LogRange::TailLines(9), &moved), [lines, second.as_str()]);
        let whole = [piece(0, 50, false)];
        assert_eq!(told(LogRange::From(0), &whole), [""; 0]);
        assert_eq!(told(LogRange::All, &whole), [""; 0]);
        assert_eq!(told(LogRange::From(7), &[]), [""; 0]);
    }
}
