//! Foreign text made harmless: what others named or printed never steers the terminal it is shown
//! on.

/// One line: every control character is written out, newlines too.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    escape_into(&mut shown, bytes, |_| false);
    shown
}

/// Lines: newlines and tabs stay, the carriage return that a terminal puts before a newline goes,
/// every other control character is written out.
pub(crate) fn escaped_lines(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len() + bytes.len() / 8);
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        escape_into(&mut shown, &rest[..at], is_layout);
        rest = &rest[at + 1..];
    }
    escape_into(&mut shown, rest, is_layout);
    shown
}

/// Lines that come in pieces: the same text as if they had come at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineEscaper {
    /// The end of what came, as far as only what follows tells how it is shown: a carriage return,
    /// or the first bytes of a character. At most three bytes.
    held: Vec<u8>,
}

impl LineEscaper {
    /// What is shown for the next piece.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let rest = self.held.split_off(settled(&self.held));
        let shown = escaped_lines(&self.held);
        self.held = rest;
        shown
    }

    /// What is shown for what was held back: nothing follows.
    pub(crate) fn finish(&mut self) -> String {
        escaped_lines(&std::mem::take(&mut self.held))
    }
}

/// How much from the front is shown the same whatever follows.
fn settled(bytes: &[u8]) -> usize {
    if bytes.last() == Some(&b'\r') {
        return bytes.len() - 1;
    }
    let Some(chunk) = bytes.utf8_chunks().last() else { return 0 };
    // Cut short it is an error without a length; any other is invalid whatever follows.
    let is_part =
        std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
    if is_part { bytes.len() - chunk.invalid().len() } else { bytes.len() }
}

fn is_layout(letter: char) -> bool {
    letter == '\n' || letter == '\t'
}

fn escape_into(shown: &mut String, bytes: &[u8], is_kept: fn(char) -> bool) {
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                letter if is_kept(letter) => shown.push(letter),
                '\n' => shown.push_str("\\n"),
                '\r' => shown.push_str("\\r"),
                '\t' => shown.push_str("\\t"),
                letter if letter.is_ascii_control() => {
                    shown.push_str(&format!("\\x{:02x}", letter as u32));
                }
                letter if is_steering(letter) => {
                    shown.push_str(&format!("\\u{{{:x}}}", letter as u32));
                }
                letter => shown.push(letter),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
}

/// What changes how the text around it is shown: the second block of controls, line and paragraph
/// separators, and everything that turns the direction of writing around.
fn is_steering(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}' | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_passes() {
        let every = (0..=255).collect::<Vec<u8>>();
        let shown = escaped(&every);
        assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{shown}");
        let steering = "\u{9b}31m \u{202e}abc\u{2066} \u{2028}";
        assert_eq!(escaped(steering.as_bytes()), "\\u{9b}31m \\u{202e}abc\\u{2066} \\u{2028}");
    }

    #[test]
    fn text_of_any_language_passes() {
        assert_eq!(escaped("naïve 日本語 עברית 🦀".as_bytes()), "naïve 日本語 עברית 🦀");
    }

    #[test]
    fn lines_keep_their_layout() {
        assert_eq!(escaped_lines(b"a\tb\r\nc\rd\r\r\n\x1b[31m"), "a\tb\nc\\rd\\r\n\\x1b[31m");
        assert_eq!(escaped_lines(b"\r"), "\\r");
        assert_eq!(escaped_lines(b"half \xe2\x82"), "half \\xe2\\x82");
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let bytes =
            b"a\r\nna\xc3\xafve \xf0\x9f\xa6\x80\r\r\n\xe2\x82\xff\xe2\x82\xac\r\x1b[m \xe2\x82";
        let whole = escaped_lines(bytes);
        for cut in 0..=bytes.len() {
            for next in cut..=bytes.len() {
                let mut lines = LineEscaper::default();
                let pieces = [&bytes[..cut], &bytes[cut..next], &bytes[next..]];
                let mut shown = String::new();
                for piece in pieces {
                    shown.push_str(&lines.push(piece));
                    assert!(lines.held.len() <= 3);
                }
                shown.push_str(&lines.finish());
                assert_eq!(shown, whole, "cut at {cut} and {next}");
            }
        }
    }

    #[test]
    fn nothing_is_held_back_without_need() {
        let mut lines = LineEscaper::default();
        assert_eq!(lines.push(b"prompt$ "), "prompt$ ");
        assert_eq!(lines.push(b"\xff"), "\\xff");
        assert_eq!(lines.push(b"x\r"), "x");
        assert_eq!(lines.push(b"\n"), "\n");
        assert_eq!(lines.push(b"\xc3"), "");
        assert_eq!(lines.finish(), "\\xc3");
    }
}
