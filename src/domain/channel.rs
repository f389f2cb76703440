//! The channels that messages and calls use, in one table.
//!
//! Code that asks for a property of a channel reads it from [`Channel::spec`]. A comparison with one channel is only for
//! what that channel alone has, such as the content of a call.
//!
//! # How to add a channel
//!
//! For a channel whose customers have phone numbers and which Twilio carries, as RCS:
//!
//! 1. Here: a variant of [`Channel`], and its row at the same place of the table. The webhook `/api/twilio/{slug}/{name}`,
//!    the options `--{name}` of the command line, the API, the ledger, the gate and the built-in carrier follow from it.
//!    The tests below list the names.
//! 2. `domain/event.rs` and `domain/event_kinds.rs`: the kind of its inbound event, with a description.
//! 3. `rules/script/functions/send_message.rs`, and a line in `FUNCTIONS` of `rules/script/functions/mod.rs`: the function
//!    that sends by it.
//! 4. `tenants/mod.rs`: the sender of the installation in `Platform::sender`, or `None`.
//! 5. A case that calls the function: `channels` in `src/rules/tests/cases/messages.rhai` and `messages.cases.json`.
//!
//! Tried: 6 files, and 2 for the case.
//!
//! A transport of its own takes more: a variant of [`Transport`] here, its route in `engine/sending/plan.rs`, and what
//! [`crate::engine::sending::transports`] names. A channel without phone numbers takes an [`AddressKind`], and an identity
//! of customers other than their number, which nothing has yet.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::EnumCount;

use super::phone::Phone;

/// A channel, by its stable name: `sms`, `whatsapp`, `rcs`, `email` or `voice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, EnumCount)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Sms,
    WhatsApp,
    /// Rich Communication Services: branded messages in the phone's own messaging app.
    Rcs,
    /// Outbound only: no e-mail is received.
    Email,
    /// Phone calls.
    Voice,
}

/// The properties of a channel.
#[derive(Debug)]
pub struct ChannelSpec {
    pub channel: Channel,
    /// The stable name: stored, in the API, in the paths of webhooks.
    pub name: &'static str,
    /// The name that people read.
    pub label: &'static str,
    /// Receives customers' messages, at the webhook `/api/twilio/{slug}/{name}`.
    pub receives: bool,
    /// The kind of the event that an inbound message or call makes.
    pub inbound_event: &'static str,
    /// The function that sends by this channel in rules.
    pub rule_function: &'static str,
    pub address: AddressKind,
    pub senders: SenderKind,
    /// The prefix of the provider's addresses, such as `whatsapp:`; empty where there is none.
    pub prefix: &'static str,
    pub transport: Transport,
    /// Free text may be sent for this long after the customer's last message; `None` means at any time.
    pub session_window: Option<Duration>,
    pub opt_out: OptOut,
    /// Content goes out as approved templates, too.
    pub templates: bool,
    /// The length of a text is counted in segments.
    pub segmented: bool,
    /// Text has a price per segment.
    pub segment_price: bool,
    /// Messages that the business starts wait for the end of quiet hours.
    pub quiet_hours: bool,
    /// The provider reports when the customer opened the message.
    pub reads: bool,
}

/// The kind of a channel's recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    Phone,
    /// A phone number or, for a customer who hides it, the id that WhatsApp gives.
    PhoneOrWhatsAppId,
    Email,
}

/// The kind of a channel's own senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderKind {
    /// Numbers in E.164.
    Number,
    /// Names, such as the id of an agent.
    Name,
}

/// The transport that takes a channel's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Twilio,
    /// Twilio, or another provider that the recipient's prefix is routed to.
    TwilioOrProvider,
    MailServer,
}

/// The way to opt out of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptOut {
    /// By a word such as STOP. Twilio answers the words that it knows.
    WordAnsweredByTwilio,
    /// By a word such as STOP. Recado answers it.
    Word,
    /// By an opt-out of a channel that receives messages, where `STOP_ENDS_CALLS` is set.
    WithMessages,
    /// Only on request.
    OnRequest,
}

/// The longest name of a sender.
const SENDER_NAME_MAX_BYTES: usize = 100;

/// Meta's customer service window.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The table, in the order of [`Channel`].
const SPECS: [ChannelSpec; Channel::COUNT] = [
    ChannelSpec {
        channel: Channel::Sms,
        name: "sms",
        label: "SMS",
        receives: true,
        inbound_event: "inbound_sms",
        rule_function: "send_sms",
        address: AddressKind::Phone,
        senders: SenderKind::Number,
        prefix: "",
        transport: Transport::TwilioOrProvider,
        session_window: None,
        opt_out: OptOut::WordAnsweredByTwilio,
        templates: false,
        segmented: true,
        segment_price: true,
        quiet_hours: true,
        reads: false,
    },
    ChannelSpec {
        channel: Channel::WhatsApp,
        name: "whatsapp",
        label: "WhatsApp",
        receives: true,
        inbound_event: "inbound_whatsapp",
        rule_function: "send_whatsapp",
        address: AddressKind::PhoneOrWhatsAppId,
        senders: SenderKind::Number,
        prefix: "whatsapp:",
        transport: Transport::Twilio,
        session_window: Some(DAY),
        opt_out: OptOut::Word,
        templates: true,
        segmented: true,
        segment_price: false,
        quiet_hours: true,
        reads: true,
    },
    // <https://www.twilio.com/docs/rcs/send-an-rcs-message>. The prefix in `To` keeps Twilio from falling back to SMS by
    // itself: a rule's own fallback decides (<https://www.twilio.com/docs/api/errors/21664>).
    ChannelSpec {
        channel: Channel::Rcs,
        name: "rcs",
        label: "RCS",
        receives: true,
        inbound_event: "inbound_rcs",
        rule_function: "send_rcs",
        address: AddressKind::Phone,
        senders: SenderKind::Name,
        prefix: "rcs:",
        transport: Transport::Twilio,
        session_window: None,
        opt_out: OptOut::Word,
        templates: false,
        segmented: true,
        segment_price: false,
        quiet_hours: true,
        reads: true,
    },
    ChannelSpec {
        channel: Channel::Email,
        name: "email",
        label: "e-mail",
        receives: false,
        // The name is kept free.
        inbound_event: "inbound_email",
        rule_function: "send_email",
        address: AddressKind::Email,
        senders: SenderKind::Name,
        prefix: "",
        transport: Transport::MailServer,
        session_window: None,
        opt_out: OptOut::OnRequest,
        templates: false,
        segmented: false,
        segment_price: false,
        quiet_hours: false,
        reads: false,
    },
    ChannelSpec {
        channel: Channel::Voice,
        name: "voice",
        label: "call",
        receives: false,
        inbound_event: "call_received",
        rule_function: "call",
        address: AddressKind::Phone,
        senders: SenderKind::Number,
        prefix: "",
        transport: Transport::Twilio,
        session_window: None,
        opt_out: OptOut::WithMessages,
        templates: false,
        segmented: false,
        segment_price: false,
        quiet_hours: true,
        reads: false,
    },
];

// The table is indexed by `Channel`.
const _: () = {
    let mut at = 0;
    while at < SPECS.len() {
        assert!(SPECS[at].channel as usize == at, "a row of the table is not where its channel is");
        at += 1;
    }
};

const RECEIVING: usize = {
    let (mut at, mut count) = (0, 0);
    while at < SPECS.len() {
        count += SPECS[at].receives as usize;
        at += 1;
    }
    count
};

impl Channel {
    /// All channels.
    pub const ALL: [Self; Self::COUNT] = {
        let (mut all, mut at) = ([Self::Sms; Self::COUNT], 0);
        while at < SPECS.len() {
            all[at] = SPECS[at].channel;
            at += 1;
        }
        all
    };
    /// The names of all channels.
    pub const NAMES: [&str; Self::COUNT] = {
        let (mut all, mut at) = ([""; Self::COUNT], 0);
        while at < SPECS.len() {
            all[at] = SPECS[at].name;
            at += 1;
        }
        all
    };
    /// The channels that receive customers' messages.
    pub const INBOUND: [Self; RECEIVING] = {
        let (mut all, mut at, mut count) = ([Self::Sms; RECEIVING], 0, 0);
        while at < SPECS.len() {
            if SPECS[at].receives {
                all[count] = SPECS[at].channel;
                count += 1;
            }
            at += 1;
        }
        all
    };

    /// The channel's row of the table.
    pub const fn spec(self) -> &'static ChannelSpec {
        &SPECS[self as usize]
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.spec().name
    }

    /// Splits a provider's address into its channel and the address without its prefix; an unknown prefix stays.
    /// Without a prefix it is of a text message.
    pub fn of_address(address: &str) -> (Self, &str) {
        let prefixed = Self::ALL.into_iter().filter(|channel| !channel.spec().prefix.is_empty());
        let mut found = prefixed.filter_map(|channel| Some((channel, address.strip_prefix(channel.spec().prefix)?)));
        found.next().unwrap_or((Self::Sms, address))
    }

    /// Whether a text is a sender of this channel, as the provider writes it without its prefix.
    pub fn is_sender(self, text: &str) -> bool {
        match self.spec().senders {
            SenderKind::Number => Phone::parse(text).is_ok(),
            SenderKind::Name => {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
                (1..=SENDER_NAME_MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed)
            }
        }
    }

    /// Writes an address as the provider does.
    pub fn address(self, address: impl fmt::Display) -> String {
        format!("{}{address}", self.spec().prefix)
    }

    /// Writes a sender so that it can be told from those of other channels: a name with the channel's prefix.
    pub fn sender_address(self, sender: &str) -> String {
        match self.spec().senders {
            SenderKind::Number => sender.to_owned(),
            SenderKind::Name => self.address(sender),
        }
    }

    /// How a sender of this channel is written, for hints.
    pub const fn sender_example(self) -> &'static str {
        match self.spec().senders {
            SenderKind::Number => "+…",
            SenderKind::Name => "AGENT_ID",
        }
    }

    /// The names of the channels that receive messages, as a choice: `sms or whatsapp`.
    pub fn inbound_names() -> String {
        choice(Self::INBOUND.map(Self::as_str).into())
    }

    /// The same for people: `SMS or WhatsApp`.
    pub fn inbound_labels() -> String {
        choice(Self::INBOUND.map(|channel| channel.spec().label).into())
    }
}

/// `sms, whatsapp or email`.
fn choice(names: Vec<&str>) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is not one of a channel.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no channel: use {all}", all = choice(Channel::NAMES.into()))]
pub struct UnknownChannel(String);

impl FromStr for Channel {
    type Err = UnknownChannel;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|channel| channel.as_str() == text);
        found.ok_or_else(|| UnknownChannel(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_are_those_of_serde() {
        for channel in Channel::ALL {
            assert_eq!(channel.as_str().parse::<Channel>().unwrap(), channel);
            assert_eq!(serde_json::to_value(channel).unwrap(), channel.as_str());
        }
        let error = "fax".parse::<Channel>().unwrap_err().to_string();
        assert_eq!(error, "'fax' is no channel: use sms, whatsapp, rcs, email or voice");
    }

    #[test]
    fn addresses_name_their_channel() {
        assert_eq!(Channel::of_address("+34600111222"), (Channel::Sms, "+34600111222"));
        assert_eq!(Channel::of_address("whatsapp:+34600111222"), (Channel::WhatsApp, "+34600111222"));
        assert_eq!(Channel::of_address("rcs:clinica_sol_agent"), (Channel::Rcs, "clinica_sol_agent"));
        assert_eq!(Channel::of_address("messenger:42"), (Channel::Sms, "messenger:42"));
        assert_eq!(Channel::WhatsApp.address("+34600111222"), "whatsapp:+34600111222");
    }

    #[test]
    fn lists_for_people_follow_the_table() {
        assert_eq!(Channel::inbound_names(), "sms, whatsapp or rcs");
        assert_eq!(Channel::inbound_labels(), "SMS, WhatsApp or RCS");
    }
}
