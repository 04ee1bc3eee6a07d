//! The keys that detach, in docker's syntax: `ctrl-p,ctrl-q`, `ctrl-\`, `q`, `none`.

use std::fmt;

use super::sequence::ControlSequence;

/// The keys that detach when they are pressed one after the other; none if it is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct DetachKeys(pub(super) Vec<DetachKey>);

/// One key, with or without ctrl.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct DetachKey {
    /// What it has always been sent as.
    pub(super) legacy: u8,
    /// The letter on it, by which newer protocols name it.
    letter: u8,
    has_ctrl: bool,
}

/// Whose press an event is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyEvent {
    /// The key was pressed.
    Press,
    /// It repeats, is let go, or is a modifier on its way: part of no new press.
    Aftermath,
    /// Another key.
    Other,
}

impl DetachKeys {
    /// `ctrl-\`, which nothing but quitting by force is typed with.
    pub(crate) fn usual() -> Self {
        Self(vec![DetachKey { legacy: 0x1c, letter: b'\\', has_ctrl: true }])
    }
}

impl fmt::Display for DetachKeys {
    /// As [`parse_detach_keys`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, key) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let ctrl = if key.has_ctrl { "ctrl-" } else { "" };
            write!(f, "{comma}{ctrl}{}", char::from(key.letter))?;
        }
        Ok(())
    }
}

/// Reads keys.
///
/// # Errors
///
/// In words, for the person who wrote it.
pub(crate) fn parse_detach_keys(text: &str) -> Result<DetachKeys, String> {
    if text == "none" {
        return Ok(DetachKeys::default());
    }
    text.split(',').map(parse_key).collect::<Result<_, _>>().map(DetachKeys)
}

fn parse_key(text: &str) -> Result<DetachKey, String> {
    let explain = || {
        format!("\"{text}\" is no key; write a letter, or ctrl- and one of a-z @ \\ ] ^ _, or none")
    };
    match (text.strip_prefix("ctrl-"), text.as_bytes()) {
        (Some("["), _) => Err("ctrl-[ is escape, with which every arrow key begins".into()),
        (Some(letter), _) => match letter.as_bytes() {
            [letter @ (b'a'..=b'z' | b'A'..=b'Z' | b'@' | b'\\' | b']' | b'^' | b'_')] => {
                let letter = letter.to_ascii_lowercase();
                Ok(DetachKey { legacy: letter & 0x1f, letter, has_ctrl: true })
            }
            _ => Err(explain()),
        },
        (None, [letter @ 0x21..=0x7e]) => {
            Ok(DetachKey { legacy: *letter, letter: *letter, has_ctrl: false })
        }
        _ => Err(explain()),
    }
}

/// Modifiers that are locks and say nothing about the key pressed: caps lock and num lock.
const LOCKS: u32 = 64 | 128;

/// Modifier bits, as both protocols number them, of ctrl.
const CTRL: u32 = 4;

/// The modifier keys themselves, in the kitty protocol.
const MODIFIER_KEYS: std::ops::RangeInclusive<u32> = 57_441..=57_454;

impl DetachKey {
    /// What a unit of input is to this key.
    pub(super) fn event(&self, unit: &[u8]) -> KeyEvent {
        match (unit, ControlSequence::of(unit)) {
            (&[byte], _) if byte == self.legacy => KeyEvent::Press,
            (_, Some(sequence)) if sequence.mark.is_none() => self.sequence_event(&sequence),
            _ => KeyEvent::Other,
        }
    }

    /// `CSI letter;modifiers:event u` (kitty), `CSI 27;modifiers;letter ~` (modifyOtherKeys).
    fn sequence_event(&self, sequence: &ControlSequence<'_>) -> KeyEvent {
        let numbers = sequence.numbers();
        let at = |index: usize, part: usize| {
            numbers.get(index).and_then(|parts| parts.get(part)).copied().unwrap_or(0)
        };
        match sequence.letter {
            b'u' if MODIFIER_KEYS.contains(&at(0, 0)) || at(1, 1) > 1 => KeyEvent::Aftermath,
            // The third part is the key's place on a US keyboard, for layouts without the letter.
            b'u' if self.is_pressed(at(0, 0), at(1, 0)) || self.is_pressed(at(0, 2), at(1, 0)) => {
                KeyEvent::Press
            }
            b'~' if at(0, 0) == 27 && self.is_pressed(at(2, 0), at(1, 0)) => KeyEvent::Press,
            _ => KeyEvent::Other,
        }
    }

    fn is_pressed(&self, letter: u32, modifiers: u32) -> bool {
        let held = modifiers.saturating_sub(1) & !LOCKS;
        let expected = if self.has_ctrl { CTRL } else { 0 };
        letter == u32::from(self.letter) && held == expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> DetachKey {
        parse_detach_keys(text).unwrap().0[0]
    }

    #[test]
    fn the_usual_key_is_what_the_command_line_says() {
        assert_eq!(parse_detach_keys("ctrl-\\"), Ok(DetachKeys::usual()));
    }

    #[test]
    fn dockers_syntax_is_read() {
        let legacy = |text| -> Vec<u8> {
            parse_detach_keys(text).unwrap().0.iter().map(|key| key.legacy).collect()
        };
        assert_eq!(legacy("ctrl-\\"), [0x1c]);
        assert_eq!(legacy("ctrl-p,ctrl-q"), [0x10, 0x11]);
        assert_eq!(legacy("ctrl-P,x,Y"), [0x10, b'x', b'Y']);
        assert_eq!(legacy("ctrl-@,ctrl-],ctrl-^,ctrl-_"), [0x00, 0x1d, 0x1e, 0x1f]);
        assert_eq!(legacy("none"), b"");
        for text in ["ctrl-\\", "ctrl-p,ctrl-q", "x,Y", "none"] {
            assert_eq!(parse_detach_keys(text).unwrap().to_string(), text);
        }
        for text in ["", ",", "ctrl-", "ctrl-1", "ctrl-pp", "ab", "ctrl-[", "é", "ctrl-p,", " "] {
            assert!(parse_detach_keys(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_is_known_in_every_protocol() {
        let key = key("ctrl-\\");
        for press in [
            &b"\x1c"[..],
            b"\x1b[92;5u",
            b"\x1b[92;5:1u",
            b"\x1b[92;69u",
            b"\x1b[92;197u",
            b"\x1b[92:124;5u",
            b"\x1b[228::92;5u",
            b"\x1b[92;5;28u",
            b"\x1b[27;5;92~",
        ] {
            assert_eq!(key.event(press), KeyEvent::Press, "{press:?}");
        }
        for other in [
            &b"\\"[..],
            b"\x1d",
            b"\x1b[92u",
            b"\x1b[92;6u",
            b"\x1b[93;5u",
            b"\x1b[27;6;92~",
            b"\x1b[28;5;92~",
            b"\x1b[?92;5u",
            b"\x1b[92;5~",
            b"\x1b",
        ] {
            assert_eq!(key.event(other), KeyEvent::Other, "{other:?}");
        }
        for after in [&b"\x1b[92;5:3u"[..], b"\x1b[92;5:2u", b"\x1b[57442;5u", b"\x1b[97;1:3u"] {
            assert_eq!(key.event(after), KeyEvent::Aftermath, "{after:?}");
        }
    }

    #[test]
    fn a_key_without_ctrl_is_not_itself_with_it() {
        let key = key("q");
        assert_eq!(key.event(b"q"), KeyEvent::Press);
        assert_eq!(key.event(b"\x1b[113u"), KeyEvent::Press);
        assert_eq!(key.event(b"\x1b[113;1u"), KeyEvent::Press);
        assert_eq!(key.event(b"\x1b[113;5u"), KeyEvent::Other);
    }
}
