//! The delivery status of a message. It moves forward and never back, in whatever order and however often it is reported.
//!
//! ```text
//!   accepted, scheduled (0) ▶ queued (1) ▶ sending (2) ▶ sent (3) ▶ delivered, undelivered, failed, canceled (4) ▶ read (5)
//! ```
//! The ranks follow Twilio's message resource (spec `twilio_api_v2010`). Of several final statuses the first one stays,
//! except that `read`, which proves delivery, replaces it.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// The delivery status of a message, by Twilio's names.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum DeliveryStatus {
    /// A Messaging Service has accepted it; no sender is chosen yet.
    Accepted,
    /// The provider holds it until its time.
    Scheduled,
    /// It waits in the sender's queue.
    Queued,
    /// It is on its way to the carrier.
    Sending,
    /// The carrier has it. Often this is the last report.
    Sent,
    /// The handset has it.
    Delivered,
    /// The carrier could not deliver it.
    Undelivered,
    /// It could not be sent.
    Failed,
    /// It was withdrawn before it was sent.
    Canceled,
    /// The customer has opened it (WhatsApp, RCS).
    Read,
    /// It came from a customer.
    Received,
}

impl DeliveryStatus {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Parses the provider's name; `None` for an unknown one, because the set may grow. `partially_delivered` and
    /// `receiving` count as `sent` and `received`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "partially_delivered" => Some(Self::Sent),
            "receiving" => Some(Self::Received),
            _ => Self::VARIANTS.iter().copied().find(|status| status.as_str() == text),
        }
    }

    /// The position in the drawing. Statuses of the same rank exclude each other.
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

    /// The status after a report.
    pub const fn advance(self, reported: Self) -> Self {
        if reported.rank() > self.rank() { reported } else { self }
    }

    /// Whether no further report is needed.
    pub const fn is_final(self) -> bool {
        self.rank() >= 4
    }
}
