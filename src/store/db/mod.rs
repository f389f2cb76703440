//! Opening a database, its two dialects, its state.

pub(in crate::store) mod health;
mod migrate;
pub(in crate::store) mod open;
pub(in crate::store) mod sql;
pub(in crate::store) mod sqlite;
