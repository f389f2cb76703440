//! The ways a message can go.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Free-form WhatsApp messages may go out for this long after the customer's last one (Meta's customer service window).
pub const WHATSAPP_WINDOW: Duration = Duration::from_secs(24 * 3_600);

/// A channel, by its stable name: `sms`, `whatsapp`, `email` or `voice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Sms,
    WhatsApp,
    /// Only outwards: nothing takes e-mail in.
    Email,
    /// Calls.
    Voice,
}

impl Channel {
    pub const ALL: [Self; 4] = [Self::Sms, Self::WhatsApp, Self::Email, Self::Voice];
    /// Those that messages come in by, to a number.
    pub const INBOUND: [Self; 2] = [Self::Sms, Self::WhatsApp];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::WhatsApp => "whatsapp",
            Self::Email => "email",
            Self::Voice => "voice",
        }
    }

    /// What the provider puts before a number of this channel.
    pub const fn address_prefix(self) -> &'static str {
        match self {
            Self::Sms | Self::Email | Self::Voice => "",
            Self::WhatsApp => "whatsapp:",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no channel: use sms, whatsapp, email or voice")]
pub struct UnknownChannel(String);

impl FromStr for Channel {
    type Err = UnknownChannel;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text).ok_or_else(|| UnknownChannel(text.to_owned()))
    }
}
