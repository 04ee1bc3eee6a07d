//! What an engine must not say.

use tautline_protocol::{EngineMessage, ErrorCode, Limit, Vocabulary, limits::BODY_MAX};

use super::{ID, Row, refused};
use crate::samples::{
    assembled,
    engine::*,
    shared::{part, ping, pong},
};

static LARGER_THAN_ANY: [u8; BODY_MAX + 1] = [b'x'; BODY_MAX + 1];

pub(crate) fn rows() -> Vec<Row> {
    let all = [attachments(), streams(), snapshots(), descriptions(), answers()];
    all.into_iter().flatten().collect()
}

fn attachments() -> Vec<Row> {
    refused! { EngineMessage:
        Spawned(spawned()) { flags = 2 } => InvalidChoice, None, 2;
        Spawned(spawned()) { name = "".into() } => InvalidName, None, 0;
        Attached(attached()) { attachment = 0 } => InvalidAttachment, None, 0;
        Attached(attached()) { delivery = 4 } => InvalidChoice, None, 4;
        Attached(attached()) { state = 5 } => InvalidChoice, None, 5;
        Attached(attached()) { size_policy = 4 } => InvalidChoice, None, 4;
        Attached(attached()) { input_applied = 8, input_accepted = 7 } => InvalidOffset, None, 8;
        Attached(attached()) { input_applied = 8, input_unknown_to = 7 } => InvalidOffset, None, 8;
        Started(started()) { attachment = 0 } => InvalidAttachment, None, 0;
        Adjusted(adjusted()) { attachment = 0 } => InvalidAttachment, None, 0;
        Adjusted(adjusted()) { cause = 4 } => InvalidChoice, None, 4;
        Adjusted(adjusted()) { delivery = 255 } => InvalidChoice, None, 255;
        Adjusted(adjusted()) { size_policy = 255 } => InvalidChoice, None, 255;
        Detached(detached()) { attachment = 0 } => InvalidAttachment, None, 0;
        Detached(detached()) { reason = 5 } => InvalidChoice, None, 5;
        Resized(resized()) { attachment = 0 } => InvalidAttachment, None, 0;
        Resized(resized()) { size_policy = 4 } => InvalidChoice, None, 4;
        Exited(exited()) { attachment = 0 } => InvalidAttachment, None, 0;
        Exited(exited()) { kind = 4 } => InvalidChoice, None, 4;
        Exited(exited()) { kind = 0 } => InvalidNumber, None, 0;
    }
}

fn streams() -> Vec<Row> {
    refused! { EngineMessage:
        Output(output()) { attachment = 0 } => InvalidAttachment, None, 0;
        Output(output()) { flags = 2 } => InvalidChoice, None, 2;
        Output(output()) { bytes = "".into() } => InvalidText, None, 0;
        Output(output()) { bytes = (&[0; 8129]).into() } => InvalidText, Text, 8129;
        Output(output()) { offset = u64::MAX - 1 } => InvalidOffset, None, u64::MAX - 1;
        InputApplied(input_applied()) { attachment = 0 } => InvalidAttachment, None, 0;
        InputApplied(input_applied()) { flags = 1 } => InvalidChoice, None, 1;
        Gap(gap()) { attachment = 0 } => InvalidAttachment, None, 0;
        Gap(gap()) { flags = 1 } => InvalidChoice, None, 1;
        Gap(gap()) { from = 2, to = 1 } => InvalidOffset, None, 2;
        Lagged(lagged()) { flags = 1 } => InvalidChoice, None, 1;
        Lagged(lagged()) { from = u64::MAX, to = 0 } => InvalidOffset, None, u64::MAX;
        LogChunk(log_chunk()) { flags = 2 } => InvalidChoice, None, 2;
        LogChunk(log_chunk()) { offset = u64::MAX } => InvalidOffset, None, u64::MAX;
        Ping(ping()) { bytes = (&[0; 8129]).into() } => InvalidText, Text, 8129;
        Pong(pong()) { bytes = (&[0; 8129]).into() } => InvalidText, Text, 8129;
        Part(part()) { bytes = (&[0; 8153]).into() } => InvalidText, Text, 8153;
    }
}

fn snapshots() -> Vec<Row> {
    refused! { EngineMessage:
        Snapshot(snapshot()) { attachment = 0 } => InvalidAttachment, None, 0;
        Snapshot(snapshot()) { section = 3 } => InvalidChoice, None, 3;
        Snapshot(snapshot()) { encoding = 1 } => InvalidChoice, None, 1;
        Snapshot(snapshot()) { position = 0, total = 14 } => InvalidOffset, None, 15;
        Snapshot(snapshot()) { position = u32::MAX, total = u32::MAX }
            => InvalidOffset, None, 0xffff_ffff + 15;
        Screen(screen()) { flags = 8 } => InvalidChoice, None, 8;
        Screen(screen()) { modes = "focus".into() } => InvalidList, None, 5;
        Screen(screen()) { text = b"$ \xe2\x9c".into() } => InvalidText, None, 2;
        Screen(screen()) { text = (&LARGER_THAN_ANY).into() }
            => InvalidText, Text, BODY_MAX as u64 + 1;
    }
}

fn descriptions() -> Vec<Row> {
    refused! { EngineMessage:
        Sessions(sessions()) { names = "main".into() } => InvalidList, None, 4;
        Status(status()) { state = 5 } => InvalidChoice, None, 5;
        Status(status()) { exit_kind = 4 } => InvalidChoice, None, 4;
        Status(status()) { size_policy = 4 } => InvalidChoice, None, 4;
        Status(status()) { restart = 3 } => InvalidChoice, None, 3;
        Status(status()) { name = "a\u{1b}".into() } => InvalidName, None, 2;
        Status(status()) { command = "bash".into() } => InvalidList, None, 4;
        Event(event()) { session = (&[b'x'; 65]).into() } => InvalidText, Text, 65;
        Event(event()) { text = (&[b'x'; 4097]).into() } => InvalidText, Text, 4097;
        Stats(stats()) { section = 3 } => InvalidChoice, None, 3;
        Stats(stats()) { name = (&[b'x'; 4097]).into() } => InvalidText, Text, 4097;
        Stats(stats()) { name = b"\xff".into() } => InvalidText, None, 0;
        Config(config()) { flags = 1 } => InvalidChoice, None, 1;
        Config(config()) { entries = "k=v".into() } => InvalidList, None, 3;
    }
}

fn answers() -> Vec<Row> {
    refused! { EngineMessage:
        WaitDone(wait_done()) { outcome = 4 } => InvalidChoice, None, 4;
        WaitDone(wait_done()) { exit_kind = 4 } => InvalidChoice, None, 4;
        WaitDone(wait_done()) { from = 2, to = 1 } => InvalidOffset, None, 2;
        WaitDone(wait_done()) { text = (&[b'x'; 4097]).into() } => InvalidText, Text, 4097;
        Error(error()) { class = 0 } => InvalidChoice, None, 0;
        Error(error()) { class = 6 } => InvalidChoice, None, 6;
        Error(error()) { text = (&[b'x'; 4097]).into() } => InvalidText, Text, 4097;
        Error(error()) { text = b"no \xff".into() } => InvalidText, None, 3;
        Goodbye(goodbye()) { text = (&[b'x'; 4097]).into() } => InvalidText, Text, 4097;
        Goodbye(goodbye()) { text = b"\x80".into() } => InvalidText, None, 0;
    }
}
