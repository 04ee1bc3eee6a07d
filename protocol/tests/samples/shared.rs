//! Samples of what several messages, or both directions, share.

use tautline_protocol::{
    AttachTerms, Delivery, Part, Ping, Pong, View, WindowSize,
    limits::{PART_MAX, PING_MAX},
};

use super::{ascending, half, long, word};

static PING_LONGEST: [u8; PING_MAX] = ascending(0);
static PART_LONGEST: [u8; PART_MAX] = ascending(0);

pub(crate) fn size() -> WindowSize {
    WindowSize { cols: 0x0101, rows: 0x0202, x_pixels: half(0x03), y_pixels: half(0x05) }
}

pub(crate) fn terms() -> AttachTerms {
    AttachTerms {
        attachment: word(0xa0),
        flags: 0x5f,
        output_from: long(0xb0),
        window: 0x00a4_a5a6,
        pause_limit_ms: word(0xa8),
        history_lines: 0x000a_acad,
        delivery: Delivery::Log.to_wire(),
        view: View::Snapshot.to_wire(),
    }
}

pub(crate) fn ping() -> Ping<'static> {
    Ping { token: long(0x10), sent_ns: long(0x20), bytes: "ping payload".into() }
}

pub(crate) fn ping_longest() -> Ping<'static> {
    Ping { bytes: (&PING_LONGEST).into(), ..ping() }
}

pub(crate) fn pong() -> Pong<'static> {
    Pong {
        token: long(0x10),
        sent_ns: long(0x20),
        received_ns: long(0x30),
        replied_ns: long(0x40),
        bytes: "pong payload".into(),
    }
}

pub(crate) fn part() -> Part<'static> {
    Part { position: 0x0001_1110, total: 0x0002_2220, bytes: "one piece of twenty-four".into() }
}

pub(crate) fn part_longest() -> Part<'static> {
    Part { bytes: (&PART_LONGEST).into(), ..part() }
}
