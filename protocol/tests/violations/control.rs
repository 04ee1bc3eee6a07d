//! What a client must not say.

use tautline_protocol::{
    ControlMessage, Delivery, ErrorCode, Limit, SizePolicy, Vocabulary, WaitKind, WindowSize,
    limits::BODY_MAX,
};

use super::{ID, Row, refused};
use crate::samples::{
    assembled,
    control::*,
    shared::{part, ping, pong},
};

static LARGER_THAN_ANY: [u8; BODY_MAX + 1] = [b'x'; BODY_MAX + 1];

pub(crate) fn rows() -> Vec<Row> {
    let all = [attaching(), names(), names_elsewhere(), typing(), sizes(), children(), asking()];
    let all = all.into_iter().chain([configuring(), ending()]);
    all.flatten().collect()
}

fn attaching() -> Vec<Row> {
    refused! { ControlMessage:
        Spawn(spawn()) { terms.flags = 1 << 8 } => InvalidChoice, None, 256;
        Spawn(spawn()) { terms.delivery = 4 } => InvalidChoice, None, 4;
        Spawn(spawn()) { terms.view = 3 } => InvalidChoice, None, 3;
        Spawn(spawn()) { terms.history_lines = (1 << 20) + 1 }
            => InvalidNumber, None, (1 << 20) + 1;
        Spawn(spawn()) { terms.window = 0 } => InvalidNumber, OutputWindow, 0;
        Spawn(spawn()) { terms.delivery = Delivery::None.to_wire() }
            => InvalidNumber, None, 0xa4_a5a6;
        Spawn(spawn()) { flags = 1 << 5 } => InvalidChoice, None, 32;
        Spawn(spawn()) { flags = u32::MAX } => InvalidChoice, None, 0xffff_ffe0;
        Spawn(spawn()) { restart = 3 } => InvalidChoice, None, 3;
        Spawn(spawn()) { size_policy = 4 } => InvalidChoice, None, 4;
        Spawn(spawn()) { log_size = 65_535 } => InvalidNumber, None, 65_535;
        Spawn(spawn()) { log_size = (1 << 30) + 1 } => InvalidNumber, None, (1 << 30) + 1;
        Spawn(spawn()) { size = WindowSize::cells(0, 24) } => InvalidSize, None, 24;
        Spawn(spawn()) { size = WindowSize::cells(4097, 1) } => InvalidSize, Window, 4097 << 16 | 1;
        Spawn(spawn()) { argv = "sh".into() } => InvalidList, None, 2;
        Spawn(spawn()) { argv = b"sh\0-c".into() } => InvalidList, None, 5;
        Spawn(spawn()) { env = "A=1".into() } => InvalidList, None, 3;
        Spawn(spawn()) { env = b"A=1\0B\0".into() } => InvalidList, None, 1;
        Spawn(spawn()) { env = b"=12\0".into() } => InvalidList, None, 3;
        Spawn(spawn()) { env = b"\0".into() } => InvalidList, None, 0;
        Spawn(spawn()) { cwd = "relative".into() } => InvalidPath, None, 8;
        Spawn(spawn()) { cwd = b"/a\0b".into() } => InvalidPath, None, 4;
        Spawn(spawn()) { cwd = (&[b'/'; 4096]).into() } => InvalidText, Text, 4096;
        Attach(attach()) { terms.attachment = 0 } => InvalidAttachment, None, 0;
        Attach(attach()) { terms.flags = 1 << 31 } => InvalidChoice, None, 1 << 31;
        Attach(attach()) { terms.delivery = 255 } => InvalidChoice, None, 255;
        Attach(attach()) { terms.view = 255 } => InvalidChoice, None, 255;
        Attach(attach()) { terms.history_lines = u32::MAX } => InvalidNumber, None, 0xffff_ffff;
        Attach(attach()) { terms.window = 8191 } => InvalidNumber, OutputWindow, 8191;
        Attach(attach()) { terms.window = (1 << 24) + 1 }
            => InvalidNumber, OutputWindow, (1 << 24) + 1;
        Attach(attach()) { terms.delivery = 0, terms.window = 8192 } => InvalidNumber, None, 8192;
        Attach(attach()) { size = WindowSize::cells(80, 0) } => InvalidSize, None, 80 << 16;
        Attach(attach()) { size = WindowSize::cells(1, 4097) }
            => InvalidSize, Window, 1 << 16 | 4097;
        Attach(attach()) { env = b"A=1\0B".into() } => InvalidList, None, 5;
        Attach(attach()) { env = b"A\0".into() } => InvalidList, None, 1;
        Adjust(adjust()) { attachment = 0 } => InvalidAttachment, None, 0;
        Adjust(adjust()) { flags = 1 << 8 } => InvalidChoice, None, 256;
        Adjust(adjust()) { flags = u32::MAX - 1 } => InvalidChoice, None, 0xffff_ff00;
        Adjust(adjust()) { window = 1 } => InvalidNumber, OutputWindow, 1;
        Adjust(adjust()) { window = u32::MAX } => InvalidNumber, OutputWindow, 0xffff_ffff;
        Adjust(adjust()) { delivery = 4 } => InvalidChoice, None, 4;
        Adjust(adjust()) { size_policy = 254 } => InvalidChoice, None, 254;
        Detach(detach()) { attachment = 0 } => InvalidAttachment, None, 0;
        Consumed(consumed()) { attachment = 0 } => InvalidAttachment, None, 0;
    }
}

fn names() -> Vec<Row> {
    refused! { ControlMessage:
        Attach(attach()) { name = "".into() } => InvalidName, None, 0;
        Attach(attach()) { name = "-rf".into() } => InvalidName, None, 3;
        Attach(attach()) { name = ".hidden".into() } => InvalidName, None, 7;
        Attach(attach()) { name = "..".into() } => InvalidName, None, 2;
        Attach(attach()) { name = "a/b".into() } => InvalidName, None, 3;
        Attach(attach()) { name = "a b".into() } => InvalidName, None, 3;
        Attach(attach()) { name = "a\n".into() } => InvalidName, None, 2;
        Attach(attach()) { name = "a\0".into() } => InvalidName, None, 2;
        Attach(attach()) { name = "\u{1b}[2J".into() } => InvalidName, None, 4;
        Attach(attach()) { name = "a\u{7f}".into() } => InvalidName, None, 2;
        Attach(attach()) { name = "\u{e9}".into() } => InvalidName, None, 2;
        Attach(attach()) { name = b"a\xff".into() } => InvalidName, None, 2;
        Attach(attach()) { name = (&[b'x'; 65]).into() } => InvalidName, Name, 65;
        Attach(attach()) { name = (&[b'x'; 8000]).into() } => InvalidName, Name, 8000;
    }
}

fn names_elsewhere() -> Vec<Row> {
    refused! { ControlMessage:
        Spawn(spawn()) { name = "a:b".into() } => InvalidName, None, 3;
        Kick(kick()) { name = "a:b".into() } => InvalidName, None, 3;
        Resize(resize()) { name = "".into() } => InvalidName, None, 0;
        Signal(signal()) { name = "".into() } => InvalidName, None, 0;
        Stop(stop()) { name = "".into() } => InvalidName, None, 0;
        Restart(restart()) { name = "".into() } => InvalidName, None, 0;
        Remove(remove()) { name = "".into() } => InvalidName, None, 0;
        Rename(rename()) { name = "".into() } => InvalidName, None, 0;
        Rename(rename()) { new_name = "a b".into() } => InvalidName, None, 3;
        Status(status()) { name = "%".into() } => InvalidName, None, 1;
        Logs(logs()) { name = "".into() } => InvalidName, None, 0;
        Screen(screen()) { name = "".into() } => InvalidName, None, 0;
        Wait(wait()) { name = "".into() } => InvalidName, None, 0;
        Subscribe(subscribe()) { name = "@".into() } => InvalidName, None, 1;
        Stats(stats()) { name = "*".into() } => InvalidName, None, 1;
    }
}

fn typing() -> Vec<Row> {
    refused! { ControlMessage:
        Input(input()) { attachment = 0 } => InvalidAttachment, None, 0;
        Input(input()) { flags = 8 } => InvalidChoice, None, 8;
        Input(input()) { bytes = "".into() } => InvalidText, None, 0;
        Input(input()) { bytes = (&[0; 8145]).into() } => InvalidText, Text, 8145;
        Input(input()) { offset = u64::MAX } => InvalidOffset, None, u64::MAX;
        Input(input()) { offset = u64::MAX - 11 } => InvalidOffset, None, u64::MAX - 11;
        Keys(keys()) { attachment = 0 } => InvalidAttachment, None, 0;
        Keys(keys()) { flags = 1 << 15 } => InvalidChoice, None, 1 << 15;
        Keys(keys()) { keys = "".into() } => InvalidText, None, 0;
        Keys(keys()) { keys = "up".into() } => InvalidList, None, 2;
        Keys(keys()) { keys = (&[0; 8145]).into() } => InvalidText, Text, 8145;
        Keys(keys()) { offset = u64::MAX } => InvalidOffset, None, u64::MAX;
        Ping(ping()) { bytes = (&[0; 8129]).into() } => InvalidText, Text, 8129;
        Pong(pong()) { bytes = (&[0; 8129]).into() } => InvalidText, Text, 8129;
        Part(part()) { bytes = (&[0; 8153]).into() } => InvalidText, Text, 8153;
    }
}

fn sizes() -> Vec<Row> {
    let latest = SizePolicy::Latest.to_wire();
    refused! { ControlMessage:
        Resize(resize()) { size_policy = 4 } => InvalidChoice, None, 4;
        Resize(resize_attachment()) { size_policy = 3 } => InvalidNumber, None, 3;
        Resize(resize_attachment()) { name = "resized-8".into() } => InvalidText, Text, 9;
        Resize(resize_attachment()) { size = WindowSize::default() } => InvalidSize, None, 0;
        Resize(resize_attachment()) { size = WindowSize::cells(2000, 2000) }
            => InvalidSize, Window, 2000 << 16 | 2000;
        Resize(resize()) { size = WindowSize::default() } => InvalidSize, None, 0;
        Resize(resize()) { size = WindowSize::cells(1, u16::MAX) } => InvalidSize, Window, 0x1_ffff;
        Resize(resize()) { size = WindowSize::cells(u16::MAX, u16::MAX) }
            => InvalidSize, Window, 0xffff_ffff;
        Resize(resize()) { size = WindowSize::cells(1024, 1025) }
            => InvalidSize, Window, 0x400_0401;
        Resize(resize()) { size_policy = latest, size = WindowSize::cells(0, 5) }
            => InvalidSize, None, 5;
        Resize(resize()) { size_policy = latest, size = WindowSize::cells(5, 0) }
            => InvalidSize, None, 5 << 16;
        Resize(resize()) { size_policy = latest, size = WindowSize::cells(4097, 4097) }
            => InvalidSize, Window, 0x1001_1001;
    }
}

fn children() -> Vec<Row> {
    refused! { ControlMessage:
        Signal(signal()) { number = 0 } => InvalidNumber, None, 0;
        Signal(signal()) { number = 65 } => InvalidNumber, None, 65;
        Signal(signal()) { number = -1 } => InvalidNumber, None, 0xffff_ffff;
        Signal(signal()) { number = i32::MIN } => InvalidNumber, None, 0x8000_0000;
        Signal(signal()) { flags = 2 } => InvalidChoice, None, 2;
        Signal(signal()) { target = 3 } => InvalidChoice, None, 3;
        Stop(stop()) { number = 65 } => InvalidNumber, None, 65;
        Stop(stop()) { number = -1 } => InvalidNumber, None, 0xffff_ffff;
        Restart(restart()) { number = i32::MAX } => InvalidNumber, None, 0x7fff_ffff;
        Remove(remove()) { flags = 2 } => InvalidChoice, None, 2;
        Kick(kick()) { flags = 4 } => InvalidChoice, None, 4;
        Kick(kick()) { client_id = [0; 16] } => InvalidText, None, 0;
        Kick(kick()) { attachment = 0, name = "".into(), client_id = [0; 16] }
            => InvalidText, None, 0;
    }
}

fn asking() -> Vec<Row> {
    refused! { ControlMessage:
        List(list()) { flags = 1 } => InvalidChoice, None, 1;
        Status(status()) { flags = 1 << 31 } => InvalidChoice, None, 1 << 31;
        Logs(logs()) { flags = 4 } => InvalidChoice, None, 4;
        Screen(screen()) { flags = 2 } => InvalidChoice, None, 2;
        Screen(screen()) { history_lines = (1 << 20) + 1 } => InvalidNumber, None, (1 << 20) + 1;
        Wait(wait()) { flags = 1 } => InvalidChoice, None, 1;
        Wait(wait()) { kind = 4 } => InvalidChoice, None, 4;
        Wait(wait()) { pattern = (&[b'x'; 1025]).into() } => InvalidText, Text, 1025;
        Wait(wait()) { pattern = b"ok\xff".into() } => InvalidText, None, 2;
        Wait(wait()) { pattern = "".into() } => InvalidText, None, 0;
        Wait(wait()) { kind = WaitKind::Idle.to_wire(), pattern = "x".into() }
            => InvalidText, Text, 1;
        Wait(wait()) { kind = WaitKind::Exit.to_wire() } => InvalidText, Text, 11;
        Wait(wait()) { kind = WaitKind::CommandEnd.to_wire() } => InvalidText, Text, 11;
        Cancel(cancel()) { target = 0 } => InvalidNumber, None, 0;
        Stats(stats()) { flags = 8 } => InvalidChoice, None, 8;
        ConfigGet(config_get()) { key = (&[b'k'; 4097]).into() } => InvalidText, Text, 4097;
        ConfigGet(config_get()) { key = b"key\xff".into() } => InvalidText, None, 3;
    }
}

fn configuring() -> Vec<Row> {
    refused! { ControlMessage:
        Configure(configure()) { flags = 1 } => InvalidChoice, None, 1;
        Configure(configure()) { entries = "".into() } => InvalidText, None, 0;
        Configure(configure()) { entries = b"k=\xff\0".into() } => InvalidText, None, 2;
        Configure(configure()) { entries = (&LARGER_THAN_ANY).into() }
            => InvalidText, Text, BODY_MAX as u64 + 1;
        Configure(configure()) { entries = "k=v".into() } => InvalidList, None, 3;
        Configure(configure()) { entries = "key\0".into() } => InvalidList, None, 3;
        LoadPlugin(load_plugin()) { flags = 1 } => InvalidChoice, None, 1;
        LoadPlugin(load_plugin()) { path = "".into() } => InvalidText, None, 0;
        LoadPlugin(load_plugin()) { path = (&[b'/'; 4096]).into() } => InvalidText, Text, 4096;
        LoadPlugin(load_plugin()) { path = "./plugin".into() } => InvalidPath, None, 8;
        LoadPlugin(load_plugin()) { path = b"/plugin\0".into() } => InvalidPath, None, 8;
        Present(present()) { flags = 1 } => InvalidChoice, None, 1;
        Present(present()) { token = "".into() } => InvalidText, None, 0;
        Present(present()) { token = (&[0; 4097]).into() } => InvalidText, Text, 4097;
    }
}

fn ending() -> Vec<Row> {
    refused! { ControlMessage:
        Shutdown(shutdown()) { flags = 2 } => InvalidChoice, None, 2;
        Disconnect(disconnect()) { flags = 1 } => InvalidChoice, None, 1;
    }
}
