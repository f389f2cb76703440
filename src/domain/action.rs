//! What is to be done: sends, which go through the ledger, and effects, which are rows of our own.
//!
//! ```text
//!             gate says no
//!   planned, held ─────────▶ blocked            (final, with its reason; held ones by a person's word)
//!   │  ▲  ▲ └──────────────▶ held ──▶ planned   (loop guard; a person lets it go on)
//!   │  │  └── postponed, or retried later
//!   ▼  │
//!   sending ──▶ sent                            (final: the provider has taken it)
//!   │  ▲   └──▶ failed                          (final: the provider refused it for good)
//!   ▼  │
//!   unknown ──▶ sent                            (adopted: the provider's list shows it)
//!          ├──▶ planned                         (the complete list shows none after the grace: never taken; or a
//!          │                                      repeat does no harm)
//!          └──▶ failed                          (a request that nobody will ever say anything of; a person's word)
//!
//!   planned, sending, unknown, held, failed ──▶ sent    (adopted: the provider speaks of it, in a callback)
//! ```
//!
//! The last arrow goes against what we had made of an attempt: a callback may come before the answer to the create, after
//! we had given the attempt up or back, or where the answer said no though it was taken. What the provider tells is true: it
//! is not sent again, and does not count as failed. [`ActionState::ADOPTED`] are those states; a blocked one never left.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::{Awaited, Waiting};
use super::{Address, AppointmentId, CallState, Change, Channel, EventKind, Step, Timestamp};

/// One thing a rule wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Action {
    Send(Send),
    Request(HttpRequest),
    Effect(Effect),
    /// In the call that the event is of: said while the provider waits for the answer.
    Voice(Step),
}

impl Action {
    /// The action's stable name, as rules write it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Send(send) => send.kind(),
            Self::Request(_) => "http_request",
            Self::Effect(effect) => effect.kind(),
            Self::Voice(step) => step.kind(),
        }
    }
}

/// A message that leaves.
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
    /// An answer to the event's own message: it goes out from the number that was written to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reply: bool,
    /// What goes out as a text message instead where this cannot be sent or does not arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    #[serde(flatten)]
    pub body: SendBody,
}

impl Send {
    /// The text message that goes out in its place.
    pub fn instead(&self) -> Option<Self> {
        let (text, to) = (self.fallback.clone()?, self.to.phone()?.clone());
        let body = SendBody::Text(text);
        Some(Self { channel: Channel::Sms, to: to.into(), reply: false, fallback: None, body })
    }

    const fn kind(&self) -> &'static str {
        match (self.reply, self.channel, &self.body) {
            (true, _, _) => "reply",
            (_, _, SendBody::Template(_)) => "send_whatsapp_template",
            (_, Channel::Sms, _) => "send_sms",
            (_, Channel::WhatsApp, _) => "send_whatsapp",
            (_, Channel::Email, _) => "send_email",
            (_, Channel::Voice, _) => "call",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendBody {
    Text(String),
    Template(Template),
    Email(EmailBody),
    Call(CallBody),
}

impl SendBody {
    /// For lists: the words that leave, or what stands for them.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Template(template) => {
                let variables = template.variables.iter().map(|(name, value)| format!(" {name}={value}"));
                format!("template {}{}", template.content, variables.collect::<String>())
            }
            Self::Email(email) => format!("{}: {}", email.subject, email.text),
            Self::Call(call) => call.shown(),
        }
    }
}

/// What an e-mail says. Text is always there; HTML beside it for who shows that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailBody {
    pub subject: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

/// A call of ours: how it begins, and what is done where a machine answers. It begins at a rule's step, or with an agent,
/// or it is said and over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallBody {
    /// Whose `on_call` begins it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The voice agent that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Said, and then the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// The provider's name of a voice, such as `Polly.Lucia`; else the agent's, else the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// BCP 47, such as `es-ES`; else the agent's, else the business's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Without a word on machines nobody finds out whether one answers, and a person hears the first word sooner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<OnMachine>,
    /// What a machine is told; else what is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub record: bool,
    /// Seconds that it rings, 5 to 600; else the provider's 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u16>,
    /// What the call remembers from its beginning: `e.call.state`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, Value>,
}

/// What is done where a machine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMachine {
    #[serde(rename = "hangup")]
    HangUp,
    /// After its greeting it is told the message.
    Message,
    /// As with a person; rules see it in `e.call.answered_by`.
    GoOn,
}

impl OnMachine {
    pub const ALL: [Self; 3] = [Self::HangUp, Self::Message, Self::GoOn];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HangUp => "hangup",
            Self::Message => "message",
            Self::GoOn => "go_on",
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is nothing that can be done about a machine: use hangup, message or go_on")]
pub struct UnknownOnMachine(String);

impl FromStr for OnMachine {
    type Err = UnknownOnMachine;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownOnMachine(text.to_owned()))
    }
}

impl CallBody {
    /// Rings for so many seconds, at least and at most.
    pub const TIMEOUT_S: std::ops::RangeInclusive<u16> = 5..=600;

    /// For lists.
    pub fn shown(&self) -> String {
        match (&self.say, &self.step, &self.agent) {
            (Some(text), ..) => text.clone(),
            (None, Some(step), _) => format!("call, at the step {step}"),
            (None, None, Some(agent)) => format!("call, by the agent {agent}"),
            (None, None, None) => "call".to_owned(),
        }
    }

    /// What the call is when it is answered, by whom the provider says; `None` where nobody has looked.
    pub fn opening(&self, answered_by: Option<&str>) -> CallState {
        let say = |text: &String| vec![Step::say(text.clone()), Step::Hangup];
        let is_machine = answered_by.is_some_and(|who| who.starts_with("machine") || who == "fax");
        let mut state = CallState {
            vars: self.state.clone(),
            voice: self.voice.clone(),
            language: self.language.clone(),
            ..CallState::default()
        };
        match self.machine.filter(|_| is_machine) {
            Some(OnMachine::HangUp) => state.opening = vec![Step::Hangup],
            Some(OnMachine::Message) => {
                let message = self.message.as_ref().or(self.say.as_ref());
                state.opening = message.map_or_else(|| vec![Step::Hangup], say);
            }
            Some(OnMachine::GoOn) | None => {
                state.waiting =
                    self.step.clone().map(|step| Waiting { rule: self.rule.clone(), what: Awaited::Step(step) });
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

/// An HTTP request to somebody else's server.
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
    /// Done twice is done once (RFC 9110, 9.2.2).
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

/// A change in our own database, made in the very transaction that decides it: done once by nature.
///
/// ```json
/// {"effect": "tag", "tag": "member"}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
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
    /// As its customer may: within opening hours, ahead of now, at a free time. An event tells whether it was possible.
    MoveAppointment {
        appointment: AppointmentId,
        starts_at: Timestamp,
        /// What the rule wanted to remember: that event's `data.state`.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        state: Value,
    },
}

impl Effect {
    /// What it does with which appointment, where that can be told before it is done: a move may be refused.
    pub const fn of_appointment(&self) -> Option<(AppointmentId, Change)> {
        match self {
            Self::ConfirmAppointment { appointment } => Some((*appointment, Change::Confirm)),
            Self::CancelAppointment { appointment } => Some((*appointment, Change::Cancel)),
            _ => None,
        }
    }

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tag { .. } => "tag",
            Self::Untag { .. } => "untag",
            Self::SetField { .. } => "set_field",
            Self::Note { .. } => "note",
            Self::Emit { .. } => "emit",
            Self::ConfirmAppointment { .. } => "confirm_appointment",
            Self::CancelAppointment { .. } => "cancel_appointment",
            Self::MoveAppointment { .. } => "move_appointment",
        }
    }
}

/// Who began it: quiet hours and caps hold for what the business starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Decided by that customer's own message.
    Answer,
    /// Started by the business: a rule on another event.
    Business,
    /// Sent by a person by hand.
    Manual,
    /// Required by law or custom: the confirmation of a STOP. Passes the opt-out and the caps.
    System,
}

impl Origin {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Business => "business",
            Self::Manual => "manual",
            Self::System => "system",
        }
    }

    /// The stored name; anything else counts as started by the business, the strictest.
    pub fn from_stored(text: &str) -> Self {
        match text {
            "answer" => Self::Answer,
            "manual" => Self::Manual,
            "system" => Self::System,
            _ => Self::Business,
        }
    }
}

/// Where an action stands; drawn in the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// Waits for its due time and its turn.
    Planned,
    /// An attempt is committed and under way.
    Sending,
    /// The provider has taken it.
    Sent,
    /// The provider refused it for good, or it ran out of time.
    Failed,
    /// The gate said no; the reason is kept.
    Blocked,
    /// The loop guard stopped it; a person may let it go on.
    Held,
    /// An attempt ended without an answer: the provider may have taken it.
    Unknown,
    /// An effect, done in the deciding transaction.
    Done,
}

impl ActionState {
    pub const ALL: [Self; 8] =
        [Self::Planned, Self::Sending, Self::Sent, Self::Failed, Self::Blocked, Self::Held, Self::Unknown, Self::Done];

    /// From which it becomes sent when the provider speaks of it, whatever we knew.
    pub const ADOPTED: [Self; 5] = [Self::Planned, Self::Sending, Self::Unknown, Self::Failed, Self::Held];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Unknown => "unknown",
            Self::Done => "done",
        }
    }

    /// Whether the drawing has an arrow from this state to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        use ActionState::{Blocked, Failed, Held, Planned, Sending, Sent, Unknown};
        matches!(
            (self, next),
            (Planned, Sending | Blocked | Held | Failed)
                | (Held, Planned | Blocked)
                | (Sending, Sent | Failed | Unknown | Planned)
                | (Unknown, Sent | Failed | Planned)
                // Adopted.
                | (Planned | Held | Failed, Sent)
        )
    }

    /// Nothing more will be done by itself; a failed one may turn out to have been taken.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Blocked | Self::Done)
    }
}

impl fmt::Display for ActionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no action state")]
pub struct UnknownState(String);

impl FromStr for ActionState {
    type Err = UnknownState;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_believed_from_every_state_in_which_an_attempt_may_have_left() {
        for state in ActionState::ALL {
            assert_eq!(state.may_become(ActionState::Sent), ActionState::ADOPTED.contains(&state), "{state}");
        }
    }
}
