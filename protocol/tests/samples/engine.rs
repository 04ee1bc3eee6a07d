//! Samples of what the engine says.

use tautline_protocol::{limits::OUTPUT_MAX, *};

use super::{
    ascending, half, long,
    shared::{part, part_longest, ping, pong, size},
    signed, word,
};

static OUTPUT_LONGEST: [u8; OUTPUT_MAX] = ascending(0);

/// One of each, no field at its default.
pub(crate) fn full() -> Vec<(&'static str, EngineMessage<'static>)> {
    use EngineMessage as M;
    vec![
        ("spawned", M::Spawned(spawned())),
        ("attached", M::Attached(attached())),
        ("started", M::Started(started())),
        ("adjusted", M::Adjusted(adjusted())),
        ("detached", M::Detached(detached())),
        ("output", M::Output(output())),
        ("input-applied", M::InputApplied(input_applied())),
        ("gap", M::Gap(gap())),
        ("lagged", M::Lagged(lagged())),
        ("snapshot", M::Snapshot(snapshot())),
        ("resized", M::Resized(resized())),
        ("exited", M::Exited(exited())),
        ("ping", M::Ping(ping())),
        ("pong", M::Pong(pong())),
        ("sessions", M::Sessions(sessions())),
        ("status", M::Status(status())),
        ("log-chunk", M::LogChunk(log_chunk())),
        ("screen", M::Screen(screen())),
        ("wait-done", M::WaitDone(wait_done())),
        ("event", M::Event(event())),
        ("stats", M::Stats(stats())),
        ("config", M::Config(config())),
        ("done", M::Done(Done { value: long(0x10) })),
        ("error", M::Error(error())),
        ("goodbye", M::Goodbye(goodbye())),
        ("part", M::Part(part())),
    ]
}

/// Legal messages with as little, or as much, in them as there can be.
pub(crate) fn edges() -> Vec<(&'static str, u64, EngineMessage<'static>)> {
    use EngineMessage as M;
    vec![
        ("output-one", 1, M::Output(Output { bytes: b"$".into(), ..output() })),
        ("output-longest", 1, M::Output(Output { bytes: (&OUTPUT_LONGEST).into(), ..output() })),
        ("lagged-events", 2, M::Lagged(Lagged { attachment: 0, ..lagged() })),
        ("snapshot-ready", 3, M::Snapshot(snapshot_ready())),
        ("ping-empty", 0, M::Ping(Ping::default())),
        ("sessions-none", 4, M::Sessions(Sessions::default())),
        ("status-bare", 5, M::Status(Status { name: "a".into(), ..Status::default() })),
        ("log-chunk-empty", 6, M::LogChunk(LogChunk::default())),
        ("screen-empty", 7, M::Screen(Screen::default())),
        ("event-of-a-later-version", 8, M::Event(Event { kind: u16::MAX, ..event() })),
        ("done-bare", u64::MAX, M::Done(Done::default())),
        ("error-of-a-later-version", 9, M::Error(ErrorReply { code: 0x1234, ..error() })),
        ("goodbye-bare", 0, M::Goodbye(Goodbye::default())),
        ("part-longest", 10, M::Part(part_longest())),
    ]
}

pub(crate) fn spawned() -> Spawned<'static> {
    Spawned {
        epoch: long(0x10),
        flags: SpawnedFlags::ALL,
        pid: word(0x20),
        name: "spawned-1".into(),
    }
}

pub(crate) fn attached() -> Attached {
    Attached {
        attachment: word(0xa0),
        flags: AttachFlags::ALL,
        epoch: long(0x10),
        log_start: long(0x20),
        output_offset: long(0x30),
        input_accepted: long(0x50),
        input_applied: long(0x40),
        input_unknown_to: long(0x60),
        window: word(0x70),
        input_window: word(0x78),
        pause_limit_ms: word(0x80),
        size: size(),
        delivery: Delivery::Lossless.to_wire(),
        state: SessionState::Exited.to_wire(),
        size_policy: SizePolicy::Largest.to_wire(),
    }
}

pub(crate) fn started() -> Started {
    Started { attachment: word(0xa0), pid: word(0x10), epoch: long(0x20), offset: long(0x30) }
}

pub(crate) fn adjusted() -> Adjusted {
    Adjusted {
        attachment: word(0xa0),
        flags: AttachFlags::ALL,
        window: word(0x10),
        pause_limit_ms: word(0x20),
        cause: AdjustCause::RoleGranted.to_wire(),
        delivery: Delivery::Screen.to_wire(),
        size_policy: SizePolicy::Smallest.to_wire(),
    }
}

pub(crate) fn detached() -> Detached {
    Detached { attachment: word(0xa0), reason: DetachReason::Ended.to_wire(), offset: long(0x10) }
}

pub(crate) fn output() -> Output<'static> {
    Output {
        attachment: word(0xa0),
        flags: OutputFlags::ALL,
        offset: long(0x10),
        input_applied: long(0x20),
        read_ns: long(0x30),
        bytes: b"\x1b[31mred\x1b[m\r\n\xff".into(),
    }
}

pub(crate) fn input_applied() -> InputApplied {
    InputApplied { attachment: word(0xa0), flags: 0, applied: long(0x10) }
}

pub(crate) fn gap() -> Gap {
    Gap { attachment: word(0xa0), flags: 0, from: long(0x10), to: long(0x20) }
}

pub(crate) fn lagged() -> Lagged {
    Lagged { attachment: word(0xa0), flags: 0, from: long(0x10), to: long(0x20) }
}

pub(crate) fn snapshot() -> Snapshot<'static> {
    Snapshot {
        attachment: word(0xa0),
        serial: word(0x10),
        offset: long(0x20),
        position: word(0x30),
        total: word(0x40),
        size: size(),
        section: SnapshotSection::Screen.to_wire(),
        encoding: SnapshotEncoding::Terminal.to_wire(),
        bytes: b"\x1b[H\x1b[2Jpainted\xff".into(),
    }
}

fn snapshot_ready() -> Snapshot<'static> {
    Snapshot {
        position: 0,
        total: 0,
        section: SnapshotSection::Ready.to_wire(),
        bytes: b"".into(),
        ..snapshot()
    }
}

pub(crate) fn resized() -> Resized {
    Resized { attachment: word(0xa0), size: size(), size_policy: SizePolicy::Largest.to_wire() }
}

pub(crate) fn exited() -> Exited {
    Exited {
        attachment: word(0xa0),
        value: signed(0x10),
        epoch: long(0x20),
        offset: long(0x30),
        kind: ExitKind::Signal.to_wire(),
    }
}

pub(crate) fn sessions() -> Sessions<'static> {
    Sessions { count: word(0x10), names: b"build\0main\0".into() }
}

pub(crate) fn status() -> Status<'static> {
    Status {
        epoch: long(0x10),
        created_unix_ms: long(0x20),
        input_offset: long(0x30),
        output_offset: long(0x40),
        log_start: long(0x50),
        restarts: word(0x60),
        pid: word(0x68),
        attachments: word(0x70),
        exit_value: signed(0x78),
        size: size(),
        state: SessionState::Waiting.to_wire(),
        exit_kind: ExitKind::Lost.to_wire(),
        size_policy: SizePolicy::Largest.to_wire(),
        restart: RestartPolicy::OnFailure.to_wire(),
        name: "described-16".into(),
        command: b"bash\0--login\0".into(),
        cwd: b"/srv/\xfd".into(),
        foreground: b"make".into(),
        title: b"make: \xfe".into(),
    }
}

pub(crate) fn log_chunk() -> LogChunk<'static> {
    LogChunk { offset: long(0x10), flags: LogFlags::ALL, bytes: b"logged\r\n\xff".into() }
}

pub(crate) fn screen() -> Screen<'static> {
    Screen {
        offset: long(0x10),
        flags: ScreenFlags::ALL,
        history_lines: word(0x20),
        size: size(),
        cursor_col: half(0x30),
        cursor_row: half(0x40),
        title: b"title \xfe".into(),
        modes: b"bracketed-paste\0focus\0".into(),
        text: "$ \u{2713}\nsecond row\n".into(),
    }
}

pub(crate) fn wait_done() -> WaitDone<'static> {
    WaitDone {
        from: long(0x10),
        to: long(0x20),
        value: signed(0x30),
        outcome: WaitOutcome::Removed.to_wire(),
        exit_kind: ExitKind::Code.to_wire(),
        text: b"matched \xff".into(),
    }
}

pub(crate) fn event() -> Event<'static> {
    Event {
        number: long(0x10),
        time_unix_ns: long(0x20),
        epoch: long(0x30),
        value: long(0x40),
        code: signed(0x50),
        kind: EventKind::Title.to_wire(),
        session: b"told-20".into(),
        text: b"the title \xfe".into(),
    }
}

pub(crate) fn stats() -> Stats<'static> {
    Stats {
        interval_ns: long(0x10),
        section: StatsSection::Histogram.to_wire(),
        name: "service_time".into(),
        body: b"\x1c\x84\x93\x13\xff".into(),
    }
}

pub(crate) fn config() -> Config<'static> {
    Config { flags: 0, entries: b"clients_limit=64\0".into() }
}

pub(crate) fn error() -> ErrorReply<'static> {
    ErrorReply {
        value: long(0x10),
        errno: signed(0x20),
        retry_after_ms: word(0x30),
        attachment: word(0xa0),
        code: ErrorCode::LimitReached.to_wire(),
        limit: Limit::Descriptors.to_wire(),
        class: ErrorClass::Limit.to_wire(),
        text: "too many descriptors \u{2717}".into(),
    }
}

pub(crate) fn goodbye() -> Goodbye<'static> {
    Goodbye {
        reason: CloseReason::ConsumedAhead.to_wire(),
        retry_after_ms: word(0x10),
        text: "more was claimed consumed than was sent".into(),
    }
}
