//! A ping through the engine against a bare blocking ping-pong over the same kind of socket.
//!
//! `cargo bench --bench ping` prints both, in alternating rounds of one run, all threads pinned to
//! one core and spread over two. Only quantiles and ratios of one run mean anything: absolute times
//! move with the machine.

#![allow(clippy::unwrap_used, reason = "a bench fails where it stands")]

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tautline::{
    Server, ServerConfig,
    protocol::{ClientHello, ControlMessage, HELLO_FRAME_SIZE, Ping, encode},
};

const ROUNDS: usize = 21;
const PINGS: usize = 4_000;
const WARM_UP: usize = 500;

/// Bytes of a `Ping` without payload, and of its `Pong`.
const PING_SIZE: usize = 48;
const PONG_SIZE: usize = 64;

fn main() {
    // `cargo test` runs benches once, without `--bench`: then a few rounds show that it works.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { ROUNDS } else { 1 };
    for cores in [&[0][..], &[0, 1]] {
        pin(cores);
        compare(rounds, cores.len());
    }
}

fn compare(rounds: usize, cores: usize) {
    let directory = tempdir();
    let socket = directory.join("bench.sock");
    let mut floor = floor_client();
    let mut engine = engine_client(&directory, &socket);
    let (mut of_floor, mut of_engine) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        of_floor.push(round(&mut floor));
        of_engine.push(round(&mut engine));
    }
    println!("{cores} core(s), {rounds} rounds of {PINGS} pings, nanoseconds:");
    let p50 = report("floor", &of_floor);
    let engine_p50 = report("engine", &of_engine);
    println!("  ratio of p50: {:.3}\n", engine_p50 / p50);
    drop((floor, engine));
    std::fs::remove_dir_all(directory).unwrap();
}

/// Medians over the rounds; returns that of the rounds' p50.
fn report(name: &str, rounds: &[Histogram<u64>]) -> f64 {
    let median = |quantile: f64| {
        let mut values: Vec<_> = rounds.iter().map(|h| h.value_at_quantile(quantile)).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    let max = rounds.iter().map(Histogram::max).max().unwrap_or_default();
    let (p50, p99, p999) = (median(0.5), median(0.99), median(0.999));
    println!("  {name:<7} p50 {p50:>7}  p99 {p99:>7}  p99.9 {p999:>8}  max {max:>9}");
    p50 as f64
}

fn round(stream: &mut UnixStream) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    let mut ping = [0; PING_SIZE];
    let message = ControlMessage::Ping(Ping { token: 1, sent_ns: 1, bytes: b"".into() });
    assert_eq!(encode(&mut ping, 1, message), Ok(PING_SIZE));
    let mut pong = [0; PONG_SIZE];
    for number in 0..WARM_UP + PINGS {
        let begun = Instant::now();
        stream.write_all(&ping).unwrap();
        stream.read_exact(&mut pong).unwrap();
        if number >= WARM_UP {
            histogram.saturating_record(begun.elapsed().as_nanos() as u64);
        }
    }
    histogram
}

/// A thread that answers as many bytes as a `Ping` has with as many as a `Pong` has.
fn floor_client() -> UnixStream {
    let (near, mut far) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let mut ping = [0; PING_SIZE];
        while far.read_exact(&mut ping).is_ok() && far.write_all(&[0; PONG_SIZE]).is_ok() {}
    });
    near
}

fn engine_client(directory: &Path, socket: &Path) -> UnixStream {
    let mut config = ServerConfig::default();
    config.lock_directory = Some(directory.join("state"));
    let server = Server::bind(socket, config).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(server.serve(std::future::pending())).unwrap();
    });
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&ClientHello::default().encode()).unwrap();
    stream.read_exact(&mut [0; HELLO_FRAME_SIZE]).unwrap();
    stream
}

/// Pins this thread, and all it starts, to these cores.
#[cfg(target_os = "linux")]
fn pin(cores: &[usize]) {
    use rustix::thread::{CpuSet, sched_setaffinity};

    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    if let Err(error) = sched_setaffinity(None, &set) {
        println!("not pinned to {cores:?}: {error}");
    }
}

/// Pins nothing: threads cannot be pinned here.
#[cfg(not(target_os = "linux"))]
fn pin(cores: &[usize]) {
    println!("not pinned to {cores:?}: this system does not do that");
}

fn tempdir() -> std::path::PathBuf {
    use std::os::unix::fs::DirBuilderExt;
    let path = std::env::temp_dir().join(format!("taut-bench-{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
    path
}
