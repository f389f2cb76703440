//! The only place with SQL: SQLite or PostgreSQL, one set of statements.
//!
//! Hot rows go through the [`Writer`]: one thread, many requests a commit. Reads have connections of their own.
//!
//! # Layers
//!
//! Each imports only those above it in this list.
//!
//! | layer | holds |
//! |---|---|
//! | `db` | opening, the two dialects, statements of many rows |
//! | `rows` | a type for each table whose rows leave the store |
//! | `context`, `pending_cache`, `writer`, `handle` | what every transaction needs; the group commit; [`Store`] |
//! | `tables` | what is read and written of each table |
//! | `requests` | the transactions: those of the writer (a file each) and those of people |
//! | `reads` | lists and forecasts |
//! | `portability` | export, import, erasure, retention |
//!
//! To add a request to the writer, write a file in `requests/` with its type, `impl Request for` it, and a method of
//! [`Writer`]; give it a place in `writer::Step`.
//!
//! **Invariant:** every query names its tenant, or goes by an id that a row of the tenant holds, and what it finds is
//! compared with the tenant before it is used. Exceptions: those that find which tenants have work; timers as they fall
//! due, or as their rules change; those by the provider's ids, which are unique across tenants; and ordering keys, which
//! all tenants share that send from one number.

mod context;
pub mod db;
mod error;
mod handle;
mod pending_cache;
pub mod portability;
pub mod reads;
pub mod requests;
pub mod rows;
pub mod tables;
mod writer;

pub use db::LIST_MAX;
pub use db::open::{Options, sqlite_path};
pub use error::{StoreError, WRITE_QUEUE};
pub use handle::Store;
pub use pending_cache::Pending;
pub use portability::backup::{compact_sqlite, copy_sqlite};
pub use portability::erase::Erased;
pub use portability::retention::{Removed, Step};
pub use portability::snapshot::Snapshot;
pub use portability::tables::{CUSTOMER_CHANNEL, SET_ASIDE, TABLES};
pub use reads::ahead::{Ahead, Left, PlannedSend};
pub use reads::calls::{CallEvent, CallFilter, ListedCall, ListedTurn};
pub use reads::lists::{Backlog, Listed, Unsettled};
pub use requests::call_report::{CallReport, Recording, Reported};
pub use requests::call_turn::{NewTurn, Turned};
pub use requests::claim::{ANSWERED_WITHIN, ClaimRequest, Claimed, Claims, Gate, Judge};
pub use requests::customers::CustomerChange;
pub use requests::fallback::wanted as fallback_wanted;
pub use requests::fire::{DueTimer, FIRE_MAX, FireRequest, Firing, Next, RETRY_AFTER, SetAside, TRIES_MAX};
pub use requests::ingest::{Confirmation, Ingested, NewInbound, OptOutKeyword};
pub use requests::outcome::{AttemptOutcome, AttemptResult};
pub use requests::resolve::{OperatorDecision, Resolution};
pub use requests::status::{Settled, StatusReport};
pub use rows::table::{NotARow, Table};
pub use tables::actions::{
    Candidate, GateFacts, NewAction, OPTED_OUT_CODE, QueuedSend, SEND_WITHIN, Unknown, ordering_key,
};
pub use tables::api_tokens::ApiToken;
pub use tables::calls::{CallResult, Caller, Leg, LegReport, ListedLeg, OpenCall, TurnAnswer};
pub use tables::decided::{Decided, DecidedReceipt};
pub use tables::idempotency::{Begun, IDEMPOTENCY_KEPT};
pub use tables::questions::silence_of;
pub use tables::refusals::{Refused, RefusedSum};
pub use tables::tenants::StoredTenant;
pub use tables::timers::{PendingTimer, Replanned, TIMERS_PAGE};
pub use writer::Writer;
