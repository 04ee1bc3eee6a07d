//! The daemon: started once, refused twice, ended in order, and replaced when it was killed.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Child, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Done, Lab, is_absent};

/// Starts `taut serve` and waits until it says that it serves.
fn serve(lab: &Lab) -> Child {
    let mut command = lab.command(&["serve"]);
    let mut served = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(served.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("serving at "), "{line}");
    served
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn twenty_clients_that_start_together_make_one_daemon() {
    let lab = Lab::new();
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..20).map(|_| scope.spawn(|| lab.taut(&["new", "--", "cat"]))).collect();
        for client in clients {
            let done = client.join().unwrap();
            assert_eq!(done.code, 0, "{}", done.stderr);
        }
    });
    assert_eq!(lab.daemons().len(), 1, "{}", lab.log());
    assert_eq!(lab.ok(&["ls", "-q"]).lines().count(), 20);
}

#[test]
fn a_daemon_started_by_a_client_has_nothing_of_that_client() {
    let lab = Lab::new();
    let mut command = lab.command(&["new", "a", "--", "cat"]);
    assert!(command.env("SECRET", "x").env("LC_ALL", "C").output().unwrap().status.success());
    let daemon = lab.daemons()[0].as_raw_nonzero();
    let read = |what: &str| fs::read(format!("/proc/{daemon}/{what}")).unwrap();
    let link = |what: &str| fs::read_link(format!("/proc/{daemon}/{what}")).unwrap();
    let environment = String::from_utf8(read("environ")).unwrap();
    assert!(environment.contains("LC_ALL=C\0") && environment.contains("HOME="));
    assert!(!environment.contains("SECRET") && !environment.contains("PS1"));
    assert_eq!(link("cwd").to_str(), Some("/"));
    for descriptor in 0..3 {
        assert_eq!(link(&format!("fd/{descriptor}")).to_str(), Some("/dev/null"));
    }
    let status = String::from_utf8(read("status")).unwrap();
    assert!(status.contains("Umask:\t0077\n"), "{status}");
    assert!(status.contains("PPid:\t1\n") || !status.contains("PPid:\t0\n"), "{status}");
    assert_eq!(read("comm"), b"taut\n");
    let stat = String::from_utf8(read("stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let (session, terminal) = (fields[3], fields[4]);
    assert_ne!(session, daemon.to_string(), "it leads no session, and can get no terminal");
    assert_eq!(terminal, "0");
    let log = lab.root.join("state/taut/t.log");
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn children_get_the_limits_and_the_umask_of_who_started_the_daemon() {
    let lab = Lab::new();
    let mut command = std::process::Command::new("/bin/sh");
    let script = "umask 027; ulimit -Sn 77; exec \"$0\" new a -- sh -c 'umask; ulimit -Sn'";
    command.args(["-c", script, env!("CARGO_BIN_EXE_taut")]).env_clear().envs(lab.env());
    assert!(command.output().unwrap().status.success());
    lab.until(&["logs", "a"], |log| log == "0027\n77\n");
}

#[test]
fn a_second_daemon_at_the_same_socket_is_refused_clearly() {
    let lab = Lab::new();
    let mut first = serve(&lab);
    let second = lab.taut(&["serve"]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("taut: serve: a daemon is already running at"));
    assert!(second.stderr.contains("hint: "), "{}", second.stderr);
    assert_eq!(lab.ok(&["new", "a", "--", "cat"]), "a\n", "the first one is as it was");
    signal(&first, Signal::TERM);
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert!(is_absent(&lab.socket()));
}

#[test]
fn a_daemon_that_was_killed_is_replaced() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "cat"]);
    lab.kill_daemon();
    assert_eq!(lab.taut(&["ls"]).code, 3);
    assert_eq!(lab.ok(&["new", "b", "--", "cat"]), "b\n");
    assert_eq!(lab.ok(&["ls", "-q"]), "b\n");
    assert_eq!(lab.daemons().len(), 2);
}

#[test]
fn a_daemon_is_replaced_while_it_is_still_going() {
    let lab = Lab::new();
    let mut served = serve(&lab);
    let stubborn = "trap '' HUP; echo ready; while :; do sleep 1; done";
    lab.ok(&["new", "a", "--", "sh", "-c", stubborn]);
    lab.until(&["logs", "a"], |log| log.contains("ready"));
    signal(&served, Signal::TERM);
    let mut line = String::new();
    BufReader::new(served.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("draining"), "{line}");
    assert_eq!(lab.ok(&["new", "b", "--", "cat"]), "b\n");
    assert_eq!(lab.ok(&["ls", "-q"]), "b\n");
    assert_eq!(served.wait().unwrap().code(), Some(0));
    for round in 0..5 {
        lab.kill_daemon();
        let name = format!("killed-{round}");
        assert_eq!(lab.ok(&["new", &name, "--", "cat"]).trim_end(), name);
    }
}

#[test]
fn a_daemon_whose_runtime_directory_is_swept_is_found_again() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "cat"]);
    let run = lab.root.join("run");
    let sweep = || {
        while run.exists() {
            fs::remove_dir_all(&run).ok();
        }
    };
    sweep();
    lab.until(&["ls", "-q"], |names| names == "a\n");
    // Who may start a daemon waits for the one that runs.
    sweep();
    assert_eq!(lab.ok(&["new", "b", "--", "cat"]), "b\n");
    assert_eq!(lab.ok(&["ls", "-q"]), "a\nb\n");
    assert_eq!(lab.daemons().len(), 1, "{}", lab.log());
    lab.ok(&["shutdown", "--force"]);
    assert!(is_absent(&lab.socket()));
}

#[test]
fn shutdown_ends_the_daemon_before_it_returns() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "cat"]);
    let refused = lab.taut(&["shutdown"]);
    assert_eq!(refused.code, 5);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    lab.ok(&["shutdown", "--force"]);
    assert!(is_absent(&lab.socket()));
    assert_eq!(lab.taut(&["ls"]).code, 3);
    assert_eq!(lab.taut(&["shutdown"]).code, 3);
    lab.ok(&["new", "b", "--", "cat"]);
    lab.ok(&["kill-server", "--force"]);
}

#[test]
fn a_second_signal_ends_a_daemon_at_once() {
    let lab = Lab::new();
    let mut served = serve(&lab);
    let stubborn = "trap '' HUP; echo ready; while :; do sleep 1; done";
    lab.ok(&["new", "a", "--", "sh", "-c", stubborn]);
    lab.until(&["logs", "a"], |log| log.contains("ready"));
    signal(&served, Signal::INT);
    let mut line = String::new();
    BufReader::new(served.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("draining"), "{line}");
    signal(&served, Signal::INT);
    let code = served.wait().unwrap().code();
    // It may have been done draining already.
    assert!(matches!(code, Some(130 | 0)), "{code:?}");
}

#[test]
fn why_a_daemon_did_not_start_is_told_to_who_started_it() {
    let lab = Lab::new();
    fs::write(lab.socket(), "somebody's file").unwrap();
    let done = lab.taut(&["new"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("not a socket of yours"), "{}", done.stderr);
    assert_eq!(fs::read(lab.socket()).unwrap(), b"somebody's file");
    fs::remove_file(lab.socket()).unwrap();
    fs::set_permissions(lab.root.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    let done = lab.taut(&["new"]);
    assert!(done.stderr.contains("chmod 700"), "{}", done.stderr);
}

#[test]
fn a_named_daemon_lives_beside_the_default_one() {
    let lab = Lab::new();
    let run = |arguments: &[&str]| {
        let mut command = lab.command(arguments);
        Done::new(command.env_remove("TAUT_SOCKET").output().unwrap())
    };
    assert_eq!(run(&["-L", "work", "new", "a", "--", "cat"]).code, 0);
    assert!(!is_absent(&lab.root.join("run/taut/work.sock")));
    assert_eq!(run(&["ls"]).code, 3);
    assert_eq!(run(&["-L", "work", "ls", "-q"]).stdout, "a\n");
    assert_eq!(run(&["-L", "work", "shutdown", "--force"]).code, 0);
    assert_eq!(run(&["-L", "../work", "ls"]).code, 2);
}

#[test]
fn versions_are_told_with_and_without_a_daemon() {
    let lab = Lab::new();
    assert!(lab.ok(&["version"]).contains("daemon    none is running"));
    lab.ok(&["new", "a", "--", "cat"]);
    let versions = lab.json(&["version", "--json"]);
    assert_eq!(versions["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(versions["daemon"]["protocol_max"], versions["protocol"]);
}
