//! The controller side of a PTY: read, write, resize.

use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use portable_pty::{MasterPty, PtySize};
use rustix::{io::Errno, process::Pid};
use tautline_protocol::WindowSize;
use tokio::io::{Interest, unix::AsyncFd};

use super::line_rules::line_rules;
use crate::state::LineRules;

/// The controller side. Reading belongs to one task, writing and resizing to another.
#[derive(Clone)]
pub struct Controller {
    reading: Arc<AsyncFd<OwnedFd>>,
    /// Only for resizing: its descriptor is the one `reading` was duplicated from.
    terminal: Arc<Mutex<Box<dyn MasterPty + Send>>>,
}

impl Controller {
    pub(super) fn new(terminal: Box<dyn MasterPty + Send>) -> io::Result<Self> {
        let duplicate = crate::sys::duplicate(&*terminal, |terminal| terminal.as_raw_fd())?;
        rustix::io::ioctl_fionbio(&duplicate, true)?;
        let reading = crate::sys::register(duplicate, Interest::READABLE)?;
        Ok(Self { reading: Arc::new(reading), terminal: Arc::new(Mutex::new(terminal)) })
    }

    /// Waits until there may be output.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _guard = ready!(self.reading.poll_read_ready(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Reads output that is there; 0 is the end: the user side was closed and all was read.
    ///
    /// A short read means nothing: only `WouldBlock` says that the terminal is empty.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reading.try_io(Interest::READABLE, |descriptor| read(descriptor, buffer))
    }

    /// Reads output, as [`try_read`](Self::try_read) does, also if the runtime has not looked yet
    /// whether there is any.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        read(self.reading.get_ref(), buffer)
    }

    /// Writes input, as much as fits now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing fits: the child does not read.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(self.reading.get_ref(), bytes) {
                Err(Errno::INTR) => {}
                result => return result.map_err(io::Error::from),
            }
        }
    }

    /// How input is put together to lines right now.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub fn line_rules(&self) -> io::Result<LineRules> {
        line_rules(self.reading.get_ref())
    }

    /// Waits until input fits again. Registered for this wait only, on a duplicate: an edge for
    /// every byte the child reads would wake the writer for nothing.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn writable(&self) -> io::Result<()> {
        // Out of descriptors: that passes, and must not cost a connection or a child's input.
        let Ok(duplicate) = self.reading.get_ref().try_clone() else {
            tokio::time::sleep(crate::limits::DESCRIPTOR_PAUSE).await;
            return Ok(());
        };
        let writing = crate::sys::register(duplicate, Interest::WRITABLE)?;
        let _ready = writing.writable().await?;
        Ok(())
    }

    /// Gives the terminal another size; its foreground processes get `SIGWINCH`.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        self.terminal.lock().resize(pty_size(size)).map_err(io::Error::other)
    }

    /// The process group in the foreground of the terminal.
    pub fn foreground(&self) -> Option<Pid> {
        rustix::termios::tcgetpgrp(self.reading.get_ref()).ok()
    }
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").finish_non_exhaustive()
    }
}

pub(super) const fn pty_size(size: WindowSize) -> PtySize {
    PtySize {
        rows: size.rows,
        cols: size.cols,
        pixel_width: size.x_pixels,
        pixel_height: size.y_pixels,
    }
}

fn read(descriptor: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(descriptor, &mut *buffer) {
            Err(Errno::INTR) => {}
            // Linux says EIO once the last user-side descriptor is closed and all was read.
            Err(Errno::IO) => return Ok(0),
            result => return result.map_err(io::Error::from),
        }
    }
}
