//! `taut screen`: what a session's terminal shows.

use clap::Args;
use serde_json::json;

use super::super::{
    context::{Context, write_json, write_output},
    failure::{Failure, Outcome, exit_code},
    text::escape::escaped,
};
use crate::{ScreenOptions, SessionScreen, protocol::limits::HISTORY_LINES_MAX};

/// Print what a session's terminal shows
///
/// As text, row by row. It is drawn from what the log holds: a program that drew its screen long
/// ago, and much else since, may show gaps.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut screen build\n  \
                  taut screen build --ansi --history 100 | less -R\n  \
                  taut screen build --json | jq -r '.rows[]'"
)]
pub(crate) struct ScreenArguments {
    /// The session; the one we are in, or the only one, if none is named
    name: Option<String>,
    /// Keep the colours
    #[arg(long)]
    ansi: bool,
    /// Also so many lines that scrolled off, above
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=i64::from(HISTORY_LINES_MAX)))]
    history: u32,
}

pub(crate) async fn perform(context: &Context, arguments: ScreenArguments) -> Outcome {
    let client = context.administer().await?;
    let name = context.name_or_usual(&client, arguments.name).await?;
    let options = ScreenOptions { is_styled: arguments.ansi, history_lines: arguments.history };
    let screen = client.screen(&name, options).await?;
    if context.is_json {
        write_json(&screen_json(&screen))?;
    } else {
        show(&screen, arguments.ansi)?;
    }
    Ok(exit_code::SUCCESS)
}

fn show(screen: &SessionScreen, is_styled: bool) -> Result<(), Failure> {
    let lines = screen.history.iter().chain(&screen.rows);
    // With colours the terminal model wrote the sequences, not the child.
    let shown = lines.map(|line| match is_styled {
        true => line.clone() + "\n",
        false => escaped(line.as_bytes()) + "\n",
    });
    // The rest of the screen is empty.
    let shown = shown.collect::<String>();
    let text = shown.trim_end_matches('\n');
    write_output(if text.is_empty() { String::new() } else { format!("{text}\n") })
}

fn screen_json(screen: &SessionScreen) -> serde_json::Value {
    json!({
        "rows": screen.rows,
        "history": screen.history,
        "cursor": {
            "col": screen.cursor.col,
            "row": screen.cursor.row,
            "visible": screen.cursor.is_visible,
        },
        "size": {"cols": screen.size.cols, "rows": screen.size.rows},
        "title": match screen.title.as_slice() {
            [] => serde_json::Value::Null,
            title => String::from_utf8_lossy(title).into(),
        },
        "modes": screen.modes,
        "offset": screen.offset,
    })
}
