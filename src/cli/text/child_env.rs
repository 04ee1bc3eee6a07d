//! The environment a child is started with: its client's own, without what describes the client's
//! terminal or an outer session.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// Variables by name.
pub(crate) type Variables = Vec<(OsString, OsString)>;

/// Not passed on, by exact name.
const DROPPED: [&str; 5] = ["STY", "COLUMNS", "LINES", "WINDOWID", "SHLVL"];

/// Not passed on, by how the name begins.
const DROPPED_PREFIXES: [&str; 3] = ["TAUT_", "TMUX", "TERM_PROGRAM"];

/// What a child thinks it runs on if its client has no terminal.
const TERM_DEFAULT: &str = "xterm-256color";

/// One `--env`: a variable to set, or one to pass on whatever its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum EnvSetting {
    /// `NAME=value`.
    Set(OsString, OsString),
    /// `NAME`: the client's value, if it has one.
    PassOn(OsString),
}

/// Reads one `--env`.
///
/// # Errors
///
/// In words, for the person who wrote it.
pub(crate) fn parse_env_setting(text: &OsStr) -> Result<EnvSetting, String> {
    let bytes = text.as_bytes();
    let part = |bytes| OsStr::from_bytes(bytes).to_os_string();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(0) => Err(format!("\"{}\" has no name before the =", text.display())),
        None if bytes.is_empty() => Err("a variable needs a name".into()),
        Some(at) => Ok(EnvSetting::Set(part(&bytes[..at]), part(&bytes[at + 1..]))),
        None => Ok(EnvSetting::PassOn(text.into())),
    }
}

/// The child's environment, from the client's own and the settings, which win; of two for the same
/// name, the last.
pub(crate) fn child_environment(own: &Variables, settings: &[EnvSetting]) -> Variables {
    let mut env: Variables = own.iter().filter(|(name, _)| is_passed_on(name)).cloned().collect();
    if !env.iter().any(|(name, value)| name == "TERM" && !value.is_empty()) {
        set(&mut env, "TERM".into(), TERM_DEFAULT.into());
    }
    apply(&mut env, own, settings);
    env
}

/// The settings alone, and the terminal's kind: the daemon adds its own basic variables.
pub(crate) fn clean_environment(own: &Variables, settings: &[EnvSetting]) -> Variables {
    let is_term = |(name, value): &&(OsString, OsString)| name == "TERM" && !value.is_empty();
    let mut env: Variables = own.iter().filter(is_term).cloned().collect();
    apply(&mut env, own, settings);
    env
}

fn apply(env: &mut Variables, own: &Variables, settings: &[EnvSetting]) {
    for setting in settings {
        match setting {
            EnvSetting::Set(name, value) => set(env, name.clone(), value.clone()),
            EnvSetting::PassOn(name) => {
                if let Some((name, value)) = own.iter().find(|(known, _)| known == name) {
                    set(env, name.clone(), value.clone());
                }
            }
        }
    }
}

/// What tells where a user sits: new with each login, and wrong in a session that outlives it. The
/// default of `update_environment`.
pub(crate) const SEAT: [&str; 10] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "KRB5CCNAME",
    "SSH_AGENT_PID",
    "SSH_AUTH_SOCK",
    "SSH_CONNECTION",
    "SSH_TTY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_SESSION_ID",
];

/// What of the client's environment a session takes over when the client attaches, for children
/// started later.
pub(crate) fn session_variables(own: &Variables, names: &[String]) -> Variables {
    let is_named = |name: &OsStr| names.iter().any(|known| name == known.as_str());
    own.iter().filter(|(name, _)| is_named(name)).cloned().collect()
}

/// What of the client's environment a daemon it starts is given: nothing that belongs to one
/// session, one terminal or one command.
pub(crate) fn daemon_environment(own: &Variables) -> Variables {
    let names = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ"];
    let is_kept = |name: &OsStr| {
        let name = name.as_bytes();
        let begins = ["LC_", "XDG_", "TAUT_"].iter().any(|it| name.starts_with(it.as_bytes()));
        let is_ours_alone = name == b"TAUT_SESSION" || name == b"TAUT_TRACE";
        (begins || names.iter().any(|it| name == it.as_bytes())) && !is_ours_alone
    };
    own.iter().filter(|(name, _)| is_kept(name)).cloned().collect()
}

fn is_passed_on(name: &OsStr) -> bool {
    let name = name.as_bytes();
    // A name that is empty or has a `=` in it could not be told from its value on the other side.
    !name.is_empty()
        && !name.contains(&b'=')
        && !DROPPED.iter().any(|dropped| name == dropped.as_bytes())
        && !DROPPED_PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}

fn set(env: &mut Variables, name: OsString, value: OsString) {
    env.retain(|(known, _)| *known != name);
    env.push((name, value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(list: &[(&str, &str)]) -> Variables {
        list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn what_describes_the_clients_terminal_is_left_out() {
        let own = variables(&[
            ("HOME", "/h"),
            ("TAUT_SESSION", "a"),
            ("TAUT_SOCKET", "s"),
            ("TAUT_TRACE", "t"),
            ("TMUX", "x"),
            ("TMUX_PANE", "%1"),
            ("STY", "1"),
            ("COLUMNS", "80"),
            ("LINES", "24"),
            ("WINDOWID", "7"),
            ("TERM_PROGRAM", "p"),
            ("TERM_PROGRAM_VERSION", "1"),
            ("SHLVL", "3"),
            ("TERM", "foot"),
            ("COLORTERM", "truecolor"),
        ]);
        let expected = variables(&[("HOME", "/h"), ("TERM", "foot"), ("COLORTERM", "truecolor")]);
        assert_eq!(child_environment(&own, &[]), expected);
    }

    #[test]
    fn a_client_without_a_terminal_type_gets_the_usual_one() {
        let expected = variables(&[("TERM", "xterm-256color")]);
        assert_eq!(child_environment(&Variables::new(), &[]), expected);
        assert_eq!(child_environment(&variables(&[("TERM", "")]), &[]), expected);
    }

    #[test]
    fn settings_win_and_the_last_one_most() {
        let own = variables(&[("TERM", "foot"), ("A", "1"), ("SHLVL", "3")]);
        let settings: Vec<_> = ["A=2", "A=3=4", "SHLVL", "MISSING", "EMPTY="]
            .iter()
            .map(|text| parse_env_setting(OsStr::new(text)).unwrap())
            .collect();
        let expected = variables(&[("TERM", "foot"), ("A", "3=4"), ("SHLVL", "3"), ("EMPTY", "")]);
        assert_eq!(child_environment(&own, &settings), expected);
        assert!(parse_env_setting(OsStr::new("=x")).is_err());
        assert!(parse_env_setting(OsStr::new("")).is_err());
    }

    #[test]
    fn a_daemon_gets_nothing_of_one_session() {
        let own = variables(&[
            ("HOME", "/h"),
            ("SSH_AUTH_SOCK", "x"),
            ("LC_ALL", "C"),
            ("XDG_RUNTIME_DIR", "/r"),
            ("TAUT_SESSION", "a"),
            ("TAUT_TRACE", "t"),
            ("TAUT_CONFIG", "c"),
            ("SECRET", "y"),
        ]);
        let expected = variables(&[
            ("HOME", "/h"),
            ("LC_ALL", "C"),
            ("XDG_RUNTIME_DIR", "/r"),
            ("TAUT_CONFIG", "c"),
        ]);
        assert_eq!(daemon_environment(&own), expected);
    }
}
