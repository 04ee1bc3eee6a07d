//! The command line as a whole; what each command takes is written next to what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::commands;

/// Keeps shells and programs running on terminals of their own; attach, type and leave as you like.
///
/// Without a command: attaches to the session "main", which runs $SHELL and is made if there is
/// none.
#[derive(Debug, Parser)]
#[command(
    name = "taut",
    version,
    verbatim_doc_comment,
    after_help = "Example:\n  \
                  taut                      a shell that survives; leave with ctrl-\\\n  \
                  taut new build -- make    run something beside it\n  \
                  taut attach build         and look at it"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct GlobalArguments {
    /// The daemon's socket [env: TAUT_SOCKET]
    #[arg(short = 'S', long, global = true, value_name = "PATH", help_heading = GLOBAL)]
    pub(crate) socket: Option<PathBuf>,
    /// A daemon with a name of its own, beside the default one
    #[arg(short = 'L', global = true, value_name = "NAME", help_heading = GLOBAL)]
    #[arg(conflicts_with = "socket")]
    pub(crate) daemon_name: Option<String>,
    /// The configuration file [env: TAUT_CONFIG]
    #[arg(long, global = true, value_name = "PATH", help_heading = GLOBAL)]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON, and errors as JSON on standard error
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    pub(crate) verbose: u8,
    /// Say only what was asked for
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub(crate) quiet: bool,
    /// Whether to start a daemon if none runs
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    #[arg(help_heading = GLOBAL)]
    pub(crate) daemon: DaemonPolicy,
}

const GLOBAL: &str = "Global options";

/// Whether a daemon may be started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum DaemonPolicy {
    /// Start one for bare taut, new, run and attach --create
    #[default]
    Auto,
    /// Fail if none runs
    Require,
    /// Never start one
    Never,
}

/// What can be done. What the help says of each is said where it is done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(visible_alias = "a")]
    Attach(commands::attach::AttachArguments),
    New(commands::new::NewArguments),
    Run(commands::run::RunArguments),
    Send(commands::send::SendArguments),
    #[command(visible_aliases = ["list", "ps"])]
    Ls(commands::ls::LsArguments),
    Status(commands::status::StatusArguments),
    Screen(commands::screen::ScreenArguments),
    Logs(commands::logs::LogsArguments),
    Wait(commands::wait::WaitArguments),
    Detach(commands::detach::DetachArguments),
    Resize(commands::resize::ResizeArguments),
    Signal(commands::signal::SignalArguments),
    Rename(commands::rename::RenameArguments),
    Stop(commands::stop::StopArguments),
    Kill(commands::stop::KillArguments),
    Restart(commands::stop::RestartArguments),
    Rm(commands::rm::RmArguments),
    Ping(commands::ping::PingArguments),
    Stats(commands::stats::StatsArguments),
    Serve(commands::serve::ServeArguments),
    #[command(visible_alias = "kill-server")]
    Shutdown(commands::shutdown::ShutdownArguments),
    Version(commands::version::VersionArguments),
    Debug(commands::debug::DebugArguments),
    Config(commands::config::ConfigArguments),
    Completions(commands::completions::CompletionsArguments),
    Man(commands::man::ManArguments),
}

impl Command {
    /// Its name, for errors.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Attach(_) => "attach",
            Self::New(_) => "new",
            Self::Run(_) => "run",
            Self::Send(_) => "send",
            Self::Ls(_) => "ls",
            Self::Status(_) => "status",
            Self::Screen(_) => "screen",
            Self::Logs(_) => "logs",
            Self::Wait(_) => "wait",
            Self::Detach(_) => "detach",
            Self::Resize(_) => "resize",
            Self::Signal(_) => "signal",
            Self::Rename(_) => "rename",
            Self::Stop(_) => "stop",
            Self::Kill(_) => "kill",
            Self::Restart(_) => "restart",
            Self::Rm(_) => "rm",
            Self::Ping(_) => "ping",
            Self::Stats(_) => "stats",
            Self::Serve(_) => "serve",
            Self::Shutdown(_) => "shutdown",
            Self::Version(_) => "version",
            Self::Debug(_) => "debug frames",
            Self::Config(_) => "config",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    /// Whether it heeds the configuration: what does not works whatever the file says.
    pub(crate) const fn is_configured(&self) -> bool {
        match self {
            Self::Completions(_) | Self::Man(_) | Self::Debug(_) => false,
            Self::Config(arguments) => !arguments.is_check(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_an_example() {
        let mut command = Arguments::command();
        command.clone().debug_assert();
        command.build();
        assert_examples(&command);
    }

    fn assert_examples(command: &clap::Command) {
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("Example"), "{} has no example", command.get_name());
            assert_examples(command);
        }
    }
}
