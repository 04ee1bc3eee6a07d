//! Samples of what a client says.

use tautline_protocol::{limits::INPUT_MAX, *};

use super::{
    ascending, half, long,
    shared::{part, part_longest, ping, ping_longest, pong, size, terms},
    word,
};

static INPUT_LONGEST: [u8; INPUT_MAX] = ascending(0);

/// One of each, no field at its default.
pub(crate) fn full() -> Vec<(&'static str, ControlMessage<'static>)> {
    use ControlMessage as M;
    vec![
        ("spawn", M::Spawn(spawn())),
        ("attach", M::Attach(attach())),
        ("detach", M::Detach(detach())),
        ("adjust", M::Adjust(adjust())),
        ("kick", M::Kick(kick())),
        ("input", M::Input(input())),
        ("keys", M::Keys(keys())),
        ("resize", M::Resize(resize())),
        ("signal", M::Signal(signal())),
        ("consumed", M::Consumed(consumed())),
        ("ping", M::Ping(ping())),
        ("pong", M::Pong(pong())),
        ("stop", M::Stop(stop())),
        ("restart", M::Restart(restart())),
        ("remove", M::Remove(remove())),
        ("rename", M::Rename(rename())),
        ("list", M::List(list())),
        ("status", M::Status(status())),
        ("logs", M::Logs(logs())),
        ("screen", M::Screen(screen())),
        ("wait", M::Wait(wait())),
        ("cancel", M::Cancel(cancel())),
        ("subscribe", M::Subscribe(subscribe())),
        ("stats", M::Stats(stats())),
        ("config-get", M::ConfigGet(config_get())),
        ("configure", M::Configure(configure())),
        ("load-plugin", M::LoadPlugin(load_plugin())),
        ("present", M::Present(present())),
        ("shutdown", M::Shutdown(shutdown())),
        ("disconnect", M::Disconnect(disconnect())),
        ("part", M::Part(part())),
    ]
}

/// Legal messages with as little, or as much, in them as there can be.
pub(crate) fn edges() -> Vec<(&'static str, u64, ControlMessage<'static>)> {
    use ControlMessage as M;
    vec![
        ("spawn-bare", 1, M::Spawn(Spawn::default())),
        ("attach-typing-only", 2, M::Attach(attach_typing_only())),
        ("adjust-nothing", 0, M::Adjust(adjust_nothing())),
        ("kick-client", 3, M::Kick(Kick { attachment: 0, flags: 0, name: "".into(), ..kick() })),
        ("input-one", 0, M::Input(Input { bytes: b"\x03".into(), ..input() })),
        ("input-longest", 0, M::Input(Input { bytes: (&INPUT_LONGEST).into(), ..input() })),
        ("resize-attachment", 0, M::Resize(resize_attachment())),
        ("ping-empty", u64::MAX, M::Ping(Ping::default())),
        ("ping-longest", 4, M::Ping(ping_longest())),
        ("pong-empty", 0, M::Pong(Pong::default())),
        ("status-all", 5, M::Status(StatusRequest::default())),
        ("wait-exit", 6, M::Wait(wait_exit())),
        ("subscribe-all", 7, M::Subscribe(Subscribe::default())),
        ("config-get-all", 8, M::ConfigGet(ConfigGet::default())),
        ("part-longest", 9, M::Part(part_longest())),
    ]
}

pub(crate) fn spawn() -> Spawn<'static> {
    Spawn {
        terms: terms(),
        flags: SpawnFlags::ALL,
        log_size: word(0x01),
        size: size(),
        restart: RestartPolicy::Always.to_wire(),
        size_policy: SizePolicy::Fixed.to_wire(),
        name: "spawned-1".into(),
        argv: b"/bin/sh\0-c\0\xff\0".into(),
        env: b"HOME=/root\0LANG=\xfe\0".into(),
        cwd: b"/srv/\xfd".into(),
    }
}

pub(crate) fn attach() -> Attach<'static> {
    Attach {
        terms: terms(),
        epoch: long(0x10),
        size: size(),
        name: "attached-2".into(),
        env: b"SSH_AUTH_SOCK=/tmp/a\0".into(),
    }
}

fn attach_typing_only() -> Attach<'static> {
    Attach {
        terms: AttachTerms { attachment: 1, ..AttachTerms::default() },
        name: "a".into(),
        ..Attach::default()
    }
}

pub(crate) fn detach() -> Detach {
    Detach { attachment: word(0xa0) }
}

pub(crate) fn adjust() -> Adjust {
    Adjust {
        attachment: word(0xa0),
        flags: AttachFlags::ALL,
        window: 0x0012_1314,
        pause_limit_ms: word(0x20),
        delivery: Delivery::Screen.to_wire(),
        size_policy: SizePolicy::Smallest.to_wire(),
    }
}

fn adjust_nothing() -> Adjust {
    Adjust {
        attachment: u32::MAX,
        flags: UNCHANGED_FLAGS,
        delivery: UNCHANGED,
        size_policy: UNCHANGED,
        ..Adjust::default()
    }
}

pub(crate) fn kick() -> Kick<'static> {
    Kick {
        attachment: word(0xa0),
        flags: KickFlags::ALL,
        client_id: ascending(0x10),
        name: "kicked-5".into(),
    }
}

pub(crate) fn input() -> Input<'static> {
    Input {
        attachment: word(0xa0),
        flags: InputFlags::ALL as u16,
        turn: half(0x08),
        offset: long(0x10),
        bytes: b"make test\r\xff".into(),
    }
}

pub(crate) fn keys() -> Keys<'static> {
    Keys {
        attachment: word(0xa0),
        flags: InputFlags::ALL as u16,
        turn: half(0x08),
        offset: long(0x10),
        keys: b"ctrl-c\0up\0".into(),
    }
}

pub(crate) fn resize() -> Resize<'static> {
    Resize {
        attachment: 0,
        size_policy: SizePolicy::Fixed.to_wire(),
        size: size(),
        name: "resized-8".into(),
    }
}

pub(crate) fn resize_attachment() -> Resize<'static> {
    Resize { attachment: word(0xa0), size_policy: 0, name: "".into(), ..resize() }
}

pub(crate) fn signal() -> Signal<'static> {
    Signal {
        number: 15,
        flags: SignalFlags::ALL,
        target: SignalTarget::Session.to_wire(),
        name: "signalled-9".into(),
    }
}

pub(crate) fn consumed() -> Consumed {
    Consumed { attachment: word(0xa0), offset: long(0x10) }
}

pub(crate) fn stop() -> Stop<'static> {
    Stop { number: 2, grace_ms: word(0x10), name: "stopped-13".into() }
}

pub(crate) fn restart() -> Restart<'static> {
    Restart { number: 64, grace_ms: word(0x10), name: "restarted-14".into() }
}

pub(crate) fn remove() -> Remove<'static> {
    Remove { flags: RemoveFlags::ALL, name: "removed-15".into() }
}

pub(crate) fn rename() -> Rename<'static> {
    Rename { name: "old_name".into(), new_name: "New.Name-16".into() }
}

pub(crate) fn list() -> List {
    List { flags: 0 }
}

pub(crate) fn status() -> StatusRequest<'static> {
    StatusRequest { flags: 0, name: "described-18".into() }
}

pub(crate) fn logs() -> Logs<'static> {
    Logs {
        flags: LogsFlags::ALL,
        tail_lines: word(0x10),
        from: long(0x20),
        name: "logged-19".into(),
    }
}

pub(crate) fn screen() -> ScreenRequest<'static> {
    ScreenRequest {
        flags: ScreenFlags::STYLED,
        history_lines: 0x000a_0b0c,
        name: "shown-20".into(),
    }
}

pub(crate) fn wait() -> Wait<'static> {
    Wait {
        timeout_ms: word(0x10),
        quiet_ms: word(0x20),
        from: long(0x30),
        flags: 0,
        kind: WaitKind::Output.to_wire(),
        name: "awaited-21".into(),
        pattern: "^\u{2713} passed".into(),
    }
}

fn wait_exit() -> Wait<'static> {
    Wait { kind: WaitKind::Exit.to_wire(), pattern: "".into(), ..wait() }
}

pub(crate) fn cancel() -> Cancel {
    Cancel { target: long(0x10) }
}

pub(crate) fn subscribe() -> Subscribe<'static> {
    Subscribe { since: long(0x10), kinds: long(0x20), name: "watched-23".into() }
}

pub(crate) fn stats() -> StatsRequest<'static> {
    StatsRequest { flags: StatsFlags::ALL, name: "measured-24".into() }
}

pub(crate) fn config_get() -> ConfigGet<'static> {
    ConfigGet { key: "clients_limit".into() }
}

pub(crate) fn configure() -> Configure<'static> {
    Configure { flags: 0, entries: b"clients_limit=64\0log_size=65536\0".into() }
}

pub(crate) fn load_plugin() -> LoadPlugin<'static> {
    LoadPlugin { flags: 0, path: b"/usr/lib/taut/\xfc.wasm".into() }
}

pub(crate) fn present() -> Present<'static> {
    Present { flags: 0, token: b"\xfbtoken\0".into() }
}

pub(crate) fn shutdown() -> Shutdown {
    Shutdown { flags: ShutdownFlags::ALL, grace_ms: word(0x10) }
}

pub(crate) fn disconnect() -> Disconnect {
    Disconnect { flags: 0 }
}
