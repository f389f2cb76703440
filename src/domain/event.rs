//! An event: something that happened. It is stored before anything else handles it.
//!
//! [`crate::domain::event_kinds`] lists the kinds with their data.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::channel::Channel;
use super::clock::Timestamp;
use super::event_kinds::EVENT_KINDS;
use super::id::{ContactId, EventId, TenantId};

/// The kind of an event: a stable name such as `inbound_sms`: lower case letters, digits and `_`, at most [`EventKind::MAX_LEN`] bytes.
///
/// To rename a kind, let `rule.on(…)` accept the old and the new name for one release, then migrate the rows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventKind(Cow<'static, str>);

/// The text is no event kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' cannot be an event kind: use lower case letters, digits and _, beginning with a letter, at most 64")]
pub struct BadEventKind(String);

impl EventKind {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// A text message came in. `data` is an [`InboundData`].
    pub const INBOUND_SMS: Self = Self(Cow::Borrowed("inbound_sms"));
    /// A WhatsApp message came in. `data` is an [`InboundData`].
    pub const INBOUND_WHATSAPP: Self = Self(Cow::Borrowed("inbound_whatsapp"));
    /// An RCS message came in. `data` is an [`InboundData`].
    pub const INBOUND_RCS: Self = Self(Cow::Borrowed("inbound_rcs"));
    /// An e-mail came in. The name is reserved: nothing receives e-mails.
    pub const INBOUND_EMAIL: Self = Self(Cow::Borrowed("inbound_email"));
    /// The provider reported a delivery status. `data` is a [`StatusData`].
    pub const MESSAGE_STATUS: Self = Self(Cow::Borrowed("message_status"));
    /// A customer opted out (STOP). `data` has `channel` and `word`.
    pub const OPTED_OUT: Self = Self(Cow::Borrowed("opted_out"));
    /// A customer opted in again (START). `data` has `channel` and `word`.
    pub const OPTED_IN: Self = Self(Cow::Borrowed("opted_in"));
    /// A person sent a message (`recado send`). The send is the one action of this event.
    pub const MANUAL: Self = Self(Cow::Borrowed("manual"));
    /// An appointment was booked. `data.appointment` is its [`super::appointment::AppointmentFacts`] afterwards, `data.by` who
    /// did it. A moved one also has `data.previous_starts_at`, and `data.state` if a rule gave one.
    pub const APPOINTMENT_BOOKED: Self = Self(Cow::Borrowed("appointment_booked"));
    pub const APPOINTMENT_CONFIRMED: Self = Self(Cow::Borrowed("appointment_confirmed"));
    pub const APPOINTMENT_MOVED: Self = Self(Cow::Borrowed("appointment_moved"));
    pub const APPOINTMENT_CANCELLED: Self = Self(Cow::Borrowed("appointment_cancelled"));
    pub const APPOINTMENT_COMPLETED: Self = Self(Cow::Borrowed("appointment_completed"));
    pub const APPOINTMENT_NO_SHOW: Self = Self(Cow::Borrowed("appointment_no_show"));
    /// A rule wanted to move an appointment, and that was not possible. `data.appointment` is the unchanged appointment,
    /// `data.wanted` the wanted time, `data.reason` the API's name for the reason, `data.state` as for a moved one.
    pub const APPOINTMENT_MOVE_REFUSED: Self = Self(Cow::Borrowed("appointment_move_refused"));

    /// A message with a fallback cannot be sent, or has not arrived. `data` is a [`FallbackData`].
    pub const FALLBACK_WANTED: Self = Self(Cow::Borrowed("fallback_wanted"));
    /// A customer opened a review link. Each review event happens at most once for a link. `data.request` is the event that
    /// the link was made for, `data.score` is 1 to 5, `data.text` is the private feedback.
    pub const REVIEW_OPENED: Self = Self(Cow::Borrowed("review_opened"));
    pub const REVIEW_SCORED: Self = Self(Cow::Borrowed("review_scored"));
    pub const REVIEW_FEEDBACK: Self = Self(Cow::Borrowed("review_feedback"));

    /// The kinds during which a customer is on the line and hears what is said next.
    pub const ON_THE_LINE: [Self; 3] = [Self::CALL_RECEIVED, Self::CALL_OPENED, Self::CALL_INPUT];

    /// A customer calls. `data` is a [`CallData`], as for every call event.
    pub const CALL_RECEIVED: Self = Self(Cow::Borrowed("call_received"));
    /// A called customer has answered, and hears what is said next.
    pub const CALL_OPENED: Self = Self(Cow::Borrowed("call_opened"));
    /// Keys or words came in a call, or none came in time; or a step such as a recording ended.
    pub const CALL_INPUT: Self = Self(Cow::Borrowed("call_input"));
    /// The call is under way.
    pub const CALL_ANSWERED: Self = Self(Cow::Borrowed("call_answered"));
    /// The call was not answered, or ended before anything was said, depending on the tenant's settings.
    pub const CALL_MISSED: Self = Self(Cow::Borrowed("call_missed"));
    /// The call has ended.
    pub const CALL_COMPLETED: Self = Self(Cow::Borrowed("call_completed"));
    /// The call failed: an error, an unknown number, cancelled. An outbound call also if it was busy or not answered.
    pub const CALL_FAILED: Self = Self(Cow::Borrowed("call_failed"));
    /// A recording can be heard at `data.recording_url`.
    pub const RECORDING_READY: Self = Self(Cow::Borrowed("recording_ready"));

    /// A campaign was set up. The calls and messages of its members belong to this event.
    pub const CAMPAIGN: Self = Self(Cow::Borrowed("campaign"));
    /// A caller left a message for the staff with an agent: `data.body`, and `data.from` where the number is known.
    pub const MESSAGE_LEFT: Self = Self(Cow::Borrowed("message_left"));

    /// A timer is due. `data` is its payload with a [`super::timer::Fired`] as `timer`. Only one rule is evaluated.
    pub const TIMER: Self = Self(Cow::Borrowed("timer"));

    /// Parses a kind, built in or not.
    pub fn parse(text: &str) -> Result<Self, BadEventKind> {
        let good = text.len() <= Self::MAX_LEN
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if good { Ok(Self(text.to_owned().into())) } else { Err(BadEventKind(text.chars().take(64).collect())) }
    }

    /// The kind of an inbound message or call on a channel.
    pub const fn inbound(channel: Channel) -> Self {
        Self(std::borrow::Cow::Borrowed(channel.spec().inbound_event))
    }

    /// Returns the channel if such an event is a customer's message; `None` for all other kinds.
    pub fn inbound_channel(&self) -> Option<Channel> {
        Channel::INBOUND.into_iter().find(|channel| Self::inbound(*channel) == *self)
    }

    /// Returns whether only the engine makes such events.
    pub fn is_built_in(&self) -> bool {
        EVENT_KINDS.iter().any(|info| info.kind == *self)
    }

    /// Returns whether a customer is on the line and hears what is said next.
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
    /// Unique within the tenant; `None` if a row of the same transaction already prevents repeats.
    pub dedupe_key: Option<String>,
    /// The number of `emit`s between an outside event and this one; at most [`Event::MAX_DEPTH`].
    pub depth: u8,
    pub data: Value,
}

impl Event {
    /// An `emit` beyond this depth is refused, so that rules that emit each other in a circle end.
    pub const MAX_DEPTH: u8 = 8;
}

/// The `data` of an inbound message: what the customer sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InboundData {
    /// The customer's number, E.164.
    pub from: String,
    /// Our number that was written to, E.164, or the provider's text if it is no number.
    pub to: String,
    pub body: String,
    /// The provider's id of the message (`SM…`, `MM…`).
    pub provider_sid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    /// The WhatsApp button that was pressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub button: Option<Button>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The name that the customer gave themselves. It is untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// The provider's id of the message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replied_to: Option<String>,
    /// `STOP`, `START` or `HELP` if the provider recognised the word and answered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_out_type: Option<String>,
    /// The catch-up found the message; no webhook brought it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The provider's fields that were not usable. The message was taken without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
}

/// An attachment.
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

/// The `data` of a `fallback_wanted` event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FallbackData {
    /// The id of the send that failed.
    pub message: String,
    /// The text to send by text message instead.
    pub text: String,
    /// Why the fallback is needed, for people.
    pub reason: String,
    /// The time after which the fallback makes no sense.
    pub expires_at: Option<Timestamp>,
}

/// The `data` of a call event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallData {
    /// Our id of the call.
    pub call: String,
    /// The provider's id of the call (`CA…`).
    pub sid: String,
    /// The send that placed the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The calling number, E.164, or the provider's text if it is no number.
    pub from: String,
    /// The called number.
    pub to: String,
    pub status: String,
    /// The keys, or else the words. It has the name of a message's text, so that keywords work.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digits: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub speech: String,
    /// The provider's confidence in the words, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How a dialled number answered (`completed`, `busy`, `no-answer`…), or how a queue was left (`bridged`, `leave`…).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The provider's id of the leg to the dialled number.
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
    /// The lines that were said; with `call_completed`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<TranscriptLine>,
    /// The provider's fields that were not usable. The call goes on without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// -1 to 1, if a conversation model was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

impl CallData {
    /// Returns whether the step succeeded: the caller was recorded, or somebody spoke with them.
    pub fn talked(&self) -> bool {
        self.outcome.as_deref().is_some_and(Self::is_talk)
    }

    /// Returns whether an outcome means that the caller was recorded or spoken with.
    pub fn is_talk(outcome: &str) -> bool {
        ["recorded", "completed", "bridged", "answered"].contains(&outcome)
    }

    /// Returns whether nobody spoke with the caller. `hangup` means that the caller hung up while waiting.
    pub fn reached_nobody(&self) -> bool {
        let nobody = ["busy", "no-answer", "failed", "canceled", "queue-full", "error", "system-error", "hangup"];
        self.outcome.as_deref().is_some_and(|outcome| nobody.contains(&outcome))
    }
}

/// One line of a transcript.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscriptLine {
    /// `caller` or `us`.
    pub who: String,
    pub text: String,
}

/// The `data` of a `message_status` event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusData {
    pub message: String,
    pub status: String,
    pub error_code: Option<i64>,
}
