//! What scripts read of an event, a customer, the business and appointments.

pub(in crate::rules) mod event;
pub(in crate::rules) mod appointment;
