//! Reads Twilio's form fields into types; errors name the field.

use std::fmt;
use std::str::FromStr;

use super::form::Params;
use crate::domain::channel::Channel;

/// A field that is missing or invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the form's field {field} is not usable: send {expected}")]
pub struct FormError {
    pub field: String,
    pub expected: String,
}

/// Limits in bytes. Twilio's own limits are lower; these bound what is stored.
pub mod limits {
    /// A SID has 34.
    pub const SID_MAX_BYTES: usize = 64;
    /// A number with its prefix, or a channel's id.
    pub const ADDRESS_MAX_BYTES: usize = 256;
    /// A text message has at most 1,600 characters, a WhatsApp message 4,096: four bytes each, with a margin.
    pub const BODY_MAX_BYTES: usize = 32 * 1024;
    /// Limit of a URL.
    pub const URL_MAX_BYTES: usize = 2048;
    /// Content types, statuses, names of events.
    pub const WORD_MAX_BYTES: usize = 128;
    /// Names, labels, postal addresses, texts and payloads of buttons.
    pub const TEXT_MAX_BYTES: usize = 1024;
    /// Limit of media in one message.
    pub const MEDIA_MAX: usize = 10;
}

/// `+34600111222` or `whatsapp:+34600111222`. Short codes, sender names and WhatsApp's business-scoped ids are no
/// numbers. An address of another channel keeps its prefix in `value`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// The channel that the prefix names; `None` where there is no prefix, as of text messages and calls.
    pub channel: Option<Channel>,
    pub value: String,
}

impl Address {
    /// Splits an address into its prefix and value.
    pub fn parse(text: &str) -> Self {
        let (channel, value) = Channel::of_address(text);
        Self { channel: Some(channel).filter(|_| value.len() < text.len()), value: value.to_owned() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.channel.map_or("", |channel| channel.spec().prefix), self.value)
    }
}

/// Hides the address, because forms are logged.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail: String = self.value.chars().rev().take(4).collect();
        write!(f, "{:?} …{}", self.channel, tail.chars().rev().collect::<String>())
    }
}

/// Reads fields of `Params` into types; an empty field counts as absent.
pub(super) struct Form<'a>(pub(super) &'a Params);

impl Form<'_> {
    pub(super) fn text(&self, field: &str, max_bytes: usize) -> Result<Option<String>, FormError> {
        match self.0.filled(field) {
            Some(text) if text.len() > max_bytes => Err(error(field, format!("at most {max_bytes} bytes"))),
            text => Ok(text.map(|text| text.replace('\0', "\u{fffd}"))),
        }
    }

    pub(super) fn required(&self, field: &str, max_bytes: usize, expected: &str) -> Result<String, FormError> {
        self.text(field, max_bytes)?.ok_or_else(|| error(field, expected.to_owned()))
    }

    /// Reads the first of `fields` that is present.
    pub(super) fn sid(&self, fields: &[&str], expected: &str) -> Result<String, FormError> {
        let found = fields.iter().find_map(|field| self.0.filled(field));
        match found {
            Some(sid) if sid.len() <= limits::SID_MAX_BYTES && sid.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok(sid.to_owned())
            }
            _ => Err(error(fields[0], expected.to_owned())),
        }
    }

    pub(super) fn address(&self, field: &str) -> Result<Address, FormError> {
        let text = self.required(
            field,
            limits::ADDRESS_MAX_BYTES,
            "an address such as +34600111222 or whatsapp:+34600111222",
        )?;
        Ok(Address::parse(&text))
    }

    pub(super) fn number<T: FromStr>(&self, field: &str, expected: &str) -> Result<Option<T>, FormError> {
        match self.0.filled(field).map(|text| text.parse().map_err(|_| error(field, expected.to_owned()))) {
            Some(number) => number.map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn flag(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

pub(super) fn error(field: &str, expected: String) -> FormError {
    FormError { field: field.to_owned(), expected }
}
