//! Conversations, timers, e-mail, forecasts and explanations, end to end.

pub mod foresight;
pub mod email;
pub mod explain;
pub mod conversation;
pub mod timers;
