//! Recado: a rule-driven messaging automation engine.

pub mod domain;
pub mod rules;
