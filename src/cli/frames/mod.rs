//! Frame traces made readable: a line for each frame, with the protocol's own eyes.
//!
//! `decode` validates frames as a receiver does, `fields` reads a body by its schema, `meaning`
//! knows which numbers are names and which bytes are nobody's business, `show` writes the lines.

mod decode;
mod fields;
#[cfg(test)]
mod frames_tests;
mod meaning;
mod show;

pub(crate) use decode::{KindChoice, parse_kind};
pub(crate) use show::{Form, Transcript};
