//! `taut send`: keys, pastes, and waiting for what comes of it.

use std::{io::Write, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tautline::pty::LINE_MAX;

use crate::lab::{Done, Lab};

/// A session that shows what it gets, as `cat -v` does, after it has set these modes.
fn listener(lab: &Lab, name: &str, modes: &str) {
    let script = format!("stty raw -echo; printf '{modes}ready\\r\\n'; exec cat -v");
    lab.ok(&["new", name, "--", "sh", "-c", &script]);
    lab.until(&["logs", name], |log| log.ends_with("ready\n"));
}

/// A session that answers each line with `got LINE` in bold.
fn responder(lab: &Lab) {
    let answer = "printf '\\033[1mg\\033[mot %s\\n' \"$x\"";
    let script = format!("stty -echo; echo ready; while read x; do {answer}; done");
    lab.ok(&["new", "a", "--", "sh", "-c", &script]);
    lab.until(&["logs", "a"], |log| log == "ready\n");
}

/// Waits until the session got exactly this since it was ready.
#[track_caller]
fn assert_got(lab: &Lab, name: &str, expected: &str) {
    let is_there = |log: &str| {
        log.split_once("ready\n").is_some_and(|(_, got)| got.trim_end().len() >= expected.len())
    };
    let log = lab.until(&["logs", name], is_there);
    assert_eq!(log.split_once("ready\n").unwrap().1.trim_end(), expected);
}

#[test]
fn send_returns_with_the_output_that_was_waited_for() {
    let lab = Lab::new();
    responder(&lab);
    let printed = lab.ok(&["send", "a", "hello", "--enter", "--wait-output", r"got (\w+)"]);
    assert_eq!(printed, "got hello\n");
    let offset = lab.json(&["status", "a", "--json"])[0]["output_offset"].as_u64().unwrap();
    let wait = ["send", "a", "--json", "you", "--enter", "--wait-output", "(?m)^got.*u$"];
    let report = lab.json(&wait);
    // The g stands behind a sequence of four bytes.
    let expected = serde_json::json!({
        "applied": 4, "unknown": 0, "undelivered": 0, "reason": null, "hint": null,
        "matched": "got you", "offset": offset + 4,
    });
    assert_eq!(report, expected);
    let report = lab.json(&["send", "a", "--json", "--enter", ""]);
    assert!(report.get("matched").is_none(), "nothing was waited for");
}

/// A session that shows the lengths of the lines it reads.
fn measurer(lab: &Lab, name: &str) {
    let script = "stty -echo; echo ready; while read x; do echo ${#x}; done";
    lab.ok(&["new", name, "--", "sh", "-c", script]);
    lab.until(&["logs", name], |log| log.starts_with("ready"));
}

#[test]
fn a_line_that_is_too_long_is_told_with_what_was_typed_of_it_and_what_helps() {
    let lab = Lab::new();
    measurer(&lab, "a");
    let (long, longest) = ("x".repeat(LINE_MAX + 905), "y".repeat(LINE_MAX));
    let done = lab.taut(&["send", "a", &long, "--enter"]);
    assert_eq!(done.code, 6);
    let counts = format!("taut: send: {LINE_MAX} applied, 0 unknown, 906 not delivered");
    let why = ": the program reads lines, and its terminal has no room for one that long\n\
               hint: send shorter lines,";
    assert!(done.stderr.starts_with(&(counts + why)), "{}", done.stderr);
    // Where there is no room at all it is told in the same way.
    let done = lab.taut(&["send", "a", "--json", "more", "--enter"]);
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &report["applied"], &report["undelivered"]), (6, &0.into(), &5.into()));
    assert!(report["reason"].as_str().unwrap().contains("reads lines"));
    assert!(report["hint"].as_str().unwrap().contains("ctrl-u"));
    lab.ok(&["send", "a", "--key", "ctrl-u", "short", "--enter"]);
    lab.ok(&["send", "a", &longest, "--enter"]);
    assert_got(&lab, "a", &format!("5\n{LINE_MAX}"));
}

#[test]
fn a_paste_from_standard_input_stops_at_the_line_that_is_too_long() {
    let lab = Lab::new();
    measurer(&lab, "a");
    let mut command = lab.command(&["send", "a"]);
    let mut send = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = send.stdin.take().unwrap();
    let lines = ["a".repeat(1000), "b".repeat(5000), "rm -r x".into()].join("\n") + "\n";
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let done = Done::new(send.wait_with_output().unwrap());
    let applied = 1001 + LINE_MAX;
    let counts = format!("{applied} applied, 0 unknown, {} not", lines.len() - applied);
    assert!(done.code == 6 && done.stderr.contains(&counts), "{}: {}", done.code, done.stderr);
    lab.ok(&["send", "a", "--key", "ctrl-u", "short", "--enter"]);
    assert_got(&lab, "a", "1000\n5");
}

#[test]
fn what_was_printed_before_is_not_waited_for() {
    let lab = Lab::new();
    responder(&lab);
    let wait = ["--wait-output", "ready", "--timeout", "100ms"];
    let done = lab.taut(&[&["send", "a", "x", "--enter"][..], &wait].concat());
    assert_eq!((done.code, done.stdout.as_str()), (124, ""));
    assert_eq!(done.stderr, "taut: send: nothing matched within 100ms\n");
    let done = lab.taut(&[&["send", "a", "--json", "--key", "enter"][..], &wait].concat());
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &report["applied"]), (124, &1.into()));
    assert_eq!((&report["matched"], &report["offset"]), (&().into(), &().into()));
    assert_eq!(report["reason"], "nothing matched within 100ms");
}

#[test]
fn a_program_that_ends_before_a_match_is_told() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "echo ready; read x; exit 3"]);
    lab.until(&["logs", "a"], |log| log.starts_with("ready"));
    let done = lab.taut(&["send", "a", "x", "--enter", "--wait-output", "never"]);
    let why = "taut: send: nothing matched before the program ended: it exited with 3\n";
    assert_eq!((done.code, done.stderr.as_str()), (1, why));
    // One that is started again is waited for.
    let script =
        "if [ -e again ]; then echo second; cat; else touch again; echo first; read x; false; fi";
    lab.ok(&["new", "b", "--restart", "on-failure", "--", "sh", "-c", script]);
    lab.until(&["logs", "b"], |log| log.starts_with("first"));
    assert_eq!(lab.ok(&["send", "b", "--key", "enter", "--wait-output", "sec.nd"]), "second\n");
    let mut command = lab.command(&["send", "b", "--key", "enter", "--wait-output", "never"]);
    let wait = command.stderr(Stdio::piped()).spawn().unwrap();
    lab.until(&["status", "b", "--json"], |status| status.contains("\"clients\": 1,"));
    lab.ok(&["rm", "--force", "b"]);
    assert_eq!(Done::new(wait.wait_with_output().unwrap()).code, 1);
}

#[test]
fn waiting_is_interrupted_like_any_program() {
    let lab = Lab::new();
    responder(&lab);
    let mut command = lab.command(&["send", "a", "x", "--enter", "--wait-output", "never"]);
    let wait = command.stderr(Stdio::piped()).spawn().unwrap();
    lab.until(&["logs", "a"], |log| log.contains("ot x"));
    kill_process(Pid::from_raw(wait.id().try_into().unwrap()).unwrap(), Signal::INT).unwrap();
    let done = Done::new(wait.wait_with_output().unwrap());
    assert!(done.code == 130 || done.code == 6 && done.stderr.contains("unknown"), "{}", done.code);
}

#[test]
fn much_is_typed_and_waited_for_at_once() {
    let lab = Lab::new();
    let script = "stty raw; echo ready; exec cat";
    lab.ok(&["new", "a", "--", "sh", "-c", script]);
    lab.until(&["logs", "a"], |log| log.contains("ready"));
    let mut command = lab.command(&["send", "a", "--wait-output", "the en[d]", "--json"]);
    let mut send = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut typed = vec![b'x'; 2_000_000];
    typed.extend_from_slice(b"the end");
    // It is echoed and printed again, all of which is looked at meanwhile.
    send.stdin.take().unwrap().write_all(&typed).unwrap();
    let done = Done::new(send.wait_with_output().unwrap());
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &report["applied"]), (0, &typed.len().into()));
    assert_eq!(report["matched"], "the end");
}

#[test]
fn keys_are_typed_as_the_programs_modes_ask() {
    let lab = Lab::new();
    listener(&lab, "plain", "");
    listener(&lab, "modes", "\\033[?1h\\033=");
    let keys = "up shift-up home f5 ctrl-c shift-tab alt-x enter kp-5 backspace";
    let keys = keys.split(' ').flat_map(|key| ["--key", key]);
    for name in ["plain", "modes"] {
        let arguments = ["send", name].into_iter().chain(keys.clone()).collect::<Vec<_>>();
        lab.ok(&arguments);
    }
    assert_got(&lab, "plain", "^[[A^[[1;2A^[[H^[[15~^C^[[Z^[x^M5^?");
    assert_got(&lab, "modes", "^[OA^[[1;2A^[OH^[[15~^C^[[Z^[x^M^[Ou^?");
}

#[test]
fn words_and_keys_are_typed_in_their_order_and_nothing_is_read() {
    let lab = Lab::new();
    listener(&lab, "a", "");
    let arguments = ["send", "a", "--key", "up", "b", "c", "--key", "tab", "d", "--enter"];
    lab.ok(&arguments);
    assert_got(&lab, "a", "^[[Ab c\td^M");
    // Its standard input stays open, and would be waited for.
    let mut command = lab.command(&["send", "a", "--key", "z"]);
    let mut send = command.stdin(Stdio::piped()).spawn().unwrap();
    let input = send.stdin.take();
    assert_eq!(send.wait().unwrap().code(), Some(0));
    drop(input);
    assert_got(&lab, "a", "^[[Ab c\td^Mz");
}

#[test]
fn text_is_pasted_as_the_program_asked() {
    let lab = Lab::new();
    listener(&lab, "plain", "");
    listener(&lab, "modes", "\\033[?2004h");
    for name in ["plain", "modes"] {
        lab.ok(&["send", name, "--paste", "a\nb\x1b[201~", "c", "--key", "end", "--enter"]);
    }
    assert_got(&lab, "plain", "a^Mb^[[201~ c^[[F^M");
    let first = "^[[200~a^Mb [201~ c^[[201~^[[F^M";
    assert_got(&lab, "modes", first);
    let mut command = lab.command(&["send", "modes", "--paste"]);
    let mut send = command.stdin(Stdio::piped()).spawn().unwrap();
    send.stdin.take().unwrap().write_all(b"x\r\ny\n").unwrap();
    assert_eq!(send.wait().unwrap().code(), Some(0));
    assert_got(&lab, "modes", &format!("{first}^[[200~x^My^M^[[201~"));
}

#[test]
fn what_cannot_be_typed_or_waited_for_is_refused_before_anything_is_typed() {
    let lab = Lab::new();
    listener(&lab, "a", "");
    let done = lab.taut(&["send", "a", "text", "--key", "hyper-x"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("\"hyper-x\" is no key"), "{}", done.stderr);
    assert!(done.stderr.contains("ctrl-") && done.stderr.contains("page-up"), "{}", done.stderr);
    let done = lab.taut(&["send", "a", "text", "--wait-output", "(x"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("unclosed group"), "{}", done.stderr);
    assert_eq!(lab.taut(&["send", "a", "text", "--timeout", "1s"]).code, 2);
    assert_eq!(lab.taut(&["send", "nobody", "--key", "up"]).code, 4);
    assert_eq!(lab.json(&["status", "a", "--json"])[0]["input_offset"], 0);
}
