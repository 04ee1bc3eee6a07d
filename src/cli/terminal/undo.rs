//! The bytes that give a terminal back as it was before a child's output was shown on it.

use super::modes::TerminalModes;

/// What [`ALWAYS`] turns off.
const ALWAYS_OFF: [u16; 9] = [1, 25, 66, 1000, 1002, 1003, 1004, 1006, 2004];

/// Turned off whether or not we saw them turned on: a terminal that has none of them is not
/// changed, and one that has is unusable with them.
const ALWAYS: &str = "\x1b[?1000;1002;1003;1004;1006;2004;1l\x1b>\x1b[?25h\x1b[m";

impl TerminalModes {
    /// What to send so that nothing the child turned on stays on.
    ///
    /// The alternate screen is left only if it is shown: leaving it twice would move the cursor.
    pub(crate) fn undo(&self) -> String {
        let mut bytes = String::new();
        if self.is_inside_sequence() {
            bytes.push_str("\x18\x1b\\");
        }
        if self.is_alternate {
            bytes.push_str(&undo_keyboard(self.keyboard[1]));
            let screen = [1049, 1047, 47].into_iter().find(|mode| self.changed.contains(mode));
            bytes.push_str(&format!("\x1b[?{}l", screen.unwrap_or(1049)));
        }
        bytes.push_str(&undo_keyboard(self.keyboard[0]));
        bytes.push_str(&"\x1b[23;0t".repeat(self.titles.into()));
        bytes.push_str(ALWAYS);
        for mode in &self.changed {
            match mode {
                // Left above.
                47 | 1047 | 1049 => {}
                mode if ALWAYS_OFF.contains(mode) => {}
                7 => bytes.push_str("\x1b[?7h"),
                mode => bytes.push_str(&format!("\x1b[?{mode}l")),
            }
        }
        if self.has_margins {
            // Margins take the cursor home with them; it is kept where it is.
            bytes.push_str("\x1b7\x1b[r\x1b8");
        }
        let small = [
            (self.is_inserting, "\x1b[4l"),
            (self.has_cursor_style, "\x1b[0 q"),
            (self.has_charset, "\x1b(B\x1b)B\x0f"),
            (self.has_key_format, "\x1b[>4m"),
        ];
        bytes.extend(small.iter().filter(|(is_on, _)| *is_on).map(|(_, undo)| *undo));
        bytes
    }
}

fn undo_keyboard((depth, is_set): (u16, bool)) -> String {
    let mut bytes = String::new();
    if depth > 0 {
        bytes.push_str(&format!("\x1b[<{depth}u"));
    }
    if is_set {
        bytes.push_str("\x1b[=0u");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(output: &[u8]) -> String {
        let mut modes = TerminalModes::default();
        modes.push(output);
        let bytes = modes.undo();
        let mut after = modes.clone();
        after.push(bytes.as_bytes());
        // A character set that was restored is still one that was touched.
        assert!(after.changed.is_empty() && !after.is_alternate && !after.has_margins, "{bytes:?}");
        assert!(!after.is_inserting && !after.has_cursor_style && !after.has_key_format);
        assert_eq!(after.keyboard, [(0, false); 2], "{bytes:?}");
        assert!(!after.is_inside_sequence());
        bytes
    }

    #[test]
    fn an_untouched_terminal_is_told_only_what_cannot_hurt() {
        assert_eq!(undo(b"hello\r\n"), ALWAYS);
    }

    #[test]
    fn everything_turned_on_is_turned_off() {
        let left_on = b"\x1b[?1049h\x1b[?1000;1002;1003;1006;1015;2004;1004;1;5;6;2026;2048h\x1b=\
            \x1b[>1u\x1b[?25l\x1b[?7l\x1b[1;5r\x1b[4h\x1b[4 q\x1b(0\x1b[>4;2m\x1b[31m";
        let bytes = undo(left_on);
        for part in ["\x1b[<1u", "\x1b[?1049l", "\x1b[?25h", "\x1b[m", "\x1b[?7h", "\x1b[>4m"] {
            assert!(bytes.contains(part), "{part:?} in {bytes:?}");
        }
        let keyboard = bytes.find("\x1b[<1u").unwrap();
        assert!(keyboard < bytes.find("\x1b[?1049l").unwrap(), "on the screen it was pushed on");
        undo(b"\x1b[>1u\x1b[=2u\x1b[?47h\x1b[>3u");
        assert!(undo(b"\x1b[?47h").contains("\x1b[?47l"));
    }

    #[test]
    fn a_sequence_that_was_cut_does_not_swallow_what_follows() {
        assert!(undo(b"\x1b]0;half a title").starts_with("\x18\x1b\\"));
        assert!(undo(b"\x1b[?10").starts_with("\x18\x1b\\"));
    }
}
