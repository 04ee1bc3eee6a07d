//! The lines of a trace: aligned text for people, JSON for programs.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{
    super::text::moment::show_moment,
    decode::{Decoded, Decoder, KindChoice, name_of},
};
use crate::{
    protocol::Kind,
    trace::{Found, Record, Side, What},
};

/// What is shown of a trace, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    /// JSON lines.
    pub(crate) is_json: bool,
    /// Also what was typed and printed.
    pub(crate) with_bytes: bool,
    /// Only these kinds of frames; none for all.
    pub(crate) kinds: Vec<KindChoice>,
}

/// Writes a trace line by line.
pub(crate) struct Transcript {
    form: Form,
    decoder: Decoder,
    begun_unix_ns: Option<u64>,
}

impl Transcript {
    pub(crate) fn new(form: Form) -> Self {
        let decoder = Decoder::new(form.with_bytes);
        Self { form, decoder, begun_unix_ns: None }
    }

    /// The line, or two, for what was found next; none if nobody asked for that kind.
    pub(crate) fn line(&mut self, found: &Found<'_>) -> String {
        let record = match found {
            Found::Record(record) => record,
            Found::Noise(size) if self.form.is_json => {
                return format!("{}\n", json!({"record": "noise", "length": size}));
            }
            Found::Cut(size) if self.form.is_json => {
                return format!("{}\n", json!({"record": "cut", "length": size}));
            }
            Found::Noise(size) => return format!("({size} bytes that are no record)\n"),
            Found::Cut(size) => {
                return format!("(the last record is cut off: {size} bytes of it are there)\n");
            }
        };
        let mut shown = String::new();
        if self.begun_unix_ns.is_none() && !self.form.is_json {
            let moment = show_moment(UNIX_EPOCH + Duration::from_nanos(record.time_unix_ns));
            shown = format!("from {moment}\n");
        }
        let begun = *self.begun_unix_ns.get_or_insert(record.time_unix_ns);
        // Whoever appended later may have looked at the clock earlier.
        let elapsed = record.time_unix_ns.wrapping_sub(begun) as i64;
        if record.what == What::Stopped {
            return shown + &self.stopped(record, elapsed);
        }
        let decoded = self.decoder.decode(record);
        let kinds = &self.form.kinds;
        if !kinds.is_empty() && !kinds.iter().any(|kind| kind.is(decoded.kind)) {
            return shown;
        }
        let line = match self.form.is_json {
            true => json_line(record, elapsed, decoded).to_string(),
            false => text_line(record, elapsed, &decoded),
        };
        shown + &line + "\n"
    }

    fn stopped(&self, record: &Record<'_>, elapsed: i64) -> String {
        if self.form.is_json {
            return format!("{}\n", Value::Object(json_head("stopped", record, elapsed)));
        }
        format!("{} (recording stopped: the file is full)\n", text_head(record, elapsed, "--"))
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Engine => "engine",
    }
}

fn label(kind: Option<Kind>) -> String {
    match kind {
        None => "?".into(),
        Some(kind) => name_of(kind).map_or_else(|| format!("{:#06x}", kind.0), Into::into),
    }
}

fn text_head(record: &Record<'_>, elapsed: i64, arrow: &str) -> String {
    let sign = if elapsed < 0 { '-' } else { ' ' };
    let micros = elapsed.unsigned_abs() / 1_000;
    let time = format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let who = format!("{}/{}", record.pid, record.connection);
    format!("{time:>11} {} {who:<10} {arrow}", side(record.side))
}

fn text_line(record: &Record<'_>, elapsed: i64, decoded: &Decoded) -> String {
    let arrow = if record.what == What::Sent { "->" } else { "<-" };
    let mut line = text_head(record, elapsed, arrow);
    line.push_str(&format!(" {:<12} len={}", label(decoded.kind), record.frame.len()));
    if let Some(id) = decoded.id.filter(|id| *id != 0) {
        line.push_str(&format!(" id={id}"));
    }
    for (name, value) in &decoded.fields.list {
        if !is_nothing(name, value) {
            line.push_str(&format!(" {name}={}", text_value(value)));
        }
    }
    if let Some(fault) = &decoded.fault {
        line.push_str(&format!(" NOT VALID: {fault}"));
    }
    line
}

/// What says nothing is left out of the text: no flags, no bytes, an identity of zeros.
fn is_nothing(name: &str, value: &Value) -> bool {
    match value {
        Value::Array(values) => values.is_empty(),
        Value::String(text) => text.len() >= 16 && text.bytes().all(|digit| digit == b'0'),
        value => *value == json!(0) && (name == "flags" || name.ends_with("_len")),
    }
}

/// Texts that are no plain word get quotes, so that none can pass for another field.
fn text_value(value: &Value) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/:+".contains(letter);
    match value {
        Value::String(text) if !text.is_empty() && text.chars().all(is_plain) => text.clone(),
        Value::String(text) => format!("\"{}\"", text.replace('"', "\\\"")),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(text_value).collect();
            format!("[{}]", values.join(" "))
        }
        value => value.to_string(),
    }
}

fn json_head(what: &str, record: &Record<'_>, elapsed: i64) -> Map<String, Value> {
    let mut head = Map::new();
    let mut put = |name: &str, value: Value| head.insert(name.into(), value);
    put("record", json!(what));
    put("elapsed_ns", json!(elapsed));
    put("time_unix_ms", json!(record.time_unix_ns / 1_000_000));
    put("side", json!(side(record.side)));
    put("pid", json!(record.pid));
    put("connection", json!(record.connection));
    head
}

fn json_line(record: &Record<'_>, elapsed: i64, decoded: Decoded) -> Value {
    let mut line = json_head("frame", record, elapsed);
    let mut put = |name: &str, value: Value| line.insert(name.into(), value);
    put("direction", json!(if record.what == What::Sent { "sent" } else { "received" }));
    put("kind", json!(decoded.kind.and_then(name_of)));
    put("kind_number", json!(decoded.kind.map(|kind| kind.0)));
    put("id", json!(decoded.id.map(|id| format!("{id:016x}"))));
    put("length", json!(record.frame.len()));
    put("fields", decoded.fields.list.into_iter().collect());
    put("error", json!(decoded.fault));
    Value::Object(line)
}
