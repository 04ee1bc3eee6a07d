//! What can go wrong for a client, one enum per operation.

use tautline_protocol::{
    ArchivedErrorReply, CloseReason, DecodeError, EngineHello, ErrorClass, ErrorCode, Limit,
    Refusal,
};

use super::reconnect::GiveUpReason;
use crate::transport::ConnectError;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The socket could not be connected.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The engine refused the hello; its own hello tells its side.
    #[error("the daemon refused: {}", .refusal.name())]
    Refused {
        /// Why.
        refusal: Refusal,
        /// What it offers instead.
        hello: Box<EngineHello>,
    },
    /// The engine closed the connection without a word.
    #[error("the daemon closed the connection")]
    Lost,
    /// Whoever listens there speaks something else.
    #[error("this is no daemon of ours: {0}")]
    Protocol(DecodeError),
    /// The hello was not answered in time.
    #[error("the daemon does not answer")]
    Timeout,
    /// The system has no thread or event queue left for the blocking client.
    #[error("start the client's thread")]
    Thread(#[source] std::io::Error),
}

/// What an engine said about a request it refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EngineError {
    /// What it is; `Internal` for a code of a later version.
    pub code: ErrorCode,
    /// Whose doing.
    pub class: ErrorClass,
    /// The operating system's error number, 0 if none.
    pub errno: i32,
    /// The limit that was reached.
    pub limit: Limit,
    /// By code.
    pub value: u64,
    /// A sentence for people.
    pub text: String,
}

impl From<&ArchivedErrorReply<'_>> for EngineError {
    fn from(error: &ArchivedErrorReply<'_>) -> Self {
        Self {
            code: ErrorCode::from_wire(error.code.to_native()).unwrap_or(ErrorCode::Internal),
            class: ErrorClass::from_wire(error.class).unwrap_or(ErrorClass::Engine),
            errno: error.errno.to_native(),
            limit: Limit::from_wire(error.limit.to_native()).unwrap_or(Limit::None),
            value: error.value.to_native(),
            text: String::from_utf8_lossy(&error.text).into_owned(),
        }
    }
}

/// Why a request failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The engine refused it or failed at it.
    #[error("{}", .0.text)]
    Refused(EngineError),
    /// The connection was lost before an answer came: it may have been done or not.
    #[error("the connection to the daemon was lost")]
    Lost,
    /// The engine closed the connection, and said why.
    #[error("the daemon closed the connection: {}", .0.name())]
    Closed(CloseReason),
    /// There is no connection, and none can be made again; nothing was sent.
    #[error("the connection to the daemon was lost: {0}")]
    GaveUp(GiveUpReason),
    /// The request is larger than any the wire can carry; nothing was sent.
    #[error("the request is larger than {} bytes", tautline_protocol::limits::BODY_MAX)]
    TooLarge,
}

/// Why input was not written to the PTY.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The engine refused it; nothing of this call was written beyond `applied`.
    #[error("{}", .info.text)]
    Refused {
        /// What it said.
        info: EngineError,
        /// Bytes of this call that were written before.
        applied: u64,
    },
    /// The child ended, or another one was started: the rest was not written.
    #[error("the child ended: {applied} bytes were written, {undelivered} were not")]
    Ended {
        /// Bytes of this call that were written.
        applied: u64,
        /// Bytes of this call that were not.
        undelivered: u64,
    },
    /// The session was left, or the connection was lost and will not be made again.
    #[error("{applied} applied, {unknown} unknown, {undelivered} not delivered: {}", lost(*reason))]
    Lost {
        /// Why it is not made again, if that was tried.
        reason: Option<GiveUpReason>,
        /// Bytes of this call known to be written.
        applied: u64,
        /// Bytes of this call that were sent, and may or may not be written.
        unknown: u64,
        /// Bytes of this call that were never sent.
        undelivered: u64,
    },
}

fn lost(reason: Option<GiveUpReason>) -> String {
    let lost = "the connection to the daemon was lost";
    reason.map_or_else(|| lost.into(), |reason| format!("{lost}: {reason}"))
}

/// Why no more events come.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The connection was lost.
    #[error("the connection to the daemon was lost")]
    Lost,
    /// The engine closed the connection, and said why.
    #[error("the daemon closed the connection: {}", .0.name())]
    Closed(CloseReason),
    /// The engine broke the protocol.
    #[error("the daemon broke the protocol: {0}")]
    Protocol(DecodeError),
    /// The connection was lost, and cannot be made again.
    #[error("the connection to the daemon was lost: {0}")]
    GaveUp(GiveUpReason),
}

/// Why a line ended, for everyone who waits on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LineEnd {
    /// We ended it.
    Left,
    Lost,
    GaveUp(GiveUpReason),
    Closed(CloseReason),
    Protocol(DecodeError),
}

impl From<LineEnd> for RequestError {
    fn from(end: LineEnd) -> Self {
        match end {
            LineEnd::Closed(reason) => Self::Closed(reason),
            LineEnd::Left | LineEnd::Lost | LineEnd::Protocol(_) => Self::Lost,
            LineEnd::GaveUp(reason) => Self::GaveUp(reason),
        }
    }
}

impl From<LineEnd> for RecvError {
    fn from(end: LineEnd) -> Self {
        match end {
            LineEnd::Left | LineEnd::Lost => Self::Lost,
            LineEnd::GaveUp(reason) => Self::GaveUp(reason),
            LineEnd::Closed(reason) => Self::Closed(reason),
            LineEnd::Protocol(error) => Self::Protocol(error),
        }
    }
}
