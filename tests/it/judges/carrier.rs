//! Twilio's Python library as a client of the emulator.

use std::process::Command;

use crate::support::python;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/carrier.py");

#[test]
fn the_official_library_drives_the_carrier() {
    let judged = Command::new(python())
        .args([SCRIPT, env!("CARGO_BIN_EXE_recado")])
        .output()
        .expect("the Python that tests/run.sh makes can be run");
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
}
