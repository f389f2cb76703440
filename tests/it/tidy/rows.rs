//! The faults in `tests/it/faults/rows.toml`: each row of the standing list is there, and the tests that show it exist.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::mutants::test_exists;
use super::{assert_none, rust_files};
use crate::support::source::files;

/// The numbers that rows have. 33 and 39 may be there as well.
const LAST: u8 = 40;
const MAY_BE_MISSING: [u8; 2] = [33, 39];

#[derive(Deserialize)]
struct List {
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    number: u8,
    /// A few words.
    fault: String,
    /// Whole paths, as nextest writes them.
    tests: Vec<String>,
}

fn rows() -> Vec<Row> {
    let lists = files("tests/it/faults", &["/rows.toml"]);
    let [list] = lists.as_slice() else { panic!("there is one list of rows") };
    toml::from_str::<List>(&list.text).unwrap_or_else(|error| panic!("{error}")).row
}

#[test]
fn every_fault_has_its_row() {
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    for row in rows() {
        assert!((1..=LAST).contains(&row.number), "no fault has the number {}", row.number);
        assert!(!row.fault.trim().is_empty() && !row.tests.is_empty(), "row {} says too little", row.number);
        *counts.entry(row.number).or_default() += 1;
    }
    let faults = (1..=LAST).filter_map(|number| match counts.get(&number) {
        Some(1) => None,
        None if MAY_BE_MISSING.contains(&number) => None,
        count => Some(format!("row {number}: {} times", count.copied().unwrap_or_default())),
    });
    assert_none("write each row of tests/it/faults/rows.toml once", faults);
}

#[test]
fn the_tests_of_every_row_exist() {
    let sources = rust_files();
    let faults = rows().into_iter().flat_map(|row| {
        let missing = row.tests.into_iter().filter(|test| !test.contains("::") || !test_exists(&sources, test));
        missing.map(move |test| format!("{test}, for row {} ({})", row.number, row.fault)).collect::<Vec<_>>()
    });
    assert_none("name the tests that show these faults, by their whole paths", faults);
}
