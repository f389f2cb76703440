//! The zones of phone numbers match the Python package phonenumbers.

use std::process::Command;

use recado::time::phones;

use crate::support::python;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/phone_zones.py");

#[test]
fn the_zones_of_phone_numbers_are_those_of_the_package() {
    let made = Command::new(python()).arg(SCRIPT).output().expect("the Python that tests/run.sh makes can be run");
    assert!(made.status.success(), "the generator failed: {}", String::from_utf8_lossy(&made.stderr));
    let made = String::from_utf8(made.stdout).expect("the generator writes text");
    assert!(made.lines().count() > 3_000, "the package has its data");
    let differing = made.lines().zip(phones::TABLE.lines()).find(|(made, stored)| made != stored);
    assert_eq!(differing, None, "make it anew: tests/judge/phone_zones.py > src/time/phone_zones.txt");
    assert_eq!(made.lines().count(), phones::TABLE.lines().count());
}
