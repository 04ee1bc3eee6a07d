//! The life of a session's children: start, exit, the last bytes in between.

use std::time::Instant;

use tautline_protocol::{DetachReason, SessionState};

use super::{Away, ClientId, Cursor, EXIT_GRACE, Exit, Session, TURNS_MAX, input::Ledger};

/// The end of one child and, if there was one, the start of the next.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) epoch: u64,
    pub(super) offset: u64,
    pub(super) exit: Exit,
    pub(super) next: Option<Start>,
    /// How much of each client's input was written, once the next child has begun to count anew.
    pub(super) applied: Vec<(ClientId, u64)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) epoch: u64,
    pub(super) pid: u32,
}

impl Turn {
    /// How much of a client's input was written, if the next child has begun to count anew.
    pub(super) fn applied_by(&self, client: ClientId) -> u64 {
        let mark = self.applied.iter().find(|(known, _)| *known == client);
        mark.map_or(0, |(_, applied)| *applied)
    }
}

impl<H> Session<H> {
    /// A child was started, the first or the next.
    ///
    /// Input offsets begin at 0 again, for everybody.
    ///
    /// # Panics
    ///
    /// If a child runs already.
    pub fn handle_started(&mut self, epoch: u64, pid: u32, now: Instant) {
        assert!(!self.is_live(), "one child at a time");
        if let Some(turn) = self.turns.back_mut() {
            turn.next = Some(Start { epoch, pid });
            let typists = self.ledgers.iter().filter(|ledger| ledger.marks.applied() > 0);
            let marks = typists.map(|ledger| (ledger.client, ledger.marks.applied()));
            turn.applied = marks.collect();
        }
        self.state = SessionState::Running;
        self.restarts.handle_started(now);
        self.epoch = epoch;
        self.pid = pid;
        self.exit = None;
        self.is_output_ended = false;
        self.grace_until = None;
        self.input_applied = 0;
        for Away { attachment, .. } in &mut self.away {
            // The end of the child before, for somebody who did not hear it: it goes on.
            attachment.ended.take_if(|ended| *ended == DetachReason::Ended);
        }
        for attachment in &mut self.attachments {
            attachment.ack_wanted_to = 0;
            // A line of the old child that was too long concerns nobody any more.
            attachment.lines_full = attachment.cursor.lines_full_told;
        }
        // New numbers: what the old child's writer still reports concerns nobody any more.
        for ledger in &mut self.ledgers {
            self.ledgers_made += 1;
            *ledger = Ledger::new(self.ledgers_made, ledger.client);
        }
    }

    /// The child was asked to end, and no other to be started.
    pub fn handle_stopping(&mut self) {
        self.cancel_restart();
        match self.state {
            SessionState::Running => self.state = SessionState::Stopping,
            SessionState::Waiting => self.handle_no_more(),
            _ => {}
        }
    }

    /// The child ended; what it printed may still be in the terminal.
    pub fn handle_exit(&mut self, exit: Exit, now: Instant) {
        self.exit = Some(exit);
        self.grace_until = Some(now + EXIT_GRACE);
        self.finish_if_drained(now);
    }

    /// The terminal has nothing more to read, and never will.
    pub fn handle_output_end(&mut self, now: Instant) {
        self.is_output_ended = true;
        self.finish_if_drained(now);
    }

    fn finish_if_drained(&mut self, now: Instant) {
        let Some(exit) = self.exit.filter(|_| self.is_output_ended && self.is_live()) else {
            return;
        };
        self.ending.handle_ended();
        let is_stopping = self.state == SessionState::Stopping;
        let goes_on = self.restarts.handle_ended(exit, is_stopping, now);
        self.state = if goes_on { SessionState::Waiting } else { SessionState::Exited };
        self.grace_until = None;
        self.forget_ledgers();
        if self.turns.len() == TURNS_MAX {
            self.turns.pop_front();
            self.turns_dropped += 1;
        }
        let turn = Turn {
            epoch: self.epoch,
            offset: self.log.end(),
            exit,
            next: None,
            applied: Vec::new(),
        };
        self.turns.push_back(turn);
        if self.is_ephemeral && !goes_on {
            for attachment in &mut self.attachments {
                attachment.ended.get_or_insert(DetachReason::Ended);
            }
        }
    }

    /// The first turn that `cursor` has not been told in full.
    pub(super) fn turn_after(&self, cursor: &Cursor) -> Option<&Turn> {
        self.turn_at(cursor.turns_told.max(self.turns_dropped))
    }

    /// A turn by its count since the session was made.
    pub(super) fn turn_at(&self, number: u64) -> Option<&Turn> {
        let at = number.checked_sub(self.turns_dropped)?;
        self.turns.get(at as usize)
    }

    /// How many turns are complete, with the start of the next child.
    pub(super) fn turns_done(&self) -> u64 {
        let open = u64::from(self.turns.back().is_some_and(|turn| turn.next.is_none()));
        self.turns_dropped + self.turns.len() as u64 - open
    }
}
