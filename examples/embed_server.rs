//! Hosts one shell for clients on a socket, inside a program of your own.
//!
//! `cargo run --example embed_server -- /tmp/my-directory/engine.sock`, with a directory of mode
//! 0700; it serves until its input ends.

use std::error::Error;

use tautline::{Command, Server, ServerConfig, default_socket_path, protocol::WindowSize};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).map_or_else(default_socket_path, Into::into);
    let mut server = Server::bind(&path, ServerConfig::default())?;
    server.open_session("build", Command::new("sh"), WindowSize::cells(80, 24))?;
    println!("serving {}", path.display());
    server.serve(end_of_input()).await?; // tells clients, hangs up children, removes the socket
    Ok(())
}

/// Resolves when standard input ends.
async fn end_of_input() {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        drop(ended);
    });
    end.await.ok();
}
