//! Rows that leave a database or come into one: exports, backups, erasure, retention.

pub(in crate::store) mod backup;
pub(in crate::store) mod erase;
pub(in crate::store) mod snapshot;
pub(in crate::store) mod retention;
pub(in crate::store) mod tables;
