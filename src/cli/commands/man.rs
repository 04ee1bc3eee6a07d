//! `taut man`: the manual pages, made from what the command line says of itself.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::super::{
    arguments::Arguments,
    context::write_output,
    failure::{Failure, Outcome, exit_code},
};

/// Print a manual page
///
/// That of taut, or of one command; with --all, every page goes to a file in DIR.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut man | man -l -\n  taut man attach | man -l -\n  \
                  taut man --all ~/.local/share/man/man1"
)]
pub(crate) struct ManArguments {
    /// A command, as attach or debug frames
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    #[arg(value_hint = clap::ValueHint::DirPath)]
    all: Option<PathBuf>,
}

pub(crate) fn perform(arguments: &ManArguments) -> Outcome {
    let mut command = Arguments::command();
    command.build();
    if let Some(directory) = &arguments.all {
        let failed =
            |error: &io::Error| Failure::system(&format!("write {}", directory.display()), error);
        fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        for command in all_commands(&command) {
            let path = directory.join(format!("{}.1", title(command)));
            fs::write(path, page(command)).map_err(|error| failed(&error))?;
        }
        return Ok(exit_code::SUCCESS);
    }
    let mut wanted = &command;
    for name in &arguments.command {
        let found = wanted.find_subcommand(name).filter(|_| name != "help");
        wanted = found.ok_or_else(|| Failure::usage(format!("there is no command \"{name}\"")))?;
    }
    write_output(page(wanted))?;
    Ok(exit_code::SUCCESS)
}

/// The command itself, and all below it, but for `help`, which only repeats them.
fn all_commands(command: &clap::Command) -> Vec<&clap::Command> {
    let below = command.get_subcommands().filter(|command| command.get_name() != "help");
    std::iter::once(command).chain(below.flat_map(all_commands)).collect()
}

/// The page's name: `taut-attach`.
fn title(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &clap::Command) -> Vec<u8> {
    let mut page = Vec::new();
    write_page(command, &mut page).expect("memory takes every write");
    page
}

fn write_page(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let (title, version) = (title(command), env!("CARGO_PKG_VERSION"));
    // Without a date, so that a page is the same whenever it is made.
    writeln!(page, ".TH {title} 1 \"\" \"taut {version}\" Tautline")?;
    let man = Man::new(command.clone().disable_help_subcommand(true));
    man.render_name_section(page)?;
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    writeln!(page, ".SH SYNOPSIS\n.nf")?;
    for line in usage.lines() {
        writeln!(page, "{}", escaped(line.trim()))?;
    }
    writeln!(page, ".fi")?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.get_subcommands().any(|below| below.get_name() != "help") {
        write_commands(command, page)?;
    }
    write_examples(command, page)?;
    page.extend_from_slice(if title == "taut" { MAIN_END } else { END }.as_bytes());
    Ok(())
}

fn write_commands(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    writeln!(page, ".SH COMMANDS")?;
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let about = below.get_about().map(ToString::to_string).unwrap_or_default();
        let aliases: Vec<_> = below.get_visible_aliases().collect();
        let also =
            if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
        writeln!(page, ".TP\n\\fB{}\\fR(1)", escaped(&title(below)))?;
        writeln!(page, "{}", escaped(&format!("{about}{also}")))?;
    }
    Ok(())
}

/// What the help ends with, under a heading of its own.
fn write_examples(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    writeln!(page, ".SH EXAMPLES\n.nf")?;
    for line in help.lines().skip(1) {
        writeln!(page, "{}", escaped(line.strip_prefix("  ").unwrap_or(line)))?;
    }
    writeln!(page, ".fi")
}

/// Text as roff prints it unchanged.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    let text = text.replace('`', "\\(ga").replace('^', "\\(ha").replace('~', "\\(ti");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

const END: &str = ".SH SEE ALSO\n\\fBtaut\\fR(1)\n";

const MAIN_END: &str = r#".SH EXIT STATUS
.TP
0
Success.
.TP
1
Failure.
.TP
2
The command line or the configuration makes no sense.
.TP
3
No daemon runs, or it is gone.
.TP
4
There is no such session.
.TP
5
Refused: a limit, a version, a permission, a name that is taken.
.TP
6
Not all input was delivered.
.TP
124
A time given ran out.
.TP
125, 126, 127
\fBtaut run\fR: the daemon failed, the program cannot be executed, there is no such program.
.TP
128+N
Signal N ended the program, or the command.
.PP
\fBtaut run\fR, and \fBtaut attach\fR when the session ends, exit with the program's status.
.SH ENVIRONMENT
.TP
TAUT_SOCKET
The daemon's socket, as \fB\-\-socket\fR; set in every session.
.TP
TAUT_SESSION
Set in every session: its name.
.TP
TAUT_CONFIG
The configuration file, as \fB\-\-config\fR.
.TP
TAUT_TRACE
Where to record every frame that is sent and received.
.TP
NO_COLOR
If set and not empty: no colour.
.SH FILES
.TP
\fI$XDG_RUNTIME_DIR/taut/taut.sock\fR
The socket.
.TP
\fI$XDG_CONFIG_HOME/taut/config.toml\fR
The configuration.
.TP
\fI$XDG_STATE_HOME/taut/taut.log\fR
The log of a daemon that a client started.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_name_synopsis_and_examples() {
        let mut command = Arguments::command();
        command.build();
        let commands = all_commands(&command);
        assert!(commands.len() > 25);
        for command in commands {
            let title = title(command);
            let page = String::from_utf8(page(command)).unwrap();
            for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"] {
                assert!(page.contains(&format!("\n.SH {heading}\n")), "{title}: {heading}");
            }
            let examples = page.split(".SH EXAMPLES\n.nf\n").nth(1).unwrap();
            assert!(examples.split("\n.fi").next().unwrap().contains("taut"), "{title}");
        }
    }

    #[test]
    fn nothing_in_an_example_is_taken_for_markup() {
        assert_eq!(escaped(".x -y 'a\\n' ~"), "\\&.x \\-y \\(aqa\\en\\(aq \\(ti");
    }
}
