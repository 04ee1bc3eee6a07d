//! A great deal of input and output through a real engine and a real PTY.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use fixture::{TestServer, attached_ready, raw_script, read_until, within};
use tautline::{Event, Events};

async fn read_bytes(events: &mut Events, count: usize) -> Vec<u8> {
    let mut seen = Vec::with_capacity(count);
    while seen.len() < count {
        if let Some(Event::Output { bytes, .. }) = within(events.next()).await.unwrap() {
            seen.extend_from_slice(bytes);
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_thousand_keystrokes_of_four_threads_arrive_each_in_its_order() {
    const EACH: usize = 25_000;
    let server = TestServer::start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("keys", "exec cat")).await;
    let key = |typist: usize, number: usize| format!("{typist}{number:05};");
    let mut typists = Vec::new();
    for typist in 0..4 {
        let input = input.clone();
        typists.push(tokio::spawn(async move {
            for number in 0..EACH {
                within(input.send(key(typist, number).as_bytes())).await.unwrap();
            }
        }));
    }
    let seen = read_bytes(&mut events, 4 * EACH * key(0, 0).len()).await;
    let mut next = [0; 4];
    for typed in std::str::from_utf8(&seen).unwrap().split_terminator(';') {
        let typist: usize = typed[..1].parse().unwrap();
        assert_eq!(typed[1..].parse(), Ok(next[typist]), "typist {typist}");
        next[typist] += 1;
    }
    assert_eq!(next, [EACH; 4]);
    for typist in typists {
        typist.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ten_megabyte_paste_arrives_with_its_digest() {
    let server = TestServer::start();
    let client = server.client().await;
    let text: Vec<u8> =
        (0..10 * 1024 * 1024_u64).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let script = format!("head -c {} | cksum", text.len());
    let (input, mut events) = attached_ready(&client, &raw_script("paste", &script)).await;
    let pasted = text.clone();
    let sender = tokio::spawn(async move { within(input.send(&pasted)).await });
    let printed = read_until(&mut events, b"\n").await;
    sender.await.unwrap().unwrap();
    let expected = format!("{} {}\n", posix_checksum(&text), text.len());
    assert_eq!(String::from_utf8_lossy(&printed), expected);
}

/// What `cksum` prints: CRC-32 with the length appended, as POSIX defines it.
fn posix_checksum(bytes: &[u8]) -> u32 {
    let mut table = [0_u32; 256];
    for (at, entry) in table.iter_mut().enumerate() {
        *entry = (0..8).fold((at as u32) << 24, |crc, _| match crc >> 31 {
            0 => crc << 1,
            _ => crc << 1 ^ 0x04c1_1db7,
        });
    }
    let mut length = bytes.len();
    let lengths = std::iter::from_fn(|| {
        let byte = (length > 0).then_some(length as u8);
        length >>= 8;
        byte
    });
    let step = |crc: u32, byte: u8| crc << 8 ^ table[usize::from((crc >> 24) as u8 ^ byte)];
    !bytes.iter().copied().chain(lengths).fold(0, step)
}
