//! What clients type: endless tapes whose bytes tell who typed them and, nearly, where.

/// Clients that can be told apart by what they type; the last is the hostile one.
pub(crate) const TYPISTS: usize = 5;

/// The byte at `position` of a client's tape.
pub(crate) fn typed(client: usize, position: u64) -> u8 {
    let noise = position.wrapping_add(client as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (client as u8) << 5 | (noise as u8 & 31)
}

/// Whose byte it is.
pub(crate) fn typist(byte: u8) -> usize {
    (byte >> 5).into()
}

/// A piece of a tape.
pub(crate) fn tape(client: usize, from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64).map(|position| typed(client, position)).collect()
}
