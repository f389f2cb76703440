//! The tables as sea-orm entities: columns only, named as in `migrations/`. Instants are microseconds since 1970 UTC.

pub mod action;
pub mod attempt;
pub(in crate::store) mod contact;
pub mod contact_history;
pub mod event;
pub mod message;
pub mod opt_out;
pub mod rule_run;
pub mod sender;
pub mod setting;
pub mod tenant;
pub(in crate::store) mod table;
