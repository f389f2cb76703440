//! Calls to addresses from provider descriptions and rules: other message providers, and `http_request`.
//!
//! **Architecture invariant:** every call goes through [`Client`], whose guard checks the address of the connection itself.
//! Twilio's client is separate: its address is a setting of the installation.
//!
//! | | |
//! |---|---|
//! | [`address`] | public addresses |
//! | [`guard`] | addresses that may be called |
//! | [`client`] | one call: connect, send, read, within limits |
//! | [`header`] | headers from descriptions and rules |
//! | [`pattern`] | finds a value in an answer |
//! | [`template`] | texts with `{{placeholders}}`, escaped for their target |
//! | [`mod@file`] | `PROVIDERS_FILE` |
//! | [`provider`] | a described provider: one send, one delivery callback |
//! | [`callback`] | URLs of delivery callbacks |
//! | [`providers`] | all providers, and the routes by number |
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
