//! The lock of a socket: one daemon for each, also while the socket itself is swept away.

use std::{
    fs::{File, OpenOptions},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{fs::FlockOperation, io::Errno};

use super::bind_error::BindError;

/// Takes the lock of the socket at `socket`, in `directory`; it is held until the file is dropped.
pub(super) fn take(socket: &Path, directory: &Path) -> Result<File, BindError> {
    let path = lock_path(socket, directory);
    let failed = |source| BindError::Lock { path: path.clone(), source };
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(no_follow).open(&path).map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(BindError::AlreadyRunning { path: socket.into() }),
        Err(error) => Err(failed(error.into())),
    }
}

/// One for each socket, however its path is written and wherever it may have been swept to.
fn lock_path(socket: &Path, directory: &Path) -> PathBuf {
    let name = socket.file_name().unwrap_or_default().to_string_lossy();
    let path = resolved(socket);
    directory.join(format!("{name}-{:016x}.lock", fnv1a(path.as_os_str().as_bytes())))
}

/// The path without links and detours, as far as there are directories on the way.
fn resolved(socket: &Path) -> PathBuf {
    let absolute = std::path::absolute(socket).unwrap_or_else(|_| socket.into());
    for ancestor in absolute.ancestors().skip(1) {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), absolute.strip_prefix(ancestor)) {
            return real.join(rest);
        }
    }
    absolute
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>. Names files; proves nothing.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_one_lock_however_its_path_is_written() {
        let root = std::env::temp_dir().join(format!("taut-lock-{}", std::process::id()));
        std::fs::create_dir_all(root.join("run")).unwrap();
        std::os::unix::fs::symlink(root.join("run"), root.join("link")).unwrap();
        let lock = |path: &str| lock_path(&root.join(path), Path::new("/state"));
        let plain = lock("run/taut/taut.sock");
        for path in ["run/../run/taut/taut.sock", "link/taut/taut.sock", "run/./taut//taut.sock"] {
            assert_eq!(lock(path), plain, "{path}");
        }
        assert_ne!(lock("run/taut/other.sock"), plain);
        assert_ne!(lock("run/other/taut.sock"), plain);
        std::fs::remove_dir_all(root).unwrap();
    }
}
