//! The transactions, a file each: those of the writer's batches, those of people, and those of the engine's loops.

pub(in crate::store) mod add_event;
pub(in crate::store) mod call_report;
pub(in crate::store) mod call_turn;
pub(in crate::store) mod claim;
pub(in crate::store) mod customers;
pub(in crate::store) mod decide;
pub(in crate::store) mod fallback;
pub(in crate::store) mod fire;
pub(in crate::store) mod ingest;
pub(in crate::store) mod leg_report;
pub(in crate::store) mod outcome;
pub(in crate::store) mod resolve;
pub(in crate::store) mod status;
