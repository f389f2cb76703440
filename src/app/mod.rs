//! The composition root: it opens an installation, builds every part, starts every loop and serves.
//!
//! `composition` lists services and loops. `demo` runs the built-in carrier where no Twilio account is
//! configured, and [`rehearsal`] runs the engine on a copy of the database.

mod announce;
mod carrier_account;
mod composition;
mod demo;
mod error;
mod housekeeping;
mod installation;
pub mod rehearsal;
mod serve;

pub use carrier_account::NUMBER as CARRIER_NUMBER;
pub use composition::{engine, engine_parts, gate, start_loops, voice};
pub use demo::CARRIER_BASE;
pub use error::AppError;
pub use installation::{Installation, load_providers, open_existing_store, open_store};
pub use serve::{lock_database, serve};
