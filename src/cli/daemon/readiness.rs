//! One line from a daemon that was just started to whoever started it: ready, or why not.
//!
//! The daemon's standard output is a pipe until the line is written, and `/dev/null` from then on.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec};

/// The line that says all is well.
const READY: &str = "ready";

/// What the other line begins with; a code and the reason follow.
const FAILED: &str = "failed ";

/// Longest line that is read.
const LINE_MAX: u64 = 8192;

/// The daemon's end.
#[derive(Debug)]
pub(crate) struct Readiness;

impl Readiness {
    /// Says that clients are served from now on.
    pub(crate) fn ready(self) {
        say(READY);
    }

    /// Says why nobody will be.
    pub(crate) fn failed(self, code: &str, why: &str) {
        say(&format!("{FAILED}{code} {}", why.replace('\n', " ")));
    }
}

fn say(line: &str) {
    // Whoever started us may be gone; the daemon is as good without it.
    let _ = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

/// Why a daemon is not ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct NotReady {
    /// For programs.
    pub(super) code: String,
    /// In words.
    pub(super) why: String,
}

impl From<String> for NotReady {
    fn from(why: String) -> Self {
        Self { code: "daemon_start".into(), why }
    }
}

/// Waits for the line on the starter's end.
///
/// # Errors
///
/// What the daemon said, or that it said nothing.
pub(super) fn wait(pipe: &mut (impl Read + AsFd), limit: Duration) -> Result<(), NotReady> {
    let line = read_line(pipe, limit)?;
    let line = line.trim_end();
    match line.strip_prefix(FAILED).map(|said| said.split_once(' ').unwrap_or(("", said))) {
        Some((code, why)) => Err(NotReady { code: code.into(), why: why.into() }),
        None if line == READY => Ok(()),
        None => Err(String::from("it said something else than it should").into()),
    }
}

fn read_line(pipe: &mut (impl Read + AsFd), limit: Duration) -> Result<String, String> {
    let deadline = Instant::now() + limit;
    let mut line = Vec::new();
    while !line.contains(&b'\n') {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or_default();
        let mut polled = [PollFd::new(pipe, PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Err(format!("it said nothing within {} s", limit.as_secs())),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(format!("wait for it: {error}")),
        }
        let mut bytes = [0; 512];
        match pipe.read(&mut bytes) {
            Ok(0) => return Err("it ended before it was ready".into()),
            Ok(count) if (line.len() as u64) < LINE_MAX => line.extend_from_slice(&bytes[..count]),
            Ok(_) => return Err("it said too much".into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("read its answer: {error}")),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(said: &[u8]) -> Result<(), NotReady> {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(said).unwrap();
        drop(writer);
        wait(&mut reader, Duration::from_secs(5))
    }

    #[test]
    fn the_line_is_read_whatever_it_says() {
        assert_eq!(answer(b"ready\n"), Ok(()));
        let refused = NotReady { code: "full".into(), why: "no room".into() };
        assert_eq!(answer(b"failed full no room\n"), Err(refused));
        assert_eq!(answer(b"").unwrap_err().why, "it ended before it was ready");
        assert_eq!(answer(b"rea").unwrap_err().why, "it ended before it was ready");
        assert!(answer(b"hello\n").is_err());
    }

    #[test]
    fn silence_ends() {
        let (mut reader, _writer) = io::pipe().unwrap();
        let waited = wait(&mut reader, Duration::ZERO).unwrap_err();
        assert_eq!(waited.why, "it said nothing within 0 s");
    }
}
