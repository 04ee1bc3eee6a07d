//! `taut logs`: what is held, what is missing, and what comes.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Done, Lab};

/// A `taut logs -f` whose output is read line by line.
struct Follower {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Follower {
    fn start(lab: &Lab, arguments: &[&str]) -> Self {
        let mut command = lab.command(&[&["logs", "-f"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Reads the rest and waits for the end.
    fn finish(mut self) -> Done {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let done = Done::new(self.child.wait_with_output().unwrap());
        Done { stdout: rest, ..done }
    }
}

/// A session whose script prints a piece, and then one more each time enter is pressed; its
/// terminal neither echoes nor changes what is printed.
fn session_of(lab: &Lab, name: &str, pieces: &[&str]) {
    let step = |piece: &&str| format!("printf '{piece}'");
    let steps = pieces.iter().map(step).collect::<Vec<_>>().join("; read x; ");
    let script = format!("stty -echo -opost; {steps}");
    lab.ok(&["new", name, "--", "sh", "-c", &script]);
}

fn press_enter(lab: &Lab, name: &str) {
    lab.ok(&["send", name, "", "--enter"]);
}

/// Waits until so many clients are attached.
fn wait_for_clients(lab: &Lab, name: &str, count: u32) {
    let count = format!("\"clients\": {count},");
    lab.until(&["status", name, "--json"], |status| status.contains(&count));
}

#[test]
fn following_goes_on_until_the_program_has_ended() {
    let lab = Lab::new();
    session_of(&lab, "a", &["one\\n", "two\\n", "three"]);
    let mut follower = Follower::start(&lab, &["a"]);
    assert_eq!(follower.line(), "one\n");
    press_enter(&lab, "a");
    assert_eq!(follower.line(), "two\n");
    press_enter(&lab, "a");
    let done = follower.finish();
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "three\n", ""));
    assert_eq!(Follower::start(&lab, &["a"]).finish().stdout, "one\ntwo\nthree\n");
    assert_eq!(Follower::start(&lab, &["nobody"]).finish().code, 4);
}

#[test]
fn following_begins_where_it_was_asked_to() {
    let lab = Lab::new();
    session_of(&lab, "a", &["one\\ntwo\\n", "three\\n"]);
    lab.until(&["logs", "a"], |log| log == "one\ntwo\n");
    let wanted = [
        (&["--tail", "1"][..], "two\nthree\n"),
        (&["--tail", "0"], "three\n"),
        (&["--from", "2"], "e\ntwo\nthree\n"),
        (&["--from", "8"], "three\n"),
        (&["--from", "11"], "ee\n"),
        (&["--from", "99"], ""),
        (&["--raw", "--tail", "1"], "two\nthree\n"),
    ];
    let start =
        |(arguments, _): &(&[&str], &str)| Follower::start(&lab, &[arguments, &["a"][..]].concat());
    let followers = wanted.iter().map(start).collect::<Vec<_>>();
    wait_for_clients(&lab, "a", wanted.len() as u32);
    press_enter(&lab, "a");
    for (follower, (arguments, expected)) in followers.into_iter().zip(wanted) {
        let done = follower.finish();
        assert_eq!((done.code, done.stdout.as_str()), (0, expected), "{arguments:?}");
    }
}

#[test]
fn no_byte_comes_twice_and_none_is_missed() {
    let lab = Lab::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done";
    lab.ok(&["new", "a", "--", "sh", "-c", script]);
    let followers = (0..6).map(|_| Follower::start(&lab, &["a"])).collect::<Vec<_>>();
    let expected = (0..20_000).map(|number| format!("{number}\n")).collect::<String>();
    for follower in followers {
        let done = follower.finish();
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        assert!(done.stdout == expected, "{} bytes", done.stdout.len());
    }
}

#[test]
fn what_is_escaped_is_the_same_however_it_comes() {
    let lab = Lab::new();
    let pieces = ["x\\nna\\303", "\\257ve\\r", "\\nred \\033", "[m\\r", "z\\342\\202"];
    session_of(&lab, "a", &pieces);
    let mut follower = Follower::start(&lab, &["a"]);
    assert_eq!(follower.line(), "x\n");
    wait_for_clients(&lab, "a", 1);
    for _ in 1..pieces.len() {
        press_enter(&lab, "a");
    }
    assert_eq!(follower.finish().stdout, "naïve\nred \\x1b[m\\rz\\xe2\\x82\n");
}

#[test]
fn several_are_followed_each_under_its_name() {
    let lab = Lab::new();
    session_of(&lab, "a", &["a1\\n", "a2", "a3\\n"]);
    session_of(&lab, "b", &["b1\\n", "b2\\n"]);
    lab.until(&["logs", "a"], |log| log == "a1\n");
    lab.until(&["logs", "b"], |log| log == "b1\n");
    let mut follower = Follower::start(&lab, &["a", "nobody", "b"]);
    let mut expect = |lines: &[&str]| {
        for line in lines {
            assert_eq!(follower.line(), format!("{line}\n"));
        }
    };
    expect(&["==> a <==", "a1", "==> b <==", "b1"]);
    wait_for_clients(&lab, "a", 1);
    press_enter(&lab, "a");
    expect(&["==> a <=="]);
    lab.until(&["logs", "a"], |log| log.ends_with("a2\n"));
    press_enter(&lab, "b");
    expect(&["a2", "==> b <==", "b2"]);
    press_enter(&lab, "a");
    let done = follower.finish();
    assert_eq!(done.stdout, "==> a <==\na3\n");
    assert_eq!(done.code, 4, "one of them there is not: {}", done.stderr);
}

#[test]
fn who_follows_holds_nobody_and_is_told_what_is_missing() {
    let lab = Lab::new();
    let script = "echo begin; read x; seq 200000; echo end";
    lab.ok(&["new", "a", "--size", "70x20", "--log-size", "65536", "--", "sh", "-c", script]);
    let mut follower = Follower::start(&lab, &["a"]);
    assert_eq!(follower.line(), "begin\n");
    wait_for_clients(&lab, "a", 1);
    press_enter(&lab, "a");
    // Nobody reads, and the program ends all the same.
    lab.until(&["ls"], |table| table.contains("exited (0)"));
    assert!(lab.ok(&["ls"]).contains("70x20"), "its size is its own");
    let done = follower.finish();
    assert!(done.stdout.ends_with("200000\nend\n"));
    assert!(done.stderr.starts_with("[a: ") && done.stderr.contains(" bytes are missing here"));
    // Those bytes, and no others.
    let number = |text: &str| text.trim().split(' ').next().unwrap().parse::<usize>().unwrap();
    let missing = done.stderr.lines().map(|line| number(&line[4..])).sum::<usize>();
    let printed = (1..=200_000_u32).map(|number| number.to_string().len() + 2).sum::<usize>();
    // Every line is one byte shorter than it was; where one was cut in two, it got an end more.
    let lines = done.stdout.matches('\n').count();
    let raw = done.stdout.len() + lines + missing;
    let whole = "\r\nend\r\n".len() + printed;
    let cuts = done.stderr.lines().count();
    assert!(raw.abs_diff(whole) <= 8 * cuts, "{raw} of {whole} bytes");
}

#[test]
fn what_is_asked_for_and_not_held_is_told() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--log-size", "65536", "--", "sh", "-c", "seq 200000; echo end"]);
    lab.until(&["ls"], |table| table.contains("exited (0)"));
    let done = lab.taut(&["logs", "a", "--from", "100"]);
    let status = &lab.json(&["status", "a", "--json"])[0];
    let held = lab.ok(&["logs", "a", "--raw"]).len() as u64;
    let missing = status["output_offset"].as_u64().unwrap() - 100 - held;
    let note =
        format!("[a: {missing} bytes are missing here, from offset 100 on: they left the log]");
    assert_eq!((done.code, done.stderr.trim_end()), (0, note.as_str()));
    assert!(done.stdout.ends_with("200000\nend\n"));
    assert_eq!(lab.taut(&["-q", "logs", "a", "--from", "100"]).stderr, "");
    let all = lab.taut(&["logs", "a"]);
    let first: u64 = all.stdout.lines().next().unwrap().parse().unwrap();
    // Of the numbers before it, six bytes and two for the line's end; fewer below 100,000.
    let before: u64 = (1..first).map(|number| number.to_string().len() as u64 + 2).sum();
    let note = |bytes| format!("[a: the first {bytes} bytes are not held any more]\n");
    assert_eq!(all.stderr, note(before), "and what is shown begins with a whole line");
    let note =
        format!("[a: {missing} bytes are missing here, from offset 100 on: they left the log]");
    assert_eq!(lab.taut(&["logs", "a", "--tail", "3"]).stderr, "");
    assert_eq!(Follower::start(&lab, &["a", "--from", "100"]).finish().stderr.trim_end(), note);
}

#[test]
fn following_goes_on_with_the_next_child() {
    let lab = Lab::new();
    let script =
        "if [ -e again ]; then echo second; else touch again; echo first; read x; exit 3; fi";
    lab.ok(&["new", "a", "--restart", "on-failure", "--", "sh", "-c", script]);
    let mut follower = Follower::start(&lab, &["a"]);
    assert_eq!(follower.line(), "first\n");
    wait_for_clients(&lab, "a", 1);
    press_enter(&lab, "a");
    let done = follower.finish();
    assert_eq!((done.code, done.stdout.as_str()), (0, "\nsecond\n"), "an enter, echoed");
    assert_eq!(done.stderr, "[a: exited with 3; it is started again]\n");
}

#[test]
fn detaching_people_detaches_no_follower() {
    let lab = Lab::new();
    session_of(&lab, "a", &["one\\n", "two\\n", "three\\n"]);
    let mut follower = Follower::start(&lab, &["a"]);
    assert_eq!(follower.line(), "one\n");
    wait_for_clients(&lab, "a", 1);
    lab.ok(&["detach", "a"]);
    press_enter(&lab, "a");
    assert_eq!(follower.line(), "two\n");
    lab.ok(&["rm", "--force", "a"]);
    let done = follower.finish();
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{}", done.stderr);
}

#[test]
fn following_ends_when_it_is_interrupted_or_nobody_reads() {
    let lab = Lab::new();
    session_of(&lab, "a", &["one\\n", ""]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut follower = Follower::start(&lab, &["a"]);
        assert_eq!(follower.line(), "one\n");
        wait_for_clients(&lab, "a", 1);
        follower.signal(signal);
        assert_eq!(follower.finish().code, code);
    }
    let mut follower = Follower::start(&lab, &["a"]);
    assert_eq!(follower.line(), "one\n");
    // The program prints nothing more that could fail to be written.
    drop(follower.output);
    let done = Done::new(follower.child.wait_with_output().unwrap());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}
