//! Reads Twilio's form fields into types.
//!
//! Only a field that identifies the webhook can refuse it. Any other field that is not usable is left out and noted in
//! [`Form::dropped`]: a new or odd value must not lose the message.

use std::cell::RefCell;
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

/// Whether a text has the shape of a SID: two capital letters and 32 hex digits.
pub(super) fn is_any_sid(text: &str) -> bool {
    let (prefix, digits) = text.split_at_checked(2).unwrap_or_default();
    prefix.bytes().all(|b| b.is_ascii_uppercase())
        && digits.len() == 32
        && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a text can be an address: a plus and digits, digits, or a name or id without white space; with or without a
/// channel's prefix.
fn is_address(text: &str) -> bool {
    let bare = text.rsplit_once(':').map_or(text, |(_, bare)| bare);
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"+:@._;=%-$!*'()/&,?~".contains(&b);
    let digits = bare.strip_prefix('+').is_none_or(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    !bare.is_empty() && digits && text.len() <= limits::ADDRESS_MAX_BYTES && text.bytes().all(fits)
}

/// Reads fields of `Params` into types; an empty field counts as absent.
pub(super) struct Form<'a> {
    params: &'a Params,
    dropped: RefCell<Vec<String>>,
}

impl<'a> Form<'a> {
    pub(super) const fn new(params: &'a Params) -> Self {
        Self { params, dropped: RefCell::new(Vec::new()) }
    }

    /// Returns a field unless it is empty.
    pub(super) fn filled(&self, field: &str) -> Option<&'a str> {
        self.params.filled(field)
    }

    /// The names of the fields that were not usable.
    pub(super) fn dropped(self) -> Vec<String> {
        self.dropped.into_inner()
    }

    /// Notes a field that is not usable.
    pub(super) fn drop_field(&self, field: &str) {
        let mut dropped = self.dropped.borrow_mut();
        if !dropped.iter().any(|known| known == field) {
            dropped.push(field.to_owned());
        }
    }

    /// Reads a field, or drops it where `read` cannot.
    pub(super) fn optional<T>(&self, field: &str, read: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        let text = self.filled(field)?;
        let value = read(text);
        if value.is_none() {
            self.drop_field(field);
        }
        value
    }

    pub(super) fn text(&self, field: &str, max_bytes: usize) -> Option<String> {
        self.optional(field, |text| (text.len() <= max_bytes).then(|| without_nul(text)))
    }

    /// Reads a text that is worth keeping even if it is too long: its beginning is kept.
    pub(super) fn beginning(&self, field: &str, max_bytes: usize) -> Option<String> {
        let text = self.filled(field)?;
        let cut = &text[..text.floor_char_boundary(max_bytes)];
        if cut.len() < text.len() {
            self.drop_field(field);
        }
        Some(without_nul(cut))
    }

    /// Reads the first of `fields` that is present. It identifies the webhook, so it must be a SID.
    pub(super) fn sid(&self, fields: &[&str], expected: &str) -> Result<String, FormError> {
        let found = fields.iter().find_map(|field| self.filled(field)).filter(|sid| is_any_sid(sid));
        found.map(str::to_owned).ok_or_else(|| error(fields[0], expected.to_owned()))
    }

    pub(super) fn optional_sid(&self, field: &str) -> Option<String> {
        self.optional(field, |text| is_any_sid(text).then(|| text.to_owned()))
    }

    /// Reads an address that identifies the webhook.
    pub(super) fn address(&self, field: &str) -> Result<Address, FormError> {
        let found = self.filled(field).filter(|text| is_address(text));
        found
            .map(Address::parse)
            .ok_or_else(|| error(field, "an address such as +34600111222 or whatsapp:+34600111222".to_owned()))
    }

    /// Reads an address that identifies the webhook, if there is one.
    pub(super) fn address_if_any(&self, field: &str) -> Result<Option<Address>, FormError> {
        self.filled(field).map(|_| self.address(field)).transpose()
    }

    pub(super) fn optional_address(&self, field: &str) -> Option<Address> {
        self.optional(field, |text| is_address(text).then(|| Address::parse(text)))
    }

    pub(super) fn number<T: FromStr>(&self, field: &str) -> Option<T> {
        self.optional(field, |text| text.parse().ok())
    }

    pub(super) fn flag(&self, field: &str) -> bool {
        self.params.get(field).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(super) fn error(field: &str, expected: String) -> FormError {
    FormError { field: field.to_owned(), expected }
}
