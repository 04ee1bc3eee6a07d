//! Attacks on the engine's memory: what a client can make it hold, measured from outside.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{
    cell::RefCell,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use fixture::{TestDir, raw_client::*};
use tautline::protocol::{ControlMessage as M, *};

/// A daemon in a process of its own: what it holds can be measured, and limited.
struct Daemon {
    process: Child,
    socket: PathBuf,
    watcher: RefCell<RawClient>,
    _directory: TestDir,
}

impl Daemon {
    fn start() -> Self {
        Self::limited("unlimited")
    }

    /// With so many KiB of address space.
    fn limited(kib: &str) -> Self {
        let directory = TestDir::new();
        let socket = directory.path().join("t.sock");
        let script = format!("ulimit -v {kib}; exec \"$0\" serve");
        let mut process = Command::new("/bin/sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_taut")])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", directory.path())
            .env("XDG_STATE_HOME", directory.path())
            .env("TAUT_SOCKET", &socket)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("serving at "), "{line}");
        let watcher = RefCell::new(RawClient::new(&socket));
        Self { process, socket, watcher, _directory: directory }
    }

    fn client(&self) -> RawClient {
        RawClient::new(&self.socket)
    }

    /// Waits until everybody had several turns.
    fn settle(&self) {
        (0..20).for_each(|_| self.watcher.borrow_mut().settle());
    }

    /// Resident memory in KiB, once all that was sent before was handled.
    fn resident(&self) -> usize {
        self.settle();
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.process.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
    }

    /// By how many KiB `attack` makes the daemon grow.
    fn growth(&self, attack: impl FnOnce()) -> usize {
        let before = self.resident();
        attack();
        let growth = self.resident().saturating_sub(before);
        println!("{growth} KiB more than {before} KiB");
        growth
    }

    /// A session of a child that reads nothing.
    fn deaf_session(&self, client: &mut RawClient, name: &str, argument: &str) {
        let argv = format!("sh\0-c\0stty raw -echo; echo; exec sleep 1000\0{argument}\0");
        let terms = AttachTerms {
            attachment: 9,
            window: limits::OUTPUT_WINDOW_MIN,
            delivery: Delivery::Log.to_wire(),
            ..TYPING
        };
        client.say(1, spawn(name, &argv, terms, 0));
        assert!(client.hear_of(1, &[OUTPUT]).is_some(), "it is ready");
        client.say(0, M::Detach(Detach { attachment: 9 }));
        assert!(client.hear_of(1, &[DONE]).is_some());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // In order, so that no child is left.
        let mut client = self.watcher.borrow_mut();
        client.say(1, M::Shutdown(Shutdown { flags: ShutdownFlags::FORCE, grace_ms: 0 }));
        while client.hear().is_some() {}
        self.process.wait().unwrap();
    }
}

fn spawn<'a>(name: &'a str, argv: &'a str, terms: AttachTerms, log_size: u32) -> M<'a> {
    let (name, argv, cwd) = (name.into(), argv.into(), "/".into());
    let env = "PATH=/usr/bin:/bin\0".into();
    M::Spawn(Spawn { terms, name, argv, env, cwd, log_size, ..Spawn::default() })
}

/// As many of the same as may be pending, and more.
fn flood(message: impl Fn() -> M<'static>) -> Vec<u8> {
    (1..=400).flat_map(|id| frames(id, message())).collect()
}

/// What one client that reads nothing may cost, in KiB.
const CLIENT_COST: usize = 1024;

#[test]
fn a_client_that_reads_no_replies_costs_a_megabyte_at_most() {
    const PING: &[u8] = &[b'x'; limits::PING_MAX];
    let daemon = Daemon::start();
    let mut maker = daemon.client();
    let long = "x".repeat(64_000);
    for number in 0..40 {
        daemon.deaf_session(&mut maker, &format!("s{number}"), &long);
    }
    let unknown: Vec<u8> = (1..=400)
        .flat_map(|id| {
            let mut frame = frames(id, M::List(List::default()));
            frame[5] = 200;
            frame
        })
        .collect();
    let all = || M::Status(StatusRequest::default());
    let one = || M::Status(StatusRequest { flags: 0, name: "s1".into() });
    let logs = || M::Logs(Logs { name: "s1".into(), ..Logs::default() });
    let screen = || {
        let flags = ScreenFlags::STYLED;
        M::Screen(ScreenRequest { flags, history_lines: 1000, name: "s1".into() })
    };
    let histograms = StatsRequest { flags: StatsFlags::HISTOGRAMS, ..StatsRequest::default() };
    let floods = [
        ("list", flood(|| M::List(List::default()))),
        ("status of all", flood(all)),
        ("status of one", flood(one)),
        ("logs", flood(logs)),
        ("screen", flood(screen)),
        ("ping", flood(|| M::Ping(Ping { bytes: PING.into(), ..Ping::default() }))),
        ("stats", flood(move || M::Stats(histograms))),
        ("unknown", unknown),
    ];
    for (what, bytes) in &floods {
        let mut greedy: Vec<_> = (0..8).map(|_| daemon.client()).collect();
        let growth = daemon.growth(|| {
            for _ in 0..3 {
                for client in &mut greedy {
                    client.write_until_blocked(bytes);
                }
                daemon.settle();
            }
        });
        assert!(growth <= greedy.len() * CLIENT_COST, "{what}: {growth} KiB for 8 clients");
    }
}

#[test]
fn long_messages_that_are_read_late_arrive_whole_and_one_after_the_other() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let long = "x".repeat(64_000);
    for number in 0..5 {
        daemon.deaf_session(&mut client, &format!("s{number}"), &long);
    }
    let mut reader = daemon.client();
    let mut parts = PartReader::new();
    for id in 1..=20 {
        reader.say(id, M::Status(StatusRequest::default()));
    }
    daemon.settle();
    let (mut statuses, mut ended) = (0, 0);
    while ended < 20 {
        let heard = reader.hear().expect("the connection stays");
        parts.clear();
        let frame = heard.frame();
        if frame.kind().tag() == PART {
            let ArchivedEngineMessage::Part(part) = frame.engine().unwrap() else {
                panic!("a part of another kind");
            };
            parts.handle_part(frame.id(), part).expect("parts of one message at a time");
            continue;
        }
        let whole = parts.complete(frame).expect("the rest of what was begun");
        match whole.engine().unwrap() {
            ArchivedEngineMessage::Status(status) => {
                assert!(status.get().command.len() > 60_000);
                statuses += 1;
            }
            ArchivedEngineMessage::Done(_) => ended += 1,
            _ => panic!("no answer to a status"),
        }
    }
    assert_eq!(statuses, 100);
}

#[test]
fn a_log_that_is_asked_for_and_not_read_does_not_outlive_its_session() {
    const LOG: u32 = 4 << 20;
    let daemon = Daemon::start();
    let (mut maker, mut greedy) = (daemon.client(), daemon.client());
    let script = "sh\0-c\0stty raw -echo; head -c 4000000 /dev/zero; echo; exec sleep 1000\0";
    let (delivery, window) = (Delivery::Log.to_wire(), 1 << 20);
    let terms = AttachTerms { attachment: 1, window, delivery, ..TYPING };
    let mut over = 0;
    let growth = daemon.growth(|| {
        for id in 1..=20 {
            maker.say(1, spawn("s", script, terms, LOG));
            let mut printed = 0;
            while printed < 4_000_001 {
                let heard = maker.hear_of(1, &[OUTPUT]).unwrap();
                let ArchivedEngineMessage::Output(output) = heard.frame().engine().unwrap() else {
                    panic!("no output");
                };
                let output = output.get();
                printed = output.offset.to_native() + output.bytes.len() as u64;
                maker.say(0, M::Consumed(Consumed { attachment: 1, offset: printed }));
            }
            greedy.say(id, M::Logs(Logs { name: "s".into(), ..Logs::default() }));
            daemon.settle();
            let remove = Remove { flags: RemoveFlags::FORCE, name: "s".into() };
            maker.ask(2, M::Remove(remove)).unwrap();
            maker.hear_of(1, &[DONE]).unwrap();
            // It reads a little now and then, and the engine takes in the next request.
            while rustix::io::ioctl_fionread(&greedy.stream).unwrap() > 16_384 {
                over += is_over(&greedy.hear().unwrap());
            }
        }
    });
    assert!(growth <= 4 * LOG as usize / 1024, "{growth} KiB");
    // Once it reads, it is told of each that it is over.
    while over < 20 {
        over += is_over(&greedy.hear().unwrap());
    }
}

/// 1 if the frame ends the reading of a log: its session is gone, or it was read in time.
fn is_over(heard: &OwnedFrame) -> usize {
    match heard.frame().engine().unwrap() {
        ArchivedEngineMessage::Error(error) => {
            assert_eq!(error.get().code.to_native(), ErrorCode::NoSuchSession.to_wire());
            1
        }
        ArchivedEngineMessage::Done(_) => 1,
        _ => 0,
    }
}

#[test]
fn requests_and_clients_that_come_and_go_leave_nothing() {
    let daemon = Daemon::start();
    let mut maker = daemon.client();
    daemon.deaf_session(&mut maker, "s", "");
    let stops: Vec<u8> = (1..=64)
        .flat_map(|id| {
            // A signal that is ignored by default.
            let stop = Stop { number: 28, grace_ms: u32::MAX, name: "s".into() };
            frames(id, M::Stop(stop))
        })
        .collect();
    let leave = |purpose: Purpose, bytes: &[u8]| {
        let hello = ClientHello { purpose: purpose.to_wire(), ..ClientHello::default() };
        let mut client = RawClient::welcomed(&daemon.socket, hello);
        client.write(bytes);
        client.settle();
    };
    leave(Purpose::Client, &stops);
    let growth = daemon.growth(|| (0..200).for_each(|_| leave(Purpose::Client, &stops)));
    assert!(growth <= CLIENT_COST, "{growth} KiB after 12,800 stops nobody waits for");

    let owner = AttachTerms { flags: AttachFlags::OWNER, ..TYPING };
    let mut client = daemon.client();
    let growth = daemon.growth(|| {
        for id in 1..10_000 {
            client.ask(id, attach("s", owner)).unwrap();
            client.say(0, M::Detach(Detach { attachment: 1 }));
            client.hear_of(id, &[DONE]).unwrap();
        }
    });
    assert!(growth <= CLIENT_COST, "{growth} KiB after 10,000 owners that left");

    let seats = || (0..61).map(|_| daemon.client()).collect::<Vec<_>>();
    // Seats have a cost of their own.
    drop(seats());
    let growth = daemon.growth(|| {
        let _seated = seats();
        // The slot is free as soon as the engine has seen the end of the one before.
        let mut admins = 0;
        while admins < 5_000 {
            let mut client = RawClient::silent(&daemon.socket);
            let purpose = Purpose::Admin.to_wire();
            client.write(&ClientHello { purpose, ..ClientHello::default() }.encode());
            admins += usize::from(client.hear().is_some());
        }
    });
    assert!(growth <= CLIENT_COST, "{growth} KiB after 5,000 administrators");
}

#[test]
fn input_for_a_child_that_does_not_read_costs_little_more_than_its_bytes() {
    let daemon = Daemon::start();
    let mut maker = daemon.client();
    daemon.deaf_session(&mut maker, "s", "");
    // What the terminal itself takes.
    let mut filler = daemon.client();
    filler.ask(1, attach("s", TYPING)).unwrap();
    for offset in (0..64_000).step_by(8000) {
        filler.say(0, typed(offset, &[b'x'; 8000]));
    }
    filler.settle();
    let mut typists = [0, 1].map(|_| daemon.client());
    for typist in &mut typists {
        typist.ask(1, attach("s", TYPING)).unwrap();
    }
    let growth = daemon.growth(|| {
        for at in 0..60_000 {
            for typist in &mut typists {
                let size = WindowSize::cells(80 + (at % 2) as u16, 24);
                let resize = Resize { attachment: 1, size_policy: 0, size, name: b"".into() };
                typist.write(&[frames(0, typed(at, b"y")), frames(0, M::Resize(resize))].concat());
            }
            if at % 1000 == 0 {
                typists.iter_mut().for_each(RawClient::settle);
            }
        }
        typists.iter_mut().for_each(RawClient::settle);
    });
    assert!(growth <= 2 * CLIENT_COST, "{growth} KiB for 120 KB of input");
}

#[test]
fn a_log_there_is_no_memory_for_is_refused_and_the_engine_goes_on() {
    let daemon = Daemon::limited("400000");
    let mut client = daemon.client();
    let mut refused = None;
    let terms = AttachTerms { attachment: 0, ..TYPING };
    for number in 1..=20 {
        let name = format!("s{number}");
        if let Err(code) = client.ask(number, spawn(&name, "sleep\x001000\0", terms, 64 << 20)) {
            refused = Some(code);
            break;
        }
    }
    assert_eq!(refused, Some(ErrorCode::System));
    client.settle();
    // A small one still fits.
    client.ask(100, spawn("small", "sleep\x001000\0", terms, 1 << 16)).unwrap();
}
