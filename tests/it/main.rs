//! Every integration test, in one binary.
//!
//! `tests/run.sh` runs them all; fault runs live in the module `faults`, so that they can be run last or alone.

mod cli;
mod engine;
mod faults;
mod features;
mod http;
mod judges;
mod store;
mod support;
mod tidy;
mod voice;
