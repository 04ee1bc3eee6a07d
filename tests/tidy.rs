//! The rules of this project that a machine can check, as tests.
//!
//! Each failure names file, line and what to do. A rule that is wrong for a good reason is changed
//! here, in the open, and not worked around there.

#[path = "tidy/source.rs"]
mod source;

use source::{
    Function, SourceFile, functions, is_identifier, keywords, line_at, lines_naming, names,
    text_files, text_of,
};

/// Most lines of a file, tests not counted.
const FILE_LINES_MAX: usize = 400;

/// Most lines of a function.
const FUNCTION_LINES_MAX: usize = 70;

/// Most characters of a line.
const LINE_MAX: usize = 100;

/// Files above [`FILE_LINES_MAX`] and how long they may be: a ratchet, numbers only go down.
const LONG_FILES: [(&str, usize); 3] = [
    // Declarations only: one table of the wire each, which reads better whole.
    ("protocol/src/message/control.rs", 570),
    ("protocol/src/message/engine.rs", 530),
    ("protocol/src/values.rs", 430),
];

/// Functions above [`FUNCTION_LINES_MAX`], as `path: name`, and how long they may be.
const LONG_FUNCTIONS: [(&str, usize); 0] = [];

/// The files that may hold `unsafe`.
const UNSAFE_FILES: [&str; 4] = [
    // bytecheck's `Verify` is an unsafe trait.
    "protocol/src/message/schema.rs",
    // An allocator that counts is the only way to see allocations.
    "protocol/tests/allocation.rs",
    // System calls that no crate wraps.
    "src/sys.rs",
    // As above.
    "tests/allocations.rs",
];

/// What makes a queue without a bound; std's bounded one is `sync_channel`.
const UNBOUNDED: [&str; 6] = [
    "unbounded",
    "unbounded_channel",
    "UnboundedSender",
    "mpsc::channel()",
    "std::sync::mpsc::channel",
    "std::sync::mpsc::Sender",
];

/// Where platforms may differ.
const PLATFORM_PATHS: [&str; 5] =
    ["src/transport/", "src/transport.rs", "src/pty/", "src/pty.rs", "src/sys.rs"];

/// Words that say nothing about what a file or type is for.
const EMPTY_WORDS: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "misc", "manager", "data", "info"];

/// Public errors that can never have another variant, and why.
const CLOSED_ERRORS: [(&str, &str); 2] = [
    (
        "LengthError",
        "the length word is frozen for every version: too small, misaligned, too large",
    ),
    ("HelloError", "the hello is frozen for every version: its kind, its size, its magic"),
];

#[test]
fn protocol_and_state_name_no_runtime_socket_file_or_clock() {
    let foreign = [
        "tokio",
        "std::net",
        "std::fs",
        "std::os",
        "std::thread",
        "Instant::now",
        "SystemTime",
        "rustix",
        "libc",
        "portable_pty",
        "async",
        ".await",
    ];
    let mut found = Vec::new();
    for file in SourceFile::all() {
        let is_protocol = file.path.starts_with("protocol/src/");
        if !is_protocol && !file.path.starts_with("src/state/") && file.path != "src/state.rs" {
            continue;
        }
        let code = file.production();
        for needle in foreign.into_iter().chain(is_protocol.then_some("Instant")) {
            found.extend(places(&file.path, lines_naming(&code, needle), needle));
        }
    }
    report(found, "take what happened and `now` as arguments; I/O belongs in the layer above");
}

#[test]
fn every_queue_is_bounded() {
    let mut found = Vec::new();
    for file in SourceFile::all() {
        for needle in UNBOUNDED {
            found.extend(places(&file.path, lines_naming(&file.code, needle), needle));
        }
    }
    report(found, "make a bounded channel, and let a named limit be its bound");
}

#[test]
fn nothing_outside_tests_unwraps() {
    let mut found = Vec::new();
    // A bench fails where it stands, like a test.
    for file in SourceFile::all().iter().filter(|file| !file.path.starts_with("benches/")) {
        let lines = lines_naming(&file.production(), ".unwrap");
        found.extend(places(&file.path, lines, "unwrap"));
    }
    report(found, "return the error, or `expect` with the reason why it cannot happen");
}

#[test]
fn unsafe_stays_in_the_files_kept_for_it() {
    let mut found = Vec::new();
    for file in SourceFile::all() {
        if !UNSAFE_FILES.contains(&file.path.as_str()) {
            found.extend(places(&file.path, lines_naming(&file.code, "unsafe"), "unsafe"));
        }
    }
    report(found, "find a safe way, or move it behind a safe function in one of UNSAFE_FILES");
}

#[test]
fn every_unsafe_block_has_its_proof() {
    let mut found = Vec::new();
    for file in SourceFile::all() {
        for at in keywords(&file.code, "unsafe") {
            let what = file.code[at + "unsafe".len()..].trim_start();
            let needs_proof = ["{", "impl", "extern"].iter().any(|it| what.starts_with(it));
            let line = line_at(&file.code, at);
            if needs_proof && !has_proof(&file, line) {
                found.push(format!("{}:{line}: no proof", file.path));
            }
        }
    }
    report(found, "write a `// SAFETY:` comment right above: why it is sound, not that it is");
}

/// Whether a `// SAFETY:` comment stands above `line`, or above the statement that `line` goes on
/// with; attributes may stand between.
fn has_proof(file: &SourceFile, line: usize) -> bool {
    let text = file.text.lines().take(line - 1).collect::<Vec<_>>();
    let code = file.code.lines().take(line - 1).collect::<Vec<_>>();
    for (text, code) in text.iter().zip(&code).rev() {
        if text.trim_start().starts_with("// SAFETY:") {
            return true;
        }
        let is_comment = text.trim_start().starts_with("//");
        let is_attribute = code.trim_start().starts_with("#[") || code.trim_end().ends_with(")]");
        let goes_on = code.trim_end().ends_with(['=', '(', ',', '|']);
        if !is_comment && !is_attribute && !goes_on {
            return false;
        }
    }
    false
}

#[test]
fn files_stay_small() {
    let mut found = Vec::new();
    for file in SourceFile::all().iter().filter(|file| !file.is_test()) {
        let allowed = LONG_FILES.iter().find(|(path, _)| *path == file.path);
        let max = allowed.map_or(FILE_LINES_MAX, |(_, max)| *max);
        let count = file.line_count();
        if count > max {
            found.push(format!("{}:{max}: {count} lines, {max} allowed", file.path));
        }
        if allowed.is_some() && count <= FILE_LINES_MAX {
            found.push(format!("{}:1: {count} lines: take it off LONG_FILES", file.path));
        }
    }
    report(found, "give the part that is a thing of its own a file of its own");
}

#[test]
fn functions_stay_small() {
    let mut found = Vec::new();
    for file in SourceFile::all() {
        for Function { name, line, line_count } in functions(&file.production()) {
            let place = format!("{}: {name}", file.path);
            let allowed = LONG_FUNCTIONS.iter().find(|(long, _)| *long == place);
            let max = allowed.map_or(FUNCTION_LINES_MAX, |(_, max)| *max);
            if line_count > max {
                let path = &file.path;
                found
                    .push(format!("{path}:{line}: `{name}` has {line_count} lines, {max} allowed"));
            }
        }
    }
    report(found, "name the steps and make them functions");
}

#[test]
fn lines_fit_the_page() {
    let mut found = Vec::new();
    for file in SourceFile::all() {
        let lines = file.text.lines().enumerate();
        let long = lines.filter(|(_, line)| line.chars().count() > LINE_MAX);
        found.extend(long.map(|(index, _)| format!("{}:{}: too long", file.path, index + 1)));
    }
    report(found, "break lines after at most 100 characters");
}

#[test]
fn names_say_what_a_thing_is() {
    let is_empty = |word: &str| EMPTY_WORDS.contains(&word.to_lowercase().as_str());
    let mut found = Vec::new();
    for file in SourceFile::all() {
        let mut parts = file.path.trim_end_matches(".rs").split(['/', '_', '-']);
        if parts.any(is_empty) {
            found.push(format!("{}:1: the file's name", file.path));
        }
        for keyword in ["struct", "enum", "trait", "type", "union", "mod"] {
            for at in keywords(&file.code, keyword) {
                let rest = file.code[at + keyword.len()..].trim_start();
                let name = rest.split(|letter| !is_identifier(letter)).next().unwrap_or_default();
                if words(name).iter().any(|word| is_empty(word)) {
                    let line = line_at(&file.code, at);
                    found.push(format!("{}:{line}: `{name}`", file.path));
                }
            }
        }
    }
    report(found, "name it for what it does: these words fit anything");
}

/// The words of `CamelCase` or `snake_case`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter == '_' || letter.is_uppercase() {
            words.push(String::new());
        }
        words.last_mut().expect("there is always one").extend((letter != '_').then_some(letter));
    }
    words
}

#[test]
fn every_source_file_is_on_the_map() {
    let map = "ARCHITECTURE.md";
    let Some(text) = text_of(map) else {
        return println!("skipped: there is no {map} yet");
    };
    let is_path = |letter: char| is_identifier(letter) || "/.-".contains(letter);
    let named = text.split(|letter| !is_path(letter)).map(|path| path.trim_end_matches('.'));
    let named = named.collect::<Vec<_>>();
    let mut found = Vec::new();
    for file in SourceFile::all().iter().filter(|file| file.is_shipped()) {
        if !named.contains(&file.path.as_str()) {
            found.push(format!("{}:1: not in {map}", file.path));
        }
    }
    report(found, "add its path from the root, and one line on what it is for");
}

#[test]
fn platforms_differ_only_behind_the_two_seams() {
    let platform = ["unix", "windows", "target_os", "target_family", "target_vendor"];
    let mut found = Vec::new();
    for file in SourceFile::all().iter().filter(|file| file.is_shipped()) {
        if PLATFORM_PATHS.iter().any(|path| file.path.starts_with(path)) {
            continue;
        }
        for at in ["cfg", "cfg_attr"].iter().flat_map(|word| keywords(&file.code, word)) {
            let (condition, rest) = file.code[at..].split_once([']', ';', '{']).unwrap_or_default();
            // The root says which modules a platform has: that is no difference inside one.
            let declares = ["mod ", "pub mod ", "pub use "];
            let declares = declares.iter().any(|it| rest.trim_start().starts_with(it));
            if file.path == "src/lib.rs" && declares {
                continue;
            }
            if platform.iter().any(|needle| names(condition, needle)) {
                let line = line_at(&file.code, at);
                found.push(format!("{}:{line}: `{}`", file.path, condition.trim()));
            }
        }
    }
    report(found, "put it behind the transport or the PTY, where platforms may differ");
}

#[test]
fn every_wire_limit_is_documented() {
    let document = "docs/wire-format.md";
    let Some(text) = text_of(document) else {
        return println!("skipped: there is no {document} yet");
    };
    let mut found = Vec::new();
    for file in limits().iter().filter(|file| file.path == "protocol/src/limits.rs") {
        for (line, name) in public_constants(file) {
            if !names(&text, name) {
                found.push(format!("{}:{line}: `{name}` is not in {document}", file.path));
            }
        }
    }
    report(found, "state its name, its value and what happens there");
}

#[test]
fn every_limit_says_what_it_bounds() {
    let mut found = Vec::new();
    for file in limits() {
        let text = file.text.lines().collect::<Vec<_>>();
        for (line, name) in public_constants(&file) {
            let mut above = text[..line - 1].iter().rev().map(|above| above.trim_start());
            if !above.find(|above| !above.starts_with("#[")).unwrap_or("").starts_with("///") {
                found.push(format!("{}:{line}: `{name}` has no comment", file.path));
            }
        }
    }
    report(found, "say what happens at the limit, what it costs and why this number");
}

fn limits() -> Vec<SourceFile> {
    let files = SourceFile::all().into_iter();
    files.filter(|file| file.is_shipped() && file.path.ends_with("/limits.rs")).collect()
}

/// Line and name of every public constant.
fn public_constants(file: &SourceFile) -> Vec<(usize, &str)> {
    let lines = file.code.lines().enumerate();
    let named = lines.filter_map(|(index, line)| {
        let (name, _) = line.trim_start().strip_prefix("pub const ")?.split_once(':')?;
        Some((index + 1, name))
    });
    named.collect()
}

#[test]
fn what_is_done_names_a_file_that_proves_it() {
    let document = "docs/requirements.md";
    let text = text_of(document).expect("the requirements are in the tree");
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let cells = line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>();
        let [item, proof, status] = cells[..] else { continue };
        let is_done = status == "done";
        // What is between backticks and looks like a path is one.
        let quoted = proof.split('`').skip(1).step_by(2);
        let mut paths = quoted.filter(|it| it.contains(['/', '.']) && !it.contains([' ', ':']));
        let proven = paths.clone().next().is_some() && paths.all(|path| text_of(path).is_some());
        let planned = ["planned: 0.", "this release", "status"];
        if is_done && !proven || !is_done && !planned.iter().any(|it| status.starts_with(it)) {
            found.push(format!("{document}:{}: {item}", index + 1));
        }
    }
    report(found, "name a file of this tree that proves it, or the release it is planned for");
}

#[test]
fn nothing_is_left_for_later() {
    let mut found = Vec::new();
    for file in SourceFile::all() {
        for needle in ["todo!", "unimplemented!", "dbg!"] {
            found.extend(places(&file.path, lines_naming(&file.code, needle), needle));
        }
        for needle in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")] {
            found.extend(places(&file.path, lines_naming(&file.text, needle), needle));
        }
    }
    report(found, "do it now, or write an issue");
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let files = SourceFile::all().into_iter();
    let silent = files.filter(|file| !file.text.starts_with("//!"));
    let found = silent.map(|file| format!("{}:1: no description", file.path)).collect();
    report(found, "begin with one to three lines of `//!`");
}

#[test]
fn tests_wait_for_events_and_never_for_time() {
    let mut found = Vec::new();
    for file in SourceFile::all() {
        for needle in ["thread::sleep", "time::sleep"] {
            found.extend(places(&file.path, lines_naming(&file.tests(), needle), needle));
        }
    }
    report(found, "wait for the event itself, through a channel, or pause time");
}

#[test]
fn the_project_stands_alone() {
    let foreign = [concat!("../", "shared"), concat!("/wo", "rk/"), concat!(".lib", "rary")];
    let mut found = Vec::new();
    for (path, text) in text_files() {
        for needle in foreign {
            let lines = text.lines().enumerate().filter(|(_, line)| mentions(line, needle));
            found.extend(lines.map(|(index, _)| format!("{path}:{}: `{needle}`", index + 1)));
        }
    }
    report(found, "say it in this tree: nothing outside comes with a clone");
}

/// Whether `line` holds `needle`, and not as a field's name.
fn mentions(line: &str, needle: &str) -> bool {
    let is_value = |letter: char| is_identifier(letter) || ")]?".contains(letter);
    line.match_indices(needle).any(|(at, _)| {
        let is_field = needle.starts_with('.') && line[..at].ends_with(is_value);
        needle.contains('/') || !is_field
    })
}

#[test]
fn errors_can_grow() {
    let mut found = Vec::new();
    for file in SourceFile::all().iter().filter(|file| file.is_shipped()) {
        let text = file.text.lines().collect::<Vec<_>>();
        for (index, line) in file.code.lines().enumerate() {
            let Some(rest) = line.trim_start().strip_prefix("pub enum ") else {
                continue;
            };
            let name = rest.split(|letter| !is_identifier(letter)).next().unwrap_or_default();
            let above = text[..index].iter().rev().map(|above| above.trim());
            let above = above.take_while(|above| !above.is_empty() && !above.ends_with('}'));
            let above = above.collect::<Vec<_>>();
            let is_derived = above.iter().any(|above| above.contains("thiserror::Error"));
            let is_error = is_derived || name.ends_with("Error");
            let is_closed = CLOSED_ERRORS.iter().any(|(closed, _)| *closed == name);
            if is_error && !is_closed && !above.contains(&"#[non_exhaustive]") {
                found.push(format!("{}:{}: `{name}`", file.path, index + 1));
            }
        }
    }
    report(found, "add `#[non_exhaustive]`, or the reason why it never grows to CLOSED_ERRORS");
}

fn places(path: &str, lines: impl IntoIterator<Item = usize>, what: &str) -> Vec<String> {
    lines.into_iter().map(|line| format!("{path}:{line}: `{what}`")).collect()
}

/// Fails with every place found and what to do there.
#[track_caller]
fn report(found: Vec<String>, what_to_do: &str) {
    assert!(found.is_empty(), "\n  {}\n{what_to_do}\n", found.join("\n  "));
}
