//! Finds the detach keys in what is typed, and passes on everything else unchanged.
//!
//! Pressed once, the keys detach after a moment or with the next other key; pressed twice, they are
//! sent once. A sequence that a read cuts is waited for, and nothing else is: a lone escape is
//! passed on at once and only remembered. Inside a bracketed paste there are no keys.

use std::time::{Duration, Instant};

use super::{
    detach_keys::{DetachKey, DetachKeys, KeyEvent},
    sequence::{Begins, first_unit},
};

/// How long a second press may take to mean "send it".
const SECOND_PRESS: Duration = Duration::from_millis(300);

/// How long the rest of a sequence may take that a read has cut.
const REST_OF_SEQUENCE: Duration = Duration::from_millis(100);

/// What a terminal sends before a paste, to programs that asked for it.
const PASTE_BEGIN: &[u8] = b"\x1b[200~";

/// What it sends after one.
const PASTE_END: &[u8] = b"\x1b[201~";

/// Whether to go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(crate) enum Scan {
    /// Pass on what came out.
    Go,
    /// Pass on what came out, then detach.
    Detach,
}

/// Looks for the detach keys.
#[derive(Debug)]
pub(crate) struct KeyScanner {
    keys: Vec<DetachKey>,
    /// How many of the keys were pressed, in order.
    matched: usize,
    /// What those were sent as, and is held back.
    held: Vec<u8>,
    /// All keys were pressed once; until when they may be pressed again.
    pressed_until: Option<Instant>,
    /// A sequence that is not complete.
    part: Vec<u8>,
    /// How much of it was passed on already.
    passed: usize,
    part_until: Option<Instant>,
    is_pasting: bool,
}

impl KeyScanner {
    /// Looks for these.
    pub(crate) fn new(keys: DetachKeys) -> Self {
        Self {
            keys: keys.0,
            matched: 0,
            held: Vec::new(),
            pressed_until: None,
            part: Vec::new(),
            passed: 0,
            part_until: None,
            is_pasting: false,
        }
    }

    /// Takes what was typed and appends to `out` what is to be passed on.
    pub(crate) fn push(&mut self, typed: &[u8], now: Instant, out: &mut Vec<u8>) -> Scan {
        let Some(first_key) = self.keys.first().map(|key| key.legacy) else {
            out.extend_from_slice(typed);
            return Scan::Go;
        };
        let joined;
        let mut rest = typed;
        if !self.part.is_empty() {
            joined = [self.part.as_slice(), typed].concat();
            rest = &joined;
            self.part.clear();
        }
        self.part_until = None;
        while !rest.is_empty() {
            if self.is_idle() {
                let is_key = |byte: &u8| *byte == first_key && !self.is_pasting;
                let starts = |byte: &u8| *byte == 0x1b || is_key(byte);
                let plain = rest.iter().position(starts).unwrap_or(rest.len());
                out.extend_from_slice(&rest[..plain]);
                rest = &rest[plain..];
                if rest.is_empty() {
                    break;
                }
            }
            let Begins::Unit(len) = first_unit(rest) else {
                self.keep_part(rest, now, out);
                break;
            };
            if self.take(&rest[..len], now, out) == Scan::Detach {
                return Scan::Detach;
            }
            rest = &rest[len..];
        }
        Scan::Go
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.pressed_until.into_iter().chain(self.part_until).min()
    }

    /// Nothing came for as long as it may take.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<u8>) -> Scan {
        if self.pressed_until.is_some_and(|until| now >= until) {
            return Scan::Detach;
        }
        if self.part_until.is_some_and(|until| now >= until) {
            self.part_until = None;
            let part = std::mem::take(&mut self.part);
            return self.take_other(&part, out);
        }
        Scan::Go
    }

    fn is_idle(&self) -> bool {
        self.matched == 0 && self.pressed_until.is_none() && self.passed == 0
    }

    fn keep_part(&mut self, part: &[u8], now: Instant, out: &mut Vec<u8>) {
        self.part = part.to_vec();
        self.part_until = Some(now + REST_OF_SEQUENCE);
        if part == b"\x1b" && self.is_idle() {
            out.push(0x1b);
            self.passed = 1;
        }
    }

    /// Takes one unit of input.
    fn take(&mut self, unit: &[u8], now: Instant, out: &mut Vec<u8>) -> Scan {
        self.is_pasting = (self.is_pasting && unit != PASTE_END) || unit == PASTE_BEGIN;
        if self.is_pasting {
            return self.take_other(unit, out);
        }
        match self.keys[self.matched].event(unit) {
            KeyEvent::Press => {
                self.held.extend_from_slice(&unit[self.passed..]);
                self.passed = 0;
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.take_press(now, out);
                }
                Scan::Go
            }
            KeyEvent::Aftermath if self.pressed_until.is_some() => Scan::Go,
            KeyEvent::Aftermath if self.matched > 0 => {
                self.held.extend_from_slice(unit);
                Scan::Go
            }
            _ if self.pressed_until.is_none() && self.matched > 0 => {
                self.matched = 0;
                out.append(&mut self.held);
                // It may be the first key again.
                self.take(unit, now, out)
            }
            _ => self.take_other(unit, out),
        }
    }

    /// All keys were pressed: for the first time, or for the second and they are sent.
    fn take_press(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.matched = 0;
        if self.pressed_until.take().is_some() {
            out.append(&mut self.held);
        } else {
            self.held.clear();
            self.pressed_until = Some(now + SECOND_PRESS);
        }
    }

    fn take_other(&mut self, unit: &[u8], out: &mut Vec<u8>) -> Scan {
        let passed = std::mem::take(&mut self.passed);
        if self.pressed_until.is_some() {
            return Scan::Detach;
        }
        self.matched = 0;
        out.append(&mut self.held);
        out.extend_from_slice(&unit[passed..]);
        Scan::Go
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse_detach_keys, *};

    /// Feeds pieces without time passing; returns what was passed on, and whether that detached.
    fn scan(keys: &str, pieces: &[&[u8]]) -> (Vec<u8>, Scan, KeyScanner) {
        let mut scanner = KeyScanner::new(parse_detach_keys(keys).unwrap());
        let mut out = Vec::new();
        for piece in pieces {
            if scanner.push(piece, start(), &mut out) == Scan::Detach {
                return (out, Scan::Detach, scanner);
            }
        }
        (out, Scan::Go, scanner)
    }

    /// The same, and then as much time as anything is waited for.
    fn scan_to_the_end(keys: &str, pieces: &[&[u8]]) -> (Vec<u8>, Scan) {
        let (mut out, mut scan, mut scanner) = scan(keys, pieces);
        while scan == Scan::Go
            && let Some(deadline) = scanner.deadline()
        {
            scan = scanner.handle_timeout(deadline, &mut out);
        }
        (out, scan)
    }

    fn start() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    const FORMS: [&[u8]; 4] = [b"\x1c", b"\x1b[92;5u", b"\x1b[27;5;92~", b"\x1b[92;69:1u"];

    #[test]
    fn one_press_detaches_however_it_is_sent_and_split() {
        for form in FORMS {
            for cut in 0..=form.len() {
                let pieces = [b"ab".as_slice(), &form[..cut], &form[cut..]];
                let (out, scan) = scan_to_the_end("ctrl-\\", &pieces);
                assert_eq!(scan, Scan::Detach, "{form:?} cut at {cut}");
                // An escape that ends a read was passed on: nobody can know what follows.
                let escape: &[u8] = if cut == 1 && form.len() > 1 { b"\x1b" } else { b"" };
                assert_eq!(out, [b"ab", escape].concat(), "{form:?} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = form.chunks(1).collect();
            assert_eq!(scan_to_the_end("ctrl-\\", &bytes).1, Scan::Detach);
        }
    }

    #[test]
    fn two_presses_are_sent_as_one() {
        for form in FORMS {
            let twice = [form, form].concat();
            for cut in 0..=twice.len() {
                let (out, scan) = scan_to_the_end("ctrl-\\", &[&twice[..cut], &twice[cut..], b"x"]);
                assert_eq!(scan, Scan::Go, "{form:?} cut at {cut}");
                assert_eq!(out.strip_suffix(b"x").unwrap().last(), form.last());
            }
        }
        let (out, scan) = scan_to_the_end("ctrl-\\", &[b"\x1c\x1c\x1c"]);
        assert_eq!(
            (out.as_slice(), scan),
            (&b"\x1c"[..], Scan::Detach),
            "three: sent, and pressed"
        );
    }

    #[test]
    fn another_key_after_a_press_detaches_at_once_and_is_not_sent() {
        let (out, outcome, _) = scan("ctrl-\\", &[b"a\x1c", b"bc"]);
        assert_eq!((out.as_slice(), outcome), (&b"a"[..], Scan::Detach));
    }

    #[test]
    fn letting_go_is_no_other_key() {
        let events = [&b"\x1b[57442;5u"[..], b"\x1b[92;5u", b"\x1b[92;5:3u", b"\x1b[57442;1:3u"];
        let (out, outcome, mut scanner) = scan("ctrl-\\", &events);
        assert_eq!((out.as_slice(), outcome), (&b"\x1b[57442;5u"[..], Scan::Go));
        let (mut out, deadline) = (Vec::new(), scanner.deadline().unwrap());
        assert_eq!(scanner.push(b"\x1b[92;5u", deadline, &mut out), Scan::Go);
        assert_eq!(out, b"\x1b[92;5u");
        assert_eq!(scanner.deadline(), None);
    }

    #[test]
    fn everything_else_passes_at_once_and_unchanged() {
        let every: Vec<u8> = (0..=255).filter(|byte| *byte != 0x1c).collect();
        let keys = [b"\x1b[A\x1bOP\x1b[1;5C\x1b[<0;3;4M\x1b[200~paste\x1b[201~".as_slice(), &every];
        for bytes in [every.as_slice(), &keys.concat()] {
            let (out, outcome, scanner) = scan("ctrl-\\", &[bytes]);
            assert_eq!((out.as_slice(), outcome), (bytes, Scan::Go));
            assert_eq!(scanner.deadline(), None, "nothing is held");
            for cut in 0..bytes.len() {
                let pieces = [&bytes[..cut], &bytes[cut..]];
                assert_eq!(scan_to_the_end("ctrl-\\", &pieces), (bytes.to_vec(), Scan::Go));
            }
        }
    }

    #[test]
    fn what_is_pasted_is_no_key() {
        let paste = b"\x1b[200~\x1c\x1b[92;5u\x1c\x1cx\x1b[201~";
        for cut in 0..paste.len() {
            let pieces = [&paste[..cut], &paste[cut..]];
            assert_eq!(scan_to_the_end("ctrl-\\", &pieces), (paste.to_vec(), Scan::Go));
        }
        let (out, outcome) = scan_to_the_end("ctrl-\\", &[paste, b"a\x1c"]);
        assert_eq!((out, outcome), ([paste.as_slice(), b"a"].concat(), Scan::Detach));
    }

    #[test]
    fn a_lone_escape_is_never_held() {
        let (out, outcome, mut scanner) = scan("ctrl-\\", &[b"\x1b"]);
        assert_eq!((out.as_slice(), outcome), (&b"\x1b"[..], Scan::Go));
        let mut out = Vec::new();
        let deadline = scanner.deadline().unwrap();
        assert_eq!(scanner.handle_timeout(deadline, &mut out), Scan::Go);
        assert_eq!(out, b"", "it is not sent twice");
        assert_eq!(scanner.push(b"[92;5u", deadline, &mut out), Scan::Go);
        assert_eq!(out, b"[92;5u", "typed by hand, much later, it is text");
    }

    #[test]
    fn a_sequence_that_never_ends_is_passed_on_after_a_moment() {
        let (out, outcome, mut scanner) = scan("ctrl-\\", &[b"a\x1b[92"]);
        assert_eq!((out.as_slice(), outcome), (&b"a"[..], Scan::Go));
        let mut out = Vec::new();
        let deadline = scanner.deadline().unwrap();
        assert_eq!(scanner.handle_timeout(deadline, &mut out), Scan::Go);
        assert_eq!(out, b"\x1b[92");
        assert_eq!(scanner.deadline(), None);
    }

    #[test]
    fn several_keys_detach_only_together() {
        let keys = "ctrl-p,ctrl-q";
        assert_eq!(scan_to_the_end(keys, &[b"a\x10", b"\x11"]), (b"a".to_vec(), Scan::Detach));
        assert_eq!(scan_to_the_end(keys, &[b"\x10a"]), (b"\x10a".to_vec(), Scan::Go));
        assert_eq!(scan_to_the_end(keys, &[b"\x11"]), (b"\x11".to_vec(), Scan::Go));
        assert_eq!(scan_to_the_end(keys, &[b"\x10\x10\x11"]), (b"\x10".to_vec(), Scan::Detach));
        let twice = b"\x10\x11\x10\x11";
        assert_eq!(scan_to_the_end(keys, &[twice]), (b"\x10\x11".to_vec(), Scan::Go));
        let mixed = b"\x1b[112;5u\x1b[112;5:3u\x11";
        assert_eq!(scan_to_the_end(keys, &[mixed]), (Vec::new(), Scan::Detach));
    }

    #[test]
    fn without_keys_everything_passes() {
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(scan_to_the_end("none", &[&every, b"\x1b"]).0, [&every[..], b"\x1b"].concat());
    }
}
