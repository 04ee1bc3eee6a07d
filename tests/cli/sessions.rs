//! Sessions made, listed, typed into and ended from scripts.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Done, Lab};

#[test]
fn a_session_is_made_listed_typed_into_and_read() {
    let lab = Lab::new();
    assert_eq!(
        lab.ok(&["new", "build", "--", "sh", "-c", "stty -echo; echo ready; cat"]),
        "build\n"
    );
    assert_eq!(lab.ok(&["new"]), "session-1\n");
    assert_eq!(lab.ok(&["ls", "-q"]), "build\nsession-1\n");
    lab.until(&["logs", "build"], |log| log == "ready\n");
    lab.ok(&["send", "build", "hello", "there", "--enter"]);
    lab.until(&["logs", "build"], |log| log == "ready\nhello there\n");
    let sessions = lab.json(&["ls", "--json"]);
    assert_eq!(sessions[0]["name"], "build");
    assert_eq!(sessions[0]["state"], "running");
    assert_eq!(sessions[0]["input_offset"], 12);
    assert_eq!((&sessions[0]["cols"], &sessions[0]["rows"]), (&80.into(), &24.into()));
    assert_eq!(sessions[0]["epoch"].as_str().unwrap().len(), 16);
    assert!(sessions[0]["exit"].is_null());
    let table = lab.ok(&["ls"]);
    assert!(table.starts_with("NAME       STATE    PID"), "{table}");
    assert!(!table.contains('\x1b'), "no colour in a pipe");
}

#[test]
fn standard_input_is_sent_as_it_comes() {
    let lab = Lab::new();
    let reader = "stty raw -echo; echo ready; head -c 100000 | cksum; exec cat";
    lab.ok(&["new", "a", "--", "sh", "-c", reader]);
    lab.until(&["logs", "a"], |log| log.contains("ready"));
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at * 7 % 256) as u8).collect();
    let mut command = lab.command(&["send", "a", "--json"]);
    let mut send = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    send.stdin.take().unwrap().write_all(&bytes).unwrap();
    let done = Done::new(send.wait_with_output().unwrap());
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &report["applied"]), (0, &100_000.into()));
    assert_eq!((&report["unknown"], &report["undelivered"]), (&0.into(), &0.into()));
    let mut cksum = Command::new("cksum");
    let mut cksum = cksum.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    cksum.stdin.take().unwrap().write_all(&bytes).unwrap();
    let expected = String::from_utf8(cksum.wait_with_output().unwrap().stdout).unwrap();
    lab.until(&["logs", "a", "--raw"], |log| log.contains(expected.trim()));
}

#[test]
fn a_send_that_is_interrupted_says_how_far_it_came() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "stty raw -echo; echo ready; exec sleep 1000"]);
    lab.until(&["logs", "a"], |log| log.contains("ready"));
    let mut command = lab.command(&["send", "a"]);
    let mut send = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    send.stdin.as_mut().unwrap().write_all(&[b'x'; 50_000]).unwrap();
    let is_full = |status: &str| !status.contains("\"input_offset\": 0,");
    lab.until(&["status", "a", "--json"], is_full);
    let pid = Pid::from_raw(send.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let done = Done::new(send.wait_with_output().unwrap());
    assert_eq!(done.code, 6);
    assert!(done.stderr.contains(" unknown, 0 not delivered: interrupted"), "{}", done.stderr);
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let lab = Lab::new();
    let code = |arguments: &[&str]| lab.taut(arguments).code;
    assert_eq!(code(&["ls"]), 3);
    assert_eq!(code(&["send", "a", "x"]), 3);
    assert_eq!(code(&["--daemon", "require", "new"]), 3);
    assert_eq!(code(&["--daemon", "never", "new"]), 3);
    lab.ok(&["new", "a", "--", "cat"]);
    assert_eq!(code(&["send", "b", "x"]), 4);
    assert_eq!(code(&["status", "b"]), 4);
    assert_eq!(code(&["logs", "b"]), 4);
    assert_eq!(code(&["stop", "b"]), 4);
    assert_eq!(code(&["new", "a"]), 5);
    assert_eq!(code(&["rm", "a"]), 5);
    assert_eq!(code(&["shutdown"]), 5);
    for wrong in [
        &["nonsense"][..],
        &["send"],
        &["new", "-x"],
        &["new", "bad/name"],
        &["resize", "a", "0x0"],
        &["signal", "a", "NOPE"],
        &["stop"],
        &["ping", "-i", "soon"],
        &["attach", "a", "--detach-keys", "ctrl-"],
        &["-S", "x", "-L", "y", "ls"],
    ] {
        assert_eq!(code(wrong), 2, "{wrong:?}");
    }
    assert_eq!(code(&["attach", "a"]), 1, "no terminal");
    assert_eq!(code(&["detach"]), 0, "there is only one");
    lab.ok(&["new", "another", "--", "cat"]);
    for unclear in [&["detach"][..], &["logs"], &["screen"], &["attach"]] {
        let done = lab.taut(unclear);
        assert_eq!(done.code, 2, "{unclear:?}");
        assert!(done.stderr.contains("There are a, another"), "{}", done.stderr);
    }
    assert_eq!(code(&["ls", "--help"]), 0);
    assert_eq!(code(&["--version"]), 0);
}

#[test]
fn errors_name_the_command_the_reason_and_what_helps() {
    let lab = Lab::new();
    let done = lab.taut(&["ls"]);
    let socket = lab.socket();
    let expected = format!("taut: ls: no daemon is running at {}\nhint: ", socket.display());
    assert!(done.stderr.starts_with(&expected), "{}", done.stderr);
    assert_eq!(done.stdout, "");
    let done = lab.taut(&["--json", "ls"]);
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(error["error"]["code"], "no_daemon");
    assert!(error["error"]["message"].as_str().unwrap().starts_with("ls: no daemon"));
    assert!(error["error"]["hint"].is_string());
    assert!(lab.taut(&["nonsense"]).stderr.starts_with("taut: unrecognized"));
}

#[test]
fn a_program_that_ended_is_kept_with_its_status_until_rm() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "echo last words; exit 7"]);
    lab.until(&["ls"], |table| table.contains("exited (7)"));
    assert_eq!(lab.ok(&["logs", "a"]), "last words\n");
    assert_eq!(lab.json(&["status", "a", "--json"])[0]["exit"], serde_json::json!({"code": 7}));
    let done = lab.taut(&["send", "a", "too late"]);
    assert_eq!(done.code, 6);
    assert!(done.stderr.contains("0 applied, 0 unknown, 8 not delivered"), "{}", done.stderr);
    lab.ok(&["new", "a", "--", "cat"]);
    let again = lab.json(&["ls", "--json"]);
    assert_eq!((&again[0]["state"], &again[0]["restarts"]), (&"running".into(), &1.into()));
    lab.ok(&["kill", "a"]);
    assert_eq!(lab.json(&["ls", "--json"])[0]["exit"], serde_json::json!({"signal": 9}));
    lab.ok(&["rm", "--exited"]);
    assert_eq!(lab.ok(&["ls", "-q"]), "");
}

#[test]
fn sessions_are_stopped_renamed_signalled_and_resized() {
    let lab = Lab::new();
    let trap = "trap 'echo got int' INT; echo ready; while :; do read line; done";
    lab.ok(&["new", "a", "--size", "100x30", "--", "sh", "-c", trap]);
    lab.until(&["logs", "a"], |log| log.contains("ready"));
    lab.ok(&["rename", "a", "b"]);
    lab.ok(&["signal", "b", "SIGINT"]);
    lab.until(&["logs", "b"], |log| log.contains("got int"));
    let size = |lab: &Lab| {
        let status = lab.json(&["status", "b", "--json"]);
        (status[0]["cols"].as_u64().unwrap(), status[0]["rows"].as_u64().unwrap())
    };
    assert_eq!(size(&lab), (100, 30));
    lab.ok(&["resize", "b", "90x20"]);
    assert_eq!(size(&lab), (90, 20));
    lab.ok(&["stop", "b", "-t", "5s"]);
    assert_eq!(lab.json(&["ls", "--json"])[0]["state"], "exited");
    lab.ok(&["new", "c", "--", "sh", "-c", "trap '' HUP; echo ready; while :; do sleep 1; done"]);
    lab.until(&["logs", "c"], |log| log.contains("ready"));
    lab.ok(&["stop", "--all", "-t", "10ms"]);
    assert_eq!(lab.json(&["status", "c", "--json"])[0]["exit"], serde_json::json!({"signal": 9}));
}

#[test]
fn what_fails_for_one_session_is_still_done_for_the_others() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "cat"]);
    let done = lab.taut(&["rm", "--force", "nope", "a"]);
    assert_eq!(done.code, 4);
    assert_eq!(lab.ok(&["ls", "-q"]), "");
}

#[test]
fn a_child_gets_its_clients_environment_and_directory() {
    let lab = Lab::new();
    let mut command = lab.command(&["new", "a", "-e", "ADDED=1", "-e", "SHLVL", "--", "env"]);
    command.env("KEPT", "yes").env("TMUX_PANE", "%1").env("TAUT_SESSION", "outer");
    command.env("COLUMNS", "7").env("SHLVL", "5").env_remove("TERM");
    assert!(command.output().unwrap().status.success());
    lab.until(&["ls"], |table| table.contains("exited (0)"));
    let log = lab.ok(&["logs", "a"]);
    let has = |line: &str| log.lines().any(|known| known == line);
    assert!(has("KEPT=yes") && has("ADDED=1") && has("SHLVL=5"), "{log}");
    assert!(has("TERM=xterm-256color") && has("TAUT_SESSION=a"), "{log}");
    assert!(has(&format!("TAUT_SOCKET={}", lab.socket().display())), "{log}");
    assert!(!log.contains("TMUX") && !log.contains("COLUMNS"), "{log}");
    lab.ok(&["new", "b", "-C", "state", "--", "pwd"]);
    let expected = lab.root.join("state").display().to_string();
    lab.until(&["logs", "b"], |log| log.trim_end().ends_with(&expected));
}

#[test]
fn output_of_sessions_is_escaped_unless_the_bytes_are_asked_for() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "printf", "\\033[31mred\\033[m\\n\\033]0;title\\007two\\nthree\\n"]);
    lab.until(&["logs", "a"], |log| log.contains("three"));
    let expected = "\\x1b[31mred\\x1b[m\n\\x1b]0;title\\x07two\nthree\n";
    assert_eq!(lab.ok(&["logs", "a"]), expected);
    let raw = "\x1b[31mred\x1b[m\r\n\x1b]0;title\x07two\r\nthree\r\n";
    assert_eq!(lab.ok(&["logs", "a", "--raw"]), raw);
    assert_eq!(lab.ok(&["logs", "a", "--tail", "1"]), "three\n");
    assert_eq!(lab.ok(&["logs", "a", "--raw", "--from", "30"]), &raw[30..]);
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "seq 100000; exec cat"]);
    lab.until(&["logs", "a", "--tail", "1"], |log| log == "100000\n");
    let mut command = lab.command(&["logs", "a"]);
    let mut logs = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(logs.stdout.take());
    let done = Done::new(logs.wait_with_output().unwrap());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

#[test]
fn ping_measures() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "cat"]);
    let printed = lab.ok(&["ping", "-c", "3", "-i", "0", "-s", "8128"]);
    assert_eq!(printed.matches("8128 bytes: seq=").count(), 3);
    assert!(printed.contains("3 sent, 3 received, 0 lost\n"), "{printed}");
    let results = lab.json(&["ping", "-c", "50", "-i", "0", "--json"]);
    assert_eq!((&results["sent"], &results["received"]), (&50.into(), &50.into()));
    let time = |key: &str| results[key].as_u64().unwrap();
    assert!(0 < time("min_ns") && time("min_ns") <= time("p50_ns"));
    assert!(time("p50_ns") <= time("p99_ns") && time("p99_ns") <= time("max_ns"));
}

#[test]
fn a_terminal_is_not_attached_to_itself() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "cat"]);
    let mut command = lab.command(&["attach", "a"]);
    let done = Done::new(command.env("TAUT_SESSION", "a").output().unwrap());
    assert_eq!(done.code, 5);
    assert!(done.stderr.contains("show itself to itself"), "{}", done.stderr);
}
