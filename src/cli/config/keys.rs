//! All keys of the configuration file: the one table that reading, showing and `docs/config.md`
//! rest on.

use std::time::Duration;

use super::field::{Field, Place};
use crate::{
    limits::SESSIONS_MAX,
    protocol::limits::{INPUT_MAX, LOG_SIZE_MAX, LOG_SIZE_MIN},
};

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// How it is written.
    pub(crate) name: &'static str,
    /// What it takes, and where that goes.
    pub(crate) field: Field,
    /// What it does.
    pub(crate) meaning: &'static str,
}

/// More of anything that one connection or one daemon has is a mistake.
const COUNT_MAX: u64 = 65_536;

/// More input of one client than a daemon should hold.
const WINDOW_MAX: u64 = 64 << 20;

const LOGS: std::ops::RangeInclusive<u64> = LOG_SIZE_MIN as u64..=LOG_SIZE_MAX as u64;

/// Less would cut off clients on a busy machine.
const DEADLINE_MIN: Duration = Duration::from_millis(100);

/// Less would end a daemon before whoever started it could reach it.
pub(crate) const IDLE_EXIT_MIN: Duration = Duration::from_millis(10);

macro_rules! place {
    ($kind:ident, $($path:ident).+) => { Place::$kind(|it| &mut it.$($path).+) };
}

macro_rules! key {
    ($name:ident, $field:expr, $meaning:literal $(,)?) => {
        Key { name: stringify!($name), field: $field, meaning: $meaning }
    };
}

/// All keys, in the order in which they are shown.
pub(crate) const KEYS: [Key; 18] = [
    key!(
        socket,
        Field::Path(|it| &mut it.socket),
        "Where the daemon listens; none is the place in the runtime directory.",
    ),
    key!(
        idle_exit,
        Field::MaybeTime(IDLE_EXIT_MIN, |it| &mut it.server.idle_exit),
        "The daemon ends after so long without a client and a running program.",
    ),
    key!(
        clients_limit,
        Field::Count(1..=COUNT_MAX, place!(Small, server.clients_limit)),
        "Clients served at once; one more is refused.",
    ),
    key!(
        attachments_limit,
        Field::Count(1..=COUNT_MAX, place!(Small, server.attachments_limit)),
        "Attachments of one connection.",
    ),
    key!(
        requests_limit,
        Field::Count(1..=COUNT_MAX, place!(Large, server.requests_limit)),
        "Requests of one connection that wait for their answer.",
    ),
    key!(
        sessions_limit,
        Field::Count(1..=SESSIONS_MAX as u64, place!(Large, server.sessions_limit)),
        "Sessions hosted.",
    ),
    key!(
        exited_limit,
        Field::Count(0..=SESSIONS_MAX as u64, place!(Large, server.exited_limit)),
        "Sessions kept whose program has ended, the newest.",
    ),
    key!(
        input_window,
        Field::Size(INPUT_MAX as u64..=WINDOW_MAX, place!(Small, server.input_window)),
        "Input that one client may send ahead of what was written to the terminal.",
    ),
    key!(
        log_size,
        Field::Size(LOGS, place!(Large, server.log_size)),
        "Output that a session holds, unless new --log-size says otherwise.",
    ),
    key!(
        log_size_limit,
        Field::Size(LOGS, place!(Large, server.log_size_limit)),
        "The most that new --log-size may ask for.",
    ),
    key!(
        hello_deadline,
        Field::Time(DEADLINE_MIN, |it| &mut it.server.deadlines.hello),
        "How long a connection may take to introduce itself.",
    ),
    key!(
        frame_deadline,
        Field::Time(DEADLINE_MIN, |it| &mut it.server.deadlines.frame),
        "How long a frame may take from its first byte to its last.",
    ),
    key!(
        closing_deadline,
        Field::Time(Duration::ZERO, |it| &mut it.server.deadlines.closing),
        "How long a client may take to read why its connection is closed.",
    ),
    key!(
        resume_grace,
        Field::Time(Duration::ZERO, |it| &mut it.server.resume_grace),
        "How long a client that lost its connection may come back to what it had.",
    ),
    key!(
        shutdown_grace,
        Field::Time(Duration::ZERO, |it| &mut it.server.shutdown_grace),
        "How long programs may take to end at shutdown before they are killed.",
    ),
    key!(
        plugin_directory,
        Field::Path(|it| &mut it.server.plugin_directory),
        "The only directory that plugins may come from; none allows none.",
    ),
    key!(detach_keys, Field::Keys(|it| &mut it.detach_keys), "What detaches."),
    key!(
        update_environment,
        Field::Names(|it| &mut it.update_environment),
        "Variables that a session takes over from whoever attaches, for programs started later.",
    ),
];

#[cfg(test)]
mod tests {
    use super::{super::Settings, *};

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");

    #[test]
    fn the_document_lists_every_key_as_it_is() {
        let text = std::fs::read_to_string(DOCUMENT).unwrap();
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| `")).collect();
        let expected = KEYS.iter().map(|key| {
            let default = key.field.show(&Settings::default()).to_toml();
            format!("| `{}` | {} | `{default}` | {} |", key.name, key.field.allowed(), key.meaning)
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(rows, expected, "\ndocs/config.md must have:\n{}\n", expected.join("\n"));
    }
}
