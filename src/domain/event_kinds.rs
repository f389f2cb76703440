//! The registry of event kinds: what each means, and what its `data` holds.
//!
//! [`crate::rules`] says how to add one.

use crate::domain::EventKind;

/// An event kind that the engine makes.
pub struct EventKindInfo {
    pub kind: EventKind,
    /// One line: when the event happens.
    pub about: &'static str,
    /// The fields of `e.data`, each with a description. A field may be absent.
    pub data: &'static [(&'static str, &'static str)],
}

const fn kind(kind: EventKind, about: &'static str, data: &'static [(&'static str, &'static str)]) -> EventKindInfo {
    EventKindInfo { kind, about, data }
}

/// Every kind that the engine makes, in the order of the reference. Rules may emit other kinds.
pub const EVENT_KINDS: &[EventKindInfo] = &[
    kind(EventKind::INBOUND_SMS, "A text message came in.", INBOUND),
    kind(EventKind::INBOUND_WHATSAPP, "A WhatsApp message came in.", INBOUND),
    kind(EventKind::INBOUND_RCS, "An RCS message came in.", INBOUND),
    kind(EventKind::MESSAGE_STATUS, "The provider reported the delivery status of a message.", STATUS),
    kind(EventKind::OPTED_OUT, "The customer opted out of a channel (STOP).", OPT_OUT),
    kind(EventKind::OPTED_IN, "The customer opted in again (START).", OPT_OUT),
    kind(EventKind::MANUAL, "A person sent a message or placed a call; it hangs on this event.", &[]),
    kind(EventKind::APPOINTMENT_BOOKED, "An appointment was booked.", APPOINTMENT),
    kind(EventKind::APPOINTMENT_CONFIRMED, "An appointment was confirmed.", APPOINTMENT),
    kind(
        EventKind::APPOINTMENT_MOVED,
        "An appointment was moved.",
        &[
            ("appointment", APPOINTMENT_FIELDS),
            ("by", "Who moved it."),
            ("previous_starts_at", "When it started before."),
            ("state", "The state that the rule gave to `move_appointment`."),
        ],
    ),
    kind(EventKind::APPOINTMENT_CANCELLED, "An appointment was cancelled.", APPOINTMENT),
    kind(EventKind::APPOINTMENT_COMPLETED, "An appointment took place.", APPOINTMENT),
    kind(EventKind::APPOINTMENT_NO_SHOW, "The customer did not come.", APPOINTMENT),
    kind(
        EventKind::APPOINTMENT_MOVE_REFUSED,
        "A rule wanted to move an appointment, and that was not possible. The appointment is unchanged.",
        &[
            ("appointment", APPOINTMENT_FIELDS),
            ("wanted", "The time to which it should have moved."),
            ("reason", "Why not, by the name that the API uses."),
            ("state", "The state that the rule gave to `move_appointment`."),
        ],
    ),
    kind(
        EventKind::FALLBACK_WANTED,
        "A message with a fallback cannot be sent, or has not arrived.",
        &[
            ("message", "The id of the message that failed."),
            ("text", "The text to send by text message instead."),
            ("reason", "Why the fallback is needed, for people."),
            ("expires_at", "When the fallback makes no sense any more."),
        ],
    ),
    kind(EventKind::REVIEW_OPENED, "The customer opened a review link, at most once for each link.", REVIEW),
    kind(EventKind::REVIEW_SCORED, "The customer gave a score at a review link.", REVIEW),
    kind(EventKind::REVIEW_FEEDBACK, "The customer left private feedback at a review link.", REVIEW),
    kind(EventKind::CALL_RECEIVED, "A customer calls, and hears what rules say.", CALL),
    kind(EventKind::CALL_OPENED, "A called customer has answered, and hears what rules say.", CALL),
    kind(
        EventKind::CALL_INPUT,
        "Keys or words came in a call, or none came, or a step such as a recording ended.",
        CALL,
    ),
    kind(EventKind::CALL_ANSWERED, "A call is under way.", CALL),
    kind(EventKind::CALL_MISSED, "A call was not answered, or ended before anything was said.", CALL),
    kind(EventKind::CALL_COMPLETED, "A call has ended.", CALL),
    kind(EventKind::CALL_FAILED, "A call failed; an outbound one also if it was busy or not answered.", CALL),
    kind(EventKind::RECORDING_READY, "A recording can be heard at `recording_url`.", CALL),
    kind(
        EventKind::CAMPAIGN,
        "A campaign was set up. The calls and messages to its members hang on this event.",
        &[("campaign", "The name of the campaign.")],
    ),
    kind(
        EventKind::MESSAGE_LEFT,
        "A caller left a message for the staff with an agent.",
        &[("body", "The message."), ("from", "The caller's number, if it is known.")],
    ),
    kind(
        EventKind::TIMER,
        "A timer is due. Only its own rule is evaluated, on the data of the event that planned it.",
        &[("timer", "The timer: `rule`, `purpose`, `due`, `subject`.")],
    ),
];

const INBOUND: &[(&str, &str)] = &[
    ("from", "The customer's number, E.164."),
    ("to", "Our number that was written to."),
    ("body", "The text."),
    ("provider_sid", "The provider's id of the message (`SM…`, `MM…`)."),
    ("media", "The attachments, each with `url` and `content_type`."),
    ("button", "The WhatsApp button that was pressed: `text` and `payload`."),
    ("location", "A shared location: `latitude`, `longitude`, `address`, `label`."),
    ("profile_name", "The name that the customer gave themselves."),
    ("replied_to", "The provider's id of the message that this one answers."),
    ("opt_out_type", "`STOP`, `START` or `HELP`, if the provider recognised the word."),
    ("late", "The catch-up found the message; no webhook brought it."),
];

const STATUS: &[(&str, &str)] = &[
    ("message", "The id of the message."),
    ("status", "The delivery status, such as `delivered` or `failed`."),
    ("error_code", "The provider's error code."),
];

const OPT_OUT: &[(&str, &str)] = &[("channel", "The channel."), ("word", "The customer's word, or the error code.")];

const APPOINTMENT_FIELDS: &str =
    "The appointment afterwards: `id`, `service`, `staff`, `starts_at`, `ends_at`, `zone`, `state`.";

const APPOINTMENT: &[(&str, &str)] = &[("appointment", APPOINTMENT_FIELDS), ("by", "Who did it.")];

const REVIEW: &[(&str, &str)] = &[
    ("request", "The event that the link was made for."),
    ("score", "1 to 5, with `review_scored` and `review_feedback`."),
    ("text", "The private feedback, with `review_feedback`."),
];

const CALL: &[(&str, &str)] = &[
    ("call", "Our id of the call."),
    ("sid", "The provider's id (`CA…`)."),
    ("action", "The send that placed the call."),
    ("from", "The number that called."),
    ("to", "The number that was called."),
    ("status", "The status of the call."),
    ("body", "The keys, or else the words."),
    ("digits", "The keys that were pressed."),
    ("speech", "The words that were spoken."),
    ("confidence", "How sure the provider is of the words, 0 to 1."),
    ("outcome", "How a dialled number answered (`completed`, `busy`, `no-answer`), or how a queue was left."),
    ("leg_sid", "The provider's id of the leg to the dialled number."),
    ("leg_s", "How long that leg lasted, in seconds."),
    ("duration_s", "How long the call lasted, in seconds."),
    ("recording_url", "Where a recording can be heard."),
    ("recording_s", "How long the recording is, in seconds."),
    ("answered_by", "`human`, `machine_start` and the like."),
    ("error_code", "The provider's error code."),
    ("reason", "Why the call counts as missed or failed, for people."),
    ("transcript", "The lines that were said, each with `who` and `text`; with `call_completed`."),
    ("sentiment", "-1 to 1, if a conversation model was asked."),
    ("summary", "A summary of the call."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::domain::event::{
        Button, CallData, FallbackData, InboundData, Location, Media, StatusData, TranscriptLine,
    };

    fn check(kind: EventKind, data: &impl serde::Serialize) {
        let info = EVENT_KINDS.iter().find(|info| info.kind == kind).unwrap();
        let described: BTreeSet<&str> = info.data.iter().map(|(name, _)| *name).collect();
        let Value::Object(fields) = serde_json::to_value(data).unwrap() else { panic!("{kind} has no fields") };
        let fields: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
        assert_eq!(described, fields, "{kind}");
    }

    #[test]
    fn the_described_data_is_what_the_engine_writes() {
        let text = || Some("x".to_owned());
        let inbound = InboundData {
            media: vec![Media::default()],
            button: Some(Button::default()),
            location: Some(Location::default()),
            profile_name: text(),
            replied_to: text(),
            opt_out_type: text(),
            late: true,
            ..InboundData::default()
        };
        check(EventKind::INBOUND_SMS, &inbound);
        check(EventKind::MESSAGE_STATUS, &StatusData::default());
        let fallback =
            FallbackData { message: String::new(), text: String::new(), reason: String::new(), expires_at: None };
        check(EventKind::FALLBACK_WANTED, &fallback);
        let call = CallData {
            action: text(),
            body: "1".to_owned(),
            digits: "1".to_owned(),
            speech: "one".to_owned(),
            confidence: Some(1.0),
            outcome: text(),
            leg_sid: text(),
            leg_s: Some(1),
            duration_s: Some(1),
            recording_url: text(),
            recording_s: Some(1),
            answered_by: text(),
            error_code: Some(1),
            reason: text(),
            transcript: vec![TranscriptLine::default()],
            sentiment: Some(0.0),
            summary: text(),
            ..CallData::default()
        };
        check(EventKind::CALL_RECEIVED, &call);
    }

    #[test]
    fn each_kind_is_described_once() {
        let kinds: BTreeSet<&EventKind> = EVENT_KINDS.iter().map(|info| &info.kind).collect();
        assert_eq!(kinds.len(), EVENT_KINDS.len());
        assert!(EVENT_KINDS.iter().all(|info| info.about.ends_with('.')));
    }
}
