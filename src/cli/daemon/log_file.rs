//! A daemon's log: one file of at most 1 MiB, and the one before it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// Where a new file begins; the last one is kept. Months of a daemon that is well.
const SIZE_MAX: u64 = 1024 * 1024;

/// The log file.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl LogFile {
    /// Opens the log, which nobody else can read, and goes on at its end.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.into(), file, size })
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let mut old = self.path.clone().into_os_string();
        old.push(".old");
        fs::rename(&self.path, old)?;
        self.file = open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size > 0 && self.size + bytes.len() as u64 > SIZE_MAX {
            // If that is impossible, the file that is open grows: better than silence.
            let _ = self.begin_anew();
        }
        let count = self.file.write(bytes)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open(path: &Path) -> io::Result<File> {
    let no_follow = OFlags::NOFOLLOW.bits() as i32;
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(no_follow).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_full_becomes_the_old_one() {
        let directory = std::env::temp_dir().join(format!("taut-log-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("taut.log");
        let mut log = LogFile::open(&path).unwrap();
        let line = [b'x'; 1023].iter().chain(b"\n").copied().collect::<Vec<u8>>();
        for _ in 0..1024 {
            log.write_all(&line).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), SIZE_MAX);
        drop(log);
        let mut log = LogFile::open(&path).unwrap();
        log.write_all(b"new\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new\n");
        assert_eq!(fs::metadata(directory.join("taut.log.old")).unwrap().len(), SIZE_MAX);
        fs::remove_dir_all(&directory).unwrap();
    }
}
