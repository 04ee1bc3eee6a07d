//! Takes a terminal's replies out of its input while a replay is being painted.
//!
//! What a session printed earlier may hold questions to the terminal, and painting it asks them
//! again; nobody waits for those answers now, and a shell would take them for typing. Behind the
//! replay we ask a question of our own, and terminals answer in order: its answer ends the filter.

use std::time::{Duration, Instant};

use super::sequence::{Begins, ControlSequence, first_unit};

/// How long our own question may take to be answered.
pub(crate) const REPLIES_LIMIT: Duration = Duration::from_millis(500);

/// Longest reply that is waited for.
const REPLY_MAX: usize = 16 * 1024;

/// Passes on what is typed, and drops what a terminal answers.
#[derive(Debug)]
pub(crate) struct ReplyFilter {
    /// Cursor positions that are still to be reported; `None` until we know how many were asked.
    awaited: Option<u32>,
    reported: u32,
    part: Vec<u8>,
    until: Option<Instant>,
}

impl ReplyFilter {
    /// Drops replies until [`expect`](Self::expect) and then until all of them came.
    pub(crate) fn new() -> Self {
        Self { awaited: None, reported: 0, part: Vec::new(), until: None }
    }

    /// The replay ended: `count` cursor positions were asked for in all, ours is the last.
    pub(crate) fn expect(&mut self, count: u32, now: Instant) {
        self.awaited = Some(count);
        self.until = Some(now + REPLIES_LIMIT);
    }

    /// Whether there is nothing left to drop.
    pub(crate) fn is_over(&self) -> bool {
        self.awaited.is_some_and(|awaited| self.reported >= awaited)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.is_over() { None } else { self.until }
    }

    /// The answer took too long: gives back what was held, and is over.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.until.is_some_and(|until| now >= until) {
            self.reported = u32::MAX;
            out.append(&mut self.part);
        }
    }

    /// Takes input and appends to `out` what is no reply.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let joined = [self.part.as_slice(), input].concat();
        self.part.clear();
        let mut rest = joined.as_slice();
        while !rest.is_empty() && !self.is_over() {
            let Begins::Unit(len) = unit_or_string(rest) else {
                self.part = rest.to_vec();
                return;
            };
            let unit = &rest[..len];
            rest = &rest[len..];
            match Reply::of(unit) {
                Some(Reply::CursorPosition) => self.reported += 1,
                Some(Reply::Other) => {}
                None => out.extend_from_slice(unit),
            }
        }
        out.extend_from_slice(rest);
    }
}

enum Reply {
    CursorPosition,
    Other,
}

impl Reply {
    fn of(unit: &[u8]) -> Option<Self> {
        if unit.len() > 2 && is_string_opener(unit[1]) && unit[0] == 0x1b {
            return Some(Self::Other);
        }
        let sequence = ControlSequence::of(unit)?;
        let is_pair = sequence.numbers().len() == 2;
        match (sequence.mark, sequence.intermediates, sequence.letter) {
            (None, [], b'R') if is_pair => Some(Self::CursorPosition),
            // No key is sent with one of these marks; a mouse is, with `<`.
            (Some(b'?' | b'>' | b'='), _, _) => Some(Self::Other),
            (None, [], b'c' | b'n' | b't' | b'x') | (None, b"$", b'y') => Some(Self::Other),
            _ => None,
        }
    }
}

/// What opens a string: device control, system command, application command, and so on.
fn is_string_opener(byte: u8) -> bool {
    matches!(byte, b'P' | b']' | b'_' | b'^' | b'X')
}

/// As [`first_unit`], but strings are units too: `ESC ]` ... `BEL` or `ESC \`.
fn unit_or_string(bytes: &[u8]) -> Begins {
    match bytes {
        [0x1b, opener, inside @ ..] if is_string_opener(*opener) => {
            let bell = inside.iter().position(|byte| *byte == 0x07).map(|at| at + 3);
            let end = inside.windows(2).position(|pair| pair == b"\x1b\\").map(|at| at + 4);
            let ends = bell.into_iter().chain(end).min();
            match ends {
                Some(len) => Begins::Unit(len),
                None if bytes.len() > REPLY_MAX => Begins::Unit(1),
                None => Begins::Part,
            }
        }
        _ => first_unit(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: [&[u8]; 12] = [
        b"\x1b[?64;1;2c",
        b"\x1b[>41;354;0c",
        b"\x1b[0n",
        b"\x1b[?997;1n",
        b"\x1b[?2026;2$y",
        b"\x1b[4;2$y",
        b"\x1b[8;24;80t",
        b"\x1b[?1u",
        b"\x1b[?12;40R",
        b"\x1b]11;rgb:0000/0000/0000\x07",
        b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
        b"\x1bP1+r524742=38\x1b\\",
    ];

    #[test]
    fn replies_are_dropped_until_our_own_came_and_typing_is_not() {
        let now = Instant::now();
        for cut in 0..8 {
            let mut filter = ReplyFilter::new();
            filter.expect(2, now);
            let input =
                [b"a\x1b[A".as_slice(), &REPLIES.concat(), b"b\x1b[3;4Rc\x1b[5;6R"].concat();
            let mut out = Vec::new();
            for piece in input.chunks(cut + 1) {
                filter.push(piece, &mut out);
            }
            assert_eq!(out, b"a\x1b[Abc", "in pieces of {}", cut + 1);
            assert!(filter.is_over());
            filter.push(b"\x1b[1;1R\x1b[0n", &mut out);
            assert_eq!(out, b"a\x1b[Abc\x1b[1;1R\x1b[0n", "later ones are the child's own");
        }
    }

    #[test]
    fn what_follows_our_own_reply_in_one_read_is_passed_on() {
        let mut filter = ReplyFilter::new();
        filter.expect(1, Instant::now());
        let mut out = Vec::new();
        filter.push(b"\x1b[1;1R\x1b[0nx", &mut out);
        assert_eq!(out, b"\x1b[0nx");
    }

    #[test]
    fn keys_that_look_like_replies_are_not() {
        let mut filter = ReplyFilter::new();
        let keys =
            b"\x1b[A\x1b[1;5C\x1b[15~\x1b[R\x1b[92;5u\x1b[<0;1;2M\x1b[I\x1bOc\x1b[200~\x1bx\x7f";
        let mut out = Vec::new();
        filter.push(keys, &mut out);
        assert_eq!(out, keys);
    }

    #[test]
    fn a_terminal_that_does_not_answer_is_waited_for_no_longer_than_the_limit() {
        let now = Instant::now();
        let mut filter = ReplyFilter::new();
        assert_eq!(filter.deadline(), None, "the replay may take as long as it takes");
        filter.expect(1, now);
        let mut out = Vec::new();
        filter.push(b"a\x1b", &mut out);
        filter.handle_timeout(now, &mut out);
        assert_eq!(out, b"a");
        assert_eq!(filter.deadline(), Some(now + REPLIES_LIMIT));
        filter.handle_timeout(now + REPLIES_LIMIT, &mut out);
        assert_eq!(out, b"a\x1b");
        assert!(filter.is_over() && filter.deadline().is_none());
    }
}
