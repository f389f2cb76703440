//! Actions: sends and requests, which go through the ledger, and effects, which are rows of our own.
//!
//! ```text
//!             gate says no
//!   planned, held ─────────▶ blocked            (final, with its reason; a held one on an operator's order)
//!   │  ▲  ▲ └──────────────▶ held ──▶ planned   (loop guard; an operator releases it)
//!   │  │  └── postponed, or retried later
//!   ▼  │
//!   sending ──▶ sent                            (final: the provider has accepted it)
//!   │  ▲   └──▶ failed                          (final: the provider refused it for good)
//!   ▼  │
//!   unknown ──▶ sent                            (adopted: the provider's list shows it)
//!          ├──▶ planned                         (the complete list shows none after the grace: never accepted; or
//!          │                                      a repeat does no harm)
//!          ├──▶ failed                          (a request whose outcome will never be known; an operator's order)
//!          └──▶ blocked                         (after a restore: the customer had been answered before it)
//!
//!   planned, sending, unknown, held, failed ──▶ sent    (adopted: a callback of the provider reports it)
//! ```
//!
//! The last arrow overrides our own record of an attempt. A callback can come before the answer to the create request,
//! after the attempt was given up, or after an answer that said no although the provider had accepted it. The provider's
//! report is believed: the action is not sent again and does not count as failed. [`ActionState::ADOPTED`] lists those
//! states; a blocked action never left.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use strum::VariantArray;

use super::address::Address;
use super::appointment::Change;
use super::call::{Awaited, CallState, PendingInput, Step};
use super::channel::Channel;
use super::clock::Timestamp;
use super::event::EventKind;
use super::id::AppointmentId;

/// One thing that a rule wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Action {
    Send(Send),
    /// A send that has no address to go to. It is stored as blocked, with its reason.
    Unaddressed(Unaddressed),
    Request(HttpRequest),
    Effect(Effect),
    /// A step of the event's own call, answered while the provider waits.
    Voice(Step),
}

impl Action {
    /// The action's stable name, as rules write it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Send(send) => send.kind(),
            Self::Unaddressed(send) => kind_of_send(false, send.channel, &send.body),
            Self::Request(_) => "http_request",
            Self::Effect(effect) => effect.kind(),
            Self::Voice(step) => step.kind(),
        }
    }
}

/// An outbound message or call.
///
/// ```json
/// {"send": "sms", "to": "+34600111222", "reply": true, "text": "Hola"}
/// {"send": "whatsapp", "to": "+34600111222", "template": {"content": "HX…", "variables": {"1": "Ana"}}}
/// {"send": "email", "to": "ana@example.com", "email": {"subject": "Hola", "text": "Hola, Ana"}}
/// {"send": "voice", "to": "+34600111222", "call": {"rule": "confirm by phone", "step": "confirm"}}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    #[serde(rename = "send")]
    pub channel: Channel,
    pub to: Address,
    /// A reply to the event's own message: it leaves from the number that received it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reply: bool,
    /// The text message that goes out instead, if this cannot be sent or does not arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    #[serde(flatten)]
    pub body: SendBody,
}

impl Send {
    /// Makes the fallback: the text message that goes out in its place.
    pub fn instead(&self) -> Option<Self> {
        let (text, to) = (self.fallback.clone()?, self.to.phone()?.clone());
        let body = SendBody::Text(text);
        Some(Self { channel: Channel::Sms, to: to.into(), reply: false, fallback: None, body })
    }

    const fn kind(&self) -> &'static str {
        kind_of_send(self.reply, self.channel, &self.body)
    }
}

const fn kind_of_send(reply: bool, channel: Channel, body: &SendBody) -> &'static str {
    match (reply, body) {
        (true, _) => "reply",
        (_, SendBody::Template(_)) => "send_whatsapp_template",
        _ => channel.spec().rule_function,
    }
}

/// A message or call that a rule wanted to send, but to nobody: a customer without an e-mail address, no staff, a text that is
/// no number.
///
/// ```json
/// {"unaddressed": "email", "to": "staff", "email": {"subject": "A lead", "text": "Ana wrote."}}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unaddressed {
    #[serde(rename = "unaddressed")]
    pub channel: Channel,
    /// What the rule gave, as far as it can be shown.
    pub to: String,
    #[serde(flatten)]
    pub body: SendBody,
}

/// The content of a send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendBody {
    Text(String),
    Template(Template),
    Email(EmailBody),
    Call(CallBody),
}

impl SendBody {
    /// Describes the content in one text, for lists.
    pub fn summary(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Template(template) => {
                let variables = template.variables.iter().map(|(name, value)| format!(" {name}={value}"));
                format!("template {}{}", template.content, variables.collect::<String>())
            }
            Self::Email(email) => format!("{}: {}", email.subject, email.text),
            Self::Call(call) => call.summary(),
        }
    }
}

/// The content of an e-mail. The text is always there; HTML is optional.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailBody {
    pub subject: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

/// An outbound call: how it begins, and what happens if a machine answers. It begins at a step of a rule or with an agent,
/// or it says one text and ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallBody {
    /// The rule whose `on_call` begins it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The voice agent that conducts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// A text that is said before the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// The provider's name of a voice, such as `Polly.Lucia`. By default the agent's voice, or else the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// A BCP 47 tag, such as `es-ES`. By default the agent's language, or else the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// If this is not set, no machine detection takes place, and a person hears the first word sooner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<OnMachine>,
    /// The text for a machine. By default the same as `say`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub record: bool,
    /// Ringing time in seconds, 5 to 600. The provider's default is 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u16>,
    /// The first content of `e.call.state`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, Value>,
}

/// The reaction to an answering machine.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str, parse_err_ty = UnknownOnMachine, parse_err_fn = UnknownOnMachine::new)]
pub enum OnMachine {
    #[serde(rename = "hangup")]
    #[strum(serialize = "hangup")]
    HangUp,
    /// The message is said after the machine's greeting.
    Message,
    /// The call goes on as with a person; rules read `e.call.answered_by`.
    GoOn,
}

impl OnMachine {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// A name that is not one of [`OnMachine`].
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is nothing that can be done about a machine: use hangup, message or go_on")]
pub struct UnknownOnMachine(String);

impl UnknownOnMachine {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl CallBody {
    /// The range of `timeout_s`.
    pub const TIMEOUT_S: std::ops::RangeInclusive<u16> = 5..=600;

    /// Describes the call in one text, for lists.
    pub fn summary(&self) -> String {
        match (&self.say, &self.step, &self.agent) {
            (Some(text), ..) => text.clone(),
            (None, Some(step), _) => format!("call, at the step {step}"),
            (None, None, Some(agent)) => format!("call, by the agent {agent}"),
            (None, None, None) => "call".to_owned(),
        }
    }

    /// The state of the call before it is answered: what rules gave it, for the event of a call that never is.
    pub fn unopened(&self) -> CallState {
        CallState {
            vars: self.state.clone(),
            voice: self.voice.clone(),
            language: self.language.clone(),
            ..CallState::default()
        }
    }

    /// The state of the call when it is answered. `answered_by` is the result of the machine detection, if it took place.
    pub fn opening(&self, answered_by: Option<&str>) -> CallState {
        let say = |text: &String| vec![Step::say(text.clone()), Step::Hangup];
        let is_machine = answered_by.is_some_and(|who| who.starts_with("machine") || who == "fax");
        let mut state = self.unopened();
        match self.machine.filter(|_| is_machine) {
            Some(OnMachine::HangUp) => state.opening = vec![Step::Hangup],
            Some(OnMachine::Message) => {
                let message = self.message.as_ref().or(self.say.as_ref());
                state.opening = message.map_or_else(|| vec![Step::Hangup], say);
            }
            Some(OnMachine::GoOn) | None => {
                state.waiting =
                    self.step.clone().map(|step| PendingInput { rule: self.rule.clone(), what: Awaited::Step(step) });
                state.opening = match (&self.say, &self.agent) {
                    (Some(text), _) => say(text),
                    (None, Some(agent)) => vec![Step::ConnectAgent { agent: Some(agent.clone()) }],
                    (None, None) => Vec::new(),
                };
            }
        }
        state
    }
}

/// An HTTP request to a server of the tenant's choice.
///
/// ```json
/// {"method": "POST", "url": "https://example.com/hook", "headers": {"content-type": "application/json"}, "body": "{}"}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    pub method: HttpMethod,
    pub url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// A method of an HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl HttpMethod {
    /// Whether a repeat has no further effect (RFC 9110, 9.2.2).
    pub const fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Put | Self::Delete)
    }
}

/// An approved WhatsApp template: Twilio's Content SID (or the tenant's name for it) and its variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    pub content: String,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A change in our own database. The deciding transaction makes it, so it happens exactly once.
///
/// ```json
/// {"effect": "tag", "tag": "member"}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "effect", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Effect {
    Tag {
        tag: String,
    },
    Untag {
        tag: String,
    },
    SetField {
        field: String,
        value: Value,
    },
    Note {
        text: String,
    },
    Emit {
        kind: EventKind,
        data: Value,
    },
    ConfirmAppointment {
        appointment: AppointmentId,
    },
    CancelAppointment {
        appointment: AppointmentId,
    },
    /// Moves it as its customer may: within opening hours, in the future, to a free time. An event reports the result.
    MoveAppointment {
        appointment: AppointmentId,
        starts_at: Timestamp,
        /// A value of the rule's own, which becomes that event's `data.state`.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        state: Value,
    },
}

impl Effect {
    /// The appointment and its change, if the result is known in advance; a move may be refused.
    pub const fn appointment_change(&self) -> Option<(AppointmentId, Change)> {
        match self {
            Self::ConfirmAppointment { appointment } => Some((*appointment, Change::Confirm)),
            Self::CancelAppointment { appointment } => Some((*appointment, Change::Cancel)),
            _ => None,
        }
    }

    /// The effect's stable name, as rules write it.
    pub const fn kind(&self) -> &'static str {
        self.into_str()
    }
}

/// The origin of a send. Quiet hours and caps apply to sends that the business starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum Origin {
    /// Decided by that customer's own message.
    Answer,
    /// Started by the business: a rule on another event.
    Business,
    /// Sent by a person by hand.
    Manual,
    /// Required by law or custom: the confirmation of a STOP. It passes the opt-out and the caps.
    System,
}

impl Origin {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Reads a stored name. An unknown one counts as started by the business, which is the strictest.
    pub fn from_stored(text: &str) -> Self {
        text.parse().unwrap_or(Self::Business)
    }
}

/// The state of an action; the module's documentation has the drawing.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::EnumString,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase", const_into_str, parse_err_ty = UnknownState, parse_err_fn = UnknownState::new)]
pub enum ActionState {
    /// Waits for its due time and its turn.
    Planned,
    /// An attempt is committed and under way.
    Sending,
    /// The provider has accepted it.
    Sent,
    /// The provider refused it for good, or it ran out of time.
    Failed,
    /// The gate said no; the reason is kept.
    Blocked,
    /// The loop guard stopped it; an operator can release it.
    Held,
    /// An attempt ended without an answer: the provider may have accepted it.
    Unknown,
    /// An effect, made in the deciding transaction.
    Done,
}

impl ActionState {
    /// The states from which a report of the provider makes it sent.
    pub const ADOPTED: [Self; 5] = [Self::Planned, Self::Sending, Self::Unknown, Self::Failed, Self::Held];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Whether the drawing above has an arrow from this state to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        use ActionState::{Blocked, Failed, Held, Planned, Sending, Sent, Unknown};
        matches!(
            (self, next),
            (Planned, Sending | Blocked | Held | Failed)
                | (Held, Planned | Blocked)
                | (Sending, Sent | Failed | Unknown | Planned)
                | (Unknown, Sent | Failed | Planned | Blocked)
                // Adopted.
                | (Planned | Held | Failed, Sent)
        )
    }

    /// Nothing more happens by itself. A failed action may still turn out to have been accepted.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Blocked | Self::Done)
    }
}

/// A name that is not one of [`ActionState`].
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no action state")]
pub struct UnknownState(String);

impl UnknownState {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_believed_from_every_state_in_which_an_attempt_may_have_left() {
        for state in ActionState::VARIANTS.iter().copied() {
            assert_eq!(state.may_become(ActionState::Sent), ActionState::ADOPTED.contains(&state), "{state}");
        }
    }
}
