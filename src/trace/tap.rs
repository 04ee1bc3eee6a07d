//! One connection's way into a trace; mostly there is none, and that costs a branch.

use std::sync::atomic::{AtomicU32, Ordering};

use tautline_protocol::{
    Frame, Header, LengthError,
    limits::{HEADER_SIZE, LENGTH_WORD_SIZE},
};

use super::{
    record::{Record, Side, What},
    recorder::FrameTrace,
};

/// Where the frames of one connection are recorded, if anywhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap(Option<Tapped>);

#[derive(Clone, Debug)]
struct Tapped {
    trace: FrameTrace,
    side: Side,
    connection: u32,
}

/// Connections of this process that were recorded.
static CONNECTIONS: AtomicU32 = AtomicU32::new(0);

impl Tap {
    /// For a new connection.
    pub(crate) fn new(trace: Option<&FrameTrace>, side: Side) -> Self {
        Self(trace.cloned().map(|trace| {
            let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            Tapped { trace, side, connection }
        }))
    }

    /// Whole frames were sent, or are about to be.
    #[inline]
    pub(crate) fn sent(&self, frames: &[u8]) {
        if let Some(tapped) = &self.0 {
            tapped.sent(frames);
        }
    }

    /// One frame was sent; its pieces are asked for only if somebody wants them.
    #[inline]
    pub(crate) fn sent_in_pieces<'a>(&self, pieces: impl FnOnce() -> [&'a [u8]; 4]) {
        if let Some(tapped) = &self.0 {
            tapped.append(What::Sent, &pieces());
        }
    }

    /// What a receive buffer yielded.
    #[inline]
    pub(crate) fn received(&self, next: &Result<Option<Frame<'_>>, LengthError>) {
        if let Some(tapped) = &self.0 {
            tapped.received(next);
        }
    }
}

impl Tapped {
    fn sent(&self, mut frames: &[u8]) {
        while let Some((length, _)) = frames.split_first_chunk::<LENGTH_WORD_SIZE>() {
            let size = u32::from_be_bytes(*length) as usize + LENGTH_WORD_SIZE;
            let (frame, rest) = frames.split_at(size.min(frames.len()));
            self.append(What::Sent, &[frame]);
            frames = rest;
        }
    }

    fn received(&self, next: &Result<Option<Frame<'_>>, LengthError>) {
        use LengthError::{Misaligned, TooLarge, TooSmall};

        match next {
            Ok(None) => {}
            Ok(Some(frame)) => {
                let (kind, flags, payload) = (frame.kind(), frame.flags(), frame.payload());
                let header = Header { kind, flags, payload_size: payload.len() };
                let header: [u8; HEADER_SIZE] = header.encode();
                self.append(What::Received, &[&header, payload]);
            }
            // Nothing behind it can be trusted: the length is all there is to record.
            Err(TooSmall { length } | Misaligned { length } | TooLarge { length }) => {
                self.append(What::Received, &[&length.to_be_bytes()]);
            }
        }
    }

    fn append(&self, what: What, pieces: &[&[u8]]) {
        let (side, connection) = (self.side, self.connection);
        let record = Record { side, what, time_unix_ns: 0, pid: 0, connection, frame: &[] };
        self.trace.append(record, pieces);
    }
}
