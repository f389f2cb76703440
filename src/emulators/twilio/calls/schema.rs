//! The schema of voice TwiML: verbs, nouns, attributes and their values.
//!
//! Names are from `VoiceResponse.ts` of Twilio's Node library; values are from the page of each verb
//! (<https://www.twilio.com/docs/voice/twiml/gather> and so on).

use Kind::{Bool, Method, Number, OneOf, Text};

/// The rule of an element.
pub struct Rule {
    pub name: &'static str,
    attributes: &'static [(&'static str, Kind)],
    children: &'static [&'static str],
    /// True if the element may have text.
    pub text: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Bool,
    Method,
    OneOf(&'static [&'static str]),
}

/// The root of a document.
pub static RESPONSE: Rule = Rule {
    name: "Response",
    attributes: &[],
    children: &[
        "Say", "Play", "Pause", "Gather", "Record", "Dial", "Enqueue", "Leave", "Redirect", "Hangup", "Reject",
        "Connect", "Start", "Stop", "Message",
    ],
    text: false,
};

/// Speech markup within `<Say>`; its attributes are not checked.
const MARKUP: &[&str] = &[
    "break",
    "emphasis",
    "lang",
    "p",
    "phoneme",
    "prosody",
    "s",
    "say-as",
    "sub",
    "w",
    "amazon:effect",
    "amazon:domain",
];
static MARKED: Rule = Rule { name: "break", attributes: &[], children: MARKUP, text: true };

const EVENTS: (&str, Kind) = ("statusCallbackEvent", Text);
const NUMBER: &[(&str, Kind)] = &[
    ("sendDigits", Text),
    ("url", Text),
    ("method", Method),
    ("statusCallback", Text),
    ("statusCallbackMethod", Method),
    EVENTS,
    ("byoc", Text),
    ("machineDetection", OneOf(&["Enable", "DetectMessageEnd"])),
    ("machineDetectionTimeout", Number),
    ("machineDetectionSpeechThreshold", Number),
    ("machineDetectionSpeechEndThreshold", Number),
    ("machineDetectionSilenceTimeout", Number),
    ("amdStatusCallback", Text),
    ("amdStatusCallbackMethod", Method),
];

const RECORDINGS: &[&str] = &[
    "do-not-record",
    "record-from-answer",
    "record-from-ringing",
    "record-from-answer-dual",
    "record-from-ringing-dual",
    "true",
    "false",
];
const TRIM: Kind = OneOf(&["trim-silence", "do-not-trim"]);

static RULES: &[Rule] = &[
    Rule {
        name: "Say",
        attributes: &[("voice", Text), ("language", Text), ("loop", Number)],
        children: MARKUP,
        text: true,
    },
    Rule { name: "Play", attributes: &[("loop", Number), ("digits", Text)], children: &[], text: true },
    Rule { name: "Pause", attributes: &[("length", Number)], children: &[], text: false },
    Rule {
        name: "Gather",
        attributes: &[
            ("input", OneOf(&["dtmf", "speech", "dtmf speech", "speech dtmf"])),
            ("action", Text),
            ("method", Method),
            ("timeout", Number),
            ("finishOnKey", Text),
            ("numDigits", Number),
            ("language", Text),
            ("hints", Text),
            ("speechTimeout", Text),
            ("speechModel", Text),
            ("profanityFilter", Bool),
            ("bargeIn", Bool),
            ("partialResultCallback", Text),
            ("partialResultCallbackMethod", Method),
            ("actionOnEmptyResult", Bool),
            ("maxSpeechTime", Number),
            ("enhanced", Bool),
            ("dtmfDetection", Text),
            ("debug", Bool),
        ],
        children: &["Say", "Play", "Pause"],
        text: false,
    },
    Rule {
        name: "Record",
        attributes: &[
            ("action", Text),
            ("method", Method),
            ("timeout", Number),
            ("finishOnKey", Text),
            ("maxLength", Number),
            ("playBeep", Bool),
            ("trim", TRIM),
            ("recordingStatusCallback", Text),
            ("recordingStatusCallbackEvent", Text),
            ("recordingStatusCallbackMethod", Method),
            ("transcribe", Bool),
            ("transcribeCallback", Text),
        ],
        children: &[],
        text: false,
    },
    Rule {
        name: "Dial",
        attributes: &[
            ("action", Text),
            ("method", Method),
            ("timeout", Number),
            ("timeLimit", Number),
            ("hangupOnStar", Bool),
            ("callerId", Text),
            ("answerOnBridge", Bool),
            ("record", OneOf(RECORDINGS)),
            ("recordingTrack", OneOf(&["both", "inbound", "outbound"])),
            ("recordingStatusCallback", Text),
            ("recordingStatusCallbackEvent", Text),
            ("recordingStatusCallbackMethod", Method),
            ("trim", TRIM),
            ("ringTone", Text),
            ("sequential", Bool),
            ("referUrl", Text),
            ("referMethod", Method),
            ("events", Text),
        ],
        children: &["Number", "Client", "Conference", "Queue", "Sip", "Sim", "WhatsApp"],
        text: true,
    },
    Rule { name: "Number", attributes: NUMBER, children: &[], text: true },
    Rule { name: "Client", attributes: NUMBER, children: &["Identity", "Parameter"], text: true },
    Rule { name: "Identity", attributes: &[], children: &[], text: true },
    Rule { name: "Sip", attributes: NUMBER, children: &[], text: true },
    Rule { name: "Sim", attributes: &[], children: &[], text: true },
    Rule { name: "WhatsApp", attributes: NUMBER, children: &[], text: true },
    Rule {
        name: "Queue",
        attributes: &[("url", Text), ("method", Method), ("reservationSid", Text), ("postWorkActivitySid", Text)],
        children: &[],
        text: true,
    },
    Rule {
        name: "Conference",
        attributes: &[
            ("muted", Bool),
            ("beep", OneOf(&["true", "false", "onEnter", "onExit"])),
            ("startConferenceOnEnter", Bool),
            ("endConferenceOnExit", Bool),
            ("waitUrl", Text),
            ("waitMethod", Method),
            ("maxParticipants", Number),
            ("record", OneOf(&["do-not-record", "record-from-start"])),
            ("region", Text),
            ("coach", Text),
            ("trim", TRIM),
            ("participantLabel", Text),
            ("jitterBufferSize", Text),
            ("statusCallback", Text),
            EVENTS,
            ("statusCallbackMethod", Method),
            ("recordingStatusCallback", Text),
            ("recordingStatusCallbackEvent", Text),
            ("recordingStatusCallbackMethod", Method),
            ("eventCallbackUrl", Text),
        ],
        children: &[],
        text: true,
    },
    Rule {
        name: "Enqueue",
        attributes: &[
            ("action", Text),
            ("method", Method),
            ("waitUrl", Text),
            ("waitUrlMethod", Method),
            ("workflowSid", Text),
            ("maxQueueSize", Number),
        ],
        children: &["Task"],
        text: true,
    },
    Rule { name: "Task", attributes: &[("priority", Number), ("timeout", Number)], children: &[], text: true },
    Rule { name: "Leave", attributes: &[], children: &[], text: false },
    Rule { name: "Hangup", attributes: &[], children: &["Parameter"], text: false },
    Rule { name: "Redirect", attributes: &[("method", Method)], children: &[], text: true },
    Rule {
        name: "Reject",
        attributes: &[("reason", OneOf(&["rejected", "busy"]))],
        children: &["Parameter"],
        text: false,
    },
    Rule { name: "Connect", attributes: &[("action", Text), ("method", Method)], children: &["Stream"], text: false },
    Rule { name: "Start", attributes: &[("action", Text), ("method", Method)], children: &["Stream"], text: false },
    Rule { name: "Stop", attributes: &[], children: &["Stream"], text: false },
    Rule {
        name: "Stream",
        attributes: &[
            ("name", Text),
            ("connectorName", Text),
            ("url", Text),
            ("track", OneOf(&["inbound_track", "outbound_track", "both_tracks"])),
            ("statusCallback", Text),
            ("statusCallbackMethod", Method),
        ],
        children: &["Parameter"],
        text: false,
    },
    Rule { name: "Parameter", attributes: &[("name", Text), ("value", Text)], children: &[], text: false },
    Rule {
        name: "Message",
        attributes: &[("to", Text), ("from", Text), ("action", Text), ("method", Method), ("statusCallback", Text)],
        children: &["Body", "Media"],
        text: true,
    },
    Rule { name: "Body", attributes: &[], children: &[], text: true },
    Rule { name: "Media", attributes: &[], children: &[], text: true },
];

/// Returns the rule of a child element; `None` if it is not allowed.
pub fn child(outer: &Rule, name: &str) -> Option<&'static Rule> {
    if !outer.children.contains(&name) {
        return None;
    }
    if MARKUP.contains(&name) {
        return Some(&MARKED);
    }
    RULES.iter().find(|rule| rule.name == name)
}

/// True for speech markup.
pub fn is_markup(rule: &Rule) -> bool {
    std::ptr::eq(rule, &MARKED)
}

/// Checks an attribute.
pub fn check(rule: &Rule, key: &str, value: &str) -> Result<(), String> {
    if is_markup(rule) {
        return Ok(());
    }
    let Some((_, kind)) = rule.attributes.iter().find(|(known, _)| *known == key) else {
        return Err(format!("<{}> has no attribute {key}", rule.name));
    };
    let good = match kind {
        Text => true,
        Number => value.parse::<u32>().is_ok(),
        Bool => matches!(value, "true" | "false"),
        Method => matches!(value, "GET" | "POST"),
        OneOf(values) => values.contains(&value),
    };
    if good { Ok(()) } else { Err(format!("{key}='{value}' is no value that <{}> knows", rule.name)) }
}
