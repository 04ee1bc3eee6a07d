//! A terminal model, fed from a session's log, and what it shows.
//!
//! Pure: bytes in, rows out. It is made for one answer and dropped with it; what had left the log
//! before, it never saw.

use std::num::NonZeroU16;

use tautline_protocol::{
    Screen, ScreenFlags, WindowSize,
    limits::{BODY_MAX, WINDOW_CELLS_MAX},
};
use vt100::{Callbacks, MouseProtocolEncoding, MouseProtocolMode, Parser};

use super::failure::Failure;

/// A terminal of one size, and what was printed on it.
pub(super) struct ScreenModel {
    parser: Parser<Title>,
    size: WindowSize,
    history_lines: usize,
}

/// What the model shows, ready to be sent.
#[derive(Debug)]
pub(super) struct ScreenText {
    pub(super) flags: u32,
    pub(super) history_lines: u32,
    pub(super) size: WindowSize,
    pub(super) cursor_col: u16,
    pub(super) cursor_row: u16,
    pub(super) title: Vec<u8>,
    pub(super) modes: Vec<u8>,
    pub(super) text: String,
}

/// Most bytes of rows in one answer; the rest of the archive has room beside them.
const TEXT_MAX: usize = BODY_MAX - 8 * 1024;

/// Most bytes of a title that are kept.
const TITLE_MAX: usize = 4096;

impl ScreenModel {
    /// An empty terminal that keeps about `history_lines` lines that scroll off its screen.
    ///
    /// A cell costs 32 bytes: no more history than one largest screen, 32 MiB, is ever held.
    pub(super) fn new(size: WindowSize, history_lines: u32) -> Self {
        let side = |cells| NonZeroU16::new(cells).unwrap_or(NonZeroU16::MIN);
        let (rows, cols) = (side(size.rows), side(size.cols));
        let history_lines = history_lines.min(WINDOW_CELLS_MAX / u32::from(cols.get())) as usize;
        let parser = Parser::new_with_callbacks(rows, cols, history_lines, Title::default());
        Self { parser, size, history_lines }
    }

    /// The child printed.
    pub(super) fn handle_output(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
    }

    /// What is on the screen, and above it as much history as was wanted and fits.
    ///
    /// # Errors
    ///
    /// If the screen alone is larger than an answer may be.
    pub(super) fn show(&mut self, is_styled: bool) -> Result<ScreenText, Failure> {
        let text = self.screen_rows(is_styled);
        if text.len() > TEXT_MAX {
            let text = "the screen's text is larger than an answer may be";
            let limit = tautline_protocol::Limit::Text;
            return Err(Failure::limit(limit, BODY_MAX as u64, text));
        }
        let (history, history_lines) = self.history(is_styled, TEXT_MAX - text.len());
        let screen = self.parser.screen();
        let (cursor_row, cursor_col) = screen.cursor_position();
        let styled = if is_styled { ScreenFlags::STYLED } else { 0 };
        let alternate = if screen.alternate_screen() { ScreenFlags::ALTERNATE } else { 0 };
        let cursor = if screen.hide_cursor() { 0 } else { ScreenFlags::CURSOR_VISIBLE };
        Ok(ScreenText {
            flags: styled | alternate | cursor,
            history_lines,
            size: self.size,
            // Behind the last column the cursor waits for the next character to wrap.
            cursor_col: cursor_col.min(self.size.cols.saturating_sub(1)),
            cursor_row,
            title: self.parser.callbacks().0.clone(),
            modes: self.modes(),
            text: history + &text,
        })
    }

    fn screen_rows(&self, is_styled: bool) -> String {
        let screen = self.parser.screen();
        let cols = self.size.cols;
        let mut text = String::new();
        if is_styled {
            // A row on its own: each begins and ends without any style.
            screen.rows_formatted(0, cols).for_each(|row| push_row(&mut text, &row, true));
        } else {
            screen.rows(0, cols).for_each(|row| push_row(&mut text, &row, false));
        }
        text
    }

    /// The newest lines that scrolled off, oldest first, within `room` bytes; and how many.
    fn history(&mut self, is_styled: bool, room: usize) -> (String, u32) {
        let screen = self.parser.screen_mut();
        let count = screen.scrollback_len().min(self.history_lines);
        let mut lines = Vec::new();
        let mut used = 0;
        for back in 1..=count {
            // Scrolled back so far, the line is the top row.
            screen.set_scrollback(back);
            let row = match is_styled {
                true => screen.rows_formatted(0, self.size.cols).next(),
                false => screen.rows(0, self.size.cols).next(),
            };
            let mut line = String::new();
            push_row(&mut line, &row.unwrap_or_default(), is_styled);
            used += line.len();
            if used > room {
                break;
            }
            lines.push(line);
        }
        screen.set_scrollback(0);
        let count = lines.len() as u32;
        (lines.into_iter().rev().collect(), count)
    }

    /// The modes that are on, as a list of names.
    fn modes(&self) -> Vec<u8> {
        let screen = self.parser.screen();
        let mouse = match screen.mouse_protocol_mode() {
            MouseProtocolMode::None => None,
            MouseProtocolMode::Press => Some("mouse_press"),
            MouseProtocolMode::PressRelease => Some("mouse_press_release"),
            MouseProtocolMode::ButtonMotion => Some("mouse_button_motion"),
            MouseProtocolMode::AnyMotion => Some("mouse_any_motion"),
        };
        let encoding = match screen.mouse_protocol_encoding() {
            MouseProtocolEncoding::Default => None,
            MouseProtocolEncoding::Utf8 => Some("mouse_utf8"),
            MouseProtocolEncoding::Sgr => Some("mouse_sgr"),
        };
        let modes = [
            screen.alternate_screen().then_some("alternate_screen"),
            screen.application_cursor().then_some("application_cursor"),
            screen.application_keypad().then_some("application_keypad"),
            screen.bracketed_paste().then_some("bracketed_paste"),
            mouse,
            encoding,
        ];
        modes.into_iter().flatten().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect()
    }
}

impl ScreenText {
    /// As it travels.
    pub(super) fn message(&self, offset: u64) -> Screen<'_> {
        Screen {
            offset,
            flags: self.flags,
            history_lines: self.history_lines,
            size: self.size,
            cursor_col: self.cursor_col,
            cursor_row: self.cursor_row,
            title: self.title.as_slice().into(),
            modes: self.modes.as_slice().into(),
            text: self.text.as_bytes().into(),
        }
    }
}

fn push_row(text: &mut String, row: &str, is_styled: bool) {
    text.push_str(row);
    if is_styled && !row.is_empty() {
        text.push_str("\x1b[m");
    }
    text.push('\n');
}

/// The title the child set last; the model keeps none.
#[derive(Default)]
struct Title(Vec<u8>);

impl Callbacks for Title {
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.0 = title[..title.len().min(TITLE_MAX)].to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(size: (u16, u16), history: u32, is_styled: bool, output: &[u8]) -> ScreenText {
        let mut model = ScreenModel::new(WindowSize::cells(size.0, size.1), history);
        model.handle_output(output);
        model.show(is_styled).unwrap()
    }

    #[test]
    fn rows_are_as_on_the_screen_and_history_comes_first() {
        let screen = shown((10, 3), 2, false, b"one\r\ntwo\r\nthree\r\nfour\r\nfive\r\nsix");
        assert_eq!(screen.text, "two\nthree\nfour\nfive\nsix\n");
        assert_eq!(screen.history_lines, 2);
        assert_eq!((screen.cursor_row, screen.cursor_col), (2, 3));
        assert_eq!(screen.flags, ScreenFlags::CURSOR_VISIBLE);
    }

    #[test]
    fn wide_and_foreign_characters_keep_their_columns() {
        let screen = shown((6, 2), 0, false, "日本\x1b[1;6Hx\r\n\u{e9}".as_bytes());
        assert_eq!(screen.text, "日本 x\né\n");
    }

    #[test]
    fn modes_and_title_are_told() {
        let output = b"\x1b]2;hello\x07\x1b[?1049h\x1b[?2004h\x1b[?1000h\x1b[?1006h\x1b[?25l";
        let screen = shown((10, 2), 5, false, output);
        assert_eq!(screen.title, b"hello");
        assert_eq!(
            screen.modes,
            b"alternate_screen\0bracketed_paste\0mouse_press_release\0mouse_sgr\0"
        );
        assert_eq!(screen.flags, ScreenFlags::ALTERNATE);
    }

    #[test]
    fn styles_end_with_their_row() {
        let screen = shown((12, 2), 0, true, b"\x1b[31mred\r\nstill\x1b[m plain");
        assert_eq!(screen.text, "\x1b[31mred\x1b[m\n\x1b[31mstill\x1b[m plain\x1b[m\n");
    }

    #[test]
    fn a_line_longer_than_the_screen_stands_on_two_rows() {
        let screen = shown((4, 3), 0, true, b"abcdefg\r\n");
        assert_eq!(screen.text, "abcd\x1b[m\nefg\x1b[m\n\n");
    }

    #[test]
    fn the_largest_screen_of_the_longest_text_is_refused_and_not_cut() {
        let mut model = ScreenModel::new(WindowSize::cells(1024, 1024), 0);
        model.handle_output("x".repeat(1024 * 1024).as_bytes());
        assert_eq!(model.show(false).unwrap_err().limit, tautline_protocol::Limit::Text);
    }

    #[test]
    fn history_is_cut_from_its_old_end_to_what_fits() {
        let mut model = ScreenModel::new(WindowSize::cells(1000, 2), 1000);
        for line in 0..1000 {
            model.handle_output(format!("{line:01000}").as_bytes());
        }
        let screen = model.show(false).unwrap();
        assert!(screen.text.len() <= TEXT_MAX);
        assert!(screen.text.ends_with(&format!("{:01000}\n{:01000}\n", 998, 999)));
        assert_eq!(screen.text.lines().count() as u32, screen.history_lines + 2);
        assert!(screen.history_lines > 200);
    }
}
