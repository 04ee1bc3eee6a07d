//! How long the line is that a terminal puts together, and what of the input still fits it.
//!
//! A terminal in canonical mode keeps the line under way until it ends, has room for so many bytes
//! of it, and throws away what comes beyond. The gauge knows the line from what was written:
//!
//! ```text
//! ends of lines          looked at           written
//! |  ...  |  line: as the terminal has it  |  unjudged  |  bytes to be written
//! ```
//!
//! Which bytes end a line, erase or belong to it depends on the terminal's modes, and to look at
//! them costs a system call. So bytes are only remembered while the line would fit whatever they
//! mean; beyond that the modes are looked at, and all that was remembered is judged by them.
//!
//! Where modes changed in between, the line is taken for longer than it is, never for shorter: what
//! was written before a terminal became canonical may wait in the kernel until it is, and counts as
//! if it did. The terminal itself begins a new line somewhere in it, and a suffix of what was
//! written never makes a longer line than the whole. The next end of a line puts that right.

/// The modes and special characters that decide what becomes of a byte.
///
/// A character that is `None` is switched off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LineRules {
    /// Lines are put together at all; nothing else counts if they are not.
    pub is_canonical: bool,
    /// Bytes lose their eighth bit.
    pub strips: bool,
    /// A byte 255 is kept as two.
    pub doubles_255: bool,
    /// Carriage returns are dropped.
    pub ignores_cr: bool,
    /// Carriage returns count as newlines.
    pub maps_cr: bool,
    /// Newlines count as carriage returns.
    pub maps_nl: bool,
    /// What is erased are characters of UTF-8.
    pub is_utf8: bool,
    /// Input is echoed.
    pub echoes: bool,
    /// The whole line is erased character by character.
    pub kills_visibly: bool,
    /// `word_erase`, `literal_next`, `reprint` and `line_end_2` mean something.
    pub is_extended: bool,
    /// `start` and `stop` mean something.
    pub has_flow: bool,
    /// `signals` mean something.
    pub has_signals: bool,
    /// A signal leaves the line as it is.
    pub keeps_line: bool,
    /// Interrupt, quit and suspend.
    pub signals: [Option<u8>; 3],
    /// Output goes on.
    pub start: Option<u8>,
    /// Output is held.
    pub stop: Option<u8>,
    /// Takes back a character.
    pub erase: Option<u8>,
    /// Takes back the line.
    pub kill: Option<u8>,
    /// Takes back a word.
    pub word_erase: Option<u8>,
    /// The next byte means nothing special.
    pub literal_next: Option<u8>,
    /// Shows the line again.
    pub reprint: Option<u8>,
    /// Hands the line over as it is; on an empty line, the end of input.
    pub end_of_file: Option<u8>,
    /// Ends a line, and belongs to it.
    pub line_end: Option<u8>,
    /// As `line_end`.
    pub line_end_2: Option<u8>,
}

/// Follows the line under way of one terminal.
#[derive(Debug)]
pub struct LineGauge {
    /// Bytes of a line that the terminal keeps, not counting what ends it.
    limit: usize,
    line: Line,
    /// Written last while the terminal was not canonical, at most `limit` bytes.
    uncooked: Vec<u8>,
    /// Written since the modes were last looked at.
    unjudged: Vec<u8>,
    /// What the bytes about to be written are judged by, if it matters.
    rules: Option<LineRules>,
    scratch: Line,
}

impl LineGauge {
    /// For a terminal that keeps `limit` bytes of a line and one that ends it.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Line::with_capacity(limit),
            uncooked: Vec::with_capacity(limit),
            unjudged: Vec::with_capacity(limit / MOST_PER_BYTE),
            rules: None,
            scratch: Line::with_capacity(limit),
        }
    }

    /// Whether it depends on the terminal's modes if `count` more bytes fit.
    pub const fn needs_look(&self, count: usize) -> bool {
        let unsure = (self.unjudged.len() + count) * MOST_PER_BYTE;
        self.line.bytes.len() + unsure > self.limit
    }

    /// How many of `bytes`, from the front, may be written: the terminal would throw away the next.
    ///
    /// `rules` are the modes right now. Without them, as [`needs_look`](Self::needs_look) allows,
    /// all fit.
    pub fn judge(&mut self, bytes: &[u8], rules: Option<LineRules>) -> usize {
        debug_assert!(rules.is_some() || !self.needs_look(bytes.len()), "nobody looked");
        self.rules = rules;
        let Some(rules) = &rules else { return bytes.len() };
        let unjudged = std::mem::take(&mut self.unjudged);
        self.take_written(&unjudged, rules);
        self.unjudged = unjudged;
        self.unjudged.clear();
        if !rules.is_canonical {
            return bytes.len();
        }
        self.scratch.clone_from(&self.line);
        self.scratch.take_fitting(bytes, rules, self.limit)
    }

    /// These, the first of those judged last, were written.
    pub fn handle_written(&mut self, bytes: &[u8]) {
        match self.rules {
            None => self.unjudged.extend_from_slice(bytes),
            Some(rules) => self.take_written(bytes, &rules),
        }
    }

    /// The line under way, as far as it was judged.
    pub fn line(&self) -> &[u8] {
        &self.line.bytes
    }

    /// Whether the terminal has exactly this line, and not maybe less of it.
    pub const fn is_line_sure(&self) -> bool {
        !self.line.is_guess
    }

    fn take_written(&mut self, bytes: &[u8], rules: &LineRules) {
        if !rules.is_canonical {
            let line = std::mem::take(&mut self.line.bytes);
            self.keep_uncooked(&line);
            self.line = Line { bytes: line, ..Line::default() };
            self.line.end();
            return self.keep_uncooked(bytes);
        }
        if !self.uncooked.is_empty() {
            self.line.take_all(&self.uncooked, rules, self.limit);
            self.uncooked.clear();
            self.line.is_guess = true;
        }
        self.line.take_all(bytes, rules, self.limit);
    }

    /// Keeps the newest bytes.
    fn keep_uncooked(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.limit)..];
        let excess = (self.uncooked.len() + bytes.len()).saturating_sub(self.limit);
        self.uncooked.drain(..excess);
        self.uncooked.extend_from_slice(bytes);
    }
}

/// The line under way, as the terminal has it.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    /// The next byte means nothing special.
    is_quoted: bool,
    /// The terminal may have less of it: some was written before it was canonical.
    is_guess: bool,
}

impl Line {
    fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), ..Self::default() }
    }

    fn clone_from(&mut self, other: &Self) {
        self.bytes.clone_from(&other.bytes);
        (self.is_quoted, self.is_guess) = (other.is_quoted, other.is_guess);
    }

    /// Takes bytes until one does not fit; returns how many it took.
    fn take_fitting(&mut self, bytes: &[u8], rules: &LineRules, limit: usize) -> usize {
        let special = rules.special();
        let mut fits = |&byte: &u8| self.take(byte, rules, &special, limit);
        bytes.iter().position(|byte| !fits(byte)).unwrap_or(bytes.len())
    }

    /// Takes all bytes that fit, as the terminal does.
    fn take_all(&mut self, bytes: &[u8], rules: &LineRules, limit: usize) {
        let special = rules.special();
        for &byte in bytes {
            self.take(byte, rules, &special, limit);
        }
    }

    /// Does with a byte what the terminal does; returns whether it had room for it.
    fn take(&mut self, byte: u8, rules: &LineRules, special: &ByteSet, limit: usize) -> bool {
        let byte = if rules.strips { byte & 0x7f } else { byte };
        let size = if rules.doubles_255 { 2 } else { 1 };
        if !special.has(byte) || self.is_quoted {
            let is_fitting = self.append(byte, if byte == 0xff { size } else { 1 }, limit);
            self.is_quoted &= !is_fitting;
            return is_fitting;
        }
        match rules.meaning(byte) {
            Meaning::Nothing => {}
            Meaning::End => self.end(),
            Meaning::Erase => {
                self.erase_one(rules);
            }
            Meaning::EraseWord => self.erase_word(rules),
            Meaning::Kill if rules.kills_visibly => while self.erase_one(rules) {},
            Meaning::Kill => self.end(),
            // Refused where what it quotes would not fit.
            Meaning::Quote if self.bytes.len() + size > limit => return false,
            Meaning::Quote => self.is_quoted = true,
            Meaning::Itself(byte) => return self.append(byte, 1, limit),
        }
        true
    }

    fn append(&mut self, byte: u8, size: usize, limit: usize) -> bool {
        let is_fitting = self.bytes.len() + size <= limit;
        self.is_guess &= !self.bytes.is_empty();
        if is_fitting {
            self.bytes.resize(self.bytes.len() + size, byte);
        }
        is_fitting
    }

    fn end(&mut self) {
        self.bytes.clear();
        self.is_guess = false;
    }

    /// Takes back a character; returns whether there was one. Half a character is not taken back.
    fn erase_one(&mut self, rules: &LineRules) -> bool {
        let start = self.last_character(rules);
        self.bytes.truncate(start.unwrap_or(self.bytes.len()));
        start.is_some()
    }

    fn erase_word(&mut self, rules: &LineRules) {
        let mut is_in_word = false;
        while let Some(start) = self.last_character(rules) {
            if is_word_byte(self.bytes[start]) {
                is_in_word = true;
            } else if is_in_word {
                break;
            }
            self.bytes.truncate(start);
        }
    }

    /// Where the last character begins, if a whole one is there.
    fn last_character(&self, rules: &LineRules) -> Option<usize> {
        let begins = |byte: &u8| !rules.is_utf8 || byte & 0xc0 != 0x80;
        self.bytes.iter().rposition(begins)
    }
}

/// What a byte means where it is not quoted.
enum Meaning {
    Nothing,
    End,
    Erase,
    EraseWord,
    Kill,
    Quote,
    /// It becomes part of the line, as this byte.
    Itself(u8),
}

impl LineRules {
    /// In the order in which a terminal asks.
    fn meaning(&self, byte: u8) -> Meaning {
        let is = |character: Option<u8>| character == Some(byte);
        let is_extended = |character| self.is_extended && is(character);
        if self.has_flow && (is(self.start) || is(self.stop)) {
            return Meaning::Nothing;
        }
        if self.has_signals && self.signals.into_iter().any(is) {
            return if self.keeps_line { Meaning::Nothing } else { Meaning::End };
        }
        match byte {
            b'\r' if self.ignores_cr => return Meaning::Nothing,
            b'\r' if self.maps_cr => return Meaning::End,
            b'\n' if self.maps_nl => return Meaning::Itself(b'\r'),
            _ => {}
        }
        if is(self.erase) {
            Meaning::Erase
        } else if is(self.kill) {
            Meaning::Kill
        } else if is_extended(self.word_erase) {
            Meaning::EraseWord
        } else if is_extended(self.literal_next) {
            Meaning::Quote
        } else if self.echoes && is_extended(self.reprint) {
            Meaning::Nothing
        } else if byte == b'\n'
            || is(self.end_of_file)
            || is(self.line_end)
            || is_extended(self.line_end_2)
        {
            Meaning::End
        } else {
            Meaning::Itself(byte)
        }
    }

    /// All bytes that may mean something.
    fn special(&self) -> ByteSet {
        let characters = [
            self.start,
            self.stop,
            self.erase,
            self.kill,
            self.word_erase,
            self.literal_next,
            self.reprint,
            self.end_of_file,
            self.line_end,
            self.line_end_2,
            Some(b'\r'),
            Some(b'\n'),
        ];
        let mut set = ByteSet::default();
        characters.into_iter().chain(self.signals).flatten().for_each(|byte| set.add(byte));
        set
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    const fn has(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 != 0
    }
}

/// What the kernel takes for part of a word: its table is Latin-1, where bytes that begin a
/// character of UTF-8 are letters, but for two.
const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || (byte >= 0xc0 && byte != 0xd7 && byte != 0xf7)
}

/// Most bytes of the line that one byte of input becomes.
const MOST_PER_BYTE: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 8;

    /// As terminals are left to themselves.
    fn cooked() -> LineRules {
        LineRules {
            is_canonical: true,
            maps_cr: true,
            is_utf8: true,
            echoes: true,
            kills_visibly: true,
            is_extended: true,
            has_flow: true,
            has_signals: true,
            signals: [Some(3), Some(28), Some(26)],
            start: Some(17),
            stop: Some(19),
            erase: Some(127),
            kill: Some(21),
            word_erase: Some(23),
            literal_next: Some(22),
            reprint: Some(18),
            end_of_file: Some(4),
            ..LineRules::default()
        }
    }

    /// Types all that fits; returns how much that was, and the line it left.
    fn typed(gauge: &mut LineGauge, bytes: &[u8], rules: LineRules) -> (usize, Vec<u8>) {
        let count = gauge.judge(bytes, Some(rules));
        gauge.handle_written(&bytes[..count]);
        (count, gauge.line().to_vec())
    }

    #[track_caller]
    fn assert_typed(bytes: &[u8], rules: LineRules, count: usize, line: &[u8]) {
        let mut gauge = LineGauge::new(LIMIT);
        assert_eq!(typed(&mut gauge, bytes, rules), (count, line.to_vec()), "at once");
        let mut gauge = LineGauge::new(LIMIT);
        let mut taken = 0;
        for byte in bytes.chunks(1) {
            match typed(&mut gauge, byte, rules).0 {
                0 => break,
                _ => taken += 1,
            }
        }
        assert_eq!((taken, gauge.line()), (count, line), "byte by byte");
    }

    #[test]
    fn a_line_is_taken_up_to_the_limit_and_its_end_always() {
        assert_typed(b"12345678\n", cooked(), 9, b"");
        assert_typed(b"123456789\n", cooked(), 8, b"12345678");
        assert_typed(b"1234567\n12345678\r123\x04123456789", cooked(), 29, b"12345678");
        assert_typed(b"12345678\x0412345678", cooked(), 17, b"12345678");
    }

    #[test]
    fn a_full_line_can_be_erased_ended_and_interrupted() {
        for (key, left) in [
            (&b"\x7f"[..], &b"1234567"[..]),
            (b"\x15", b""),
            (b"\x17", b""),
            (b"\x03", b""),
            (b"\n", b""),
            (b"\r", b""),
            (b"\x04", b""),
            (b"\x13\x11\x12", b"12345678"),
        ] {
            let bytes = [b"12345678", key].concat();
            assert_typed(&bytes, cooked(), bytes.len(), left);
        }
    }

    #[test]
    fn special_characters_that_are_off_or_quoted_belong_to_the_line() {
        assert_typed(b"1\x16\n\x16\x7f\x16\x162", cooked(), 8, b"1\n\x7f\x162");
        assert_typed(b"12345678\x16", cooked(), 8, b"12345678");
        assert_typed(b"1234567\x16\n\n", cooked(), 10, b"");
        let plain = LineRules { is_canonical: true, ..LineRules::default() };
        assert_typed(b"\x03\x04\r\x7f\x15\x16\0\n1", plain, 9, b"1");
        let quiet = LineRules { is_extended: false, echoes: false, ..cooked() };
        assert_typed(b"a\x16\x17\x12", quiet, 4, b"a\x16\x17\x12");
        let swapped = LineRules { maps_nl: true, ..cooked() };
        assert_typed(b"1\n2", swapped, 3, b"1\r2");
        let deaf = LineRules { ignores_cr: true, keeps_line: true, ..cooked() };
        assert_typed(b"1\r2\x03", deaf, 4, b"12");
    }

    #[test]
    fn what_is_erased_makes_room_by_whole_characters_and_words() {
        assert_typed("12ä€\x7f".as_bytes(), cooked(), 8, "12ä".as_bytes());
        assert_typed(b"\x80\x80\x7f\x15\x17", cooked(), 5, b"\x80\x80");
        let bytewise = LineRules { is_utf8: false, kills_visibly: false, ..cooked() };
        assert_typed(b"\x80\x80\x7f", bytewise, 3, b"\x80");
        assert_typed(b"\x80\x80\x15", bytewise, 3, b"");
        assert_typed(b"ab c_d.\x17", cooked(), 8, b"ab ");
        assert_typed("a è\x17".as_bytes(), cooked(), 5, b"a ");
    }

    #[test]
    fn a_byte_that_is_kept_as_two_needs_room_for_two() {
        let marked = LineRules { doubles_255: true, ..cooked() };
        assert_typed(b"1234567\xff", marked, 7, b"1234567");
        assert_typed(b"123456\xff", marked, 7, b"123456\xff\xff");
        assert_typed(b"1234567\x16", marked, 7, b"1234567");
        let stripped = LineRules { strips: true, ..cooked() };
        assert_typed(b"\xb1\x8a", stripped, 2, b"");
    }

    #[test]
    fn without_lines_there_is_no_limit() {
        let mut gauge = LineGauge::new(LIMIT);
        typed(&mut gauge, b"123456\x16", cooked());
        assert_eq!(typed(&mut gauge, &[b'x'; 1000], LineRules::default()), (1000, vec![]));
        assert_eq!(gauge.uncooked.len(), LIMIT);
    }

    #[test]
    fn what_may_wait_for_a_line_counts_until_a_line_ends() {
        let mut gauge = LineGauge::new(LIMIT);
        typed(&mut gauge, b"\r123456", LineRules::default());
        assert!(gauge.is_line_sure());
        assert_eq!(typed(&mut gauge, b"abc", cooked()), (2, b"123456ab".to_vec()));
        assert!(!gauge.is_line_sure());
        assert_eq!(typed(&mut gauge, b"\nabc", cooked()), (4, b"abc".to_vec()));
        assert!(gauge.is_line_sure());
        // What it was told to begin with is no line either once it was raw in between.
        typed(&mut gauge, b"", LineRules::default());
        assert_eq!(typed(&mut gauge, b"d", cooked()), (1, b"abcd".to_vec()));
        assert!(!gauge.is_line_sure());
        // A shell's line editor: each line ends, whatever the terminal calls it.
        typed(&mut gauge, b"vim; cat\rihello\x1b:wq\r", LineRules::default());
        assert_eq!(typed(&mut gauge, b"12345678\n", cooked()).0, 9);
    }

    #[test]
    fn modes_are_looked_at_only_once_the_line_could_be_full() {
        let mut gauge = LineGauge::new(LIMIT);
        for byte in [b"\r", b"2", b"3", b"4"] {
            assert!(!gauge.needs_look(1));
            assert_eq!(gauge.judge(byte, None), 1);
            gauge.handle_written(byte);
        }
        assert!(gauge.needs_look(1));
        assert_eq!(typed(&mut gauge, b"5", cooked()), (1, b"2345".to_vec()));
        assert!(!gauge.needs_look(2), "what was judged counts once");
        assert!(gauge.needs_look(3));
        assert_eq!(typed(&mut gauge, b"\n", cooked()), (1, vec![]));
        assert!(!gauge.needs_look(4));
    }

    #[test]
    fn only_what_was_written_counts() {
        let mut gauge = LineGauge::new(LIMIT);
        assert_eq!(gauge.judge(b"123456789", Some(cooked())), 8);
        gauge.handle_written(b"12");
        assert_eq!(typed(&mut gauge, b"3456789", cooked()), (6, b"12345678".to_vec()));
    }

    #[test]
    fn a_mode_that_changed_unseen_makes_the_line_longer_and_never_shorter() {
        // Whatever part of what was written the terminal took as lines, it has no longer line.
        let written = b"ab\x16c\x7f d\x17e\x15fgh";
        for from in 0..written.len() {
            let mut whole = LineGauge::new(100);
            let mut part = LineGauge::new(100);
            let whole = typed(&mut whole, written, cooked()).1;
            let part = typed(&mut part, &written[from..], cooked()).1;
            assert!(whole.ends_with(&part), "from {from}");
        }
    }
}
