//! Generated webhooks, verified by Twilio's Python library and by ours: both must agree.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use recado::integrations::twilio::form::Params;
use recado::integrations::twilio::signature::{Body, verify};
use serde::Deserialize;

use crate::support::python;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/fuzz.py");
/// Disagreements before the test stops.
const SHOWN_MAX: usize = 5;

/// One line of the judge's output.
#[derive(Debug, Deserialize)]
struct Case {
    url: String,
    body: String,
    signature: String,
    token: String,
    valid: bool,
}

#[test]
fn the_official_library_agrees_on_fuzzed_webhooks() {
    let mut judge = Command::new(python())
        .arg(SCRIPT)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the Python that tests/run.sh makes can be run");
    let lines = BufReader::new(judge.stdout.take().expect("stdout is piped")).lines();
    let (mut cases, mut disagreements) = (0, Vec::new());
    for line in lines {
        let line = line.expect("the judge writes text");
        let case: Case = serde_json::from_str(&line).expect("the judge writes a case a line");
        cases += 1;
        if accepts(&case) != case.valid && disagreements.len() < SHOWN_MAX {
            disagreements.push(line);
        }
    }
    assert!(judge.wait().expect("the judge ends").success(), "the judge failed; it says why above");
    assert!(cases > 0, "the judge wrote no cases");
    assert!(disagreements.is_empty(), "of {cases} cases these are judged otherwise:\n{}", disagreements.join("\n"));
}

fn accepts(case: &Case) -> bool {
    // An invalid form is refused before its signature is checked.
    Params::parse(case.body.as_bytes())
        .is_ok_and(|params| verify(&case.signature, &[&case.token], &case.url, Body::Form(&params)))
}
