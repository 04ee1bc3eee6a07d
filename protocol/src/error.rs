//! What can be wrong, by whose fault, and the one map from there to what the peer is told.

use core::any::Any;

use crate::{
    choice::choice,
    header::{Flags, Kind, LengthError},
    message::Invalid,
};

/// Why a frame could not be understood.
///
/// Sorted by what follows: see [`DecodeError::consequence`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The length word is impossible.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// A flag bit is set that the hello did not agree on.
    #[error("frame flags {:#06x} were not agreed on in the hello", .0.0)]
    Flags(Flags),
    /// The frame is of a class this side never receives, or a second hello.
    #[error("a frame of kind {:#06x} does not belong here", .0.0)]
    WrongClass(Kind),
    /// The archive is broken: pointers, lengths or discriminants that lead nowhere.
    #[error("the archive of a frame of kind {:#06x} is invalid", .0.0)]
    Archive(Kind),
    /// The archive holds another message than the header says.
    #[error("a frame of kind {:#06x} holds the message with tag {found}", .kind.0)]
    Mismatch {
        /// The header's kind.
        kind: Kind,
        /// The archive's discriminant.
        found: u8,
    },
    /// The archive is valid but not laid out as our encoder does.
    #[error("the archive of a frame of kind {:#06x} is not in canonical form", .0.0)]
    NotCanonical(Kind),
    /// A message that is answered came with id 0.
    #[error("a request of kind {:#06x} needs an id other than 0", .0.0)]
    IdMissing(Kind),
    /// Parts of a long archive came out of order, or another kind finished them.
    #[error("parts of a long message are out of order")]
    Parts,
    /// A long archive is above [`BODY_MAX`](crate::limits::BODY_MAX).
    #[error("a message of {total} bytes is above the largest, {}", crate::limits::BODY_MAX)]
    BodyTooLarge {
        /// The length announced.
        total: u32,
    },
    /// A kind of a known class that this version has no message for.
    #[error("this version has no message of kind {:#06x}", .0.0)]
    Unknown(Kind),
    /// The message makes no sense.
    #[error(transparent)]
    Invalid(Invalid),
}

impl DecodeError {
    /// What a receiver does about it.
    pub const fn consequence(&self) -> Consequence {
        match self {
            Self::Length(LengthError::TooSmall { .. }) => {
                Consequence::Close(CloseReason::LengthTooSmall)
            }
            Self::Length(LengthError::Misaligned { .. }) => {
                Consequence::Close(CloseReason::LengthMisaligned)
            }
            Self::Length(LengthError::TooLarge { .. }) => {
                Consequence::Close(CloseReason::LengthTooLarge)
            }
            Self::Flags(_) => Consequence::Close(CloseReason::FlagsNotAgreed),
            Self::WrongClass(_) => Consequence::Close(CloseReason::WrongClass),
            Self::Archive(_) => Consequence::Close(CloseReason::BadArchive),
            Self::Mismatch { .. } => Consequence::Close(CloseReason::KindMismatch),
            Self::NotCanonical(_) => Consequence::Close(CloseReason::NotCanonical),
            Self::IdMissing(_) => Consequence::Close(CloseReason::IdMissing),
            Self::Parts => Consequence::Close(CloseReason::PartsOutOfOrder),
            Self::BodyTooLarge { .. } => Consequence::Close(CloseReason::BodyTooLarge),
            Self::Unknown(_) => Consequence::Answer(ErrorCode::Unsupported),
            Self::Invalid(invalid) => Consequence::Answer(invalid.code),
        }
    }
}

/// What follows from a [`DecodeError`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Consequence {
    /// The stream cannot be trusted any more: say why and close.
    Close(CloseReason),
    /// The stream is in step: answer with this code (a client ignores the frame) and go on.
    Answer(ErrorCode),
}

/// Why checked access failed: structure, or one of our own checks.
///
/// rancor hands error types around generically; this one keeps the reason without allocating.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("invalid archive")]
    Structure,
    #[error(transparent)]
    Invalid(Invalid),
}

impl rancor::Trace for AccessError {
    fn trace<R>(self, _: R) -> Self {
        self
    }
}

impl rancor::Source for AccessError {
    fn new<T: core::error::Error + Send + Sync + 'static>(source: T) -> Self {
        let source: &dyn Any = &source;
        source.downcast_ref().map_or(Self::Structure, |invalid| Self::Invalid(*invalid))
    }
}

/// Why a message could not be encoded: always the caller's doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The frame is longer than the buffer given.
    #[error("a frame of {needed} bytes does not fit into {available}")]
    BufferTooSmall {
        /// Bytes of the whole frame.
        needed: usize,
        /// Bytes of the buffer.
        available: usize,
    },
    /// The message needs more than one frame; see [`PartWriter`](crate::PartWriter).
    #[error("an archive of {size} bytes needs parts")]
    NeedsParts {
        /// Bytes of the archive.
        size: usize,
    },
    /// The message is above [`BODY_MAX`](crate::limits::BODY_MAX).
    #[error("an archive of {size} bytes is above the largest, {}", crate::limits::BODY_MAX)]
    BodyTooLarge {
        /// Bytes of the archive.
        size: usize,
    },
}

choice! {
    /// Why a hello was refused: `status` of the engine's hello.
    Refusal: u8 {
        /// Not refused.
        Welcome = 0,
        /// The first frame was no hello of ours: wrong magic, kind or length.
        NotOurProtocol = 1,
        /// The version ranges do not overlap.
        Version = 2,
        /// The engine reads another archive format.
        ArchiveFormat = 3,
        /// A feature the client requires is not to be had.
        Feature = 4,
        /// The engine serves as many clients as it may; try again after `retry_after_ms`.
        AtCapacity = 5,
        /// The peer is another user.
        WrongUser = 6,
        /// This engine does not serve that purpose.
        Purpose = 7,
        /// None of the rights asked for can be granted.
        Rights = 8,
        /// The resume secret is not that of this client id.
        ResumeSecret = 9,
        /// The engine is shutting down; try again after `retry_after_ms`.
        ShuttingDown = 10,
        /// The hello did not arrive in time.
        Timeout = 11,
    }
}

choice! {
    /// Why a connection is closed: `reason` of `Goodbye`.
    CloseReason: u16 {
        /// The client asked with `Disconnect`.
        Requested = 1,
        /// The engine shuts down.
        ShuttingDown = 2,
        /// A newer connection has this client id and purpose.
        TakenOver = 3,
        /// Somebody ended it with `Kick`.
        Kicked = 4,
        /// A frame that was begun, or a message in parts, was not finished in time.
        FrameTimeout = 5,
        /// Nothing was heard for three heartbeats.
        HeartbeatLost = 6,
        /// The slot kept for administration is lent for a short time only.
        AdminTimeout = 7,
        /// The length word is below 20.
        LengthTooSmall = 16,
        /// The length word is not 4 more than a multiple of 8.
        LengthMisaligned = 17,
        /// The length word is above 8,188.
        LengthTooLarge = 18,
        /// A flag bit is set that the hello did not agree on.
        FlagsNotAgreed = 19,
        /// The frame's class is not the sender's, or a second hello came.
        WrongClass = 20,
        /// The archive is broken.
        BadArchive = 21,
        /// Header and archive name different messages.
        KindMismatch = 22,
        /// The archive is not in canonical form.
        NotCanonical = 23,
        /// A message that is answered came with id 0.
        IdMissing = 24,
        /// The id belongs to a request that is still pending.
        IdInUse = 25,
        /// Parts came out of order.
        PartsOutOfOrder = 26,
        /// A message in parts is above 262,144 bytes.
        BodyTooLarge = 27,
        /// The checksum is wrong.
        Checksum = 28,
        /// Input begins above the offset accepted so far.
        InputGap = 32,
        /// Input passes the window granted.
        InputWindow = 33,
        /// More output is claimed consumed than was sent.
        ConsumedAhead = 34,
        /// The engine failed.
        Internal = 64,
    }
}

choice! {
    /// Whose doing an error is: `class` of `Error`.
    ErrorClass: u8 {
        /// The request was wrong.
        Caller = 1,
        /// Another client's doing.
        Peer = 2,
        /// A limit was reached.
        Limit = 3,
        /// The engine's doing.
        Engine = 4,
        /// The operating system refused; see `errno`.
        System = 5,
    }
}

choice! {
    /// What an error is: `code` of `Error`.
    ErrorCode: u16 {
        /// This engine has no such message, or not yet.
        Unsupported = 1,
        /// Not a session name.
        InvalidName = 2,
        /// A window of no cells, or an absurd one; `value` is columns << 16 | rows.
        InvalidSize = 3,
        /// A choice or flag this version does not know; `value` is it.
        InvalidChoice = 4,
        /// A number out of range; `value` is it.
        InvalidNumber = 5,
        /// Text that is missing, too long (`value`: its length) or not UTF-8 (`value`: where).
        InvalidText = 6,
        /// A list without its last NUL, or a bad entry; `value` is the length.
        InvalidList = 7,
        /// An offset out of order or beyond the last.
        InvalidOffset = 8,
        /// Attachment 0.
        InvalidAttachment = 9,
        /// A path that is not absolute or otherwise not acceptable.
        InvalidPath = 10,
        /// A pattern that does not compile.
        InvalidPattern = 11,
        /// No session has that name.
        NoSuchSession = 20,
        /// This connection has no such attachment.
        NoSuchAttachment = 21,
        /// The connection uses that attachment number already.
        AttachmentInUse = 22,
        /// A session has that name already.
        NameTaken = 23,
        /// The session's child has ended.
        SessionExited = 24,
        /// The session's child lives.
        SessionLive = 25,
        /// Sessions live; `value` is how many.
        SessionsLive = 26,
        /// The epoch named is not the one that runs; `value` is the one that does.
        EpochChanged = 27,
        /// The client's marks are not kept any more: what was not applied is undelivered.
        ResumeExpired = 28,
        /// The connection lacks the right; `value` is the right.
        NotPermitted = 29,
        /// The attachment is read-only, or another client is the typist.
        ReadOnly = 30,
        /// A line longer than the terminal can take in canonical mode; `value` is the first input
        /// offset that was not accepted, where the client goes on.
        LineTooLong = 31,
        /// A session would show itself to itself.
        AttachLoop = 32,
        /// The request was cancelled.
        Cancelled = 33,
        /// The program was not found.
        ProgramNotFound = 34,
        /// The program cannot be executed.
        ProgramNotExecutable = 35,
        /// The directory to start in does not exist or cannot be entered.
        BadDirectory = 36,
        /// No plugin host is configured.
        NoPluginHost = 37,
        /// No such configuration key, or a value it cannot take.
        InvalidConfig = 38,
        /// Another client took the role or the session.
        TakenOver = 48,
        /// A limit was reached; `limit` names it, `value` is its number.
        LimitReached = 64,
        /// The engine is shutting down.
        ShuttingDown = 80,
        /// The engine failed.
        Internal = 81,
        /// The operating system refused; `errno` says how.
        System = 96,
    }
}

impl ErrorCode {
    /// Whose doing it is.
    pub const fn class(self) -> ErrorClass {
        match self.to_wire() {
            0..48 => ErrorClass::Caller,
            48..64 => ErrorClass::Peer,
            64..80 => ErrorClass::Limit,
            80..96 => ErrorClass::Engine,
            _ => ErrorClass::System,
        }
    }
}

choice! {
    /// Which limit was reached: `limit` of `Error`.
    Limit: u16 {
        /// None.
        None = 0,
        /// Length of a session name.
        Name = 1,
        /// Sides and cells of a window.
        Window = 2,
        /// Length of a text, path, pattern or payload.
        Text = 3,
        /// Bytes of an output window.
        OutputWindow = 4,
        /// Connections.
        Clients = 5,
        /// Attachments of one connection.
        Attachments = 6,
        /// Sessions.
        Sessions = 7,
        /// Pending requests of one connection.
        Requests = 8,
        /// Clients whose input marks one session keeps.
        Marks = 9,
        /// Terminals the operating system has.
        Terminals = 10,
        /// File descriptors.
        Descriptors = 11,
        /// Processes.
        Processes = 12,
        /// Bytes of a session log.
        LogSize = 13,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_has_the_class_of_its_block() {
        for &code in ErrorCode::ALL {
            let class = match code {
                ErrorCode::TakenOver => ErrorClass::Peer,
                ErrorCode::LimitReached => ErrorClass::Limit,
                ErrorCode::ShuttingDown | ErrorCode::Internal => ErrorClass::Engine,
                ErrorCode::System => ErrorClass::System,
                _ => ErrorClass::Caller,
            };
            assert_eq!(code.class(), class, "{}", code.name());
        }
    }

    #[test]
    fn numbers_read_back_as_the_value_they_stand_for() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_wire(code.to_wire()), Some(code));
        }
        for &reason in CloseReason::ALL {
            assert_eq!(CloseReason::from_wire(reason.to_wire()), Some(reason));
        }
        assert_eq!(CloseReason::from_wire(0), None);
    }
}
