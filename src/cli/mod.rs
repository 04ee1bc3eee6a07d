//! The `taut` command.
//!
//! `arguments` says what can be asked, `commands` does it, one file each; `attach` is the
//! interactive part, `terminal` and `keys` what it needs of the user's terminal; `daemon` starts
//! one when none runs; `config` is the configuration file; `frames` reads frame traces; `text`
//! reads and writes what people do. Errors are `failure`, and end in one place, here.

mod arguments;
mod attach;
mod commands;
mod config;
mod context;
mod daemon;
mod failure;
mod follow;
mod frames;
mod keys;
mod output_wait;
mod panics;
mod printer;
mod session_wait;
mod standard_input;
mod terminal;
mod text;

use std::{io, process::ExitCode};

use clap::{Parser, error::ErrorKind};

use arguments::{Arguments, Command};
use context::Context;
use failure::{Failure, exit_code};

/// Does what the command line says; the exit code says how it went.
pub fn main() -> ExitCode {
    crate::sys::ignore_file_size_signal();
    panics::catch(|| match Arguments::try_parse() {
        Ok(arguments) => perform(arguments),
        Err(error) => explain(&error),
    })
    .into()
}

fn perform(arguments: Arguments) -> u8 {
    let Arguments { global, command } = arguments;
    let what = command.as_ref().map_or("", Command::name);
    let is_configured = command.as_ref().is_none_or(Command::is_configured);
    let context = match Context::new(&global, is_configured) {
        Ok(context) => context,
        Err(failure) => {
            if let Some(Command::Serve(arguments)) = &command {
                arguments.tell_starter(&failure);
            }
            let is_coloured = context::is_coloured(&io::stderr());
            context::write_error(&failure.show(what, global.json, is_coloured));
            return failure.exit;
        }
    };
    commands::perform(&context, command).unwrap_or_else(|failure| {
        context.report(what, &failure);
        failure.exit
    })
}

/// What is wrong with the command line, or the help that was asked for.
fn explain(error: &clap::Error) -> u8 {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A pipe closed by its reader is success.
        let _ = error.print();
        return exit_code::SUCCESS;
    }
    let text = error.render().to_string();
    if std::env::args_os().any(|argument| argument == "--json") {
        let why = text.split("\n\n").next().unwrap_or_default();
        let why = why.strip_prefix("error: ").unwrap_or(why);
        context::write_error(&Failure::usage(why).show("", true, false));
        return exit_code::USAGE;
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    context::write_error(&format!("taut: {text}"));
    exit_code::USAGE
}
