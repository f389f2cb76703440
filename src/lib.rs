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

pub mod carrier;

pub mod bus;

pub mod rules;

pub mod actions;

pub mod pipeline;

pub mod reconcile;

pub mod web;

pub mod channels;

pub mod app;

pub mod cli;
