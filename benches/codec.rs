//! What the wire costs per message: encode, frame and validate, in nanoseconds.
//!
//! `cargo bench --bench codec`; the best of many batches, so that other work on the machine does
//! not count.

#![allow(clippy::unwrap_used, reason = "a bench fails where it stands")]

use std::{hint::black_box, time::Instant};

use tautline::protocol::{
    Class, Consumed, ControlMessage, EngineMessage, Input, Output, Ping, ReceiveBuffer, Resize,
    Vocabulary, WindowSize, encode,
};

fn main() {
    let batches = if std::env::args().any(|arg| arg == "--bench") { 200 } else { 1 };
    let (small, middle, large) = (vec![b'x'; 1], vec![b'x'; 64], vec![b'x'; 8_000]);
    println!("{:<16} {:>7} {:>9} {:>17}", "message", "bytes", "encode ns", "frame+validate ns");
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
    let consumed = Consumed { attachment: 1, offset: 9 };
    measure("Consumed", ControlMessage::Consumed(consumed), batches);
}

fn measure(name: &str, message: impl Vocabulary, batches: usize) {
    const CALLS: u32 = 10_000;
    let mut frame = [0; 8192];
    let size = encode(&mut frame, 7, message).unwrap();
    let mut encoding = f64::MAX;
    let mut reading = f64::MAX;
    let mut buffer = ReceiveBuffer::new();
    for _ in 0..batches {
        let begun = Instant::now();
        for id in 0..CALLS {
            black_box(encode(&mut frame, id.into(), black_box(message)).unwrap());
        }
        encoding = encoding.min(begun.elapsed().as_nanos() as f64 / f64::from(CALLS));
        encode(&mut frame, 7, message).unwrap();
        let begun = Instant::now();
        for _ in 0..CALLS {
            read(&mut buffer, black_box(&frame[..size]));
        }
        reading = reading.min(begun.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    println!("{name:<16} {size:>7} {encoding:>9.1} {reading:>17.1}");
}

/// Receives one frame as a connection does, the copy from the socket included.
fn read(buffer: &mut ReceiveBuffer, bytes: &[u8]) {
    buffer.spare()[..bytes.len()].copy_from_slice(bytes);
    buffer.advance(bytes.len());
    let frame = buffer.next_frame().unwrap().unwrap();
    match frame.kind().class() {
        Some(Class::Control) => black_box(frame.control().is_ok()),
        _ => black_box(frame.engine().is_ok()),
    };
}
