//! The names of keys: `a`, `ctrl-c`, `alt-x`, `shift-tab`, `up`, `f5`, `kp-enter`.

use super::key_encoder::{Base, Key, Modifiers, control_byte};

/// Keys that are more than a character; f5 to f20 and the keypad's digits are counted.
const NAMES: [(&str, Base); 35] = [
    ("enter", Base::Enter),
    ("return", Base::Enter),
    ("tab", Base::Tab),
    ("space", Base::Character(' ')),
    ("backspace", Base::Backspace),
    ("escape", Base::Escape),
    ("esc", Base::Escape),
    ("up", Base::Cursor(b'A')),
    ("down", Base::Cursor(b'B')),
    ("right", Base::Cursor(b'C')),
    ("left", Base::Cursor(b'D')),
    ("home", Base::Cursor(b'H')),
    ("end", Base::Cursor(b'F')),
    ("insert", Base::Numbered(2)),
    ("ins", Base::Numbered(2)),
    ("delete", Base::Numbered(3)),
    ("del", Base::Numbered(3)),
    ("page-up", Base::Numbered(5)),
    ("pageup", Base::Numbered(5)),
    ("pgup", Base::Numbered(5)),
    ("page-down", Base::Numbered(6)),
    ("pagedown", Base::Numbered(6)),
    ("pgdn", Base::Numbered(6)),
    ("f1", Base::Function(b'P')),
    ("f2", Base::Function(b'Q')),
    ("f3", Base::Function(b'R')),
    ("f4", Base::Function(b'S')),
    ("kp-enter", Base::Keypad(b'\r', b'M')),
    ("kp-multiply", Base::Keypad(b'*', b'j')),
    ("kp-plus", Base::Keypad(b'+', b'k')),
    ("kp-comma", Base::Keypad(b',', b'l')),
    ("kp-minus", Base::Keypad(b'-', b'm')),
    ("kp-decimal", Base::Keypad(b'.', b'n')),
    ("kp-divide", Base::Keypad(b'/', b'o')),
    ("kp-equal", Base::Keypad(b'=', b'X')),
];

/// The numbers of f5 to f20.
const FUNCTIONS: [u8; 16] = [15, 17, 18, 19, 20, 21, 23, 24, 25, 26, 28, 29, 31, 32, 33, 34];

/// Reads a key's name. Letters stand for themselves; all else may be written in either case.
///
/// # Errors
///
/// In words, for the person who wrote it.
pub(crate) fn parse_key(text: &str) -> Result<Key, String> {
    let (mut modifiers, name) = split_modifiers(text);
    let base = base_of(name).ok_or_else(|| unknown(text))?;
    let Modifiers { shift, alt, ctrl } = modifiers;
    let base = match base {
        Base::Character(letter) if ctrl && control_byte(letter).is_none() => {
            return Err(format!("\"{text}\" is no key: no terminal has ctrl with {letter}"));
        }
        Base::Character(letter) if shift && letter != ' ' => {
            if !letter.is_ascii_alphabetic() {
                let why = "write the character that shift makes of it";
                return Err(format!("\"{text}\" depends on the keyboard: {why}"));
            }
            modifiers.shift = false;
            Base::Character(letter.to_ascii_uppercase())
        }
        Base::Keypad(..) if shift || alt || ctrl => {
            return Err(format!("\"{text}\" is no key: nothing is held with the keypad"));
        }
        base => base,
    };
    Ok(Key { base, modifiers })
}

fn split_modifiers(text: &str) -> (Modifiers, &str) {
    let mut modifiers = Modifiers::default();
    let mut rest = text;
    loop {
        let lower = rest.to_ascii_lowercase();
        let held = ["shift-", "alt-", "meta-", "ctrl-", "control-"]
            .into_iter()
            .find(|held| lower.starts_with(held) && lower.len() > held.len());
        match held {
            Some("shift-") => modifiers.shift = true,
            Some("alt-" | "meta-") => modifiers.alt = true,
            Some(_) => modifiers.ctrl = true,
            None => return (modifiers, rest),
        }
        rest = &rest[held.map_or(0, str::len)..];
    }
}

fn base_of(name: &str) -> Option<Base> {
    let mut letters = name.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return (!letter.is_control()).then_some(Base::Character(letter));
    }
    let name = name.to_ascii_lowercase();
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, base)| *base);
    named.or_else(|| counted(&name))
}

/// f5 to f20, kp-0 to kp-9.
fn counted(name: &str) -> Option<Base> {
    if let Some(&[digit @ b'0'..=b'9']) = name.strip_prefix("kp-").map(str::as_bytes) {
        return Some(Base::Keypad(digit, digit - b'0' + b'p'));
    }
    let digits = name.strip_prefix('f').filter(|digits| !digits.starts_with(['0', '+']))?;
    let number = digits.parse::<usize>().ok()?;
    FUNCTIONS.get(number.checked_sub(5)?).map(|number| Base::Numbered(*number))
}

fn unknown(text: &str) -> String {
    format!(
        "\"{text}\" is no key; keys are characters, and enter, tab, space, backspace, escape, up, \
         down, left, right, home, end, insert, delete, page-up, page-down, f1 to f20, kp-0 to \
         kp-9, kp-enter, with ctrl-, alt- and shift- before them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_either_case_and_with_their_short_forms() {
        for (name, same) in [
            ("Ctrl-Alt-Delete", "control-meta-del"),
            ("PgUp", "page-up"),
            ("PAGEDOWN", "pgdn"),
            ("Return", "enter"),
            ("Esc", "escape"),
            ("F5", "f5"),
            ("KP-5", "kp-5"),
            ("ctrl-C", "CTRL-C"),
            ("shift-space", "SHIFT-SPACE"),
        ] {
            assert_eq!(parse_key(name), parse_key(same), "{name}");
            assert!(parse_key(name).is_ok(), "{name}");
        }
        assert_ne!(parse_key("g"), parse_key("G"), "letters stand for themselves");
    }

    #[test]
    fn what_is_no_key_is_refused_with_some_that_are() {
        for text in [
            "",
            "foo",
            "ctrl-",
            "ctrl-foo",
            "f0",
            "f21",
            "f05",
            "f+5",
            "kp-10",
            "kp-x",
            "\x01",
            "ctrl-é",
            "ctrl-1",
            "ctrl--",
            "shift-1",
            "shift-é",
            "ctrl-kp-1",
            "up up",
        ] {
            assert!(parse_key(text).is_err(), "{text:?}");
        }
        let why = parse_key("foo").unwrap_err();
        assert!(why.contains("enter") && why.contains("f20") && why.contains("ctrl-"), "{why}");
    }
}
