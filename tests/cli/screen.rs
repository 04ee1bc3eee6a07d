//! A terminal that a test looks at and types on, as an emulator does: a real PTY.

use std::{
    io::{Read, Write},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtyPair, PtySize, native_pty_system};

use crate::lab::{LIMIT, Lab};

/// The screen's first size.
pub(crate) const SIZE: PtySize = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };

type Writer = Arc<Mutex<Box<dyn Write + Send>>>;

/// A program on a terminal of the test's own.
pub(crate) struct Screen {
    pub(crate) terminal: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    writer: Writer,
    shown: Arc<Shown>,
    /// How far the test has looked.
    looked: usize,
}

#[derive(Default)]
struct Shown {
    bytes: Mutex<Vec<u8>>,
    more: Condvar,
}

/// What a terminal answers, and to which question.
const ANSWERS: [(&[u8], &[u8]); 3] =
    [(b"\x1b[6n", b"\x1b[7;9R"), (b"\x1b[c", b"\x1b[?62;22c"), (b"\x1b[5n", b"\x1b[0n")];

/// A program on a terminal that nobody looks at yet, so that it stops when that is full.
pub(crate) struct Unread {
    pair: PtyPair,
    child: Box<dyn Child + Send + Sync>,
}

impl Unread {
    fn start(command: CommandBuilder) -> Self {
        let pair = native_pty_system().openpty(SIZE).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        Self { pair, child }
    }

    /// Runs `taut` with these arguments.
    pub(crate) fn taut(lab: &Lab, arguments: &[&str]) -> Self {
        Self::start(taut(lab, arguments, &[]))
    }
}

fn taut(lab: &Lab, arguments: &[&str], variables: &[(&str, &str)]) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_taut"));
    command.args(arguments);
    command.env_clear();
    for (name, value) in lab.env() {
        command.env(name, value);
    }
    variables.iter().for_each(|(name, value)| command.env(name, value));
    command.cwd(&lab.root);
    command
}

impl Screen {
    /// Runs `taut` with these arguments.
    pub(crate) fn taut(lab: &Lab, arguments: &[&str]) -> Self {
        Self::taut_with(lab, arguments, &[])
    }

    /// Runs `taut` with these arguments and variables.
    pub(crate) fn taut_with(lab: &Lab, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::over(Unread::start(taut(lab, arguments, variables)))
    }

    /// Looks at a terminal from now on.
    pub(crate) fn over(unread: Unread) -> Self {
        let Unread { pair, child } = unread;
        drop(pair.slave);
        let shown = Arc::new(Shown::default());
        let writer = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let reader = pair.master.try_clone_reader().unwrap();
        let (seen, answers) = (Arc::clone(&shown), Arc::clone(&writer));
        thread::spawn(move || show(reader, &seen, &answers));
        Self { terminal: pair.master, child, writer, shown, looked: 0 }
    }

    pub(crate) fn type_bytes(&self, bytes: &[u8]) {
        let mut writer = self.writer.lock().unwrap();
        writer.write_all(bytes).unwrap();
        writer.flush().unwrap();
    }

    /// Waits until this was shown, after what was waited for before.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        let needle = text.as_bytes();
        let mut bytes = self.shown.bytes.lock().unwrap();
        let mut searched = self.looked;
        loop {
            let unseen = &bytes[searched..];
            if let Some(at) = unseen.windows(needle.len()).position(|part| part == needle) {
                self.looked = searched + at + needle.len();
                return;
            }
            // The needle may have begun at the very end.
            searched = bytes.len().saturating_sub(needle.len()).max(self.looked);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let end = &bytes[bytes.len().saturating_sub(4_000).max(self.looked)..];
                panic!("{text:?} was not shown, but:\n{:?}", String::from_utf8_lossy(end));
            }
            bytes = self.shown.more.wait_timeout(bytes, left).unwrap().0;
        }
    }

    /// Everything shown so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.bytes.lock().unwrap()).into_owned()
    }

    /// Waits for the program's end; returns its exit code.
    pub(crate) fn wait(&mut self) -> u32 {
        self.child.wait().unwrap().exit_code()
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        let raw = self.child.process_id().unwrap();
        rustix::process::Pid::from_raw(raw.try_into().unwrap()).unwrap()
    }

    /// Whether the terminal is as a terminal is at first: lines, echo, signals.
    pub(crate) fn is_cooked(&self) -> bool {
        let modes = format!("{:?}", self.terminal.get_termios().unwrap().local_flags);
        ["ICANON", "ECHO", "ISIG"].iter().all(|mode| modes.contains(mode))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows what is printed, and answers what is asked.
fn show(mut reader: Box<dyn Read + Send>, shown: &Shown, answers: &Writer) {
    let mut buffer = [0; 4096];
    let mut asked = 0;
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        let mut bytes = shown.bytes.lock().unwrap();
        bytes.extend_from_slice(&buffer[..count]);
        let mut replies = Vec::new();
        while let Some((end, answer)) = next_question(&bytes, asked) {
            asked = end;
            replies.extend_from_slice(answer);
        }
        drop(bytes);
        shown.more.notify_all();
        if !replies.is_empty() {
            let _ = answers.lock().unwrap().write_all(&replies);
        }
    }
    shown.more.notify_all();
}

/// Where the first question from `from` on ends, and what is answered.
fn next_question(bytes: &[u8], from: usize) -> Option<(usize, &'static [u8])> {
    let rest = &bytes[from..];
    let found = ANSWERS.iter().filter_map(|(question, answer)| {
        let at = rest.windows(question.len()).position(|part| part == *question)?;
        Some((from + at + question.len(), *answer))
    });
    found.min_by_key(|(end, _)| *end)
}
