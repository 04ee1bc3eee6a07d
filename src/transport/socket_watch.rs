//! When to look whether the socket is still there, and what to say if it cannot be made again.
//!
//! A logout may sweep the runtime directory while shells live on. What the system tells about
//! directories only says that it is time to look: which file is at the path decides.

use std::{error::Error, path::Path};

use tokio::time::Instant;

use super::{bind_error::BindError, directory_watch::DirectoryWatch};
use crate::limits::{SOCKET_PAUSE, SOCKET_RETRY};

/// What a look came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// Our socket is at its path.
    InPlace,
    /// It was not, and is again.
    MadeAgain,
}

/// Knows when to look at the socket.
#[derive(Debug)]
pub(super) struct SocketWatch {
    directories: DirectoryWatch,
    due: Option<Instant>,
    /// Something happened: `due` is close, and what else happens until then changes nothing.
    is_noted: bool,
    /// Why it could not be made again, as it was told.
    complaint: Option<String>,
}

impl SocketWatch {
    /// Watches nothing before the first look.
    pub(super) fn new() -> Self {
        Self { directories: DirectoryWatch::new(), due: None, is_noted: false, complaint: None }
    }

    /// Waits until it is time to look.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was noticed is kept.
    pub(super) async fn is_due(&mut self) {
        if !self.is_noted {
            tokio::select! {
                () = self.directories.changed() => {
                    self.is_noted = true;
                    self.due = Some(sooner(self.due, Instant::now() + SOCKET_PAUSE));
                }
                () = until(self.due) => {}
            }
        }
        until(self.due).await;
    }

    /// Looks: `restore` says whether the socket is in place, and makes it again if it is not.
    ///
    /// Directories are watched before that, so that nothing can happen between the two unseen.
    pub(super) fn look(&mut self, path: &Path, restore: impl FnOnce() -> Result<Found, BindError>) {
        let directory = path.parent().unwrap_or(path);
        self.is_noted = false;
        self.directories.place(directory);
        let restored = restore();
        let wait = if !self.directories.is_nearest(directory) {
            // Directories came or went since they were watched, perhaps made by `restore`.
            Some(SOCKET_PAUSE)
        } else if restored.is_err() || !self.directories.is_complete() {
            Some(SOCKET_RETRY)
        } else {
            None
        };
        self.due = wait.map(|wait| Instant::now() + wait);
        self.tell(path, &restored);
    }

    /// Says each cause once, however often it is met.
    fn tell(&mut self, path: &Path, restored: &Result<Found, BindError>) {
        let socket = path.display();
        match restored {
            Ok(found) => {
                if *found == Found::MadeAgain || self.complaint.is_some() {
                    tracing::info!(%socket, "the socket was gone and is there again");
                }
                self.complaint = None;
            }
            Err(error) => {
                let cause = error.source().map(|source| format!("{error}: {source}"));
                let cause = cause.unwrap_or_else(|| error.to_string());
                if self.complaint.as_ref() != Some(&cause) {
                    tracing::warn!(%socket, cause, "the socket is gone; trying to make it again");
                    self.complaint = Some(cause);
                }
            }
        }
    }
}

fn sooner(due: Option<Instant>, other: Instant) -> Instant {
    due.map_or(other, |due| due.min(other))
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::*;

    fn refused(kind: io::ErrorKind) -> Result<Found, BindError> {
        Err(BindError::SocketBind { path: "/".into(), source: kind.into() })
    }

    fn blind() -> SocketWatch {
        SocketWatch { directories: DirectoryWatch::blind(), ..SocketWatch::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_is_told_it_is_looked_again_and_again() {
        let mut watch = blind();
        for _ in 0..3 {
            let before = Instant::now();
            watch.look(Path::new("/taut.sock"), || Ok(Found::InPlace));
            watch.is_due().await;
            assert!(before.elapsed() >= SOCKET_RETRY);
            assert!(before.elapsed() < SOCKET_RETRY + Duration::from_millis(10));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_and_taken_up_again_does_not_begin_anew() {
        let mut watch = blind();
        let before = Instant::now();
        watch.look(Path::new("/taut.sock"), || refused(io::ErrorKind::PermissionDenied));
        let step = SOCKET_RETRY / 5;
        while tokio::time::timeout(step, watch.is_due()).await.is_err() {}
        assert!(before.elapsed() < SOCKET_RETRY + step);
    }

    #[tokio::test]
    async fn a_cause_is_told_when_it_changes() {
        let mut watch = blind();
        let mut told = Vec::new();
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::StorageFull] {
            for _ in 0..2 {
                watch.look(Path::new("/taut.sock"), || refused(kind));
                told.push(watch.complaint.clone().unwrap());
            }
        }
        told.dedup();
        assert_eq!(told.len(), 2, "{told:?}");
        watch.look(Path::new("/taut.sock"), || Ok(Found::MadeAgain));
        assert_eq!(watch.complaint, None);
    }

    #[test]
    fn what_is_due_is_never_put_off() {
        let now = Instant::now();
        let later = now + SOCKET_PAUSE;
        assert_eq!(sooner(None, later), later);
        assert_eq!(sooner(Some(now), later), now);
        assert_eq!(sooner(Some(later), now), now);
    }
}
