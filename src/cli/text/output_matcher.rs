//! Looking for a pattern in what a program prints, while it does.
//!
//! Pure. Escape sequences are taken out first, and matches may lie across pieces of output. A
//! pattern is tried on all that came so far whenever nothing more waits: the first match counts,
//! and what comes later does not make it longer.

use regex::bytes::Regex;

use super::plain_text::PlainText;

/// Text in which a match may begin: 64 KiB, about a thousand lines. A longer match is found only by
/// chance. Three times that is held at most, and 16 bytes for each run of text between two escape
/// sequences: 8 MiB in the worst case, which is a sequence between any two characters.
const WINDOW: usize = 64 * 1024;

/// Text before the window that is kept, so that `^` and `\b` see what they stand behind: one
/// character.
const CONTEXT: usize = 4;

/// Looks for one pattern.
#[derive(Clone, Debug)]
pub(crate) struct OutputMatcher {
    pattern: Regex,
    plain: PlainText,
    text: Vec<u8>,
    /// Where a match may begin.
    begin: usize,
    /// Where runs of text begin that were printed without anything in between: index and offset.
    runs: Vec<(usize, u64)>,
    /// How much of the text was searched.
    searched: usize,
}

/// What matched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Found {
    /// The output offset of its first byte.
    pub(crate) offset: u64,
    /// The output offset after its last byte; escape sequences may lie in between.
    pub(crate) end: u64,
    /// The text, without escape sequences.
    pub(crate) text: Vec<u8>,
}

/// Reads a pattern.
///
/// # Errors
///
/// In words, for the person who wrote it.
pub(crate) fn parse_pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}

impl OutputMatcher {
    /// Looks for this.
    pub(crate) fn new(pattern: Regex) -> Self {
        let plain = PlainText::default();
        Self { pattern, plain, text: Vec::new(), begin: 0, runs: Vec::new(), searched: 0 }
    }

    /// The program printed. Once [`is_due`](Self::is_due) says so, it is to be searched.
    pub(crate) fn push(&mut self, offset: u64, bytes: &[u8]) {
        let (text, runs) = (&mut self.text, &mut self.runs);
        self.plain.push(offset, bytes, |at, byte| {
            let expected = runs.last().map(|(index, begin)| begin + (text.len() - index) as u64);
            if expected != Some(at) {
                runs.push((text.len(), at));
            }
            text.push(byte);
        });
    }

    /// Whether some text was not searched yet.
    pub(crate) const fn has_news(&self) -> bool {
        self.text.len() > self.searched
    }

    /// Whether so much was not searched yet that no more may come before it is.
    pub(crate) const fn is_due(&self) -> bool {
        self.text.len() - self.searched >= WINDOW
    }

    /// Searches what came. It costs as much as the whole window, so it is done when nothing else
    /// waits to be taken in.
    pub(crate) fn search(&mut self) -> Option<Found> {
        let found = self.pattern.find_at(&self.text, self.begin).map(|found| {
            let offset = offset_at(&self.runs, found.start());
            // Behind its last byte, not before what comes next: a sequence may lie there.
            let last = found.range().last().map(|last| offset_at(&self.runs, last) + 1);
            Found { offset, end: last.unwrap_or(offset), text: found.as_bytes().to_vec() }
        });
        self.trim();
        self.searched = self.text.len();
        found
    }

    /// Output is missing: nothing before it and after it belongs together.
    pub(crate) fn handle_gap(&mut self) {
        *self = Self::new(self.pattern.clone());
    }

    /// Forgets text once it is twice as much as is kept, so that each byte is moved at most once.
    fn trim(&mut self) {
        if self.text.len() <= 2 * WINDOW {
            return;
        }
        let cut = self.text.len() - WINDOW - CONTEXT;
        let first = self.runs.partition_point(|(index, _)| *index <= cut).saturating_sub(1);
        let offset = offset_at(&self.runs, cut);
        self.runs.drain(..first);
        self.runs.iter_mut().for_each(|(index, _)| *index = index.saturating_sub(cut));
        if let Some(run) = self.runs.first_mut() {
            *run = (0, offset);
        }
        self.text.drain(..cut);
        // Not in the middle of a character.
        let is_inside = |byte: &u8| byte & 0xc0 == 0x80;
        let rest = self.text[CONTEXT..].iter().take(CONTEXT);
        self.begin = CONTEXT + rest.take_while(|byte| is_inside(byte)).count();
    }
}

/// The output offset of the byte of text at `index`.
fn offset_at(runs: &[(usize, u64)], index: usize) -> u64 {
    let number = runs.partition_point(|(begin, _)| *begin <= index).saturating_sub(1);
    runs.get(number).map_or(0, |(begin, offset)| offset + (index - begin) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(pattern: &str) -> OutputMatcher {
        OutputMatcher::new(parse_pattern(pattern).unwrap())
    }

    fn found(pattern: &str, pieces: &[&[u8]]) -> Option<(u64, String)> {
        found_whole(pattern, pieces)
            .map(|found| (found.offset, String::from_utf8(found.text).unwrap()))
    }

    fn found_whole(pattern: &str, pieces: &[&[u8]]) -> Option<Found> {
        let mut matcher = matcher(pattern);
        let mut offset = 1000;
        pieces.iter().find_map(|piece| {
            matcher.push(offset, piece);
            offset += piece.len() as u64;
            matcher.search()
        })
    }

    #[test]
    fn matches_lie_across_pieces_and_escape_sequences() {
        let output = b"\x1b[32mok\x1b[m: 3\x1b]0;t\x07 pas\x1b[1msed\x1b[m\r\n";
        for cut in 0..=output.len() {
            let found = found("ok: 3 passed", &[&output[..cut], &output[cut..]]);
            assert_eq!(found, Some((1005, "ok: 3 passed".into())), "cut at {cut}");
        }
        let bytes = output.iter().map(std::slice::from_ref).collect::<Vec<_>>();
        assert_eq!(found("(?m)passed$", &bytes), Some((1020, "passed".into())));
        assert_eq!(found("31|title|0;t", &[output]), None, "sequences are no text");
    }

    #[test]
    fn a_match_ends_behind_its_last_byte() {
        let output = b"a\x1b[1mb\x1b[mc\r\nd";
        let end = |pattern| found_whole(pattern, &[output]).map(|found| (found.offset, found.end));
        assert_eq!(end("ab"), Some((1000, 1006)));
        assert_eq!(end("(?m)c$"), Some((1009, 1010)));
        assert_eq!(end("c\nd"), Some((1009, 1013)));
        assert_eq!(end("x*"), Some((1000, 1000)), "nothing, at the beginning");
        assert_eq!(end("d*$"), Some((1012, 1013)));
    }

    #[test]
    fn characters_are_matched_whole() {
        let output = "… naïve 日本".as_bytes();
        let bytes = output.iter().map(std::slice::from_ref).collect::<Vec<_>>();
        assert_eq!(found(r"\w日本|日本", &bytes), Some((1011, "日本".into())));
        assert_eq!(found("(?i)NAÏVE", &[output]), Some((1004, "naïve".into())));
        assert_eq!(found(r"\xff", &[b"\xff"]), None, "a character, not a byte");
    }

    #[test]
    fn lines_end_before_their_newline() {
        assert_eq!(found("(?m)^b$", &[b"a\r\nb\r", b"\nc"]), Some((1003, "b".into())));
        assert_eq!(found(r"\$ $", &[b"make\r\n", b"user$ "]), Some((1010, "$ ".into())));
    }

    #[test]
    fn memory_stays_bounded_and_offsets_right() {
        let mut matcher = matcher(r"(?m:^needle$)|\Afirst");
        let lines = b"\x1b[31mx\x1b[m, not a need\xc3\xa9le\r\n".repeat(300);
        let mut offset = 0;
        while offset < 1024 * 1024 {
            matcher.push(offset, &lines);
            offset += lines.len() as u64;
            assert!(matcher.has_news());
            if matcher.is_due() {
                assert_eq!(matcher.search(), None);
            }
            assert!(matcher.text.len() <= 3 * WINDOW, "{}", matcher.text.len());
            assert!(matcher.runs.len() <= matcher.text.len());
        }
        // No new beginning of all text is made up.
        matcher.push(offset, b"first\r\n");
        assert_eq!(matcher.search(), None);
        matcher.push(offset + 7, b"\x1b[mneedle\r\n");
        let found = Found { offset: offset + 10, end: offset + 16, text: b"needle".to_vec() };
        assert_eq!(matcher.search(), Some(found));
    }

    #[test]
    fn nothing_matches_across_a_gap() {
        let mut matcher = matcher("ab");
        matcher.push(0, b"a\x1b[");
        matcher.handle_gap();
        matcher.push(9, b"b");
        assert_eq!(matcher.search(), None);
        matcher.push(10, b"ab");
        assert_eq!(matcher.search(), Some(Found { offset: 10, end: 12, text: b"ab".to_vec() }));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert!(parse_pattern("a(").unwrap_err().contains("unclosed group"));
    }
}
