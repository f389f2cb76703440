//! Faults that Recado survives, of the machine, the provider and people, a file for each kind.
//!
//! Runs are seeded. A failure names its seed, and `FAULT_SEED=<seed>` runs that one alone. `FAULT_SEEDS` sets the number of
//! seeds of the crash tests.

mod abuse;
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
mod sockets;
mod stop;
mod tenants;
mod timers;
