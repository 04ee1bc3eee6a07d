//! What can be known about a process from outside, for display only.

use rustix::process::Pid;

/// The name of a process; empty if it cannot be known.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn process_name(pid: Pid) -> Vec<u8> {
    let path = format!("/proc/{}/comm", pid.as_raw_nonzero());
    let mut name = std::fs::read(path).unwrap_or_default();
    name.truncate(name.trim_ascii_end().len());
    name
}

/// The directory a process is in; `None` if it cannot be known.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn process_directory(pid: u32) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    let path = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    Some(path.into_os_string().into_vec())
}

/// The name of a process; empty if it cannot be known.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn process_name(_: Pid) -> Vec<u8> {
    Vec::new()
}

/// The directory a process is in; `None` if it cannot be known.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn process_directory(_: u32) -> Option<Vec<u8>> {
    None
}
