//! What Recado survives: faults of the machine, the provider and the people around it, one file a kind.
//!
//! Runs are seeded: a failure names its seed, and `FAULT_SEED=<seed>` runs that one alone. `FAULT_SEEDS` says how many
//! the crash tests go through.

mod campaigns;
mod crash;
mod credentials;
mod database;
mod demand;
mod fair;
mod flood;
mod fuzz;
pub mod inside;
mod late;
mod outage;
mod outbound;
mod provider;
mod quiet;
pub mod rig;
mod rules;
mod secrets;
mod signing;
mod stop;
mod tenants;
mod timers;
