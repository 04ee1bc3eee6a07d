//! Finding and reading the configuration file.

use std::{
    env,
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use super::{
    super::failure::{Failure, exit_code},
    Config, Fault, KEYS,
};

/// Most bytes of a file: a thousand times what all keys take.
const SIZE_MAX: u64 = 1024 * 1024;

/// The file to read, and whether it was named: what is named must be there.
pub(crate) fn find_file(flag: Option<&Path>) -> Result<Option<(PathBuf, bool)>, Failure> {
    let from_env = env::var_os("TAUT_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = flag.map(PathBuf::from).or(from_env) {
        // A daemon we start runs in another directory.
        let path = std::path::absolute(path)
            .map_err(|error| Failure::system("find the current directory", &error))?;
        return Ok(Some((path, true)));
    }
    let usual = usual_path().filter(|path| path.symlink_metadata().is_ok());
    Ok(usual.map(|path| (path, false)))
}

/// `$XDG_CONFIG_HOME/taut/config.toml`, else `$HOME/.config/taut/config.toml`.
fn usual_path() -> Option<PathBuf> {
    // XDG's rule: a relative path in such a variable is ignored.
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let directory =
        absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(directory.join("taut/config.toml"))
}

/// Reads a file; whatever is wrong in it is told, in the order of its lines.
///
/// # Errors
///
/// If it cannot be read at all.
pub(crate) fn read_file(path: &Path) -> Result<(Config, Vec<Fault>), Failure> {
    let failed = |error: &std::io::Error| {
        let why = format!("read the configuration {}", path.display());
        let failure = Failure::system(&why, error);
        match error.kind() {
            ErrorKind::NotFound => failure.with_exit(exit_code::USAGE).with_code("config"),
            _ => failure,
        }
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(&error))?;
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > SIZE_MAX {
        let why = format!("{} is larger than any configuration", path.display());
        return Err(Failure::new(exit_code::USAGE, "config", why));
    }
    let (mut config, faults) = read(&bytes);
    config.path = Some(path.into());
    Ok((config, faults))
}

fn read(bytes: &[u8]) -> (Config, Vec<Fault>) {
    let mut config = Config::default();
    let line_at = |at: usize| 1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = line_at(error.valid_up_to());
            return (config, vec![Fault { line, what: "this is no UTF-8".into() }]);
        }
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let line = line_at(error.span().map_or(0, |span| span.start));
            return (config, vec![Fault { line, what: error.message().into() }]);
        }
    };
    let mut faults = Vec::new();
    for (name, value) in &table {
        let line = line_at(name.span().start);
        let Some(key) = KEYS.iter().find(|key| key.name == name.get_ref()) else {
            let what = no_such_key(name.get_ref(), value.get_ref().is_table());
            faults.push(Fault { line, what });
            continue;
        };
        match key.field.put(&mut config.settings, value.get_ref()) {
            Ok(()) => config.lines.push((key.name, line)),
            Err(why) => faults.push(Fault { line, what: format!("{} {why}", key.name) }),
        }
    }
    faults.sort_by_key(|fault| fault.line);
    (config, faults)
}

fn no_such_key(name: &str, is_table: bool) -> String {
    let mut known: Vec<_> = KEYS.iter().map(|key| (distance(name, key.name), key.name)).collect();
    known.sort();
    let advice = match known.first() {
        _ if is_table => "; keys stand at the top, in no table".into(),
        // A third of its letters may be wrong.
        Some((distance, close)) if distance * 3 <= close.len() => {
            format!("; did you mean {close}?")
        }
        _ => format!("; there are {}", KEYS.map(|key| key.name).join(", ")),
    };
    format!("there is no key \"{name}\"{advice}")
}

/// How many letters to insert, remove or replace to come from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<_> = to.chars().collect();
    let mut row: Vec<_> = (0..=to.len()).collect();
    for (done, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = done + 1;
        for (index, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn faults(text: &str) -> Vec<(usize, String)> {
        read(text.as_bytes()).1.into_iter().map(|fault| (fault.line, fault.what)).collect()
    }

    #[test]
    fn everything_in_the_file_is_taken() {
        let text = r#"
            clients_limit = 8
            input_window = "128k"
            log_size = 65536
            hello_deadline = "1m"
            frame_deadline = 2.5
            shutdown_grace = 3
            idle_exit = "10m"
            plugin_directory = "/plugins"
            detach_keys = "ctrl-p,ctrl-q"
            update_environment = ["DISPLAY"]
        "#;
        let (config, faults) = read(text.as_bytes());
        assert_eq!(faults, []);
        let server = &config.settings.server;
        assert_eq!((server.clients_limit, server.input_window), (8, 128 * 1024));
        assert_eq!((server.log_size, server.deadlines.hello.as_secs()), (65_536, 60));
        assert_eq!(server.deadlines.frame, Duration::from_millis(2_500));
        assert_eq!(server.shutdown_grace, Duration::from_secs(3));
        assert_eq!(server.idle_exit, Some(Duration::from_secs(600)));
        assert_eq!(server.plugin_directory.as_deref(), Some(Path::new("/plugins")));
        assert_eq!(config.settings.detach_keys.to_string(), "ctrl-p,ctrl-q");
        assert_eq!(config.settings.update_environment, ["DISPLAY"]);
        assert_eq!(config.lines.len(), 10);
        assert!(config.lines.contains(&("input_window", 3)));
    }

    #[test]
    fn what_every_key_shows_is_what_it_takes() {
        for settings in [Config::default().settings, read(b"idle_exit = 1").0.settings] {
            let lines =
                KEYS.map(|key| format!("{} = {}\n", key.name, key.field.show(&settings).to_toml()));
            let (again, faults) = read(lines.concat().as_bytes());
            assert_eq!(faults, []);
            assert_eq!(again.lines.len(), KEYS.len());
            for key in &KEYS {
                assert_eq!(key.field.show(&again.settings), key.field.show(&settings));
            }
        }
    }

    #[test]
    fn faults_say_where_what_and_what_is_allowed() {
        let cases = [
            (
                "\nclient_limit = 3",
                2,
                "there is no key \"client_limit\"; did you mean clients_limit?",
            ),
            ("idle-exit = 3", 1, "there is no key \"idle-exit\"; did you mean idle_exit?"),
            ("colour = 3", 1, "there is no key \"colour\"; there are socket, idle_exit,"),
            ("[server]\nsocket = 1", 1, "there is no key \"server\"; keys stand at the top"),
            (
                "clients_limit = \"many\"",
                1,
                "clients_limit takes a number, 1 to 65536; it is \"many\"",
            ),
            ("clients_limit = 0", 1, "1 to 65536; it is 0"),
            ("sessions_limit = -1", 1, "sessions_limit takes a number, 1 to 4000; it is -1"),
            ("input_window = \"1k\"", 1, "input_window takes a size, "),
            ("log_size = true", 1, "log_size takes a size, 64k to 1g; it is true"),
            ("idle_exit = \"soon\"", 1, "or \"none\"; \"soon\" is no duration"),
            ("hello_deadline = \"1ms\"", 1, "takes a duration, at least 100ms; it is \"1ms\""),
            ("plugin_directory = \"plugins\"", 1, "takes an absolute path or \"none\"; it is"),
            ("detach_keys = \"ctrl-1\"", 1, "\"ctrl-1\" is no key"),
            ("update_environment = [\"A=1\"]", 1, "takes a list of variables' names; it is a list"),
            ("socket = \"/a\"\nsocket = \"/b\"", 2, "duplicate"),
            ("socket = ", 1, ""),
        ];
        for (text, line, what) in cases {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].0 == line && found[0].1.contains(what), "{text}: {found:?}");
        }
        assert_eq!(faults("b = 1\na = 1").iter().map(|it| it.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(read(b"# caf\xe9").1[0].what, "this is no UTF-8");
    }
}
