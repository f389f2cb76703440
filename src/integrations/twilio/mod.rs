//! Twilio's REST API, webhooks and TwiML, as they are on the wire.
//!
//! **Architecture invariant:** this module imports nothing of ours. It knows Twilio's words and leaves ours to its callers.
//!
//! Facts that are not in Twilio's open specification (`twilio_api_v2010`) carry their source beside them.

pub mod client;
pub mod codes;
mod fields;
pub mod form;
pub mod inbound;
pub mod signature;
pub mod twiml;
pub mod voice;
pub mod words;

/// Whether this is an identifier of Twilio's: the prefix of its kind, such as `AC`, and 32 hex digits.
pub fn is_sid(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix);
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
