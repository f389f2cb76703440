//! Stand-ins for providers, for trying out and for tests.

pub mod twilio;
pub mod chat_model;
pub mod elevenlabs;
