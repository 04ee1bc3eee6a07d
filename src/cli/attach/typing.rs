//! From the terminal to the session.

use std::{future::Future, pin::Pin, time::Instant};

use super::{
    super::{
        keys::{DetachKeys, KeyScanner, Scan},
        terminal::Tty,
    },
    Leave, Stage,
};
use crate::{Input, SendError};

/// What one read of the terminal brings at most.
const READ: usize = 16 * 1024;

/// Typed ahead of what the child reads, here, beyond the window the engine grants: so that the
/// detach keys are seen behind a paste that nobody reads. Beyond it the terminal is not read.
const BACKLOG_MAX: usize = 1024 * 1024;

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
        self.scanner.deadline().into_iter().chain(replies).min()
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
        let mut sent = 0;
        if self.sending.is_none() {
            match input.try_send(&self.passed) {
                Ok(count) => sent = count,
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
        if outcome.is_err() {
            // As above; what waits behind it was meant for the same child.
            self.backlog.clear();
        }
        self.send_backlog();
        Scan::Go
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
