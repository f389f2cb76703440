//! Every integration test, in one binary.
//!
//! `tests/run.sh` runs them all; fault runs live in the module `faults`, so that they can be run last or alone.

mod api;
mod callbacks;
mod croner;
mod faults;
mod flows;
mod foresight;
mod gateway;
mod cli;
mod email;
mod doctor;
mod harness;
mod judge_carrier;
mod judge_phone_zones;
mod judge_signatures;
mod judge_twiml;
mod library;
mod phone;
mod reminders;
mod store;
mod support;
mod talk;
mod timers;
mod tidy;
