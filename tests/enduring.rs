//! Long runs of real processes: a thousand cuts, daemons killed, a crowd that comes back.
//!
//! Each has a short form that `cargo test` runs; `TAUT_LONG=1` runs it at full length, and prints
//! what was measured.

#![cfg(all(unix, feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fixture::{
    TestDir, TestServer,
    cutting_proxy::{Cutting, CuttingProxy},
    raw_script, within,
};
use tautline::{
    AttachOptions, Client, ClientConfig, Event, Events, Input, ReconnectPolicy, SpawnRequest,
    protocol::View, state::BackoffPolicy,
};

fn is_long() -> bool {
    std::env::var_os("TAUT_LONG").is_some()
}

/// How much of it there is to do.
fn scale<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

fn eager() -> ClientConfig {
    let mut config = ClientConfig::default();
    let mut policy = ReconnectPolicy::default();
    policy.backoff.base = Duration::from_millis(1);
    policy.backoff.cap = Duration::from_millis(20);
    policy.backoff.first = Duration::ZERO;
    policy.backoff.attempts_limit = 1_000;
    config.reconnect = Some(policy);
    config
}

async fn join(client: &Client, name: &str) -> (Input, Events) {
    let mut options = AttachOptions::default();
    (options.view, options.output_from) = (View::Offset, 0);
    within(client.attach(name, &options)).await.unwrap()
}

async fn ready(events: &mut Events) {
    fixture::read_until(events, b"ready\n").await;
}

/// Lines that tell where they belong.
fn tape(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 16);
    while bytes.len() < len {
        bytes.extend_from_slice(format!("{:09}\n", bytes.len()).as_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn quantile(times: &mut [Duration], quantile: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * quantile) as usize]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_typed_and_printed_over_many_cuts_is_there_once() {
    let (size, cuts) = scale((1 << 20, 100), (20 << 20, 2_000));
    let server = TestServer::start();
    let each = size as u64 / cuts * 4;
    let cutting = Cutting::every(1..each, u64::MAX, 7);
    let proxy = CuttingProxy::before(&server.socket, "cut", cutting);
    let maker = server.client().await;
    let (seen, shown) =
        (server.directory.path().join("seen"), server.directory.path().join("shown"));
    let typed = tape(size);
    std::fs::write(&shown, &typed).unwrap();
    let script = format!("cat '{}' & exec cat > '{}'", shown.display(), seen.display());
    within(maker.spawn(&raw_script("w", &script))).await.unwrap();
    let client = Client::connect(&proxy.socket, eager()).await.unwrap();
    let (input, mut events) = join(&client, "w").await;
    // Before that its terminal echoes.
    let mut printed = fixture::read_until(&mut events, b"ready\n").await;
    let (mut replayed, mut resumed) = (0, 0);
    let begun = Instant::now();
    let sending = tokio::spawn({
        let typed = typed.clone();
        async move { input.send(&typed).await }
    });
    while printed.len() < size + b"ready\n".len() {
        match within(events.next()).await.unwrap().unwrap() {
            Event::Output { offset, bytes, .. } => {
                assert_eq!(offset, printed.len() as u64, "nothing twice, nothing missing");
                printed.extend_from_slice(bytes);
            }
            Event::Resumed { gap: 0, replayed_input, is_new_child: false } => {
                (replayed, resumed) = (replayed + replayed_input, resumed + 1);
            }
            Event::Disconnected { .. } | Event::Reconnecting { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let listening = tokio::spawn(async move { while events.next().await.is_ok() {} });
    tokio::time::timeout(Duration::from_secs(600), sending).await.unwrap().unwrap().unwrap();
    let took = begun.elapsed();
    listening.abort();
    assert!(printed.strip_prefix(b"ready\n").unwrap() == typed);
    within(async {
        while std::fs::metadata(&seen).unwrap().len() < size as u64 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(std::fs::read(&seen).unwrap() == typed);
    assert!(proxy.cuts() >= cuts / 2, "{} cuts", proxy.cuts());
    println!(
        "{} cuts over {size} bytes each way in {took:.1?}: 0 lost, 0 repeated; {resumed} resumes \
         told, {replayed} bytes of input sent again",
        proxy.cuts()
    );
}

/// A daemon in a process of its own.
struct Daemon {
    child: Child,
    socket: PathBuf,
}

impl Daemon {
    fn start(directory: &Path) -> Self {
        let socket = directory.join("t.sock");
        let child = Command::new(env!("CARGO_BIN_EXE_taut"))
            .args(["serve"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .env("XDG_RUNTIME_DIR", directory)
            .env("XDG_STATE_HOME", directory)
            .env("TAUT_CONFIG", directory.join("config.toml"))
            .env("TAUT_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, socket }
    }

    async fn client(&self, config: &ClientConfig) -> Client {
        let connected = async {
            loop {
                if let Ok(client) = Client::connect(&self.socket, config.clone()).await {
                    return client;
                }
                tokio::task::yield_now().await;
            }
        };
        within(connected).await
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn directory() -> TestDir {
    let directory = TestDir::new();
    std::fs::write(directory.path().join("config.toml"), "clients_limit = 512\n").unwrap();
    directory
}

/// What one client was told after its daemon was killed.
struct Told {
    after: Duration,
    reported: u64,
}

/// Types without an end until the line is lost for good; `typed` counts what was taken.
async fn type_on(input: Input, typed: Arc<AtomicU64>) {
    let bytes = [b'x'; 1_000];
    loop {
        match input.try_send(&bytes) {
            Ok(0) => tokio::task::yield_now().await,
            Ok(count) => {
                typed.fetch_add(count as u64, Ordering::Relaxed);
            }
            Err(_) => return,
        }
    }
}

async fn listen(mut events: Events, killed: tokio::sync::oneshot::Receiver<Instant>) -> Told {
    let mut killed = Some(killed);
    let mut told = Told { after: Duration::MAX, reported: 0 };
    loop {
        match within(events.next()).await {
            Ok(Some(Event::Disconnected { .. })) => {
                let now = Instant::now();
                if let Some(killed) = killed.take() {
                    told.after = now.saturating_duration_since(killed.await.unwrap());
                }
            }
            Ok(Some(Event::Undelivered { bytes, .. })) => told.reported += bytes.len() as u64,
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends with an error"),
            Err(_) => return told,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_killed_under_load_types_nothing_elsewhere_and_every_byte_is_told() {
    let rounds = scale(5, 200);
    let directory = directory();
    let mut daemon = Daemon::start(directory.path());
    let mut config = eager();
    config.reconnect.as_mut().unwrap().backoff.attempts_limit = 10_000;
    let (mut told_after, mut ready_after) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let seen = directory.path().join(format!("seen{round}"));
        let client = daemon.client(&config).await;
        let (name, script) = (format!("w{round}"), format!("exec cat > '{}'", seen.display()));
        within(client.spawn(&raw_script(&name, &script))).await.unwrap();
        let (input, mut events) = join(&client, &name).await;
        ready(&mut events).await;
        let typed = Arc::new(AtomicU64::new(0));
        let typing = tokio::spawn(type_on(input, Arc::clone(&typed)));
        let (tell, killed) = tokio::sync::oneshot::channel();
        let listening = tokio::spawn(listen(events, killed));
        while std::fs::metadata(&seen).map_or(0, |file| file.len()) < 100_000 {
            tokio::task::yield_now().await;
        }
        let now = Instant::now();
        daemon.kill();
        tell.send(now).unwrap();
        let now = Instant::now();
        daemon = Daemon::start(directory.path());
        let prober = daemon.client(&config).await;
        ready_after.push(now.elapsed());
        // Another session of that name, which must not be mistaken for the one that is gone.
        let other = directory.path().join(format!("other{round}"));
        let script = format!("exec cat > '{}'", other.display());
        within(prober.spawn(&raw_script(&name, &script))).await.unwrap();
        let told = within(listening).await.unwrap();
        within(typing).await.unwrap();
        told_after.push(told.after);
        let typed = typed.load(Ordering::Relaxed);
        let written = std::fs::metadata(&seen).unwrap().len();
        // What is neither told nor seen was written to a terminal whose child never read it.
        let unread = typed.saturating_sub(written + told.reported);
        assert!(unread <= 32 * 1024, "{written} + {} of {typed}", told.reported);
        // A window for the session that was lost, and one for what was typed until that was known.
        assert!(told.reported <= 2 * 65_536, "{}", told.reported);
        assert_eq!(std::fs::metadata(&other).map_or(0, |file| file.len()), 0);
        std::fs::remove_file(&seen).unwrap();
    }
    let (told_50, told_99) = (quantile(&mut told_after, 0.5), quantile(&mut told_after, 0.99));
    let (ready_50, ready_99) = (quantile(&mut ready_after, 0.5), quantile(&mut ready_after, 0.99));
    println!(
        "{rounds} kills under load: 0 bytes in a foreign epoch, every byte told; clients told \
         after p50 {told_50:?}, p99 {told_99:?}; the next daemon ready after p50 {ready_50:?}, \
         p99 {ready_99:?}"
    );
}

/// A client that is attached to a session of its own, and counts how it came back.
async fn one_of_many(client: Client, request: SpawnRequest) -> (u32, Duration) {
    let options = AttachOptions::default();
    let (_, _input, mut events) = client.spawn_attached(&request, &options).await.unwrap();
    let (mut attempts, mut begun) = (0, Instant::now());
    loop {
        match events.next().await {
            Ok(Some(Event::Disconnected { .. })) => begun = Instant::now(),
            Ok(Some(Event::Reconnecting { attempt, .. })) => attempts = attempt,
            // The session went with its daemon: the engine was asked, and has answered.
            Ok(Some(Event::GaveUp { .. })) => return (attempts, begun.elapsed()),
            Ok(Some(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_comes_back_to_a_new_daemon_and_nobody_is_refused() {
    let count = scale(64, 256);
    let directory = directory();
    let mut daemon = Daemon::start(directory.path());
    // As clients are unless they are told otherwise.
    let config = ClientConfig::default();
    assert_eq!(config.reconnect.unwrap().backoff, BackoffPolicy::default());
    let mut crowd = Vec::new();
    for number in 0..count {
        let client = daemon.client(&config).await;
        let request = raw_script(&format!("s{number}"), "exec sleep 1000");
        crowd.push(tokio::spawn(one_of_many(client, request)));
    }
    let prober = daemon.client(&config).await;
    within(async { while prober.sessions().await.unwrap().len() < count {} }).await;
    drop(prober);
    let killed = Instant::now();
    daemon.kill();
    let daemon = Daemon::start(directory.path());
    let probe = daemon.client(&config).await;
    let ready = killed.elapsed();
    let (mut worst, mut times) = (0, Vec::new());
    for client in crowd {
        let (attempts, time) = within(client).await.unwrap();
        worst = worst.max(attempts);
        times.push(time);
    }
    assert!(worst <= 6, "{worst} attempts");
    let refused = probe.stats(&tautline::StatsOptions::default()).await.unwrap();
    let refused = refused.counters.iter().find(|(name, _)| name == "refusals_total").unwrap().1;
    assert_eq!(refused, 0);
    println!(
        "{count} clients after a restart: ready after {ready:?}, back p50 {:?}, last {:?}; at most \
         {worst} attempts, {refused} refused",
        quantile(&mut times, 0.5),
        quantile(&mut times, 1.0)
    );
}
