//! Calls to addresses that a person or a rule has written down: other providers of messages, and `http_request`.
//!
//! **Architecture invariant:** every call here goes through [`Client`], whose guard decides of the very address that is
//! connected to. Twilio's own client is not here: its address is a setting of the installation's.
//!
//! | | |
//! |---|---|
//! | [`address`] | which addresses are public |
//! | [`guard`] | which may be called |
//! | [`client`] | one call: connected, sent, answered within its limits |
//! | [`header`] | headers that somebody has written down |
//! | [`pattern`] | finding a value in an answer |
//! | [`template`] | texts with `{{placeholders}}`, escaped for where they stand |
//! | [`file`] | `PROVIDERS_FILE`: what a provider's description may say |
//! | [`provider`] | a described provider: one send, one delivery callback |
//! | [`callback`] | where a provider reports deliveries |
//! | [`providers`] | all of them, and which numbers go through which |
//! | [`request`] | `http_request` |

pub mod address;
pub mod callback;
pub mod client;
pub mod file;
pub mod guard;
pub mod header;
pub mod pattern;
pub mod provider;
pub mod providers;
pub mod request;
pub mod template;

pub use callback::Callbacks;
pub use client::Client;
pub use provider::Provider;
pub use providers::Providers;

#[cfg(test)]
mod tests;
