//! Our own mistakes: told after the terminal was given back, in one line that can be reported.

use std::{
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    thread,
};

use parking_lot::Mutex;

use super::{context::write_error, failure::exit_code};

/// What the main thread panicked with, told once the terminal is as it was.
static MESSAGE: Mutex<String> = Mutex::new(String::new());

/// Runs the whole command.
pub(super) fn catch(run: impl FnOnce() -> u8) -> u8 {
    let main = thread::current().id();
    panic::set_hook(Box::new(move |panicked| {
        let message = describe(panicked);
        tracing::error!("{message}");
        if thread::current().id() == main {
            *MESSAGE.lock() = message;
        } else {
            write_error(&format!("taut: {message}\r\n"));
        }
    }));
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        write_error(&format!("taut: {}\n", *MESSAGE.lock()));
        exit_code::FAILURE
    })
}

fn describe(panicked: &PanicHookInfo<'_>) -> String {
    let what = panicked.payload_as_str().unwrap_or("unknown");
    let place = panicked.location().map(ToString::to_string).unwrap_or_default();
    format!("internal error at {place}: {what}")
}
