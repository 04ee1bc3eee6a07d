//! Types a line a second over a connection that may be lost, and shows what becomes of each loss.
//!
//! `cargo run --example reconnect -- SOCKET SESSION`; then kill the daemon, or what carries its
//! socket here.

use std::{error::Error, io::Write, time::Duration};

use tautline::{AttachOptions, Client, ClientConfig, Event, ReconnectPolicy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [socket, session] = arguments.as_slice() else {
        return Err("usage: SOCKET SESSION".into());
    };
    let mut policy = ReconnectPolicy::default(); // 10 attempts since the last progress, and
    policy.deadline = Some(Duration::from_secs(30)); // no longer than that
    let mut config = ClientConfig::default();
    config.reconnect = Some(policy);
    let client = Client::connect(socket, config).await?;
    let (input, mut events) = client.attach(session, &AttachOptions::default()).await?;
    tokio::spawn(async move {
        // Resolves when written, however often the connection is lost meanwhile; fails with counts.
        while let Ok(()) = input.send(b"date\r").await {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    while let Some(event) = events.next().await? {
        match event {
            Event::Output { bytes, .. } => std::io::stdout().write_all(bytes)?,
            Event::Disconnected { reason } => eprintln!("[lost: {reason:?}]"),
            Event::Reconnecting { attempt, next_in } => eprintln!("[try {attempt} in {next_in:?}]"),
            Event::Resumed { gap, replayed_input, .. } => {
                eprintln!("[back: {gap} bytes of output are gone, {replayed_input} typed again]");
            }
            Event::Undelivered { unknown, bytes, .. } => {
                eprintln!("[{} bytes not typed, the first {unknown} perhaps]", bytes.len());
            }
            Event::GaveUp { reason, .. } => eprintln!("[gave up: {reason}]"), // an error follows
            _ => {}
        }
    }
    Ok(())
}
