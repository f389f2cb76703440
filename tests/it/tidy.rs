//! The repository's own rules, as tests. Each failure says where, and what to do instead.

use std::collections::BTreeSet;
use std::fs;

use crate::support::source::{self, Parted, SourceFile, files, top};

/// The longest file, in lines.
const FILE_LINES_MAX: usize = 600;
/// The longest README, in lines: the manual has the rest.
const README_LINES_MAX: usize = 150;
/// What may stand at the top, besides dot files and what `.gitignore` names.
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
/// Folders whose children are siblings that never import each other.
const SIBLINGS: [&str; 2] = ["features", "http"];
/// Children that their siblings may use: the JSON of each noun.
const SHARED: [&str; 1] = ["views"];
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
fn modules_import_only_modules_above_them() {
    let order = modules_in_order();
    assert!(!order.is_empty(), "src/lib.rs names its modules as `pub mod name;`");
    let place = |module: &str| order.iter().position(|name| name == module);
    let mut faults = Vec::new();
    for (file, parted) in rust_files_in("src").into_iter().chain(rust_files_in("migrations")) {
        let Some(here) = place(&module_path(&file.path)[0]) else { continue };
        for (at, path) in crate_paths(&parted.code) {
            if place(&path[0]).is_some_and(|there| there > here) {
                let line = parted.line(at);
                faults.push(format!(
                    "{}:{line} uses {}, which src/lib.rs lists below {}",
                    file.path, path[0], order[here]
                ));
            }
        }
    }
    assert_none("a module imports only modules listed above it in src/lib.rs", faults);
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
fn siblings_never_import_each_other() {
    let mut faults = Vec::new();
    for family in SIBLINGS {
        let files = rust_files_in(&format!("src/{family}"));
        let children: BTreeSet<_> =
            files.iter().filter_map(|(file, _)| module_path(&file.path).get(1).cloned()).collect();
        assert!(
            children.len() > 1,
            "src/{family} has children: a rule about a folder that is not there guards nothing"
        );
        for (file, parted) in &files {
            let here = module_path(&file.path);
            // The family's own mod.rs names its children.
            let Some(child) = here.get(1) else { continue };
            let named = crate_paths(&parted.code).into_iter().chain(super_paths(&parted.code, &here));
            for (at, path) in named {
                if path[0] == family
                    && path.get(1).is_some_and(|other| {
                        other != child && children.contains(other) && !SHARED.contains(&other.as_str())
                    })
                {
                    faults.push(format!("{}:{} uses {}", file.path, parted.line(at), path.join("::")));
                }
            }
        }
    }
    assert_none("siblings in features and in http meet through events, or share what stands above them", faults);
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

/// Where a file stands: `src/http/sms/webhook.rs` is `[http, sms, webhook]`, a `mod.rs` is its folder.
fn module_path(file: &str) -> Vec<String> {
    let path = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// Each path that code names from the crate's root, with its offset: `crate::{a::b, c}` are `[a, b]` and `[c]`.
fn crate_paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let starts = code
        .match_indices("crate::")
        .filter(|&(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'));
    starts.flat_map(|(at, word)| expand(&code[at + word.len()..]).into_iter().map(move |path| (at, path))).collect()
}

/// The same for paths that begin with `super::`, in a file that stands `here`.
fn super_paths(code: &str, here: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("super::").filter(|&(at, _)| !code[..at].ends_with("super::")) {
        let mut rest = &code[at..];
        let mut base = here;
        while let Some(after) = rest.strip_prefix("super::") {
            rest = after;
            base = &base[..base.len().saturating_sub(1)];
        }
        let found = expand(rest).into_iter().map(|path| base.iter().cloned().chain(path).collect());
        paths.extend(found.filter(|path: &Vec<String>| !path.is_empty()).map(|path| (at, path)));
    }
    paths
}

/// The paths that a use tree names, at most two parts of each: `a::{b, c::d}` are `[a, b]` and `[a, c]`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim_start();
    if let Some(inner) = tree.strip_prefix('{') {
        return split_group(inner).into_iter().flat_map(expand).collect();
    }
    let end = tree.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(tree.len());
    let (name, rest) = tree.split_at(end);
    if name.is_empty() {
        return Vec::new();
    }
    let below = rest.strip_prefix("::").map(expand).unwrap_or_default();
    if below.is_empty() {
        return vec![vec![name.to_owned()]];
    }
    below.into_iter().map(|path| [name.to_owned()].into_iter().chain(path).collect()).collect()
}

/// The members of a group, up to its closing brace.
fn split_group(inner: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&inner[start..at]);
                return members;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members
}

/// The readers above, tried on what they must not miss.
#[test]
fn the_readers_see_what_they_should() {
    let parted = source::part(
        "let a = 'x'; // crate::one\nlet b: &'a str = \"SELECT \\\" 1\"; /* /* */ todo!() */ r#\"two\"#; '\"'; c",
    );
    assert_eq!(parted.code, "let a = 'x'; \nlet b: &'a str = \"\";  \"\"; '\"'; c");
    assert_eq!(parted.strings, [(2, "SELECT \\\" 1".to_owned()), (2, "two".to_owned())]);

    let named = |code| crate_paths(code).into_iter().map(|(_, path)| path.join("::")).collect::<Vec<_>>();
    assert_eq!(named("use crate::{a::{b, c::*}, d as e};\ncrate::f::g(my_crate::h)"), ["a::b", "a::c", "d", "f::g"]);
    let here = module_path("src/http/sms/webhook.rs");
    let above = super_paths("use super::super::whatsapp::Form; super::parse()", &here);
    let above: Vec<_> = above.into_iter().map(|(_, path)| path.join("::")).collect();
    assert_eq!(above, ["http::whatsapp::Form", "http::sms::parse"]);
    assert_eq!(module_path("src/http/webhooks/mod.rs"), ["http", "webhooks"]);

    assert_eq!(setting("# quiet_from = \"21:00\""), Some("quiet_from"));
    assert_eq!(setting("# An equation: a = b"), None);
}
