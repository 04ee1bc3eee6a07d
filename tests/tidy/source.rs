//! Source text as the rules see it: comments and literals blanked, test modules set apart.

use std::{collections::BTreeSet, fs, ops::Range, path::Path};

/// Directories that hold nothing a person wrote.
const SKIPPED_DIRECTORIES: [&str; 4] = [".git", "target", "artifacts", "coverage"];

/// One `.rs` file.
pub(crate) struct SourceFile {
    /// Its path from the root of the tree, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
    /// The text with comments and the insides of literals replaced by spaces, byte for byte.
    pub(crate) code: String,
    /// Where in `code` the modules are that only tests are compiled with.
    test_modules: Vec<Range<usize>>,
}

impl SourceFile {
    pub(crate) fn new(path: String, text: String) -> Self {
        let code = blank_comments_and_literals(&text);
        let test_modules = test_modules(&code);
        Self { path, text, code, test_modules }
    }

    /// Every `.rs` file of the tree, in order of path.
    pub(crate) fn all() -> Vec<Self> {
        let texts = text_files().into_iter();
        let sources = texts.filter(|(path, _)| path.ends_with(".rs"));
        sources.map(|(path, text)| Self::new(path, text)).collect()
    }

    /// Whether all of it is test code, by its name: `tests.rs`, `x_tests.rs`, or a directory.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| {
            ["tests", "tests.rs", "fuzz"].contains(&part) || part.ends_with("_tests.rs")
        })
    }

    /// Whether it is part of a library or a binary.
    pub(crate) fn is_shipped(&self) -> bool {
        self.path.starts_with("src/") || self.path.starts_with("protocol/src/")
    }

    /// The code without the test modules: nothing if all of it is test code.
    pub(crate) fn production(&self) -> String {
        if self.is_test() { String::new() } else { blanked(&self.code, &self.test_modules) }
    }

    /// The code of the test modules: everything if all of it is test code.
    pub(crate) fn tests(&self) -> String {
        if self.is_test() {
            return self.code.clone();
        }
        let starts = self.test_modules.iter().map(|module| module.end);
        let ends = self.test_modules.iter().map(|module| module.start);
        let starts = [0].into_iter().chain(starts);
        let ends = ends.chain([self.code.len()]);
        blanked(&self.code, &starts.zip(ends).map(|(start, end)| start..end).collect::<Vec<_>>())
    }

    /// Lines, those of the test modules not counted.
    pub(crate) fn line_count(&self) -> usize {
        let lines = |range: &Range<usize>| self.text[range.clone()].lines().count();
        self.text.lines().count() - self.test_modules.iter().map(lines).sum::<usize>()
    }
}

/// Path from the root and text of every file of the tree that is UTF-8, in order of path.
pub(crate) fn text_files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files);
    files.sort();
    files
}

/// The text of one file, or nothing if it does not exist yet.
pub(crate) fn text_of(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).expect("the tree can be read") {
        let entry = entry.expect("the tree can be read");
        let name = entry.file_name().into_string().expect("names are UTF-8");
        let kind = entry.file_type().expect("the tree can be read");
        let path = format!("{prefix}{name}");
        if kind.is_dir() && !SKIPPED_DIRECTORIES.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() && !name.ends_with(".orig") {
            // What is not UTF-8 is no text: golden bytes, a fuzzer's corpus.
            files.extend(fs::read_to_string(entry.path()).ok().map(|text| (path, text)));
        }
    }
}

/// The numbers of the lines of `code` that name `needle`: not as part of a longer identifier, and
/// also where a `use` with braces spreads a path over several places.
pub(crate) fn lines_naming(code: &str, needle: &str) -> BTreeSet<usize> {
    let used = used_paths(code);
    let used = used.iter().map(|(line, path)| (*line, path.as_str()));
    let lines = code.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.chain(used).filter(|(_, text)| names(text, needle)).map(|(line, _)| line).collect()
}

/// Whether `text` holds `needle`, not as part of a longer identifier.
pub(crate) fn names(text: &str, needle: &str) -> bool {
    let opens = needle.starts_with(is_identifier);
    let closes = needle.ends_with(is_identifier);
    text.match_indices(needle).any(|(at, _)| {
        let before = opens && text[..at].ends_with(is_identifier);
        let after = closes && text[at + needle.len()..].starts_with(is_identifier);
        !before && !after
    })
}

/// The number of the line that byte `at` is on.
pub(crate) fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Every path that a `use` brings in, braces resolved, with the line the `use` begins on.
fn used_paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for at in keywords(code, "use") {
        let statement = &code[at + "use".len()..];
        let tree = statement.split(';').next().unwrap_or_default();
        let before = paths.len();
        resolve(tree, "", &mut paths);
        let line = line_at(code, at);
        paths[before..].iter_mut().for_each(|(of, _)| *of = line);
    }
    paths
}

fn resolve(tree: &str, prefix: &str, paths: &mut Vec<(usize, String)>) {
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        paths.push((0, format!("{prefix}{}", path.trim())));
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let mut depth = 0;
    let items = inside.split(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        letter == ',' && depth == 0
    });
    items.filter(|item| !item.trim().is_empty()).for_each(|item| resolve(item, &prefix, paths));
}

/// Where `keyword` stands as a word of its own.
pub(crate) fn keywords(code: &str, keyword: &str) -> Vec<usize> {
    let stands_alone = |at: &usize| {
        !code[..*at].ends_with(is_identifier)
            && !code[at + keyword.len()..].starts_with(is_identifier)
    };
    code.match_indices(keyword).map(|(at, _)| at).filter(stands_alone).collect()
}

/// A function with a body.
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) line: usize,
    pub(crate) line_count: usize,
}

/// Every function with a body; what a `macro_rules!` would produce does not count.
pub(crate) fn functions(code: &str) -> Vec<Function<'_>> {
    let macros = keywords(code, "macro_rules").into_iter();
    let macros = macros.map(|at| at..block_end(code, at)).collect::<Vec<_>>();
    let mut functions = Vec::new();
    for at in keywords(code, "fn") {
        let rest = code[at + "fn".len()..].trim_start();
        let name_len = rest.find(|letter| !is_identifier(letter)).unwrap_or(rest.len());
        // `fn(u32)` is a type; `fn f();` has no body.
        if name_len == 0 || !has_body(rest) || macros.iter().any(|range| range.contains(&at)) {
            continue;
        }
        let line_count = code[at..block_end(code, at)].lines().count();
        functions.push(Function { name: &rest[..name_len], line: line_at(code, at), line_count });
    }
    functions
}

/// Whether the signature that `rest` begins with ends in a block; `[u8; 4]` in it ends nothing.
fn has_body(rest: &str) -> bool {
    let mut depth = 0;
    let end = rest.chars().find(|letter| {
        depth += i32::from("([".contains(*letter)) - i32::from(")]".contains(*letter));
        depth == 0 && ";{".contains(*letter)
    });
    end == Some('{')
}

/// Where the first block after `at` ends, its closing brace included.
fn block_end(code: &str, at: usize) -> usize {
    let mut depth = 0;
    for (offset, letter) in code[at..].char_indices() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        if letter == '}' && depth <= 0 {
            return at + offset + 1;
        }
    }
    code.len()
}

/// The ranges of `#[cfg(test)] mod name { .. }`, attribute included.
fn test_modules(code: &str) -> Vec<Range<usize>> {
    let attribute = "#[cfg(test)]";
    let mut modules: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices(attribute) {
        let mut rest = code[at + attribute.len()..].trim_start();
        while rest.starts_with("#[") {
            rest = rest.split_once(']').map_or("", |(_, rest)| rest).trim_start();
        }
        let opens = rest.find([';', '{']).is_some_and(|end| rest[end..].starts_with('{'));
        let is_nested = modules.last().is_some_and(|module| module.contains(&at));
        if rest.starts_with("mod ") && opens && !is_nested {
            modules.push(at..block_end(code, at));
        }
    }
    modules
}

/// Replaces comments and the insides of literals by spaces, so that every byte keeps its place.
fn blank_comments_and_literals(text: &str) -> String {
    let mut blanks = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (len, blank) = token(&text[at..]);
        blanks.push(at + blank.start..at + blank.end);
        at += len;
    }
    blanked(text, &blanks)
}

/// The token that `rest` begins with: its length, and which part of it is no code.
fn token(rest: &str) -> (usize, Range<usize>) {
    let first = rest.chars().next().expect("the caller has text left");
    if rest.starts_with("//") {
        let len = rest.find('\n').unwrap_or(rest.len());
        return (len, 0..len);
    }
    if rest.starts_with("/*") {
        let len = block_comment(rest);
        return (len, 0..len);
    }
    if is_identifier(first) {
        let len = rest.find(|letter| !is_identifier(letter)).unwrap_or(rest.len());
        return raw_string(rest, len).unwrap_or((len, 0..0));
    }
    match first {
        '"' => {
            let len = 1 + closing_quote(&rest[1..], '"');
            (len, 1..len - 1)
        }
        '\'' => quoted_letter(rest),
        _ => (first.len_utf8(), 0..0),
    }
}

/// The raw string that `rest` begins with, if the identifier of `prefix` bytes opens one.
fn raw_string(rest: &str, prefix: usize) -> Option<(usize, Range<usize>)> {
    if !["r", "br", "cr"].contains(&&rest[..prefix]) {
        return None;
    }
    let unhashed = rest[prefix..].trim_start_matches('#');
    let hashes = rest.len() - prefix - unhashed.len();
    let inside = unhashed.strip_prefix('"')?;
    let start = prefix + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close).map_or(rest.len(), |len| start + len);
    Some(((end + close.len()).min(rest.len()), start..end))
}

/// A character literal, or the mark of a lifetime or label.
fn quoted_letter(rest: &str) -> (usize, Range<usize>) {
    let mut letters = rest[1..].chars();
    let is_escape = letters.next() == Some('\\');
    if is_escape || letters.next() == Some('\'') {
        let len = 1 + closing_quote(&rest[1..], '\'');
        return (len, 1..len - 1);
    }
    (1, 0..0)
}

/// Bytes up to the closing quote and with it; backslashes hide the letter after them.
fn closing_quote(inside: &str, quote: char) -> usize {
    let mut is_hidden = false;
    for (at, letter) in inside.char_indices() {
        if !is_hidden && letter == quote {
            return at + 1;
        }
        is_hidden = !is_hidden && letter == '\\';
    }
    inside.len()
}

/// Length of the block comment that `rest` begins with; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let step = match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => 1,
            [b'*', b'/', ..] => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
        if depth == 0 {
            break;
        }
    }
    at
}

fn blanked(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        let letters = bytes[range.clone()].iter_mut().filter(|byte| **byte != b'\n');
        letters.for_each(|byte| *byte = b' ');
    }
    String::from_utf8(bytes).expect("whole characters are replaced")
}

pub(crate) fn is_identifier(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[test]
fn comments_and_literals_are_blanked_and_code_is_not() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"f("a // \" b") // c"#, r#"f("         ")     "#),
        (r###"f(r#"a " b"#, "c")"###, r###"f(r#"     "#, " ")"###),
        (r#"f(b"ab", br"\", c"d")"#, r#"f(b"  ", br" ", c" ")"#),
        (r"f('a', '\'', b'\\', '\u{1b}')", r"f(' ', '  ', b'  ', '      ')"),
        ("fn f<'a>(x: &'a str) -> &'a str", "fn f<'a>(x: &'a str) -> &'a str"),
        (r#"'"' + "'" + 'x'"#, r#"' ' + " " + ' '"#),
        ("\"é\nb\" d", "\"  \n \" d"),
        ("r#type + bar\"x\"", "r#type + bar\" \""),
    ] {
        assert_eq!(blank_comments_and_literals(text), code, "{text}");
    }
}

#[test]
fn test_modules_are_set_apart() {
    let module = "#[cfg(test)]\n#[allow(x)]\nmod tests {\n    fn t() {}\n}\n";
    let text = format!("fn f() {{}}\n#[cfg(test)]\nfn g() {{}}\n{module}");
    let file = SourceFile::new("src/a.rs".to_owned(), text);
    assert!(names(&file.production(), "f") && names(&file.production(), "g"));
    assert!(!names(&file.production(), "t") && names(&file.tests(), "t"));
    assert!(!names(&file.tests(), "g"));
    assert_eq!(file.line_count(), 3);
}

#[test]
fn names_are_whole_and_braces_of_a_use_are_resolved() {
    assert!(names("a.await?", ".await") && !names("a.awaited", ".await"));
    assert!(names("x = std::fs::read", "std::fs") && !names("std::fsx", "std::fs"));
    let code = "mod a;\nuse std::{\n    io::{self, Read}, fs as files,\n};\nfn f() {}\n";
    assert_eq!(lines_naming(code, "std::fs"), BTreeSet::from([2]));
    assert_eq!(lines_naming(code, "std::io::Read"), BTreeSet::from([2]));
    assert_eq!(lines_naming(code, "std::net"), BTreeSet::new());
    assert_eq!(lines_naming(code, "f"), BTreeSet::from([5]));
}

#[test]
fn functions_are_measured_from_their_name_to_their_brace() {
    let code = "macro_rules! m { () => { fn no() {} }; }\ntrait T { fn no(); }\n\
        fn a(f: fn(u32) -> u32) -> [u8; 4] {\n    if true {\n    }\n    1\n}\nfn b() {}\n";
    let found = functions(code);
    let found = found.iter().map(|one| (one.name, one.line, one.line_count));
    assert_eq!(found.collect::<Vec<_>>(), [("a", 3, 5), ("b", 8, 1)]);
}
