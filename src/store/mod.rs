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
//! **Invariant:** every query names its tenant, or goes by an id that a row of the tenant holds, and what it finds is
//! compared with the tenant before it is used. Exceptions: those that find which tenants have work; timers as they fall
//! due, or as their rules change; those by the provider's ids, which are unique across tenants; and ordering keys, which
//! all tenants share that send from one number.
//!
//! # How to add a column
//!
//! What only people and rules write about a customer belongs in the column `fields`, and needs no column of its own. For a
//! column of `contacts` that the API shows:
//!
//! 1. `migrations/mNNNN_name.sql`: `ALTER TABLE … ADD COLUMN`, nullable or with a default. The program before it can then
//!    still run beside the new one; `migrations/README.md` says more.
//! 2. `migrations/mod.rs`: a line at the end of `MIGRATIONS`.
//! 3. `store/rows/contact.rs`: a line at the end of `TABLE`, and a new customer's value at the end of `new_row`. Inserts,
//!    exports and imports follow.
//! 4. `domain/contact.rs`: a field of `ContactFacts`, and its default.
//! 5. `store/tables/facts.rs`: the column in `CONTACTS` before the columns of the channels, one more in `CONTACT_COLUMNS`,
//!    and the field in `read_facts`. Where the value changes over time, `rewind` gives the earlier one.
//! 6. `http/views/customer.rs`: a field of the JSON.
//!
//! Tried: 6 files. An import reads a nullable column that an older export lacks as null; for one with a default,
//! `ops/export_import/import.rs` sets it. Where rules read the column, a seventh file: its line in `rules/script/views/contact.rs`.
//!
//! For another table, `store/portability/tables.rs` takes the place of step 3, and its statements are in `store/tables/`. A
//! table whose rows leave the store has a type in `store/rows/`, too.
//!
//! # How to add a table
//!
//! 1. `migrations/mNNNN_name.sql` and its line in `migrations/mod.rs`, as for a column.
//! 2. `store/portability/tables.rs`: its description in `TABLES`, behind the tables that its rows name, and the number of
//!    tables. Exports and imports follow.
//! 3. `store/tables/`: a file with its statements, and its line in `store/tables/mod.rs`.
//! 4. `store/portability/erase.rs` where it holds something of a customer, `store/portability/retention.rs` where its rows
//!    grow old.
//!
//! # How to add a request to the writer
//!
//! A file in `store/requests/` with its type, `impl Request for` it, and a method of [`Writer`]; its line in
//! `store/requests/mod.rs`; a place in `writer::Step`.

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
