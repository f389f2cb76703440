//! The delivery status of a message: it moves forward, never back, in whatever order and however often it is reported.
//!
//! ```text
//!   accepted, scheduled (0) ▶ queued (1) ▶ sending (2) ▶ sent (3) ▶ delivered, undelivered, failed, canceled (4) ▶ read (5)
//! ```
//! Ranks after Twilio's message resource (spec `twilio_api_v2010`). Of several final statuses the first to come stays,
//! but for `read`, which proves delivery.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Taken by a Messaging Service, no sender chosen yet.
    Accepted,
    /// Waits at the provider for its time.
    Scheduled,
    /// Waits in the sender's queue.
    Queued,
    /// On its way to the carrier.
    Sending,
    /// The carrier has it; often the last thing heard.
    Sent,
    /// The handset has it.
    Delivered,
    /// The carrier could not deliver it.
    Undelivered,
    /// It could not be sent.
    Failed,
    /// Taken back before it was sent.
    Canceled,
    /// The customer has opened it (WhatsApp).
    Read,
    /// A message from a customer.
    Received,
}

impl DeliveryStatus {
    pub const ALL: [Self; 11] = [
        Self::Accepted,
        Self::Scheduled,
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Undelivered,
        Self::Failed,
        Self::Canceled,
        Self::Read,
        Self::Received,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Read => "read",
            Self::Received => "received",
        }
    }

    /// The provider's word; `None` for one that is not known, since the set may grow.
    /// `partially_delivered` and `receiving` count as `sent` and `received`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "partially_delivered" => Some(Self::Sent),
            "receiving" => Some(Self::Received),
            _ => Self::ALL.into_iter().find(|status| status.as_str() == text),
        }
    }

    /// How far along the drawing; statuses of one rank exclude each other.
    pub const fn rank(self) -> i16 {
        match self {
            Self::Accepted | Self::Scheduled => 0,
            Self::Queued => 1,
            Self::Sending => 2,
            Self::Sent => 3,
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Canceled => 4,
            Self::Read | Self::Received => 5,
        }
    }

    /// What a message of status `self` becomes on hearing `reported`.
    pub const fn advance(self, reported: Self) -> Self {
        if reported.rank() > self.rank() { reported } else { self }
    }

    /// No further report is needed.
    pub const fn is_final(self) -> bool {
        self.rank() >= 4
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
