//! What is spoken on the wire with other systems: their formats, their clients, none of our logic.

pub mod http;
pub mod provider;
pub mod http_providers;
pub mod csv;
pub mod twilio;
pub mod email;
pub mod chat_model;
pub mod elevenlabs;
pub mod media_stream;
