//! Completions in a real shell, and manual pages before a real formatter.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::lab::{Done, Lab};

/// Whether the program is there.
fn is_there(program: &str) -> bool {
    let mut run = Command::new(program);
    run.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// What bash offers for a line whose last word is being typed.
fn offered(lab: &Lab, script: &str, line: &str) -> Vec<String> {
    let body = r#"
        source "$1"
        read -ra COMP_WORDS <<< "$2"
        [[ "$2" == *' ' ]] && COMP_WORDS+=("")
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        complete -p taut >&2
        function=$(complete -p taut | sed 's/.*-F \([^ ]*\).*/\1/')
        "$function" taut "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let directory = std::path::Path::new(env!("CARGO_BIN_EXE_taut")).parent().unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", body, "bash", script, line]).env_clear().envs(lab.env());
    let done = Done::new(bash.env("PATH", path).stdin(Stdio::null()).output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.stdout.lines().filter(|line| !line.is_empty()).map(String::from).collect()
}

#[test]
fn bash_completes_commands_and_sessions() {
    if !is_there("bash") {
        return println!("skipped: there is no bash");
    }
    let lab = Lab::new();
    let script = lab.root.join("taut.bash");
    fs::write(&script, lab.ok(&["completions", "bash"])).unwrap();
    let offered = |line: &str| offered(&lab, script.to_str().unwrap(), line);
    assert_eq!(offered("taut att"), ["attach"]);
    assert_eq!(offered("taut attach "), [""; 0], "no daemon runs, and none is started");
    assert!(lab.daemons().is_empty());
    lab.ok(&["new", "build", "--", "cat"]);
    lab.ok(&["new", "other", "--", "cat"]);
    assert_eq!(offered("taut attach "), ["build", "other"]);
    assert_eq!(offered("taut -q a -r b"), ["build"]);
    assert_eq!(offered("taut stop build o"), ["other"]);
    assert_eq!(offered("taut wait o"), ["other"]);
    assert_eq!(offered("taut wait other --id"), ["--idle"]);
    assert_eq!(offered("taut attach --delivery s"), ["screen"]);
    assert_eq!(offered("taut attach --read"), ["--read-only"]);
    assert_eq!(offered("taut completions z"), ["zsh"]);
    let elsewhere = lab.root.join("run/other.sock");
    assert_eq!(offered(&format!("taut -S {} attach ", elsewhere.display())), [""; 0]);
}

#[test]
fn scripts_are_accepted_by_their_shells() {
    let lab = Lab::new();
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        if !is_there(shell) {
            println!("skipped: there is no {shell}");
            continue;
        }
        let script = lab.root.join(shell);
        fs::write(&script, lab.ok(&["completions", shell])).unwrap();
        let done = Done::new(Command::new(shell).arg(check).arg(&script).output().unwrap());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{shell}");
    }
    assert_eq!(lab.taut(&["completions", "tcsh"]).code, 2);
}

#[test]
fn manual_pages_are_written_and_formatted_without_a_warning() {
    let lab = Lab::new();
    let directory = lab.root.join("man/man1");
    lab.ok(&["man", "--all", directory.to_str().unwrap()]);
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    assert_eq!(lab.ok(&["man"]), read("taut.1"));
    assert_eq!(lab.ok(&["man", "debug", "frames"]), read("taut-debug-frames.1"));
    assert_eq!(lab.taut(&["man", "nonsense"]).code, 2);
    let help = lab.ok(&["help"]);
    let commands = help.split("Commands:\n").nth(1).unwrap().lines();
    let commands: Vec<_> = commands.take_while(|line| !line.is_empty()).collect();
    assert!(commands.len() > 20, "{help}");
    for name in commands.iter().map(|line| line.split_whitespace().next().unwrap()) {
        if name != "help" {
            let page = read(&format!("taut-{name}.1"));
            for heading in ["NAME", "SYNOPSIS", "EXAMPLES"] {
                assert!(page.contains(&format!(".SH {heading}\n")), "{name}: {heading}");
            }
        }
    }
    for page in fs::read_dir(&directory).unwrap() {
        let page = page.unwrap().path();
        if is_there("man") {
            let mut man = Command::new("man");
            man.args(["--warnings", "-l"])
                .arg(&page)
                .env("LC_ALL", "C.UTF-8")
                .env("MANWIDTH", "80");
            let done = Done::new(man.stdin(Stdio::null()).output().unwrap());
            assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", page.display());
            let shown = done.stdout;
            assert!(shown.contains("SYNOPSIS") && shown.contains("EXAMPLES"), "{shown}");
        } else {
            println!("skipped: there is no man");
        }
        if is_there("mandoc") {
            let mut lint = Command::new("mandoc");
            lint.args(["-T", "lint", "-W", "error"]).arg(&page);
            let done = Done::new(lint.output().unwrap());
            assert_eq!(done.code, 0, "{}: {}", page.display(), done.stdout);
        }
    }
}
