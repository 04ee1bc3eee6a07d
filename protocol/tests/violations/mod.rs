//! Every semantic rule, broken once: what was set to what, and the answer to it.

pub(crate) mod control;
pub(crate) mod engine;

use tautline_protocol::{ErrorCode, Header, Limit};

use crate::samples::Aligned;

/// The id of every row's message.
pub(crate) const ID: u64 = 0x1d1d_2e2e_3f3f_4040;

/// One message that breaks one rule.
#[derive(Debug)]
pub(crate) struct Row {
    /// Name of the body's struct.
    pub(crate) body: &'static str,
    /// What was done to the sample.
    pub(crate) deed: &'static str,
    /// The frame's header and archive: of any length, as parts could make it.
    pub(crate) frame: (Header, Aligned),
    /// What is to be answered.
    pub(crate) code: ErrorCode,
    /// The limit passed.
    pub(crate) limit: Limit,
    /// The value refused.
    pub(crate) value: u64,
}

/// `Variant(sample) { field = value } => code, limit, value refused;`
macro_rules! refused {
    ($vocabulary:ident: $(
        $variant:ident($sample:expr) { $($($path:ident).+ = $new:expr),+ }
            => $code:ident, $limit:ident, $value:expr;
    )+) => {
        vec![$({
            let mut body = $sample;
            $(body.$($path).+ = $new;)+
            let message = $vocabulary::$variant(body);
            Row {
                body: message.body_schema().name,
                deed: stringify!($variant { $($($path).+ = $new),+ }),
                frame: assembled(ID, message),
                code: ErrorCode::$code,
                limit: Limit::$limit,
                value: $value,
            }
        },)+]
    };
}

use refused;
