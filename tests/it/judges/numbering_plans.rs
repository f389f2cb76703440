//! The numbering plans are those of the Python package phonenumbers, and numbers are read as it reads them.

use std::process::Command;

use recado::domain::Phone;
use recado::domain::phone::plan::TABLE;

use crate::support::python;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/numbering_plans.py");

fn made(arguments: &[&str]) -> String {
    let made = Command::new(python()).arg(SCRIPT).args(arguments).output();
    let made = made.expect("the Python that tests/run.sh makes can be run");
    assert!(made.status.success(), "the script failed: {}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).expect("the script writes text")
}

#[test]
fn the_numbering_plans_are_those_of_the_package() {
    let made = made(&[]);
    assert!(made.lines().count() > 240, "the package has its data");
    let differing = made.lines().zip(TABLE.lines()).find(|(made, stored)| made != stored);
    let again = "make it anew: tests/judge/numbering_plans.py > src/domain/phone/numbering_plans.txt";
    assert_eq!(differing, None, "{again}");
    assert_eq!(made.lines().count(), TABLE.lines().count(), "{again}");
}

#[test]
fn the_numbers_of_all_countries_are_read_as_the_package_reads_them() {
    let made = made(&["--spellings"]);
    let mut wrong = Vec::new();
    for line in made.lines() {
        let [country, text, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        let read = Phone::parse_human(text, Some(country.parse().expect("a country of the table")));
        let read = read.map_or_else(|error| error.to_string(), |phone| phone.to_string());
        // Google lists shorter numbers than E.164 addresses a person by.
        if read != expected && expected.len() > 8 {
            wrong.push(format!("{country}: {text:?} is {expected}, not {read}"));
        }
    }
    assert!(made.lines().count() > 5_000);
    assert_eq!(wrong, Vec::<String>::new(), "{} of {}", wrong.len(), made.lines().count());
}
