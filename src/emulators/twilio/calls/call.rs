//! A stored call: Twilio's resource, and its events.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::answer::rfc2822;
use crate::domain::Timestamp;

/// Limit of stored events of one call; the oldest are dropped.
const ENTRIES_MAX: usize = 2_000;
/// Limit of their texts, together.
const ENTRIES_MAX_BYTES: usize = 256 * 1024;

/// Twilio's call status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(const_into_str, serialize_all = "kebab-case")]
pub enum CallStatus {
    Queued,
    Ringing,
    InProgress,
    Completed,
    Busy,
    Failed,
    NoAnswer,
    Canceled,
}

impl CallStatus {
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// True if the call has ended.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Ringing | Self::InProgress)
    }
}

/// The direction of a call, as seen by the business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "kebab-case")]
pub enum CallDirection {
    Inbound,
    OutboundApi,
    /// The other leg of a `<Dial>`.
    OutboundDial,
}

impl CallDirection {
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// An event of a call: `{"at": "…", "kind": "heard", "text": "Hola", "voice": null, "language": "es-ES"}`
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CallEvent {
    Status {
        status: CallStatus,
    },
    /// `<Say>` spoke a text to the other side.
    #[serde(rename = "heard")]
    Said {
        text: String,
        voice: Option<String>,
        language: Option<String>,
    },
    /// A sound file or tones were played to the other side.
    Played {
        url: String,
        digits: Option<String>,
    },
    Paused {
        seconds: u64,
    },
    /// A `<Gather>` or a `<Record>` waits for input.
    Prompted {
        verb: &'static str,
        input: String,
        timeout_s: u64,
        num_digits: Option<u64>,
        finish_on_key: String,
    },
    Pressed {
        digits: String,
    },
    Spoke {
        text: String,
        confidence: Option<f64>,
    },
    Silent,
    HungUp {
        by: HungUpBy,
    },
    /// A webhook was requested.
    Requested {
        url: String,
        method: &'static str,
        params: Vec<(String, String)>,
        /// Until the answer, all attempts together.
        ms: u64,
        /// HTTP status; absent without an answer.
        status: Option<u16>,
        error: Option<u32>,
    },
    /// The document that a webhook answered.
    Document {
        text: String,
    },
    Recorded {
        sid: String,
        url: String,
        seconds: u64,
    },
    Dialled {
        sid: String,
        to: String,
        status: CallStatus,
    },
    /// In a queue: `entered`, or the `QueueResult`.
    Queue {
        name: String,
        what: &'static str,
    },
    Stream {
        sid: String,
        what: &'static str,
        detail: String,
    },
    Messaged {
        sid: String,
        to: String,
        body: String,
    },
    /// Twilio's error code.
    Fault {
        code: u32,
        why: String,
    },
}

impl CallEvent {
    /// Returns its approximate size.
    fn bytes(&self) -> usize {
        64 + match self {
            Self::Said { text, .. } | Self::Spoke { text, .. } | Self::Document { text } => text.len(),
            Self::Requested { url, params, .. } => {
                url.len() + params.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
            }
            Self::Played { url, .. } | Self::Recorded { url, .. } => url.len(),
            Self::Fault { why: text, .. } | Self::Messaged { body: text, .. } | Self::Stream { detail: text, .. } => {
                text.len()
            }
            _ => 0,
        }
    }
}

/// The side that ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HungUpBy {
    /// The person at the other end.
    Party,
    /// The document: `<Hangup>`, `<Reject>` or its end.
    Document,
    /// A client of the REST API.
    Api,
}

/// A recorded event of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallLogEntry {
    /// Counts from 1 within the call.
    pub number: u64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub what: CallEvent,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    pub sid: String,
    pub account_sid: String,
    /// The call whose `<Dial>` created this one.
    pub parent_sid: Option<String>,
    pub from: String,
    pub to: String,
    pub direction: CallDirection,
    pub status: CallStatus,
    /// Twilio's value, after the answering machine detection.
    pub answered_by: Option<&'static str>,
    pub forwarded_from: Option<String>,
    pub caller_name: Option<String>,
    /// A person acts as the other side: prompts wait for them.
    pub live: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When the call was dialled.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// From the answer to the end.
    pub duration: Duration,
    /// Twilio's code of the fault that ended it.
    pub error: Option<u32>,
    /// Its events, oldest first.
    pub entries: VecDeque<CallLogEntry>,
    /// Number of events, including dropped ones.
    pub happened: u64,
    bytes: usize,
    /// Number of its last change, over all calls.
    pub seq: u64,
}

impl Call {
    /// Creates a queued call without addresses.
    pub fn new(sid: String, account_sid: String, direction: CallDirection, now: Timestamp) -> Self {
        Self {
            sid,
            account_sid,
            parent_sid: None,
            from: String::new(),
            to: String::new(),
            direction,
            status: CallStatus::Queued,
            answered_by: None,
            forwarded_from: None,
            caller_name: None,
            live: false,
            created_at: now,
            updated_at: now,
            started_at: None,
            ended_at: None,
            duration: Duration::ZERO,
            error: None,
            entries: VecDeque::new(),
            happened: 0,
            bytes: 0,
            seq: 0,
        }
    }

    /// Records an event, and drops the oldest beyond the limits.
    pub fn add(&mut self, at: Timestamp, what: CallEvent) {
        self.happened += 1;
        self.bytes += what.bytes();
        self.entries.push_back(CallLogEntry { number: self.happened, at, what });
        while self.entries.len() > ENTRIES_MAX || self.bytes > ENTRIES_MAX_BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.what.bytes();
        }
    }

    /// Returns the other end: the caller of an inbound call, or the called number.
    pub fn customer(&self) -> &str {
        if self.direction == CallDirection::Inbound { &self.from } else { &self.to }
    }

    /// Returns the texts that were said to the other side, in order.
    pub fn said(&self) -> Vec<&str> {
        let said = self.entries.iter().filter_map(|entry| match &entry.what {
            CallEvent::Said { text, .. } => Some(text.as_str()),
            _ => None,
        });
        said.collect()
    }

    /// Returns the billed seconds: each begun second counts.
    pub fn duration_s(&self) -> u64 {
        self.duration.as_millis().div_ceil(1_000) as u64
    }

    /// Formats the call as Twilio's resource.
    pub fn resource(&self) -> Value {
        let path = format!("/2010-04-01/Accounts/{}/Calls/{}", self.account_sid, self.sid);
        let below = |name: &str| format!("{path}/{name}.json");
        json!({
            "sid": self.sid,
            "account_sid": self.account_sid,
            "parent_call_sid": self.parent_sid,
            "from": self.from,
            "from_formatted": self.from,
            "to": self.to,
            "to_formatted": self.to,
            "phone_number_sid": null,
            "status": self.status.as_str(),
            "direction": self.direction.as_str(),
            "answered_by": self.answered_by,
            "forwarded_from": self.forwarded_from,
            "caller_name": self.caller_name,
            "start_time": self.started_at.map(rfc2822),
            "end_time": self.ended_at.map(rfc2822),
            "duration": self.ended_at.map(|_| self.duration_s().to_string()),
            "date_created": rfc2822(self.created_at),
            "date_updated": rfc2822(self.updated_at),
            "price": null,
            "price_unit": "USD",
            "queue_time": "0",
            "annotation": null,
            "group_sid": null,
            "trunk_sid": null,
            "api_version": "2010-04-01",
            "subresource_uris": {"recordings": below("Recordings"), "events": below("Events")},
            "uri": format!("{path}.json"),
        })
    }
}
