//! What happened. An event is a row before anything else knows of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Channel, ContactId, EventId, TenantId, Timestamp};

/// A stable name such as `inbound_sms`: lower case letters, digits and `_`, at most [`EventKind::MAX_LEN`] bytes.
///
/// To rename a kind, let the old name and the new be accepted by `rule.on(…)` for one release, then migrate the rows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventKind(std::borrow::Cow<'static, str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' cannot be an event kind: use lower case letters, digits and _, beginning with a letter, at most 64")]
pub struct BadEventKind(String);

impl EventKind {
    pub const MAX_LEN: usize = 64;

    /// A text message came in. `data` is an [`InboundData`].
    pub const INBOUND_SMS: Self = Self(std::borrow::Cow::Borrowed("inbound_sms"));
    /// A WhatsApp message came in. `data` is an [`InboundData`].
    pub const INBOUND_WHATSAPP: Self = Self(std::borrow::Cow::Borrowed("inbound_whatsapp"));
    /// An e-mail came in: a name kept free, nothing takes e-mail in.
    pub const INBOUND_EMAIL: Self = Self(std::borrow::Cow::Borrowed("inbound_email"));
    /// The provider reported a delivery status. `data` is a [`StatusData`].
    pub const MESSAGE_STATUS: Self = Self(std::borrow::Cow::Borrowed("message_status"));
    /// A customer opted out (STOP) or back in (START). `data.channel` and `data.word` say where and how.
    pub const OPTED_OUT: Self = Self(std::borrow::Cow::Borrowed("opted_out"));
    pub const OPTED_IN: Self = Self(std::borrow::Cow::Borrowed("opted_in"));
    /// Somebody sent by hand (`recado send`); its one action hangs on this event.
    pub const MANUAL: Self = Self(std::borrow::Cow::Borrowed("manual"));
    /// What was done with an appointment. `data.appointment` is its [`super::appointment::AppointmentFacts`] afterwards,
    /// `data.by` who did it; a moved one has `data.previous_starts_at`, and `data.state` where a rule gave one.
    pub const APPOINTMENT_BOOKED: Self = Self(std::borrow::Cow::Borrowed("appointment_booked"));
    pub const APPOINTMENT_CONFIRMED: Self = Self(std::borrow::Cow::Borrowed("appointment_confirmed"));
    pub const APPOINTMENT_MOVED: Self = Self(std::borrow::Cow::Borrowed("appointment_moved"));
    pub const APPOINTMENT_CANCELLED: Self = Self(std::borrow::Cow::Borrowed("appointment_cancelled"));
    pub const APPOINTMENT_COMPLETED: Self = Self(std::borrow::Cow::Borrowed("appointment_completed"));
    pub const APPOINTMENT_NO_SHOW: Self = Self(std::borrow::Cow::Borrowed("appointment_no_show"));
    /// A rule wanted to move an appointment, and that was not possible: it is as it was. `data.appointment` is how it
    /// stands, `data.wanted` where it was to go, `data.reason` why, by the name that the API has for it; `data.state` as of a moved one.
    pub const APPOINTMENT_MOVE_REFUSED: Self = Self(std::borrow::Cow::Borrowed("appointment_move_refused"));

    /// A message with a fallback cannot be sent, or has not arrived. `data` is a [`FallbackData`].
    pub const FALLBACK_WANTED: Self = Self(std::borrow::Cow::Borrowed("fallback_wanted"));
    /// What a customer did at a link to a review, each at most once for one link: `data.request` is the event that the
    /// link was made for, `data.score` is 1 to 5, `data.text` the private feedback.
    pub const REVIEW_OPENED: Self = Self(std::borrow::Cow::Borrowed("review_opened"));
    pub const REVIEW_SCORED: Self = Self(std::borrow::Cow::Borrowed("review_scored"));
    pub const REVIEW_FEEDBACK: Self = Self(std::borrow::Cow::Borrowed("review_feedback"));

    /// Somebody is on the line who hears what is said next.
    pub const ON_THE_LINE: [Self; 3] = [Self::CALL_RECEIVED, Self::CALL_OPENED, Self::CALL_INPUT];

    /// Somebody rings. `data` is a [`CallData`], as of all that is told of calls.
    pub const CALL_RECEIVED: Self = Self(std::borrow::Cow::Borrowed("call_received"));
    /// Whom we rang has answered, and hears what is said next.
    pub const CALL_OPENED: Self = Self(std::borrow::Cow::Borrowed("call_opened"));
    /// Keys or words came in a call, or none where some were asked for; or what else was under way has ended.
    pub const CALL_INPUT: Self = Self(std::borrow::Cow::Borrowed("call_input"));
    /// The call is under way.
    pub const CALL_ANSWERED: Self = Self(std::borrow::Cow::Borrowed("call_answered"));
    /// It was not answered, or hung up before anything was said, as the business has chosen.
    pub const CALL_MISSED: Self = Self(std::borrow::Cow::Borrowed("call_missed"));
    /// It has ended.
    pub const CALL_COMPLETED: Self = Self(std::borrow::Cow::Borrowed("call_completed"));
    /// It came to nothing: an error, no such number, cancelled; one of ours also where it was busy or nobody answered.
    pub const CALL_FAILED: Self = Self(std::borrow::Cow::Borrowed("call_failed"));
    /// A recording can be heard at `data.recording_url`.
    pub const RECORDING_READY: Self = Self(std::borrow::Cow::Borrowed("recording_ready"));

    /// A campaign was set up: the calls and messages of its members hang on this event.
    pub const CAMPAIGN: Self = Self(std::borrow::Cow::Borrowed("campaign"));
    /// A caller left a message for the staff with an agent: `data.body`, and `data.from` where the number is known.
    pub const MESSAGE_LEFT: Self = Self(std::borrow::Cow::Borrowed("message_left"));

    /// A timer fell due. `data` is its payload, and a [`super::timer::Fired`] as `timer`; one rule only is asked about it.
    pub const TIMER: Self = Self(std::borrow::Cow::Borrowed("timer"));

    /// The kinds that the engine itself makes. Rules may emit others.
    pub const BUILT_IN: [Self; 28] = [
        Self::INBOUND_SMS,
        Self::INBOUND_WHATSAPP,
        Self::MESSAGE_STATUS,
        Self::OPTED_OUT,
        Self::OPTED_IN,
        Self::MANUAL,
        Self::APPOINTMENT_BOOKED,
        Self::APPOINTMENT_CONFIRMED,
        Self::APPOINTMENT_MOVED,
        Self::APPOINTMENT_CANCELLED,
        Self::APPOINTMENT_COMPLETED,
        Self::APPOINTMENT_NO_SHOW,
        Self::APPOINTMENT_MOVE_REFUSED,
        Self::FALLBACK_WANTED,
        Self::REVIEW_OPENED,
        Self::REVIEW_SCORED,
        Self::REVIEW_FEEDBACK,
        Self::CALL_RECEIVED,
        Self::CALL_OPENED,
        Self::CALL_INPUT,
        Self::CALL_ANSWERED,
        Self::CALL_MISSED,
        Self::CALL_COMPLETED,
        Self::CALL_FAILED,
        Self::RECORDING_READY,
        Self::CAMPAIGN,
        Self::MESSAGE_LEFT,
        Self::TIMER,
    ];

    pub fn parse(text: &str) -> Result<Self, BadEventKind> {
        let good = text.len() <= Self::MAX_LEN
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if good { Ok(Self(text.to_owned().into())) } else { Err(BadEventKind(text.chars().take(64).collect())) }
    }

    pub const fn inbound(channel: Channel) -> Self {
        match channel {
            Channel::Sms => Self::INBOUND_SMS,
            Channel::WhatsApp => Self::INBOUND_WHATSAPP,
            Channel::Email => Self::INBOUND_EMAIL,
            Channel::Voice => Self::CALL_RECEIVED,
        }
    }

    /// The channel on which such an event brings a customer's message; `None` for all other kinds.
    pub fn inbound_channel(&self) -> Option<Channel> {
        Channel::INBOUND.into_iter().find(|channel| Self::inbound(*channel) == *self)
    }

    /// Whether somebody is on the line who hears what is said next.
    pub fn is_on_the_line(&self) -> bool {
        Self::ON_THE_LINE.contains(self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EventKind {
    type Error = BadEventKind;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<EventKind> for String {
    fn from(kind: EventKind) -> Self {
        kind.0.into_owned()
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event as it is stored and decided.
///
/// ```json
/// {"id": "0199…", "tenant": "0199…", "kind": "inbound_sms", "channel": "sms", "contact": "0199…",
///  "occurred_at": "2026-11-21T08:00:00Z", "dedupe_key": null, "depth": 0, "data": {"body": "CITA", …}}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    pub tenant: TenantId,
    pub kind: EventKind,
    pub channel: Option<Channel>,
    pub contact: Option<ContactId>,
    pub occurred_at: Timestamp,
    /// Unique within the tenant; `None` where a row written in the same transaction already guards against repeats.
    pub dedupe_key: Option<String>,
    /// How many `emit`s lie between this event and one from outside; at most [`Event::MAX_DEPTH`].
    pub depth: u8,
    pub data: Value,
}

impl Event {
    /// An `emit` beyond this depth is refused: rules that emit each other in a circle must end.
    pub const MAX_DEPTH: u8 = 8;
}

/// `data` of an inbound message event: what the customer sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InboundData {
    /// The customer's number, E.164.
    pub from: String,
    /// Our number that was written to, E.164 (or what the provider gave where it is none).
    pub to: String,
    pub body: String,
    /// The provider's id of the message (`SM…`, `MM…`).
    pub provider_sid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    /// Text and payload of the WhatsApp button that was pressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub button: Option<Button>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The name the customer gave themselves: hostile text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// The provider's id of the message this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replied_to: Option<String>,
    /// `STOP`, `START` or `HELP` when the provider recognised the word, and so answered it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_out_type: Option<String>,
    /// Found by the catch-up, not brought by a webhook.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    pub url: String,
    pub content_type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Button {
    pub text: String,
    pub payload: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Location {
    pub latitude: f64,
    pub longitude: f64,
    pub address: String,
    pub label: String,
}

/// `data` of a `fallback_wanted` event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FallbackData {
    /// The action that came to nothing.
    pub message: String,
    /// What goes out by text message instead.
    pub text: String,
    /// Why it is wanted, for people.
    pub reason: String,
    /// From here on it makes no sense any more.
    pub expires_at: Option<Timestamp>,
}

/// `data` of what is told of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallData {
    /// Our id of the call.
    pub call: String,
    /// The provider's (`CA…`).
    pub sid: String,
    /// The send of ours that began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Who rang, and who was rung: E.164, or what the provider gave where it is none.
    pub from: String,
    pub to: String,
    pub status: String,
    /// What was pressed, else what was said: as a message's body, so that keywords work.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digits: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub speech: String,
    /// How sure the provider is of what was said: 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How the number that was dialled answered (`completed`, `busy`, `no-answer`…), or how a queue was left (`bridged`, `leave`…).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The leg to the number that was dialled: the provider's id, and how long it was spoken on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg_sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_s: Option<u32>,
    /// `human`, `machine_start` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<i64>,
    /// Why a call counts as missed or failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was said, line by line: with `call_completed`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<Line>,
    /// -1 to 1; where a conversation model was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

impl CallData {
    /// What was under way ended well: the caller was recorded, or somebody spoke with them.
    pub fn talked(&self) -> bool {
        self.outcome.as_deref().is_some_and(Self::is_talk)
    }

    pub fn is_talk(outcome: &str) -> bool {
        ["recorded", "completed", "bridged", "answered"].contains(&outcome)
    }

    /// Nobody has spoken with a caller whose dialling or queue has ended so; `hangup` is theirs, while they waited.
    pub fn reached_nobody(&self) -> bool {
        let nobody = ["busy", "no-answer", "failed", "canceled", "queue-full", "error", "system-error", "hangup"];
        self.outcome.as_deref().is_some_and(|outcome| nobody.contains(&outcome))
    }
}

/// One line of a transcript.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `caller` or `us`.
    pub who: String,
    pub text: String,
}

/// `data` of a `message_status` event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusData {
    pub message: String,
    pub status: String,
    pub error_code: Option<i64>,
}
