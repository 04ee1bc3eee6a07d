//! The bodies of [`ControlMessage`](crate::ControlMessage): what a client says.

use crate::{
    AttachFlags, AttachTerms, Delivery, InputFlags, KickFlags, LogsFlags, RemoveFlags,
    RestartPolicy, ScreenFlags, ShutdownFlags, SignalFlags, SignalTarget, SizePolicy, SpawnFlags,
    StatsFlags, UNCHANGED, UNCHANGED_FLAGS, WaitKind, WindowSize, check,
    limits::{BODY_MAX, INPUT_MAX, LOG_SIZE_MAX, LOG_SIZE_MIN, PATH_MAX, PATTERN_MAX, TEXT_MAX},
    message::parts::{ArchivedAttachTerms, ArchivedWindowSize},
};

body! {
    /// Starts a child in a new session and, if `terms.attachment` is not 0, attaches to it in the
    /// same step, so that nothing it prints can be missed.
    ///
    /// Answered by `Spawned`, then by `Attached` if an attachment was asked for; its stream has
    /// this request's id. An exited session of that name is started afresh, a live one is
    /// `NameTaken` unless `IF_ABSENT` is set.
    Spawn / ArchivedSpawn {
        /// Terms of the attachment; all zero for none.
        terms: AttachTerms,
        /// [`SpawnFlags`](crate::SpawnFlags).
        flags: u32,
        /// Size of the session log in bytes; 0 for the engine's choice.
        log_size: u32,
        /// The window's size; 0x0 for the engine's choice.
        size: WindowSize,
        /// [`RestartPolicy`](crate::RestartPolicy).
        restart: u8,
        /// [`SizePolicy`](crate::SizePolicy).
        size_policy: u8,
    } bytes {
        /// The session's name; empty for one of the engine's choosing.
        name,
        /// Program and arguments, each ended by NUL; empty for the user's shell.
        argv,
        /// `NAME=value` entries, each ended by NUL.
        env,
        /// The directory to start in; empty for the home directory.
        cwd,
    } check |this| {
        if AttachTerms::from(&this.terms) != AttachTerms::default() {
            attach_terms(&this.terms)?;
        }
        check::flags(this.flags.to_native(), SpawnFlags::ALL, "spawn flags")?;
        check::choice(RestartPolicy::from_wire(this.restart), this.restart, "restart policy")?;
        check::choice(SizePolicy::from_wire(this.size_policy), this.size_policy, "size policy")?;
        if this.log_size != 0 {
            let size = this.log_size.to_native().into();
            check::range(size, LOG_SIZE_MIN.into(), LOG_SIZE_MAX.into(), "log size")?;
        }
        window_size_or_unset(&this.size)?;
        if !this.name.is_empty() {
            check::name(&this.name)?;
        }
        check::list(&this.argv, "argv")?;
        check::env(&this.env)?;
        check::path_or_empty(&this.cwd)
    }
}

body! {
    /// Joins a session. Answered by `Attached`; then the stream, with this request's id, until
    /// `Detached` and `Done`.
    Attach / ArchivedAttach {
        /// Terms of the attachment.
        terms: AttachTerms,
        /// The epoch the client comes back to, or [`EPOCH_ANY`](crate::EPOCH_ANY).
        epoch: u64,
        /// The client's window; 0x0 leaves the session's size alone.
        size: WindowSize,
    } bytes {
        /// The session.
        name,
        /// `NAME=value` entries, each ended by NUL, that refresh the session's environment for
        /// children started later; empty for none.
        env,
    } check |this| {
        attach_terms(&this.terms)?;
        window_size_or_unset(&this.size)?;
        check::name(&this.name)?;
        check::env(&this.env)
    }
}

body! {
    /// Leaves a session on purpose: input that is queued is still applied, nothing can be resumed.
    Detach / ArchivedDetach {
        /// The attachment.
        attachment: u32,
    } check |this| {
        check::attachment(this.attachment.to_native())
    }
}

body! {
    /// Changes the terms of an attachment. Its stream gets `Adjusted`; with an id other than 0,
    /// `Done` answers.
    Adjust / ArchivedAdjust {
        /// The attachment.
        attachment: u32,
        /// [`AttachFlags`](crate::AttachFlags): the roles and habits wanted from now on;
        /// [`UNCHANGED_FLAGS`](crate::UNCHANGED_FLAGS) leaves them.
        flags: u32,
        /// The new window; 0 leaves it.
        window: u32,
        /// The new pause limit in milliseconds; 0 leaves it.
        pause_limit_ms: u32,
        /// [`Delivery`](crate::Delivery), or [`UNCHANGED`](crate::UNCHANGED).
        delivery: u8,
        /// [`SizePolicy`](crate::SizePolicy) of the session, or [`UNCHANGED`](crate::UNCHANGED).
        size_policy: u8,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        if this.flags != UNCHANGED_FLAGS {
            check::flags(this.flags.to_native(), AttachFlags::ALL, "attach flags")?;
        }
        check::output_window_or_zero(this.window.to_native())?;
        if this.delivery != UNCHANGED {
            check::choice(Delivery::from_wire(this.delivery), this.delivery, "delivery")?;
        }
        if this.size_policy != UNCHANGED {
            let policy = SizePolicy::from_wire(this.size_policy);
            check::choice(policy, this.size_policy, "size policy")?;
        }
        Ok(())
    }
}

body! {
    /// Ends attachments, or whole connections, of others. Answered by `Done` with their count.
    ///
    /// Selectors narrow each other; at least one must be given.
    Kick / ArchivedKick {
        /// One attachment of `client_id`; 0 for all of them.
        attachment: u32,
        /// [`KickFlags`](crate::KickFlags).
        flags: u32,
        /// One client; all zero for any.
        client_id: [u8; 16],
    } bytes {
        /// One session; empty for any.
        name,
    } check |this| {
        check::flags(this.flags.to_native(), KickFlags::ALL, "kick flags")?;
        if this.attachment != 0 && this.client_id == [0; 16] {
            return check::missing("the client whose attachment to kick");
        }
        if this.name.is_empty() && this.client_id == [0; 16] {
            return check::missing("a session or a client to kick");
        }
        if !this.name.is_empty() {
            check::name(&this.name)?;
        }
        Ok(())
    }
}

body! {
    /// Types bytes. Never answered when all is well; see `InputApplied`.
    ///
    /// After an `Error` that answers it, the engine drops this attachment's input until some begins
    /// where the last accepted byte ended: what was in flight is no fault.
    Input / ArchivedInput {
        /// The attachment.
        attachment: u32,
        /// [`InputFlags`](crate::InputFlags).
        flags: u16,
        /// How many `Started` came on this attachment, modulo 65,536. Input for a child that was
        /// replaced is dropped, and never typed into the new one.
        turn: u16,
        /// Position of the first byte among all this client typed in this epoch.
        offset: u64,
    } bytes {
        /// The bytes: 1 to 8,144.
        bytes,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::flags(this.flags.to_native().into(), InputFlags::ALL, "input flags")?;
        check::len_max(&this.bytes, INPUT_MAX, "input")?;
        check::not_empty(&this.bytes, "input")?;
        check::end_offset(this.offset.to_native(), this.bytes.len(), "input offset")
    }
}

body! {
    /// Types keys by name, encoded as the child's modes ask. Never answered when all is well.
    ///
    /// For offsets, a `Keys` frame counts as the bytes of `keys`, and is applied whole or not at
    /// all.
    Keys / ArchivedKeys {
        /// The attachment.
        attachment: u32,
        /// [`InputFlags`](crate::InputFlags).
        flags: u16,
        /// As in `Input`.
        turn: u16,
        /// As in `Input`.
        offset: u64,
    } bytes {
        /// Key names (`ctrl-c`, `up`, `f5`), each ended by NUL.
        keys,
    } check |this| {
        check::attachment(this.attachment.to_native())?;
        check::flags(this.flags.to_native().into(), InputFlags::ALL, "input flags")?;
        check::len_max(&this.keys, INPUT_MAX, "keys")?;
        check::not_empty(&this.keys, "keys")?;
        check::list(&this.keys, "keys")?;
        check::end_offset(this.offset.to_native(), this.keys.len(), "input offset")
    }
}

body! {
    /// Tells an attachment's window size, in order with its input; or, by name, fixes a session's.
    ///
    /// With an id other than 0, answered by `Done` once the size is on its way to the PTY, behind
    /// the input that came before.
    Resize / ArchivedResize {
        /// The attachment; 0 to set a session's size by name.
        attachment: u32,
        /// By name: [`SizePolicy`](crate::SizePolicy); 0 for an attachment.
        size_policy: u8,
        /// The size. By name and with a policy other than `Fixed`, 0x0 is legal and only sets the
        /// policy.
        size: WindowSize,
    } bytes {
        /// The session, if `attachment` is 0; empty otherwise.
        name,
    } check |this| {
        check::choice(SizePolicy::from_wire(this.size_policy), this.size_policy, "size policy")?;
        if this.attachment != 0 {
            check::zero(this.size_policy.into(), "size policy of an attachment's resize")?;
            check::empty(&this.name, "name of an attachment's session")?;
            return check::window_size(&this.size);
        }
        check::name(&this.name)?;
        if this.size_policy == SizePolicy::Fixed.to_wire() {
            return check::window_size(&this.size);
        }
        window_size_or_unset(&this.size)
    }
}

body! {
    /// Sends a signal at once, past any queued input. Answered by `Done`.
    Signal / ArchivedSignal {
        /// The signal's number on the engine's platform, 1 to 64.
        number: i32,
        /// [`SignalFlags`](crate::SignalFlags).
        flags: u32,
        /// [`SignalTarget`](crate::SignalTarget).
        target: u8,
    } bytes {
        /// The session.
        name,
    } check |this| {
        check::signal(this.number.to_native())?;
        check::flags(this.flags.to_native(), SignalFlags::ALL, "signal flags")?;
        check::choice(SignalTarget::from_wire(this.target), this.target, "signal target")?;
        check::name(&this.name)
    }
}

body! {
    /// All output below `offset` was handed over for good. Cumulative, so a lost one heals itself.
    Consumed / ArchivedConsumed {
        /// The attachment.
        attachment: u32,
        /// The first output byte not yet consumed.
        offset: u64,
    } check |this| {
        check::attachment(this.attachment.to_native())
    }
}

body! {
    /// Ends a session's child. Answered by `Done` when it has ended.
    Stop / ArchivedStop {
        /// The first signal; 0 for a hang-up.
        number: i32,
        /// How long the child may take before it is killed, in milliseconds; 0 kills it at once.
        grace_ms: u32,
    } bytes {
        /// The session.
        name,
    } check |this| {
        check::signal_or_zero(this.number.to_native())?;
        check::name(&this.name)
    }
}

body! {
    /// Ends a session's child and starts it again. Answered by `Done` when the new child runs.
    Restart / ArchivedRestart {
        /// The first signal; 0 for a hang-up.
        number: i32,
        /// How long the child may take before it is killed, in milliseconds; 0 kills it at once.
        grace_ms: u32,
    } bytes {
        /// The session.
        name,
    } check |this| {
        check::signal_or_zero(this.number.to_native())?;
        check::name(&this.name)
    }
}

body! {
    /// Forgets a session whose child has ended. Answered by `Done`.
    Remove / ArchivedRemove {
        /// [`RemoveFlags`](crate::RemoveFlags).
        flags: u32,
    } bytes {
        /// The session.
        name,
    } check |this| {
        check::flags(this.flags.to_native(), RemoveFlags::ALL, "remove flags")?;
        check::name(&this.name)
    }
}

body! {
    /// Gives a session another name. Answered by `Done`. Attachments do not notice.
    Rename / ArchivedRename {
    } bytes {
        /// The session.
        name,
        /// Its new name.
        new_name,
    } check |this| {
        check::name(&this.name)?;
        check::name(&this.new_name)
    }
}

body! {
    /// Asks for all sessions' names. Answered by `Sessions`.
    List / ArchivedList {
        /// Must be 0.
        flags: u32,
    } check |this| {
        check::flags(this.flags.to_native(), 0, "list flags")
    }
}

body! {
    /// Asks for a session's description, or everyone's. Answered by `Status` items, then `Done`.
    StatusRequest / ArchivedStatusRequest {
        /// Must be 0.
        flags: u32,
    } bytes {
        /// The session; empty for all.
        name,
    } check |this| {
        check::flags(this.flags.to_native(), 0, "status flags")?;
        name_or_empty(&this.name)
    }
}

body! {
    /// Reads a session's log without attaching. Answered by `LogChunk` items, then `Done`.
    Logs / ArchivedLogs {
        /// [`LogsFlags`](crate::LogsFlags).
        flags: u32,
        /// Begin at the last so many lines, if they are held; 0 to use `from`.
        tail_lines: u32,
        /// The first output byte wanted; what has left the log is a marked gap.
        from: u64,
    } bytes {
        /// The session.
        name,
    } check |this| {
        check::flags(this.flags.to_native(), LogsFlags::ALL, "logs flags")?;
        check::name(&this.name)
    }
}

body! {
    /// Reads a session's screen. Answered by `Screen`.
    ScreenRequest / ArchivedScreenRequest {
        /// [`ScreenFlags`](crate::ScreenFlags): only `STYLED` can be asked for.
        flags: u32,
        /// Lines of history wanted above the screen.
        history_lines: u32,
    } bytes {
        /// The session.
        name,
    } check |this| {
        check::flags(this.flags.to_native(), ScreenFlags::STYLED, "screen flags")?;
        check::history(this.history_lines.to_native())?;
        check::name(&this.name)
    }
}

body! {
    /// Waits for something in a session. Answered by `WaitDone`.
    ///
    /// Armed before the connection's next frame is looked at: `Wait`, then `Input`, has no race.
    Wait / ArchivedWait {
        /// Give up after so many milliseconds; 0 for never.
        timeout_ms: u32,
        /// For `Idle`: so many milliseconds without output.
        quiet_ms: u32,
        /// For `Output`: the first output byte to look at, as far back as the log reaches;
        /// [`OFFSET_NOW`](crate::OFFSET_NOW) for what comes after the request.
        from: u64,
        /// Must be 0.
        flags: u32,
        /// [`WaitKind`](crate::WaitKind).
        kind: u8,
    } bytes {
        /// The session.
        name,
        /// For `Output`: a regular expression in the syntax of Rust's `regex` crate, UTF-8.
        pattern,
    } check |this| {
        check::flags(this.flags.to_native(), 0, "wait flags")?;
        let kind = check::choice(WaitKind::from_wire(this.kind), this.kind, "wait kind")?;
        check::name(&this.name)?;
        check::text(&this.pattern, PATTERN_MAX, "pattern")?;
        match kind {
            WaitKind::Output => check::not_empty(&this.pattern, "pattern"),
            _ => check::empty(&this.pattern, "pattern"),
        }
    }
}

body! {
    /// Gives up a pending request or event stream, which then ends with `Error{Cancelled}`. An id
    /// that is not pending is ignored, and so is an attachment's stream: that takes `Detach`.
    Cancel / ArchivedCancel {
        /// The request's id.
        target: u64,
    } check |this| {
        check::not_zero(this.target.to_native(), "id to cancel")
    }
}

body! {
    /// Asks for events. Answered by `Event` items until cancelled.
    Subscribe / ArchivedSubscribe {
        /// The first event number wanted, if it is still held; `u64::MAX` for what comes next.
        since: u64,
        /// Bit `n` asks for [`EventKind`](crate::EventKind) `n`; 0 for all but log lines.
        kinds: u64,
    } bytes {
        /// Only this session's; empty for all.
        name,
    } check |this| {
        name_or_empty(&this.name)
    }
}

body! {
    /// Asks for numbers. Answered by `Stats` items, then `Done`.
    StatsRequest / ArchivedStatsRequest {
        /// [`StatsFlags`](crate::StatsFlags).
        flags: u32,
    } bytes {
        /// One session's; empty for the engine's.
        name,
    } check |this| {
        check::flags(this.flags.to_native(), StatsFlags::ALL, "stats flags")?;
        name_or_empty(&this.name)
    }
}

body! {
    /// Asks for the configuration in force. Answered by `Config`.
    ConfigGet / ArchivedConfigGet {
    } bytes {
        /// One key; empty for all.
        key,
    } check |this| {
        check::text(&this.key, TEXT_MAX, "configuration key")
    }
}

body! {
    /// Changes the configuration: all entries or none. Answered by `Done`.
    Configure / ArchivedConfigure {
        /// Must be 0.
        flags: u32,
    } bytes {
        /// `key=value` entries, each ended by NUL.
        entries,
    } check |this| {
        check::flags(this.flags.to_native(), 0, "configure flags")?;
        check::not_empty(&this.entries, "configuration entries")?;
        check::text(&this.entries, BODY_MAX, "configuration entries")?;
        check::env(&this.entries)
    }
}

body! {
    /// Loads a plugin. Answered by `Done`, or by an `Error` that says what is wrong with the path.
    LoadPlugin / ArchivedLoadPlugin {
        /// Must be 0.
        flags: u32,
    } bytes {
        /// Absolute path of the plugin.
        path,
    } check |this| {
        check::flags(this.flags.to_native(), 0, "plugin flags")?;
        check::not_empty(&this.path, "plugin path")?;
        check::len_max(&this.path, PATH_MAX, "plugin path")?;
        check::path_or_empty(&this.path)
    }
}

body! {
    /// Presents a capability token, which can only shrink the connection's rights. Answered by
    /// `Done` with the rights left.
    Present / ArchivedPresent {
        /// Must be 0.
        flags: u32,
    } bytes {
        /// The token.
        token,
    } check |this| {
        check::flags(this.flags.to_native(), 0, "present flags")?;
        check::not_empty(&this.token, "token")?;
        check::len_max(&this.token, TEXT_MAX, "token")
    }
}

body! {
    /// Drains and stops the engine. Answered by `Done`, then `Goodbye`.
    Shutdown / ArchivedShutdown {
        /// [`ShutdownFlags`](crate::ShutdownFlags).
        flags: u32,
        /// How long children may take to end, in milliseconds; 0 for the engine's choice.
        grace_ms: u32,
    } check |this| {
        check::flags(this.flags.to_native(), ShutdownFlags::ALL, "shutdown flags")
    }
}

body! {
    /// Ends the connection in order: what was sent before is handled, attachments are left for
    /// good, then comes `Goodbye`.
    Disconnect / ArchivedDisconnect {
        /// Must be 0.
        flags: u32,
    } check |this| {
        check::flags(this.flags.to_native(), 0, "disconnect flags")
    }
}

fn attach_terms(terms: &ArchivedAttachTerms) -> Result<(), super::Invalid> {
    check::attachment(terms.attachment.to_native())?;
    check::flags(terms.flags.to_native(), AttachFlags::ALL, "attach flags")?;
    let delivery = check::choice(Delivery::from_wire(terms.delivery), terms.delivery, "delivery")?;
    check::choice(crate::View::from_wire(terms.view), terms.view, "view")?;
    check::history(terms.history_lines.to_native())?;
    match delivery {
        Delivery::None => check::zero(terms.window.to_native().into(), "window without delivery"),
        _ => check::output_window(terms.window.to_native()),
    }
}

fn window_size_or_unset(size: &ArchivedWindowSize) -> Result<(), super::Invalid> {
    if WindowSize::from(size).is_unset() { Ok(()) } else { check::window_size(size) }
}

fn name_or_empty(name: &[u8]) -> Result<(), super::Invalid> {
    if name.is_empty() { Ok(()) } else { check::name(name) }
}
