//! `taut new`: a session is made, and its name printed.

use std::ffi::OsString;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{
    super::{
        attach::{self, AttachHow},
        context::{Context, check_name, write_json, write_output},
        failure::{Outcome, exit_code},
        keys::{DetachKeys, parse_detach_keys},
        terminal::Tty,
    },
    attach::no_terminal,
    spawn_options::{SpawnOptions, parse_log_size},
};
use crate::protocol::{RestartPolicy, SizePolicy, View};

/// Create a session and print its name
///
/// It runs CMD, else $SHELL, and stays until rm. An exited session of that name is started afresh;
/// a live one is not touched.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut new\n  taut new build -C ~/src -e CI=1 -- make test"
)]
pub(crate) struct NewArguments {
    /// Its name [default: session-N]
    name: Option<String>,
    /// The program and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
    #[command(flatten)]
    options: SpawnOptions,
    /// How much output is held, in bytes [default: 1m]
    #[arg(long, value_name = "BYTES", value_parser = parse_log_size)]
    log_size: Option<u32>,
    /// Whose window size counts
    #[arg(long, value_name = "POLICY", value_enum)]
    size_policy: Option<PolicyName>,
    /// When to start the program again after it ended
    #[arg(long, value_name = "POLICY", value_enum, default_value_t)]
    restart: RestartName,
    /// Attach at once
    #[arg(long)]
    attach: bool,
    /// What detaches [default: as configured, else ctrl-\]
    #[arg(long, value_name = "KEYS", requires = "attach", value_parser = parse_detach_keys)]
    detach_keys: Option<DetachKeys>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyName {
    /// Who attached or resized last
    Latest,
    /// The smallest attached
    Smallest,
    /// The largest attached
    Largest,
    /// What --size or resize said
    Fixed,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum RestartName {
    /// Never
    #[default]
    Never,
    /// Unless it exited with 0
    OnFailure,
    /// Always
    Always,
}

impl From<RestartName> for RestartPolicy {
    fn from(name: RestartName) -> Self {
        match name {
            RestartName::Never => Self::Never,
            RestartName::OnFailure => Self::OnFailure,
            RestartName::Always => Self::Always,
        }
    }
}

impl From<PolicyName> for SizePolicy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Latest => Self::Latest,
            PolicyName::Smallest => Self::Smallest,
            PolicyName::Largest => Self::Largest,
            PolicyName::Fixed => Self::Fixed,
        }
    }
}

pub(crate) async fn perform(context: &Context, arguments: NewArguments) -> Outcome {
    let name = arguments.name.map(check_name).transpose()?.unwrap_or_default();
    if arguments.attach && !Tty::is_there() {
        return Err(no_terminal());
    }
    let mut request = arguments.options.request(name, arguments.command)?;
    request.log_size = arguments.log_size.unwrap_or(0);
    request.size_policy = arguments.size_policy.map_or(SizePolicy::Latest, Into::into);
    request.restart = arguments.restart.into();
    let client = context.connect_or_start().await?;
    if arguments.attach {
        let how = AttachHow::new(context, arguments.detach_keys);
        let tty = attach::open_terminal()?;
        let options = how.options(tty.size(), View::None, 0);
        let (spawned, input, events) = client.spawn_attached(&request, &options).await?;
        return attach::Attached::new(&client, spawned.name, input, events)
            .show(context, tty, how)
            .await;
    }
    let spawned = client.spawn(&request).await?;
    if context.is_json {
        write_json(&json!({
            "name": spawned.name,
            "pid": spawned.pid,
            "epoch": format!("{:016x}", spawned.epoch),
        }))?;
    } else {
        write_output(format!("{}\n", spawned.name))?;
    }
    Ok(exit_code::SUCCESS)
}
