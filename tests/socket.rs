//! The socket and its directory: who may be there, what is never removed, what is told.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fixture;

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
};

use fixture::{TestDir, TestServer, config_in, within};
use tautline::{
    Client, ClientConfig, ConnectFailure, ServeError, Server,
    transport::{BindError, ConnectError, DirectoryError},
};

fn why_not_bound(directory: &TestDir, path: &Path) -> BindError {
    match Server::bind(path, config_in(directory, |_| {})) {
        Err(ServeError::Bind(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("bound {}", path.display()),
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn socket_and_directory_are_for_their_owner_alone() {
    let directory = TestDir::new();
    let socket = directory.path().join("made/for/it/taut.sock");
    let _server = Server::bind(&socket, config_in(&directory, |_| {})).unwrap();
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn what_is_no_socket_of_ours_is_named_and_never_removed() {
    let directory = TestDir::new();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "precious").unwrap();
    fs::create_dir(at("directory")).unwrap();
    symlink(at("file"), at("link")).unwrap();
    for (name, expected) in
        [("file", "a file"), ("directory", "a directory"), ("link", "a symbolic link")]
    {
        match why_not_bound(&directory, &at(name)) {
            BindError::NotOurSocket { what, .. } => assert_eq!(what, expected),
            other => panic!("{name}: {other}"),
        }
        assert!(fs::symlink_metadata(at(name)).is_ok(), "{name} is still there");
    }
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "precious");
}

#[tokio::test]
async fn a_directory_others_can_reach_into_is_refused_with_what_to_do() {
    let directory = TestDir::new();
    let open = directory.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    let error = why_not_bound(&directory, &open.join("taut.sock"));
    let BindError::Directory(DirectoryError::TooOpen { mode: 0o755, .. }) = &error else {
        panic!("{error}")
    };
    assert!(error.to_string().contains("chmod 700"), "{error}");
    let link = directory.path().join("link");
    symlink(directory.path(), &link).unwrap();
    let error = why_not_bound(&directory, &link.join("taut.sock"));
    assert!(matches!(error, BindError::Directory(DirectoryError::NotADirectory { .. })), "{error}");
    assert_eq!(mode(&open), 0o755, "nothing was changed");
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_named_before_anything_is_made() {
    let directory = TestDir::new();
    let path = directory.path().join("x".repeat(120)).join("taut.sock");
    let error = why_not_bound(&directory, &path);
    assert!(matches!(error, BindError::PathTooLong { .. }), "{error}");
    assert!(!path.parent().unwrap().exists());
    let error = Client::connect(&path, ClientConfig::default()).await.unwrap_err();
    assert!(matches!(error, ConnectFailure::Connect(ConnectError::PathTooLong { .. })), "{error}");
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_live_one_is_not_disturbed() {
    let directory = TestDir::new();
    let socket = directory.path().join("taut.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let gone = Client::connect(&socket, ClientConfig::default()).await.unwrap_err();
    assert!(matches!(gone, ConnectFailure::Connect(ConnectError::StaleSocket { .. })), "{gone}");
    drop(Server::bind(&socket, config_in(&directory, |_| {})).unwrap());
    assert!(!socket.exists(), "what was bound is removed");

    let foreign = UnixListener::bind(&socket).unwrap();
    let error = why_not_bound(&directory, &socket);
    assert!(matches!(error, BindError::AlreadyRunning { .. }), "{error}");
    assert!(socket.exists(), "somebody answers there");
    drop(foreign);
}

#[tokio::test]
async fn a_second_engine_is_refused_and_harms_nothing() {
    let server = TestServer::start();
    let client = server.client().await;
    let error = why_not_bound(&server.directory, &server.socket);
    assert!(matches!(error, BindError::AlreadyRunning { .. }), "{error}");
    within(client.ping(b"still served")).await.unwrap();
    // Also when the socket was swept away: the lock lives elsewhere.
    fs::remove_file(&server.socket).unwrap();
    let error = why_not_bound(&server.directory, &server.socket);
    assert!(matches!(error, BindError::AlreadyRunning { .. }), "{error}");
    within(client.ping(b"still served")).await.unwrap();
}

#[tokio::test]
async fn an_engine_that_ends_removes_only_its_own_socket() {
    let server = TestServer::start();
    let socket = server.socket.clone();
    let foreign = server.directory.path().join("foreign");
    fs::write(&foreign, "not yours").unwrap();
    // In one step: a socket that is only removed is made again.
    fs::rename(&foreign, &socket).unwrap();
    let _directory = server.stop().await;
    assert_eq!(fs::read_to_string(&socket).unwrap(), "not yours");
}

#[tokio::test]
async fn no_socket_of_the_engine_is_abstract_or_on_a_network() {
    let server = TestServer::start();
    let own = server.socket.to_str().unwrap();
    let unix = fs::read_to_string("/proc/net/unix").unwrap_or_else(|_| {
        println!("skipped: no /proc/net/unix to read");
        own.into()
    });
    assert!(unix.contains(own), "the listener is seen");
    let inodes: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
        })
        .collect();
    for line in unix.lines().filter(|line| line.contains('@')) {
        let ours =
            line.split_whitespace().nth(6).is_some_and(|inode| inodes.contains(&inode.into()));
        assert!(!ours, "abstract: {line}");
    }
    for table in ["/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        for line in table.lines().skip(1) {
            let inode = line.split_whitespace().nth(9).unwrap_or_default();
            assert!(!inodes.iter().any(|known| known == inode), "on a network: {line}");
        }
    }
}
