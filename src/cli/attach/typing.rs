//! From the terminal to the session.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use super::{
    super::{
        keys::{DetachKeys, KeyScanner, Scan},
        terminal::Tty,
    },
    Leave, Stage,
};
use crate::{Input, SendError, protocol::ErrorCode};

/// What one read of the terminal brings at most.
const READ: usize = 16 * 1024;

/// Typed ahead of what the child reads, here, beyond the window the engine grants: so that the
/// detach keys are seen behind a paste that nobody reads. Beyond it the terminal is not read.
const BACKLOG_MAX: usize = 1024 * 1024;

/// Behind a line that was too long, what comes without such a pause belongs to the same paste, and
/// is not typed either: it would be the end of a line without its middle.
const PASTE_PAUSE: Duration = Duration::from_millis(50);

type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>>>>;

struct Typing<'a> {
    input: Option<&'a Input>,
    stage: &'a Stage,
    scanner: KeyScanner,
    backlog: Vec<u8>,
    sending: Option<Sending>,
    /// How much `sending` carries.
    sending_len: usize,
    /// What is to be sent now: kept, so that a keystroke allocates nothing.
    passed: Vec<u8>,
    /// A line was too long: until then, nothing is sent.
    dropping_until: Option<Instant>,
}

/// Sends what is typed until the detach keys come or the terminal is gone. Without an input, only
/// looks for the keys.
pub(super) async fn run(
    tty: &Tty,
    input: Option<&Input>,
    keys: DetachKeys,
    stage: &Stage,
) -> Leave {
    let mut typing = Typing {
        input,
        stage,
        scanner: KeyScanner::new(keys),
        backlog: Vec::new(),
        sending: None,
        sending_len: 0,
        passed: Vec::new(),
        dropping_until: None,
    };
    let mut buffer = vec![0; READ];
    loop {
        let deadline = typing.deadline();
        let has_room = typing.backlog.len() < BACKLOG_MAX;
        let scan = tokio::select! {
            biased;
            read = tty.read(&mut buffer), if has_room => match read {
                Ok(count @ 1..) => typing.take(&buffer[..count]),
                Ok(0) | Err(_) => return Leave::TerminalGone,
            },
            outcome = sent(&mut typing.sending) => typing.handle_sent(outcome),
            () = line_too_long(input) => {
                typing.handle_line_too_long();
                Scan::Go
            }
            () = until(deadline) => typing.handle_timeout(),
        };
        if scan == Scan::Detach {
            return Leave::Left;
        }
    }
}

impl Typing<'_> {
    fn deadline(&self) -> Option<Instant> {
        let filter = self.stage.filter.borrow();
        let replies = filter.as_ref().and_then(|filter| filter.deadline());
        let deadlines = self.scanner.deadline().into_iter().chain(replies);
        deadlines.chain(self.dropping_until).min()
    }

    fn take(&mut self, typed: &[u8]) -> Scan {
        let mut filter = self.stage.filter.borrow_mut();
        let scan = match filter.as_mut().filter(|filter| !filter.is_over()) {
            None => self.scanner.push(typed, Instant::now(), &mut self.passed),
            Some(filter) => {
                let mut kept = Vec::with_capacity(typed.len());
                filter.push(typed, &mut kept);
                self.scanner.push(&kept, Instant::now(), &mut self.passed)
            }
        };
        drop(filter);
        self.send_passed();
        scan
    }

    fn handle_timeout(&mut self) -> Scan {
        let now = Instant::now();
        if self.dropping_until.take_if(|until| *until <= now).is_some() {
            self.stage.line_dropped.notify_one();
        }
        let mut held = Vec::new();
        if let Some(filter) = self.stage.filter.borrow_mut().as_mut() {
            filter.handle_timeout(now, &mut held);
        }
        let mut scan = self.scanner.push(&held, now, &mut self.passed);
        if scan == Scan::Go {
            scan = self.scanner.handle_timeout(now, &mut self.passed);
        }
        self.send_passed();
        scan
    }

    /// Sends what was passed on: at once if nothing waits, else behind it.
    fn send_passed(&mut self) {
        let Some(input) = self.input else {
            self.passed.clear();
            return;
        };
        if self.dropping_until.is_some() {
            if !self.passed.is_empty() {
                self.handle_line_too_long();
            }
            return;
        }
        let mut sent = 0;
        if self.sending.is_none() {
            match input.try_send(&self.passed) {
                Ok(count) => sent = count,
                Err(error) if is_line_too_long(&error) => {
                    self.handle_line_too_long();
                    return;
                }
                // The child ended or the connection did: an event says so.
                Err(_) => sent = self.passed.len(),
            }
        }
        self.backlog.extend_from_slice(&self.passed[sent..]);
        self.passed.clear();
        self.send_backlog();
    }

    fn send_backlog(&mut self) {
        if let Some(input) = self.input
            && self.sending.is_none()
            && !self.backlog.is_empty()
        {
            let bytes = std::mem::take(&mut self.backlog);
            let input = input.clone();
            self.sending_len = bytes.len();
            self.sending = Some(Box::pin(async move { input.send(&bytes).await }));
        }
        self.stage.waiting.set(self.backlog.len() + self.sending_len);
    }

    fn handle_sent(&mut self, outcome: Result<(), SendError>) -> Scan {
        self.sending = None;
        self.sending_len = 0;
        match outcome {
            Err(error) if is_line_too_long(&error) => self.handle_line_too_long(),
            // As above; what waits behind it was meant for the same child.
            Err(_) => self.backlog.clear(),
            Ok(()) => {}
        }
        self.send_backlog();
        Scan::Go
    }

    /// Drops what belongs to a line that was too long. That is said once typing goes on.
    fn handle_line_too_long(&mut self) {
        self.passed.clear();
        self.backlog.clear();
        self.dropping_until = Some(Instant::now() + PASTE_PAUSE);
        self.send_backlog();
    }
}

fn is_line_too_long(error: &SendError) -> bool {
    matches!(error, SendError::Refused { info, .. } if info.code == ErrorCode::LineTooLong)
}

async fn line_too_long(input: Option<&Input>) {
    match input {
        Some(input) => drop(input.line_too_long().await),
        None => std::future::pending().await,
    }
}

async fn sent(sending: &mut Option<Sending>) -> Result<(), SendError> {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
