//! What a child changed about the terminal its output is shown on, read from that output.
//!
//! Pure. It sees every byte the terminal was given, so what it says is what is on, for this
//! terminal: also when a replay began in the middle of a program's output.

/// Longest parameters of a control sequence that are looked at; longer ones change nothing here.
const PARAMETERS_MAX: usize = 64;

/// Most levels of keyboard flags a program may push that are counted.
const KEYBOARD_MAX: u16 = 64;

/// Most titles put aside that are counted; xterm keeps ten.
const TITLES_MAX: u16 = 10;

/// Private modes that are off on a terminal left to itself, and may be turned off blindly.
const OFF_BY_DEFAULT: [u16; 21] = [
    1, 5, 6, 9, 66, 69, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2026, 2031,
    2048, 47, 1047,
];

/// Private modes that are on on a terminal left to itself.
const ON_BY_DEFAULT: [u16; 2] = [7, 25];

/// The one with which programs save the cursor, too.
const ALTERNATE: u16 = 1049;

/// What is on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct TerminalModes {
    parser: Parser,
    /// Private modes that are not as they are by default.
    pub(super) changed: Vec<u16>,
    pub(super) is_alternate: bool,
    pub(super) is_inserting: bool,
    pub(super) has_margins: bool,
    pub(super) has_cursor_style: bool,
    pub(super) has_charset: bool,
    pub(super) has_key_format: bool,
    /// Levels of keyboard flags pushed, and whether flags were set in place: on either screen.
    pub(super) keyboard: [(u16, bool); 2],
    /// Window titles that were put aside.
    pub(super) titles: u16,
    /// How often the cursor's position was asked for.
    cursor_queries: u32,
    last: Option<u8>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Parser {
    state: State,
    parameters: Vec<u8>,
    intermediate: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Ground,
    Escape,
    Sequence,
    /// A string, to which an escape may be the beginning of its end.
    Text,
}

impl TerminalModes {
    /// The terminal is given these bytes.
    pub(crate) fn push(&mut self, output: &[u8]) {
        self.last = output.last().copied().or(self.last);
        let mut rest = output;
        while let Some((&byte, after)) = rest.split_first() {
            if self.parser.state == State::Ground {
                let starts = |byte: &u8| matches!(byte, 0x1b | 0x0e | 0x0f);
                let Some(at) = rest.iter().position(starts) else { return };
                self.take_ground(rest[at]);
                rest = &rest[at + 1..];
            } else {
                self.take(byte);
                rest = after;
            }
        }
    }

    /// How often the cursor's position was asked for, since the beginning.
    pub(crate) const fn cursor_queries(&self) -> u32 {
        self.cursor_queries
    }

    /// Whether the last byte was inside a sequence or string, which goes on.
    pub(crate) fn is_inside_sequence(&self) -> bool {
        self.parser.state != State::Ground
    }

    /// Whether the cursor is probably not at the beginning of a line: judged by the last byte, and
    /// not on the alternate screen, which is left for where one came from.
    pub(crate) fn is_mid_line(&self) -> bool {
        !self.is_alternate && !matches!(self.last, None | Some(b'\n'))
    }

    fn take_ground(&mut self, byte: u8) {
        match byte {
            0x1b => self.parser.state = State::Escape,
            // Shift out and in: the second character set, and back to the first.
            byte => self.has_charset |= byte == 0x0e,
        }
    }

    fn take(&mut self, byte: u8) {
        match (self.parser.state, byte) {
            // Cancel and substitute end anything.
            (_, 0x18 | 0x1a) | (State::Text, 0x07) => self.parser.state = State::Ground,
            (_, 0x1b) => {
                self.parser.state = State::Escape;
                self.parser.intermediate = 0;
            }
            (State::Escape, byte) => self.take_escape(byte),
            (State::Sequence, byte) => self.take_sequence(byte),
            (State::Text | State::Ground, _) => {}
        }
    }

    fn take_escape(&mut self, byte: u8) {
        let parser = &mut self.parser;
        match byte {
            b'[' if parser.intermediate == 0 => {
                parser.state = State::Sequence;
                parser.parameters.clear();
                return;
            }
            b'P' | b']' | b'_' | b'^' | b'X' if parser.intermediate == 0 => {
                parser.state = State::Text;
                return;
            }
            0x20..=0x2f => {
                parser.intermediate = byte;
                return;
            }
            0x00..=0x1f => return,
            _ => {}
        }
        match (parser.intermediate, byte) {
            (0, b'c') => return self.handle_reset(),
            (0, b'=') => self.change(66, true),
            (0, b'>') => self.change(66, false),
            (b'(' | b')' | b'*' | b'+', byte) => self.has_charset |= byte != b'B',
            _ => {}
        }
        self.parser.state = State::Ground;
        self.parser.intermediate = 0;
    }

    fn take_sequence(&mut self, byte: u8) {
        match byte {
            0x20..=0x3f => self.parser.parameters.push(byte),
            0x40..=0x7e => {
                let mut parameters = std::mem::take(&mut self.parser.parameters);
                self.parser.state = State::Ground;
                if parameters.len() <= PARAMETERS_MAX {
                    self.handle_sequence(&parameters, byte);
                }
                parameters.clear();
                self.parser.parameters = parameters;
            }
            _ => {}
        }
        self.parser.parameters.truncate(PARAMETERS_MAX + 1);
    }

    /// `ESC [`, parameters with their mark and intermediates, a letter.
    fn handle_sequence(&mut self, parameters: &[u8], letter: u8) {
        match (parameters, letter) {
            ([b'?', modes @ ..], b'h' | b'l') => {
                for mode in numbers(modes) {
                    self.handle_mode(mode, letter == b'h');
                }
            }
            ([b'>', ..] | [b'<', ..] | [b'=', ..], b'u') => self.handle_keyboard(parameters),
            ([b'>', b'4', rest @ ..], b'm') => {
                self.has_key_format = numbers(rest.strip_prefix(b";").unwrap_or(b"0")) != [0];
            }
            (b"4", b'h' | b'l') => self.is_inserting = letter == b'h',
            (b"22" | b"22;0" | b"22;2", b't') => self.titles = (self.titles + 1).min(TITLES_MAX),
            (b"23" | b"23;0" | b"23;2", b't') => self.titles = self.titles.saturating_sub(1),
            (b"6", b'n') => self.cursor_queries += 1,
            (b"!", b'p') => self.handle_soft_reset(),
            ([style @ .., b' '], b'q') => self.has_cursor_style = numbers(style) != [0],
            ([], b'r') => self.has_margins = false,
            ([b'0'..=b'9' | b';', ..], b'r') => self.has_margins = true,
            _ => {}
        }
    }

    fn handle_mode(&mut self, mode: u16, is_on: bool) {
        if mode == ALTERNATE || mode == 47 || mode == 1047 {
            self.is_alternate = is_on;
        }
        if OFF_BY_DEFAULT.contains(&mode) || mode == ALTERNATE {
            self.change(mode, is_on);
        } else if ON_BY_DEFAULT.contains(&mode) {
            self.change(mode, !is_on);
        }
    }

    fn change(&mut self, mode: u16, is_changed: bool) {
        self.changed.retain(|known| *known != mode);
        if is_changed {
            self.changed.push(mode);
        }
    }

    /// The kitty protocol: `>` pushes flags, `<` pops levels, `=` sets flags in place.
    fn handle_keyboard(&mut self, parameters: &[u8]) {
        let numbers = numbers(&parameters[1..]);
        let (depth, is_set) = &mut self.keyboard[usize::from(self.is_alternate)];
        match parameters[0] {
            b'>' => *depth = (*depth + 1).min(KEYBOARD_MAX),
            b'<' => *depth = depth.saturating_sub(numbers.first().copied().unwrap_or(1).max(1)),
            // Mode 3 takes flags away; the others leave some if any are given.
            _ if numbers.get(1) == Some(&3) => {}
            _ => *is_set = numbers.first().is_some_and(|flags| *flags != 0),
        }
    }

    fn handle_soft_reset(&mut self) {
        for mode in [1, 6, 7, 25, 66, 69] {
            self.change(mode, false);
        }
        (self.is_inserting, self.has_margins, self.has_charset) = (false, false, false);
    }

    fn handle_reset(&mut self) {
        let Self { titles, cursor_queries, last, .. } = *self;
        *self = Self { titles, cursor_queries, last, ..Self::default() };
    }
}

fn numbers(parameters: &[u8]) -> Vec<u16> {
    let number = |digits: &[u8]| {
        digits.iter().fold(0_u16, |value, digit| {
            value.saturating_mul(10).saturating_add(u16::from(digit.saturating_sub(b'0')))
        })
    };
    parameters.split(|byte| *byte == b';').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is on after the bytes, given whole and in every two pieces.
    fn after(output: &[u8]) -> TerminalModes {
        let mut whole = TerminalModes::default();
        whole.push(output);
        for cut in 0..output.len() {
            let mut modes = TerminalModes::default();
            modes.push(&output[..cut]);
            modes.push(&output[cut..]);
            assert_eq!(modes, whole, "{output:?} cut at {cut}");
        }
        whole
    }

    fn is_untouched(modes: &TerminalModes) -> bool {
        *modes == TerminalModes { last: modes.last, ..TerminalModes::default() }
    }

    #[test]
    fn private_modes_are_followed_in_lists_and_one_by_one() {
        assert_eq!(after(b"\x1b[?1000;1006h\x1b[?2004h\x1b[?1000l").changed, [1006, 2004]);
        assert_eq!(after(b"\x1b[?25l").changed, [25]);
        assert!(after(b"\x1b[?25l\x1b[?25h").changed.is_empty());
        assert!(after(b"\x1b[?12;9999h").changed.is_empty(), "not ours to touch");
    }

    #[test]
    fn screens_have_keyboard_flags_of_their_own() {
        let modes = after(b"\x1b[>1u\x1b[?1049h\x1b[>5u\x1b[>1u\x1b[<u");
        assert!(modes.is_alternate);
        assert_eq!(modes.keyboard, [(1, false), (1, false)]);
        assert_eq!(after(b"\x1b[>1u\x1b[>1u\x1b[<9u\x1b[=3u").keyboard[0], (0, true));
        assert_eq!(after(b"\x1b[=3u\x1b[=0u").keyboard[0], (0, false));
        assert_eq!(after(b"\x1b[u\x1b[?u").keyboard[0], (0, false));
    }

    #[test]
    fn text_in_strings_changes_nothing() {
        assert!(is_untouched(&after(b"\x1b]0;[?1049h\x07\x1bP[?25l\x1b\\x")));
        assert!(after(b"\x1b]0;title").is_inside_sequence());
        assert!(after(b"\x1b[?25").is_inside_sequence());
        assert!(!after(b"\x1b[?25\x18").is_inside_sequence());
        assert_eq!(after(b"\x1b[?2\x1b[?25l").changed, [25], "an escape begins anew");
    }

    #[test]
    fn resets_reset() {
        let on = b"\x1b[?1;25;7;2004h\x1b[?25l\x1b[4h\x1b[2;9r\x1b(0\x1b=\x1b[?1049h";
        let modes = after(&[on.as_slice(), b"\x1b[!p"].concat());
        assert_eq!(modes.changed, [2004, 1049]);
        assert!(!modes.is_inserting && !modes.has_margins && !modes.has_charset);
        assert!(is_untouched(&after(&[on.as_slice(), b"\x1bc"].concat())));
    }

    #[test]
    fn the_small_ones_are_seen() {
        let modes = after(b"\x1b[3;20r\x1b[5 q\x1b)0\x1b[>4;2m\x1b[6n\x1b[?6n\x1b[6n");
        assert!(modes.has_margins && modes.has_cursor_style);
        assert!(modes.has_charset && modes.has_key_format);
        assert_eq!(modes.cursor_queries(), 2);
        let modes = after(b"\x1b[3;20r\x1b[r\x1b[5 q\x1b[ q\x1b[>4;2m\x1b[>4m\x1b(B\x1b[?1r");
        assert!(is_untouched(&modes));
        assert!(after(b"\x0e").has_charset);
    }
}
