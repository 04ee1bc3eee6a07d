//! Why a command failed: what is said, in which form, and the exit code.

use std::{borrow::Cow, fmt::Display, io};

use serde_json::json;
use tautline_protocol::{CloseReason, ErrorClass, ErrorCode, Refusal};

use super::text::escape::escaped;
use crate::{
    ConnectFailure, EngineError, RecvError, RequestError, trace::TraceError,
    transport::ConnectError,
};

/// Exit codes; `docs` and scripts rely on them.
pub(crate) mod exit_code {
    /// All went well.
    pub(crate) const SUCCESS: u8 = 0;
    /// Anything that has no code of its own.
    pub(crate) const FAILURE: u8 = 1;
    /// The command line makes no sense.
    pub(crate) const USAGE: u8 = 2;
    /// No daemon runs, or it is gone.
    pub(crate) const NO_DAEMON: u8 = 3;
    /// No session has that name.
    pub(crate) const NO_SESSION: u8 = 4;
    /// The daemon refused: a limit, a version, a permission, a name that is taken.
    pub(crate) const REFUSED: u8 = 5;
    /// Not all input was delivered.
    pub(crate) const UNDELIVERED: u8 = 6;
    /// A time given ran out.
    pub(crate) const TIMED_OUT: u8 = 124;
    /// `run`: the engine failed.
    pub(crate) const RUN_FAILED: u8 = 125;
    /// `run`: the program cannot be executed.
    pub(crate) const NOT_EXECUTABLE: u8 = 126;
    /// `run`: there is no such program.
    pub(crate) const NOT_FOUND: u8 = 127;
    /// A signal `n` is this and `n`.
    pub(crate) const SIGNAL: u8 = 128;
}

/// Why a command failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: u8,
    code: Cow<'static, str>,
    why: String,
    hint: Option<String>,
    is_silent: bool,
}

/// What a command came to: its exit code.
pub(crate) type Outcome = Result<u8, Failure>;

impl Failure {
    /// A failure with an exit code and a code for programs.
    pub(crate) fn new(exit: u8, code: &'static str, why: impl Display) -> Self {
        let why = escaped(why.to_string().as_bytes());
        Self { exit, code: code.into(), why, hint: None, is_silent: false }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(why: impl Display) -> Self {
        Self::new(exit_code::USAGE, "usage", why)
    }

    /// The system refused something.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        Self::new(exit_code::FAILURE, "system", format!("{what}: {error}"))
    }

    /// Whoever read our output stopped: nothing is wrong, and nobody is left to tell.
    pub(crate) fn reader_gone() -> Self {
        Self { is_silent: true, ..Self::new(exit_code::SUCCESS, "", "") }
    }

    /// Writing to standard output failed.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::reader_gone();
        }
        Self::system("write to standard output", error)
    }

    fn lost(why: impl Display) -> Self {
        Self::new(exit_code::NO_DAEMON, "connection_lost", why)
            .with_hint("taut ls tells whether it still runs; if it ended, so did its sessions")
    }

    /// The daemon was told to end, or ends by itself.
    pub(crate) fn shutting_down() -> Self {
        Self::new(exit_code::NO_DAEMON, "shutting_down", "the daemon shut down")
    }

    /// The same, with advice.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(escaped(hint.to_string().as_bytes()));
        self
    }

    /// The same, with another exit code.
    #[must_use]
    pub(crate) fn with_exit(self, exit: u8) -> Self {
        Self { exit, ..self }
    }

    /// The same, with another code for programs.
    #[must_use]
    pub(crate) fn with_code(self, code: &'static str) -> Self {
        Self { code: code.into(), ..self }
    }

    /// Why, for programs.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Why, without what.
    pub(crate) fn why(&self) -> &str {
        &self.why
    }

    /// Whether it says that no daemon runs.
    pub(crate) fn is_no_daemon(&self) -> bool {
        self.code == "no_daemon"
    }

    /// Whether it says that the daemon we reached is on its way out.
    pub(crate) fn is_leaving(&self) -> bool {
        self.code == "connection_lost" || self.code == snake_case(Refusal::ShuttingDown.name())
    }

    /// Whether the daemon said this.
    pub(crate) fn is_code(&self, code: ErrorCode) -> bool {
        self.code == snake_case(code.name())
    }

    /// What is written on standard error; `what` is the command that failed.
    pub(crate) fn show(&self, what: &str, is_json: bool, is_coloured: bool) -> String {
        if self.is_silent {
            return String::new();
        }
        let Self { code, why, hint, .. } = self;
        let message = if what.is_empty() { why.clone() } else { format!("{what}: {why}") };
        if is_json {
            let error = json!({"error": {"code": code, "message": message, "hint": hint}});
            return format!("{error}\n");
        }
        let (red, plain) = if is_coloured { ("\x1b[1;31m", "\x1b[m") } else { ("", "") };
        let hint = hint.as_ref().map(|hint| format!("hint: {hint}\n"));
        format!("{red}taut:{plain} {message}\n{}", hint.unwrap_or_default())
    }
}

impl From<ConnectFailure> for Failure {
    fn from(failure: ConnectFailure) -> Self {
        let connect = |error: ConnectError| {
            let why = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            match error {
                ConnectError::NotRunning { .. } | ConnectError::StaleSocket { .. } => {
                    let hint = "taut, new, run and attach --create start one; so does taut serve";
                    Self::new(exit_code::NO_DAEMON, "no_daemon", why).with_hint(hint)
                }
                ConnectError::WrongUser { .. } => Self::new(exit_code::REFUSED, "wrong_user", why),
                ConnectError::ConnectionRefused { .. } => {
                    Self::new(exit_code::REFUSED, "busy", why).with_hint("try again in a moment")
                }
                _ => Self::new(exit_code::FAILURE, "connect", why),
            }
        };
        match failure {
            ConnectFailure::Connect(error) => connect(error),
            ConnectFailure::Refused { refusal, hello } => {
                let code = snake_case(refusal.name());
                let failure = Self { code: code.into(), ..Self::new(exit_code::REFUSED, "", "") };
                let why = match refusal {
                    Refusal::Version => format!(
                        "the daemon speaks protocol {} to {}, this taut {}",
                        hello.version_min,
                        hello.version_max,
                        tautline_protocol::VERSION
                    ),
                    Refusal::AtCapacity => {
                        format!("the daemon serves {} clients already", hello.clients_limit)
                    }
                    Refusal::ShuttingDown => "the daemon is shutting down".into(),
                    refusal => format!("the daemon refused the connection: {}", refusal.name()),
                };
                let failure = Self { why, ..failure };
                match refusal {
                    Refusal::AtCapacity => failure
                        .with_hint("taut ls shows who is attached; taut detach NAME makes room"),
                    _ => failure,
                }
            }
            ConnectFailure::Timeout => {
                Self::new(exit_code::TIMED_OUT, "timed_out", "the daemon does not answer")
            }
            ConnectFailure::Lost => {
                Self::new(exit_code::NO_DAEMON, "connection_lost", "the daemon hung up")
            }
            failure => Self::new(exit_code::FAILURE, "protocol", failure),
        }
    }
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        let hint = match error {
            TraceError::Exposed { .. } => "chmod 600 it, or let TAUT_TRACE name a new file",
            _ => "TAUT_TRACE names the file that frames are recorded in; unset it to record none",
        };
        Self::new(exit_code::FAILURE, "trace", error).with_hint(hint)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let exit = match (error.code, error.class) {
            (ErrorCode::NoSuchSession, _) => exit_code::NO_SESSION,
            (
                ErrorCode::NameTaken
                | ErrorCode::NotPermitted
                | ErrorCode::ReadOnly
                | ErrorCode::SessionsLive
                | ErrorCode::SessionLive
                | ErrorCode::AttachLoop
                | ErrorCode::Unsupported
                | ErrorCode::ShuttingDown,
                _,
            )
            | (_, ErrorClass::Limit | ErrorClass::Peer) => exit_code::REFUSED,
            _ => exit_code::FAILURE,
        };
        let failure = Self::new(exit, "", error.text);
        let failure = Self { code: snake_case(error.code.name()).into(), ..failure };
        match error.code {
            ErrorCode::NoSuchSession => failure.with_hint("taut ls shows the sessions there are"),
            ErrorCode::SessionLive => failure.with_hint("taut stop ends it; rm --force kills it"),
            _ => failure,
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Refused(error) => error.into(),
            RequestError::TooLarge => Self::new(exit_code::REFUSED, "too_large", error)
                .with_hint("arguments and environment travel together; make them smaller"),
            RequestError::Closed(CloseReason::ShuttingDown) => Self::shutting_down(),
            error => Self::lost(error),
        }
    }
}

impl From<RecvError> for Failure {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed(CloseReason::ShuttingDown) => Self::shutting_down(),
            RecvError::Protocol(_) => Self::new(exit_code::FAILURE, "protocol", error),
            error => Self::lost(error),
        }
    }
}

/// `NoSuchSession` as programs are told it: `no_such_session`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_failed_and_why_in_either_form() {
        let failure = Failure::new(4, "no_such_session", "no session \x1b[31m").with_hint("look");
        let text = "taut: send: no session \\x1b[31m\nhint: look\n";
        assert_eq!(failure.show("send", false, false), text);
        let json: serde_json::Value =
            serde_json::from_str(&failure.show("send", true, false)).unwrap();
        assert_eq!(json["error"]["code"], "no_such_session");
        assert_eq!(json["error"]["message"], "send: no session \\x1b[31m");
        assert_eq!(json["error"]["hint"], "look");
        assert_eq!(Failure::reader_gone().show("ls", false, true), "");
    }

    #[test]
    fn codes_are_written_as_programs_expect_them() {
        assert_eq!(snake_case("NoSuchSession"), "no_such_session");
        assert_eq!(snake_case("System"), "system");
    }
}
