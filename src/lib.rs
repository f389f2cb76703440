//! Recado: a rule-driven messaging automation engine.

#[path = "../migrations/mod.rs"]
pub mod migrations;

pub mod domain;
pub mod store;
