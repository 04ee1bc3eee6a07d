//! What a client can get wrong about a session.

/// Why nobody was attached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The client knows another epoch.
    #[error("the session's epoch is {current:016x}")]
    EpochChanged {
        /// The epoch that runs, or ran last.
        current: u64,
    },
    /// The client comes back to an epoch in which nothing of it is kept: it left, was away for too
    /// long, or was never here.
    #[error("nothing is kept of this client's input: attach anew, to any epoch")]
    ResumeExpired,
    /// So many clients typed into the session that no more can be kept count of.
    #[error("the session keeps count of the input of {limit} clients already")]
    TooManyClients {
        /// How many.
        limit: usize,
    },
    /// The client asks to go on at an offset that was never reached.
    #[error("output offset {asked} was never reached; the end is {end}")]
    FutureOffset {
        /// The offset asked for.
        asked: u64,
        /// The offset of what will be printed next.
        end: u64,
    },
}

/// More output was claimed consumed than was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more output was claimed consumed than was sent")]
pub struct ConsumedAhead;
