//! Every integration test, in one binary.
//!
//! `tests/run.sh` runs them all; fault runs live in the module `faults`, so that they can be run last or alone.

mod callbacks;
mod faults;
mod gateway;
mod cli;
mod harness;
mod judge_signatures;
mod store;
mod support;
mod tidy;
