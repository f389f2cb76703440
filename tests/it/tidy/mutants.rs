//! The mutants in `tests/mutants/`: each can be put into the source, and the tests that must find it exist.

use serde::Deserialize;

use super::{assert_none, rust_files};
use crate::support::source::{Parted, SourceFile, files};

#[derive(Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    /// A file or a folder below `src/`.
    module: String,
    old: String,
    new: String,
    tests: Vec<String>,
}

fn all() -> Vec<Mutant> {
    let lists = files("tests/mutants", &[".toml"]);
    let read = |text: &str| toml::from_str::<List>(text).unwrap_or_else(|error| panic!("{error}"));
    lists.iter().flat_map(|list| read(&list.text).mutant).collect()
}

/// Whether there is a test with this name, or at this path, which begins with a module of `src` or of `tests/it`.
pub(super) fn test_exists(sources: &[(SourceFile, Parted)], test: &str) -> bool {
    let (module, name) = test.rsplit_once("::").map_or((None, test), |(module, name)| (Some(module), name));
    let named = format!("fn {name}(");
    sources.iter().filter(|(file, _)| module.is_none_or(|module| is_module_of(module, &file.path))).any(
        |(_, parted)| {
            let mut found = parted.code.match_indices(&named);
            found.any(|(at, _)| {
                let attributes = parted.code[..at].rsplit(['}', ';']).next().unwrap_or_default();
                ["#[test]", "#[tokio::test"].iter().any(|attribute| attributes.contains(attribute))
            })
        },
    )
}

/// Whether a file is this module, or has it within as `tests`.
fn is_module_of(module: &str, file: &str) -> bool {
    let file = file.strip_prefix("src/").or_else(|| file.strip_prefix("tests/it/"));
    let file = file.map(|file| file.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::"));
    file.is_some_and(|file| module == file || module.strip_suffix("::tests") == Some(file.as_str()))
}

#[test]
fn the_text_of_every_mutant_occurs_once_in_its_module() {
    let mutants = all();
    assert!(mutants.len() >= 40, "{}", mutants.len());
    let sources = files("src", &[".rs"]);
    let faults = mutants.iter().filter_map(|mutant| {
        let base = format!("src/{}", mutant.module.replace("::", "/"));
        let (file, folder) = (format!("{base}.rs"), format!("{base}/"));
        let of_module = sources.iter().filter(|source| source.path == file || source.path.starts_with(&folder));
        let count: usize = of_module.map(|source| source.text.matches(&mutant.old).count()).sum();
        let same = mutant.old == mutant.new;
        (count != 1 || same).then(|| format!("'{}': {count} times in {}", mutant.name, mutant.module))
    });
    assert_none("change these mutants with the lines that they change", faults);
}

#[test]
fn the_tests_of_every_mutant_exist() {
    let sources = rust_files();
    let faults = all().into_iter().flat_map(|mutant| {
        assert!(!mutant.tests.is_empty(), "{}", mutant.name);
        let missing = mutant.tests.into_iter().filter(|test| !test_exists(&sources, test));
        missing.map(move |test| format!("{test}, for '{}'", mutant.name)).collect::<Vec<_>>()
    });
    assert_none("name the tests that find these mutants", faults);
}

#[test]
fn tests_are_found_by_name_and_by_path() {
    let sources = rust_files();
    for found in [
        "tests_are_found_by_name_and_by_path",
        "tidy::mutants::tests_are_found_by_name_and_by_path",
        "http::review::tests::a_form_of_another_page_is_told_from_our_own",
        "rules::tests::hostile::endless_loops_end",
    ] {
        assert!(test_exists(&sources, found), "{found}");
    }
    for missing in ["is_module_of", "tidy::rows::tests_are_found_by_name_and_by_path", "hostile::endless_loops_end"] {
        assert!(!test_exists(&sources, missing), "{missing}");
    }
}
