//! TwiML, judged by Twilio's Python library: it must know every verb and attribute in its place, and find exactly the
//! verbs that were pushed, whatever texts they contain.

use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};

use recado::integrations::twilio::twiml::{
    Connect, Dial, Enqueue, Gather, Input, Noun, Number, Pause, Play, Prompt, Queue, Record, Redirect, Reject,
    RejectReason, Response, Say, SpeechTimeout, Stream, Verb,
};
use recado::integrations::twilio::types::{CallEvent, Method};
use serde_json::json;
use strum::VariantArray;

use crate::faults::rig::Dice;
use crate::support::python;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/twiml.py");
/// Default of `FUZZ_CASES`.
const CASES: usize = 100_000;

/// A document, its expected elements in order, and the texts it contains.
struct Case {
    response: Response,
    names: Vec<&'static str>,
    texts: Vec<String>,
}

/// Passes all cases to the judge and asserts that it accepts each.
fn assert_agreed(cases: impl Iterator<Item = Case>, hint: &str) {
    let mut judge = Command::new(python())
        .arg(SCRIPT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the Python that tests/run.sh makes can be run");
    let mut to_judge = BufWriter::new(judge.stdin.take().expect("stdin is piped"));
    let mut written = 0;
    for case in cases {
        let document = case.response.render().expect("the cases are short enough");
        let line = json!({"document": document, "names": case.names, "texts": case.texts});
        // A judge that has found enough mistakes stops reading; they are reported below.
        if writeln!(to_judge, "{line}").is_err() {
            break;
        }
        written += 1;
    }
    drop(to_judge);
    let judged = judge.wait_with_output().expect("the judge ends");
    assert!(judged.status.success(), "{hint}\n{}", String::from_utf8_lossy(&judged.stderr));
    assert_eq!(String::from_utf8_lossy(&judged.stdout).trim(), written.to_string(), "the judge saw every case");
}

#[test]
fn the_official_library_knows_every_verb_and_attribute() {
    let cases = everything().into_iter().map(|(verb, names)| Case {
        response: Response::from_iter([verb]),
        names: [&["Response"], names.as_slice()].concat(),
        texts: Vec::new(),
    });
    assert_agreed(cases, "");
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

const POST: Option<Method> = Some(Method::Post);

/// Every verb with all of its attributes, and the names of its elements.
fn everything() -> Vec<(Verb, Vec<&'static str>)> {
    let say = Say { text: "Hola".into(), voice: some("alice"), language: some("es-ES") };
    let play = Play::new("https://a/b.mp3");
    let enqueue = Enqueue {
        name: "reception".into(),
        action: some("/left"),
        method: POST,
        wait_url: some("/wait"),
        wait_url_method: POST,
    };
    let record = Record {
        action: some("/recorded"),
        method: POST,
        finish_on_key: some("#"),
        max_length_s: Some(120),
        play_beep: Some(true),
        recording_status_callback: some("/recording"),
    };
    let connect = Connect { stream: Stream { url: "wss://a/b".into() } };
    vec![
        (say.clone().into(), vec!["Say"]),
        (play.clone().into(), vec!["Play"]),
        (Pause { length_s: Some(1) }.into(), vec!["Pause"]),
        (gather(vec![say.into(), play.into()]).into(), vec!["Gather", "Say", "Play"]),
        (record.into(), vec!["Record"]),
        (dial().into(), vec!["Dial", "Number", "Queue"]),
        (enqueue.into(), vec!["Enqueue"]),
        (Verb::Leave, vec!["Leave"]),
        (Verb::Hangup, vec!["Hangup"]),
        (Redirect { url: "/next".into(), method: POST }.into(), vec!["Redirect"]),
        (Reject { reason: Some(RejectReason::Busy) }.into(), vec!["Reject"]),
        (connect.into(), vec!["Connect", "Stream"]),
    ]
}

fn gather(children: Vec<Prompt>) -> Gather {
    Gather {
        input: Some(Input::DtmfSpeech),
        action: some("/said?a=1&b=2"),
        method: POST,
        timeout_s: Some(4),
        finish_on_key: some(""),
        num_digits: Some(1),
        language: some("es-ES"),
        hints: vec!["sí".into(), "no".into()],
        speech_timeout: Some(SpeechTimeout::Auto),
        children,
    }
}

fn dial() -> Dial {
    let number = Number {
        number: "+2".into(),
        status_callback: some("/status"),
        status_callback_method: POST,
        status_callback_events: CallEvent::VARIANTS.to_vec(),
    };
    Dial {
        action: some("/dialled"),
        method: POST,
        timeout_s: Some(20),
        answer_on_bridge: Some(true),
        record_from_answer: true,
        recording_status_callback: some("/recording"),
        nouns: vec![number.into(), Queue { name: "reception".into() }.into()],
    }
}

/// `</Say><Dial>`, control characters, `]]>` and bidirectional marks in names, speech and digits.
#[test]
fn fault_18_no_name_speech_or_digits_add_a_verb_or_break_a_document() {
    let seed = std::env::var("FAULT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(18);
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let hint = format!("FAULT_SEED={seed} FUZZ_CASES={cases} makes the same cases");
    eprintln!("{hint}");
    let dice = Dice::new(seed);
    assert_agreed((0..cases).map(|_| fuzzed(&dice)), &hint);
}

/// A verb with hostile texts from customers, tenants and rules.
fn fuzzed(dice: &Dice) -> Case {
    let (one, two) = (hostile(dice), hostile(dice));
    let said = Say { text: one.clone(), voice: Some(two.clone()), ..Say::default() };
    let (verb, names): (Verb, &[&str]) = match dice.below(8) {
        0 => (said.into(), &["Say"]),
        1 => {
            let hints = vec![two.clone()];
            let gather = Gather { hints, children: vec![Say::new(one.clone()).into()], ..Gather::default() };
            (gather.into(), &["Gather", "Say"])
        }
        2 => {
            let children = vec![Play::new(one.clone()).into()];
            let gather = Gather { action: Some(two.clone()), children, ..Gather::default() };
            (gather.into(), &["Gather", "Play"])
        }
        3 => {
            let finish_on_key = Some(two.clone());
            (Record { action: Some(one.clone()), finish_on_key, ..Record::default() }.into(), &["Record"])
        }
        4 => {
            let response = Response::from_iter([Connect { stream: Stream { url: format!("{one}{two}") } }]);
            return Case { response, names: vec!["Response", "Connect", "Stream"], texts: vec![format!("{one}{two}")] };
        }
        5 => {
            let number = Number { status_callback: Some(two.clone()), ..Number::new(one.clone()) };
            (dialling(number), &["Dial", "Number"])
        }
        6 => {
            let enqueue = Enqueue { name: one.clone(), wait_url: Some(two.clone()), ..Enqueue::default() };
            (enqueue.into(), &["Enqueue"])
        }
        _ => (Redirect::new(format!("{one}{two}")).into(), &["Redirect"]),
    };
    let texts = if matches!(verb, Verb::Redirect(_)) { vec![format!("{one}{two}")] } else { vec![one, two] };
    let mut response = Response::from_iter([verb]);
    response.push(Verb::Hangup);
    Case { response, names: [&["Response"], names, &["Hangup"]].concat(), texts }
}

fn dialling(noun: impl Into<Noun>) -> Verb {
    Dial { nouns: vec![noun.into()], ..Dial::default() }.into()
}

/// Texts that would add a verb or break the document if they were not escaped.
const HOSTILE: [&str; 17] = [
    "</Say><Dial>+34906000000</Dial>",
    "</Say></Gather><Redirect>http://evil.example</Redirect>",
    "</Response>",
    "\"/><Dial>+34906000000</Dial><Say voice=\"",
    "' loop='0",
    "]]>",
    "<![CDATA[",
    "<!--",
    "--><Hangup/>",
    "<?xml version=\"1.0\"?>",
    "&lt;Dial&gt;",
    "&#60;Dial&#62;&#0;&#x1;",
    "\u{202e}laiD\u{202c}",
    "\u{2066}x\u{2069}\u{200f}",
    "\u{0}\u{1}\u{8}\u{b}\u{c}\u{1f}\u{7f}\u{85}\u{2028}\u{fffe}\u{ffff}",
    "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>&e;",
    "\r\n\t ",
];
const LETTERS: &str =
    "abc XYZ019+*#&=%?/\\'\"<>;:!-[]\0\u{1}\t\r\n\u{1b}áñßЖ日👋🏽\u{301}\u{202e}\u{feff}\u{fffd}\u{fdd0}\u{10ffff}";

fn hostile(dice: &Dice) -> String {
    let letters: Vec<char> = LETTERS.chars().collect();
    let mut text = String::new();
    for _ in 0..dice.below(4) {
        if dice.percent(60) {
            text.push_str(dice.pick::<&str>(&HOSTILE));
        } else {
            text.extend((0..dice.below(12)).map(|_| *dice.pick(&letters)));
        }
    }
    text
}
