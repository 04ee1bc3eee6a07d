//! The values that messages carry in small integers.

use crate::choice::{choice, flag_set};

choice! {
    /// How a subscriber wants output.
    Delivery: u8 {
        /// Nothing but what concerns the attachment itself: for those who only type.
        None = 0,
        /// Every byte; the child waits for this subscriber, up to its `pause_limit_ms`.
        Lossless = 1,
        /// The newest screen: what a slow subscriber missed is replaced by a snapshot.
        Screen = 2,
        /// From the session log at the subscriber's own pace; what left the log is a marked gap.
        Log = 3,
    }
}

choice! {
    /// What a new attachment is shown first.
    View: u8 {
        /// Nothing: the stream begins with what the child prints next.
        None = 0,
        /// The bytes from `output_from` on, as far back as the log reaches.
        Offset = 1,
        /// A snapshot of the screen, then the bytes after it.
        Snapshot = 2,
    }
}

choice! {
    /// Whose window size a session takes.
    SizePolicy: u8 {
        /// The attachment that told its size last; when it leaves, the one before.
        Latest = 0,
        /// The smallest of all attachments.
        Smallest = 1,
        /// The largest of all attachments.
        Largest = 2,
        /// What a `Resize` by name said; attachments do not change it.
        Fixed = 3,
    }
}

choice! {
    /// What happens when the child ends.
    RestartPolicy: u8 {
        /// It stays ended.
        Never = 0,
        /// It is started again unless it exited with 0.
        OnFailure = 1,
        /// It is started again.
        Always = 2,
    }
}

choice! {
    /// What a session is doing.
    SessionState: u8 {
        /// The child is being started.
        Starting = 0,
        /// The child runs.
        Running = 1,
        /// The child was asked to end and has not yet.
        Stopping = 2,
        /// The child ended; log and status are kept.
        Exited = 3,
        /// The child ended and is started again after a delay.
        Waiting = 4,
    }
}

choice! {
    /// How a child ended.
    ExitKind: u8 {
        /// It has not ended.
        None = 0,
        /// It exited with a code.
        Code = 1,
        /// A signal ended it.
        Signal = 2,
        /// It ended and nobody could learn how.
        Lost = 3,
    }
}

choice! {
    /// Who receives a signal.
    SignalTarget: u8 {
        /// The child itself.
        Child = 0,
        /// The process group in the foreground of the terminal.
        Foreground = 1,
        /// Every process of the terminal's session.
        Session = 2,
    }
}

choice! {
    /// What a `Wait` waits for.
    WaitKind: u8 {
        /// A pattern in the output, escapes removed.
        Output = 0,
        /// No output for `quiet_ms`.
        Idle = 1,
        /// The child's end.
        Exit = 2,
        /// The end of a command the shell marked (OSC 133).
        CommandEnd = 3,
    }
}

choice! {
    /// How a `Wait` ended.
    WaitOutcome: u8 {
        /// What was waited for happened.
        Met = 0,
        /// The time given ran out.
        TimedOut = 1,
        /// The child ended first.
        Exited = 2,
        /// The session was removed.
        Removed = 3,
    }
}

choice! {
    /// Which part of a snapshot a frame carries. History, if any, comes before the screen.
    SnapshotSection: u8 {
        /// Lines above the screen, oldest first.
        History = 0,
        /// The screen, its modes and the bytes of an unfinished sequence.
        Screen = 1,
        /// The end: live bytes follow from `offset`.
        Ready = 2,
    }
}

choice! {
    /// What the bytes of a snapshot are.
    SnapshotEncoding: u8 {
        /// Escape sequences that paint the screen on a terminal after a reset.
        Terminal = 0,
    }
}

choice! {
    /// Why an attachment's terms changed.
    AdjustCause: u8 {
        /// The client asked.
        Asked = 0,
        /// It held the child for longer than its pause limit.
        Demoted = 1,
        /// Another attachment took a role.
        RoleTaken = 2,
        /// A role became free and was given to it.
        RoleGranted = 3,
    }
}

choice! {
    /// Why an attachment ended.
    DetachReason: u8 {
        /// The client asked.
        Asked = 0,
        /// A newer connection of the same client took it over.
        TakenOver = 1,
        /// Somebody ended it with `Kick`.
        Kicked = 2,
        /// The session was removed.
        Removed = 3,
        /// The child ended, and the session is not kept or no other child will be started.
        Ended = 4,
    }
}

choice! {
    /// What a `Stats` item holds.
    StatsSection: u8 {
        /// `name=value` entries, each ended by NUL, values decimal.
        Counters = 0,
        /// The limits in force, in the same form.
        Limits = 1,
        /// One histogram, HdrHistogram V2 encoding, nanoseconds.
        Histogram = 2,
    }
}

choice! {
    /// What an `Event` tells.
    EventKind: u16 {
        /// A session's child was started.
        SessionStarted = 1,
        /// A session changed state; `code` is the old state, `value` the new one.
        SessionState = 2,
        /// A child exited; `code` is its status.
        SessionExited = 3,
        /// A child was ended by a signal that dumps core, or failed right after its start.
        SessionCrashed = 4,
        /// A child will be started again after `value` milliseconds.
        SessionRestarting = 5,
        /// A session was removed.
        SessionRemoved = 6,
        /// An attachment was made.
        ClientAttached = 7,
        /// An attachment ended; `code` is the reason.
        ClientDetached = 8,
        /// A connection was refused; `code` is the refusal.
        ClientRefused = 9,
        /// A subscriber missed `value` bytes.
        ClientLagged = 10,
        /// A session has printed nothing for `value` milliseconds.
        OutputIdle = 11,
        /// A window changed; `value` is columns << 16 | rows.
        Resized = 12,
        /// The child set the title.
        Title = 13,
        /// The child told its directory.
        Cwd = 14,
        /// The child rang.
        Bell = 15,
        /// The shell marked the start of a command.
        CommandStarted = 16,
        /// The shell marked the end of a command; `code` is its status.
        CommandEnded = 17,
        /// Somebody took or lost a role.
        RolesChanged = 18,
        /// A subscriber's delivery changed; `code` is the new one.
        DeliveryChanged = 19,
        /// The configuration changed.
        ConfigChanged = 20,
        /// A line of the engine's log; sent only to those who ask for it by kind.
        LogLine = 21,
    }
}

choice! {
    /// What a connection is for.
    Purpose: u8 {
        /// Sessions: attach, type, spawn, and all the rest.
        Client = 0,
        /// Administration only; may take the slot that is kept free for it.
        Admin = 1,
        /// Another machine's clients, forwarded.
        Bridge = 2,
        /// Passing descriptors and nothing else.
        Descriptors = 3,
        /// A keeper process.
        Keeper = 4,
        /// A plugin.
        Plugin = 5,
    }
}

flag_set! {
    /// What a connection may do; the engine grants at most what was asked for.
    Rights {
        /// See sessions, their output and their screens.
        VIEW = 1,
        /// Type into sessions.
        TYPE = 1 << 1,
        /// Change window sizes.
        RESIZE = 1 << 2,
        /// Start and restart children.
        SPAWN = 1 << 3,
        /// Signal, stop and remove.
        SIGNAL = 1 << 4,
        /// Kick others, configure, shut down.
        ADMIN = 1 << 5,
    }
}

flag_set! {
    /// Flags of `Spawn`.
    SpawnFlags {
        /// If a live session has the name already, use it (and attach, if asked) instead of
        /// refusing.
        IF_ABSENT = 1,
        /// Forget the session when its child has ended and its output was delivered.
        EPHEMERAL = 1 << 1,
        /// The terminal starts without echo and without output processing; lines may be of any
        /// length (section 9.3).
        RAW = 1 << 2,
        /// The child starts from the engine's own HOME, USER, LOGNAME, SHELL, PATH, LANG, LC_* and
        /// TZ, and `env` comes on top. Without it, `env` is all the child gets, but for
        /// TAUT_SESSION, TAUT_SOCKET, and a TERM if it has none.
        CLEAN_ENV = 1 << 3,
        /// The program is started as a login shell (its name begins with `-`).
        LOGIN = 1 << 4,
    }
}

flag_set! {
    /// Flags of an attachment: asked for in `AttachTerms`, granted in `Attached` and `Adjusted`.
    AttachFlags {
        /// Input and resizes are refused.
        READ_ONLY = 1,
        /// The session belongs to this client: it is hung up when its owner stays away.
        OWNER = 1 << 1,
        /// Wants to be the one who types.
        TYPIST = 1 << 2,
        /// Wants to be the one whose size counts.
        SIZER = 1 << 3,
        /// Answers the queries the child sends to its terminal.
        ANSWERER = 1 << 4,
        /// Takes roles from whoever holds them.
        TAKE_OVER = 1 << 5,
        /// Ends every other attachment of the session.
        DETACH_OTHERS = 1 << 6,
        /// Only in `Attached`, ignored elsewhere: the client's input marks in this epoch were kept,
        /// and it goes on from them. Without it they are fresh, whatever was typed before.
        RESUMED = 1 << 7,
    }
}

flag_set! {
    /// Flags of `Input`.
    InputFlags {
        /// Report these bytes as applied at once, in a frame of its own.
        ACK_NOW = 1,
        /// A paste begins before these bytes: bracketed if the child asked for that.
        PASTE_BEGIN = 1 << 1,
        /// A paste ends after these bytes.
        PASTE_END = 1 << 2,
    }
}

flag_set! {
    /// Flags of `Signal`.
    SignalFlags {
        /// Input that is accepted and not yet written is dropped first; it counts as applied.
        DROP_INPUT = 1,
    }
}

flag_set! {
    /// Flags of `Kick`.
    KickFlags {
        /// Everything the other selectors match, except this connection.
        OTHERS = 1,
        /// End the whole connection, not only the attachment.
        CONNECTION = 1 << 1,
    }
}

flag_set! {
    /// Flags of `Remove`.
    RemoveFlags {
        /// Also when the child lives: it is stopped first.
        FORCE = 1,
    }
}

flag_set! {
    /// Flags of `Logs`.
    LogsFlags {
        /// Go on with what comes.
        FOLLOW = 1,
        /// `from` counts back from the newest byte.
        FROM_END = 1 << 1,
    }
}

flag_set! {
    /// Flags of `Screen`, both of the request and of the reply.
    ScreenFlags {
        /// Text with the escape sequences that colour it.
        STYLED = 1,
        /// The alternate screen is shown.
        ALTERNATE = 1 << 1,
        /// The cursor is visible.
        CURSOR_VISIBLE = 1 << 2,
    }
}

flag_set! {
    /// Flags of `Stats`.
    StatsFlags {
        /// Since the last `RESET_INTERVAL`, not since the engine's start.
        INTERVAL = 1,
        /// Begin a new interval after answering.
        RESET_INTERVAL = 1 << 1,
        /// Also the histograms.
        HISTOGRAMS = 1 << 2,
    }
}

flag_set! {
    /// Flags of `Shutdown`.
    ShutdownFlags {
        /// Also when sessions live: they are hung up.
        FORCE = 1,
    }
}

flag_set! {
    /// Flags of `Spawned`.
    SpawnedFlags {
        /// The session was there already; nothing was started.
        EXISTED = 1,
    }
}

flag_set! {
    /// Flags of `Output`.
    OutputFlags {
        /// These bytes were printed before the attachment was made.
        REPLAY = 1,
    }
}

flag_set! {
    /// Flags of `LogChunk`.
    LogFlags {
        /// Bytes between the previous chunk and this one have left the log.
        GAP = 1,
    }
}

/// `AttachTerms::output_from`, `Wait::from`: begin with what the child prints next.
pub const OFFSET_NOW: u64 = u64::MAX;

/// `Attach::epoch`: whichever epoch runs.
pub const EPOCH_ANY: u64 = 0;

/// `Adjust`: leave the delivery or the size policy as it is.
pub const UNCHANGED: u8 = u8::MAX;

/// `Adjust`: leave the flags as they are.
pub const UNCHANGED_FLAGS: u32 = u32::MAX;
