//! Standard input, read by a thread: it may be a file, which no event queue takes, and it must not
//! be made non-blocking, because others share it.

use std::{
    io::{self, Read},
    thread,
};

use tokio::sync::mpsc;

/// What one read brings at most.
const READ: usize = 64 * 1024;

/// Standard input for whoever must not block.
#[derive(Debug)]
pub(crate) struct StandardInput {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
}

impl StandardInput {
    /// Starts the thread, which reads one piece ahead.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, pieces) = mpsc::channel(1);
        thread::Builder::new().name("taut-stdin".into()).spawn(move || run(&sender))?;
        Ok(Self { pieces })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.pieces.recv().await.transpose()
    }
}

fn run(pieces: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; READ];
    loop {
        let piece = match io::stdin().lock().read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(buffer[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_over = piece.is_err();
        if pieces.blocking_send(piece).is_err() || is_over {
            return;
        }
    }
}
