//! A recorded frame as its receiver sees it: validated, long messages put together, faults named.

use std::collections::BTreeMap;

use super::fields::Fields;
use crate::{
    protocol::{
        ArchivedControlMessage, ArchivedEngineMessage, BodySchema, Class, ClientHello,
        ControlMessage, DecodeError, EngineHello, EngineMessage, Flags, Frame, Header, HelloError,
        Kind, OwnedFrame, PartReader, Vocabulary,
        limits::{HEADER_SIZE, LENGTH_WORD_SIZE},
    },
    trace::{Record, Side, What},
};

/// What a recorded frame says.
#[derive(Debug)]
pub(super) struct Decoded {
    /// What it is; `None` if it has no whole header.
    pub(super) kind: Option<Kind>,
    /// `None` for hellos, and for what is no frame.
    pub(super) id: Option<u64>,
    pub(super) fields: Fields,
    /// Why it could not be understood.
    pub(super) fault: Option<String>,
}

/// Decodes the frames of a trace in their order.
pub(super) struct Decoder {
    with_bytes: bool,
    /// Long messages in assembly, of which a direction of a connection has at most one.
    parts: BTreeMap<Direction, PartReader>,
}

type Direction = (u32, u32, Side, What);

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error(transparent)]
    Frame(#[from] DecodeError),
    #[error("no whole frame: {held} bytes of it")]
    Incomplete { held: usize },
}

impl Decoder {
    pub(super) fn new(with_bytes: bool) -> Self {
        Self { with_bytes, parts: BTreeMap::new() }
    }

    pub(super) fn decode(&mut self, record: &Record<'_>) -> Decoded {
        let mut fields = Fields::new(self.with_bytes);
        let (header, payload) = match split(record.frame) {
            Ok(split) => split,
            Err(fault) => {
                fields.push_hidden("payload", record.frame);
                return Decoded { kind: None, id: None, fields, fault: Some(fault.to_string()) };
            }
        };
        // Archives are read where they lie, and that must be an aligned place.
        let owned = OwnedFrame::copy(Frame::new(header, payload));
        let frame = owned.frame();
        let direction = (record.pid, record.connection, record.side, record.what);
        let fault = self.read(direction, frame, &mut fields).err();
        if fault.is_some() {
            self.parts.remove(&direction);
            fields = Fields::new(self.with_bytes);
            fields.push_hidden("payload", payload);
        }
        let id = (header.kind.class() != Some(Class::Hello)).then(|| frame.id());
        let fault = fault.map(|fault| fault.to_string());
        Decoded { kind: Some(header.kind), id, fields, fault }
    }

    fn read(&mut self, of: Direction, frame: Frame<'_>, fields: &mut Fields) -> Result<(), Fault> {
        if frame.flags() != Flags::NONE {
            return Err(DecodeError::Flags(frame.flags()).into());
        }
        match frame.kind() {
            Kind::CLIENT_HELLO => {
                self.parts.remove(&of);
                let hello = ClientHello::decode(frame.kind(), frame.payload())?;
                fields.push_client_hello(&hello);
                return Ok(());
            }
            Kind::ENGINE_HELLO => {
                self.parts.remove(&of);
                let hello = EngineHello::decode(frame.kind(), frame.payload())?;
                fields.push_engine_hello(&hello);
                return Ok(());
            }
            _ => {}
        }
        let mut parts = self.parts.remove(&of).unwrap_or_default();
        if read_part(frame, &mut parts)? {
            read_message(frame, fields)?;
        } else {
            let whole = parts.complete(frame)?;
            if whole.payload().len() > frame.payload().len() {
                fields.push("whole_len", whole.payload().len());
            }
            read_message(whole, fields)?;
            parts.clear();
        }
        if parts.is_mid_message() {
            self.parts.insert(of, parts);
        }
        Ok(())
    }
}

/// Takes in a piece of a long message; returns whether the frame is one.
fn read_part(frame: Frame<'_>, parts: &mut PartReader) -> Result<bool, DecodeError> {
    if schema_of(frame.kind()).is_none_or(|schema| schema.name != "Part") {
        return Ok(false);
    }
    if frame.kind().class() == Some(Class::Control) {
        if let ArchivedControlMessage::Part(part) = frame.control()? {
            parts.handle_part(frame.id(), part.get())?;
        }
    } else if let ArchivedEngineMessage::Part(part) = frame.engine()? {
        parts.handle_part(frame.id(), part.get())?;
    }
    Ok(true)
}

/// Validates a message and reads its fields.
fn read_message(frame: Frame<'_>, fields: &mut Fields) -> Result<(), DecodeError> {
    match frame.kind().class() {
        Some(Class::Control) => frame.control().map(|_| ())?,
        Some(Class::Engine) => frame.engine().map(|_| ())?,
        _ => return Err(DecodeError::WrongClass(frame.kind())),
    }
    if let Some(schema) = schema_of(frame.kind()) {
        fields.push_body(schema, frame.payload());
    }
    Ok(())
}

/// Header and payload, if the bytes are exactly one frame.
fn split(bytes: &[u8]) -> Result<(Header, &[u8]), Fault> {
    let incomplete = Fault::Incomplete { held: bytes.len() };
    let Some((length, _)) = bytes.split_first_chunk::<LENGTH_WORD_SIZE>() else {
        return Err(incomplete);
    };
    let size = Header::frame_size(u32::from_be_bytes(*length)).map_err(DecodeError::Length)?;
    match bytes.split_first_chunk::<HEADER_SIZE>() {
        Some((header, payload)) if bytes.len() == size => {
            Ok((Header::decode(*header).map_err(DecodeError::Length)?, payload))
        }
        _ => Err(incomplete),
    }
}

fn schema_of(kind: Kind) -> Option<&'static BodySchema> {
    let schemas = match kind.class()? {
        Class::Control => ControlMessage::SCHEMA,
        Class::Engine => EngineMessage::SCHEMA,
        _ => return None,
    };
    schemas.iter().find(|(tag, _)| *tag == kind.tag()).map(|(_, schema)| schema)
}

/// The kind's name, if it is one we know.
pub(super) fn name_of(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::CLIENT_HELLO => Some("ClientHello"),
        Kind::ENGINE_HELLO => Some("EngineHello"),
        _ => match kind.class()? {
            Class::Control => ControlMessage::name_of(kind.tag()),
            Class::Engine => EngineMessage::name_of(kind.tag()),
            _ => None,
        },
    }
}

/// The kinds that one word means: some have a name in common.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KindChoice(Vec<Kind>);

impl KindChoice {
    pub(super) fn is(&self, kind: Option<Kind>) -> bool {
        kind.is_some_and(|kind| self.0.contains(&kind))
    }
}

/// Reads a kind's name, in any case, or its number: `ping`, `0x010b`.
///
/// # Errors
///
/// In words, for the person who wrote it.
pub(crate) fn parse_kind(text: &str) -> Result<KindChoice, String> {
    if let Some(digits) = text.strip_prefix("0x") {
        let number = u16::from_str_radix(digits, 16);
        return number
            .map(|number| KindChoice(vec![Kind(number)]))
            .map_err(|_| format!("{text} is no number of a kind, such as 0x010b"));
    }
    let is_named = |kind: &Kind| name_of(*kind).is_some_and(|name| name.eq_ignore_ascii_case(text));
    let kinds: Vec<_> = (0..=u16::MAX).map(Kind).filter(is_named).collect();
    if kinds.is_empty() {
        return Err(format!("no kind of frame is called {text}; Spawn, Input and Output are some"));
    }
    Ok(KindChoice(kinds))
}
