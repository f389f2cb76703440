//! Twilio's REST API, webhooks and TwiML.
//!
//! **Architecture invariant:** this module imports nothing but the shared HTTP client. It knows Twilio's terms only;
//! callers translate them.
//!
//! Facts that are not in Twilio's open specification (`twilio_api_v2010`) name their source.

pub mod client;
pub mod codes;
mod fields;
pub mod form;
pub mod inbound;
pub mod recut;
pub mod signature;
pub mod twiml;
pub mod voice;
pub mod types;

/// True for a Twilio identifier: its prefix, for example `AC`, and 32 hex digits.
pub fn is_sid(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix);
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
