//! The configuration file: found, read, refused, shown; and the daemon that ends by itself.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::Stdio,
    thread,
};

use crate::{
    lab::{Lab, is_absent},
    screen::Screen,
};

/// Writes a configuration file that is named by nobody.
fn write(lab: &Lab, name: &str, text: &str) -> PathBuf {
    let path = lab.root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn source(lab: &Lab, arguments: &[&str], key: &str) -> (String, String) {
    let shown = lab.json(&[&["config", "show", "--json"], arguments].concat());
    let keys = shown["keys"].as_array().unwrap();
    let found = keys.iter().find(|it| it["key"] == key).unwrap();
    (found["value"].to_string(), found["source"].as_str().unwrap().to_owned())
}

#[test]
fn the_file_is_found_at_its_usual_place_and_its_daemon_heeds_it() {
    let lab = Lab::new();
    assert!(lab.ok(&["config", "show"]).starts_with("# there is no configuration file\n"));
    write(&lab, "home/.config/taut/config.toml", "clients_limit = 7\nlog_size = \"128k\"\n");
    assert_eq!(source(&lab, &[], "clients_limit"), ("7".into(), "file".into()));
    assert_eq!(source(&lab, &[], "sessions_limit").1, "default");
    assert_eq!(source(&lab, &[], "socket").1, "environment");
    lab.ok(&["new", "a", "--", "cat"]);
    let limits = &lab.json(&["stats", "--json"])["limits"];
    assert_eq!((&limits["clients_limit"], &limits["log_size"]), (&7.into(), &131_072.into()));
    // What is shown is a file itself.
    let shown = lab.ok(&["config", "show", "-v"]);
    assert!(
        shown.contains("\nclients_limit = 7                        # file, line 1\n"),
        "{shown}"
    );
    let again = write(&lab, "again.toml", &shown);
    let same = lab.json(&["config", "show", "--json", "--config", again.to_str().unwrap()]);
    assert_eq!(same["keys"][2]["value"], 7);
}

#[test]
fn a_file_that_is_named_goes_to_the_daemon_too() {
    let lab = Lab::new();
    write(&lab, "home/.config/taut/config.toml", "clients_limit = 7\n");
    write(&lab, "one.toml", "clients_limit = 8\n");
    write(&lab, "two.toml", "clients_limit = 9\n");
    let mut command = lab.command(&["new", "a", "--", "cat"]);
    assert!(command.env("TAUT_CONFIG", "one.toml").output().unwrap().status.success());
    assert_eq!(lab.json(&["stats", "--json"])["limits"]["clients_limit"], 8);
    lab.ok(&["shutdown", "--force"]);
    let mut command = lab.command(&["--config", "two.toml", "new", "a", "--", "cat"]);
    assert!(command.env("TAUT_CONFIG", "one.toml").output().unwrap().status.success());
    assert_eq!(lab.json(&["stats", "--json"])["limits"]["clients_limit"], 9);
    let missing = lab.taut(&["--config", "nowhere.toml", "ls"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    assert!(missing.stderr.contains("nowhere.toml: No such file"), "{}", missing.stderr);
    assert_eq!(lab.ok(&["--config", "/dev/null", "ls", "-q"]), "a\n");
}

#[test]
fn a_broken_file_is_refused_with_place_key_and_advice() {
    let lab = Lab::new();
    let path = write(&lab, "broken.toml", "\nclient_limit = 3\nlog_size = \"many\"\n");
    let path = path.to_str().unwrap();
    for arguments in [&["--config", path, "new"][..], &["--config", path, "ls"]] {
        let done = lab.taut(arguments);
        assert_eq!(done.code, 2, "{}", done.stderr);
        let expected = format!(
            "{path}:2: there is no key \"client_limit\"; did you mean clients_limit? (and 1 more)\n"
        );
        assert!(done.stderr.contains(&expected), "{}", done.stderr);
    }
    assert!(lab.daemons().is_empty());
    let json = lab.taut(&["--json", "--config", path, "ls"]);
    let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"]["code"], "config");
    let checked = lab.taut(&["config", "check", path]);
    assert_eq!(checked.code, 2);
    assert_eq!(checked.stdout.lines().count(), 2, "{}", checked.stdout);
    assert!(checked.stdout.contains(":3: log_size takes a size, 64k to 1g; it is \"many\""));
    assert_eq!(lab.taut(&["--config", path, "config", "check"]).code, 2);
    assert_eq!(lab.taut(&["config", "check"]).code, 0);
    for arguments in [&["--config", path, "man"][..], &["--config", path, "completions", "bash"]] {
        assert_eq!(lab.taut(arguments).code, 0, "what heeds no configuration works all the same");
    }
}

#[test]
fn a_daemon_with_a_broken_file_says_so_to_who_started_it() {
    let lab = Lab::new();
    let path = write(&lab, "broken.toml", "sessions_limit = 0\n");
    // This is how a client starts it; its standard output is the pipe.
    let done = lab.taut(&["--config", path.to_str().unwrap(), "serve", "--background"]);
    assert_eq!(done.code, 2);
    let expected = format!(
        "failed config {}:1: sessions_limit takes a number, 1 to 4000; it is 0\n",
        path.display()
    );
    assert_eq!(done.stdout, expected);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let lab = Lab::new();
    let elsewhere = lab.root.join("run/elsewhere.sock");
    let text = format!(
        "socket = \"{}\"\ndetach_keys = \"ctrl-a\"\nupdate_environment = [\"SEAT\"]\n",
        elsewhere.display()
    );
    write(&lab, "home/.config/taut/config.toml", &text);
    let script = "echo at=$SEAT=$SSH_AUTH_SOCK=; exec cat";
    let mut command = lab.command(&["new", "a", "--", "sh", "-c", script]);
    assert!(command.env_remove("TAUT_SOCKET").output().unwrap().status.success());
    assert!(!is_absent(&elsewhere) && is_absent(&lab.socket()), "the file's socket");
    let socket = elsewhere.to_str().unwrap();
    assert_eq!(lab.taut(&["ls"]).code, 3, "TAUT_SOCKET wins");
    assert_eq!(lab.ok(&["-S", socket, "ls", "-q"]), "a\n");
    assert_eq!(source(&lab, &["-S", socket], "socket").1, "command_line");
    let seat = [("SEAT", "7"), ("SSH_AUTH_SOCK", "/agent")];
    let mut screen = Screen::taut_with(&lab, &["-S", socket, "attach", "a"], &seat);
    screen.wait_for("at===");
    screen.type_bytes(b"\x01");
    assert_eq!(screen.wait(), 0, "the file's keys");
    let mut screen = Screen::taut(&lab, &["-S", socket, "attach", "a", "--detach-keys", "ctrl-b"]);
    screen.wait_for("at===");
    screen.type_bytes(b"\x02");
    assert_eq!(screen.wait(), 0, "the command line's");
    lab.ok(&["-S", socket, "restart", "a"]);
    lab.until(&["-S", socket, "logs", "a"], |log| log.contains("at=7==\n"));
    lab.ok(&["-S", socket, "shutdown", "--force"]);
}

#[test]
fn a_daemon_nobody_uses_ends_by_itself() {
    let lab = Lab::new();
    let mut command = lab.command(&["serve", "-v", "--idle-exit", "50ms"]);
    let mut served = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = String::new();
    served.stderr.as_mut().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(served.wait().unwrap().code(), Some(0));
    assert!(log.contains("INFO  ending: nobody uses it idle_ms=50\n"), "{log}");
    assert!(log.ends_with("ended\n"), "{log}");
    assert!(is_absent(&lab.socket()));
    assert_eq!(lab.taut(&["serve", "--idle-exit", "1ms"]).code, 2);
}

#[test]
fn a_program_that_runs_keeps_the_daemon_and_one_that_ended_does_not() {
    let lab = Lab::new();
    let config = write(&lab, "short.toml", "idle_exit = \"500ms\"\n");
    let config = config.to_str().unwrap();
    let mut command = lab.command(&["--config", config, "serve", "-v"]);
    let mut served = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(served.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.starts_with("serving at ")));
    // It runs for longer than the daemon would without it, and is kept when it has ended.
    let script = "sleep 1; echo done > done";
    lab.ok(&["--daemon", "require", "new", "a", "--", "sh", "-c", script]);
    let rest: Vec<_> = log.collect();
    assert_eq!(served.wait().unwrap().code(), Some(0));
    assert!(rest.iter().any(|line| line.contains("ending: nobody uses it")), "{rest:?}");
    assert_eq!(fs::read_to_string(lab.root.join("done")).unwrap(), "done\n");
}

#[test]
fn whoever_comes_while_daemons_end_is_served_or_finds_none() {
    let lab = Lab::new();
    write(&lab, "home/.config/taut/config.toml", "idle_exit = \"20ms\"\n");
    thread::scope(|scope| {
        for number in 0..2 {
            let lab = &lab;
            scope.spawn(move || {
                for round in 0..15 {
                    let text = format!("{number}-{round}");
                    let done = lab.taut(&["run", "--", "echo", &text]);
                    let printed = (done.code, done.stdout.trim_end());
                    assert_eq!(printed, (0, text.as_str()), "{}", done.stderr);
                }
            });
        }
        for _ in 0..60 {
            let done = lab.taut(&["ls"]);
            let reasons = ["no daemon is running", "is gone"];
            let is_none = done.code == 3 && reasons.iter().any(|it| done.stderr.contains(it));
            assert!(done.code == 0 || is_none, "{} {}", done.code, done.stderr);
        }
    });
}
