//! A message's fields by name, read from its validated archive as its schema says.

use serde_json::{Value, json};

use super::{
    super::text::escape::escaped,
    meaning::{self, Shown},
};
use crate::protocol::{
    BodySchema, ClientHello, EngineHello, Field, Purpose, Refusal, Rights, entries,
    limits::ROOT_SIZE,
};

/// The fields of one frame, in wire order. Every text in them is escaped already.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) list: Vec<(String, Value)>,
    /// Also what was typed or printed, and secrets.
    with_bytes: bool,
}

/// `AttachTerms` is no body of its own, so it has no schema; the flags of a `Spawn` are others.
const TERMS: [Field; 8] = [
    Field { name: "attachment", ty: "u32", offset: 0 },
    Field { name: "attach_flags", ty: "u32", offset: 4 },
    Field { name: "output_from", ty: "u64", offset: 8 },
    Field { name: "window", ty: "u32", offset: 16 },
    Field { name: "pause_limit_ms", ty: "u32", offset: 20 },
    Field { name: "history_lines", ty: "u32", offset: 24 },
    Field { name: "delivery", ty: "u8", offset: 28 },
    Field { name: "view", ty: "u8", offset: 29 },
];

impl Fields {
    pub(super) fn new(with_bytes: bool) -> Self {
        Self { list: Vec::new(), with_bytes }
    }

    pub(super) fn push(&mut self, name: &str, value: impl Into<Value>) {
        self.list.push((name.into(), value.into()));
    }

    /// Bytes that are shown only when asked for, and their length.
    pub(super) fn push_hidden(&mut self, name: &str, bytes: &[u8]) {
        self.push(&format!("{name}_len"), bytes.len());
        if self.with_bytes {
            self.push(name, escaped(bytes));
        }
    }

    /// A body whose archive was validated. What is not where the schema says is left out: this
    /// never relies on it.
    pub(super) fn push_body(&mut self, schema: &BodySchema, payload: &[u8]) {
        let Some(fixed) = payload.len().checked_sub(ROOT_SIZE + schema.size) else {
            return;
        };
        for field in schema.fields {
            let _ = self.push_field(schema.name, field, payload, fixed);
        }
    }

    fn push_field(&mut self, body: &str, field: &Field, payload: &[u8], base: usize) -> Option<()> {
        let (name, at) = (field.name, base + field.offset);
        let value = match field.ty {
            "u8" => u8::from_le_bytes(array(payload, at)?).into(),
            "u16" => u16::from_le_bytes(array(payload, at)?).into(),
            "u32" => u32::from_le_bytes(array(payload, at)?).into(),
            "u64" => u64::from_le_bytes(array(payload, at)?),
            "i32" => {
                self.push(name, i32::from_le_bytes(array(payload, at)?));
                return Some(());
            }
            "WindowSize" => return self.push_window_size(payload, at),
            "[u8; 16]" => {
                self.push(name, hex(&array::<16>(payload, at)?));
                return Some(());
            }
            "AttachTerms" => {
                if array::<32>(payload, at)? != [0; 32] {
                    for field in &TERMS {
                        self.push_field(body, field, payload, at)?;
                    }
                }
                return Some(());
            }
            "bytes" => {
                self.push_bytes(body, name, byte_string(payload, at)?);
                return Some(());
            }
            _ => return None,
        };
        self.push(name, meaning::number(body, name, value));
        Some(())
    }

    fn push_window_size(&mut self, payload: &[u8], at: usize) -> Option<()> {
        for (index, name) in ["cols", "rows", "x_pixels", "y_pixels"].iter().enumerate() {
            let value = u16::from_le_bytes(array(payload, at + 2 * index)?);
            if index < 2 || value != 0 {
                self.push(name, value);
            }
        }
        Some(())
    }

    fn push_bytes(&mut self, body: &str, name: &str, bytes: &[u8]) {
        let list = || entries(bytes).map(|entry| json!(escaped(entry))).collect::<Vec<_>>();
        match meaning::shown(body, name) {
            Shown::Text => return self.push(name, escaped(bytes)),
            Shown::List => return self.push(name, list()),
            Shown::Length => return self.push_hidden(name, bytes),
            Shown::Program => {
                if let Some(program) = entries(bytes).next() {
                    self.push("program", escaped(program));
                }
            }
            Shown::Count => {}
        }
        self.push(&format!("{name}_count"), entries(bytes).count());
        if self.with_bytes {
            self.push(name, list());
        }
    }

    pub(super) fn push_client_hello(&mut self, hello: &ClientHello) {
        self.push("version_min", hello.version_min);
        self.push("version_max", hello.version_max);
        self.push("archive_format", hello.archive_format);
        let purpose = Purpose::from_wire(hello.purpose);
        self.push("purpose", purpose.map_or_else(|| json!(hello.purpose), |it| json!(it.name())));
        self.push("features_offered", format!("{:016x}", hello.features_offered.0));
        self.push("features_required", format!("{:016x}", hello.features_required.0));
        self.push("client_id", hex(&hello.client_id));
        self.push_secret(&hello.resume_secret);
        self.push("engine_seen", hex(&hello.engine_seen));
        self.push("rights", meaning::flag_names(Rights::BITS, hello.rights.into()));
        self.push("heartbeat_ms", hello.heartbeat_ms);
        self.push("clock", format!("{:016x}", hello.clock));
    }

    pub(super) fn push_engine_hello(&mut self, hello: &EngineHello) {
        let status = Refusal::from_wire(hello.status);
        self.push("status", status.map_or_else(|| json!(hello.status), |it| json!(it.name())));
        self.push("version", hello.version);
        self.push("version_min", hello.version_min);
        self.push("version_max", hello.version_max);
        self.push("archive_format", hello.archive_format);
        self.push("features", format!("{:016x}", hello.features.0));
        self.push("engine_id", hex(&hello.engine_id));
        self.push_secret(&hello.resume_secret);
        self.push("rights", meaning::flag_names(Rights::BITS, hello.rights.into()));
        self.push("heartbeat_ms", hello.heartbeat_ms);
        self.push("clock", format!("{:016x}", hello.clock));
        self.push("retry_after_ms", hello.retry_after_ms);
        self.push("resume_grace_ms", hello.resume_grace_ms);
        self.push("clients_limit", hello.clients_limit);
        self.push("attachments_limit", hello.attachments_limit);
    }

    /// A secret of all zeros is none.
    fn push_secret(&mut self, secret: &[u8; 16]) {
        self.push("resume_secret_len", if *secret == [0; 16] { 0 } else { secret.len() });
        if self.with_bytes {
            self.push("resume_secret", hex(secret));
        }
    }
}

fn array<const N: usize>(payload: &[u8], at: usize) -> Option<[u8; N]> {
    payload.get(at..)?.first_chunk().copied()
}

/// The byte string that the pointer at `at` leads to.
fn byte_string(payload: &[u8], at: usize) -> Option<&[u8]> {
    let pointer = i32::from_le_bytes(array(payload, at)?);
    let len = u32::from_le_bytes(array(payload, at + 4)?) as usize;
    let start = at.checked_add_signed(pointer as isize)?;
    payload.get(start..start.checked_add(len)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ControlMessage, EngineMessage, Vocabulary};

    #[test]
    fn every_type_of_every_schema_can_be_read() {
        let schemas = ControlMessage::SCHEMA.iter().chain(EngineMessage::SCHEMA);
        for (_, schema) in schemas {
            let mut fields = Fields::new(true);
            let payload = vec![0; schema.size + ROOT_SIZE];
            for field in schema.fields {
                let read = fields.push_field(schema.name, field, &payload, 0);
                assert!(read.is_some(), "{}.{}: {}", schema.name, field.name, field.ty);
            }
        }
    }
}
