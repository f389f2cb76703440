//! What leaves an installation as a file, and comes back: backups and single tenants.

pub mod file;
