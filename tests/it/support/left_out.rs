//! What a test could not do on this machine.
//!
//! `tests/run.sh` names a file in `RECADO_TESTS_LEFT_OUT` and prints its lines in the summary of the run. Without such a
//! file nobody would learn of it, so the test fails.

use std::fs::OpenOptions;
use std::io::Write;

/// Says that a part of a test is left out, and why; fails where no summary would say so.
#[track_caller]
pub fn left_out(what: &str) {
    let Some(path) = std::env::var_os("RECADO_TESTS_LEFT_OUT") else {
        panic!("{what}. tests/run.sh goes on without it, and says so in its summary");
    };
    let file = OpenOptions::new().append(true).create(true).open(&path);
    // One write, so that the lines of tests that run side by side do not mix.
    file.and_then(|mut file| file.write_all(format!("{what}\n").as_bytes())).expect("the summary can be written");
}
