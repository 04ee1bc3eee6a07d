//! A session as programs and people are shown it.

use serde_json::{Value, json};

use super::super::text::{escape::escaped, signal_name::show_signal};
use crate::{
    SessionStatus,
    protocol::{ExitKind, SessionState},
    state::Exit,
};

/// What `ls` and `status` print for programs. The keys are a promise.
pub(crate) fn session_json(session: &SessionStatus) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let or_null = |bytes: &[u8]| if bytes.is_empty() { Value::Null } else { text(bytes).into() };
    json!({
        "name": session.name,
        "state": state_name(session.state),
        "pid": if session.pid == 0 { Value::Null } else { session.pid.into() },
        "command": session.command.iter().map(|arg| text(arg)).collect::<Vec<_>>(),
        "cwd": or_null(&session.cwd),
        "foreground": or_null(&session.foreground),
        "title": or_null(&session.title),
        "cols": session.size.cols,
        "rows": session.size.rows,
        "clients": session.attachments,
        "created_unix_ms": session.created_unix_ms,
        "epoch": format!("{:016x}", session.epoch),
        "input_offset": session.input_offset,
        "output_offset": session.output_offset,
        "restarts": session.restarts,
        "exit": session.exit.map_or(Value::Null, exit_json),
    })
}

/// How a child ended, for programs.
pub(crate) fn exit_json(exit: Exit) -> Value {
    match exit.kind {
        ExitKind::Code => json!({"code": exit.value}),
        ExitKind::Signal => json!({"signal": exit.value}),
        _ => json!({"lost": true}),
    }
}

/// How a child ended, for people.
pub(crate) fn show_exit(exit: Exit) -> String {
    match exit.kind {
        ExitKind::Code => format!("exited with {}", exit.value),
        ExitKind::Signal => format!("ended by {}", show_signal(exit.value)),
        _ => "ended; its status was lost".into(),
    }
}

/// What a session is doing, for people: with the exit code, if there is one.
pub(crate) fn show_state(session: &SessionStatus) -> String {
    let state = state_name(session.state);
    match session.exit {
        Some(Exit { kind: ExitKind::Code, value }) => format!("{state} ({value})"),
        Some(Exit { kind: ExitKind::Signal, value }) => format!("{state} ({})", show_signal(value)),
        _ => state.into(),
    }
}

/// Program and arguments, for people.
pub(crate) fn show_command(session: &SessionStatus) -> String {
    if session.command.is_empty() {
        return "$SHELL".into();
    }
    let quoted = session.command.iter().map(|arg| {
        let shown = escaped(arg);
        let is_plain = !shown.is_empty() && !shown.contains([' ', '\'', '"', '$', '\\', ';', '|']);
        if is_plain { shown } else { format!("'{}'", shown.replace('\'', "'\\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn state_name(state: SessionState) -> &'static str {
    match state {
        SessionState::Starting => "starting",
        SessionState::Running => "running",
        SessionState::Stopping => "stopping",
        SessionState::Waiting => "waiting",
        _ => "exited",
    }
}
