//! `taut ping`: how long the daemon takes to answer, one line each, then quantiles.

use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::super::{
    context::{Context, write_json, write_output},
    failure::{Failure, Outcome, exit_code},
    text::{
        duration::{parse_duration, show_duration},
        quantiles::{quantiles_json, show_nanos, value_at},
    },
};
use crate::{Client, RequestError, protocol::limits::PING_MAX};

/// Measure how long the daemon takes to answer
///
/// Goes on until -c or -w is reached or ctrl-C is pressed, then prints quantiles. Exits with 1 if
/// no answer came.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  taut ping -c 5\n  taut ping -q -c 10000 -i 0"
)]
pub(crate) struct PingArguments {
    /// How many
    #[arg(short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How long from one to the next; 0 asks again as soon as the answer is there
    #[arg(short, value_name = "INTERVAL", default_value = "1s", value_parser = parse_duration)]
    interval: Duration,
    /// Bytes that travel both ways, at most 8,128
    #[arg(short, value_name = "BYTES", default_value_t = 56)]
    #[arg(value_parser = clap::value_parser!(u16).range(..=PING_MAX as i64))]
    size: u16,
    /// When to end, however many were sent
    #[arg(short = 'w', value_name = "DEADLINE", value_parser = parse_duration)]
    deadline: Option<Duration>,
}

/// An answer that takes longer is lost.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The longest time that is told apart.
const LONGEST_NS: u64 = 60_000_000_000;

struct Results {
    sent: u64,
    round_trips: Histogram<u64>,
    /// From the engine having read a ping to it having answered, on its own clock.
    engine: Histogram<u64>,
}

pub(crate) async fn perform(context: &Context, arguments: &PingArguments) -> Outcome {
    let client = context.administer().await?;
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|error| Failure::system("listen for signals", &error))?;
    let empty = || Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("these bounds are legal");
    let mut results = Results { sent: 0, round_trips: empty(), engine: empty() };
    let has_lines = !context.is_quiet && !context.is_json;
    let outcome = ping_all(&client, arguments, &mut interrupt, &mut results, has_lines).await;
    if context.is_json {
        write_json(&results.json())?;
    } else {
        write_output(results.show())?;
    }
    outcome?;
    let is_heard = results.sent == 0 || !results.round_trips.is_empty();
    Ok(if is_heard { exit_code::SUCCESS } else { exit_code::FAILURE })
}

async fn ping_all(
    client: &Client,
    arguments: &PingArguments,
    interrupt: &mut Signal,
    results: &mut Results,
    has_lines: bool,
) -> Result<(), Failure> {
    let payload = vec![0x55; arguments.size.into()];
    let begun = Instant::now();
    let end = arguments.deadline.map(|deadline| begun + deadline);
    let mut due = begun;
    while results.sent < arguments.count.unwrap_or(u64::MAX) {
        let is_over = async {
            match end {
                Some(end) => tokio::time::sleep_until(end.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = interrupt.recv() => return Ok(()),
            () = is_over => return Ok(()),
            outcome = ping_once(client, &payload, due, results, has_lines) => outcome?,
        }
        due += arguments.interval;
    }
    Ok(())
}

async fn ping_once(
    client: &Client,
    payload: &[u8],
    due: Instant,
    results: &mut Results,
    has_lines: bool,
) -> Result<(), Failure> {
    if due > Instant::now() {
        tokio::time::sleep_until(due.into()).await;
    } else {
        // Signals and deadlines are looked at in between, however fast the answers come.
        tokio::task::yield_now().await;
    }
    results.sent += 1;
    let number = results.sent;
    let Ok(answer) = tokio::time::timeout(ANSWER_LIMIT, client.ping(payload)).await else {
        return if has_lines { write_output(format!("seq={number} lost\n")) } else { Ok(()) };
    };
    let times = match answer {
        Ok(times) => times,
        Err(error @ (RequestError::Lost | RequestError::Closed(_))) => {
            return Err(Failure::from(error));
        }
        Err(error) => return Err(error.into()),
    };
    let nanos = u64::try_from(times.round_trip.as_nanos()).unwrap_or(LONGEST_NS);
    results.round_trips.saturating_record(nanos.max(1));
    let engine = times.replied_ns.saturating_sub(times.received_ns);
    results.engine.saturating_record(engine.max(1));
    if !has_lines {
        return Ok(());
    }
    let (size, time) = (payload.len(), show_duration(times.round_trip));
    let engine = show_duration(Duration::from_nanos(engine));
    write_output(format!("{size} bytes: seq={number} time={time} engine={engine}\n"))
}

impl Results {
    fn lost(&self) -> u64 {
        self.sent - self.round_trips.len().min(self.sent)
    }

    fn json(&self) -> Value {
        let mut json = quantiles_json(&self.round_trips);
        json.insert("sent".into(), self.sent.into());
        json.insert("received".into(), self.round_trips.len().into());
        json.insert("lost".into(), self.lost().into());
        let engine = json!({
            "p50_ns": value_at(&self.engine, 0.5),
            "p99_ns": value_at(&self.engine, 0.99),
            "max_ns": self.engine.max(),
        });
        json.insert("stages".into(), json!({"engine": engine}));
        Value::Object(json)
    }

    fn show(&self) -> String {
        let (sent, lost) = (self.sent, self.lost());
        let times = &self.round_trips;
        let mut shown = format!("\n{sent} sent, {} received, {lost} lost\n", times.len());
        if times.is_empty() {
            return shown;
        }
        for (name, value) in [
            ("min", times.min()),
            ("mean", times.mean().round() as u64),
            ("p50", value_at(times, 0.5)),
            ("p90", value_at(times, 0.9)),
            ("p99", value_at(times, 0.99)),
            ("p99.9", value_at(times, 0.999)),
            ("max", times.max()),
        ] {
            shown.push_str(&format!("{name:<6}{:>9}\n", show_nanos(value)));
        }
        shown
    }
}
