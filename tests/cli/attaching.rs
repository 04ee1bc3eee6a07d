//! `taut attach` on a real terminal.

use portable_pty::PtySize;
use rustix::process::{Signal, kill_process};

use crate::{
    lab::Lab,
    screen::{SIZE, Screen, Unread},
};

/// Reads raw bytes and prints them as `od` does, sixteen a line.
const RAW_READER: &str = "stty raw -echo; printf 'ready\\r\\n'; od -An -v -tx1 -w16";

/// Prints typed bytes visibly, as they come.
const RAW_ECHO: &str = "stty raw -echo; printf 'ready\\r\\n'; exec cat -v";

fn session(lab: &Lab, script: &str) {
    lab.ok(&["new", "a", "--", "sh", "-c", script]);
}

#[test]
fn bare_taut_makes_a_shell_that_outlives_the_terminal() {
    let lab = Lab::new();
    let mut screen = Screen::taut(&lab, &[]);
    screen.wait_for("$ ");
    screen.type_bytes(b"x=kept; echo $((6*7))\r");
    screen.wait_for("\n42");
    screen.type_bytes(b"\x1c");
    screen.wait_for("[detached from main]");
    assert_eq!(screen.wait(), 0);
    assert!(screen.is_cooked());
    let mut screen = Screen::taut(&lab, &[]);
    screen.wait_for("42");
    screen.type_bytes(b"echo again $x\r");
    screen.wait_for("\nagain kept");
    screen.type_bytes(b"exit 7\r");
    screen.wait_for("[main exited with 7]");
    assert_eq!(screen.wait(), 7);
    lab.until(&["ls", "-q"], str::is_empty);
}

#[test]
fn the_detach_key_is_known_in_each_form_and_however_it_is_cut() {
    let lab = Lab::new();
    session(&lab, RAW_ECHO);
    let forms: [&[&[u8]]; 5] = [
        &[b"\x1c"],
        &[b"\x1b[92;5u"],
        &[b"\x1b[27;5;92~"],
        &[b"\x1b[", b"92;5u"],
        &[b"\x1b[92;", b"5", b"u"],
    ];
    for pieces in forms {
        let mut screen = Screen::taut(&lab, &["attach", "a"]);
        screen.wait_for("ready");
        screen.type_bytes(b"x");
        screen.wait_for("x");
        for piece in pieces {
            screen.type_bytes(piece);
        }
        screen.wait_for("[detached from a]");
        assert_eq!(screen.wait(), 0, "{pieces:?}");
    }
    let log = lab.ok(&["logs", "a"]);
    assert!(!log.contains("^\\") && !log.contains("92"), "nothing of it was sent: {log}");
}

#[test]
fn pressed_twice_the_detach_key_is_sent_and_without_keys_everything_is() {
    let lab = Lab::new();
    session(&lab, RAW_ECHO);
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("ready");
    screen.type_bytes(b"<\x1c\x1c>");
    screen.wait_for("<^\\>");
    let mut other = Screen::taut(&lab, &["attach", "a", "--detach-keys", "ctrl-p,ctrl-q"]);
    other.wait_for("<^\\>");
    other.type_bytes(b"[\x1c\x10]");
    other.wait_for("[^\\^P]");
    other.type_bytes(b"\x10\x11");
    other.wait_for("[detached from a]");
    assert_eq!(other.wait(), 0);
}

#[test]
fn a_paste_of_a_line_that_is_too_long_is_told_and_typing_goes_on() {
    let lab = Lab::new();
    session(&lab, "stty -echo; echo ready; while read x; do echo got ${#x}; done");
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("ready");
    for (lines, typed) in [(1, "four"), (40, "three")] {
        let paste = [vec![b'x'; 9000], b"\r".to_vec()].concat();
        screen.type_bytes(&paste.repeat(lines));
        screen.wait_for("[the line is longer than the program takes");
        screen.wait_for("]\r\n");
        screen.type_bytes(b"\x15");
        screen.type_bytes(typed.as_bytes());
        screen.type_bytes(b"\r");
        screen.wait_for(&format!("got {}", typed.len()));
    }
    let log = lab.ok(&["logs", "a"]);
    assert_eq!(log, "ready\ngot 4\ngot 5\n");
}

#[test]
fn all_256_byte_values_reach_a_raw_reader() {
    let lab = Lab::new();
    session(&lab, RAW_READER);
    let mut screen = Screen::taut(&lab, &["attach", "a", "--detach-keys", "none"]);
    screen.wait_for("ready");
    let bytes: Vec<u8> = (0..=255).collect();
    screen.type_bytes(&bytes);
    for line in bytes.chunks(16) {
        let line: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        screen.wait_for(&line.join(" "));
    }
}

#[test]
fn attaching_again_shows_the_screen_and_its_questions_are_not_answered_twice() {
    let lab = Lab::new();
    // Asks the terminal who and how it is and where the cursor is, and shows what it is answered.
    let asks = "stty raw -echo; printf 'one\\r\\n\\033[c\\033[5n\\033[6ntwo\\r\\n'; exec cat -v";
    session(&lab, asks);
    lab.until(&["logs", "a"], |log| log.contains("two"));
    for round in 0..3 {
        let mut screen = Screen::taut(&lab, &["attach", "a"]);
        screen.wait_for("\x1b[!p\x1b[H\x1b[2J");
        screen.wait_for("one\r\n\x1b[c\x1b[5n\x1b[6ntwo");
        screen.wait_for("\x1b[6n");
        screen.type_bytes(format!("<{round}>").as_bytes());
        screen.wait_for(&format!("<{round}>"));
        screen.type_bytes(b"\x1c");
        assert_eq!(screen.wait(), 0);
    }
    let log = lab.ok(&["logs", "a"]);
    assert!(log.ends_with("two\n<0><1><2>\n"), "only what was typed came in: {log}");
}

#[test]
fn answers_to_questions_asked_now_reach_the_child() {
    let lab = Lab::new();
    let asks = "stty raw -echo; printf 'ready\\r\\n'; read x; printf '\\033[5n'; exec cat -v";
    session(&lab, asks);
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("\x1b[6n");
    screen.type_bytes(b"\n");
    screen.wait_for("^[[0n");
}

#[test]
fn programs_that_draw_are_made_to_draw_again() {
    let lab = Lab::new();
    let draws = "trap 'printf \"%s drawn\\n\" \"$(stty size)\"' WINCH; echo ready; \
        while :; do read x; done";
    session(&lab, draws);
    lab.until(&["logs", "a"], |log| log.contains("ready"));
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("24 79 drawn");
    screen.wait_for("24 80 drawn");
    screen.terminal.resize(PtySize { rows: 30, cols: 100, ..SIZE }).unwrap();
    screen.wait_for("30 100 drawn");
}

/// What a careless program leaves on.
const LEFT_ON: &str = "printf '\\033[?1049h\\033[?1000;1006h\\033[?2004h\\033[?1004h\\033=\
    \\033[>1u\\033[?25l\\033[31mready\\r\\n'; ";

/// What gives the terminal back after that.
const TURNED_OFF: [&str; 5] = [
    "\x1b[<1u\x1b[?1049l",
    "\x1b[?1000;1002;1003;1004;1006;2004;1l",
    "\x1b>",
    "\x1b[?25h",
    "\x1b[m",
];

fn assert_given_back(screen: &mut Screen) {
    for part in TURNED_OFF {
        screen.wait_for(part);
    }
    assert!(screen.is_cooked());
}

#[test]
fn the_terminal_is_given_back_on_every_way_out() {
    let lab = Lab::new();
    session(&lab, &format!("{LEFT_ON} read x; exit 3"));
    for number in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut screen = Screen::taut(&lab, &["attach", "a"]);
        screen.wait_for("ready");
        kill_process(screen.pid(), number).unwrap();
        assert_eq!(screen.wait(), 128 + number.as_raw().unsigned_abs());
        assert_given_back(&mut screen);
    }
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("ready");
    screen.type_bytes(b"\x1c");
    assert_eq!(screen.wait(), 0, "detached");
    assert_given_back(&mut screen);
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("ready");
    screen.type_bytes(b"\r");
    assert_eq!(screen.wait(), 3, "exited");
    assert_given_back(&mut screen);
    lab.ok(&["new", "b", "--", "sh", "-c", &format!("{LEFT_ON} exec cat")]);
    let mut screen = Screen::taut(&lab, &["attach", "b"]);
    screen.wait_for("ready");
    lab.kill_daemon();
    assert_eq!(screen.wait(), 3, "lost");
    assert_given_back(&mut screen);
}

#[test]
fn an_exited_session_shows_its_tail_and_its_status() {
    let lab = Lab::new();
    session(&lab, "echo last words; exit 7");
    lab.until(&["ls"], |table| table.contains("exited"));
    let done = lab.taut(&["attach", "a"]);
    assert_eq!((done.code, done.stdout.as_str()), (7, "last words\r\n"));
    assert!(done.stderr.contains("[a exited with 7]"), "{}", done.stderr);
}

#[test]
fn detach_and_rm_from_elsewhere_end_an_attachment() {
    let lab = Lab::new();
    session(&lab, RAW_ECHO);
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("ready");
    lab.ok(&["detach", "a"]);
    screen.wait_for("[detached from a by another client]");
    assert_eq!(screen.wait(), 0);
    let mut first = Screen::taut(&lab, &["attach", "a"]);
    first.wait_for("ready");
    let mut second = Screen::taut(&lab, &["attach", "-d", "a"]);
    second.wait_for("ready");
    assert_eq!(first.wait(), 0);
    lab.ok(&["rm", "--force", "a"]);
    assert_ne!(second.wait(), 0);
}

#[test]
fn a_read_only_attachment_types_nothing_and_can_leave() {
    let lab = Lab::new();
    session(&lab, RAW_ECHO);
    lab.ok(&["resize", "a", "90x20"]);
    lab.ok(&["resize", "a", "auto"]);
    let mut screen = Screen::taut(&lab, &["attach", "-r", "a"]);
    screen.wait_for("ready");
    screen.type_bytes(b"nothing of this\x03\x1c");
    screen.wait_for("[detached from a]");
    assert_eq!(screen.wait(), 0);
    assert_eq!(lab.ok(&["logs", "a"]), "ready\n");
    assert_eq!(lab.json(&["ls", "--json"])[0]["cols"], 90);
}

#[test]
fn a_paste_nobody_reads_does_not_keep_the_detach_key_out() {
    let lab = Lab::new();
    session(&lab, "stty raw -echo; printf 'ready\\r\\n'; exec sleep 1000");
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("ready");
    screen.type_bytes(&[b'x'; 300_000]);
    screen.type_bytes(b"\x1c");
    screen.wait_for("[detached from a]");
    screen.wait_for("may not have arrived]");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn a_session_is_made_and_attached_in_one_step() {
    let lab = Lab::new();
    let arguments = ["new", "a", "--attach", "--", "sh", "-c", "echo first; read x; exit 4"];
    let mut screen = Screen::taut(&lab, &arguments);
    screen.wait_for("first");
    screen.type_bytes(b"\r");
    assert_eq!(screen.wait(), 4);
    assert!(!screen.text().contains("\x1b[2J"), "a new session does not clear the screen");
    let mut screen = Screen::taut(&lab, &["attach", "--create", "b"]);
    screen.wait_for("$ ");
    screen.type_bytes(b"exit\r");
    screen.wait_for("[b exited with 0]");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn attach_stays_when_the_program_is_started_again() {
    let lab = Lab::new();
    let script = "echo started; read line; exit 3";
    lab.ok(&["new", "a", "--restart", "on-failure", "--", "sh", "-c", script]);
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("started");
    screen.type_bytes(b"\r");
    screen.wait_for("[a exited with 3; it is started again]");
    screen.wait_for("started");
    lab.ok(&["restart", "a"]);
    screen.wait_for("[a ended by SIGHUP; it is started again]");
    screen.wait_for("started");
    lab.ok(&["stop", "a"]);
    screen.wait_for("[a ended by SIGHUP]");
    assert_eq!(screen.wait(), 129);
    assert_eq!(lab.json(&["status", "a", "--json"])[0]["restarts"], 2);
}

#[test]
fn a_session_takes_over_where_its_user_sits_for_the_next_program() {
    let lab = Lab::new();
    let script = "echo at=$SSH_AUTH_SOCK=$OTHER=; exec cat";
    lab.ok(&["new", "a", "--", "sh", "-c", script]);
    lab.until(&["logs", "a"], |log| log.contains("at===\n"));
    let seat = [("SSH_AUTH_SOCK", "/new/agent"), ("OTHER", "unrelated")];
    let mut screen = Screen::taut_with(&lab, &["attach", "a"], &seat);
    screen.wait_for("at===");
    screen.type_bytes(b"\x1c");
    assert_eq!(screen.wait(), 0);
    lab.ok(&["restart", "a"]);
    lab.until(&["logs", "a"], |log| log.contains("at=/new/agent==\n"));
}

#[test]
fn what_is_shown_again_acts_only_once() {
    let lab = Lab::new();
    let acting = r"\a\033]52;c;aGVsbG8=\a\033[3J\033]2;mine\a";
    let script = format!("printf '{acting}before\\n'; read line; printf '{acting}after\\n'; cat");
    session(&lab, &script);
    lab.until(&["logs", "a", "--raw"], |log| log.contains("before"));
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("before");
    let shown = screen.text();
    let acts = |shown: &str| shown.contains("\x1b]52;") || shown.contains("\x1b[3J");
    assert!(!acts(&shown) && shown.contains("\x1b]2;mine\x07"), "{shown:?}");
    screen.type_bytes(b"\r");
    screen.wait_for("after");
    assert!(acts(&screen.text()), "what is printed now is passed on as it is");
    screen.type_bytes(b"\x1c");
    screen.wait_for("[detached from a]");
    assert!(screen.text().contains("\x1b[23;0t"), "the terminal's own title comes back");
}

#[test]
fn the_window_is_given_back_to_the_terminal_that_stays() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "stty -echo; echo ready; cat"]);
    let mut first = Screen::taut(&lab, &["attach", "a"]);
    first.wait_for("ready");
    let mut second = Screen::taut(&lab, &["attach", "a"]);
    second.terminal.resize(PtySize { rows: 15, cols: 60, ..SIZE }).unwrap();
    let cols = |wanted: &'static str| move |status: &str| status.contains(wanted);
    lab.until(&["status", "a"], cols("60x15"));
    second.wait_for("ready");
    second.type_bytes(b"\x1c");
    assert_eq!(second.wait(), 0);
    lab.until(&["status", "a"], cols("80x24"));
    first.type_bytes(b"\x1c");
    assert_eq!(first.wait(), 0);
}

#[test]
fn output_that_a_terminal_was_too_slow_for_is_said_to_be_missing() {
    let lab = Lab::new();
    let script = "read line; seq 1000001 1100000; echo all; cat";
    lab.ok(&["new", "a", "--log-size", "64k", "--", "sh", "-c", script]);
    let unread = Unread::taut(&lab, &["attach", "a", "--delivery", "log"]);
    lab.until(&["status", "a"], |status| status.contains("clients     1"));
    lab.ok(&["send", "a", "--enter"]);
    lab.until(&["logs", "a", "--tail", "1"], |log| log == "all\n");
    let mut screen = Screen::over(unread);
    screen.wait_for("bytes of output are missing here]");
    screen.wait_for("\r\nall");
    screen.type_bytes(b"\x1c");
    screen.wait_for("bytes of output were not shown");
    assert_eq!(screen.wait(), 0);
    let text = screen.text();
    let lines: Vec<_> =
        text.lines().map(|line| line.split('\x1b').next().unwrap().trim()).collect();
    let is_number = |line: &str| line.starts_with('1');
    let whole = lines.iter().filter(|line| is_number(line) && line.len() == 7);
    let numbers: Vec<u32> = whole.map(|line| line.parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.last() == Some(&1_100_000));
    // A line that was begun before the gap ends there, and no other is made of two.
    let is_cut = |pair: &&[&str]| is_number(pair[0]) && pair[0].len() != 7;
    for pair in lines.windows(2).filter(is_cut) {
        assert!(pair[1].contains("are missing"), "{pair:?}");
    }
}

#[test]
fn what_was_typed_too_late_is_said() {
    let lab = Lab::new();
    let script =
        "stty raw -echo; printf 'ready\\r\\n'; head -c 1 >/dev/null; kill -STOP $$; exit 4";
    lab.ok(&["new", "a", "--", "sh", "-c", script]);
    let mut screen = Screen::taut(&lab, &["attach", "a"]);
    screen.wait_for("ready");
    screen.type_bytes(&[b'x'; 40_000]);
    // The terminal is full, and some of it waits in the engine.
    lab.until(&["status", "a"], |status| {
        status.contains("input       ") && !status.contains("input       0")
    });
    lab.ok(&["signal", "a", "KILL"]);
    lab.ok(&["kill", "a"]);
    screen.wait_for("bytes typed last came too late]");
    assert_eq!(screen.wait(), 137);
}
