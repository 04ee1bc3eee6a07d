//! The `taut` command: a daemon, and everything one does with it.

use std::process::ExitCode;

fn main() -> ExitCode {
    tautline::cli::main()
}
