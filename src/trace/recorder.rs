//! The file of a trace: who may have it, how it grows, when it ends.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::OFlags;
use smallvec::SmallVec;

use super::record::{RECORD_HEADER_SIZE, Record, What};

/// Most bytes of a trace file. Whoever would pass it records that it stops, and stops; of several
/// processes at that very moment each may pass it by one record.
///
/// Half a million keystrokes with their echoes, and what any disk can spare for a question.
pub const TRACE_SIZE_MAX: u64 = 64 * 1024 * 1024;

/// A file that frames are recorded in. Clones share it, and so may processes: each record is
/// appended whole, by one write.
#[derive(Clone, Debug)]
pub struct FrameTrace {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    path: PathBuf,
    size_max: u64,
    end: OnceLock<TraceEnd>,
}

/// Why a file cannot be a trace. It was not written to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// It cannot be opened; a symbolic link never can.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a directory, a device or a pipe.
    #[error("{} is no regular file", path.display())]
    NotAFile {
        /// What is none.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}", path.display())]
    WrongUser {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others could read what is typed, or write what was never said.
    #[error("others have access to {} (mode {mode:04o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// Why nothing more is recorded. Connections go on all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceEnd {
    /// The file has reached [`TRACE_SIZE_MAX`].
    #[error("the frame trace {} is full: it stops here", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written to.
    #[error("cannot write to the frame trace {}, which ends here: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl FrameTrace {
    /// Opens a file to append to, and makes it, for its owner only, if there is none.
    ///
    /// # Errors
    ///
    /// If the file is not one that only its owner, who is this process's user, has access to.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        Self::open_with(path.as_ref(), TRACE_SIZE_MAX)
    }

    fn open_with(path: &Path, size_max: u64) -> Result<Self, TraceError> {
        let path = path.to_path_buf();
        // A pipe without a reader fails instead of waiting for one; std closes files on exec.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(flags.bits() as i32);
        let opened = options.open(&path).and_then(|file| Ok((file.metadata()?, file)));
        let (found, file) = match opened {
            Ok(opened) => opened,
            Err(source) => return Err(TraceError::Open { path, source }),
        };
        if !found.is_file() {
            return Err(TraceError::NotAFile { path });
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(TraceError::WrongUser { path, owner: found.uid() });
        }
        let mode = found.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TraceError::Exposed { path, mode });
        }
        let trace =
            Self { shared: Arc::new(Shared { file, path, size_max, end: OnceLock::new() }) };
        if found.len() >= size_max {
            trace.end_with(TraceEnd::Full { path: trace.shared.path.clone() });
        }
        Ok(trace)
    }

    /// Why nothing more is recorded, if that is so.
    pub fn end(&self) -> Option<&TraceEnd> {
        self.shared.end.get()
    }

    /// Appends one record, whose frame lies in pieces. Allocates nothing.
    pub(super) fn append(&self, record: Record<'_>, pieces: &[&[u8]]) {
        if self.end().is_some() {
            return;
        }
        let size = pieces.iter().map(|piece| piece.len()).sum();
        if let Err(source) = self.try_append(record, pieces, size) {
            self.end_with(TraceEnd::Write { path: self.shared.path.clone(), source });
        }
    }

    fn try_append(&self, record: Record<'_>, pieces: &[&[u8]], size: usize) -> io::Result<()> {
        let record = Record { time_unix_ns: now_unix_ns(), pid: std::process::id(), ..record };
        // Others append too: only the file itself knows its size. The last record has its room.
        let after = self.shared.file.metadata()?.len() + (2 * RECORD_HEADER_SIZE + size) as u64;
        if after <= self.shared.size_max {
            return self.write_once(&record.header(size), pieces);
        }
        if self.end_with(TraceEnd::Full { path: self.shared.path.clone() }) {
            let last = Record { what: What::Stopped, connection: 0, ..record };
            self.write_once(&last.header(0), &[])?;
        }
        Ok(())
    }

    /// One call, so that the records of others come before it or behind it and never in between.
    fn write_once(&self, header: &[u8], pieces: &[&[u8]]) -> io::Result<()> {
        let mut slices = SmallVec::<[IoSlice<'_>; 6]>::new();
        slices.push(IoSlice::new(header));
        slices.extend(pieces.iter().map(|piece| IoSlice::new(piece)));
        let wanted = slices.iter().map(|slice| slice.len()).sum::<usize>();
        loop {
            match (&self.shared.file).write_vectored(&slices) {
                Ok(written) if written == wanted => return Ok(()),
                // The rest would follow what others wrote meanwhile.
                Ok(_) => return Err(io::Error::from(io::ErrorKind::StorageFull)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends it, unless it has ended; returns whether that was done here.
    fn end_with(&self, end: TraceEnd) -> bool {
        let is_first = self.shared.end.set(end).is_ok();
        if let Some(end) = self.end().filter(|_| is_first) {
            tracing::warn!("{end}");
        }
        is_first
    }
}

fn now_unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::{
        super::record::{Found, Records, Side},
        *,
    };

    /// A directory that is gone when it is dropped.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let name = format!("taut-trace-{}-{name}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir_all(&directory).unwrap();
            Self(directory)
        }

        fn file(&self) -> PathBuf {
            self.0.join("trace")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn sent(connection: u32) -> Record<'static> {
        let (side, what) = (Side::Client, What::Sent);
        Record { side, what, time_unix_ns: 0, pid: 0, connection, frame: &[] }
    }

    #[test]
    fn what_is_not_the_users_own_private_file_is_refused() {
        let place = Place::new("refused");
        let open = |path: &Path| FrameTrace::open(path).unwrap_err();
        assert!(matches!(open(Path::new("/dev/null")), TraceError::NotAFile { .. }));
        let elsewhere = place.0.join("elsewhere");
        symlink(&elsewhere, place.file()).unwrap();
        assert!(matches!(open(&place.file()), TraceError::Open { .. }));
        assert!(!elsewhere.exists(), "nothing was made where it points");
        fs::remove_file(place.file()).unwrap();
        fs::write(place.file(), "").unwrap();
        fs::set_permissions(place.file(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(open(&place.file()), TraceError::Exposed { mode: 0o640, .. }));
    }

    #[test]
    fn the_last_record_of_a_full_trace_says_that_it_stops() {
        let place = Place::new("full");
        let trace = FrameTrace::open_with(&place.file(), 200).unwrap();
        for connection in 1..=9 {
            trace.append(sent(connection), &[b"two ", b"pieces"]);
        }
        assert!(matches!(trace.end(), Some(TraceEnd::Full { .. })));
        let bytes = fs::read(place.file()).unwrap();
        assert!(bytes.len() <= 200, "{} bytes", bytes.len());
        let found = Records::new(&bytes).collect::<Vec<_>>();
        let [Found::Record(first), .., Found::Record(last)] = found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(
            (first.what, first.connection, first.frame),
            (What::Sent, 1, &b"two pieces"[..])
        );
        assert_eq!((last.what, last.frame), (What::Stopped, &b""[..]));
        assert_eq!(first.pid, std::process::id());
        assert_eq!(found.len(), 5, "four fit, and the last word");
        let later = FrameTrace::open_with(&place.file(), 190).unwrap();
        assert!(later.end().is_some(), "a full file is known as one from the start");
    }

    #[test]
    fn a_write_that_fails_ends_the_trace_and_nothing_else() {
        let place = Place::new("failing");
        fs::write(place.file(), "").unwrap();
        let file = File::open(place.file()).unwrap();
        let (path, end) = (place.file(), OnceLock::new());
        let shared = Shared { file, path, size_max: TRACE_SIZE_MAX, end };
        let trace = FrameTrace { shared: Arc::new(shared) };
        trace.append(sent(1), &[b"frame"]);
        assert!(matches!(trace.end(), Some(TraceEnd::Write { .. })), "it is open for reading only");
        trace.append(sent(1), &[b"frame"]);
    }
}
