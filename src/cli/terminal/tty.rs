//! The terminal, opened anew: read and written without blocking, and without changing a descriptor
//! that other programs share.

use std::{
    cell::RefCell,
    fs::OpenOptions,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::OFlags,
    io::Errno,
    termios::Termios,
};
use tautline_protocol::WindowSize;
use tokio::io::{Interest, unix::AsyncFd};

use super::TerminalModes;

/// How long the terminal may take to be given back before it is left as it is.
const UNDO_LIMIT: Duration = Duration::from_secs(1);

/// The terminal that standard input and output are.
#[derive(Debug)]
pub(crate) struct Tty {
    reading: AsyncFd<OwnedFd>,
    writing: AsyncFd<OwnedFd>,
    modes: RefCell<TerminalModes>,
}

impl Tty {
    /// Whether standard input and output are terminals.
    pub(crate) fn is_there() -> bool {
        rustix::termios::isatty(rustix::stdio::stdin())
            && rustix::termios::isatty(rustix::stdio::stdout())
    }

    /// Opens the terminal.
    ///
    /// # Errors
    ///
    /// If it has no name and is not the controlling terminal either.
    pub(crate) fn open() -> io::Result<Self> {
        Self::over(open_again(rustix::stdio::stdin())?, open_again(rustix::stdio::stdout())?)
    }

    /// Takes over descriptors that do not block.
    pub(super) fn over(reading: OwnedFd, writing: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            reading: crate::sys::register(reading, Interest::READABLE)?,
            writing: crate::sys::register(writing, Interest::WRITABLE)?,
            modes: RefCell::default(),
        })
    }

    /// Reads what was typed; 0 if the terminal is gone.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.reading.readable().await?;
            match rustix::io::read(&self.reading, &mut *buffer) {
                Ok(count) => return Ok(count),
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(Errno::IO) => return Ok(0),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Shows a child's output, and remembers what it turns on.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: any part of the bytes may have been shown.
    pub(crate) async fn show(&self, output: &[u8]) -> io::Result<()> {
        // Before the write: a part of it may be shown when this is given up.
        self.modes.borrow_mut().push(output);
        self.paint(output).await
    }

    /// Shows what is ours and leaves the terminal as it was.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: any part of the bytes may have been shown.
    pub(crate) async fn paint(&self, output: &[u8]) -> io::Result<()> {
        let mut rest = output;
        while !rest.is_empty() {
            let mut ready = self.writing.writable().await?;
            match rustix::io::write(&self.writing, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// How often the cursor's position was asked for.
    pub(crate) fn cursor_queries(&self) -> u32 {
        self.modes.borrow().cursor_queries()
    }

    /// Whether what was shown last is inside a sequence that goes on.
    pub(crate) fn is_inside_sequence(&self) -> bool {
        self.modes.borrow().is_inside_sequence()
    }

    /// Whether the cursor is probably not at the beginning of a line.
    pub(crate) fn is_mid_line(&self) -> bool {
        self.modes.borrow().is_mid_line()
    }

    /// The window's size; 0x0 if the terminal does not know.
    pub(crate) fn size(&self) -> WindowSize {
        let Ok(size) = rustix::termios::tcgetwinsize(&self.writing) else {
            return WindowSize::default();
        };
        let size = WindowSize {
            cols: size.ws_col,
            rows: size.ws_row,
            x_pixels: size.ws_xpixel,
            y_pixels: size.ws_ypixel,
        };
        if size.cols == 0 || size.rows == 0 { WindowSize::default() } else { size }
    }

    pub(super) fn attributes(&self) -> io::Result<Termios> {
        Ok(rustix::termios::tcgetattr(&self.reading)?)
    }

    pub(super) fn set_attributes(&self, attributes: &Termios) -> io::Result<()> {
        let when = rustix::termios::OptionalActions::Drain;
        Ok(rustix::termios::tcsetattr(&self.reading, when, attributes)?)
    }

    /// Turns off what the child left on. Waits for a slow terminal, but not for a stuck one.
    pub(super) fn undo_modes(&self) {
        let bytes = std::mem::take(&mut *self.modes.borrow_mut()).undo();
        let deadline = Instant::now() + UNDO_LIMIT;
        let mut rest = bytes.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(&self.writing, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if wait_for_room(self.writing.as_fd(), deadline) => {}
                // Nobody is left to see it.
                Err(_) => return,
            }
        }
    }
}

fn wait_for_room(terminal: BorrowedFd<'_>, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    let Ok(timeout) = Timespec::try_from(left) else { return false };
    let mut polled = [PollFd::from_borrowed_fd(terminal, PollFlags::OUT)];
    matches!(rustix::event::poll(&mut polled, Some(&timeout)), Ok(1..))
}

/// The same terminal, with a description of its own: not to block is then nobody else's business.
pub(super) fn open_again(terminal: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use std::os::unix::ffi::OsStringExt;

    let flags = (OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
    let open = |path: PathBuf| {
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).map(OwnedFd::from)
    };
    let name = rustix::termios::ttyname(terminal, Vec::new());
    let name = name.map(|name| std::ffi::OsString::from_vec(name.into_bytes()));
    match name.map_err(io::Error::from).and_then(|name| open(name.into())) {
        Ok(opened) => Ok(opened),
        // A container may be given a terminal that has no name inside.
        Err(error) => open("/dev/tty".into()).map_err(|_| error),
    }
}
