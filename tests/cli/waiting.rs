//! `taut wait`: for output, for silence, for the end; and nobody waits for who waits.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Done, Lab};

/// A `taut wait` that is attached already.
struct Waiter {
    child: Child,
}

impl Waiter {
    fn start(lab: &Lab, name: &str, condition: &[&str]) -> Self {
        let mut command = lab.command(&[&["wait", name][..], condition].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        lab.until(&["status", name, "--json"], |status| status.contains("\"clients\": 1,"));
        Self { child }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits for the end; what it printed is little.
    fn finish(self) -> Done {
        Done::new(self.child.wait_with_output().unwrap())
    }
}

/// A session whose script prints a piece, and then one more each time enter is pressed; then it
/// ends with 3. Its terminal neither echoes nor changes what is printed.
fn session_of(lab: &Lab, name: &str, pieces: &[&str]) {
    let steps = pieces.iter().map(|piece| format!("printf '{piece}'; read x; "));
    let script = format!("stty -echo -opost; {}exit 3", steps.collect::<String>());
    lab.ok(&["new", name, "--", "sh", "-c", &script]);
}

fn press_enter(lab: &Lab, name: &str) {
    lab.ok(&["send", name, "", "--enter"]);
}

fn parse(done: &Done) -> serde_json::Value {
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn what_is_held_is_matched_from_the_oldest_byte_on() {
    let lab = Lab::new();
    session_of(&lab, "a", &["one \\033[1mt\\033[mwo\\n", "one three\\n"]);
    lab.until(&["logs", "a"], |log| log.contains("wo\n"));
    // Wherever the script stands: what is not there yet is waited for.
    assert_eq!(lab.ok(&["wait", "a", "--output", r"one (two)"]), "one two\n");
    let report = lab.json(&["wait", "a", "--output", "two", "--json"]);
    // Between the letters lies a sequence of three bytes.
    let expected = serde_json::json!({
        "session": "a", "outcome": "matched", "met": true, "text": "two",
        "offset_from": 8, "offset_to": 14, "gap_bytes": 0, "exit": null,
    });
    assert_eq!(report, expected);
    press_enter(&lab, "a");
    assert_eq!(lab.ok(&["wait", "a", "--output", "one.*", "--from", "14"]), "one three\n");
    assert_eq!(lab.ok(&["wait", "--output", "e.*", "--from", "16"]), "e three\n", "the only one");
    let late = ["wait", "a", "--output", ".", "--from", "999", "--timeout", "0"];
    assert_eq!(lab.taut(&late).code, 124);
}

#[test]
fn what_comes_is_matched_also_across_reads_and_sequences() {
    let lab = Lab::new();
    session_of(&lab, "a", &["ready\\n", "all 3\\033[3", "2m pass", "ed\\033[m\\n"]);
    lab.until(&["logs", "a"], |log| log == "ready\n");
    let waiter = Waiter::start(&lab, "a", &["--output", "(?m)^all 3 passed$"]);
    let log = ["logs", "a", "--raw"];
    press_enter(&lab, "a");
    lab.until(&log, |log| log.ends_with("\x1b[3"));
    press_enter(&lab, "a");
    lab.until(&log, |log| log.ends_with("pass"));
    press_enter(&lab, "a");
    let done = waiter.finish();
    let all = (done.code, done.stdout.as_str(), done.stderr.as_str());
    assert_eq!(all, (0, "all 3 passed\n", ""));
}

#[test]
fn from_now_on_the_past_is_not_seen() {
    let lab = Lab::new();
    session_of(&lab, "a", &["word 1\\n", "word 2\\n"]);
    lab.until(&["logs", "a"], |log| log == "word 1\n");
    let past = ["wait", "a", "--output", "word", "--from", "now", "--timeout", "50ms"];
    let done = lab.taut(&past);
    let why = "taut: wait: nothing matched within 50ms\n";
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (124, "", why));
    let waiter = Waiter::start(&lab, "a", &["--output", r"word \d", "--from", "now"]);
    press_enter(&lab, "a");
    assert_eq!(waiter.finish().stdout, "word 2\n");
}

#[test]
fn the_end_is_waited_for_and_told() {
    let lab = Lab::new();
    session_of(&lab, "a", &["x"]);
    let waiter = Waiter::start(&lab, "a", &["--exit"]);
    press_enter(&lab, "a");
    let done = waiter.finish();
    let all = (done.code, done.stdout.as_str(), done.stderr.as_str());
    assert_eq!(all, (0, "exited 3\n", ""));
    assert_eq!(lab.ok(&["wait", "a", "--exit", "--timeout", "0"]), "exited 3\n", "at once");
    let report = lab.json(&["wait", "a", "--exit", "--json"]);
    let expected = serde_json::json!({
        "session": "a", "outcome": "exited", "met": true, "text": null,
        "offset_from": 1, "offset_to": 1, "gap_bytes": 0, "exit": {"code": 3},
    });
    assert_eq!(report, expected);
    session_of(&lab, "b", &["x"]);
    let waiter = Waiter::start(&lab, "b", &["--exit"]);
    lab.ok(&["kill", "b"]);
    assert_eq!(waiter.finish().stdout, "killed by SIGKILL\n");
    // One that is forgotten with its program.
    let mut run = lab.command(&["run", "--name", "c", "--", "sh", "-c", "read x; exit 4"]);
    let mut run = run.stdin(Stdio::piped()).spawn().unwrap();
    lab.until(&["ls"], |table| table.contains("\nc "));
    let mut command = lab.command(&["wait", "c", "--exit"]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    lab.until(&["status", "c", "--json"], |status| status.contains("\"clients\": 2,"));
    drop(run.stdin.take());
    assert_eq!((Waiter { child }).finish().stdout, "exited 4\n");
    assert_eq!(run.wait().unwrap().code(), Some(4));
}

#[test]
fn all_output_is_in_the_log_when_the_end_is_told() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "read x; seq 5000; echo last"]);
    let waiter = Waiter::start(&lab, "a", &["--exit"]);
    press_enter(&lab, "a");
    assert_eq!(waiter.finish().code, 0);
    assert!(lab.ok(&["logs", "a"]).ends_with("5000\nlast\n"));
}

#[test]
fn silence_is_waited_for() {
    let lab = Lab::new();
    session_of(&lab, "a", &["x"]);
    lab.until(&["logs", "a"], |log| log == "x\n");
    let done = lab.taut(&["wait", "a", "--idle", "20ms"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", ""));
    let report = lab.json(&["wait", "a", "--idle", "1ms", "--json"]);
    assert_eq!((&report["outcome"], &report["offset_to"]), (&"idle".into(), &1.into()));
    lab.ok(&["new", "b", "--", "yes"]);
    let done = lab.taut(&["wait", "b", "--idle", "10s", "--timeout", "50ms"]);
    let why = "taut: wait: it was never quiet for 10s within 50ms\n";
    assert_eq!((done.code, done.stderr.as_str()), (124, why));
    let waiter = Waiter::start(&lab, "b", &["--idle", "30s"]);
    lab.ok(&["kill", "b"]);
    let done = waiter.finish();
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("quiet for 30s before the program ended: it ended by SIGKILL"));
}

#[test]
fn who_slept_takes_no_backlog_for_silence() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "yes"]);
    let waiter = Waiter::start(&lab, "a", &["--idle", "1s"]);
    waiter.signal(Signal::STOP);
    // Longer than what it waits for.
    assert_eq!(lab.taut(&["wait", "a", "--exit", "--timeout", "1200ms"]).code, 124);
    waiter.signal(Signal::CONT);
    assert_eq!(lab.taut(&["wait", "a", "--exit", "--timeout", "100ms"]).code, 124);
    lab.ok(&["kill", "a"]);
    assert_eq!(waiter.finish().code, 1, "it was never quiet");
}

#[test]
fn time_runs_out_but_what_is_there_is_always_seen() {
    let lab = Lab::new();
    let script = "stty -echo; seq 20000; echo 'the end'; exec cat";
    lab.ok(&["new", "a", "--", "sh", "-c", script]);
    lab.until(&["logs", "a", "--tail", "1"], |line| line == "the end\n");
    let at_once = ["wait", "a", "--timeout", "0", "--output"];
    assert_eq!(lab.ok(&[&at_once[..], &["the.end"]].concat()), "the end\n");
    assert_eq!(lab.taut(&[&at_once[..], &["nothing like it"]].concat()).code, 124);
    let done = lab.taut(&["wait", "a", "--json", "--exit", "--timeout", "20ms"]);
    let offset = lab.json(&["status", "a", "--json"])[0]["output_offset"].clone();
    let expected = serde_json::json!({
        "session": "a", "outcome": "timed_out", "met": false, "text": null,
        "offset_from": offset, "offset_to": offset, "gap_bytes": 0, "exit": null,
    });
    assert_eq!((done.code, parse(&done), done.stderr.as_str()), (124, expected, ""));
    let done = lab.taut(&["wait", "a", "--exit", "--timeout", "20ms"]);
    assert_eq!(done.stderr, "taut: wait: the program did not end within 20ms\n");
    // An end that was counts before time does.
    lab.ok(&["kill", "a"]);
    assert_eq!(lab.taut(&[&at_once[..], &["nothing like it"]].concat()).code, 1);
}

#[test]
fn what_cannot_happen_any_more_is_told() {
    let lab = Lab::new();
    session_of(&lab, "a", &["x", "last words"]);
    let words = Waiter::start(&lab, "a", &["--output", "words"]);
    press_enter(&lab, "a");
    press_enter(&lab, "a");
    assert_eq!(words.finish().code, 0, "what was printed counts first");
    let done = lab.taut(&["wait", "a", "--output", "never"]);
    let why = "taut: wait: nothing matched before the program ended: it exited with 3\n";
    assert_eq!(done.code, 1);
    assert!(done.stderr.starts_with(why) && done.stderr.contains("hint: taut logs a"));
    let report = parse(&lab.taut(&["wait", "a", "--output", "never", "--json"]));
    assert_eq!((&report["outcome"], &report["met"]), (&"exited".into(), &false.into()));
    assert_eq!(report["exit"], serde_json::json!({"code": 3}));
    for condition in [&["--output", "never"][..], &["--idle", "30s"], &["--exit"]] {
        session_of(&lab, "b", &["x"]);
        let waiter = Waiter::start(&lab, "b", &[condition, &["--json"]].concat());
        lab.ok(&["rm", "--force", "b"]);
        let done = waiter.finish();
        assert_eq!((done.code, &parse(&done)["outcome"]), (1, &"removed".into()), "{condition:?}");
    }
}

#[test]
fn a_program_that_is_started_again_goes_on_but_has_ended() {
    let lab = Lab::new();
    let script =
        "if [ -e again ]; then echo second; cat; else touch again; echo first; read x; exit 5; fi";
    lab.ok(&["new", "a", "--restart", "on-failure", "--", "sh", "-c", script]);
    let exit = Waiter::start(&lab, "a", &["--exit"]);
    let mut command = lab.command(&["wait", "a", "--output", "sec.nd"]);
    let output = command.stdout(Stdio::piped()).spawn().unwrap();
    lab.until(&["status", "a", "--json"], |status| status.contains("\"clients\": 2,"));
    press_enter(&lab, "a");
    assert_eq!(exit.finish().stdout, "exited 5\n");
    assert_eq!((Waiter { child: output }).finish().stdout, "second\n");
}

#[test]
fn who_waits_holds_nobody_and_is_told_what_is_missing() {
    let lab = Lab::new();
    let script = "echo begin; read x; seq 200000; echo 'the end'; read x";
    lab.ok(&["new", "a", "--size", "70x20", "--log-size", "65536", "--", "sh", "-c", script]);
    let waiter = Waiter::start(&lab, "a", &["--output", "the end", "--json"]);
    waiter.signal(Signal::STOP);
    press_enter(&lab, "a");
    // Nobody looks, and the program goes on all the same.
    lab.until(&["logs", "a", "--tail", "1"], |line| line == "the end\n");
    assert!(lab.ok(&["ls"]).contains("70x20"), "its size is its own");
    waiter.signal(Signal::CONT);
    let done = waiter.finish();
    let report = parse(&done);
    assert_eq!((done.code, &report["text"]), (0, &"the end".into()));
    let gap = report["gap_bytes"].as_u64().unwrap();
    let printed = (1..=200_000_u64).map(|number| number.to_string().len() as u64 + 2).sum::<u64>();
    assert!(gap > 0 && gap < printed, "{gap} of {printed}");
    assert!(done.stderr.starts_with('[') && done.stderr.contains("were not looked at"));
    let last = done.stderr.lines().last().unwrap();
    assert!(last.starts_with(&format!("[{gap} bytes")), "{}", done.stderr);
    // What was not held when it was asked is missing only to whoever asked for it.
    let from = |from: &str| lab.taut(&["wait", "a", "--output", "the end", "--from", from]);
    assert!(from("0").stderr.contains("were not looked at"));
    assert_eq!(lab.taut(&["wait", "a", "--output", "the end"]).stderr, "");
    assert_eq!(lab.taut(&["-q", "wait", "a", "--output", "the end", "--from", "0"]).stderr, "");
}

#[test]
fn detaching_people_detaches_nobody_who_waits() {
    let lab = Lab::new();
    session_of(&lab, "a", &["one\\n", "two\\n", "three\\n"]);
    lab.until(&["logs", "a"], |log| log == "one\n");
    for (condition, printed) in
        [(&["--output", "two"][..], "two\n"), (&["--output", "three"], "three\n")]
    {
        let waiter = Waiter::start(&lab, "a", condition);
        lab.ok(&["detach", "a"]);
        press_enter(&lab, "a");
        assert_eq!(waiter.finish().stdout, printed);
    }
    let waiter = Waiter::start(&lab, "a", &["--exit"]);
    lab.ok(&["detach", "a"]);
    press_enter(&lab, "a");
    let printed = waiter.finish().stdout;
    // It may have ended before it was heard of again, and is told all the same.
    assert_eq!(printed, "exited 3\n");
}

#[test]
fn waiting_in_the_session_itself_does_not_find_itself() {
    let lab = Lab::new();
    let taut = env!("CARGO_BIN_EXE_taut");
    let script = format!(
        "stty -echo -opost; t={taut}; read x; $t wait --exit; echo code $?; \
         $t wait --output needle; echo code $?; $t wait --idle 10ms; echo code $?; \
         read x; $t wait --output 'needle .' --from now > matched & \
         read x; echo needle 2; wait; echo found $(cat matched); exec cat"
    );
    lab.ok(&["new", "a", "--", "sh", "-c", &script]);
    press_enter(&lab, "a");
    let log = lab.until(&["logs", "a"], |log| log.matches("code").count() == 3);
    let codes = log.lines().filter(|line| line.starts_with("code"));
    assert_eq!(codes.collect::<Vec<_>>(), ["code 5", "code 5", "code 0"], "{log}");
    assert!(log.contains("its program does not end before this command"), "{log}");
    assert!(log.contains("hint: --from now looks only at what comes"), "{log}");
    let wait_for_clients = |count: u32| {
        let count = format!("\"clients\": {count},");
        lab.until(&["status", "a", "--json"], |status| status.contains(&count));
    };
    wait_for_clients(0);
    press_enter(&lab, "a");
    wait_for_clients(1);
    press_enter(&lab, "a");
    lab.until(&["logs", "a"], |log| log.contains("found needle 2"));
    // From outside all of it is output like any other.
    assert_eq!(lab.ok(&["wait", "a", "--output", "code 5"]), "code 5\n");
}

#[test]
fn waiting_is_interrupted_like_any_program() {
    let lab = Lab::new();
    session_of(&lab, "a", &["x"]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for condition in [&["--output", "never"][..], &["--idle", "1h"], &["--exit"]] {
            lab.until(&["status", "a", "--json"], |status| status.contains("\"clients\": 0,"));
            let waiter = Waiter::start(&lab, "a", condition);
            waiter.signal(signal);
            let done = waiter.finish();
            assert_eq!((done.code, done.stdout.as_str()), (code, ""), "{condition:?}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_no_daemon_is_started() {
    let lab = Lab::new();
    let done = lab.taut(&["wait", "a", "--exit"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(lab.daemons().is_empty());
    let usage = [
        &["wait"][..],
        &["wait", "a"],
        &["wait", "a", "--output", "x", "--exit"],
        &["wait", "a", "--idle", "1s", "--exit"],
        &["wait", "a", "--from", "now", "--exit"],
    ];
    for arguments in usage {
        let done = lab.taut(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains("hint: for example: taut wait "), "{}", done.stderr);
    }
    let long = "x".repeat(1025);
    let values = [
        ["--output", "(x"],
        ["--output", ""],
        ["--output", &long],
        ["--idle", "0"],
        ["--idle", "soon"],
        ["--timeout", "soon"],
        ["--from", "then"],
        ["--from", "-1"],
    ];
    for value in values {
        let done = lab.taut(&[&["wait", "a"][..], &value].concat());
        assert_eq!(done.code, 2, "{value:?}: {}", done.stderr);
    }
    assert_eq!(lab.taut(&["wait", "a b", "--exit"]).code, 2);
    lab.ok(&["new", "a", "--", "cat"]);
    for condition in [&["--output", "x"][..], &["--idle", "1s"], &["--exit"]] {
        let done = lab.taut(&[&["wait", "nobody"], condition].concat());
        assert_eq!(done.code, 4, "{}", done.stderr);
    }
}
