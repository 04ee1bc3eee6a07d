//! What starts a program: the options that `new` and `run` share.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, builder::OsStringValueParser, builder::TypedValueParser};

use super::super::{
    context::own_variables,
    failure::{Failure, exit_code},
    text::{
        child_env::{EnvSetting, child_environment, clean_environment, parse_env_setting},
        size::parse_size,
        window_size::parse_window_size,
    },
};
use crate::{
    SpawnRequest,
    protocol::{SpawnFlags, WindowSize},
};

/// How a program is started.
#[derive(Debug, Default, Args)]
pub(crate) struct SpawnOptions {
    /// The directory to start in [default: this one]
    #[arg(short = 'C', long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Set a variable, or pass on one that would be left out; repeatable
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| parse_env_setting(&text)))]
    env: Vec<EnvSetting>,
    /// Start from the daemon's basic variables and --env alone, not from this environment
    #[arg(long)]
    clean_env: bool,
    /// The window's size [default: that of this terminal, else 80x24]
    #[arg(long, value_name = "COLSxROWS", value_parser = parse_window_size)]
    size: Option<WindowSize>,
}

impl SpawnOptions {
    /// The request that starts `argv` in this directory and environment, or as the options say.
    pub(crate) fn request(
        &self,
        name: String,
        argv: Vec<OsString>,
    ) -> Result<SpawnRequest, Failure> {
        let current = std::env::current_dir();
        let cwd = match (&self.cwd, current) {
            (Some(cwd), Ok(current)) => current.join(cwd),
            (Some(cwd), Err(_)) if cwd.is_absolute() => cwd.clone(),
            (_, Ok(current)) => current,
            (_, Err(error)) => return Err(Failure::system("find the current directory", &error)),
        };
        let own = own_variables();
        let env = match self.clean_env {
            true => clean_environment(&own, &self.env),
            false => child_environment(&own, &self.env),
        };
        Ok(SpawnRequest {
            name,
            argv,
            env,
            flags: if self.clean_env { SpawnFlags::CLEAN_ENV } else { 0 },
            cwd,
            size: self.size.unwrap_or_else(terminal_size),
            ..SpawnRequest::default()
        })
    }

    /// Whether a size was asked for.
    pub(crate) const fn has_size(&self) -> bool {
        self.size.is_some()
    }
}

/// The size of the terminal that standard output or input is; 0x0 if neither is one.
fn terminal_size() -> WindowSize {
    let output = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    let size = output.or_else(|_| rustix::termios::tcgetwinsize(rustix::stdio::stdin()));
    match size {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => WindowSize {
            cols: size.ws_col,
            rows: size.ws_row,
            x_pixels: size.ws_xpixel,
            y_pixels: size.ws_ypixel,
        },
        _ => WindowSize::default(),
    }
}

/// A log size as people write it: bytes, or with k, m or g.
pub(crate) fn parse_log_size(text: &str) -> Result<u32, String> {
    use tautline_protocol::limits::{LOG_SIZE_MAX, LOG_SIZE_MIN};

    let size = parse_size(text).and_then(|size| u32::try_from(size).ok());
    let size = size.filter(|size| (LOG_SIZE_MIN..=LOG_SIZE_MAX).contains(size));
    size.ok_or_else(|| format!("\"{text}\" is no log size; write 64k to 1g"))
}

/// Why a program was not started, with the exit codes that shells use for it.
pub(crate) fn with_shell_exit(failure: Failure) -> Failure {
    use crate::protocol::ErrorCode;

    let exit = match () {
        () if failure.is_code(ErrorCode::ProgramNotFound) => exit_code::NOT_FOUND,
        () if failure.is_code(ErrorCode::ProgramNotExecutable) => exit_code::NOT_EXECUTABLE,
        () => exit_code::RUN_FAILED,
    };
    failure.with_exit(exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_sizes_have_units_and_limits() {
        assert_eq!(parse_log_size("64k"), Ok(64 * 1024));
        assert_eq!(parse_log_size("65536"), Ok(65_536));
        assert_eq!(parse_log_size("2M"), Ok(2 << 20));
        assert_eq!(parse_log_size("1g"), Ok(1 << 30));
        for text in ["", "k", "63k", "2g", "-1", "+64k", "1.5m", "99999999999999999999g"] {
            assert!(parse_log_size(text).is_err(), "{text}");
        }
    }
}
