//! Time as people mean it: spans, wall clocks, schedules, opening hours, quiet hours. Pure: asks no clock, does no I/O.
//!
//! A *wall time* is what a clock on the wall shows: a date and a time without a zone. [`zone`] maps it to an instant, and is
//! the only place that knows what becomes of it where clocks change.

pub mod cron;
pub mod hours;
pub mod span;
mod words;
pub mod zone;

pub use cron::Cron;
pub use hours::WeeklyHours;
pub use span::Span;
