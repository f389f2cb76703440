//! A call as the carrier remembers it: Twilio's resource, and everything that happened in it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::rfc2822;
use crate::domain::Timestamp;

/// Of what happened in one call; the oldest go.
const ENTRIES_MAX: usize = 2_000;
/// Of their texts together.
const ENTRIES_MAX_BYTES: usize = 256 * 1024;

/// Twilio's words for how far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
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
        match self {
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::NoAnswer => "no-answer",
            Self::Canceled => "canceled",
        }
    }

    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Ringing | Self::InProgress)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallDirection {
    Inbound,
    OutboundApi,
    /// The other leg of a `<Dial>`.
    OutboundDial,
}

impl CallDirection {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundDial => "outbound-dial",
        }
    }
}

/// What happens in a call: `{"at": "…", "kind": "heard", "text": "Hola", "voice": null, "language": "es-ES"}`
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happening {
    Status {
        status: CallStatus,
    },
    /// The other side hears speech.
    Heard {
        text: String,
        voice: Option<String>,
        language: Option<String>,
    },
    /// It hears a sound file, or the tones of digits.
    Played {
        url: String,
        digits: Option<String>,
    },
    Paused {
        seconds: u64,
    },
    /// A `<Gather>` or a `<Record>` waits for it.
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
    /// A webhook was asked.
    Requested {
        url: String,
        method: &'static str,
        params: Vec<(String, String)>,
        /// Until the answer was there, all tries together.
        ms: u64,
        /// HTTP; absent where no answer came.
        status: Option<u16>,
        error: Option<u32>,
    },
    /// What it answered.
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
    /// In a queue: `entered`, or why it was left, as `QueueResult` says it.
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
    /// Twilio's code of what went wrong.
    Fault {
        code: u32,
        why: String,
    },
}

impl Happening {
    /// About how much it holds.
    fn bytes(&self) -> usize {
        64 + match self {
            Self::Heard { text, .. } | Self::Spoke { text, .. } | Self::Document { text } => text.len(),
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HungUpBy {
    /// The person at the other end.
    Party,
    /// The document, by `<Hangup>`, by `<Reject>` or by its end.
    Document,
    /// Whoever asked for it over the REST API.
    Api,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Counts from 1 within the call.
    pub number: u64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub what: Happening,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub sid: String,
    pub account_sid: String,
    /// The call whose `<Dial>` began this one.
    pub parent_sid: Option<String>,
    pub from: String,
    pub to: String,
    pub direction: CallDirection,
    pub status: CallStatus,
    /// Twilio's word, once answering machines have been looked for.
    pub answered_by: Option<&'static str>,
    pub forwarded_from: Option<String>,
    pub caller_name: Option<String>,
    /// A person acts for whoever is called or calls: prompts wait for them.
    pub live: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When it was dialled.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// From the answer to the end.
    pub duration: Duration,
    /// Twilio's code of what ended it.
    pub error: Option<u32>,
    /// What happened in it, the oldest first.
    pub entries: VecDeque<Entry>,
    /// How much has happened, what has gone from `entries` too.
    pub happened: u64,
    bytes: usize,
    /// The number of its last change, over all calls.
    pub seq: u64,
}

impl Call {
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

    pub fn add(&mut self, at: Timestamp, what: Happening) {
        self.happened += 1;
        self.bytes += what.bytes();
        self.entries.push_back(Entry { number: self.happened, at, what });
        while self.entries.len() > ENTRIES_MAX || self.bytes > ENTRIES_MAX_BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.what.bytes();
        }
    }

    /// Who is at the other end: who calls us, or is called.
    pub fn customer(&self) -> &str {
        if self.direction == CallDirection::Inbound { &self.from } else { &self.to }
    }

    /// What was heard, in order.
    pub fn heard(&self) -> Vec<&str> {
        let heard = self.entries.iter().filter_map(|entry| match &entry.what {
            Happening::Heard { text, .. } => Some(text.as_str()),
            _ => None,
        });
        heard.collect()
    }

    /// Seconds begun, as they are billed.
    pub fn duration_s(&self) -> u64 {
        self.duration.as_millis().div_ceil(1_000) as u64
    }

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
