//! `taut run`: as if the command had no terminal, and as if it had ours.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    lab::{Done, Lab},
    screen::Screen,
};

#[test]
fn the_commands_bytes_come_out_and_its_status() {
    let lab = Lab::new();
    let done = lab.taut(&["run", "--", "sh", "-c", "printf 'a\\nb\\n'; tty >/dev/null; exit $?"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "a\nb\n"), "{}", done.stderr);
    assert_eq!(lab.taut(&["run", "sh", "-c", "exit 7"]).code, 7);
    assert_eq!(lab.taut(&["run", "sh", "-c", "kill -9 $$"]).code, 137);
    lab.until(&["ls", "-q"], str::is_empty);
}

#[test]
fn own_failures_have_the_usual_codes() {
    let lab = Lab::new();
    assert_eq!(lab.taut(&["--daemon", "require", "run", "true"]).code, 125);
    let done = lab.taut(&["run", "no-such-program"]);
    assert_eq!(done.code, 127, "{}", done.stderr);
    assert_eq!(lab.taut(&["run", "/"]).code, 126);
    assert_eq!(lab.taut(&["run", "-C", "/nowhere", "true"]).code, 125);
    assert_eq!(lab.taut(&["run", "--timeout", "50ms", "sleep", "100"]).code, 124);
    lab.until(&["ls", "-q"], str::is_empty);
}

#[test]
fn standard_input_arrives_and_ends() {
    let lab = Lab::new();
    for (typed, printed) in [("one\ntwo\n", "one\ntwo\n"), ("unfinished", "unfinished"), ("", "")] {
        let mut command = lab.command(&["run", "--", "cat"]);
        let mut run = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        run.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let done = Done::new(run.wait_with_output().unwrap());
        assert_eq!((done.code, done.stdout.as_str()), (0, printed));
    }
}

#[test]
fn lines_of_any_length_arrive_whole() {
    let lab = Lab::new();
    for len in [4094, 4095, 4096, 8190, 100_000, 1_000_000] {
        for end in ["", "\n", "\nlast"] {
            let typed = "x".repeat(len) + end;
            let mut command = lab.command(&["run", "--", "cat"]);
            let mut run = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut input = run.stdin.take().unwrap();
            let bytes = typed.clone();
            let writer = std::thread::spawn(move || input.write_all(bytes.as_bytes()).unwrap());
            let done = Done::new(run.wait_with_output().unwrap());
            writer.join().unwrap();
            assert!(done.code == 0 && done.stdout == typed, "{len} bytes and {end:?}");
        }
    }
}

#[test]
fn a_line_that_cannot_be_typed_is_told_and_never_cut() {
    let lab = Lab::new();
    // Without an end-of-file character a line that is too long cannot be handed over in pieces.
    let script = "stty eof undef; printf ready; exec cat";
    let mut command = lab.command(&["run", "--", "sh", "-c", script]);
    let mut run = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 5];
    run.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    run.stdin.as_mut().unwrap().write_all(&[b'x'; 5000]).unwrap();
    let done = Done::new(run.wait_with_output().unwrap());
    assert_eq!((done.code, done.stdout.as_str()), (125, ""));
    let why = "taut: run: the program reads lines, and its terminal has no room for one that long";
    assert!(done.stderr.starts_with(why), "{}", done.stderr);
    lab.until(&["ls", "-q"], str::is_empty);
}

#[test]
fn large_output_is_complete_however_slowly_it_is_read() {
    let lab = Lab::new();
    let mut command = lab.command(&["run", "--", "seq", "300000"]);
    let mut run = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = run.stdout.take().unwrap();
    let mut first = [0; 10];
    output.read_exact(&mut first).unwrap();
    // The command is far ahead of us, or would be: the log holds 1 MiB, it prints 2.
    lab.until(&["ls"], |table| table.contains("run-1"));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("299999\n300000\n"));
    let lines = (1..=300_000_u32).map(|number| number.to_string().len() + 1);
    assert_eq!(first.len() + rest.len(), lines.sum::<usize>());
    assert_eq!(run.wait().unwrap().code(), Some(0));
}

#[test]
fn a_command_does_not_outlive_a_run_that_is_ended() {
    let lab = Lab::new();
    let mut command = lab.command(&["run", "--", "sh", "-c", "echo ready; exec sleep 1000"]);
    let mut run = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(run.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    kill_process(Pid::from_raw(run.id().try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(143));
    lab.until(&["ls", "-q"], str::is_empty);
}

#[test]
fn on_a_terminal_the_command_has_one() {
    let lab = Lab::new();
    let mut screen = Screen::taut(&lab, &["run", "--", "sh", "-c", "stty size; read x; exit $x"]);
    screen.wait_for("24 80");
    screen.type_bytes(b"9\r");
    assert_eq!(screen.wait(), 9);
    assert!(screen.is_cooked());
}
