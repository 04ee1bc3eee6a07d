//! Raw mode for as long as a value lives, whatever ends it: detach, exit, error or panic.

use std::{io, rc::Rc};

use rustix::termios::Termios;

use super::Tty;

/// The terminal passes on every byte as it is; dropped, everything is as it was.
#[derive(Debug)]
pub(crate) struct RawMode {
    tty: Rc<Tty>,
    before: Termios,
}

impl RawMode {
    /// Begins.
    pub(crate) fn begin(tty: &Rc<Tty>) -> io::Result<Self> {
        let before = tty.attributes()?;
        let raw = Self { tty: Rc::clone(tty), before };
        raw.again()?;
        Ok(raw)
    }

    /// Makes the terminal raw again, after we were stopped and a shell had it.
    pub(crate) fn again(&self) -> io::Result<()> {
        let mut attributes = self.before.clone();
        attributes.make_raw();
        self.tty.set_attributes(&attributes)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.tty.undo_modes();
        // If this fails, the terminal is gone.
        let _ = self.tty.set_attributes(&self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        os::fd::AsFd,
        panic::{AssertUnwindSafe, catch_unwind},
    };

    use portable_pty::{PtySize, native_pty_system};
    use rustix::termios::LocalModes;

    use super::{super::tty::open_again, *};

    #[test]
    fn a_panic_gives_the_terminal_back_too() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pair = native_pty_system().openpty(PtySize::default()).unwrap();
        let path = pair.master.tty_name().unwrap();
        let user_side = std::fs::File::options().read(true).write(true).open(path).unwrap();
        let modes = || rustix::termios::tcgetattr(&user_side).unwrap().local_modes;
        let cooked = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        assert!(modes().contains(cooked));
        let used = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let open = || open_again(user_side.as_fd()).unwrap();
                let tty = Rc::new(Tty::over(open(), open()).unwrap());
                let _raw = RawMode::begin(&tty).unwrap();
                assert!(!modes().intersects(cooked));
                tty.show(b"\x1b[?1049h\x1b[?1000h").await.unwrap();
                panic!("on purpose");
            })
        }));
        assert!(used.is_err());
        assert!(modes().contains(cooked));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let mut shown = Vec::new();
        while !shown.ends_with(b"\x1b[m") {
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            shown.push(byte[0]);
        }
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains("\x1b[?1049l") && shown.contains("\x1b[?1000;"), "{shown:?}");
    }
}
