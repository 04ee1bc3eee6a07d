//! How a client comes back, and why it stops trying.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tautline_protocol::{CloseReason, DecodeError, ErrorCode, Refusal};

use super::{ConnectFailure, stream::ClientStream};
use crate::{
    state::{BackoffPolicy, LinkEnd},
    transport::{ConnectError, MemoryConnector, UnixTransportStream},
};

/// How a lost connection is made again.
///
/// Only the connection: no engine is ever started or replaced.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ReconnectPolicy {
    /// The waits between attempts, and how many there are since the last progress: since input was
    /// newly written or output newly consumed. Default: 100 ms doubling to 5 s with full jitter, 10
    /// attempts, the first after progress at once.
    pub backoff: BackoffPolicy,
    /// How long to go on trying, counted like attempts. Default: as long as there are attempts.
    pub deadline: Option<Duration>,
}

/// Why an attachment, or a whole client, is not made again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GiveUpReason {
    /// So many attempts without progress, or too much time.
    #[error("gave up after {0} attempts")]
    Attempts(u32),
    /// The engine does not want this client, and that will not change by itself.
    #[error("the daemon refused: {}", .0.name())]
    Refused(Refusal),
    /// The engine closed the connection for good.
    #[error("the daemon closed the connection: {}", .0.name())]
    Closed(CloseReason),
    /// The socket cannot be used, and trying again would not help: another user's, or no
    /// permission.
    #[error("the daemon's socket cannot be used")]
    NotPermitted,
    /// The session is gone; if there is one of its name, that is another.
    #[error("the session is gone")]
    SessionGone,
    /// The engine refused to attach again.
    #[error("the daemon refused to attach again: {}", .0.name())]
    AttachRefused(ErrorCode),
    /// The engine broke the protocol.
    #[error("the daemon broke the protocol: {0}")]
    Protocol(DecodeError),
}

impl GiveUpReason {
    /// Why a link ended; `None` if the client left, or does not come back by itself.
    pub(super) const fn of(end: LinkEnd) -> Option<Self> {
        Some(match end {
            LinkEnd::Left | LinkEnd::Lost | LinkEnd::Closed(CloseReason::Requested) => return None,
            LinkEnd::Refused(refusal) => Self::Refused(refusal),
            LinkEnd::Closed(reason) => Self::Closed(reason),
            LinkEnd::Permanent => Self::NotPermitted,
            LinkEnd::GaveUp { attempts } => Self::Attempts(attempts),
            LinkEnd::Protocol(error) => Self::Protocol(error),
        })
    }
}

/// Where an engine is.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Unix(PathBuf),
    Memory(MemoryConnector),
}

impl Target {
    pub(super) async fn connect(&self) -> Result<Arc<ClientStream>, ConnectFailure> {
        let stream = match self {
            Self::Unix(path) => ClientStream::Unix(UnixTransportStream::connect(path)?),
            Self::Memory(connector) => {
                let stream = connector.connect().await.map_err(|_| ConnectFailure::Lost)?;
                ClientStream::Memory(stream)
            }
        };
        Ok(Arc::new(stream))
    }

    pub(super) const fn transport_name(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix_socket",
            Self::Memory(_) => "in_process",
        }
    }
}

/// Whether trying again cannot help.
pub(super) fn is_permanent(failure: &ConnectFailure) -> bool {
    match failure {
        ConnectFailure::Connect(ConnectError::Io { source, .. }) => {
            source.kind() == std::io::ErrorKind::PermissionDenied
        }
        ConnectFailure::Connect(
            ConnectError::WrongUser { .. } | ConnectError::PathTooLong { .. },
        ) => true,
        _ => false,
    }
}
