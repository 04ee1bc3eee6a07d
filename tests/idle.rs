//! An engine that nobody uses ends by itself, and loses nobody who comes in the last moment.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::time::Duration;

use fixture::{TestDir, attached, command, config_in, read_to_exit, within};
use tautline::{
    Client, ClientConfig, ConnectFailure, Server, protocol::RestartPolicy, transport::ConnectError,
};

/// An engine that serves until it ends by itself.
fn serve(directory: &TestDir, idle_exit: Duration) -> tokio::task::JoinHandle<()> {
    let config = config_in(directory, |config| config.idle_exit = Some(idle_exit));
    let server = Server::bind(directory.path().join("taut.sock"), config).unwrap();
    tokio::spawn(async move { server.serve(std::future::pending()).await.unwrap() })
}

/// The same, with a client that was there before it began to count.
async fn serve_a_client(
    directory: &TestDir,
    idle_exit: Duration,
) -> (tokio::task::JoinHandle<()>, Client) {
    let config = config_in(directory, |config| config.idle_exit = Some(idle_exit));
    let socket = directory.path().join("taut.sock");
    let server = Server::bind(&socket, config).unwrap();
    let early = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let served = tokio::spawn(async move { server.serve(std::future::pending()).await.unwrap() });
    let client = connect(directory).await.unwrap();
    drop(early);
    (served, client)
}

async fn connect(directory: &TestDir) -> Result<Client, ConnectFailure> {
    let socket = directory.path().join("taut.sock");
    within(Client::connect(socket, ClientConfig::default())).await
}

#[tokio::test]
async fn an_engine_lives_as_long_as_a_client_or_a_child() {
    let directory = TestDir::new();
    let (served, client) = serve_a_client(&directory, Duration::from_millis(50)).await;
    // Its child is the clock: many times as long as the engine would live alone.
    let (_, mut events) = attached(&client, &command("clock", &["sleep", "0.5"])).await;
    read_to_exit(&mut events).await;
    within(client.ping(b"")).await.expect("a client that does nothing keeps the engine");
    let script = "sleep 0.5; printf x > kept";
    let request = tautline::SpawnRequest {
        cwd: directory.path().into(),
        ..command("kept", &["sh", "-c", script])
    };
    within(client.spawn(&request)).await.unwrap();
    drop((client, events));
    within(served).await.unwrap();
    assert_eq!(std::fs::read(directory.path().join("kept")).unwrap(), b"x", "so does a child");
    let gone = connect(&directory).await.err().unwrap();
    assert!(matches!(gone, ConnectFailure::Connect(ConnectError::NotRunning { .. })), "{gone}");
}

#[tokio::test]
async fn a_child_that_will_be_started_again_keeps_the_engine() {
    let directory = TestDir::new();
    // The first pause before a restart is 100 ms.
    let (served, client) = serve_a_client(&directory, Duration::from_millis(20)).await;
    let script = "printf x >> starts; [ $(wc -c < starts) -lt 3 ]";
    let request = tautline::SpawnRequest {
        cwd: directory.path().into(),
        restart: RestartPolicy::Always,
        ..command("again", &["sh", "-c", &format!("{script} || exec sleep 0.2")])
    };
    within(client.spawn(&request)).await.unwrap();
    drop(client);
    let starts = || std::fs::read(directory.path().join("starts")).map_or(0, |it| it.len());
    while starts() < 3 {
        assert!(!served.is_finished(), "after {} starts", starts());
        tokio::task::yield_now().await;
    }
    let client = connect(&directory).await.unwrap();
    within(client.stop("again", 15, Duration::ZERO)).await.unwrap();
    drop(client);
    within(served).await.unwrap();
}

#[tokio::test]
async fn an_engine_without_a_socket_ends_too() {
    let directory = TestDir::new();
    let config = config_in(&directory, |config| config.idle_exit = Some(Duration::from_millis(50)));
    let server = Server::in_process(config).unwrap();
    let connector = server.connector();
    let waiting = connector.clone();
    let client = tokio::spawn(async move {
        Client::connect_in_process(&waiting, ClientConfig::default()).await.unwrap()
    });
    // It is in the queue before the engine begins to count.
    tokio::task::yield_now().await;
    let served = tokio::spawn(async move { server.serve(std::future::pending()).await.unwrap() });
    let client = within(client).await.unwrap();
    let (_, mut events) = attached(&client, &command("clock", &["sleep", "0.3"])).await;
    read_to_exit(&mut events).await;
    drop((client, events));
    within(served).await.unwrap();
    let late = within(Client::connect_in_process(&connector, ClientConfig::default())).await;
    assert!(matches!(late, Err(ConnectFailure::Lost)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_in_the_last_moment_is_served_or_finds_no_engine() {
    let directory = TestDir::new();
    let mut served_late = 0;
    for _ in 0..100 {
        let served = serve(&directory, Duration::from_millis(2));
        let mut rounds = 0;
        loop {
            match connect(&directory).await {
                Ok(client) => {
                    within(client.ping(b"")).await.expect("who was let in is served");
                    drop(client);
                    rounds += 1;
                }
                Err(ConnectFailure::Connect(
                    ConnectError::NotRunning { .. } | ConnectError::StaleSocket { .. },
                )) if served.is_finished() => break,
                // It may be looking once more, and come back.
                Err(ConnectFailure::Connect(
                    ConnectError::NotRunning { .. } | ConnectError::StaleSocket { .. },
                )) => {}
                Err(other) => panic!("neither served nor told that there is none: {other}"),
            }
            // A little later each time, until it is too late: that is what finds the last moment.
            // No outcome depends on how long it really takes.
            let wait = Duration::from_micros(1_700 + 50 * (rounds % 12));
            tokio::time::timeout(wait, std::future::pending::<()>()).await.ok();
        }
        within(served).await.unwrap();
        served_late += rounds;
    }
    println!("{served_late} were served");
}
