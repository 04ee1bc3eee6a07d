//! Joins a session, types a command, and prints what comes until the child ends.
//!
//! `cargo run --example attach -- SOCKET SESSION 'echo hello; exit'`

use std::{
    error::Error,
    io::{Write, stdout},
};

use tautline::{AttachOptions, Client, ClientConfig, Event};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [socket, session, command] = arguments.as_slice() else {
        return Err("usage: attach SOCKET SESSION COMMAND".into());
    };
    let client = Client::connect(socket, ClientConfig::default()).await?;
    let (input, mut events) = client.attach(session, &AttachOptions::default()).await?;
    input.send(format!("{command}\r").as_bytes()).await?; // resolves when written to the PTY
    while let Some(event) = events.next().await? {
        match event {
            // Lent: `bytes` borrows the receive buffer until the next call to `next`.
            Event::Output { bytes, .. } => stdout().write_all(bytes)?,
            Event::Gap { from, to } => eprintln!("[{} bytes of output lost]", to - from),
            Event::Exited { exit, .. } => {
                eprintln!("[ended: {exit:?}]");
                break;
            }
            _ => {}
        }
    }
    Ok(())
}
