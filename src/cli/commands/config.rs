//! `taut config`: what is configured, and whether a file is sound.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::{
    config::{Fault, KEYS, Key, Shown, find_file, read_file},
    context::{Context, write_json, write_output},
    failure::{Outcome, exit_code},
    text::escape::escaped,
};

/// Look at the configuration
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taut config show\n  taut config check")]
pub(crate) struct ConfigArguments {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Show(ShowArguments),
    Check(CheckArguments),
}

/// Print what is in force here, and where it comes from
///
/// As a configuration file; with -v, also what each key means. A daemon that runs already has what
/// was in force when it was started: see taut stats.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut config show\n  taut config show --json | jq '.keys[]'"
)]
struct ShowArguments {}

/// Say what is wrong in a configuration file
///
/// Exits with 2 if anything is.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut config check\n  taut config check ./new.toml && cp new.toml \
                  ~/.config/taut/config.toml"
)]
struct CheckArguments {
    /// The file [default: the one in force here]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

impl ConfigArguments {
    /// Whether it looks at a file that may be broken.
    pub(crate) const fn is_check(&self) -> bool {
        matches!(self.command, ConfigCommand::Check(_))
    }
}

pub(crate) fn perform(context: &Context, arguments: &ConfigArguments) -> Outcome {
    match &arguments.command {
        ConfigCommand::Show(_) => show(context),
        ConfigCommand::Check(arguments) => check(context, arguments),
    }
}

/// A key as it is in force.
struct Line {
    name: &'static str,
    meaning: &'static str,
    value: Shown,
    source: &'static str,
    line: Option<usize>,
}

fn lines(context: &Context) -> Vec<Line> {
    let config = &context.config;
    let mut settings = config.settings.clone();
    settings.socket = Some(context.socket.clone());
    let line = |key: &Key| {
        let line = config.lines.iter().find(|(name, _)| *name == key.name).map(|(_, line)| *line);
        let overridden = context.socket_source.filter(|_| key.name == "socket");
        let line = line.filter(|_| overridden.is_none());
        let origin = if line.is_some() { "file" } else { "default" };
        let source = overridden.unwrap_or(origin);
        let Key { name, meaning, .. } = *key;
        Line { name, meaning, value: key.field.show(&settings), source, line }
    };
    KEYS.iter().map(line).collect()
}

fn show(context: &Context) -> Outcome {
    let path = context.config.path.as_ref().map(|path| path.display().to_string());
    if context.is_json {
        let keys = lines(context).into_iter().map(|it| {
            json!({"key": it.name, "value": it.value.to_json(), "source": it.source,
                   "line": it.line})
        });
        write_json(&json!({"path": path, "keys": keys.collect::<Vec<_>>()}))?;
        return Ok(exit_code::SUCCESS);
    }
    let mut shown = match path {
        Some(path) => format!("# {}\n", escaped(path.as_bytes())),
        None => "# there is no configuration file\n".into(),
    };
    for Line { name, meaning, value, source, line } in lines(context) {
        if context.is_verbose {
            shown += &format!("\n# {meaning}\n");
        }
        let at = line.map_or_else(String::new, |line| format!(", line {line}"));
        let setting = format!("{name} = {}", value.to_toml());
        shown += &format!("{setting:<40} # {}{at}\n", source.replace('_', " "));
    }
    write_output(shown)?;
    Ok(exit_code::SUCCESS)
}

fn check(context: &Context, arguments: &CheckArguments) -> Outcome {
    let path = match &arguments.file {
        Some(path) => Some(path.clone()),
        None => find_file(context.config_flag.as_deref())?.map(|(path, _)| path),
    };
    let faults = match &path {
        Some(path) => read_file(path)?.1,
        None => Vec::new(),
    };
    let path = path.map(|path| path.display().to_string());
    if context.is_json {
        let shown = |fault: &Fault| json!({"line": fault.line, "message": fault.what});
        let faults = faults.iter().map(shown).collect::<Vec<Value>>();
        write_json(&json!({"path": path, "faults": faults}))?;
    } else {
        let name = path.as_deref().unwrap_or_default();
        for Fault { line, what } in &faults {
            write_output(escaped(format!("{name}:{line}: {what}").as_bytes()) + "\n")?;
        }
        if path.is_none() {
            context.note("there is no configuration file: the defaults are in force");
        } else if faults.is_empty() {
            context.note(&format!("{name} is sound"));
        }
    }
    Ok(if faults.is_empty() { exit_code::SUCCESS } else { exit_code::USAGE })
}
