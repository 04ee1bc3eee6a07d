//! What the engine reports, as lines: for people, or as JSON.

use std::{
    fmt::{self, Write as _},
    io::Write,
    time::SystemTime,
};

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::super::text::{escape::escaped, moment::show_moment};

/// How lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Time, level, message, `name=value`.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Writes everything at or above a level.
#[derive(Debug)]
pub(crate) struct LogLines<W> {
    level: Level,
    format: LogFormat,
    sink: Mutex<W>,
}

impl<W: Write> LogLines<W> {
    /// Writes to `sink`, one write a line.
    pub(crate) fn new(level: Level, format: LogFormat, sink: W) -> Self {
        Self { level, format, sink: Mutex::new(sink) }
    }
}

impl<W: Write + Send + 'static> Subscriber for LogLines<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.level
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (time, level) = (show_moment(SystemTime::now()), *event.metadata().level());
        let line = fields.show(self.format, &time, &level.to_string());
        // A log that cannot be written is no reason to stop serving.
        let _ = self.sink.lock().write_all(line.as_bytes());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What an event says.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn show(self, format: LogFormat, time: &str, level: &str) -> String {
        let Self { message, others } = self;
        if format == LogFormat::Json {
            let mut line = Map::new();
            line.insert("time".into(), time.into());
            line.insert("level".into(), level.to_lowercase().into());
            line.insert("message".into(), message.into());
            line.extend(others.into_iter().map(|(name, value)| (name.to_owned(), value)));
            return format!("{}\n", Value::from(line));
        }
        let mut line = format!("{time} {level:<5} {}", escaped(message.as_bytes()));
        for (name, value) in others {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // Writing to a string does not fail.
            let _ = write!(line, " {name}={}", escaped(value.as_bytes()));
        }
        line.push('\n');
        line
    }

    fn add(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.others.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat) -> String {
        let sink = Shared::default();
        let lines = LogLines::new(Level::INFO, format, sink.clone());
        tracing::subscriber::with_default(lines, || {
            tracing::warn!(uid = 7, name = "a\nb", "refused another user");
            tracing::debug!("too quiet to be heard");
        });
        String::from_utf8(sink.0.lock().clone()).unwrap()
    }

    #[test]
    fn one_event_is_one_line() {
        let text = logged(LogFormat::Text);
        assert!(text.ends_with("Z WARN  refused another user uid=7 name=a\\nb\n"), "{text}");
        let json: Value = serde_json::from_str(&logged(LogFormat::Json)).unwrap();
        assert_eq!(json["level"], "warn");
        assert_eq!((json["uid"].as_u64(), json["name"].as_str()), (Some(7), Some("a\nb")));
    }
}
