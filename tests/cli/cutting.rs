//! Commands over a line that is cut, and a daemon that is killed, stopped or swept away.

use std::{
    fs::{self, File},
    process::Stdio,
    time::Instant,
};

use tokio::runtime::Runtime;

use super::{
    lab::{LIMIT, Lab},
    proxy::{Cutting, CuttingProxy},
    screen::Screen,
};

/// A proxy before the lab's daemon, and what drives it.
struct Cut {
    proxy: CuttingProxy,
    _runtime: Runtime,
}

impl Cut {
    fn before(lab: &Lab, cutting: Cutting) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let guard = runtime.enter();
        let proxy = CuttingProxy::before(&lab.socket(), "cut.sock", cutting);
        drop(guard);
        Self { proxy, _runtime: runtime }
    }

    fn socket(&self) -> &str {
        self.proxy.socket.to_str().unwrap()
    }
}

/// Lines that tell where they belong.
fn numbered(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 16);
    while bytes.len() < len {
        bytes.extend_from_slice(format!("{:09}\n", bytes.len()).as_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn four_megabytes_sent_over_a_line_that_is_cut_arrive_once() {
    let lab = Lab::new();
    let seen = lab.root.join("seen");
    let script = format!("stty raw -echo; echo ready; exec cat > '{}'", seen.display());
    lab.ok(&["new", "w", "--", "sh", "-c", &script]);
    lab.until(&["logs", "w"], |log| log.contains("ready"));
    let typed = numbered(4 << 20);
    let file = lab.root.join("typed");
    fs::write(&file, &typed).unwrap();
    let cut = Cut::before(&lab, Cutting::every(20_000..20_001, u64::MAX, 4));
    let mut send = lab.command(&["-S", cut.socket(), "send", "w", "--json"]);
    let done = send.stdin(File::open(&file).unwrap()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("\"applied\": 4194304"), "{said}");
    let deadline = Instant::now() + LIMIT;
    while fs::metadata(&seen).unwrap().len() < typed.len() as u64 {
        assert!(Instant::now() < deadline, "{:?}", fs::metadata(&seen));
    }
    assert!(fs::read(&seen).unwrap() == typed);
    assert!(cut.proxy.cuts() >= 200, "{} cuts", cut.proxy.cuts());
}

#[test]
fn an_attached_screen_over_a_line_that_is_cut_is_unbroken() {
    let lab = Lab::new();
    let script =
        "stty -echo; for i in $(seq 1 200); do echo line$i-$(seq -s. 1 60); done; exec cat";
    lab.ok(&["new", "a", "--", "sh", "-c", script]);
    lab.until(&["logs", "a"], |log| log.contains("line200-"));
    let cut = Cut::before(&lab, Cutting::every(20_000..20_001, u64::MAX, 5));
    let mut screen = Screen::taut(&lab, &["-S", cut.socket(), "attach", "a"]);
    screen.wait_for("line200-");
    for round in 0..300 {
        let word = format!("typed{round}-{}", "x".repeat(100));
        screen.type_bytes(format!("{word}\r").as_bytes());
        screen.wait_for(&word);
    }
    let shown = screen.text();
    for round in 0..300 {
        let word = format!("typed{round}-");
        assert_eq!(shown.matches(&word).count(), 1, "{word} is shown once");
    }
    assert!(!shown.contains("missing") && !shown.contains("connection lost"), "{shown}");
    assert!(cut.proxy.cuts() >= 3, "{} cuts", cut.proxy.cuts());
}

#[test]
fn a_command_that_is_run_over_a_line_that_is_cut_is_whole_and_its_status_true() {
    let lab = Lab::new();
    let cut = Cut::before(&lab, Cutting::every(7_000..20_000, u64::MAX, 6));
    lab.ok(&["new", "keep", "--", "cat"]);
    let script = "seq 1 30000; exit 7";
    let mut run = lab.command(&["-S", cut.socket(), "run", "--", "sh", "-c", script]);
    let done = run.stdin(Stdio::null()).output().unwrap();
    let expected = (1..=30_000).map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(done.status.code(), Some(7), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(done.stdout == expected.as_bytes(), "{} bytes", done.stdout.len());
    assert!(cut.proxy.cuts() >= 5, "{} cuts", cut.proxy.cuts());
}

#[test]
fn while_the_line_is_lost_attach_says_so_and_keeps_what_is_typed() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "stty -echo; echo ready; exec cat"]);
    let cut = Cut::before(&lab, Cutting::never());
    let socket = cut.socket().to_owned();
    let mut screen = Screen::taut(&lab, &["-S", &socket, "attach", "a"]);
    screen.wait_for("ready");
    drop(cut);
    screen.wait_for("taut: connection lost, attempt");
    screen.type_bytes(b"kept\r");
    screen.wait_for("5 bytes typed are kept");
    fs::remove_file(&socket).unwrap();
    let _cut = Cut::before(&lab, Cutting::never());
    screen.wait_for("kept\r\n");
    screen.type_bytes(&[0x1c]);
    screen.wait_for("[detached from a]");
}

#[test]
fn a_daemon_that_is_stopped_for_a_while_loses_nobody() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "stty -echo; echo ready; exec cat"]);
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("ready");
    lab.signal_daemon(rustix::process::Signal::STOP);
    screen.type_bytes(b"while it was stopped\r");
    stay_stopped();
    lab.signal_daemon(rustix::process::Signal::CONT);
    screen.wait_for("while it was stopped");
    assert!(!screen.text().contains("connection lost"));
}

/// Long enough for every deadline of either side if asked for; else no time at all.
fn stay_stopped() {
    if let Ok(seconds) = std::env::var("TAUT_STOPPED_SECONDS") {
        let limit = std::time::Duration::from_secs(seconds.parse().unwrap());
        let begun = Instant::now();
        while begun.elapsed() < limit {
            std::thread::park_timeout(limit - begun.elapsed());
        }
    }
}

#[test]
fn a_daemon_that_is_killed_is_not_started_again_by_who_was_attached() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "stty -echo; echo ready; exec cat"]);
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("ready");
    lab.signal_daemon(rustix::process::Signal::KILL);
    screen.wait_for("taut: connection lost, attempt");
    screen.type_bytes(b"lost");
    screen.wait_for("4 bytes typed are kept");
    assert_eq!(lab.taut(&["ls"]).code, 3, "nobody started a daemon");
    // Another daemon has another session of that name: nothing is typed there.
    lab.ok(&["new", "a", "--", "sh", "-c", "stty -echo; echo other; exec cat"]);
    screen.wait_for("[4 bytes typed last were not delivered]");
    screen.wait_for("the session is gone");
    assert!(!lab.ok(&["logs", "a"]).contains("lost"));
}
