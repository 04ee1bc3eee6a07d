//! What a session printed, as far as it is held.

use tautline_protocol::{ArchivedEngineMessage, ArchivedLogChunk, ControlMessage, LogFlags, Logs};

use super::{Client, RequestError, requests::refusal_or_lost};

/// Which part of a session's log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogRange {
    /// All that is held.
    All,
    /// The last so many lines.
    TailLines(u32),
    /// From an output offset on, as far as it is held.
    From(u64),
}

/// Output that was held, without anything missing inside.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogPiece {
    /// Position of the first byte in the session's output.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What comes before and was in the range is missing: it had left the log.
    pub is_after_gap: bool,
}

impl LogPiece {
    /// Position after the last byte.
    pub const fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

impl Client {
    /// Reads a session's log without attaching.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    pub async fn logs(&self, name: &str, range: LogRange) -> Result<Vec<u8>, RequestError> {
        let pieces = self.log_pieces(name, range).await?;
        Ok(pieces.into_iter().flat_map(|piece| piece.bytes).collect())
    }

    /// Reads a session's log as [`logs`](Self::logs) does, and tells where it is and what of it is
    /// missing: with [`LogRange::All`] what was printed before the log's beginning, and always what
    /// left the log while it was read.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait changes nothing.
    pub async fn log_pieces(
        &self,
        name: &str,
        range: LogRange,
    ) -> Result<Vec<LogPiece>, RequestError> {
        let (tail_lines, from) = match range {
            LogRange::All => (0, 0),
            LogRange::TailLines(lines) => (lines, 0),
            LogRange::From(from) => (0, from),
        };
        if range == LogRange::TailLines(0) {
            return Ok(Vec::new());
        }
        let logs = Logs { flags: 0, tail_lines, from, name: name.into() };
        let mut replies = self.ask(ControlMessage::Logs(logs))?;
        let mut pieces = Vec::new();
        loop {
            let frame = self.reply(&mut replies).await?;
            match frame.frame().engine() {
                Ok(ArchivedEngineMessage::LogChunk(chunk)) => take_in(&mut pieces, chunk.get()),
                Ok(ArchivedEngineMessage::Done(_)) => return Ok(pieces),
                other => return Err(refusal_or_lost(self.line(), other.ok())),
            }
        }
    }
}

fn take_in(pieces: &mut Vec<LogPiece>, chunk: &ArchivedLogChunk<'_>) {
    let is_after_gap = chunk.flags.to_native() & LogFlags::GAP != 0;
    match pieces.last_mut().filter(|_| !is_after_gap) {
        Some(piece) => piece.bytes.extend_from_slice(&chunk.bytes),
        None => {
            let offset = chunk.offset.to_native();
            pieces.push(LogPiece { offset, bytes: chunk.bytes.to_vec(), is_after_gap });
        }
    }
}
