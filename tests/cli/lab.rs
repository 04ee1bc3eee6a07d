//! A place of its own for each test: directories, socket, daemon; all gone when it is dropped.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test gives up: much longer than it does.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

static LABS: AtomicU32 = AtomicU32::new(0);

/// Directories, a socket, and whatever daemon serves there.
pub(crate) struct Lab {
    pub(crate) root: PathBuf,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let name = format!("taut-cli-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for directory in ["run", "state", "home"] {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(root.join(directory)).unwrap();
        }
        Self { root }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("run/t.sock")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.root.join("state/taut/t.log")).unwrap_or_default()
    }

    /// The environment of every process here, and nothing of ours.
    pub(crate) fn env(&self) -> Vec<(&'static str, PathBuf)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        vec![
            ("PATH", path.into()),
            ("HOME", self.root.join("home")),
            ("XDG_RUNTIME_DIR", self.root.join("run")),
            ("XDG_STATE_HOME", self.root.join("state")),
            ("TAUT_SOCKET", self.socket()),
            ("SHELL", "/bin/sh".into()),
            ("TERM", "xterm-256color".into()),
            ("PS1", "$ ".into()),
        ]
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taut"));
        command.args(arguments).env_clear().envs(self.env()).stdin(Stdio::null());
        command.current_dir(&self.root);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn taut(&self, arguments: &[&str]) -> Done {
        Done::new(self.command(arguments).output().unwrap())
    }

    /// Runs a command that has to succeed; returns what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let done = self.taut(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
        done.stdout
    }

    /// Runs a command that prints JSON.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// Runs the command again until what it prints is as wanted.
    #[track_caller]
    pub(crate) fn until(&self, arguments: &[&str], is_done: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let printed = self.taut(arguments).stdout;
            if is_done(&printed) {
                return printed;
            }
            assert!(Instant::now() < deadline, "{arguments:?} still prints:\n{printed}");
        }
    }

    /// Process ids of all daemons that were started by clients here.
    pub(crate) fn daemons(&self) -> Vec<Pid> {
        let log = self.log();
        let pids = log.lines().filter(|line| line.contains("serving")).filter_map(|line| {
            let (_, rest) = line.split_once("pid=")?;
            let raw = rest.split_whitespace().next()?.parse().ok()?;
            Pid::from_raw(raw)
        });
        pids.collect()
    }

    /// Kills the daemon started last, and does not wait until it is gone.
    pub(crate) fn kill_daemon(&self) {
        self.signal_daemon(Signal::KILL);
    }

    /// Signals the daemon started last.
    pub(crate) fn signal_daemon(&self, signal: Signal) {
        let daemon = *self.daemons().last().unwrap();
        assert!(self.is_ours(daemon), "it is still there");
        kill_process(daemon, signal).unwrap();
    }

    /// Whether the process is still a daemon of this lab, and no stranger with its number.
    fn is_ours(&self, pid: Pid) -> bool {
        let command_line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
        let socket = self.socket();
        let socket = socket.as_os_str().as_encoded_bytes();
        command_line.is_ok_and(|line| line.windows(socket.len()).any(|part| part == socket))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for pid in self.daemons() {
            if self.is_ours(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// What a command came to.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// Whether nothing is at the path.
pub(crate) fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err()
}
