//! The webhooks: messages, calls and delivery reports of providers.
//!
//! How to add a webhook: a handler in a file here, and its line in [`super::router`]. What the handlers of messages share
//! is in [`inbound`].

pub mod messages;
pub mod provider;
mod signed;
pub mod status;
pub mod voice;
pub mod inbound;
