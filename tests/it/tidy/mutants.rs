//! The mutants in `tests/mutants/`: each can be put into the source, and the tests that must find it exist.

use serde::Deserialize;

use super::{assert_none, rust_files};
use crate::support::source::files;

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
    let exists = |test: &str| {
        let named = format!("fn {test}(");
        sources.iter().any(|(_, parted)| parted.code.contains(&named))
    };
    let faults = all().into_iter().flat_map(|mutant| {
        assert!(!mutant.tests.is_empty(), "{}", mutant.name);
        let missing = mutant.tests.into_iter().filter(|test| !exists(test));
        missing.map(move |test| format!("{test}, for '{}'", mutant.name)).collect::<Vec<_>>()
    });
    assert_none("name the tests that find these mutants", faults);
}
