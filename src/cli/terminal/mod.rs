//! The user's own terminal: read, written, made raw, and left as it was found.

mod modes;
mod raw_mode;
mod standard_output;
mod tty;
mod undo;

pub(crate) use modes::TerminalModes;
pub(crate) use raw_mode::RawMode;
pub(crate) use standard_output::{StandardOutput, reader_gone};
pub(crate) use tty::Tty;
