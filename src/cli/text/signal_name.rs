//! Signals as people write them: `INT`, `SIGINT`, `int`, `2`.

use tautline_protocol::limits::SIGNAL_MAX;

/// Signals by name.
const SIGNALS: [(&str, i32); 28] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("SYS", libc::SIGSYS),
];

/// Reads a signal's name or number.
///
/// # Errors
///
/// In words, for the person who wrote it.
pub(crate) fn parse_signal(text: &str) -> Result<i32, String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = SIGNALS.iter().find_map(|(known, number)| (*known == name).then_some(*number));
    let number = || text.parse().ok().filter(|number| (1..=SIGNAL_MAX).contains(number));
    named.or_else(number).ok_or_else(|| {
        format!("\"{text}\" is no signal; write a name, as INT, or a number from 1 to {SIGNAL_MAX}")
    })
}

/// A signal's name, as `SIGINT`, or its number if it has none.
pub(crate) fn show_signal(number: i32) -> String {
    let named = SIGNALS.iter().find(|(_, known)| *known == number);
    named.map_or_else(|| format!("signal {number}"), |(name, _)| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_in_any_spelling() {
        for text in ["INT", "int", "SIGINT", "sigint", "2"] {
            assert_eq!(parse_signal(text), Ok(libc::SIGINT), "{text}");
        }
        for text in ["", "SIG", "0", "-1", "65", "NOPE", "INT "] {
            assert!(parse_signal(text).is_err(), "{text}");
        }
        assert_eq!(show_signal(9), "SIGKILL");
        assert_eq!(show_signal(40), "signal 40");
    }
}
