//! Why a request failed, ready to be told.

use std::{borrow::Cow, io};

use tautline_protocol::{ErrorCode, Limit, Rights};

use crate::{
    pty::SpawnError,
    state::{AttachError, Fault},
};

/// Everything an `Error` says but its id.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) code: ErrorCode,
    pub(super) limit: Limit,
    pub(super) value: u64,
    pub(super) errno: i32,
    pub(super) attachment: u32,
    pub(super) text: Cow<'static, str>,
}

impl Failure {
    pub(super) fn new(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self { code, limit: Limit::None, value: 0, errno: 0, attachment: 0, text }
    }

    pub(super) fn no_such_session(name: &str) -> Self {
        Self::new(ErrorCode::NoSuchSession, format!("there is no session named {name}"))
    }

    pub(super) fn session_gone() -> Self {
        let text = "the session was removed before all of the answer was read";
        Self::new(ErrorCode::NoSuchSession, text)
    }

    pub(super) fn no_such_attachment(attachment: u32) -> Self {
        let text = "this connection has no such attachment";
        Self { attachment, ..Self::new(ErrorCode::NoSuchAttachment, text) }
    }

    pub(super) fn limit(limit: Limit, value: u64, text: &'static str) -> Self {
        Self { limit, value, ..Self::new(ErrorCode::LimitReached, text) }
    }

    /// `what` completes the sentence: this engine cannot ... yet.
    pub(super) fn unsupported(what: &str) -> Self {
        Self::new(ErrorCode::Unsupported, format!("this engine cannot {what} yet"))
    }

    pub(super) fn not_permitted(right: u32) -> Self {
        let name = Rights::BITS.iter().find(|(_, bit)| *bit == right).map_or("?", |(name, _)| name);
        let text = format!("this connection lacks the right {name}");
        Self { value: right.into(), ..Self::new(ErrorCode::NotPermitted, text) }
    }

    pub(super) fn system(what: &str, error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        Self { errno, ..Self::new(ErrorCode::System, format!("{what}: {error}")) }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let text = match fault.code {
            ErrorCode::Unsupported => Cow::from("this engine has no such message"),
            _ => Cow::from(format!("{}: {} ({})", fault.code.name(), fault.subject, fault.value)),
        };
        let (limit, value, attachment) = (fault.limit, fault.value, fault.attachment);
        Self { limit, value, attachment, ..Self::new(fault.code, text) }
    }
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        let (code, value) = match error {
            AttachError::EpochChanged { current } => (ErrorCode::EpochChanged, current),
            AttachError::ResumeExpired => (ErrorCode::ResumeExpired, 0),
            AttachError::TooManyClients { limit } => {
                let limit = limit as u64;
                return Self::limit(Limit::Marks, limit, "too many clients typed into the session");
            }
            AttachError::FutureOffset { asked, .. } => (ErrorCode::InvalidOffset, asked),
        };
        Self { value, ..Self::new(code, error.to_string()) }
    }
}

impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        let (code, source) = match &error {
            SpawnError::ProgramNotFound { .. } => (ErrorCode::ProgramNotFound, None),
            SpawnError::ProgramNotExecutable { source, .. } => {
                (ErrorCode::ProgramNotExecutable, Some(source))
            }
            SpawnError::BadDirectory { source, .. } => (ErrorCode::BadDirectory, Some(source)),
            SpawnError::System { source, .. } => (ErrorCode::System, Some(source)),
            SpawnError::NoTerminal { .. } => (ErrorCode::System, None),
        };
        let errno = source.and_then(io::Error::raw_os_error).unwrap_or(0);
        let text = match source {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self { errno, ..Self::new(code, text) }
    }
}
