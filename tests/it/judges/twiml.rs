//! TwiML, judged by the official Python library: it must know every verb and attribute where they stand, and find none that
//! was not pushed, whatever text is put in.

use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};

use recado::integrations::twilio::twiml::{
    Beep, Client, Conference, ConferenceEvent, ConferenceRecord, Connect, Dial, DialRecord, Enqueue, Gather, Input,
    JitterBuffer, Message, Noun, Number, Parameter, Pause, Play, Prompt, Queue, Record, Redirect, Reject, RejectReason,
    Response, Say, Sim, Sip, SipCredentials, SpeechTimeout, Start, Stop, Stream, Track, Verb, WhatsApp,
};
use recado::integrations::twilio::words::{
    CallEvent, Detect, MachineDetection, Method, RecordingEvent, RecordingTrack, Trim,
};
use serde_json::json;

use crate::faults::rig::Dice;
use crate::support::python;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/twiml.py");
/// `FUZZ_CASES` sets another number.
const CASES: usize = 100_000;

/// A document, the elements it must have in order, and the texts that were put in.
struct Case {
    response: Response,
    names: Vec<&'static str>,
    texts: Vec<String>,
}

/// Gives the judge all cases and asserts that it agrees with each; `argument` is the judge's.
fn assert_agreed(cases: impl Iterator<Item = Case>, argument: &str, hint: &str) {
    let mut judge = Command::new(python())
        .args([SCRIPT, argument])
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
        // A judge that has seen enough reads no more; what it says is looked at below.
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
    let reply: [Verb; 2] = [
        Message { body: "Hola".into(), ..Message::default() }.into(),
        Redirect { url: "/next".into(), method: POST }.into(),
    ];
    let names = vec!["Response", "Message", "Body", "Redirect"];
    let reply = Case { response: reply.into_iter().collect(), names, texts: Vec::new() };
    assert_agreed(cases.chain([reply]), "everything", "");
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

const POST: Option<Method> = Some(Method::Post);

fn everything() -> Vec<(Verb, Vec<&'static str>)> {
    let spoken = Say { text: "Hola".into(), voice: some("alice"), language: some("es-ES"), loops: Some(2) };
    let played = Play { url: "https://a/b.mp3".into(), loops: Some(0), digits: some("w1") };
    let pause = Pause { length_s: Some(1) };
    let enqueue = Enqueue {
        name: some("reception"),
        action: some("/left"),
        method: POST,
        wait_url: some("/wait"),
        wait_url_method: POST,
        workflow_sid: some("WW1"),
        max_queue_size: Some(9),
    };
    let message = Message {
        body: "Hola".into(),
        to: some("+2"),
        from: some("+1"),
        action: some("/sent"),
        method: POST,
        status_callback: some("/status"),
        media: vec!["https://a/1.jpg".into()],
    };
    vec![
        (spoken.clone().into(), vec!["Say"]),
        (played.clone().into(), vec!["Play"]),
        (pause.into(), vec!["Pause"]),
        (gather(vec![spoken.into(), played.into(), pause.into()]).into(), vec!["Gather", "Say", "Play", "Pause"]),
        (record().into(), vec!["Record"]),
        (
            dial().into(),
            vec![
                "Dial",
                "Number",
                "Client",
                "Client",
                "Identity",
                "Parameter",
                "Conference",
                "Queue",
                "Sip",
                "Sim",
                "WhatsApp",
            ],
        ),
        (enqueue.into(), vec!["Enqueue"]),
        (Verb::Leave, vec!["Leave"]),
        (Verb::Hangup, vec!["Hangup"]),
        (Redirect { url: "/next".into(), method: POST }.into(), vec!["Redirect"]),
        (Reject { reason: Some(RejectReason::Busy) }.into(), vec!["Reject"]),
        (
            Connect { stream: stream(), action: some("/done"), method: POST }.into(),
            vec!["Connect", "Stream", "Parameter"],
        ),
        (Start { stream: stream() }.into(), vec!["Start", "Stream", "Parameter"]),
        (Stop { stream_name: "ear".into() }.into(), vec!["Stop", "Stream"]),
        (message.into(), vec!["Message", "Body", "Media"]),
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
        speech_model: some("phone_call"),
        profanity_filter: Some(false),
        barge_in: Some(true),
        partial_result_callback: some("/partial"),
        partial_result_callback_method: POST,
        action_on_empty_result: Some(true),
        max_speech_time_s: Some(30),
        enhanced: Some(true),
        debug: Some(false),
        children,
    }
}

fn record() -> Record {
    Record {
        action: some("/recorded"),
        method: POST,
        timeout_s: Some(5),
        finish_on_key: some("#"),
        max_length_s: Some(120),
        play_beep: Some(true),
        trim: Some(Trim::TrimSilence),
        transcribe: Some(false),
        transcribe_callback: some("/transcribed"),
        recording_status_callback: some("/recording"),
        recording_status_callback_method: POST,
        recording_status_callback_events: vec![RecordingEvent::Completed, RecordingEvent::Absent],
    }
}

fn stream() -> Stream {
    Stream {
        url: some("wss://a/b"),
        name: some("ear"),
        track: Some(Track::Both),
        status_callback: some("/stream"),
        status_callback_method: POST,
        connector_name: some("c"),
        parameters: vec![Parameter::new("who", "Ana")],
    }
}

fn dial() -> Dial {
    Dial {
        action: some("/dialled"),
        method: POST,
        timeout_s: Some(20),
        time_limit_s: Some(600),
        hangup_on_star: Some(true),
        caller_id: some("+1"),
        answer_on_bridge: Some(true),
        record: Some(DialRecord::RecordFromAnswerDual),
        recording_track: Some(RecordingTrack::Both),
        trim: Some(Trim::TrimSilence),
        recording_status_callback: some("/recording"),
        recording_status_callback_method: POST,
        recording_status_callback_events: vec![RecordingEvent::Completed],
        ring_tone: some("es"),
        sequential: Some(true),
        nouns: nouns(),
    }
}

fn nouns() -> Vec<Noun> {
    let (url, status_callback, events) = (some("/whisper"), some("/status"), CallEvent::ALL.to_vec());
    let machine_detection = MachineDetection {
        detect: Detect::DetectMessageEnd,
        timeout_s: Some(20),
        speech_threshold_ms: Some(2000),
        speech_end_threshold_ms: Some(1000),
        silence_timeout_ms: Some(4000),
        status_callback: some("/amd"),
        status_callback_method: POST,
    };
    let number = Number {
        number: "+2".into(),
        send_digits: some("1"),
        url: url.clone(),
        method: POST,
        status_callback: status_callback.clone(),
        status_callback_method: POST,
        status_callback_events: events.clone(),
        byoc: some("BY1"),
        machine_detection: Some(machine_detection.clone()),
    };
    let client = Client {
        identity: "ana".into(),
        url: url.clone(),
        method: POST,
        status_callback: status_callback.clone(),
        status_callback_method: POST,
        status_callback_events: events.clone(),
        parameters: Vec::new(),
    };
    let told = Client { parameters: vec![Parameter::new("who", "Bea")], ..client.clone() };
    let queue = Queue {
        name: "reception".into(),
        url: url.clone(),
        method: POST,
        reservation_sid: some("WR1"),
        post_work_activity_sid: some("WA1"),
    };
    let sip = Sip {
        address: "sip:ana@example.com".into(),
        credentials: Some(SipCredentials { username: "u".into(), password: "p".to_owned().into() }),
        url: url.clone(),
        method: POST,
        status_callback: status_callback.clone(),
        status_callback_method: POST,
        status_callback_events: events.clone(),
        machine_detection: Some(machine_detection),
    };
    let whatsapp = WhatsApp {
        number: "+2".into(),
        url,
        method: POST,
        status_callback,
        status_callback_method: POST,
        status_callback_events: events,
    };
    vec![
        number.into(),
        client.into(),
        told.into(),
        conference().into(),
        queue.into(),
        sip.into(),
        Sim { sid: "HS1".into() }.into(),
        whatsapp.into(),
    ]
}

fn conference() -> Conference {
    Conference {
        name: "room".into(),
        muted: Some(false),
        beep: Some(Beep::OnEnter),
        start_conference_on_enter: Some(true),
        end_conference_on_exit: Some(true),
        wait_url: some("/wait"),
        wait_method: POST,
        max_participants: Some(3),
        record: Some(ConferenceRecord::RecordFromStart),
        region: some("ie1"),
        coach: some("CA1"),
        trim: Some(Trim::DoNotTrim),
        status_callback: some("/status"),
        status_callback_method: POST,
        status_callback_events: vec![ConferenceEvent::Start, ConferenceEvent::End],
        recording_status_callback: some("/recording"),
        recording_status_callback_method: POST,
        recording_status_callback_events: vec![RecordingEvent::Completed],
        jitter_buffer_size: Some(JitterBuffer::Small),
        participant_label: some("staff"),
    }
}

/// Row 18 of the faults: `</Say><Dial>`, control characters, `]]>` and marks of direction in names, speech and digits.
#[test]
fn fault_18_no_name_speech_or_digits_add_a_verb_or_break_a_document() {
    let seed = std::env::var("FAULT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(18);
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let hint = format!("FAULT_SEED={seed} FUZZ_CASES={cases} makes the same cases");
    eprintln!("{hint}");
    let dice = Dice::new(seed);
    assert_agreed((0..cases).map(|_| fuzzed(&dice)), "", &hint);
}

/// Where texts of customers, tenants and rules go.
fn fuzzed(dice: &Dice) -> Case {
    let (one, two) = (hostile(dice), hostile(dice));
    let said = Say { text: one.clone(), voice: Some(two.clone()), ..Say::default() };
    let (verb, names): (Verb, &[&str]) = match dice.below(12) {
        0 => (said.into(), &["Say"]),
        1 => {
            let hints = vec![two.clone()];
            let gather = Gather { hints, children: vec![Say::new(one.clone()).into()], ..Gather::default() };
            (gather.into(), &["Gather", "Say"])
        }
        2 => {
            let children = vec![Pause::default().into(), Play::new(one.clone()).into()];
            let gather = Gather { action: Some(two.clone()), children, ..Gather::default() };
            (gather.into(), &["Gather", "Pause", "Play"])
        }
        3 => (Play { digits: Some(two.clone()), ..Play::new(one.clone()) }.into(), &["Play"]),
        4 => {
            let parameters = vec![Parameter::new(one.clone(), two.clone())];
            let connect = Connect::from(Stream { parameters, ..Stream::new("wss://a/b") });
            (connect.into(), &["Connect", "Stream", "Parameter"])
        }
        5 => {
            let stream = Stream { name: Some(two.clone()), ..Stream::new(one.clone()) };
            (Start { stream }.into(), &["Start", "Stream"])
        }
        // A reply of its own, with a body that is never empty: such a one is not written.
        6 => {
            let message = Message { body: format!("x{one}"), from: Some(two.clone()), ..Message::default() };
            return Case {
                response: Response::from_iter([message]),
                names: vec!["Response", "Message", "Body"],
                texts: vec![format!("x{one}"), two],
            };
        }
        7 => (dialling(Number { send_digits: Some(two.clone()), ..Number::new(one.clone()) }), &["Dial", "Number"]),
        8 => {
            let sip = Sip { address: one.clone(), url: Some(two.clone()), ..Sip::default() };
            (dialling(sip), &["Dial", "Sip"])
        }
        9 => {
            let parameters = vec![Parameter::new("who", two.clone())];
            let client = Client { identity: one.clone(), parameters, ..Client::default() };
            (dialling(client), &["Dial", "Client", "Identity", "Parameter"])
        }
        10 => {
            let enqueue = Enqueue { name: Some(one.clone()), wait_url: Some(two.clone()), ..Enqueue::default() };
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

/// What would be a verb, or break the document, where it was written as it is.
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
