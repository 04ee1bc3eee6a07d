//! `taut rm`: sessions are forgotten, with their logs.

use clap::Args;

use super::{
    super::{
        context::{Context, check_name},
        failure::{Failure, Outcome},
    },
    for_each, is_live, names_where,
};

/// Forget sessions whose program has ended, with their logs
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taut rm build\n  taut rm --exited")]
pub(crate) struct RmArguments {
    /// Sessions
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "exited"])]
    names: Vec<String>,
    /// Also those whose program runs: it is killed
    #[arg(long)]
    force: bool,
    /// All whose program has ended
    #[arg(long, conflicts_with_all = ["names", "all"])]
    exited: bool,
    /// All of them
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

pub(crate) async fn perform(context: &Context, arguments: RmArguments) -> Outcome {
    let names = arguments.names.into_iter().map(check_name).collect::<Result<Vec<_>, _>>()?;
    let client = context.administer().await?;
    let names = match (arguments.exited, arguments.all) {
        (true, _) => names_where(&client, |session| !is_live(session)).await?,
        (_, true) => names_where(&client, |_| true).await?,
        _ => names,
    };
    let remove = |name: String| {
        let client = client.clone();
        async move { client.remove(&name, arguments.force).await.map_err(Failure::from) }
    };
    Ok(for_each(context, "rm", &names, remove).await)
}
