//! What clients type and children print: bytes that tell where they belong, made once and compared
//! as slices.

use std::sync::LazyLock;

/// Clients that can be told apart by what they type; the last is the hostile one.
pub(crate) const TYPISTS: usize = 5;

/// Whose byte it is.
pub(crate) fn typist(byte: u8) -> usize {
    (byte >> 5).into()
}

/// A piece of a client's tape.
pub(crate) fn tape(client: usize, from: u64, len: usize) -> &'static [u8] {
    &TAPES[client][from as usize..][..len]
}

/// Output that tells where it belongs.
pub(crate) fn numbered(from: u64, len: usize) -> &'static [u8] {
    &LINES[(from % LINES_SIZE) as usize..][..len]
}

/// More than any client types in one history.
const TAPE_SIZE: u64 = 100_000;

/// Output begins to repeat itself here: no multiple of what a log holds.
const LINES_SIZE: u64 = 90_000;

/// Most bytes a child prints at once.
pub(crate) const PRINT_MAX: usize = 8_192;

/// Bytes that tell who typed them and, nearly, where.
static TAPES: LazyLock<[Vec<u8>; TYPISTS]> = LazyLock::new(|| {
    std::array::from_fn(|client| (0..TAPE_SIZE).map(|position| typed(client, position)).collect())
});

static LINES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let offsets = (0..LINES_SIZE + PRINT_MAX as u64).step_by(9);
    let lines = offsets.map(|offset| format!("{:08}\n", offset % LINES_SIZE));
    lines.collect::<String>().into_bytes()
});

fn typed(client: usize, position: u64) -> u8 {
    let noise = position.wrapping_add(client as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (client as u8) << 5 | (noise as u8 & 31)
}
