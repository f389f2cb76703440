//! Recado: a rule-driven messaging automation engine.

pub mod domain;

pub mod secret;

pub mod config;

pub mod telemetry;
