//! Text as a terminal pastes it.
//!
//! Pure. Newlines become carriage returns, as if each line had been typed. A program that asked for
//! it (mode 2004) is told where the paste begins and ends, so that it runs nothing; text that holds
//! the end itself must not get out of there, so its escape becomes a space, as xterm does with
//! controls it does not let through.

/// Tells the program that a paste begins.
const BEGIN: &[u8] = b"\x1b[200~";

/// Tells the program that it ended.
const END: &[u8] = b"\x1b[201~";

/// One paste, in as many pieces as it comes.
#[derive(Clone, Debug)]
pub(crate) struct Paste {
    is_bracketed: bool,
    has_begun: bool,
    /// How much of [`END`] the text ends with.
    matched: usize,
    was_return: bool,
}

impl Paste {
    /// Into a program that asked for brackets, or not.
    pub(crate) const fn new(is_bracketed: bool) -> Self {
        Self { is_bracketed, has_begun: false, matched: 0, was_return: false }
    }

    /// Appends what a terminal sends for the next piece.
    pub(crate) fn push(&mut self, text: &[u8], sent: &mut Vec<u8>) {
        self.begin(sent);
        for &byte in text {
            let is_pair = std::mem::replace(&mut self.was_return, byte == b'\r') && byte == b'\n';
            if !is_pair {
                self.push_byte(if byte == b'\n' { b'\r' } else { byte }, sent);
            }
        }
    }

    /// Appends what a terminal sends at the end.
    pub(crate) fn finish(mut self, sent: &mut Vec<u8>) {
        self.begin(sent);
        if self.is_bracketed {
            // An escape right before the end would spoil that.
            self.release(sent);
            sent.extend_from_slice(END);
        }
    }

    fn begin(&mut self, sent: &mut Vec<u8>) {
        if self.is_bracketed && !std::mem::replace(&mut self.has_begun, true) {
            sent.extend_from_slice(BEGIN);
        }
    }

    fn push_byte(&mut self, byte: u8, sent: &mut Vec<u8>) {
        if !self.is_bracketed {
            return sent.push(byte);
        }
        if byte == END[self.matched] {
            self.matched += 1;
            if self.matched == END.len() {
                self.release(sent);
            }
            return;
        }
        // It was not the end: an escape begins it anew, and nothing else does.
        sent.extend_from_slice(&END[..self.matched]);
        self.matched = usize::from(byte == END[0]);
        if self.matched == 0 {
            sent.push(byte);
        }
    }

    /// Lets go what was held back, without its escape.
    fn release(&mut self, sent: &mut Vec<u8>) {
        if let Some(rest) = END[..self.matched].get(1..) {
            sent.push(b' ');
            sent.extend_from_slice(rest);
        }
        self.matched = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent, the same however the text is cut.
    fn pasted(text: &[u8], is_bracketed: bool) -> Vec<u8> {
        let of = |pieces: &[&[u8]]| {
            let mut paste = Paste::new(is_bracketed);
            let mut sent = Vec::new();
            pieces.iter().for_each(|piece| paste.push(piece, &mut sent));
            paste.finish(&mut sent);
            sent
        };
        let whole = of(&[text]);
        for cut in 0..=text.len() {
            assert_eq!(of(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
        whole
    }

    #[test]
    fn lines_are_ended_as_the_enter_key_ends_them() {
        assert_eq!(pasted(b"a\nb\r\nc\rd\n\n\r\r\n", false), b"a\rb\rc\rd\r\r\r\r");
        assert_eq!(pasted(b"a\nb\r\n", true), b"\x1b[200~a\rb\r\x1b[201~");
        assert_eq!(pasted(b"", true), b"\x1b[200~\x1b[201~");
        assert_eq!(pasted(b"", false), b"");
    }

    #[test]
    fn text_does_not_get_out_of_the_brackets() {
        for text in [
            &b"x\x1b[201~rm -rf\r"[..],
            b"\x1b\x1b[201~",
            b"\x1b[20\x1b[201~1~",
            b"\x1b[201\x1b[201~~",
            b"\x1b[201~\x1b[201~",
            b"x\x1b",
            b"x\x1b[201",
        ] {
            let sent = pasted(text, true);
            let inside = sent.strip_prefix(BEGIN).unwrap().strip_suffix(END).unwrap();
            assert!(!inside.windows(END.len()).any(|part| part == END), "{sent:?}");
            assert_ne!(inside.last(), Some(&0x1b), "{sent:?}");
        }
        assert_eq!(pasted(b"a\x1b[201~b", true), b"\x1b[200~a [201~b\x1b[201~");
        assert_eq!(pasted(b"\x1b[31m\x1b[201x", true), b"\x1b[200~\x1b[31m\x1b[201x\x1b[201~");
        assert_eq!(pasted(b"a\x1b[201~b", false), b"a\x1b[201~b", "nothing to get out of");
    }
}
