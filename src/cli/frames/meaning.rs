//! What fields mean: numbers that are names, and bytes that are shown only when asked for.

use serde_json::{Value, json};

use crate::protocol::{
    AdjustCause, AttachFlags, CloseReason, Delivery, DetachReason, ErrorClass, ErrorCode,
    EventKind, ExitKind, InputFlags, KickFlags, Limit, LogFlags, LogsFlags, OutputFlags,
    RemoveFlags, RestartPolicy, Rights, ScreenFlags, SessionState, ShutdownFlags, SignalFlags,
    SignalTarget, SizePolicy, SnapshotEncoding, SnapshotSection, SpawnFlags, SpawnedFlags,
    StatsFlags, StatsSection, UNCHANGED, UNCHANGED_FLAGS, View, WaitKind, WaitOutcome,
};

/// How much of a byte string is shown without being asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    /// All of it.
    Text,
    /// All of its entries.
    List,
    /// How many entries it has, and the first, which is a program's name.
    Program,
    /// How many entries it has.
    Count,
    /// Its length: it was typed or printed, or nobody said that it may be shown.
    Length,
}

/// How much of a body's byte string is shown.
pub(super) fn shown(body: &str, field: &str) -> Shown {
    match (body, field) {
        (_, "name" | "new_name" | "key" | "session" | "cwd" | "path" | "foreground")
        | ("ErrorReply" | "Goodbye", "text") => Shown::Text,
        ("Sessions", "names") | ("Screen", "modes") => Shown::List,
        (_, "argv" | "command") => Shown::Program,
        (_, "env" | "entries") => Shown::Count,
        _ => Shown::Length,
    }
}

/// A number as the wire's document calls it.
pub(super) fn number(body: &str, field: &str, value: u64) -> Value {
    if let Some(bits) = flags(body, field) {
        return match value {
            _ if body == "Adjust" && value == u64::from(UNCHANGED_FLAGS) => json!("unchanged"),
            _ => flag_names(bits, value),
        };
    }
    match (field, value) {
        ("delivery" | "size_policy", _) if body == "Adjust" && value == u64::from(UNCHANGED) => {
            json!("unchanged")
        }
        ("epoch" | "token", _) => json!(format!("{value:016x}")),
        ("output_from" | "from" | "since", u64::MAX) => json!("now"),
        _ => choice(body, field, value).map_or_else(|| json!(value), |name| json!(name)),
    }
}

/// The names of the bits that are set; bits without a name as one number.
pub(super) fn flag_names(bits: &[(&str, u32)], value: u64) -> Value {
    let is_set = |bit: u32| value & u64::from(bit) != 0;
    let mut names: Vec<_> =
        bits.iter().filter(|(_, bit)| is_set(*bit)).map(|(name, _)| json!(name)).collect();
    let unnamed = bits.iter().fold(value, |rest, (_, bit)| rest & !u64::from(*bit));
    if unnamed != 0 {
        names.push(json!(format!("{unnamed:#x}")));
    }
    Value::Array(names)
}

fn flags(body: &str, field: &str) -> Option<&'static [(&'static str, u32)]> {
    Some(match (body, field) {
        (_, "attach_flags") | ("Adjust" | "Attached" | "Adjusted", "flags") => AttachFlags::BITS,
        (_, "rights") => Rights::BITS,
        (_, field) if field != "flags" => return None,
        ("Spawn", _) => SpawnFlags::BITS,
        ("Kick", _) => KickFlags::BITS,
        ("Input" | "Keys", _) => InputFlags::BITS,
        ("Signal", _) => SignalFlags::BITS,
        ("Remove", _) => RemoveFlags::BITS,
        ("Logs", _) => LogsFlags::BITS,
        ("ScreenRequest" | "Screen", _) => ScreenFlags::BITS,
        ("StatsRequest", _) => StatsFlags::BITS,
        ("Shutdown", _) => ShutdownFlags::BITS,
        ("Spawned", _) => SpawnedFlags::BITS,
        ("Output", _) => OutputFlags::BITS,
        ("LogChunk", _) => LogFlags::BITS,
        _ => return None,
    })
}

fn choice(body: &str, field: &str, value: u64) -> Option<&'static str> {
    let small = u8::try_from(value).ok();
    let wide = u16::try_from(value).ok();
    match (body, field) {
        (_, "delivery") => Delivery::from_wire(small?).map(Delivery::name),
        (_, "view") => View::from_wire(small?).map(View::name),
        (_, "restart") => RestartPolicy::from_wire(small?).map(RestartPolicy::name),
        (_, "size_policy") => SizePolicy::from_wire(small?).map(SizePolicy::name),
        (_, "state") => SessionState::from_wire(small?).map(SessionState::name),
        (_, "exit_kind") | ("Exited", "kind") => ExitKind::from_wire(small?).map(ExitKind::name),
        (_, "outcome") => WaitOutcome::from_wire(small?).map(WaitOutcome::name),
        (_, "encoding") => SnapshotEncoding::from_wire(small?).map(SnapshotEncoding::name),
        (_, "cause") => AdjustCause::from_wire(small?).map(AdjustCause::name),
        (_, "class") => ErrorClass::from_wire(small?).map(ErrorClass::name),
        ("Wait", "kind") => WaitKind::from_wire(small?).map(WaitKind::name),
        ("Event", "kind") => EventKind::from_wire(wide?).map(EventKind::name),
        ("Detached", "reason") => DetachReason::from_wire(small?).map(DetachReason::name),
        ("Goodbye", "reason") => CloseReason::from_wire(wide?).map(CloseReason::name),
        ("Snapshot", "section") => SnapshotSection::from_wire(small?).map(SnapshotSection::name),
        ("Stats", "section") => StatsSection::from_wire(small?).map(StatsSection::name),
        ("Signal", "target") => SignalTarget::from_wire(small?).map(SignalTarget::name),
        ("ErrorReply", "code") => ErrorCode::from_wire(wide?).map(ErrorCode::name),
        ("ErrorReply", "limit") if value != 0 => Limit::from_wire(wide?).map(Limit::name),
        _ => None,
    }
}
