//! What a session's terminal shows.

use tautline_protocol::{
    ArchivedEngineMessage, ArchivedScreen, ControlMessage, ScreenFlags, ScreenRequest, WindowSize,
    entries,
};

use super::{Client, RequestError, requests::refusal_or_lost};

/// What of a screen to read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScreenOptions {
    /// With the escape sequences that colour it. Default: plain text.
    pub is_styled: bool,
    /// Lines of history wanted above the screen. Default: none.
    pub history_lines: u32,
}

/// A screen, read at one output offset.
///
/// It is what a terminal of the session's size shows that was fed what the log still holds, its
/// newest MiB at most: what a child drew before that and never again is not on it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SessionScreen {
    /// The output offset it shows.
    pub offset: u64,
    /// The window's size.
    pub size: WindowSize,
    /// Lines that scrolled off, oldest first: as many as were wanted, held and fit an answer.
    pub history: Vec<String>,
    /// The screen's rows, from the top, without trailing blanks.
    pub rows: Vec<String>,
    /// The cursor.
    pub cursor: ScreenCursor,
    /// The title the child set; empty if none.
    pub title: Vec<u8>,
    /// Names of the modes that are on: `alternate_screen`, `bracketed_paste` and the like.
    pub modes: Vec<String>,
}

/// Where a screen's cursor stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScreenCursor {
    /// Its column, from 0.
    pub col: u16,
    /// Its row on the screen, from 0.
    pub row: u16,
    /// Whether it is shown.
    pub is_visible: bool,
}

impl Client {
    /// Reads a session's screen without attaching.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait changes nothing.
    pub async fn screen(
        &self,
        name: &str,
        options: ScreenOptions,
    ) -> Result<SessionScreen, RequestError> {
        self.again(|| self.ask_screen(name, options)).await
    }

    async fn ask_screen(
        &self,
        name: &str,
        options: ScreenOptions,
    ) -> Result<SessionScreen, RequestError> {
        let flags = if options.is_styled { ScreenFlags::STYLED } else { 0 };
        let history_lines = options.history_lines;
        let request = ScreenRequest { flags, history_lines, name: name.into() };
        let mut replies = self.ask(ControlMessage::Screen(request)).await?;
        let frame = self.reply(&mut replies).await?;
        match frame.frame().engine() {
            Ok(ArchivedEngineMessage::Screen(screen)) => Ok(SessionScreen::from(screen.get())),
            other => Err(refusal_or_lost(self.line(), other.ok())),
        }
    }
}

impl From<&ArchivedScreen<'_>> for SessionScreen {
    fn from(screen: &ArchivedScreen<'_>) -> Self {
        let text = String::from_utf8_lossy(&screen.text);
        let mut rows: Vec<String> = text.split_terminator('\n').map(str::to_owned).collect();
        let history_lines = (screen.history_lines.to_native() as usize).min(rows.len());
        let screen_rows = rows.split_off(history_lines);
        let name = |name| String::from_utf8_lossy(name).into_owned();
        Self {
            offset: screen.offset.to_native(),
            size: WindowSize::from(&screen.size),
            history: rows,
            rows: screen_rows,
            cursor: ScreenCursor {
                col: screen.cursor_col.to_native(),
                row: screen.cursor_row.to_native(),
                is_visible: screen.flags.to_native() & ScreenFlags::CURSOR_VISIBLE != 0,
            },
            title: screen.title.to_vec(),
            modes: entries(&screen.modes).map(name).collect(),
        }
    }
}
