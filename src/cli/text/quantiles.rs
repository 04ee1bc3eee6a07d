//! Latencies, for programs and people.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::duration::show_duration;

/// A quantile; the end of its bucket may lie beyond the largest value, which it is not.
pub(crate) fn value_at(times: &Histogram<u64>, quantile: f64) -> u64 {
    times.value_at_quantile(quantile).min(times.max())
}

/// What is told of any histogram; the keys are a promise.
pub(crate) fn quantiles_json(times: &Histogram<u64>) -> Map<String, Value> {
    let at = |quantile| value_at(times, quantile);
    let values = json!({
        "samples": times.len(),
        "min_ns": times.min(),
        "mean_ns": times.mean().round() as u64,
        "stddev_ns": times.stdev().round() as u64,
        "p50_ns": at(0.5),
        "p90_ns": at(0.9),
        "p99_ns": at(0.99),
        "p999_ns": at(0.999),
        "max_ns": times.max(),
    });
    match values {
        Value::Object(values) => values,
        _ => unreachable!("it was written as an object"),
    }
}

/// A time in nanoseconds, for people.
pub(crate) fn show_nanos(nanos: u64) -> String {
    show_duration(Duration::from_nanos(nanos))
}
