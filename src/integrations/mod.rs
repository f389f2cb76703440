//! Clients and wire formats of other systems, without our own logic.

pub mod http;
pub mod provider;
pub mod http_providers;
pub mod csv;
pub mod twilio;
pub mod email;
pub mod chat_model;
pub mod elevenlabs;
pub mod media_stream;
