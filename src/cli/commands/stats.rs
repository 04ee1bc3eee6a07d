//! `taut stats`: the daemon's own figures.

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::super::{
    context::{Context, check_name, is_coloured, write_json, write_output},
    failure::{Outcome, exit_code},
    text::{
        duration::show_duration,
        quantiles::{quantiles_json, show_nanos, value_at},
        table::Table,
    },
};
use crate::{EngineStats, StatsOptions};

/// Print counters, limits and latencies
///
/// The daemon's, since it was started, or one session's. Latency is measured always: how long a
/// frame took from the socket to being understood, input from there to the terminal, and output
/// from the terminal to the socket.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut stats\n  taut stats --json | jq .stages\n  \
                  taut stats --reset-interval   what came since it was said last"
)]
pub(crate) struct StatsArguments {
    /// One session's figures
    name: Option<String>,
    /// In the text format of Prometheus
    #[arg(long, conflicts_with = "json")]
    prometheus: bool,
    /// Only what came since this was said last
    #[arg(long, conflicts_with = "name")]
    reset_interval: bool,
}

pub(crate) async fn perform(context: &Context, arguments: StatsArguments) -> Outcome {
    let options = StatsOptions {
        session: arguments.name.map(check_name).transpose()?,
        stages: true,
        interval: arguments.reset_interval,
        reset_interval: arguments.reset_interval,
    };
    let client = context.administer().await?;
    let stats = client.stats(&options).await?;
    if context.is_json {
        write_json(&stats_json(&stats, client.transport_name()))?;
    } else if arguments.prometheus {
        write_output(prometheus(&stats, options.session.as_deref()))?;
    } else {
        let is_coloured = is_coloured(&std::io::stdout());
        write_output(show(&stats, client.transport_name(), is_coloured))?;
    }
    Ok(exit_code::SUCCESS)
}

fn stats_json(stats: &EngineStats, transport: &str) -> Value {
    let object = |numbers: &[(String, u64)]| -> Map<String, Value> {
        numbers.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
    };
    let stages = stats.stages.iter().map(|(name, times)| {
        let mut stage = quantiles_json(times);
        stage.insert("name".into(), json!(name));
        Value::Object(stage)
    });
    json!({
        "interval_ns": u64::try_from(stats.interval.as_nanos()).unwrap_or(u64::MAX),
        "transport": transport,
        "counters": object(&stats.counters),
        "limits": object(&stats.limits),
        "stages": stages.collect::<Vec<_>>(),
    })
}

fn show(stats: &EngineStats, transport: &str, is_coloured: bool) -> String {
    let numbers = |heading: &str, numbers: &[(String, u64)]| {
        let mut table = Table::new(&[heading, "VALUE"]);
        numbers.iter().for_each(|(name, value)| table.row(vec![name.clone(), value.to_string()]));
        table.show(is_coloured)
    };
    let interval = show_duration(stats.interval);
    let mut shown = format!("over {interval}, transport {transport}\n\n");
    shown += &numbers("COUNTER", &stats.counters);
    shown += "\n";
    shown += &numbers("LIMIT", &stats.limits);
    if !stats.stages.is_empty() {
        shown += "\n";
        shown += &show_stages(&stats.stages, is_coloured);
    }
    shown
}

fn show_stages(stages: &[(String, Histogram<u64>)], is_coloured: bool) -> String {
    let mut table = Table::new(&["STAGE", "SAMPLES", "P50", "P90", "P99", "P99.9", "MAX"]);
    for (name, times) in stages {
        let mut row = vec![name.clone(), times.len().to_string()];
        if !times.is_empty() {
            row.extend([0.5, 0.9, 0.99, 0.999].map(|at| show_nanos(value_at(times, at))));
            row.push(show_nanos(times.max()));
        }
        table.row(row);
    }
    table.show(is_coloured)
}

/// The text format of Prometheus, version 0.0.4:
/// <https://prometheus.io/docs/instrumenting/exposition_formats/>.
fn prometheus(stats: &EngineStats, session: Option<&str>) -> String {
    // A session's name has no character that would have to be escaped.
    let label = session.map_or_else(String::new, |name| format!("{{session=\"{name}\"}}"));
    let mut text = String::new();
    for (name, value) in stats.counters.iter().chain(&stats.limits) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        text += &format!("# TYPE taut_{name} {kind}\ntaut_{name}{label} {value}\n");
    }
    if !stats.stages.is_empty() {
        text += "# TYPE taut_stage_seconds summary\n";
    }
    for (name, times) in &stats.stages {
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            let seconds = value_at(times, quantile) as f64 / 1e9;
            let labels = format!("stage=\"{name}\",quantile=\"{quantile}\"");
            text += &format!("taut_stage_seconds{{{labels}}} {seconds:e}\n");
        }
        let sum = times.mean() * times.len() as f64 / 1e9;
        text += &format!("taut_stage_seconds_sum{{stage=\"{name}\"}} {sum:e}\n");
        text += &format!("taut_stage_seconds_count{{stage=\"{name}\"}} {}\n", times.len());
    }
    text
}
