//! Twilio's Messages API and webhooks, as they are on the wire.
//!
//! **Architecture invariant:** this module imports nothing of ours. It knows Twilio's words and leaves ours to its callers.
//!
//! Facts that are not in Twilio's open specification (`twilio_api_v2010`) carry their source beside them.

pub mod client;
pub mod codes;
pub mod form;
pub mod inbound;
pub mod signature;
pub mod twiml;
