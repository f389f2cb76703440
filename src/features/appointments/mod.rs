//! Appointments in files: calendars to subscribe to, calendars and tables to import.
//!
//! What is booked, and that nobody is booked twice, is the store's: [`crate::store::tables::appointments`]. What customers may
//! book themselves is [`crate::engine::availability`].

pub mod feed;
pub mod ical;
pub mod sheet;
