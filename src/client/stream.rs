//! The transports a client can use, as one type: embedders need not be generic.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use crate::transport::{MemoryStream, PeerIdentity, Stream, UnixTransportStream};

/// A stream to an engine.
#[derive(Debug)]
pub(super) enum ClientStream {
    Unix(UnixTransportStream),
    Memory(MemoryStream),
}

impl Stream for ClientStream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Unix(stream) => stream.poll_read(cx, buffer),
            Self::Memory(stream) => stream.poll_read(cx, buffer),
        }
    }

    fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_write(parts),
            Self::Memory(stream) => stream.try_write(parts),
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.writable().await,
            Self::Memory(stream) => stream.writable().await,
        }
    }

    fn peer(&self) -> PeerIdentity {
        match self {
            Self::Unix(stream) => stream.peer(),
            Self::Memory(stream) => stream.peer(),
        }
    }
}
