//! Whether the simulation notices when the decisions are wrong.
//!
//! A copy of the crate is made in which every place of a list behaves wrongly if its mutant is
//! chosen, at run time: one compilation for all of them. Each must make the simulation fail within
//! a thousand histories, and without a mutant it must not.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "mutants/places.rs"]
mod places;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use places::{MUTANTS, PLACES};

/// What the simulation is made of, and what Cargo wants to see.
const COPIED: [&str; 6] =
    ["Cargo.toml", "Cargo.lock", "src", "protocol", "tests/simulation", "benches"];

const SEEDS: u64 = 1_000;

/// Somebody who goes round in circles for so long is caught, too.
const TIME_MAX: Duration = Duration::from_secs(120);

/// What the copy asks.
const CHOOSER: &str = r#"
/// Whether that mutant was chosen.
pub fn mutant(number: u32) -> bool {
    static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let chosen = || std::env::var("TAUT_MUTANT").ok().and_then(|it| it.parse().ok()).unwrap_or(0);
    *CHOSEN.get_or_init(chosen) == number
}
"#;

#[test]
#[ignore = "compiles the crate once more: a minute or two"]
fn every_mutant_is_noticed() {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    make_copy(&copy);
    let binary = build(&copy);
    assert!(matches!(run(&binary, 0), Fate::Survived), "without a mutant all is well");
    println!("\n{:>3}  {:<64}  killed at", "", "mutant");
    let mut survivors = Vec::new();
    for (number, name) in MUTANTS {
        let fate = run(&binary, *number);
        let told = match fate {
            Fate::Survived => "never".into(),
            Fate::Killed { seed } => format!("seed {seed}"),
            Fate::Circles => "the end of our patience".into(),
        };
        println!("{number:>3}  {name:<64}  {told}");
        if matches!(fate, Fate::Survived) {
            survivors.push(name);
        }
    }
    assert!(survivors.is_empty(), "nobody noticed: {survivors:#?}");
}

#[test]
fn every_mutant_has_its_place_in_the_code_as_it_is() {
    for (number, name) in MUTANTS {
        let token = format!("@{number}@");
        assert!(PLACES.iter().any(|(_, _, text)| text.contains(&token)), "{name} is nowhere");
    }
    for (file, find, _) in PLACES {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(text.matches(find).count(), 1, "in {file}: {find}");
    }
}

/// What became of a mutant.
enum Fate {
    Survived,
    Killed { seed: u64 },
    Circles,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Writes the changed crate; files that are there already stay, so that a second build is short.
fn make_copy(copy: &Path) {
    for name in COPIED {
        copy_all(&root().join(name), &copy.join(name)).unwrap();
    }
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        remove_stale(from, to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_all(&from.join(&name), &to.join(name))?;
        }
        return Ok(());
    }
    let wanted = changed(from, fs::read(from)?);
    if fs::read(to).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().unwrap())?;
    fs::write(to, wanted)
}

/// Forgets what a build before this one had and there is no more.
fn remove_stale(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(to) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        match from.join(entry.file_name()).exists() {
            true => {}
            false if path.is_dir() => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
    }
    Ok(())
}

/// A file with all its mutants in it.
fn changed(path: &Path, bytes: Vec<u8>) -> Vec<u8> {
    let name = path.strip_prefix(root()).unwrap();
    let mut places = PLACES.iter().filter(|(file, _, _)| Path::new(file) == name).peekable();
    let is_root = name == Path::new("src/state/mod.rs");
    if places.peek().is_none() && !is_root {
        return bytes;
    }
    let mut text = String::from_utf8(bytes).unwrap();
    let owner = if name.starts_with("src") { "crate" } else { "tautline" };
    for (_, find, replace) in places {
        assert_eq!(text.matches(find).count(), 1, "in {}: {find}", name.display());
        text = text.replace(find, &choosing(replace, owner));
    }
    if is_root {
        text += CHOOSER;
    }
    text.into_bytes()
}

/// A text in which each `@7@` asks whether mutant 7 was chosen.
fn choosing(text: &str, owner: &str) -> String {
    let parts = text.split('@').enumerate();
    let parts = parts.map(|(at, part)| match at % 2 {
        0 => part.to_owned(),
        _ => format!("{owner}::state::mutant({part})"),
    });
    parts.collect()
}

/// Builds the simulation of the copy, without asking the network if that is possible.
fn build(copy: &Path) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("mutants");
    let mut told = String::new();
    for offline in [&["--offline"][..], &[]] {
        let output = Command::new(env!("CARGO"))
            .args(["test", "--release", "--no-default-features", "--locked"])
            .args(["--test", "simulation", "--no-run"])
            .args(offline)
            .current_dir(copy)
            .env("CARGO_TARGET_DIR", &target)
            // Nobody ships it: it is to be there soon.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
            .output()
            .unwrap();
        told = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            let name = told.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).unwrap().0;
            return copy.join(name);
        }
    }
    panic!("the mutants do not compile:\n{told}");
}

fn run(binary: &Path, mutant: u32) -> Fate {
    let mut child = Command::new(binary)
        .args(["every_history", "--nocapture"])
        .env("TAUT_MUTANT", mutant.to_string())
        .env("TAUT_SIM_SEEDS", SEEDS.to_string())
        .env_remove("TAUT_SIM_SEED")
        .env_remove("TAUT_SIM_TRACE")
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (told, hear) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).unwrap();
        // Nobody waits any more for somebody who went round in circles.
        told.send(String::from_utf8_lossy(&text).into_owned()).ok();
    });
    let Ok(text) = hear.recv_timeout(TIME_MAX) else {
        child.kill().unwrap();
        child.wait().unwrap();
        return Fate::Circles;
    };
    if child.wait().unwrap().success() {
        return Fate::Survived;
    }
    let seeds = text.lines().filter_map(|line| line.strip_prefix("TAUT_SIM_SEED="));
    let seeds = seeds.filter_map(|rest| rest.split(' ').next()?.parse().ok());
    Fate::Killed { seed: seeds.min().unwrap_or_else(|| panic!("it died of something: {text}")) }
}
