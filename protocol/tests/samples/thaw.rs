//! From a message read in place back to one that can be encoded, field by field.
//!
//! The tables below are exhaustive: a new message or a new field breaks the build here.

use tautline_protocol::*;

/// Per variant: its body, then the fields that convert, those that are bytes already, and the byte
/// strings.
macro_rules! thaw {
    ($function:ident: $archived:ident => $native:ident;
     $($variant:ident($body:ident): $($convert:ident)*; $($copy:ident)*; $($bytes:ident)*,)+) => {
        pub(crate) fn $function<'a>(message: &'a $archived<'static>) -> $native<'a> {
            match message {
                $($archived::$variant(boxed) => {
                    let body = boxed.get();
                    $native::$variant($body {
                        $($convert: (&body.$convert).into(),)*
                        $($copy: body.$copy,)*
                        $($bytes: body.$bytes.as_slice().into(),)*
                    })
                })+
            }
        }
    };
}

thaw! {
    control: ArchivedControlMessage => ControlMessage;
    Spawn(Spawn): terms flags log_size size; restart size_policy; name argv env cwd,
    Attach(Attach): terms epoch size;; name env,
    Detach(Detach): attachment;;,
    Adjust(Adjust): attachment flags window pause_limit_ms; delivery size_policy;,
    Kick(Kick): attachment flags; client_id; name,
    Input(Input): attachment flags turn offset;; bytes,
    Keys(Keys): attachment flags turn offset;; keys,
    Resize(Resize): attachment size; size_policy; name,
    Signal(Signal): number flags; target; name,
    Consumed(Consumed): attachment offset;;,
    Ping(Ping): token sent_ns;; bytes,
    Pong(Pong): token sent_ns received_ns replied_ns;; bytes,
    Stop(Stop): number grace_ms;; name,
    Restart(Restart): number grace_ms;; name,
    Remove(Remove): flags;; name,
    Rename(Rename):;; name new_name,
    List(List): flags;;,
    Status(StatusRequest): flags;; name,
    Logs(Logs): flags tail_lines from;; name,
    Screen(ScreenRequest): flags history_lines;; name,
    Wait(Wait): timeout_ms quiet_ms from flags; kind; name pattern,
    Cancel(Cancel): target;;,
    Subscribe(Subscribe): since kinds;; name,
    Stats(StatsRequest): flags;; name,
    ConfigGet(ConfigGet):;; key,
    Configure(Configure): flags;; entries,
    LoadPlugin(LoadPlugin): flags;; path,
    Present(Present): flags;; token,
    Shutdown(Shutdown): flags grace_ms;;,
    Disconnect(Disconnect): flags;;,
    Part(Part): position total;; bytes,
}

thaw! {
    engine: ArchivedEngineMessage => EngineMessage;
    Spawned(Spawned): epoch flags pid;; name,
    Attached(Attached):
        attachment flags epoch log_start output_offset input_accepted input_applied input_unknown_to
        window input_window pause_limit_ms size; delivery state size_policy;,
    Started(Started): attachment pid epoch offset;;,
    Adjusted(Adjusted):
        attachment flags window pause_limit_ms; cause delivery size_policy;,
    Detached(Detached): attachment offset; reason;,
    Output(Output): attachment flags offset input_applied read_ns;; bytes,
    InputApplied(InputApplied): attachment flags applied;;,
    Gap(Gap): attachment flags from to;;,
    Lagged(Lagged): attachment flags from to;;,
    Snapshot(Snapshot):
        attachment serial offset position total size; section encoding; bytes,
    Resized(Resized): attachment size; size_policy;,
    Exited(Exited): attachment value epoch offset; kind;,
    Ping(Ping): token sent_ns;; bytes,
    Pong(Pong): token sent_ns received_ns replied_ns;; bytes,
    Sessions(Sessions): count;; names,
    Status(Status):
        epoch created_unix_ms input_offset output_offset log_start restarts pid attachments
        exit_value size; state exit_kind size_policy restart; name command cwd foreground title,
    LogChunk(LogChunk): offset flags;; bytes,
    Screen(Screen):
        offset flags history_lines size cursor_col cursor_row;; title modes text,
    WaitDone(WaitDone): from to value; outcome exit_kind; text,
    Event(Event): number time_unix_ns epoch value code kind;; session text,
    Stats(Stats): interval_ns; section; name body,
    Config(Config): flags;; entries,
    Done(Done): value;;,
    Error(ErrorReply):
        value errno retry_after_ms attachment code limit; class; text,
    Goodbye(Goodbye): reason retry_after_ms;; text,
    Part(Part): position total;; bytes,
}
