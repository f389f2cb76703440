//! What a provider answers to a send, whichever it is: sorted by what the ledger may do next.

use std::time::Duration;

use crate::domain::DeliveryStatus;

/// The provider has taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The provider's own id of it.
    pub sid: String,
    pub status: DeliveryStatus,
    /// Of the answer, where it came over HTTP.
    pub http_status: Option<u16>,
}

/// It has not, or nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    pub what: Failure,
    /// Of the answer, where there is one and it came over HTTP.
    pub http_status: Option<u16>,
    /// The provider's own code: Twilio's error, SMTP's reply.
    pub code: Option<i64>,
    /// For people: what happened and what to do. Neither a secret nor the message is in it.
    pub detail: String,
}

/// Sorted by what may be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Surely not taken, and so it is for everything sent there now: no connection, too many requests, not available.
    /// With the provider's own wait if it gave one.
    Busy { retry_after: Option<Duration> },
    /// The credentials are refused: nothing passes until somebody changes them.
    Credentials,
    /// This one was not taken, and may be later: so long after the first try, then doubling, so many tries at most.
    Later { after: Duration, tries: u32 },
    /// This one will never be taken.
    Refused,
    /// It may have been taken or not: never again blindly.
    Unknown,
}
