//! Every size and count that the wire fixes: what happens there, what it costs, why this number.
//!
//! `X_MAX` here is a bound both peers compile in. Limits an operator may choose (clients, sessions,
//! windows) live with the engine; the hello and `Attached` tell the peer what was chosen.

/// Most bytes a whole frame takes, length word included; a longer one is refused from its first
/// four bytes, before anything is read or allocated.
///
/// Equal to the receive buffer each connection owns, so a frame always fits and is read in place.
/// 64 clients cost 512 KiB of receive buffers.
pub const FRAME_MAX: usize = 8192;

/// Bytes before the payload: length, kind and flags.
///
/// Eight and not four: archives are multiples of 8 long, so a 4-byte prefix would leave every other
/// pipelined frame misaligned (49.5 % of 200,000 frames refused when it was tried).
pub const HEADER_SIZE: usize = 8;

/// Bytes of the length word, the only part of a frame that `length` does not count.
pub const LENGTH_WORD_SIZE: usize = 4;

/// Every frame starts at a multiple of this in the receive buffer, because every frame is a
/// multiple of it long.
pub const FRAME_ALIGN: usize = 8;

/// Alignment of the receive buffer itself: twice what the archives need, one cache line's quarter.
pub const BUFFER_ALIGN: usize = 16;

/// Most payload bytes in one frame.
pub const PAYLOAD_MAX: usize = FRAME_MAX - HEADER_SIZE;

/// Size of the root `{ id, message }` that ends every archive: frozen, so `id` can be read from a
/// frame whose kind is unknown.
pub const ROOT_SIZE: usize = 16;

/// Largest legal `length` word.
pub const LENGTH_MAX: u32 = (FRAME_MAX - LENGTH_WORD_SIZE) as u32;

/// Smallest legal `length` word: kind, flags and a bare root.
pub const LENGTH_MIN: u32 = (HEADER_SIZE - LENGTH_WORD_SIZE + ROOT_SIZE) as u32;

/// Payload bytes of either hello, in every version.
pub const HELLO_SIZE: usize = 120;

/// Most bytes of an archive that travels in parts; a longer one is refused at its first part.
///
/// Linux passes a program at most 128 KiB per argument and usually 2 MiB in all; real environments
/// are 4 to 40 KiB. One body is in assembly per connection, so 64 clients can pin 16 MiB.
pub const BODY_MAX: usize = 256 * 1024;

/// Most body bytes one `Part` frame carries: what is left of a frame after header, root and the
/// fixed fields of `Part`.
pub const PART_MAX: usize = PAYLOAD_MAX - 16 - ROOT_SIZE;

/// Most input bytes one `Input` frame carries.
pub const INPUT_MAX: usize = PAYLOAD_MAX - 24 - ROOT_SIZE;

/// Most output bytes one `Output` frame carries.
pub const OUTPUT_MAX: usize = PAYLOAD_MAX - 40 - ROOT_SIZE;

/// Longest session name, in bytes. Fits any list column and any file name derived from it.
pub const NAME_MAX: usize = 64;

/// Longest text of an `Error`, `Goodbye` or `Event`, in bytes: a sentence and a path.
pub const TEXT_MAX: usize = 4096;

/// Longest path, in bytes: `PATH_MAX` on Linux without its terminating NUL.
pub const PATH_MAX: usize = 4095;

/// Longest pattern a `Wait` may carry, in bytes. Bounds the compiled automaton with it.
pub const PATTERN_MAX: usize = 1024;

/// Longest echo payload of a `Ping`, in bytes: what still fits one frame.
pub const PING_MAX: usize = PAYLOAD_MAX - 40 - ROOT_SIZE;

/// Most columns or rows of a window.
///
/// Four times the widest terminal that is in use; beyond it a terminal model costs more memory than
/// the session it mirrors.
pub const WINDOW_SIDE_MAX: u16 = 4096;

/// Most cells of a window (columns times rows): a terminal model of about 24 bytes a cell stays
/// below 24 MiB.
pub const WINDOW_CELLS_MAX: u32 = 1 << 20;

/// Most history lines a snapshot may be asked for.
pub const HISTORY_LINES_MAX: u32 = 1 << 20;

/// Smallest output window that is not 0: one full `Output` frame, or the stream could never move.
pub const OUTPUT_WINDOW_MIN: u32 = FRAME_MAX as u32;

/// Largest output window a subscriber may ask for. Costs the engine nothing (the session log holds
/// the bytes once); bounds what a peer can leave unread in its own socket.
pub const OUTPUT_WINDOW_MAX: u32 = 16 * 1024 * 1024;

/// Smallest session log: one turn of the PTY reader.
pub const LOG_SIZE_MIN: u32 = 64 * 1024;

/// Largest session log.
pub const LOG_SIZE_MAX: u32 = 1024 * 1024 * 1024;

/// Highest signal number that may be asked for (Linux: `SIGRTMAX`).
pub const SIGNAL_MAX: i32 = 64;

const _: () = {
    assert!(FRAME_MAX.is_multiple_of(BUFFER_ALIGN));
    assert!(HEADER_SIZE.is_multiple_of(FRAME_ALIGN));
    assert!(BUFFER_ALIGN.is_multiple_of(FRAME_ALIGN));
    assert!(HELLO_SIZE.is_multiple_of(FRAME_ALIGN) && HELLO_SIZE <= PAYLOAD_MAX);
    assert!(LENGTH_MAX % 8 == 4 && LENGTH_MIN % 8 == 4);
    assert!(PART_MAX.is_multiple_of(FRAME_ALIGN), "parts keep the rest of an archive aligned");
    assert!(BODY_MAX.is_multiple_of(FRAME_ALIGN) && BODY_MAX > PAYLOAD_MAX);
    assert!(TEXT_MAX + 128 <= PAYLOAD_MAX, "an error always fits one frame");
    assert!(OUTPUT_WINDOW_MIN as usize >= OUTPUT_MAX);
    assert!((WINDOW_SIDE_MAX as u32) < WINDOW_CELLS_MAX);
};
