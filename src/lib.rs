//! Recado: a rule-driven messaging automation engine.

#[path = "../migrations/mod.rs"]
pub mod migrations;

pub mod domain;

pub mod secret;

pub mod config;

pub mod telemetry;

pub mod store;

pub mod directory;

pub mod twilio;

pub mod bus;

pub mod actions;

pub mod rules;

pub mod pipeline;

pub mod web;

pub mod channels;
