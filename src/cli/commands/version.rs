//! `taut version`: of this program, its protocol, and the daemon.

use clap::Args;
use serde_json::{Value, json};

use super::super::{
    context::{Context, write_json, write_output},
    failure::{Failure, Outcome, exit_code},
};
use crate::{
    Client, ConnectFailure,
    protocol::{EngineHello, VERSION},
};

/// Print the versions of taut, its protocol and the daemon
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taut version --json")]
pub(crate) struct VersionArguments {}

const OURS: &str = env!("CARGO_PKG_VERSION");

pub(crate) async fn perform(context: &Context, _: &VersionArguments) -> Outcome {
    let hello = match Client::connect(&context.socket, context.client_config()?).await {
        Ok(client) => Some(client.hello()),
        Err(ConnectFailure::Refused { hello, .. }) => Some(*hello),
        Err(failure) => match Failure::from(failure) {
            failure if failure.is_no_daemon() => None,
            failure => return Err(failure),
        },
    };
    if context.is_json {
        let daemon = hello.map_or(Value::Null, |hello| daemon_json(&hello, context));
        write_json(&json!({"version": OURS, "protocol": VERSION, "daemon": daemon}))?;
        return Ok(exit_code::SUCCESS);
    }
    let daemon = match hello {
        None => "none is running".into(),
        Some(hello) => {
            let (least, most) = (hello.version_min, hello.version_max);
            let range = if least == most { most.to_string() } else { format!("{least} to {most}") };
            format!("protocol {range}, at {}", context.socket.display())
        }
    };
    write_output(format!("taut      {OURS}\nprotocol  {VERSION}\ndaemon    {daemon}\n"))?;
    Ok(exit_code::SUCCESS)
}

fn daemon_json(hello: &EngineHello, context: &Context) -> Value {
    let id = hello.engine_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    json!({
        "socket": context.socket.display().to_string(),
        "protocol_min": hello.version_min,
        "protocol_max": hello.version_max,
        "engine_id": id,
    })
}
