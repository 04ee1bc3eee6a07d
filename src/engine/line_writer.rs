//! Writes input to a terminal, and nothing of a line that the terminal would throw away.

use std::io;

use crate::{
    pty::{Controller, LINE_MAX},
    state::{LineGauge, LineRules},
};

/// One child's terminal, and how long the line is that it puts together.
pub(super) struct LineWriter {
    controller: Controller,
    gauge: LineGauge,
    /// A full line is handed over to the child as it is, and goes on: nobody edits it.
    hands_over: bool,
    /// The terminal is gone: nothing is ever written again.
    is_broken: bool,
}

/// Why no more was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WriteEnd {
    /// All was.
    Done,
    /// The child does not read.
    Blocked,
    /// The terminal would throw away the next byte.
    LineFull,
    /// The terminal is gone.
    Broken,
}

impl LineWriter {
    pub(super) fn new(controller: Controller, hands_over: bool) -> Self {
        let gauge = LineGauge::new(LINE_MAX);
        Self { controller, gauge, hands_over, is_broken: false }
    }

    pub(super) const fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Waiting for the terminal failed: it is gone.
    pub(super) const fn handle_gone(&mut self) {
        self.is_broken = true;
    }

    /// Writes until the terminal takes no more; returns how much it took. A short write is
    /// finished, never begun again.
    pub(super) fn write(&mut self, bytes: &[u8]) -> (usize, WriteEnd) {
        let mut written = 0;
        while written < bytes.len() {
            let rest = &bytes[written..];
            let rules = self.look(rest.len());
            let fitting = self.gauge.judge(rest, rules);
            let outcome = match (fitting, rules) {
                (0, Some(rules)) => self.hand_over(rules).map(|()| 0),
                _ => self.write_some(&rest[..fitting]),
            };
            match outcome {
                Ok(count) => written += count,
                Err(end) => return (written, end),
            }
        }
        (written, WriteEnd::Done)
    }

    /// The terminal's modes, if they matter for so many more bytes.
    fn look(&self, count: usize) -> Option<LineRules> {
        if !self.hands_over && !self.gauge.needs_look(count) {
            return None;
        }
        // One that is gone has no lines, and the write says so.
        Some(self.controller.line_rules().unwrap_or_default())
    }

    /// Ends a full line without ending it for the child: its read returns, the next goes on.
    fn hand_over(&mut self, rules: LineRules) -> Result<(), WriteEnd> {
        // On an empty line it would be the end of input.
        let is_allowed = self.hands_over && self.gauge.is_line_sure();
        let Some(end) = rules.end_of_file.filter(|_| is_allowed) else {
            return Err(WriteEnd::LineFull);
        };
        self.gauge.judge(&[end], Some(rules));
        self.write_some(&[end])?;
        // The same byte may be set to mean something else, and does that first.
        if self.gauge.line().is_empty() { Ok(()) } else { Err(WriteEnd::LineFull) }
    }

    fn write_some(&mut self, bytes: &[u8]) -> Result<usize, WriteEnd> {
        if self.is_broken {
            return Err(WriteEnd::Broken);
        }
        match self.controller.try_write(bytes) {
            Ok(count) => {
                self.gauge.handle_written(&bytes[..count]);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(WriteEnd::Blocked),
            Err(_) => {
                self.is_broken = true;
                Err(WriteEnd::Broken)
            }
        }
    }
}
