//! Notices that something happened to a directory or on the way to it, whether it exists or not.
//!
//! On Linux inotify tells, without a timer. The nearest directory there is is watched for what is
//! made, removed or changed in it; those above only for being moved or removed themselves, so that
//! a busy one such as `/tmp` wakes nobody. Mounts are told by `mountinfo`: a logout takes the
//! runtime directory's file system away in one piece, and what lies under it hears nothing.
//! Elsewhere nothing is told.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use told::DirectoryWatch;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use untold::DirectoryWatch;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod told {
    use std::{
        fs::File,
        io,
        os::fd::OwnedFd,
        path::{Path, PathBuf},
    };

    use rustix::{
        fs::inotify::{self, CreateFlags, WatchFlags},
        io::Errno,
    };
    use tokio::io::{Interest, unix::AsyncFd};

    /// What tells that the mounts of this process changed.
    const MOUNTS: &str = "/proc/self/mountinfo";

    /// Reads in one go: more than the kernel queues by default, so that one go empties it.
    const READS_MAX: usize = 256;

    /// Directories that are watched by the kernel.
    #[derive(Debug)]
    pub(in crate::transport) struct DirectoryWatch {
        inotify: Option<AsyncFd<OwnedFd>>,
        mounts: Option<AsyncFd<OwnedFd>>,
        placed: Vec<i32>,
        nearest: PathBuf,
        is_complete: bool,
    }

    impl DirectoryWatch {
        /// Watches nothing yet.
        pub(in crate::transport) fn new() -> Self {
            let mounts = File::open(MOUNTS)
                .and_then(|file| crate::sys::register(file.into(), Interest::PRIORITY));
            Self { mounts: mounts.ok(), ..Self::empty() }
        }

        fn empty() -> Self {
            let (placed, nearest) = (Vec::new(), PathBuf::new());
            Self { inotify: None, mounts: None, placed, nearest, is_complete: false }
        }

        /// One that is never told anything about mounts.
        #[cfg(test)]
        pub(in crate::transport) fn blind() -> Self {
            Self::empty()
        }

        /// Watches what is on the way to `directory` now, and nothing else any more.
        pub(in crate::transport) fn place(&mut self, directory: &Path) {
            self.nearest = nearest_directory(directory).into();
            self.is_complete = self.mounts.is_some();
            if self.inotify.is_none() {
                // Out of instances or descriptors: that passes, and until then a timer looks.
                self.inotify = open().ok();
            }
            let Some(inotify) = &self.inotify else {
                self.is_complete = false;
                return;
            };
            // From the root down: what is replaced before it is watched is watched as it is then,
            // and what is replaced later is told.
            let mut way: Vec<_> = self.nearest.ancestors().collect();
            way.reverse();
            let mut placed = Vec::with_capacity(way.len());
            for step in way {
                let what = if step == self.nearest { in_nearest() } else { itself() };
                match inotify::add_watch(inotify, step, what | WatchFlags::ONLYDIR) {
                    Ok(watch) => placed.push(watch),
                    // Gone again, or not for us to read.
                    Err(_) => self.is_complete = false,
                }
            }
            for left in self.placed.iter().filter(|left| !placed.contains(left)) {
                // What was removed is watched no more already.
                let _ = inotify::remove_watch(inotify, *left);
            }
            self.placed = placed;
        }

        /// Whether what is watched closest is still the nearest there is.
        pub(in crate::transport) fn is_nearest(&self, directory: &Path) -> bool {
            nearest_directory(directory) == self.nearest
        }

        /// Whether whatever happens on the way is told.
        pub(in crate::transport) fn is_complete(&self) -> bool {
            self.is_complete
        }

        /// Waits until something happened.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe: a dropped wait has taken nothing.
        pub(in crate::transport) async fn changed(&self) {
            tokio::select! {
                () = emptied(self.inotify.as_ref()) => {}
                () = remounted(self.mounts.as_ref()) => {}
            }
        }
    }

    /// The nearest directory on the way to `directory` that exists.
    fn nearest_directory(directory: &Path) -> &Path {
        directory.ancestors().find(|it| it.is_dir()).unwrap_or(directory)
    }

    fn open() -> io::Result<AsyncFd<OwnedFd>> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        crate::sys::register(inotify, Interest::READABLE)
    }

    fn itself() -> WatchFlags {
        WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF
    }

    fn in_nearest() -> WatchFlags {
        let content = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
        itself() | content | WatchFlags::ATTRIB
    }

    /// Waits for events and forgets them: what they say may be over, or lost in an overflow, which
    /// is an event as well.
    async fn emptied(inotify: Option<&AsyncFd<OwnedFd>>) {
        let Some(inotify) = inotify else { return std::future::pending().await };
        let Ok(mut guard) = inotify.readable().await else { return std::future::pending().await };
        let mut buffer = [0; 4096];
        for _ in 0..READS_MAX {
            match rustix::io::read(inotify, &mut buffer) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => {
                    guard.clear_ready();
                    break;
                }
            }
        }
    }

    async fn remounted(mounts: Option<&AsyncFd<OwnedFd>>) {
        let Some(mounts) = mounts else { return std::future::pending().await };
        match mounts.ready(Interest::PRIORITY).await {
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod untold {
    use std::path::Path;

    /// Stands where the system tells nothing.
    #[derive(Debug)]
    pub(in crate::transport) struct DirectoryWatch;

    impl DirectoryWatch {
        /// Watches nothing.
        pub(in crate::transport) fn new() -> Self {
            Self
        }

        /// As every one is here.
        #[cfg(test)]
        pub(in crate::transport) fn blind() -> Self {
            Self
        }

        /// Nothing to do.
        pub(in crate::transport) fn place(&mut self, _directory: &Path) {}

        /// Nothing is watched, so nothing else has to be.
        pub(in crate::transport) fn is_nearest(&self, _directory: &Path) -> bool {
            true
        }

        /// Never: a timer has to look.
        pub(in crate::transport) fn is_complete(&self) -> bool {
            false
        }

        /// Never happens.
        pub(in crate::transport) async fn changed(&self) {
            std::future::pending().await
        }
    }
}
