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

/// What was read of a session's log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogText {
    /// What was held, in order; between two pieces something is missing.
    pub pieces: Vec<LogPiece>,
}

/// Output that was held, without anything missing inside.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogPiece {
    /// Position of the first byte in the session's output.
    pub offset: u64,
    /// The bytes; none if only the gap before them is to be told.
    pub bytes: Vec<u8>,
    /// What comes before and was in the range is missing: it had left the log.
    pub is_after_gap: bool,
}

impl LogText {
    /// The bytes of all pieces.
    pub fn into_bytes(self) -> Vec<u8> {
        self.pieces.into_iter().flat_map(|piece| piece.bytes).collect()
    }
}

impl LogPiece {
    /// Position after the last byte.
    pub const fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

impl Client {
    /// Reads a session's log without attaching, and tells where it is and what of it is missing:
    /// with [`LogRange::All`] what was printed before the log's beginning, and always what left the
    /// log while it was read.
    ///
    /// # Errors
    ///
    /// `NoSuchSession` if there is none of that name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped wait changes nothing.
    pub async fn logs(&self, name: &str, range: LogRange) -> Result<LogText, RequestError> {
        self.again(|| self.ask_logs(name, range)).await
    }

    async fn ask_logs(&self, name: &str, range: LogRange) -> Result<LogText, RequestError> {
        let (tail_lines, from) = match range {
            LogRange::All => (0, 0),
            LogRange::TailLines(lines) => (lines, 0),
            LogRange::From(from) => (0, from),
        };
        let mut text = LogText::default();
        if range == LogRange::TailLines(0) {
            return Ok(text);
        }
        let logs = Logs { flags: 0, tail_lines, from, name: name.into() };
        let mut replies = self.ask(ControlMessage::Logs(logs)).await?;
        loop {
            let frame = self.reply(&mut replies).await?;
            match frame.frame().engine() {
                Ok(ArchivedEngineMessage::LogChunk(chunk)) => {
                    take_in(&mut text.pieces, chunk.get());
                }
                Ok(ArchivedEngineMessage::Done(_)) => return Ok(text),
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
