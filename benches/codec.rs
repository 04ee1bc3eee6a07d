//! What the wire costs per message, in nanoseconds: encode, then frame, validate and dispatch.
//!
//! `cargo bench --bench codec`. First the messages that are sent all day, then every kind there is,
//! from its golden bytes. The best of many batches counts, so that other work on the machine does
//! not; only ratios of one run mean anything.

#![allow(clippy::unwrap_used, reason = "a bench fails where it stands")]

use std::{fs, hint::black_box, path::Path, time::Instant};

use tautline::{
    protocol::{
        Class, ClientHello, ControlMessage, EngineHello, EngineMessage, Features, Frame, Input,
        Kind, Output, Ping, ReceiveBuffer, Resize, Vocabulary, WindowSize, encode,
        limits::FRAME_MAX,
    },
    state::{Connection, Deadlines, Link, LinkPolicy, LinkStep, Step},
};

const CALLS: u32 = 5_000;

fn main() {
    // `cargo test` runs benches once, without `--bench`: then one batch shows that it works.
    let batches = if std::env::args().any(|arg| arg == "--bench") { 100 } else { 1 };
    println!("{:<24} {:>6} {:>10} {:>25}", "message", "bytes", "encode", "frame+validate+dispatch");
    let (small, middle, large) = (vec![b'x'; 1], vec![b'x'; 64], vec![b'x'; 8_000]);
    for bytes in [&small, &middle, &large] {
        let bytes = bytes.as_slice().into();
        let input = Input { attachment: 1, flags: 0, turn: 0, offset: 9, bytes };
        measure("Input", ControlMessage::Input(input), batches);
        let output =
            Output { attachment: 1, flags: 0, offset: 9, input_applied: 3, read_ns: 5, bytes };
        measure("Output", EngineMessage::Output(output), batches);
    }
    let size = WindowSize::cells(132, 50);
    let resize = Resize { attachment: 1, size_policy: 0, size, name: b"".into() };
    measure("Resize", ControlMessage::Resize(resize), batches);
    let ping = Ping { token: 1, sent_ns: 2, bytes: b"".into() };
    measure("Ping", ControlMessage::Ping(ping), batches);
    println!();
    for (name, frame) in golden_frames() {
        report(&name, frame.len(), None, reading(&frame, batches));
    }
}

fn measure(name: &str, message: impl Vocabulary, batches: u32) {
    let mut frame = [0; FRAME_MAX];
    let size = encode(&mut frame, 7, message).unwrap();
    let read = reading(&frame[..size], batches);
    let encoded = best(batches, |id| {
        black_box(encode(&mut frame, id.into(), black_box(message)).unwrap());
    });
    report(name, size, Some(encoded), read);
}

fn report(name: &str, size: usize, encoded: Option<f64>, read: f64) {
    let encoded = encoded.map_or_else(String::new, |nanos| format!("{nanos:.1}"));
    println!("{name:<24} {size:>6} {encoded:>10} {read:>25.1}");
}

/// What receiving costs, as a peer does it: the copy from the socket, the frame, its checks, and
/// the decision what it is.
fn reading(frame: &[u8], batches: u32) -> f64 {
    let mut receiver = Receiver::new();
    best(batches, |_| receiver.receive(black_box(frame)))
}

/// The fastest of the batches, for one call.
fn best(batches: u32, mut call: impl FnMut(u32)) -> f64 {
    let batch = |_| {
        let begun = Instant::now();
        (0..CALLS).for_each(&mut call);
        begun.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    (0..batches).map(batch).fold(f64::MAX, f64::min)
}

/// Both ends of a connection, ready for messages of either direction.
struct Receiver {
    buffer: ReceiveBuffer,
    engine: Connection,
    client: Link,
    now: Instant,
}

impl Receiver {
    fn new() -> Self {
        let now = Instant::now();
        let mut engine = Connection::new(Deadlines::default(), 64, now);
        let mut buffer = ReceiveBuffer::new();
        let mut client = Link::new(LinkPolicy::default());
        fill(&mut buffer, &ClientHello::default().encode());
        let hello = buffer.next_frame().unwrap().unwrap();
        assert!(matches!(engine.handle_frame(hello, now), Step::Hello(_)));
        engine.handle_welcome(Features::default());
        client.handle_connected();
        let welcome = EngineHello { version: 1, ..Default::default() };
        fill(&mut buffer, &welcome.encode());
        let hello = buffer.next_frame().unwrap().unwrap();
        assert!(matches!(client.handle_frame(hello), LinkStep::Welcome(_)));
        Self { buffer, engine, client, now }
    }

    fn receive(&mut self, bytes: &[u8]) {
        fill(&mut self.buffer, bytes);
        let frame = self.buffer.next_frame().unwrap().unwrap();
        if is_control(frame) {
            let id = match black_box(self.engine.handle_frame(frame, self.now)) {
                Step::Request { id, .. } => id,
                Step::Skip | Step::Answer(_) => 0,
                step => panic!("{step:?}"),
            };
            self.engine.handle_answered(id);
        } else if let LinkStep::Fault(error) = black_box(self.client.handle_frame(frame)) {
            panic!("{error}");
        }
    }
}

fn fill(buffer: &mut ReceiveBuffer, bytes: &[u8]) {
    buffer.spare()[..bytes.len()].copy_from_slice(bytes);
    buffer.advance(bytes.len());
}

fn is_control(frame: Frame<'_>) -> bool {
    frame.kind().class() == Some(Class::Control)
}

/// One legal frame of every kind: its name, and where a buffer would have it.
fn golden_frames() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/tests/golden");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|it| it.unwrap().path()).collect();
    // The plain sample of a kind has the shortest name; the others are at edges.
    files.sort_by_key(|path| path.as_os_str().len());
    let mut kinds: Vec<Kind> = Vec::new();
    let mut frames = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let bytes = from_hex(&fs::read_to_string(&file).unwrap());
        let kind = Kind(u16::from_be_bytes([bytes[4], bytes[5]]));
        // A part is no message of its own, and after a goodbye there is nothing to measure.
        let is_left_out =
            ["hello", "part", "goodbye", "disconnect"].iter().any(|it| name.contains(it));
        if !is_left_out && !kinds.contains(&kind) {
            kinds.push(kind);
            frames.push((name, bytes));
        }
    }
    frames.sort();
    frames
}

fn from_hex(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let bytes = lines.flat_map(str::split_whitespace);
    bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
