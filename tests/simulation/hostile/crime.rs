//! Rules that a peer breaks, and what it is told about it.

use tautline::protocol::{CloseReason, ErrorCode, Refusal, limits::INPUT_MAX};

use crate::{random::Random, scenario::SessionPlan};

/// The rule that is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Crime {
    Silence,
    HalfHello,
    ForeignProtocol,
    Junk,
    TooSmall,
    Misaligned,
    HalfFrame,
    UnknownKind,
    SecondHello,
    UnagreedFlag,
    BrokenArchive,
    NoId,
    IdTwice,
    InputGap,
    InputBeyondWindow,
    ConsumedAhead,
    FutureOffset,
    /// Asks and asks and never reads an answer.
    Deafness,
    /// Types all it may, and neither heeds what was written nor consumes anything.
    Hoarding,
    /// Types other bytes at offsets that it used before.
    ReusedOffset,
    /// Comes while it is there, without the right secret.
    WrongSecret,
    /// Comes back when the grace is over.
    LateReturn,
    /// Comes back to a child that was never there.
    ForeignEpoch,
}

pub(crate) const CRIMES: [Crime; 23] = [
    Crime::Silence,
    Crime::HalfHello,
    Crime::ForeignProtocol,
    Crime::Junk,
    Crime::TooSmall,
    Crime::Misaligned,
    Crime::HalfFrame,
    Crime::UnknownKind,
    Crime::SecondHello,
    Crime::UnagreedFlag,
    Crime::BrokenArchive,
    Crime::NoId,
    Crime::IdTwice,
    Crime::InputGap,
    Crime::InputBeyondWindow,
    Crime::ConsumedAhead,
    Crime::FutureOffset,
    Crime::Deafness,
    Crime::Hoarding,
    Crime::ReusedOffset,
    Crime::WrongSecret,
    Crime::LateReturn,
    Crime::ForeignEpoch,
];

/// What the peer is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Refused(Refusal),
    Closed(CloseReason),
    /// An `Error`, and the connection stays.
    Answered(ErrorCode),
    /// Nothing ever: its connection lives until it goes.
    Ignored,
}

impl Crime {
    pub(crate) fn any(random: &mut Random) -> Self {
        random.pick(&CRIMES)
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Silence | Self::HalfHello => Outcome::Refused(Refusal::Timeout),
            Self::ForeignProtocol => Outcome::Refused(Refusal::NotOurProtocol),
            Self::Junk => Outcome::Closed(CloseReason::LengthTooLarge),
            Self::TooSmall => Outcome::Closed(CloseReason::LengthTooSmall),
            Self::Misaligned => Outcome::Closed(CloseReason::LengthMisaligned),
            Self::HalfFrame => Outcome::Closed(CloseReason::FrameTimeout),
            Self::UnknownKind => Outcome::Answered(ErrorCode::Unsupported),
            Self::SecondHello => Outcome::Closed(CloseReason::WrongClass),
            Self::UnagreedFlag => Outcome::Closed(CloseReason::FlagsNotAgreed),
            Self::BrokenArchive => Outcome::Closed(CloseReason::BadArchive),
            Self::NoId => Outcome::Closed(CloseReason::IdMissing),
            Self::IdTwice => Outcome::Closed(CloseReason::IdInUse),
            Self::InputGap => Outcome::Closed(CloseReason::InputGap),
            Self::InputBeyondWindow => Outcome::Closed(CloseReason::InputWindow),
            Self::ConsumedAhead => Outcome::Closed(CloseReason::ConsumedAhead),
            Self::FutureOffset => Outcome::Answered(ErrorCode::InvalidOffset),
            Self::WrongSecret => Outcome::Refused(Refusal::ResumeSecret),
            Self::LateReturn | Self::ForeignEpoch => Outcome::Answered(ErrorCode::ResumeExpired),
            Self::Deafness | Self::Hoarding | Self::ReusedOffset => Outcome::Ignored,
        }
    }

    /// Whether it can be committed in that session, which it attaches to.
    pub(crate) fn is_possible(self, session: &SessionPlan) -> bool {
        let window = session.terms.input_window as usize;
        // Input for a child that was replaced is dropped, whatever its offset.
        let is_restarted = session.generations > 1;
        match self {
            // The stream of a session that is forgotten ends, and its id is free again.
            Self::IdTwice => !session.terms.is_ephemeral,
            Self::InputGap => !is_restarted,
            // A window of a frame or more cannot be passed in one step, before it opens further.
            Self::InputBeyondWindow => !is_restarted && window < INPUT_MAX,
            _ => true,
        }
    }

    /// Whether it is attached first, and commits the crime on another connection.
    pub(super) fn has_second_act(self) -> bool {
        matches!(self, Self::WrongSecret | Self::LateReturn | Self::ForeignEpoch)
    }

    pub(super) fn says_hello(self) -> bool {
        !matches!(self, Self::Silence | Self::HalfHello | Self::ForeignProtocol)
    }
}

/// The last crime of all would be to go unnoticed.
const _: () = assert!(CRIMES.len() == Crime::ForeignEpoch as usize + 1);
