//! The only file with `unsafe` in it: what the system offers in no safe form.

#![expect(unsafe_code, reason = "the one place for it")]

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd, RawFd},
    os::unix::process::CommandExt,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::net::{AddressFamily, SocketType};
use tokio::io::{Interest, unix::AsyncFd};

/// Registers a descriptor of our own with the runtime this is called in.
pub(crate) fn register(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: tokio asks that the descriptor stays open and the same for as long as it is
    // registered: an `OwnedFd` names one open descriptor until it is dropped, and `AsyncFd` drops
    // it only after deregistering.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    registered.map_err(|error| error.into_parts().1)
}

/// So many bytes of zeros, or why not; none of them is touched, so they cost nothing yet.
pub(crate) fn zeroed(size: usize) -> io::Result<Box<[u8]>> {
    let out_of_memory = || io::Error::from_raw_os_error(libc::ENOMEM);
    let layout = std::alloc::Layout::array::<u8>(size.max(1)).map_err(|_| out_of_memory())?;
    // SAFETY: the layout is not of size 0.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    if memory.is_null() {
        return Err(out_of_memory());
    }
    // SAFETY: the memory was just allocated by the global allocator for so many bytes, which is the
    // layout a vector of bytes with that capacity frees; all of them are initialized, to zero.
    let bytes = unsafe { Vec::from_raw_parts(memory, size, size.max(1)) };
    Ok(bytes.into_boxed_slice())
}

/// A new Unix stream socket, closed on exec from the first instant where the system can do that.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn unix_socket() -> io::Result<OwnedFd> {
    let flags = rustix::net::SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// A new Unix stream socket, closed on exec.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn unix_socket() -> io::Result<OwnedFd> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

/// The user at the other end of a Unix socket.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn peer_uid(socket: BorrowedFd<'_>) -> io::Result<u32> {
    use std::os::fd::AsRawFd;
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: `getpeereid` writes one id through each pointer and keeps neither; both point to live
    // locals of that type, and the descriptor is open for as long as it is borrowed.
    let result = unsafe { libc::getpeereid(socket.as_raw_fd(), &mut uid, &mut gid) };
    if result == 0 { Ok(uid) } else { Err(io::Error::last_os_error()) }
}

/// A duplicate, closed on exec, of a descriptor that its owner only hands out as a number.
///
/// `owner` is borrowed for the call, which is what keeps the number valid.
pub(crate) fn duplicate<T: ?Sized>(
    owner: &T,
    number: fn(&T) -> Option<RawFd>,
) -> io::Result<OwnedFd> {
    let closed = || io::Error::other("the descriptor is closed");
    let number = number(owner).ok_or_else(closed)?;
    // SAFETY: the number was just handed out by `owner`, which keeps it open while it is borrowed,
    // and that is until this function returns; the borrow made here ends before.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(rustix::io::fcntl_dupfd_cloexec(descriptor, 3)?)
}

/// Makes a command's child a session of its own with descriptor 0 as its terminal, default signals,
/// and nothing inherited above descriptor 2.
pub(crate) fn prepare_child(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are
    // allowed: `setsid`, `ioctl`, `sigaction`, `sigprocmask`, `close_range` and `fcntl` are, and
    // nothing here allocates, locks or unwinds.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            reset_signals();
            restore_descriptor_limit();
            restore_umask();
            close_inherited();
            Ok(())
        });
    }
}

/// Makes a command's child a daemon: nobody's child, in a session it does not lead, so that no
/// terminal ever becomes its own; with default signals, and nothing inherited above descriptor 2.
/// What `spawn` returns ends at once and only has to be waited for.
#[cfg(feature = "cli")]
pub(crate) fn prepare_daemon(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are
    // allowed: `setsid`, `fork`, `_exit`, `sigaction`, `close_range` and `fcntl` are, and nothing
    // here allocates, locks or unwinds.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            leave_parent()?;
            reset_signals();
            close_inherited();
            Ok(())
        });
    }
}

/// Forks, and only the child returns: its parent is whoever adopts orphans.
#[cfg(feature = "cli")]
fn leave_parent() -> io::Result<()> {
    // SAFETY: called between fork and exec, in a process with this one thread: the child may do
    // whatever its parent might.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(()),
        // SAFETY: ends the process at once and runs nothing of ours, which would run twice.
        _ => unsafe { libc::_exit(0) },
    }
}

/// The umask before we changed it and 1, or 0 if we never did.
static UMASK_BEFORE: AtomicU64 = AtomicU64::new(0);

/// A file that may not grow is an error where it is written, and not the end of the process.
/// Children get the default back, as of every signal.
#[cfg(feature = "cli")]
pub(crate) fn ignore_file_size_signal() {
    // SAFETY: `SIG_IGN` installs no code of ours, and the number is that of a signal.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// The name that `ps` and `pgrep` know this process by, where a process can choose it.
#[cfg(feature = "cli")]
pub(crate) fn name_process(name: &std::ffi::CStr) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // Without it things only look odd.
    let _ = rustix::thread::set_name(name);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = name;
}

/// Lets nobody else into files this process makes. Children get the old umask back: theirs are
/// their own business.
#[cfg(feature = "cli")]
pub(crate) fn make_files_private() {
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    UMASK_BEFORE.store(u64::from(before.as_raw_mode()) + 1, Ordering::Relaxed);
}

/// Gives a child the umask that we were started with. Allocates nothing.
fn restore_umask() {
    if let Some(before) = UMASK_BEFORE.load(Ordering::Relaxed).checked_sub(1) {
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(before as _));
    }
}

/// The soft limit of descriptors before we raised it and 1, or 0 if we never did.
static DESCRIPTORS_BEFORE: AtomicU64 = AtomicU64::new(0);

/// Raises the soft limit of open descriptors to the hard one. Children get the old one back: a
/// program that uses `select` may rely on small numbers.
#[cfg(feature = "cli")]
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let (Ok(()), Some(current)) = (raised, current) {
        DESCRIPTORS_BEFORE.store(current.saturating_add(1), Ordering::Relaxed);
    }
}

/// Gives a child the soft limit that we were started with. Allocates nothing.
fn restore_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = DESCRIPTORS_BEFORE.load(Ordering::Relaxed);
    if let Some(current) = before.checked_sub(1) {
        let maximum = getrlimit(Resource::Nofile).maximum;
        // If this fails the child has more than it expects, which is no reason not to start it.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum });
    }
}

/// Default dispositions: what the engine's starter ignored is not the child's.
///
/// Asks the kernel and not the C library, which hides the two signals it uses itself; whoever
/// started us with `posix_spawn` may have left those ignored.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn reset_signals() {
    // The kernel's `struct sigaction` with handler `SIG_DFL`, no flags and an empty mask is all
    // zeros, and 32 bytes cover it on every architecture.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads one `struct sigaction` through the first pointer, which points
        // to a live local at least as large, and writes nothing through the second, which is null.
        // `SIG_DFL` installs no code of ours; a disposition that cannot be changed is refused.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, &default, std::ptr::null::<u8>(), 8_usize)
        };
    }
}

/// Default dispositions: what the engine's starter ignored is not the child's.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn reset_signals() {
    for signal in 1..=31 {
        // SAFETY: `SIG_DFL` installs no code of ours; a number that is no signal, or whose
        // disposition cannot be changed, is refused with an error that concerns nobody.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Marks everything above descriptor 2 to be closed by exec; closing at once would take the pipe
/// that reports a failed exec.
fn close_inherited() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: takes three numbers and touches no memory; only close-on-exec flags change.
        let marked = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 4) };
        if marked == 0 {
            return;
        }
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one `rlimit` through the pointer, which points to a live local.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    let last = limit.rlim_cur.min(65_536) as i32;
    for descriptor in 3..last {
        // SAFETY: takes three numbers; a descriptor that is not open is refused with an error.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Random bytes from the system, for what must not be guessed.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("every system we run on has random bytes");
    bytes
}
