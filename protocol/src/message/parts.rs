//! Structs that several messages, or both directions, share.

use rkyv::{Archive, Serialize};

use crate::{
    check,
    limits::{PART_MAX, PING_MAX},
};

/// Size of a window, in cells and in pixels.
///
/// Pixels matter to sixel and kitty graphics; 0 means unknown. A child sees exactly these four
/// numbers in its `struct winsize`.
#[derive(Archive, Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize)]
#[rkyv(derive(Debug))]
pub struct WindowSize {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
    /// Width in pixels, 0 if unknown.
    pub x_pixels: u16,
    /// Height in pixels, 0 if unknown.
    pub y_pixels: u16,
}

impl WindowSize {
    /// A size whose pixels are unknown.
    pub const fn cells(cols: u16, rows: u16) -> Self {
        Self { cols, rows, x_pixels: 0, y_pixels: 0 }
    }

    /// Whether it is 0x0, which asks for no change where that makes sense.
    pub const fn is_unset(self) -> bool {
        self.cols == 0 && self.rows == 0
    }
}

impl From<&ArchivedWindowSize> for WindowSize {
    fn from(size: &ArchivedWindowSize) -> Self {
        Self {
            cols: size.cols.to_native(),
            rows: size.rows.to_native(),
            x_pixels: size.x_pixels.to_native(),
            y_pixels: size.y_pixels.to_native(),
        }
    }
}

/// What a client asks of a new attachment; the same in `Attach` and in `Spawn`.
#[derive(Archive, Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[rkyv(derive(Debug))]
pub struct AttachTerms {
    /// The client's number for the attachment: not 0, and not in use on its connection.
    pub attachment: u32,
    /// [`AttachFlags`](crate::AttachFlags): roles and habits asked for.
    pub flags: u32,
    /// With view `Offset`: the first output byte wanted; [`OFFSET_NOW`](crate::OFFSET_NOW) for
    /// what comes next.
    pub output_from: u64,
    /// Output bytes the engine may send ahead of `Consumed`; 0 with delivery `None`.
    pub window: u32,
    /// How long this subscriber may hold the child, in milliseconds; 0 for the engine's choice,
    /// `u32::MAX` for ever.
    pub pause_limit_ms: u32,
    /// With view `Snapshot`: lines of history wanted before the screen.
    pub history_lines: u32,
    /// [`Delivery`](crate::Delivery).
    pub delivery: u8,
    /// [`View`](crate::View).
    pub view: u8,
}

impl From<&ArchivedAttachTerms> for AttachTerms {
    fn from(terms: &ArchivedAttachTerms) -> Self {
        Self {
            attachment: terms.attachment.to_native(),
            flags: terms.flags.to_native(),
            output_from: terms.output_from.to_native(),
            window: terms.window.to_native(),
            pause_limit_ms: terms.pause_limit_ms.to_native(),
            history_lines: terms.history_lines.to_native(),
            delivery: terms.delivery,
            view: terms.view,
        }
    }
}

body! {
    /// Asks for a sign of life; answered by `Pong`. Both directions.
    Ping / ArchivedPing {
        /// Comes back unchanged.
        token: u64,
        /// The sender's monotonic clock in nanoseconds; comes back unchanged and is never used for
        /// a decision.
        sent_ns: u64,
    } bytes {
        /// Comes back unchanged: weight for measurements, at most 8,128 bytes.
        bytes,
    } check |this| {
        check::len_max(&this.bytes, PING_MAX, "ping payload")
    }
}

body! {
    /// Answers a `Ping`. Both directions.
    ///
    /// All clocks are monotonic, in nanoseconds; comparable between peers only if the hellos named
    /// the same `clock`.
    Pong / ArchivedPong {
        /// The ping's.
        token: u64,
        /// The ping's.
        sent_ns: u64,
        /// When the ping's last byte was read.
        received_ns: u64,
        /// When this answer was encoded.
        replied_ns: u64,
    } bytes {
        /// The ping's.
        bytes,
    } check |this| {
        check::len_max(&this.bytes, PING_MAX, "pong payload")
    }
}

body! {
    /// A piece of an archive too large for one frame. Both directions.
    ///
    /// The sender builds the whole archive as if frames had no limit, cuts everything but the end
    /// off in pieces, and sends each as a `Part` with the message's id, in order. The last frame
    /// has the message's own kind and the rest of the archive as its payload.
    Part / ArchivedPart {
        /// Where in the archive these bytes belong: the sum of the parts before.
        position: u32,
        /// Length of the whole archive, the rest in the last frame included.
        total: u32,
    } bytes {
        /// The piece: a multiple of 8 bytes, at most 8,152.
        bytes,
    } check |this| {
        // Whether it is the next piece, and of nothing too long, is `PartReader`'s to say: those
        // faults end the connection, while a check here would only be answered.
        check::len_max(&this.bytes, PART_MAX, "part")
    }
}
