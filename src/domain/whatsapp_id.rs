//! WhatsApp's business-scoped user ids: how a customer who hides the phone number is known to a business.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::phone::{Country, mask};

/// A business-scoped user id: two capital letters (a country), `.`, perhaps `ENT.`, and 1 to 128 letters and digits, as in
/// `ES.13491208655302741918`. It names one person to one business, and stays when the person's name changes.
///
/// Source: <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids/>.
/// `Debug` hides the middle, as for phone numbers, because addresses go to logs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct WhatsAppId(String);

/// A text that is no business-scoped user id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no WhatsApp user id: two capital letters, a dot, letters and digits, such as ES.13491208655302741918"
)]
pub struct NotWhatsAppId(String);

impl WhatsAppId {
    const MAX_CHARS: usize = 128;

    /// Parses an id as the provider writes it. Case matters.
    pub fn parse(text: &str) -> Result<Self, NotWhatsAppId> {
        let good = text.split_once('.').is_some_and(|(country, rest)| {
            let id = rest.strip_prefix("ENT.").unwrap_or(rest);
            country.len() == 2
                && country.bytes().all(|b| b.is_ascii_uppercase())
                && (1..=Self::MAX_CHARS).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric())
        });
        if good { Ok(Self(text.to_owned())) } else { Err(NotWhatsAppId(text.chars().take(40).collect())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The country that it names.
    pub fn country(&self) -> Option<Country> {
        self.0.get(..2)?.parse().ok()
    }
}

impl fmt::Display for WhatsAppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for WhatsAppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl<'de> Deserialize<'de> for WhatsAppId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_numbers_and_names() {
        for good in ["ES.13491208655302741918", "BR.a1B2", "US.ENT.11815799212886844830"] {
            assert!(WhatsAppId::parse(good).is_ok(), "{good}");
        }
        let long = format!("ES.{}", "1".repeat(129));
        for bad in
            ["", "ES", "ES.", "es.123", "E.123", "ESP.123", "ES.12 3", "ES.12.3", "+34600111222", "ana@a.b", &long]
        {
            assert!(WhatsAppId::parse(bad).is_err(), "{bad}");
        }
        assert!(!format!("{:?}", WhatsAppId::parse("ES.13491208655302741918").unwrap()).contains("0865530"));
    }
}
