//! Frame traces: recorded by real commands, read by `taut debug frames`.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Stdio,
};

use serde_json::Value;

use crate::lab::{Done, LIMIT, Lab};

fn trace_file(lab: &Lab) -> PathBuf {
    lab.root.join("trace")
}

/// Runs a command that is traced.
fn traced(lab: &Lab, arguments: &[&str]) -> Done {
    let mut command = lab.command(arguments);
    Done::new(command.env("TAUT_TRACE", trace_file(lab)).output().unwrap())
}

#[track_caller]
fn traced_ok(lab: &Lab, arguments: &[&str]) {
    let done = traced(lab, arguments);
    assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
}

fn shown(lab: &Lab, options: &[&str]) -> String {
    lab.ok(&[&["debug", "frames", trace_file(lab).to_str().unwrap()], options].concat())
}

fn frames(lab: &Lab, options: &[&str]) -> Vec<Value> {
    let shown = shown(lab, &[&["--json"], options].concat());
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["kind"].as_str().unwrap()).collect()
}

#[test]
fn a_command_is_seen_from_its_hello_to_its_last_answer() {
    let lab = Lab::new();
    traced_ok(&lab, &["new", "a", "--", "sh", "-c", "stty -echo; echo ready; exec cat"]);
    let mode = fs::metadata(trace_file(&lab)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let seen = frames(&lab, &[]);
    assert_eq!(kinds(&seen), ["ClientHello", "EngineHello", "Spawn", "Spawned", "Disconnect"]);
    assert!(seen.iter().all(|frame| frame["side"] == "client"), "its daemon is not traced");
    assert_eq!(seen[2]["fields"]["name"], "a");
    traced_ok(&lab, &["status", "a"]);
    let last = &frames(&lab, &[])[7..];
    assert_eq!(kinds(last), ["Status", "Status", "Done", "Disconnect"]);
    let text = shown(&lab, &["--kind", "done"]);
    assert!(text.starts_with("from 20") && text.contains(" <- Done "), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn what_is_typed_is_in_the_trace_and_shown_only_when_asked_for() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "stty -echo; echo ready; exec cat"]);
    lab.until(&["logs", "a"], |log| log.contains("ready"));
    traced_ok(&lab, &["send", "a", "hunter2\x1b[31m", "--enter"]);
    for options in [&[][..], &["--json"]] {
        assert!(!shown(&lab, options).contains("hunter2"));
        let all = shown(&lab, &[options, &["--bytes"]].concat());
        assert!(all.contains("hunter2") && !all.contains('\x1b'), "{all}");
    }
    let text = shown(&lab, &["--kind", "input", "--bytes"]);
    assert!(text.contains(" bytes_len=13 bytes=\"hunter2\\x1b[31m\\r\""), "{text}");
}

#[test]
fn long_messages_are_seen_in_parts_and_as_a_whole() {
    let lab = Lab::new();
    let long = format!("LONG={}", "x".repeat(20_000));
    traced_ok(&lab, &["run", "-e", &long, "--", "env"]);
    let seen = frames(&lab, &[]);
    let spawn = seen.iter().position(|frame| frame["kind"] == "Spawn").unwrap();
    assert_eq!(
        (&seen[spawn - 1]["kind"], &seen[spawn - 2]["kind"]),
        (&"Part".into(), &"Part".into())
    );
    assert!(seen[spawn]["fields"]["whole_len"].as_u64().unwrap() > 20_000);
    assert_eq!(seen[spawn]["fields"]["program"], "env");
    assert!(seen.iter().any(|frame| frame["kind"] == "Exited"));
    assert!(seen.iter().all(|frame| frame["error"].is_null()), "{seen:?}");
    let printed = shown(&lab, &["--kind", "output", "--bytes"]);
    assert!(printed.contains("LONG=") && !printed.contains("TAUT_TRACE"), "it inherits no trace");
}

#[test]
fn many_commands_append_to_one_trace() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "cat"]);
    let spawn = || {
        let mut command = lab.command(&["ping", "-q", "-c", "200", "-i", "0", "-s", "4000"]);
        command.env("TAUT_TRACE", trace_file(&lab)).stdout(Stdio::null()).spawn().unwrap()
    };
    let pings = [spawn(), spawn(), spawn()];
    let pids = pings.iter().map(|ping| ping.id()).collect::<Vec<_>>();
    for mut ping in pings {
        assert!(ping.wait().unwrap().success());
    }
    let seen = frames(&lab, &[]);
    assert!(seen.iter().all(|frame| frame["record"] == "frame" && frame["error"].is_null()));
    for pid in pids {
        let own = seen.iter().filter(|frame| frame["pid"] == pid).collect::<Vec<_>>();
        assert_eq!(own.len(), 403, "two hellos, 200 pings and their pongs, a last word");
    }
}

#[test]
fn a_daemon_records_its_own_side() {
    let lab = Lab::new();
    let mut command = lab.command(&["serve"]);
    command.env("TAUT_TRACE", trace_file(&lab)).stderr(Stdio::null());
    let mut daemon = command.spawn().unwrap();
    let deadline = std::time::Instant::now() + LIMIT;
    while lab.taut(&["ls"]).code != 0 {
        assert!(std::time::Instant::now() < deadline, "no daemon");
    }
    lab.ok(&["run", "--size", "80x24", "--", "sh", "-c", "head -c 100000 /dev/zero"]);
    lab.ok(&["shutdown", "--force"]);
    assert!(daemon.wait().unwrap().success());
    let seen = frames(&lab, &[]);
    assert!(seen.iter().all(|frame| frame["side"] == "engine" && frame["error"].is_null()));
    let of = |kind: &str| seen.iter().filter(|it| it["kind"] == kind).collect::<Vec<_>>();
    assert!(of("ClientHello").iter().all(|hello| hello["direction"] == "received"));
    assert_eq!(of("ClientHello").len(), of("EngineHello").len());
    let lengths = of("Output").into_iter().map(|it| it["fields"]["bytes_len"].as_u64().unwrap());
    assert_eq!(lengths.sum::<u64>(), 100_000, "each byte that was sent is in the trace once");
    // Whoever says its last word is answered, if it still listens; so is, sometimes, who asked for
    // the shutdown and leaves as soon as it knows of it.
    let reasons = of("Goodbye").into_iter().map(|it| it["fields"]["reason"].as_str().unwrap());
    let reasons = reasons.filter(|reason| *reason != "Requested").collect::<Vec<_>>();
    assert!(matches!(reasons[..], [] | ["ShuttingDown"]), "{reasons:?}");
}

#[test]
fn a_file_that_others_have_a_hand_in_is_no_place_for_a_trace() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "cat"]);
    symlink(lab.root.join("elsewhere"), trace_file(&lab)).unwrap();
    let done = traced(&lab, &["ls"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.starts_with("taut: ls: cannot open "), "{}", done.stderr);
    assert!(done.stderr.contains("\nhint: TAUT_TRACE names "), "{}", done.stderr);
    assert!(!lab.root.join("elsewhere").exists());
    fs::remove_file(trace_file(&lab)).unwrap();
    fs::write(trace_file(&lab), "").unwrap();
    fs::set_permissions(trace_file(&lab), fs::Permissions::from_mode(0o644)).unwrap();
    let done = traced(&lab, &["ls"]);
    assert!(done.code == 1 && done.stderr.contains("(mode 0644)"), "{}", done.stderr);
    assert!(done.stderr.contains("\nhint: chmod 600 "), "{}", done.stderr);
}

#[test]
fn what_is_no_trace_is_refused_and_a_cut_one_is_shown() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "cat"]);
    let file = trace_file(&lab);
    let path = file.to_str().unwrap();
    assert_eq!(lab.taut(&["debug", "frames", path]).code, 1, "there is none");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    let done = lab.taut(&["debug", "frames", path]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains(" is no frame trace\nhint: TAUT_TRACE=FILE"), "{}", done.stderr);
    fs::remove_file(&file).unwrap();
    traced_ok(&lab, &["ls"]);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    let text = shown(&lab, &[]);
    assert!(text.contains("ClientHello"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("(the last record is cut off: "), "{text}");
    assert_eq!(frames(&lab, &[]).last().unwrap()["record"], "cut");
    assert_eq!(lab.taut(&["debug", "frames", path, "--kind", "nonsense"]).code, 2);
    assert_eq!(lab.taut(&["debug"]).code, 2);
}
