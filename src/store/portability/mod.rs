//! Exports, imports, backups, erasure and retention.

pub(in crate::store) mod backup;
pub(in crate::store) mod erase;
pub(in crate::store) mod snapshot;
pub(in crate::store) mod restored;
pub(in crate::store) mod retention;
pub(in crate::store) mod tables;
