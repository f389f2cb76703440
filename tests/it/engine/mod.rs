//! Conversations, timers, e-mail, forecasts and explanations, end to end.

pub mod conversation;
pub mod email;
pub mod explain;
pub mod foresight;
pub mod questions;
mod opt_out_words;
pub mod timers;
mod wakeups;
