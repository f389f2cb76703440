//! The way of a message, of a conversation, of time.

pub mod foresight;
pub mod email;
pub mod conversation;
pub mod timers;
