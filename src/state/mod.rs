//! Decisions: machines that take events and `now` and return what to do.
//!
//! Nothing here names a runtime, a socket, a file or a clock, which is what lets whole histories of
//! clients, sessions and failures run in a test, in virtual time.

mod backoff;
mod connection;
mod heartbeat;
mod input_call;
mod input_marks;
mod input_sender;
mod line_gauge;
mod link;
mod log;
mod reception;
mod session;
mod write_queue;

pub use backoff::{Backoff, BackoffPolicy};
pub use connection::{Connection, Deadlines, Expiry, Fault, Step};
pub use heartbeat::{Beat, HEARTBEAT_MAX, HEARTBEAT_MIN, Heartbeat, INTERVALS_SILENT};
pub use input_call::{CallId, CallOutcome, SenderEnd};
pub use input_marks::{InputMarks, InputVerdict};
pub use input_sender::{InputFrame, InputSender, Leftover, SenderMarks};
pub use line_gauge::{LineGauge, LineRules};
pub use link::{Link, LinkAction, LinkEnd, LinkPolicy, LinkStep};
pub use log::{LogPiece, READ_TURN, SessionLog};
pub use reception::{Attachable, Reception, ResumeStep, Resumed, Taken};
pub use session::{
    ACK_DELAY, AttachError, Attachment, AttachmentId, ClientId, ConsumedAhead, Cursor, EXIT_GRACE,
    EndStep, Exit, LedgerId, RESTART_DELAY, RESTART_DELAY_MAX, RUN_SOUND, Send, Session,
    SessionTerms, TURNS_MAX,
};
pub use write_queue::{Due, WriteQueue, Written};
