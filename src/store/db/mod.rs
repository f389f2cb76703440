//! Opens a database, and has the differences between SQLite and PostgreSQL.

pub(in crate::store) mod health;
pub(in crate::store) mod migrate;
pub(in crate::store) mod open;
pub(in crate::store) mod pool;
pub(in crate::store) mod sql;
pub(in crate::store) mod sqlite;

/// The most rows that a list gives.
pub const LIST_MAX: usize = 10_000;
