//! Bytes on their way out: the rest of a frame that was begun, and replies behind it.

use tautline::protocol::{
    CloseReason, EngineMessage, ErrorCode, ErrorReply, Goodbye, Limit, Vocabulary,
    limits::FRAME_MAX,
};

use crate::byte_queue::ByteQueue;

/// Room for a goodbye behind everything else.
const GOODBYE_ROOM: usize = 128;

/// One frame that was begun, and one reply as large as a frame: while no more than the first is
/// queued, any request can be taken in.
#[derive(Debug, Default)]
pub(super) struct Outbox(ByteQueue);

/// What an `Error` is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) code: ErrorCode,
    pub(super) limit: Limit,
    pub(super) value: u64,
    pub(super) attachment: u32,
}

impl Failure {
    pub(super) fn new(code: ErrorCode, attachment: u32) -> Self {
        Self { code, limit: Limit::None, value: 0, attachment }
    }
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any one reply fits.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() <= FRAME_MAX
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    pub(super) fn pop(&mut self, count: usize) {
        self.0.pop(count);
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
        self.check_bound();
    }

    fn check_bound(&self) {
        assert!(self.0.len() <= 2 * FRAME_MAX + GOODBYE_ROOM, "the outbox is bounded");
    }

    pub(super) fn push(&mut self, id: u64, message: impl Vocabulary) {
        self.0.push_frame(id, message);
        self.check_bound();
    }

    pub(super) fn push_failure(&mut self, id: u64, failure: Failure) {
        let Failure { code, limit, value, attachment } = failure;
        self.push(
            id,
            EngineMessage::Error(ErrorReply {
                value,
                attachment,
                code: code.to_wire(),
                limit: limit.to_wire(),
                class: code.class().to_wire(),
                ..ErrorReply::default()
            }),
        );
    }

    pub(super) fn push_goodbye(&mut self, reason: CloseReason) {
        let reason = reason.to_wire();
        self.push(0, EngineMessage::Goodbye(Goodbye { reason, ..Goodbye::default() }));
    }
}
