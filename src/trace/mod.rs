//! Frame traces: what crossed the wire, as one of its sides saw it, in a file.
//!
//! A [`FrameTrace`] is the file; `ClientConfig` and `ServerConfig` take one. [`Records`] reads it
//! again. `docs/trace-format.md` describes every byte. A trace holds what was typed and printed,
//! so nobody but its owner may read the file.

mod record;
mod recorder;
mod tap;

pub use record::{Found, RECORD_HEADER_SIZE, RECORD_MAGIC, Record, Records, Side, What};
pub use recorder::{FrameTrace, TRACE_SIZE_MAX, TraceEnd, TraceError};

pub(crate) use tap::Tap;
