//! Keys as the bytes that a terminal sends for them, in the oldest encoding, which every program
//! knows.
//!
//! Pure. The source is "Xterm Control Sequences" (Moy, Gildea, Dickey; `ctlseqs` in xterm's
//! sources): "PC-Style Function Keys" for cursor keys, function keys and modifiers, "VT220-Style
//! Function Keys" for f13 to f20 and the keypad, "Bracketed Paste Mode" in `paste`. Where xterm
//! leaves a choice, it is made as Linux terminals have it: backspace is DEL, alt is an escape in
//! front.

/// A key, with whatever is held down with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key {
    pub(super) base: Base,
    pub(super) modifiers: Modifiers,
}

/// What is held down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Modifiers {
    pub(super) shift: bool,
    pub(super) alt: bool,
    pub(super) ctrl: bool,
}

/// Which key, by how it is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Base {
    /// A character; with ctrl, one that has a control character.
    Character(char),
    Enter,
    Tab,
    Backspace,
    Escape,
    /// Arrows, home and end, by their letter: they follow the cursor mode.
    Cursor(u8),
    /// f1 to f4, by their letter.
    Function(u8),
    /// Keys that are a number before a tilde.
    Numbered(u8),
    /// The keypad: what it types, and its letter while it is the program's.
    Keypad(u8, u8),
}

/// Modes of the program's terminal that change what keys send.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct KeyModes {
    /// DECCKM: cursor keys are `ESC O` and a letter.
    pub(crate) application_cursor: bool,
    /// DECKPAM: so are keys of the keypad.
    pub(crate) application_keypad: bool,
}

impl Key {
    /// Whether what it sends depends on the modes.
    pub(crate) fn has_modes(self) -> bool {
        matches!(self.base, Base::Cursor(_) | Base::Keypad(..))
    }

    /// Appends what a terminal sends for it.
    pub(crate) fn encode(self, modes: KeyModes, bytes: &mut Vec<u8>) {
        let Modifiers { shift, alt, ctrl } = self.modifiers;
        let escape: &[u8] = if alt { b"\x1b" } else { b"" };
        match self.base {
            Base::Character(letter) => {
                bytes.extend_from_slice(escape);
                match control_byte(letter).filter(|_| ctrl) {
                    Some(control) => bytes.push(control),
                    None => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
                }
            }
            Base::Enter => bytes.extend([escape, b"\r"].concat()),
            Base::Tab => bytes.extend([escape, if shift { b"\x1b[Z" } else { b"\t" }].concat()),
            Base::Backspace => {
                bytes.extend([escape, if ctrl { b"\x08" } else { b"\x7f" }].concat())
            }
            Base::Escape => bytes.extend([escape, b"\x1b"].concat()),
            Base::Cursor(letter) => self.push_letter(letter, modes.application_cursor, bytes),
            Base::Function(letter) => self.push_letter(letter, true, bytes),
            Base::Numbered(number) => match self.modifiers.parameter() {
                None => bytes.extend(format!("\x1b[{number}~").bytes()),
                Some(held) => bytes.extend(format!("\x1b[{number};{held}~").bytes()),
            },
            Base::Keypad(_, letter) if modes.application_keypad => {
                bytes.extend([b'\x1b', b'O', letter]);
            }
            Base::Keypad(character, _) => bytes.push(character),
        }
    }

    /// With modifiers the mode does not matter.
    fn push_letter(self, letter: u8, is_application: bool, bytes: &mut Vec<u8>) {
        match self.modifiers.parameter() {
            None => bytes.extend([b'\x1b', if is_application { b'O' } else { b'[' }, letter]),
            Some(held) => {
                bytes.extend(format!("\x1b[1;{held}").bytes());
                bytes.push(letter);
            }
        }
    }
}

impl Modifiers {
    /// The parameter that tells them; none if none is held.
    fn parameter(self) -> Option<u8> {
        let Self { shift, alt, ctrl } = self;
        let bits = u8::from(shift) | u8::from(alt) << 1 | u8::from(ctrl) << 2;
        (bits > 0).then_some(bits + 1)
    }
}

/// What a character becomes with ctrl, if it becomes anything; digits as xterm has them.
pub(super) fn control_byte(letter: char) -> Option<u8> {
    Some(match letter {
        '@'..='_' | 'a'..='z' => letter as u8 & 0x1f,
        ' ' | '2' => 0x00,
        '3'..='7' => letter as u8 - b'3' + 0x1b,
        '/' => 0x1f,
        '8' | '?' => 0x7f,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::key_name::parse_key, *};

    const PLAIN: KeyModes = KeyModes { application_cursor: false, application_keypad: false };
    const APPLICATION: KeyModes = KeyModes { application_cursor: true, application_keypad: true };

    fn sent(name: &str, modes: KeyModes) -> String {
        let mut bytes = Vec::new();
        parse_key(name).unwrap_or_else(|why| panic!("{why}")).encode(modes, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn cursor_keys_follow_their_mode_unless_something_is_held() {
        let keys = [("up", 'A'), ("down", 'B'), ("right", 'C'), ("left", 'D'), ("home", 'H')];
        for (name, letter) in keys.into_iter().chain([("end", 'F')]) {
            assert_eq!(sent(name, PLAIN), format!("\x1b[{letter}"));
            assert_eq!(sent(name, APPLICATION), format!("\x1bO{letter}"));
            for modes in [PLAIN, APPLICATION] {
                let with = |held: &str| sent(&format!("{held}-{name}"), modes);
                assert_eq!(with("shift"), format!("\x1b[1;2{letter}"));
                assert_eq!(with("alt"), format!("\x1b[1;3{letter}"));
                assert_eq!(with("alt-shift"), format!("\x1b[1;4{letter}"));
                assert_eq!(with("ctrl"), format!("\x1b[1;5{letter}"));
                assert_eq!(with("ctrl-shift"), format!("\x1b[1;6{letter}"));
                assert_eq!(with("ctrl-alt"), format!("\x1b[1;7{letter}"));
                assert_eq!(with("ctrl-alt-shift"), format!("\x1b[1;8{letter}"));
            }
        }
    }

    #[test]
    fn function_keys_are_those_of_the_table() {
        for (name, bytes) in [
            ("f1", "\x1bOP"),
            ("f2", "\x1bOQ"),
            ("f3", "\x1bOR"),
            ("f4", "\x1bOS"),
            ("f5", "\x1b[15~"),
            ("f6", "\x1b[17~"),
            ("f7", "\x1b[18~"),
            ("f8", "\x1b[19~"),
            ("f9", "\x1b[20~"),
            ("f10", "\x1b[21~"),
            ("f11", "\x1b[23~"),
            ("f12", "\x1b[24~"),
            ("f13", "\x1b[25~"),
            ("f14", "\x1b[26~"),
            ("f15", "\x1b[28~"),
            ("f16", "\x1b[29~"),
            ("f17", "\x1b[31~"),
            ("f18", "\x1b[32~"),
            ("f19", "\x1b[33~"),
            ("f20", "\x1b[34~"),
            ("insert", "\x1b[2~"),
            ("delete", "\x1b[3~"),
            ("page-up", "\x1b[5~"),
            ("page-down", "\x1b[6~"),
            ("shift-f1", "\x1b[1;2P"),
            ("ctrl-f4", "\x1b[1;5S"),
            ("shift-f5", "\x1b[15;2~"),
            ("ctrl-alt-delete", "\x1b[3;7~"),
        ] {
            assert_eq!(sent(name, PLAIN), bytes, "{name}");
            assert_eq!(sent(name, APPLICATION), bytes, "{name}");
        }
    }

    #[test]
    fn characters_and_the_keys_of_typewriters_are_single_bytes() {
        for (name, bytes) in [
            ("a", "a"),
            ("G", "G"),
            ("shift-a", "A"),
            ("é", "é"),
            ("-", "-"),
            ("alt--", "\x1b-"),
            ("alt-x", "\x1bx"),
            ("alt-X", "\x1bX"),
            ("alt-é", "\x1bé"),
            ("ctrl-c", "\x03"),
            ("ctrl-C", "\x03"),
            ("ctrl-shift-c", "\x03"),
            ("ctrl-alt-c", "\x1b\x03"),
            ("ctrl-@", "\0"),
            ("ctrl-space", "\0"),
            ("ctrl-[", "\x1b"),
            ("ctrl-\\", "\x1c"),
            ("ctrl-]", "\x1d"),
            ("ctrl-^", "\x1e"),
            ("ctrl-_", "\x1f"),
            ("ctrl-/", "\x1f"),
            ("ctrl-?", "\x7f"),
            ("ctrl-2", "\0"),
            ("ctrl-3", "\x1b"),
            ("ctrl-7", "\x1f"),
            ("ctrl-8", "\x7f"),
            ("space", " "),
            ("enter", "\r"),
            ("alt-enter", "\x1b\r"),
            ("tab", "\t"),
            ("shift-tab", "\x1b[Z"),
            ("escape", "\x1b"),
            ("alt-esc", "\x1b\x1b"),
            ("backspace", "\x7f"),
            ("ctrl-backspace", "\x08"),
            ("alt-backspace", "\x1b\x7f"),
        ] {
            assert_eq!(sent(name, PLAIN), bytes, "{name}");
            assert_eq!(sent(name, APPLICATION), bytes, "{name}");
        }
    }

    #[test]
    fn the_keypad_types_until_it_is_the_programs() {
        let keys = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"].into_iter().zip('p'..='y');
        let signs = [
            ("enter", "\r", 'M'),
            ("multiply", "*", 'j'),
            ("plus", "+", 'k'),
            ("comma", ",", 'l'),
            ("minus", "-", 'm'),
            ("decimal", ".", 'n'),
            ("divide", "/", 'o'),
            ("equal", "=", 'X'),
        ];
        for (name, typed, letter) in keys.map(|(digit, letter)| (digit, digit, letter)).chain(signs)
        {
            let name = format!("kp-{name}");
            assert_eq!(sent(&name, PLAIN), typed, "{name}");
            assert_eq!(sent(&name, APPLICATION), format!("\x1bO{letter}"), "{name}");
        }
    }

    #[test]
    fn only_keys_that_follow_modes_need_them() {
        for name in ["up", "shift-home", "kp-5"] {
            assert!(parse_key(name).unwrap().has_modes(), "{name}");
        }
        for name in ["a", "ctrl-c", "enter", "f1", "delete"] {
            assert!(!parse_key(name).unwrap().has_modes(), "{name}");
        }
    }
}
