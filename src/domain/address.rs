//! The recipient of a send: a phone number, a WhatsApp user id or an e-mail address.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::phone::{Country, NotANumber, NotE164, Phone, mask};
use super::whatsapp_id::WhatsAppId;

/// An e-mail address: `local@host`, ASCII, at most 254 bytes (RFC 5321, 4.5.3.1); no name, no angle brackets.
///
/// `Debug` and [`EmailAddress::masked`] hide the middle, because addresses go to logs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// A text that is no e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no e-mail address: write it as ana@example.com, in ASCII (a host with other letters in its xn-- form)"
)]
pub struct NotAnEmail(String);

impl EmailAddress {
    const MAX_BYTES: usize = 254;
    const LOCAL_MAX_BYTES: usize = 64;

    /// Parses the unquoted form only (RFC 5322's dot-atom): it is what people use, and no header can be smuggled into it.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        let atom = |part: &str, more: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || more.as_bytes().contains(&b))
        };
        let text = text.trim();
        let good = text.len() <= Self::MAX_BYTES
            && text.split_once('@').is_some_and(|(local, host)| {
                local.len() <= Self::LOCAL_MAX_BYTES
                    && local.split('.').all(|part| atom(part, "!#$%&'*+-/=?^_`{|}~"))
                    && host.split('.').all(|part| atom(part, "-") && !part.starts_with('-') && !part.ends_with('-'))
            });
        if good { Ok(Self(text.to_owned())) } else { Err(NotAnEmail(text.chars().take(60).collect())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key for look-ups: the address in lower case. In practice `Ana@` and `ana@` are the same mailbox.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The address for logs, with its middle hidden.
    pub fn masked(&self) -> String {
        mask(&self.0)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The address of a recipient. Its JSON is a string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum Address {
    Phone(Phone),
    /// Of a customer who writes on WhatsApp and hides the number.
    WhatsApp(WhatsAppId),
    Email(EmailAddress),
}

/// A text that is neither a phone number, nor a WhatsApp user id, nor an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    #[error(transparent)]
    Phone(#[from] NotE164),
    #[error(transparent)]
    Email(#[from] NotAnEmail),
}

impl Address {
    /// Parses an address: a text with an `@` as an e-mail address, a WhatsApp user id by its form, any other as a phone
    /// number.
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        if text.contains('@') {
            Ok(Self::Email(EmailAddress::parse(text)?))
        } else if let Ok(id) = WhatsAppId::parse(text) {
            Ok(Self::WhatsApp(id))
        } else {
            Ok(Self::Phone(Phone::parse(text)?))
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.as_str(),
            Self::WhatsApp(id) => id.as_str(),
            Self::Email(email) => email.as_str(),
        }
    }

    /// Parses the address of a customer as people write it: a number, or a WhatsApp user id.
    pub fn parse_human(text: &str, home: Option<Country>) -> Result<Self, NotANumber> {
        match WhatsAppId::parse(text.trim()) {
            Ok(id) => Ok(Self::WhatsApp(id)),
            Err(_) => Ok(Self::Phone(Phone::parse_human(text, home)?)),
        }
    }

    /// The key for look-ups of opt-outs and earlier messages.
    pub fn key(&self) -> String {
        match self {
            Self::Phone(phone) => phone.key(),
            Self::WhatsApp(id) => id.to_string(),
            Self::Email(email) => email.key(),
        }
    }

    /// The phone number, if it is one.
    pub const fn phone(&self) -> Option<&Phone> {
        match self {
            Self::Phone(phone) => Some(phone),
            Self::WhatsApp(_) | Self::Email(_) => None,
        }
    }
}

impl Address {
    /// The WhatsApp user id, if it is one.
    pub const fn whatsapp_id(&self) -> Option<&WhatsAppId> {
        match self {
            Self::WhatsApp(id) => Some(id),
            Self::Phone(_) | Self::Email(_) => None,
        }
    }
}

impl From<Phone> for Address {
    fn from(phone: Phone) -> Self {
        Self::Phone(phone)
    }
}

impl From<WhatsAppId> for Address {
    fn from(id: WhatsAppId) -> Self {
        Self::WhatsApp(id)
    }
}

impl From<EmailAddress> for Address {
    fn from(email: EmailAddress) -> Self {
        Self::Email(email)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for good in ["ana@example.com", "a.b+c@mail.example.co", "o'brien@x.example", "root@localhost", " ana@a.b "] {
            assert!(EmailAddress::parse(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "ana",
            "@example.com",
            "ana@",
            "a@b@c.d",
            "a..b@c.d",
            ".a@c.d",
            "a b@c.d",
            "Ana <ana@c.d>",
            "ana@c.d\r\nBcc: x@y.z",
            "\"a b\"@c.d",
            "ana@-c.d",
            "ana@c..d",
            "añ@c.d",
            &long,
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_knows_what_it_is() {
        let read = |text: &str| serde_json::from_value::<Address>(text.into());
        assert!(matches!(read("+34600111222"), Ok(Address::Phone(_))));
        assert!(matches!(read("ana@example.com"), Ok(Address::Email(_))));
        assert!(matches!(read("ES.13491208655302741918"), Ok(Address::WhatsApp(_))));
        assert!(read("600").is_err());
        let email = Address::parse("Ana@Example.com").unwrap();
        assert_eq!((email.as_str(), email.key().as_str()), ("Ana@Example.com", "ana@example.com"));
        assert_eq!(serde_json::to_value(&email).unwrap(), "Ana@Example.com");
        assert!(!format!("{email:?}").contains("Example"), "{email:?}");
    }
}
