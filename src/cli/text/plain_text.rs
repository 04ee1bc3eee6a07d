//! What a program printed, without what steers a terminal: escape sequences, strings to the
//! terminal, and all control characters but newline and tab.
//!
//! Pure; sequences may be cut anywhere. What is printed behind a carriage return begins a line, as
//! it does on the screen: each step of a progress bar is one.

/// Takes the text out of output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlainText {
    state: State,
    /// The offset of a carriage return that what follows decides about.
    held_return: Option<u64>,
    is_line_begun: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Ground,
    Escape,
    /// Inside an escape sequence that is longer than its first byte: `ESC ( B`.
    Intermediate,
    /// Behind `ESC [`.
    Sequence,
    /// Inside a string to the terminal, such as a title.
    Text,
}

impl PlainText {
    /// Takes output that begins at `offset`; hands each byte of text and its offset to `keep`.
    pub(crate) fn push(&mut self, offset: u64, bytes: &[u8], mut keep: impl FnMut(u64, u8)) {
        for (at, &byte) in (offset..).zip(bytes) {
            if self.state == State::Ground {
                self.take_ground(at, byte, &mut keep);
            } else {
                self.state = self.state.after(byte);
            }
        }
    }

    fn take_ground(&mut self, at: u64, byte: u8, keep: &mut impl FnMut(u64, u8)) {
        match byte {
            0x1b => self.state = State::Escape,
            b'\r' => self.held_return = self.held_return.or(Some(at)),
            b'\n' | b'\t' | 0x20..=0x7e | 0x80.. => {
                let held = self.held_return.take().filter(|_| byte != b'\n' && self.is_line_begun);
                if let Some(held) = held {
                    keep(held, b'\n');
                }
                keep(at, byte);
                self.is_line_begun = byte != b'\n';
            }
            _ => {}
        }
    }
}

impl State {
    const fn after(self, byte: u8) -> Self {
        match (self, byte) {
            // Cancel and substitute end anything, and an escape begins anew.
            (_, 0x18 | 0x1a) | (Self::Text, 0x07) => Self::Ground,
            (_, 0x1b) => Self::Escape,
            (Self::Escape, b'[') => Self::Sequence,
            (Self::Escape, b']' | b'P' | b'_' | b'^' | b'X') => Self::Text,
            (Self::Escape | Self::Intermediate, 0x20..=0x2f) => Self::Intermediate,
            (Self::Sequence, 0x40..=0x7e) | (Self::Escape | Self::Intermediate, 0x30..) => {
                Self::Ground
            }
            (state, _) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text, the same however the output is cut.
    fn plain(output: &[u8]) -> String {
        let of = |cut: usize| {
            let mut plain = PlainText::default();
            let mut kept = Vec::new();
            plain.push(0, &output[..cut], |at, byte| kept.push((at, byte)));
            plain.push(cut as u64, &output[cut..], |at, byte| kept.push((at, byte)));
            kept
        };
        let whole = of(0);
        let is_its_own = |(at, byte): &(u64, u8)| {
            let from = output[*at as usize];
            from == *byte || (from, *byte) == (b'\r', b'\n')
        };
        assert!(whole.iter().all(is_its_own), "{whole:?}");
        for cut in 0..=output.len() {
            assert_eq!(of(cut), whole, "{output:?} cut at {cut}");
        }
        String::from_utf8(whole.into_iter().map(|(_, byte)| byte).collect()).unwrap()
    }

    #[test]
    fn only_text_is_left() {
        assert_eq!(plain("\x1b[1;31mred\x1b[m \x1b[?25lé\x07".as_bytes()), "red é");
        assert_eq!(plain("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b".as_bytes()), "ab");
        assert_eq!(plain(b"\x1bPq#0\x1b\\c\x1b(Bd\x1b=e\x1b7f\x0e\x0f\x08\x7f\0"), "cdef");
        assert_eq!(plain(b"\x1b[31\x1b[mg\x1b]x\x18h\x1b[3\x1ai"), "ghi");
    }

    #[test]
    fn lines_end_with_a_newline_alone() {
        assert_eq!(plain(b"a\r\nb\r\r\nc\r50%\r60%\td\n"), "a\nb\nc\n50%\n60%\td\n");
        assert_eq!(plain(b"a\r\x1b[K\n"), "a\n");
        let of_a_shell = b"$ make\r\n\x1b[?2004l\r5 passed\r\n\x1b[?2004h$ ";
        assert_eq!(plain(of_a_shell), "$ make\n5 passed\n$ ");
    }
}
