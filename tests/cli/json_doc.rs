//! `docs/json.md` is true: what the commands print has exactly the keys and types that it lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Stdio,
};

use serde_json::Value;

use crate::lab::{Done, Lab};

/// Paths, as `jq` has them, and the types of what is there.
type Shape = BTreeMap<String, BTreeSet<String>>;

/// What cannot be provoked here: a path, and a type that is not seen there.
const UNSEEN: [(&str, &str); 6] = [
    // Somebody else would have to take the status away.
    (".[].exit.lost", "boolean"),
    (".exit.lost", "boolean"),
    // Linux tells the directory of every process that runs.
    (".[].cwd", "null"),
    // The engine keeps no titles yet.
    (".[].title", "string"),
    // Only a version that has other messages would record such a frame.
    (".kind", "null"),
    (".kind_number", "null"),
];

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md");
    fs::read_to_string(path).unwrap()
}

fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let begin = format!("\n## {heading}\n");
    let (_, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("no section {heading}"));
    rest.split("\n## ").next().unwrap()
}

/// The rows of a section's tables that begin with something in backticks, cell by cell.
fn rows(section: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = section.lines().filter(|line| line.starts_with("| `"));
    lines.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim()).collect())
}

fn documented(section: &str) -> Shape {
    let paths = rows(section).filter(|cells| cells[0].starts_with("`."));
    let types = |cells: &Vec<&str>| cells[1].split(" or ").map(String::from).collect();
    paths.map(|cells| (cells[0].trim_matches('`').to_owned(), types(&cells))).collect()
}

fn add(shape: &mut Shape, path: &str, value: &Value, open: &BTreeSet<String>) {
    let name = match value {
        Value::Object(_) if open.contains(path) => "open object",
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    shape.entry(path.to_owned()).or_default().insert(name.into());
    let root = path.trim_end_matches('.');
    match value {
        Value::Object(members) if name == "object" => {
            members
                .iter()
                .for_each(|(key, value)| add(shape, &format!("{root}.{key}"), value, open));
        }
        Value::Array(elements) => {
            let path = if root.is_empty() { ".[]".to_owned() } else { format!("{root}[]") };
            elements.iter().for_each(|value| add(shape, &path, value, open));
        }
        _ => {}
    }
}

/// The shape of several documents together; objects at `open` are not looked into.
fn shape_of(values: &[Value], documented: &Shape) -> Shape {
    let is_open = |(_, types): &(&String, &BTreeSet<String>)| types.contains("open object");
    let open = documented.iter().filter(is_open).map(|(path, _)| path.clone()).collect();
    let mut shape = Shape::new();
    values.iter().for_each(|value| add(&mut shape, ".", value, &open));
    shape
}

/// Compares a section with what was printed, and its example with the section.
#[track_caller]
fn assert_documented(heading: &str, printed: &[Value]) {
    let document = document();
    let section = section(&document, heading);
    let documented = documented(section);
    let mut expected = documented.clone();
    for (path, name) in UNSEEN {
        if let Some(types) = expected.get_mut(path) {
            types.remove(name);
        }
    }
    expected.retain(|_, types| !types.is_empty());
    assert_eq!(shape_of(printed, &documented), expected, "## {heading}");
    let example = section.split("```json\n").nth(1).and_then(|it| it.split("```").next());
    let example = serde_json::Deserializer::from_str(example.expect("there is an example"));
    let example: Vec<Value> = example.into_iter().map(Result::unwrap).collect();
    for (path, types) in shape_of(&example, &documented) {
        let known = documented.get(&path).unwrap_or_else(|| panic!("{heading}: {path}"));
        assert!(types.is_subset(known), "{heading}: the example's {path} is {types:?}");
    }
}

fn parse(printed: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(printed).into_iter().map(Result::unwrap).collect()
}

/// What one command prints, whatever its exit code.
fn stdout(lab: &Lab, arguments: &[&str]) -> Vec<Value> {
    parse(&lab.taut(&[&["--json"], arguments].concat()).stdout)
}

#[test]
fn sessions_are_as_documented() {
    let lab = Lab::new();
    let new = stdout(&lab, &["new", "a", "--", "cat"]);
    assert_documented("`new`", &new);
    lab.ok(&["new", "b", "--", "false"]);
    lab.ok(&["new", "c", "--", "cat"]);
    lab.ok(&["kill", "c"]);
    lab.until(&["ls"], |table| table.contains("exited (1)"));
    assert_documented("`ls` and `status`", &stdout(&lab, &["ls"]));
    assert_documented("`ls` and `status`", &stdout(&lab, &["status"]));
    let waiting = |pattern, timeout| {
        stdout(&lab, &["send", "a", "x", "--wait-output", pattern, "--timeout", timeout])
    };
    let sent = [
        stdout(&lab, &["send", "a", "x"]),
        stdout(&lab, &["send", "b", "x"]),
        waiting("x", "30s"),
        waiting("nothing like it", "10ms"),
        stdout(&lab, &["send", "a", &"x".repeat(5000)]),
    ];
    let sent = sent.concat();
    assert_documented("`send`", &sent);
    assert_documented("`detach`", &stdout(&lab, &["detach", "a"]));
}

#[test]
fn waits_are_as_documented() {
    let lab = Lab::new();
    lab.ok(&["new", "a", "--", "sh", "-c", "echo ready; exec cat"]);
    lab.ok(&["new", "b", "--", "false"]);
    let matched = stdout(&lab, &["wait", "a", "--output", "ready"]);
    let timed_out = stdout(&lab, &["wait", "a", "--output", "never", "--timeout", "0"]);
    let by_code = stdout(&lab, &["wait", "b", "--exit"]);
    lab.ok(&["kill", "a"]);
    let by_signal = stdout(&lab, &["wait", "a", "--exit"]);
    assert_documented("`wait`", &[matched, timed_out, by_code, by_signal].concat());
}

#[test]
fn screens_are_as_documented() {
    let lab = Lab::new();
    let script = r"printf '\033]2;title\007\033[?2004h'; seq 30; exec cat";
    lab.ok(&["new", "a", "--", "sh", "-c", script]);
    lab.until(&["screen", "a"], |screen| screen.contains("30"));
    lab.ok(&["new", "b", "--", "cat"]);
    let screens =
        [stdout(&lab, &["screen", "a", "--history", "5"]), stdout(&lab, &["screen", "b"])].concat();
    assert_documented("`screen`", &screens);
}

#[test]
fn figures_and_versions_are_as_documented() {
    let lab = Lab::new();
    let without = stdout(&lab, &["version"]);
    lab.ok(&["new", "a", "--", "cat"]);
    assert_documented("`version`", &[without, stdout(&lab, &["version"])].concat());
    assert_documented("`ping`", &stdout(&lab, &["ping", "-c", "2", "-i", "0"]));
    let stats = stdout(&lab, &["stats"]);
    assert_documented("`stats`", &stats);
    assert_documented("`stats NAME`", &stdout(&lab, &["stats", "a"]));
    let document = document();
    let names = stats[0]["stages"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| format!("`{}`", it["name"].as_str().unwrap())).collect();
    assert!(document.contains(&format!("| string | {} |", names.join(", "))), "{names:?}");
}

#[test]
fn configurations_are_as_documented() {
    let lab = Lab::new();
    let (good, bad) = (lab.root.join("good.toml"), lab.root.join("bad.toml"));
    fs::write(&good, "clients_limit = 3\n").unwrap();
    fs::write(&bad, "client_limit = 3\n").unwrap();
    let config = ["--config", good.to_str().unwrap(), "config", "show"];
    let shown = [stdout(&lab, &["config", "show"]), stdout(&lab, &config)].concat();
    assert_documented("`config show`", &shown);
    let bad = ["config", "check", bad.to_str().unwrap()];
    let checked = [stdout(&lab, &["config", "check"]), stdout(&lab, &bad)].concat();
    assert_documented("`config check`", &checked);
}

#[test]
fn frames_are_as_documented() {
    let lab = Lab::new();
    let trace = lab.root.join("trace");
    lab.ok(&["new", "a", "--", "cat"]);
    assert!(lab.command(&["status"]).env("TAUT_TRACE", &trace).output().unwrap().status.success());
    let whole = fs::read(&trace).unwrap();
    let show = |bytes: &[u8]| {
        fs::write(&trace, bytes).unwrap();
        stdout(&lab, &["debug", "frames", trace.to_str().unwrap()])
    };
    // A reply whose last byte of padding is not zero, noise in between, and a record cut off.
    let mut broken = whole.clone();
    *broken.last_mut().unwrap() ^= 0xff;
    broken.extend_from_slice(b"noise");
    broken.extend_from_slice(&whole[..40]);
    let shown = [show(&whole), show(&broken)].concat();
    let has = |record: &str| shown.iter().any(|it| it["record"] == record);
    assert!(has("frame") && has("noise") && has("cut"));
    assert_documented("`debug frames`", &shown);
}

#[test]
fn the_log_is_as_documented() {
    let lab = Lab::new();
    let mut command = lab.command(&["serve", "-v", "--log-format", "json", "--idle-exit", "10ms"]);
    let done = Done::new(command.stderr(Stdio::piped()).output().unwrap());
    let mut lines = done.stderr.lines().filter(|line| line.starts_with('{'));
    let last: Value = serde_json::from_str(lines.next_back().unwrap()).unwrap();
    assert_eq!(last["message"], "ended");
    assert_documented("The log of `serve --log-format json`", &[last]);
}

#[test]
fn errors_are_as_documented() {
    let lab = Lab::new();
    let errors = [&["--json", "ls"][..], &["--json", "nonsense"]];
    let errors: Vec<_> = errors.iter().flat_map(|it| parse(&lab.taut(it).stderr)).collect();
    assert_documented("Errors", &errors);
}

/// All of the command's source.
fn source(directory: &Path) -> String {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { source(&path) } else { fs::read_to_string(path).unwrap() })
        .collect()
}

#[test]
fn every_code_is_documented() {
    let document = document();
    let source = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli"));
    let errors = section(&document, "Errors");
    let codes: BTreeSet<_> = rows(errors)
        .map(|cells| cells[0].trim_matches('`').to_owned())
        .filter(|code| !code.starts_with('.'))
        .collect();
    for code in &codes {
        assert!(source.contains(&format!("\"{code}\"")), "nothing says {code}");
    }
    for after in source.split("exit_code::").skip(1) {
        let rest = after.trim_start_matches(|it: char| it.is_ascii_uppercase() || it == '_');
        let Some(code) = rest.strip_prefix(',').and_then(|it| it.trim_start().strip_prefix('"'))
        else {
            continue;
        };
        let code = code.split('"').next().unwrap();
        assert!(code.is_empty() || codes.contains(code), "{code} is not documented");
    }
    let numbers = section(&document, "Exit codes")
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok());
    let constants = source
        .split("pub(crate) const ")
        .filter_map(|it| it.split_once(": u8 = ")?.1.split(';').next()?.parse::<u8>().ok());
    assert_eq!(numbers.collect::<BTreeSet<_>>(), constants.collect::<BTreeSet<_>>());
}
