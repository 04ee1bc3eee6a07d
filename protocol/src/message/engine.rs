//! The bodies of [`EngineMessage`](crate::EngineMessage): what the engine says.
//!
//! A client checks them as strictly as the engine checks requests: a hostile engine must not be
//! able to harm it either.

use crate::{
    AdjustCause, Delivery, DetachReason, ExitKind, LogFlags, OutputFlags, RestartPolicy,
    ScreenFlags, SessionState, SizePolicy, SnapshotEncoding, SnapshotSection, SpawnedFlags,
    StatsSection, WaitOutcome, WindowSize, check,
    limits::{BODY_MAX, OUTPUT_MAX, TEXT_MAX},
};

body! {
    /// Answers `Spawn`.
    Spawned / ArchivedSpawned {
        /// The epoch that runs.
        epoch: u64,
        /// [`SpawnedFlags`](crate::SpawnedFlags).
        flags: u32,
        /// The child's process id, for display.
        pid: u32,
    } bytes {
        /// The session's name.
        name,
    } check |this| {
        check::flags(this.flags.to_native(), SpawnedFlags::ALL, "spawned flags")?;
        check::name(&this.name)
    }
}

body! {
    /// Answers `Attach`, or the attachment of a `Spawn`; the stream begins here.
    Attached / ArchivedAttached {
        /// The attachment.
        attachment: u32,
        /// [`AttachFlags`](crate::AttachFlags) granted.
        flags: u32,
        /// The epoch that runs, or ran last.
        epoch: u64,
        /// The oldest output byte the log still holds.
        log_start: u64,
        /// The first output byte of this stream.
        output_offset: u64,
        /// Input offset up to which the engine has this client's bytes; send from here.
        input_accepted: u64,
        /// Input offset up to which they were written to the PTY.
        input_applied: u64,
        /// Input between `input_applied` and this may or may not have been written: only after an
        /// engine's death is it above `input_applied`. Report it, never send it again.
        input_unknown_to: u64,
        /// Output bytes the engine may send ahead of `Consumed`.
        window: u32,
        /// Input bytes the client may send ahead of the last applied one.
        input_window: u32,
        /// How long this subscriber may hold the child, in milliseconds; `u32::MAX` for ever.
        pause_limit_ms: u32,
        /// The session's window.
        size: WindowSize,
        /// [`Delivery`](crate::Delivery) granted.
        delivery: u8,
        /// [`SessionState`](crate::SessionState).
        state: u8,
        /// [`SizePolicy`](crate::SizePolicy).
        size_policy: u8,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::choice(Delivery::from_wire(this.delivery), this.delivery, "delivery")?;
        check::choice(SessionState::from_wire(this.state), this.state, "state")?;
        check::choice(SizePolicy::from_wire(this.size_policy), this.size_policy, "size policy")?;
        let applied = this.input_applied.to_native();
        check::order(applied, this.input_accepted.to_native(), "input marks")?;
        check::order(applied, this.input_unknown_to.to_native(), "input marks")
    }
}

body! {
    /// A new child runs in a session one stays attached to; input offsets begin at 0 again.
    Started / ArchivedStarted {
        /// The attachment.
        attachment: u32,
        /// The child's process id, for display.
        pid: u32,
        /// The new epoch.
        epoch: u64,
        /// The first output byte of the new child.
        offset: u64,
    } check |this| {
        check::attachment(this.attachment.to_native())
    }
}

body! {
    /// The terms of an attachment as they are now.
    Adjusted / ArchivedAdjusted {
        /// The attachment.
        attachment: u32,
        /// [`AttachFlags`](crate::AttachFlags) held.
        flags: u32,
        /// Output bytes the engine may send ahead of `Consumed`.
        window: u32,
        /// The pause limit in milliseconds.
        pause_limit_ms: u32,
        /// [`AdjustCause`](crate::AdjustCause).
        cause: u8,
        /// [`Delivery`](crate::Delivery).
        delivery: u8,
        /// [`SizePolicy`](crate::SizePolicy) of the session.
        size_policy: u8,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::choice(AdjustCause::from_wire(this.cause), this.cause, "cause")?;
        check::choice(Delivery::from_wire(this.delivery), this.delivery, "delivery")?;
        check::choice(SizePolicy::from_wire(this.size_policy), this.size_policy, "size policy")?;
        Ok(())
    }
}

body! {
    /// An attachment ended. The last item of its stream but `Done`.
    Detached / ArchivedDetached {
        /// The attachment.
        attachment: u32,
        /// [`DetachReason`](crate::DetachReason).
        reason: u8,
        /// The output offset up to which the stream went.
        offset: u64,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::choice(DetachReason::from_wire(this.reason), this.reason, "reason")?;
        Ok(())
    }
}

body! {
    /// Output.
    Output / ArchivedOutput {
        /// The attachment.
        attachment: u32,
        /// [`OutputFlags`](crate::OutputFlags).
        flags: u32,
        /// Position of the first byte in the session's output.
        offset: u64,
        /// As in `InputApplied`: acknowledgements ride along.
        input_applied: u64,
        /// The engine's clock when the bytes were read from the PTY, in nanoseconds.
        read_ns: u64,
    } bytes {
        /// The bytes: 1 to 8,128.
        bytes,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::flags(this.flags.to_native(), OutputFlags::ALL, "output flags")?;
        check::len_max(&this.bytes, OUTPUT_MAX, "output")?;
        check::not_empty(&this.bytes, "output")?;
        check::end_offset(this.offset.to_native(), this.bytes.len(), "output offset")
    }
}

body! {
    /// All input below `applied` was written to the PTY. Cumulative.
    InputApplied / ArchivedInputApplied {
        /// The attachment.
        attachment: u32,
        /// Must be 0.
        flags: u32,
        /// The first input byte not yet written.
        applied: u64,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::flags(this.flags.to_native(), 0, "applied flags")
    }
}

body! {
    /// Output between the two offsets will not come: it left the log. The stream goes on at `to`.
    Gap / ArchivedGap {
        /// The attachment.
        attachment: u32,
        /// Must be 0.
        flags: u32,
        /// The first byte missing.
        from: u64,
        /// The first byte after those missing.
        to: u64,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::flags(this.flags.to_native(), 0, "gap flags")?;
        check::order(this.from.to_native(), this.to.to_native(), "gap")
    }
}

body! {
    /// A subscriber fell behind: an attachment's output was skipped and a snapshot follows, or
    /// events (`attachment` 0) were dropped.
    Lagged / ArchivedLagged {
        /// The attachment, or 0 for an event stream.
        attachment: u32,
        /// Must be 0.
        flags: u32,
        /// The first offset or event number missed.
        from: u64,
        /// The first one after those missed.
        to: u64,
    } check |this| {
        check::flags(this.flags.to_native(), 0, "lagged flags")?;
        check::order(this.from.to_native(), this.to.to_native(), "lag")
    }
}

body! {
    /// A piece of a snapshot.
    Snapshot / ArchivedSnapshot {
        /// The attachment.
        attachment: u32,
        /// Which snapshot of this attachment; a new number drops what came of an unfinished one.
        serial: u32,
        /// The output offset the snapshot shows; live bytes follow from here.
        offset: u64,
        /// Where in the section these bytes belong.
        position: u32,
        /// Length of the section.
        total: u32,
        /// The size it was painted for.
        size: WindowSize,
        /// [`SnapshotSection`](crate::SnapshotSection).
        section: u8,
        /// [`SnapshotEncoding`](crate::SnapshotEncoding).
        encoding: u8,
    } bytes {
        /// The piece.
        bytes,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::choice(SnapshotSection::from_wire(this.section), this.section, "section")?;
        check::choice(SnapshotEncoding::from_wire(this.encoding), this.encoding, "encoding")?;
        let end = u64::from(this.position.to_native()) + this.bytes.len() as u64;
        check::order(end, this.total.to_native().into(), "snapshot piece")
    }
}

body! {
    /// The session's window has another size.
    Resized / ArchivedResized {
        /// The attachment.
        attachment: u32,
        /// The size.
        size: WindowSize,
        /// [`SizePolicy`](crate::SizePolicy).
        size_policy: u8,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::choice(SizePolicy::from_wire(this.size_policy), this.size_policy, "size policy")?;
        Ok(())
    }
}

body! {
    /// The child ended. Sent after its last byte of output, once per epoch.
    Exited / ArchivedExited {
        /// The attachment.
        attachment: u32,
        /// Exit code or signal number, by `kind`; 0 if lost.
        value: i32,
        /// The epoch that ended.
        epoch: u64,
        /// The output offset after its last byte.
        offset: u64,
        /// [`ExitKind`](crate::ExitKind); never `None`.
        kind: u8,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::choice(ExitKind::from_wire(this.kind), this.kind, "exit kind")?;
        check::not_zero(this.kind.into(), "exit kind")
    }
}

body! {
    /// Answers `List`.
    Sessions / ArchivedSessions {
        /// How many.
        count: u32,
    } bytes {
        /// The names, each ended by NUL, oldest session first.
        names,
    } check |this| {
        check::list(&this.names, "names")
    }
}

body! {
    /// Describes one session.
    Status / ArchivedStatus {
        /// The epoch that runs, or ran last.
        epoch: u64,
        /// When the session was made, milliseconds since 1970.
        created_unix_ms: u64,
        /// Input bytes written to the PTY in this epoch, by all clients.
        input_offset: u64,
        /// Output bytes printed since the session was made.
        output_offset: u64,
        /// The oldest output byte the log still holds.
        log_start: u64,
        /// How often the child was started again.
        restarts: u32,
        /// The child's process id, 0 if there is none.
        pid: u32,
        /// Attachments.
        attachments: u32,
        /// Exit code or signal number, by `exit_kind`.
        exit_value: i32,
        /// The window.
        size: WindowSize,
        /// [`SessionState`](crate::SessionState).
        state: u8,
        /// [`ExitKind`](crate::ExitKind).
        exit_kind: u8,
        /// [`SizePolicy`](crate::SizePolicy).
        size_policy: u8,
        /// [`RestartPolicy`](crate::RestartPolicy).
        restart: u8,
    } bytes {
        /// The session's name.
        name,
        /// Program and arguments, each ended by NUL.
        command,
        /// The child's directory, if known.
        cwd,
        /// Name of the process in the foreground, if known.
        foreground,
        /// The title the child set.
        title,
    } check |this| {
        check::choice(SessionState::from_wire(this.state), this.state, "state")?;
        check::choice(ExitKind::from_wire(this.exit_kind), this.exit_kind, "exit kind")?;
        check::choice(SizePolicy::from_wire(this.size_policy), this.size_policy, "size policy")?;
        check::choice(RestartPolicy::from_wire(this.restart), this.restart, "restart policy")?;
        check::name(&this.name)?;
        check::list(&this.command, "command")
    }
}

body! {
    /// A piece of a session's log.
    LogChunk / ArchivedLogChunk {
        /// Position of the first byte in the session's output.
        offset: u64,
        /// [`LogFlags`](crate::LogFlags).
        flags: u32,
    } bytes {
        /// The bytes.
        bytes,
    } check |this| {
        check::flags(this.flags.to_native(), LogFlags::ALL, "log flags")?;
        check::end_offset(this.offset.to_native(), this.bytes.len(), "log offset")
    }
}

body! {
    /// Answers `Screen`.
    Screen / ArchivedScreen {
        /// The output offset the screen shows.
        offset: u64,
        /// [`ScreenFlags`](crate::ScreenFlags).
        flags: u32,
        /// Lines of history in `text`, above the screen's own.
        history_lines: u32,
        /// The window.
        size: WindowSize,
        /// The cursor's column, from 0.
        cursor_col: u16,
        /// The cursor's row on the screen, from 0.
        cursor_row: u16,
    } bytes {
        /// The title the child set.
        title,
        /// Modes that are on, by name, each ended by NUL.
        modes,
        /// The rows, each ended by a newline, UTF-8.
        text,
    } check |this| {
        check::flags(this.flags.to_native(), ScreenFlags::ALL, "screen flags")?;
        check::list(&this.modes, "modes")?;
        check::text(&this.text, BODY_MAX, "screen text")
    }
}

body! {
    /// Answers `Wait`.
    WaitDone / ArchivedWaitDone {
        /// Output offset where the match begins, or where the waiting ended.
        from: u64,
        /// Output offset after the match.
        to: u64,
        /// Exit code, signal or command status, where there is one.
        value: i32,
        /// [`WaitOutcome`](crate::WaitOutcome).
        outcome: u8,
        /// [`ExitKind`](crate::ExitKind) if the child ended.
        exit_kind: u8,
    } bytes {
        /// The text that matched, cut to 4,096 bytes.
        text,
    } check |this| {
        check::choice(WaitOutcome::from_wire(this.outcome), this.outcome, "outcome")?;
        check::choice(ExitKind::from_wire(this.exit_kind), this.exit_kind, "exit kind")?;
        check::order(this.from.to_native(), this.to.to_native(), "match")?;
        check::len_max(&this.text, TEXT_MAX, "match")
    }
}

body! {
    /// Something happened.
    Event / ArchivedEvent {
        /// Its number: consecutive from 1 in each engine process.
        number: u64,
        /// Wall clock, nanoseconds since 1970.
        time_unix_ns: u64,
        /// The session's epoch, 0 if none.
        epoch: u64,
        /// Meaning by kind.
        value: u64,
        /// Meaning by kind.
        code: i32,
        /// [`EventKind`](crate::EventKind); kinds of a later version may be ignored.
        kind: u16,
    } bytes {
        /// The session, empty if none.
        session,
        /// Meaning by kind.
        text,
    } check |this| {
        check::len_max(&this.session, crate::limits::NAME_MAX, "session")?;
        check::len_max(&this.text, TEXT_MAX, "event text")
    }
}

body! {
    /// Numbers.
    Stats / ArchivedStats {
        /// What `body` covers, in nanoseconds.
        interval_ns: u64,
        /// [`StatsSection`](crate::StatsSection).
        section: u8,
    } bytes {
        /// Name of the histogram; empty for the other sections.
        name,
        /// By section.
        body,
    } check |this| {
        check::choice(StatsSection::from_wire(this.section), this.section, "section")?;
        check::text(&this.name, TEXT_MAX, "histogram name")
    }
}

body! {
    /// Answers `ConfigGet`.
    Config / ArchivedConfig {
        /// Must be 0.
        flags: u32,
    } bytes {
        /// `key=value` entries, each ended by NUL.
        entries,
    } check |this| {
        check::flags(this.flags.to_native(), 0, "config flags")?;
        check::list(&this.entries, "configuration entries")
    }
}

body! {
    /// A request is complete.
    Done / ArchivedDone {
        /// By request: a count for `Kick`, rights for `Present`, otherwise 0.
        value: u64,
    } check |this| {
        let _ = this;
        Ok(())
    }
}

body! {
    /// A request was refused or failed; nothing of it was done unless the code says otherwise.
    ErrorReply / ArchivedErrorReply {
        /// By code: the value refused, the offset concerned, a count.
        value: u64,
        /// The operating system's error number, 0 if none.
        errno: i32,
        /// Try again after so many milliseconds; 0 if that would not help.
        retry_after_ms: u32,
        /// The attachment concerned, 0 if none.
        attachment: u32,
        /// [`ErrorCode`](crate::ErrorCode); codes of a later version are known by their class.
        code: u16,
        /// [`Limit`](crate::Limit) that was reached, 0 if none.
        limit: u16,
        /// [`ErrorClass`](crate::ErrorClass).
        class: u8,
    } bytes {
        /// One sentence for people, UTF-8. Senders leave control characters out, and receivers
        /// escape what they show all the same.
        text,
    } check |this| {
        check::choice(crate::ErrorClass::from_wire(this.class), this.class, "error class")?;
        check::text(&this.text, TEXT_MAX, "error text")
    }
}

body! {
    /// The last frame of a connection.
    Goodbye / ArchivedGoodbye {
        /// [`CloseReason`](crate::CloseReason).
        reason: u16,
        /// Connect again after so many milliseconds; 0 if there is no advice.
        retry_after_ms: u32,
    } bytes {
        /// One sentence for people, UTF-8. Senders leave control characters out, and receivers
        /// escape what they show all the same.
        text,
    } check |this| {
        check::text(&this.text, TEXT_MAX, "goodbye text")
    }
}
