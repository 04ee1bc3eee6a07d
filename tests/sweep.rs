//! The socket is swept away under a running engine, as a logout does, and comes back.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{
    fmt::Debug,
    fs,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use fixture::{TestServer, attached_ready, config_in, raw_script, read_until, within};
use parking_lot::Mutex;
use tautline::{
    AttachOptions, Client, ClientConfig, ServeError, Server, protocol::View, transport::BindError,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::Field,
    span::{Attributes, Id, Record},
};

/// Where the engine's socket is, below its directory.
const SOCKET: &str = "run/user/taut/taut.sock";

fn start() -> TestServer {
    // Only the first of these tests can, and one is enough.
    tracing::subscriber::set_global_default(Listening).ok();
    TestServer::at(SOCKET, |_| {})
}

fn run(server: &TestServer) -> PathBuf {
    server.directory.path().join("run")
}

/// Removes a directory with all there is in it, again if it was filled in between.
fn remove(directory: &Path) {
    while directory.is_dir() {
        fs::remove_dir_all(directory).ok();
    }
}

/// Puts a file or directory where a directory is, or was.
fn put(aside: &Path, directory: &Path) {
    while fs::rename(aside, directory).is_err() {
        remove(directory);
    }
}

/// Tries until somebody answers at the socket.
async fn client_of(socket: &Path) -> Client {
    within(async {
        loop {
            match Client::connect(socket, ClientConfig::default()).await {
                Ok(client) => return client,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[track_caller]
fn refuses_a_second(server: &TestServer) {
    let second = Server::bind(&server.socket, config_in(&server.directory, |_| {}));
    match second {
        Err(ServeError::Bind(BindError::AlreadyRunning { .. })) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two engines at one path"),
    }
}

#[track_caller]
fn is_private(socket: &Path) {
    assert_eq!(mode(socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
}

/// Whoever was attached notices nothing of the sweep, and others come in after it.
async fn survives(sweep: impl Fn(&TestServer)) {
    let server = start();
    let client = server.client().await;
    let (input, mut events) = attached_ready(&client, &raw_script("shell", "cat")).await;
    for round in 0..3 {
        sweep(&server);
        refuses_a_second(&server);
        let typed = format!("typed {round}\n");
        within(input.send(typed.as_bytes())).await.unwrap();
        read_until(&mut events, typed.as_bytes()).await;

        let other = client_of(&server.socket).await;
        is_private(&server.socket);
        refuses_a_second(&server);
        let mut options = AttachOptions::default();
        (options.view, options.output_from) = (View::Offset, 0);
        let (_, mut seen) = within(other.attach("shell", &options)).await.unwrap();
        read_until(&mut seen, typed.as_bytes()).await;
    }
    let socket = server.socket.clone();
    let _directory = server.stop().await;
    assert!(fs::symlink_metadata(&socket).is_err(), "nothing is left");
}

#[tokio::test]
async fn a_socket_that_was_removed_comes_back() {
    survives(|server| fs::remove_file(&server.socket).unwrap()).await;
}

#[tokio::test]
async fn a_directory_that_was_removed_comes_back() {
    survives(|server| remove(server.socket.parent().unwrap())).await;
}

#[tokio::test]
async fn a_directory_that_was_removed_while_somebody_is_in_it_comes_back() {
    survives(|server| {
        let directory = server.socket.parent().unwrap();
        let held = fs::File::open(directory).unwrap();
        remove(directory);
        // The sweep is over long before the directory is gone for good.
        let socket = server.socket.clone();
        std::thread::spawn(move || {
            while !socket.exists() {
                std::thread::yield_now();
            }
            drop(held);
        });
    })
    .await;
}

#[tokio::test]
async fn a_whole_runtime_directory_that_was_removed_comes_back() {
    survives(|server| remove(&run(server))).await;
}

#[tokio::test]
async fn a_directory_that_was_moved_away_is_made_again_wherever_on_the_way_it_was() {
    for moved in ["run/user/taut", "run/user", "run"] {
        let aside = Path::new(moved).with_extension("aside");
        survives(|server| {
            let root = server.directory.path();
            let aside = root.join(&aside);
            fs::remove_dir_all(&aside).ok();
            fs::rename(root.join(moved), &aside).unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn a_runtime_directory_made_again_later_has_the_socket_again() {
    let server = start();
    let client = server.client().await;
    let (run, aside) = (run(&server), server.directory.path().join("aside"));
    // Nobody can make a directory where a file stands, not even root.
    fs::write(&aside, "in the way").unwrap();
    put(&aside, &run);
    within(told(&server.socket, "WARN")).await;
    refuses_a_second(&server);
    within(client.ping(b"still served")).await.unwrap();
    assert_eq!(fs::read_to_string(&run).unwrap(), "in the way");
    fs::remove_file(&run).unwrap();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(run.join("user")).unwrap();
    within(client_of(&server.socket).await.ping(b"back")).await.unwrap();
    is_private(&server.socket);
    refuses_a_second(&server);
}

/// Puts something in the socket's place in one step, and waits until the engine has seen it.
async fn replace_socket(server: &TestServer, make: impl Fn(&Path)) {
    let aside = server.directory.path().join("aside");
    make(&aside);
    fs::rename(&aside, &server.socket).unwrap();
    within(told(&server.socket, "WARN")).await;
}

#[tokio::test]
async fn what_stands_at_the_path_is_left_alone_and_the_socket_comes_back_after_it() {
    let server = start();
    replace_socket(&server, |path| fs::write(path, "precious").unwrap()).await;
    assert_eq!(fs::read_to_string(&server.socket).unwrap(), "precious");
    refuses_a_second(&server);
    fs::remove_file(&server.socket).unwrap();
    client_of(&server.socket).await;
    is_private(&server.socket);
}

#[tokio::test]
async fn a_socket_somebody_answers_at_is_left_alone_until_it_is_dead() {
    let server = start();
    let foreign = std::cell::Cell::new(None);
    replace_socket(&server, |path| foreign.set(Some(UnixListener::bind(path).unwrap()))).await;
    let inode = fs::metadata(&server.socket).unwrap().ino();
    drop(UnixStream::connect(&server.socket).unwrap());
    assert_eq!(fs::metadata(&server.socket).unwrap().ino(), inode);
    drop(foreign);
    // Nothing tells that it is dead: a timer finds out.
    client_of(&server.socket).await;
    is_private(&server.socket);
}

#[tokio::test]
async fn a_directory_that_comes_back_too_open_is_not_used_until_it_is_private() {
    let server = start();
    let directory = server.socket.parent().unwrap();
    let aside = server.directory.path().join("aside");
    fs::create_dir(&aside).unwrap();
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).unwrap();
    put(&aside, directory);
    within(told(&server.socket, "WARN")).await;
    assert!(fs::symlink_metadata(&server.socket).is_err());
    assert_eq!(mode(directory), 0o755, "nothing was changed");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    client_of(&server.socket).await;
    is_private(&server.socket);
}

#[tokio::test]
async fn a_storm_of_other_files_and_of_sweeps_ends_with_the_socket_in_place() {
    let server = start();
    let directory = server.socket.parent().unwrap();
    for count in 0..20_000 {
        let file = directory.join("other");
        fs::write(&file, "").ok();
        fs::remove_file(&file).ok();
        if count % 100 == 0 {
            fs::remove_file(&server.socket).ok();
        }
    }
    let client = client_of(&server.socket).await;
    within(client.ping(b"served")).await.unwrap();
    is_private(&server.socket);
}

/// What engines said, as `level socket`.
static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Waits until the engine said something of its socket at that level.
async fn told(socket: &Path, level: &str) {
    let line = format!("{level} {}", socket.display());
    while !TOLD.lock().contains(&line) {
        tokio::task::yield_now().await;
    }
}

/// Writes what is said about sockets into [`TOLD`].
struct Listening;

impl Subscriber for Listening {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = event.metadata().level();
        event.record(&mut |field: &Field, value: &dyn Debug| {
            if field.name() == "socket" {
                TOLD.lock().push(format!("{level} {value:?}"));
            }
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
