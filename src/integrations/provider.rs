//! Outcomes of a send, the same for all providers, by what the ledger may do next.

use std::time::Duration;

use crate::domain::DeliveryStatus;

/// The provider accepted the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The provider's id of the message.
    pub sid: String,
    pub status: DeliveryStatus,
    /// Status of the answer, if it came by HTTP.
    pub http_status: Option<u16>,
    /// Why the acceptance is doubtful, for people. It is not repeated all the same.
    pub doubt: Option<String>,
}

/// The provider did not accept the message, or the outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFailure {
    pub kind: FailureKind,
    /// Status of the answer, if there is one and it came by HTTP.
    pub http_status: Option<u16>,
    /// The provider's own code: Twilio's error code, SMTP's reply code.
    pub code: Option<i64>,
    /// Tells a person what happened and what to do. Contains neither secrets nor the message.
    pub detail: String,
}

/// The kinds of failures, by what may be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Not accepted, and nothing else will be at the moment: no connection, too many requests, unavailable. Holds the
    /// provider's own wait, if given.
    Busy { retry_after: Option<Duration> },
    /// The credentials are refused: nothing passes until a person changes them.
    Credentials,
    /// Not accepted now, perhaps later: retry `after` the first try, doubling each time, at most `tries` times.
    Later { after: Duration, tries: u32 },
    /// Never accepted.
    Refused,
    /// Accepted or not: never repeat it blindly.
    Unknown,
}
