//! The only place with SQL: SQLite or PostgreSQL, one set of statements.
//!
//! The writes of the hot path go through the [`Writer`]: one thread, many requests in a commit. Reads have their own
//! connections.
//!
//! # Layers
//!
//! A layer imports only those above it in this list.
//!
//! | layer | content |
//! |---|---|
//! | `db` | opening a database, the two dialects, statements of many rows |
//! | `rows` | a file for each table: its columns, the values of a new row, and a type for rows that leave the store |
//! | `context`, `pending_cache`, `writer`, `handle` | the needs of every transaction; the group commit; [`Store`] |
//! | `tables` | the statements of each table |
//! | `requests` | the transactions: those of the writer (a file each) and those of people |
//! | `reads` | lists and forecasts |
//! | `portability` | export, import, erasure, retention |
//!
//! **Invariant:** every query names its tenant, or uses an id from a row of the tenant and compares the tenant of the
//! result before it uses it. Exceptions: queries for tenants that have work; timers that are due or whose rules change;
//! queries by the provider's ids, which are unique across tenants; and ordering keys, which tenants share if they send
//! from the same number.
//!
//! # How to add a column
//!
//! A fact about a customer that only people and rules write belongs in the column `fields`, and needs no column of its
//! own. For a column of any table:
//!
//! 1. `migrations/mNNNN_name.sql`: `ALTER TABLE … ADD COLUMN`, nullable or with a default, so that the program before
//!    it can still run beside the new one. `migrations/README.md` says more.
//! 2. `migrations/mod.rs`: a line at the end of `MIGRATIONS`.
//! 3. `store/rows/`, the file of the table: a line at the end of `TABLE`, and the value of a new row at the end of
//!    `new_row`. If the file has a `Model`, the column is a field of it, too; a test compares both. Inserts, exports
//!    and imports follow.
//! 4. The readers of the column.
//!
//! An import reads a nullable column that an older export lacks as null. For a column with a default,
//! `ops/export_import/import.rs` sets it.
//!
//! The readers of a column of `contacts` that the API shows, 6 files in all:
//!
//! 1. `domain/contact.rs`: a field of `ContactFacts`, and its default.
//! 2. `store/tables/facts.rs`: the column in `CONTACTS` before the columns of the channels, one more in
//!    `CONTACT_COLUMNS`, and the field in `read_facts`. If the value changes over time, `rewind` restores the earlier
//!    one.
//! 3. `http/views/customer.rs`: a field of the JSON.
//!
//! If rules read the column, a seventh file has its line: `rules/script/views/contact.rs`.
//!
//! # How to add a table
//!
//! 1. `migrations/mNNNN_name.sql` and its line in `migrations/mod.rs`, as for a column.
//! 2. `store/rows/`: a file with its `TABLE` and `new_row`, and its line in `store/rows/mod.rs`.
//! 3. `store/portability/tables.rs`: its place in `TABLES`, after the tables that its rows refer to, and the number of
//!    tables. Exports and imports follow.
//! 4. `store/tables/`: a file with its statements, and its line in `store/tables/mod.rs`.
//! 5. `store/portability/erase.rs` if it has data of a customer, `store/portability/retention.rs` if its rows grow old.
//!
//! # How to add a request to the writer
//!
//! A file in `store/requests/` with its type, an implementation of `Request`, and a method of [`Writer`]; its line in
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

pub use context::Restored;
pub use db::LIST_MAX;
pub use db::open::{Options, sqlite_path};
pub use db::pool::{REQUEST_READERS, STATEMENT_WITHIN};
pub use error::{StoreError, WRITE_QUEUE};
pub use handle::Store;
pub use pending_cache::Pending;
pub use portability::backup::{Leftovers, check_backup, compact_sqlite, copy_sqlite, shrink_sqlite};
pub use portability::erase::Erased;
pub use portability::restored::MarkedRestored;
pub use portability::retention::{Removed, Step};
pub use portability::snapshot::Snapshot;
pub use portability::tables::TABLES;
pub use reads::ahead::{Ahead, Left, PlannedSend};
pub use reads::calls::{CallEvent, CallFilter, ListedCall, ListedTurn};
pub use reads::history::CustomerHistory;
pub use reads::lists::{Backlog, Unsettled};
pub use reads::newest::Listed;
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
pub use rows::contact_channel::CUSTOMER_CHANNEL;
pub use rows::table::{NotARow, Table};
pub use rows::timer::PendingTimer;
pub use rows::timer_set_aside::SET_ASIDE;
pub use tables::actions::{Candidate, GateFacts, NewAction, OPTED_OUT_CODE, QueuedSend, SEND_WITHIN, ordering_key};
pub use tables::api_tokens::{ApiToken, ApiTokenGrant, NewApiToken};
pub use tables::calls::{CallResult, Caller, Leg, LegReport, ListedLeg, OpenCall, TurnAnswer};
pub use tables::decided::{Decided, DecidedReceipt};
pub use tables::events_set_aside::EventSetAside;
pub use tables::idempotency::{Begun, IDEMPOTENCY_KEPT};
pub use tables::questions::{running_from, silence_of, unsent_of};
pub use tables::refusals::{Refused, RefusedSum};
pub use tables::send_counts::SendCounts;
pub use tables::tenants::StoredTenant;
pub use tables::timers::{Replanned, TIMERS_PAGE};
pub use tables::unknown_sends::Unknown;
pub use writer::Writer;
