//! Our results, compared with those of independent libraries.

pub mod croner;
pub mod carrier;
pub mod numbering_plans;
pub mod phone_zones;
pub mod recurrence;
pub mod signatures;
pub mod twiml;
