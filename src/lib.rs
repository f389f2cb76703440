//! Recado: a rule-driven messaging automation engine.

pub mod carrier;
pub mod domain;
pub mod twilio;
