//! The mutants: what is changed, and where.
//!
//! Where a place has `@7@`, it behaves as before unless mutant 7 is chosen. Each text to find must
//! be there exactly once, so the list breaks loudly when code moves.

/// Number and name of every mutant.
pub(crate) const MUTANTS: &[(u32, &str)] = &[
    (1, "input is told written when it is accepted"),
    (2, "input that comes again is written again"),
    (3, "input is accepted and its mark stays"),
    (4, "input behind a hole is taken"),
    (5, "the input window is not kept to"),
    (6, "an older connection is not fenced"),
    (7, "whoever names an older child is attached to the new one"),
    (8, "one attachment comes back with the marks of another"),
    (9, "a session of the same name passes for the one before"),
    (10, "output goes on one byte too early"),
    (11, "a write that stopped halfway begins again"),
    (12, "input for a child that was replaced is written"),
    (13, "marks are dropped at a loss"),
    (14, "marks outlive their child"),
    (15, "who is away is forgotten at once"),
    (16, "who is away is awaited for ever"),
    (17, "what was live is replay after a loss"),
    (18, "an end is told twice on one connection"),
    (19, "output that left the log is skipped in silence"),
    (20, "output is sent beyond the window"),
    (21, "more is believed consumed than was sent"),
    (22, "after a loss nothing is sent again"),
    (23, "everything is sent again and nobody drops what came twice"),
    (24, "more is typed while away than the window takes"),
    (25, "what is given up is not reported"),
    (26, "what may be written is reported as undelivered"),
    (27, "what is kept is dropped at a loss"),
    (28, "a call that is written in part loses its place at a loss"),
    (29, "bytes are taken for a child that nobody was told of"),
    (30, "output that comes again is handed over again"),
    (31, "another session passes for the one that was lost"),
    (32, "the end of a child is handed over again"),
    (33, "progress does not count when it comes to giving up"),
    (34, "ledgers outlive the child that their input was for"),
    (35, "nobody is told at once who asked to be"),
    (36, "nobody is told later either"),
    (37, "what was in flight at a refusal is a fault"),
    (38, "what was refused is kept as well"),
    (39, "nothing is a sign of life"),
    (40, "the end of a child comes before its last output"),
    (41, "who was kicked while it was away is back as if nothing was"),
];

/// File, text to find, and what stands there instead.
pub(crate) const PLACES: &[(&str, &str, &str)] = &[
    (
        "src/state/session/input.rs",
        "self.marks(attachment.client).map_or(0, |marks| marks.applied())",
        "self.marks(attachment.client)
            .map_or(0, |marks| if @1@ { marks.accepted() } else { marks.applied() })",
    ),
    (
        "src/state/input_marks.rs",
        "let skip = (self.accepted - offset) as usize;",
        "let skip = if @2@ || @23@ { 0 } else { (self.accepted - offset) as usize };",
    ),
    ("src/state/input_marks.rs", "self.accepted = end;", "if !@3@ { self.accepted = end; }"),
    (
        "src/state/input_marks.rs",
        "if offset > self.accepted {",
        "if offset > self.accepted && !@4@ {",
    ),
    (
        "src/state/input_marks.rs",
        "if end > self.applied.saturating_add(window) {",
        "if end > self.applied.saturating_add(window) && !@5@ {",
    ),
    (
        "tests/simulation/engine/mod.rs",
        "Ok(Some(older)) => self.fence(older, moment),",
        "Ok(Some(older)) => if !@6@ { self.fence(older, moment) },",
    ),
    (
        "src/state/session/joining.rs",
        "if epoch_known != 0 && epoch_known != self.epoch && past.is_none() {",
        "if epoch_known != 0 && epoch_known != self.epoch && past.is_none() && !@7@ {",
    ),
    (
        "src/state/session/away.rs",
        "is_ours && self.away.iter().any(|away| away.is_of(client, number))",
        "let is_any = @8@ && self.marks(client).is_some();
        is_ours && (is_any || self.away.iter().any(|away| away.is_of(client, number)))",
    ),
    (
        "src/state/session/away.rs",
        "self.epoch == epoch\n            || self.turns_dropped > 0",
        "@9@ || self.epoch == epoch\n            || self.turns_dropped > 0",
    ),
    (
        "src/state/session/joining.rs",
        "output: from,",
        "output: if @10@ { from.saturating_sub(1) } else { from },",
    ),
    (
        "src/state/write_queue.rs",
        "self.bytes.drain(..count);",
        "if !@11@ || count == self.bytes.len() { self.bytes.drain(..count); }",
    ),
    (
        "src/state/session/input.rs",
        "turn != attachment.turn(self.turns_done(), self.turns_dropped)",
        "(!@12@ && turn != attachment.turn(self.turns_done(), self.turns_dropped))",
    ),
    (
        "src/state/session/input.rs",
        "attachments.iter().chain(away).any(|at| at.client == ledger.client)",
        "attachments.iter().chain(away.filter(|_| !@13@)).any(|at| at.client == ledger.client)",
    ),
    (
        "src/state/session/life.rs",
        "*ledger = Ledger::new(self.ledgers_made, ledger.client);",
        "if !@14@ { *ledger = Ledger::new(self.ledgers_made, ledger.client); }",
    ),
    (
        "src/state/session/away.rs",
        "until: now + grace",
        "until: if @15@ { now } else { now + grace }",
    ),
    (
        "src/state/session/away.rs",
        "self.away.retain(|away| now < away.until);",
        "self.away.retain(|away| @16@ || now < away.until);",
    ),
    (
        "src/state/session/joining.rs",
        "attachment.live_from = kept.live_from.min(end);",
        "if !@17@ { attachment.live_from = kept.live_from.min(end); }",
    ),
    ("src/state/session/cursor.rs", "cursor.is_exit_told = true;", "cursor.is_exit_told = !@18@;"),
    (
        "src/state/session/cursor.rs",
        "let from = cursor.output;",
        "if @19@ { cursor.output = cursor.output.max(self.log.start().min(limit)); }
        let from = cursor.output;",
    ),
    (
        "src/state/session/cursor.rs",
        "+ u64::from(attachment.window);",
        "+ u64::from(attachment.window) + if @20@ { 1 << 20 } else { 0 };",
    ),
    (
        "src/state/session/mod.rs",
        "if offset > attachment.cursor.output.max(attachment.sent_before) {",
        "if offset > attachment.cursor.output.max(attachment.sent_before) && !@21@ {",
    ),
    (
        "src/state/input_sender.rs",
        "self.sent = marks.accepted.clamp(self.base, self.sent_ever);",
        "let from = if @23@ { marks.applied } else { marks.accepted };
        let from = if @22@ { self.sent_ever } else { from };
        self.sent = from.clamp(self.base, self.sent_ever);",
    ),
    (
        "src/state/input_sender.rs",
        "Phase::Away | Phase::Open => (self.applied + self.window).saturating_sub(self.end()),",
        "Phase::Away if @24@ && self.window > 0 => 1 << 20,
            Phase::Away | Phase::Open => (self.applied + self.window).saturating_sub(self.end()),",
    ),
    (
        "src/state/input_sender.rs",
        "(!bytes.is_empty()).then_some(",
        "(!bytes.is_empty() && !@25@).then_some(",
    ),
    (
        "src/state/input_sender.rs",
        "let leftover = self.leftover(end, self.base, unknown);",
        "let leftover = self.leftover(end, self.base, if @26@ { 0 } else { unknown });",
    ),
    (
        "src/state/input_sender.rs",
        "            self.phase = Phase::Away;\n        }\n    }",
        "            self.phase = Phase::Away;
            if @27@ { self.kept.clear(); }
        }
    }",
    ),
    (
        "src/state/input_sender.rs",
        "call.begin = (call.begin + base).saturating_sub(self.base);",
        "call.begin = if @28@ { base + call.begin.saturating_sub(self.base) } else {
                (call.begin + base).saturating_sub(self.base)
            };",
    ),
    (
        "src/state/input_sender.rs",
        "self.phase = Phase::ChildEnded;",
        "self.phase = if @29@ { Phase::Open } else { Phase::ChildEnded };",
    ),
    (
        "src/state/reception.rs",
        "let skip = self.received.saturating_sub(offset).min(len as u64);",
        "let skip = self.received.saturating_sub(offset).min(if @30@ { 0 } else { len as u64 });",
    ),
    (
        "src/state/reception.rs",
        "if asking != Asking::Newer || !attached.is_resumed {",
        "if !@31@ && (asking != Asking::Newer || !attached.is_resumed) {",
    ),
    (
        "src/state/reception.rs",
        "let is_news = epoch != self.epoch || !self.is_exit_told;",
        "let is_news = @32@ || epoch != self.epoch || !self.is_exit_told;",
    ),
    (
        "src/state/link.rs",
        "self.backoff.note_progress();",
        "if !@33@ { self.backoff.note_progress(); }",
    ),
    (
        "src/state/session/input.rs",
        "(is_live && ledger.marks.queued() > 0)",
        "((@34@ || is_live) && ledger.marks.queued() > 0)",
    ),
    (
        "src/state/session/cursor.rs",
        "let is_wanted = (cursor.applied_told + 1..=applied)",
        "let is_wanted = !@35@ && (cursor.applied_told + 1..=applied)",
    ),
    ("src/state/session/attachment.rs", "self.is_ack_due = true;", "self.is_ack_due = !@36@;"),
    (
        "src/state/session/input.rs",
        "attachment.is_refusing = true;",
        "attachment.is_refusing = !@37@;",
    ),
    (
        "src/state/input_sender.rs",
        "let leftover = self.leftover(SenderEnd::Refused, from, 0);\n        self.truncate(from);",
        "let leftover = self.leftover(SenderEnd::Refused, from, 0);
        if !@38@ { self.truncate(from); }",
    ),
    (
        "src/state/heartbeat.rs",
        "self.heard = self.heard.max(now);",
        "if !@39@ { self.heard = self.heard.max(now); }",
    ),
    (
        "src/state/session/cursor.rs",
        "if cursor.output < turn.offset {",
        "if cursor.output < turn.offset && !@40@ {",
    ),
    (
        "src/state/session/joining.rs",
        "attachment.ended = kept.ended;",
        "if !@41@ { attachment.ended = kept.ended; }",
    ),
];
