//! Which bytes of an archive mean nothing: computed from the schema, not from an encoder.

use tautline_protocol::Vocabulary;

/// For every byte of the archive of `message`, whether it is padding.
pub(crate) fn of(message: &impl Vocabulary) -> Vec<bool> {
    let schema = message.body_schema();
    let body = message.bytes_len().next_multiple_of(schema.align);
    let mut padding = vec![true; message.archive_size()];
    padding[..message.bytes_len()].fill(false);
    for field in schema.fields {
        let start = body + field.offset;
        padding[start..start + significant(field.ty)].fill(false);
    }
    let root = padding.len() - 16;
    padding[root..root + 9].fill(false); // id and tag
    padding[root + 12..].fill(false); // the pointer to the body
    padding
}

/// Bytes of a field that mean something; they come first in it.
pub(crate) fn significant(ty: &str) -> usize {
    match ty {
        "u8" => 1,
        "u16" => 2,
        "u32" | "i32" => 4,
        "u64" | "bytes" | "WindowSize" => 8,
        "[u8; 16]" => 16,
        "AttachTerms" => 30,
        other => panic!("the schema has a type that was never agreed on: {other}"),
    }
}

/// Whether two archives are equal where `padding` is not set.
pub(crate) fn equal_but_for(padding: &[bool], one: &[u8], other: &[u8]) -> bool {
    let mut pairs = padding.iter().zip(one.iter().zip(other));
    one.len() == other.len()
        && one.len() == padding.len()
        && pairs.all(|(padding, (one, other))| *padding || one == other)
}
