//! From an event to a message that has arrived: the pipeline, facts, sending, timers, reconciliation, wake-ups.

pub mod wakeups;
pub mod sending;
pub mod pipeline;
pub mod timers;
pub mod reconcile;
pub mod availability;
pub mod facts;
