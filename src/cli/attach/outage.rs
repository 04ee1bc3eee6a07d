//! The line that tells that the connection is lost, and what is done about it.
//!
//! Most losses are over before anybody could read of them, so it is shown only after a moment. It
//! lies over the last row of the screen, which is painted anew when the connection is back.

use std::time::{Duration, Instant};

use super::super::terminal::Tty;
use crate::{Client, ScreenOptions, protocol::WindowSize};

/// Losses that are over sooner are not worth a word.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often the line is drawn anew: it counts down, and what is typed is counted.
const TICK: Duration = Duration::from_millis(250);

/// What is known of a lost connection.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// When to draw the line next; `None` while there is a connection.
    due: Option<Instant>,
    attempt: u32,
    next_at: Option<Instant>,
    is_shown: bool,
}

impl Outage {
    pub(super) fn handle_lost(&mut self, now: Instant) {
        self.due.get_or_insert(now + PATIENCE);
    }

    pub(super) fn handle_waiting(&mut self, attempt: u32, next_in: Duration, now: Instant) {
        self.handle_lost(now);
        (self.attempt, self.next_at) = (attempt, Some(now + next_in));
    }

    /// Waits until the line is to be drawn. Cancel safe.
    pub(super) async fn tick(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Draws the line; `held` is how much was typed that waits for the connection.
    pub(super) async fn draw(&mut self, tty: &Tty, held: u64) -> std::io::Result<()> {
        let now = Instant::now();
        self.due = Some(now + TICK);
        let size = tty.size();
        if size.is_unset() || tty.is_inside_sequence() {
            return Ok(());
        }
        self.is_shown = true;
        let line = on_last_row(size, &format!("\x1b[7m{}", self.text(held, now, size.cols)));
        tty.paint(line.as_bytes()).await
    }

    /// The connection is back; returns whether the line is to be taken away.
    pub(super) fn handle_back(&mut self) -> bool {
        std::mem::take(self).is_shown
    }

    fn text(&self, held: u64, now: Instant, cols: u16) -> String {
        let wait = self.next_at.map(|at| at.saturating_duration_since(now).as_secs_f32().ceil());
        let next = match wait {
            Some(seconds) if seconds >= 1.0 => {
                format!("attempt {} in {seconds} s", self.attempt)
            }
            _ => format!("attempt {}", self.attempt.max(1)),
        };
        let typed = match held {
            0 => String::new(),
            1 => "; 1 byte typed is kept".into(),
            held => format!("; {held} bytes typed are kept"),
        };
        let text = format!(" taut: connection lost, {next}{typed} ");
        text.chars().take(cols.into()).collect()
    }
}

/// Takes the line away, and paints what it lay over, if that can be known; returns whether it was.
pub(super) async fn repaint(
    client: &Client,
    name: &str,
    tty: &Tty,
    shown_to: u64,
) -> std::io::Result<bool> {
    let size = tty.size();
    if size.is_unset() {
        return Ok(false);
    }
    tty.paint(on_last_row(size, "").as_bytes()).await?;
    let options = ScreenOptions { is_styled: true, ..ScreenOptions::default() };
    // If there is no answer, the next event says why.
    let Ok(screen) = client.screen(name, options).await else { return Ok(false) };
    if screen.offset != shown_to || screen.size != size {
        return Ok(false);
    }
    let Some(row) = screen.rows.get(usize::from(size.rows) - 1) else { return Ok(false) };
    tty.paint(on_last_row(size, row).as_bytes()).await?;
    Ok(true)
}

/// Writes a row where nobody else's cursor, colours or margins notice.
fn on_last_row(size: WindowSize, text: &str) -> String {
    format!("\x1b7\x1b[?6l\x1b[{};1H\x1b[m\x1b[2K{text}\x1b[m\x1b8", size.rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_when_and_what_is_kept_and_fits() {
        let now = Instant::now();
        let mut outage = Outage::default();
        outage.handle_waiting(3, Duration::from_millis(1_500), now);
        assert_eq!(outage.text(0, now, 80), " taut: connection lost, attempt 3 in 2 s ");
        let later = now + Duration::from_secs(2);
        let text = " taut: connection lost, attempt 3; 12 bytes typed are kept ";
        assert_eq!(outage.text(12, later, 80), text);
        assert_eq!(outage.text(12, later, 10), " taut: con");
    }

    #[test]
    fn a_short_loss_is_not_worth_a_word() {
        let now = Instant::now();
        let mut outage = Outage::default();
        outage.handle_lost(now);
        outage.handle_waiting(1, Duration::ZERO, now + Duration::from_millis(100));
        assert_eq!(outage.due, Some(now + PATIENCE));
        assert!(!outage.handle_back());
        assert_eq!(outage.due, None);
    }
}
