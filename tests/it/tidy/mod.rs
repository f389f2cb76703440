//! The repository's own rules, as tests. Each failure says where, and what to do instead.

mod imports;
mod mutants;
mod rows;
mod words;

use std::collections::BTreeSet;
use std::fs;

use self::imports::module_path;
use crate::support::source::{self, Parted, SourceFile, files, top};

/// The longest file, in lines.
const FILE_LINES_MAX: usize = 600;
/// The longest README, in lines: the manual has the rest.
const README_LINES_MAX: usize = 150;
/// The allowed top-level entries, besides dot files and those that `.gitignore` names.
const TOP_ENTRIES: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "rules",
    "migrations",
    "tests",
    "examples",
    "README.md",
    "LICENSE",
    "rust-toolchain.toml",
    "build.rs",
];
/// The only files that may ask the machine for the time, or let it pass.
const CLOCK: &str = "src/domain/clock.rs";
const WAIT: &str = "tests/it/support/wait.rs";

/// Fails with every fault, one a line.
#[track_caller]
fn assert_none(rule: &str, faults: impl IntoIterator<Item = String>) {
    let faults: Vec<_> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{rule}:\n  {}\n", faults.join("\n  "));
}

/// Every Rust file of the repository, parted.
fn rust_files() -> Vec<(SourceFile, Parted)> {
    ["src", "migrations", "tests", "examples"].into_iter().flat_map(rust_files_in).collect()
}

fn rust_files_in(folder: &str) -> Vec<(SourceFile, Parted)> {
    files(folder, &[".rs"])
        .into_iter()
        .map(|file| (source::part(&file.text), file))
        .map(|(parted, file)| (file, parted))
        .collect()
}

/// `path:line` of each place in the code of `files` where one of `words` stands.
fn places<'a>(files: &'a [(SourceFile, Parted)], words: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    files.iter().flat_map(move |(file, parted)| {
        words.iter().flat_map(move |word| {
            let found = parted.code.match_indices(word);
            found.map(move |(at, _)| format!("{}:{} has {word}", file.path, parted.line(at)))
        })
    })
}

#[test]
fn only_known_entries_stand_at_the_top() {
    let ignored = fs::read_to_string(top().join(".gitignore")).unwrap_or_default();
    let allowed: BTreeSet<_> =
        TOP_ENTRIES.into_iter().chain(ignored.lines().map(|line| line.trim_matches('/'))).collect();
    let found = fs::read_dir(top()).expect("the top folder can be read").flatten();
    let found = found.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert_none(
        "move these into a folder, or make room for them in tests/it/tidy.rs",
        found.filter(|name| !name.starts_with('.') && !allowed.contains(name.as_str())),
    );
}

#[test]
fn every_module_is_listed_in_lib_rs() {
    let order = modules_in_order();
    let found = fs::read_dir(top().join("src")).expect("there is src").flatten();
    let found = found.filter(|entry| entry.path().is_dir() || entry.path().extension().is_some_and(|ext| ext == "rs"));
    let found = found.map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned());
    assert_none(
        "name these in src/lib.rs, or remove them",
        // A folder may hold templates or assets only.
        found.filter(|name| name != "lib" && name != "main" && !order.contains(name)).filter(|name| {
            !files(&format!("src/{name}"), &[".rs"]).is_empty() || top().join(format!("src/{name}.rs")).exists()
        }),
    );
}

#[test]
fn sql_stands_only_in_the_store_and_the_migrations() {
    let is_sql = |text: &str| {
        ["SELECT ", "INSERT INTO ", "INSERT OR ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE "]
            .iter()
            .any(|word| text.contains(word))
            || (text.contains("UPDATE ") && text.contains(" SET "))
    };
    let files = rust_files_in("src").into_iter().filter(|(file, _)| module_path(&file.path)[0] != "store");
    let faults = files.flat_map(|(file, parted)| {
        let strings = parted.strings.into_iter().filter(|(_, text)| is_sql(text));
        strings.map(move |(line, _)| format!("{}:{line}", file.path)).collect::<Vec<_>>()
    });
    assert_none("move this SQL into src/store", faults);
}

#[test]
fn time_comes_from_the_clock() {
    let files: Vec<_> = rust_files().into_iter().filter(|(file, _)| file.path != CLOCK).collect();
    assert_none(
        "take the time from domain::clock::Clock",
        places(&files, &["Utc::now(", "Local::now(", "SystemTime::now("]),
    );
    let sleeps = ["thread::sleep(", "time::sleep(", "time::sleep_until("];
    let files: Vec<_> = files.into_iter().filter(|(file, _)| file.path != WAIT).collect();
    assert_none("wait for the signal, or by the clock; in tests by support::wait", places(&files, &sleeps));
}

#[test]
fn nothing_is_left_undone() {
    assert_none("finish it", places(&rust_files(), &["todo!", "unimplemented!", "#[ignore"]));
}

#[test]
fn no_macros_of_our_own() {
    assert_none("write a function", places(&rust_files(), &["macro_rules!"]));
}

#[test]
fn every_rule_has_its_cases_beside_it() {
    let rules = files("rules", &[".rhai"]).into_iter().map(|rule| rule.path.replace(".rhai", ".cases.json"));
    assert_none("write these", rules.filter(|cases| !top().join(cases).exists()));
    let cases = files("rules", &[".cases.json"]).into_iter().map(|cases| cases.path);
    assert_none(
        "these belong to no rule",
        cases.filter(|cases| !top().join(cases.replace(".cases.json", ".rhai")).exists()),
    );
}

#[test]
fn no_file_is_too_long() {
    let folders = ["src", "migrations", "tests", "examples", "rules"];
    let all = folders.into_iter().flat_map(|folder| files(folder, &[".rs", ".py", ".sh", ".rhai", ".js"]));
    let long = all.map(|file| (file.text.lines().count(), file.path)).filter(|(lines, _)| *lines > FILE_LINES_MAX);
    assert_none("part these", long.map(|(lines, path)| format!("{path} has {lines} lines, at most {FILE_LINES_MAX}")));
}

#[test]
fn every_module_says_what_it_is() {
    let modules = files("src", &[".rs"]).into_iter().chain(files("tests", &[".rs"]));
    // main.rs is no module; lib.rs holds the code map.
    let silent = modules.filter(|file| file.path != "src/main.rs" && !file.text.starts_with("//!"));
    assert_none("begin these with a line of //!", silent.map(|file| file.path));
}

#[test]
fn the_manual_names_every_setting() {
    let page = recado::docs::topic("configuration").expect("there is the topic").markdown();
    let defaults = fs::read_to_string(top().join("src/config/recado.default.toml")).expect("there are the defaults");
    let heading = |key: &str| format!("\n## `{}`\n", key.to_uppercase());
    let missing = defaults.lines().filter_map(setting).filter(|key| !page.contains(&heading(key)));
    assert_none("the topic 'configuration' does not name these keys", missing.map(str::to_owned));
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(top().join("README.md")).expect("there is a README");
    let lines = readme.lines().count();
    assert!(
        lines <= README_LINES_MAX,
        "README.md has {lines} lines, at most {README_LINES_MAX}: move text to src/docs"
    );
}

/// The key of `key = value`, commented out or not.
fn setting(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start_matches(['#', ' ']).split_once('=')?;
    let key = key.trim();
    (!key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')).then_some(key)
}

/// The modules of src/lib.rs, in order.
fn modules_in_order() -> Vec<String> {
    let text = fs::read_to_string(top().join("src/lib.rs")).expect("there is src/lib.rs");
    let code = source::part(&text).code;
    let names = code.lines().filter_map(|line| {
        let line = line.trim();
        line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "))?.strip_suffix(';')
    });
    names.map(str::to_owned).collect()
}

#[test]
fn settings_are_told_from_prose() {
    assert_eq!(setting("# quiet_from = \"21:00\""), Some("quiet_from"));
    assert_eq!(setting("# An equation: a = b"), None);
}
