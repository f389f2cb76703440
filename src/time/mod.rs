//! Time as people use it: spans, local time, schedules, opening hours, quiet hours. Pure: no clock, no I/O.
//!
//! A *local time* is a date and a time without a zone. [`zone`] converts it to an instant; only that module knows about
//! clock changes.

pub mod cron;
mod describe_cron;
pub mod hours;
pub mod phones;
pub mod quiet;
pub mod recurrence;
pub mod span;
pub mod zone;

pub use cron::Cron;
pub use hours::WeeklyHours;
pub use quiet::{Quiet, QuietRules};
pub use span::Span;
