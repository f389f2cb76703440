//! The statements of each table, a file for a table.

pub mod appointments;
pub(in crate::store) mod calls;
pub mod campaigns;
pub(in crate::store) mod api_tokens;
pub(in crate::store) mod contacts;
pub(in crate::store) mod decided;
pub(in crate::store) mod facts;
pub(in crate::store) mod events;
pub(in crate::store) mod events_set_aside;
pub(in crate::store) mod firings;
pub(in crate::store) mod idempotency;
pub(in crate::store) mod identity;
pub(in crate::store) mod actions;
pub(in crate::store) mod messages;
pub(in crate::store) mod old_causes;
pub(in crate::store) mod opt_outs;
pub(in crate::store) mod ordering_keys;
pub(in crate::store) mod refusals;
pub(in crate::store) mod purchases;
pub(in crate::store) mod questions;
pub(in crate::store) mod send_counts;
pub(in crate::store) mod tenants;
pub(in crate::store) mod timers;
pub(in crate::store) mod unknown_sends;
