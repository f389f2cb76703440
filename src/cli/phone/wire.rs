//! The JSON of the carrier's control routes.

use serde::{Deserialize, Serialize};

use crate::domain::{Channel, Timestamp};

/// A number of the carrier on which a business answers.
#[derive(Clone, Debug, Deserialize)]
pub struct Number {
    pub number: String,
    pub label: Option<String>,
    /// The webhook for texts; `None` where the number has none.
    pub sms_url: Option<String>,
    pub whatsapp_url: Option<String>,
    /// The webhook for calls.
    #[serde(default)]
    pub voice_url: Option<String>,
}

/// A text of a customer: `{"from": "+34600111222", "to": "+15005550006", "channel": "sms", "body": "HOLA"}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    pub from: String,
    pub to: String,
    pub channel: Channel,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub button: Option<Button>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// The SID of the message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Button {
    pub text: String,
    pub payload: String,
}

/// The response to an accepted [`Text`].
#[derive(Clone, Debug, Deserialize)]
pub struct Taken {
    pub message: Message,
}

/// A page of a customer's messages, oldest first.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    pub seq: u64,
    pub messages: Vec<Message>,
}

/// The direction as the business sees it: the customer's texts are inbound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Inbound,
    Outbound,
}

/// A message as it stands now. It is delivered again with a higher `seq` when something about it changes.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    pub seq: u64,
    pub sid: String,
    pub direction: Direction,
    pub channel: Channel,
    pub from: Option<String>,
    pub to: String,
    pub body: Option<String>,
    #[serde(default)]
    pub media: Vec<String>,
    pub template: Option<Template>,
    /// Twilio's status, such as `delivered`.
    pub status: String,
    pub error_code: Option<i64>,
    pub reply_to: Option<String>,
    /// The result of the webhook for a customer's text; `None` while it is unknown.
    pub webhook: Option<Webhook>,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Template {
    /// The text, with its variables filled in.
    pub body: Option<String>,
    #[serde(default)]
    pub buttons: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Webhook {
    /// `None` where no response came.
    pub status: Option<u16>,
    /// Twilio's error code, or a text.
    pub error: Option<Why>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Why {
    Code(i64),
    Words(String),
}

impl Message {
    /// The business's number, without the channel's prefix.
    pub fn business(&self) -> &str {
        let number = match self.direction {
            Direction::Inbound => &self.to,
            Direction::Outbound => self.from.as_deref().unwrap_or_default(),
        };
        number.strip_prefix(self.channel.spec().prefix).unwrap_or(number)
    }
}

/// A call as it stands, with what has happened since the last request.
#[derive(Clone, Debug, Deserialize)]
pub struct CallSnapshot {
    pub sid: String,
    /// Twilio's direction: `inbound` is the customer's own call.
    pub direction: String,
    pub from: String,
    /// Twilio's status, such as `in-progress`.
    pub status: String,
    pub live: bool,
    pub duration_ms: u64,
    /// Twilio's error code.
    pub error: Option<u32>,
    #[serde(default)]
    pub entries: Vec<CallLogEntry>,
}

impl CallSnapshot {
    /// True if the call waits for a person to answer it.
    pub fn rings(&self) -> bool {
        self.live && self.direction != "inbound" && self.status == "ringing"
    }

    pub fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "queued" | "ringing" | "in-progress")
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct Calls {
    pub seq: u64,
    pub calls: Vec<CallSnapshot>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct CallLogEntry {
    pub number: u64,
    #[serde(flatten)]
    pub what: CallEvent,
}

/// An event of a call, from the customer's side.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CallEvent {
    #[serde(rename = "heard")]
    Said {
        text: String,
    },
    Played {
        url: String,
        digits: Option<String>,
    },
    Prompted {
        input: String,
    },
    Pressed {
        digits: String,
    },
    Spoke {
        text: String,
    },
    Silent,
    Fault {
        code: u32,
        why: String,
    },
    #[serde(other)]
    Other,
}

impl CallEvent {
    /// True if the customer did it.
    pub const fn is_mine(&self) -> bool {
        matches!(self, Self::Pressed { .. } | Self::Spoke { .. } | Self::Silent)
    }
}

/// An act of the customer in a call: `{"digits": "1"}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CallAct {
    Answer { answer: bool },
    Digits { digits: String },
    Speech { speech: String },
    Silence { silence: bool },
    Hangup { hangup: bool },
}
