//! Appointments in files: calendar feeds, and calendars and spreadsheets to import.
//!
//! The store books appointments and prevents double bookings: [`crate::store::tables::appointments`]. The times that
//! customers may book are computed by [`crate::engine::availability`].

pub mod feed;
pub mod ical;
pub mod sheet;
