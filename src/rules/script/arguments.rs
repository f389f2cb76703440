//! Conversion of the arguments that scripts give to functions. Every error says what to write instead.

use std::time::Duration;

use rhai::{Dynamic, Map};
use serde_json::Value;

use crate::domain::action::Unaddressed;
use crate::domain::address::Address;
use crate::domain::channel::AddressKind;
use crate::domain::contact::ContactFacts;
use crate::domain::{Action, Channel, Phone, Send, SendBody, Timestamp, WhatsAppId};
use crate::rules::limits::{AHEAD_DAYS, NAME_CHARS, STATE_BYTES};
use crate::rules::script::context::{EvalContext, RequestedAction};
use crate::rules::script::values::{Moment, kind_of, shortened, text_of, to_json};
use crate::rules::script::views::contact::ContactView;
use crate::time::Span;

/// The provider's error for a text that is too long, as error texts cite it.
pub(in crate::rules) const TEXT_REFERENCE: &str = " (error 21617)";

/// Returns a text argument.
pub(in crate::rules) fn text(name: &str, value: &Dynamic) -> Result<String, String> {
    text_of(value).ok_or_else(|| format!("{name} must be text, and this is a {}", kind_of(value)))
}

/// Returns a text that is not empty and has at most `chars` characters.
pub(in crate::rules) fn text_within(value: &Dynamic, chars: usize, reference: &str) -> Result<String, String> {
    let text = text("the text", value)?;
    let count = text.chars().count();
    if count > chars {
        return Err(format!("the text has {count} characters, and {chars} is the most{reference}"));
    }
    if text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    Ok(text)
}

/// Returns a name: one line of at most [`NAME_CHARS`] characters.
pub(in crate::rules) fn name(what: &str, value: &Dynamic) -> Result<String, String> {
    let text = text(&format!("the name of {what}"), value)?;
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.chars().count() > NAME_CHARS || trimmed.chars().any(char::is_control) {
        return Err(format!("the name of {what} must have 1 to {NAME_CHARS} characters and no line breaks"));
    }
    Ok(trimmed.to_owned())
}

/// The recipient that a script gave.
pub(in crate::rules) enum Recipient {
    Known(Address),
    /// Nobody can be reached: what the script gave, and why.
    Nobody {
        given: String,
        why: String,
    },
}

impl Recipient {
    /// The recipient of an event that concerns no customer.
    pub fn no_customer() -> Self {
        let why = "there is nobody to send to: this event concerns no customer, so e.contact is ()";
        Self::Nobody { given: String::new(), why: why.to_owned() }
    }

    /// A customer's address on a channel.
    pub fn of(contact: &ContactFacts, channel: Channel) -> Self {
        match address_on(contact, channel) {
            Ok(to) => Self::Known(to),
            Err(why) => Self::Nobody { given: contact.known_as().to_owned(), why },
        }
    }

    /// Makes the send to the recipient; a blocked one if there is nobody.
    pub fn send(self, channel: Channel, body: SendBody) -> RequestedAction {
        match self {
            Self::Known(to) => Action::Send(Send { channel, to, reply: false, fallback: None, body }).into(),
            Self::Nobody { given: to, why } => {
                RequestedAction::blocked(Action::Unaddressed(Unaddressed { channel, to, body }), why)
            }
        }
    }
}

/// Returns the address of `e.contact` on a channel, or the one that was given. Only a value that is no text is an error.
pub(in crate::rules) fn recipient(channel: Channel, to: &Dynamic) -> Result<Recipient, String> {
    if let Some(view) = to.read_lock::<ContactView>() {
        return Ok(view.0.contact().map_or_else(Recipient::no_customer, |contact| Recipient::of(contact, channel)));
    }
    if to.is_unit() {
        return Ok(Recipient::no_customer());
    }
    let text = text("the recipient", to).map_err(|message| format!("{message}; use e.contact or a number"))?;
    let address = if channel.spec().address == AddressKind::PhoneOrWhatsAppId && WhatsAppId::parse(&text).is_ok() {
        Address::parse(&text).map_err(|bad| bad.to_string())
    } else {
        number(&text).map(Address::from)
    };
    Ok(match address {
        Ok(to) => Recipient::Known(to),
        Err(why) => Recipient::Nobody { given: shortened(&text), why },
    })
}

/// Reads a number that a rule names. One in E.164, such as `e.from`, is taken even if no numbering plan has it.
pub(in crate::rules) fn number(text: &str) -> Result<Phone, String> {
    Phone::parse_human(text, None).or_else(|bad| Phone::parse(text).map_err(|_| bad.to_string()))
}

/// Returns the customer's address on a channel.
pub(in crate::rules) fn address_on(contact: &ContactFacts, channel: Channel) -> Result<Address, String> {
    contact.address_on(channel).ok_or_else(|| {
        format!("the customer hides the phone number, and {} needs one: answer on WhatsApp", channel.spec().label)
    })
}

/// Returns the moment that lies `span` after the rules' now, by the business's wall clock.
pub(in crate::rules) fn after(eval: &EvalContext, span_text: &Dynamic) -> Result<Timestamp, String> {
    Ok(span(span_text)?.after(eval.facts.as_of, eval.zone))
}

/// Returns a span such as `2h`.
pub(in crate::rules) fn span(span: &Dynamic) -> Result<Span, String> {
    let text = text_of(span).ok_or_else(|| {
        format!("a span is a text such as \"90s\", \"2h\" or \"1d\", and this is a {}", kind_of(span))
    })?;
    text.parse::<Span>().map_err(|bad| bad.to_string())
}

/// Returns a moment, given as such or as a text in RFC 3339.
pub(in crate::rules) fn instant(moment: &Dynamic) -> Result<Timestamp, String> {
    if let Some(moment) = moment.read_lock::<Moment>() {
        return Ok(moment.at);
    }
    let hint = "write it as 2026-12-01T10:00:00+01:00, or give a moment such as time(…)";
    let text = text_of(moment).ok_or_else(|| format!("a {} is no moment: {hint}", kind_of(moment)))?;
    Timestamp::parse(&text).map_err(|_| format!("'{}' is no moment: {hint}", shortened(&text)))
}

/// Refuses a moment that lies more than [`AHEAD_DAYS`] ahead.
pub(in crate::rules) fn within_reach(now: Timestamp, due: Timestamp) -> Result<Timestamp, String> {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    if due > now.plus(DAY * AHEAD_DAYS) {
        return Err(format!("{due} is more than {AHEAD_DAYS} days ahead, which is the most"));
    }
    Ok(due)
}

/// Returns the state of a question, a call or a move as JSON of at most [`STATE_BYTES`].
pub(in crate::rules) fn state(state: &Dynamic) -> Result<Value, String> {
    let state = to_json(state)?;
    if state.to_string().len() > STATE_BYTES {
        return Err(format!("what is to be remembered is larger than {STATE_BYTES} bytes"));
    }
    Ok(state)
}

/// Returns an optional short text of a map.
pub(in crate::rules) fn optional(map: &Map, key: &str) -> Result<Option<String>, String> {
    let Some(value) = map.get(key) else { return Ok(None) };
    let text = text_of(value).filter(|text| text.chars().count() <= NAME_CHARS);
    text.map(Some).ok_or_else(|| format!("{key} is a text of at most {NAME_CHARS} characters"))
}
