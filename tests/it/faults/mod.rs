//! Faults that Recado survives, of the machine, the provider and people, a file for each kind.
//!
//! Runs are seeded. A failure names its seed, and `FAULT_SEED=<seed>` runs that one alone. `FAULT_SEEDS` sets the number of
//! seeds of the crash tests.

mod abuse;
mod backlog;
mod campaigns;
mod crash;
mod credentials;
mod database;
mod demand;
mod exports;
mod failover;
mod fair;
mod forgery;
mod flood;
mod fuzz;
pub mod inside;
mod late;
mod other_program;
mod other_tenant;
mod outage;
mod outbound;
mod poison;
mod provider;
mod quiet;
mod recut;
mod repeated_ids;
mod restore;
mod reconciliation;
pub mod rig;
mod rules;
mod secrets;
mod shrink;
mod signing;
mod silent;
mod sockets;
mod stop;
mod tenants;
mod timers;
mod upkeep;
