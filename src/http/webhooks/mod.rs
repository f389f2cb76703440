//! The channels: how messages come in over HTTP, and the services that send by hand.
//!
//! How to add a channel: a variant of [`crate::domain::Channel`], a file here with its routes and its service, a line in
//! `app.rs`. Channels do not know each other; what they share
//! stands above them: [`crate::http::webhooks::intake`] and [`crate::engine::sending::by_hand`].

pub mod catch_up;
pub mod provider;
pub mod sms;
pub mod status;
pub mod voice;
pub mod whatsapp;
pub mod intake;
