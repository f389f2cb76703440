//! Appointments and the staff who take them. All bookings are written here.
//!
//! **No double booking**: an appointment with a member of staff holds one row of `occupied` for each granule of time
//! that it touches. The primary key of these rows is (tenant, staff, granule), so a second appointment fails on the
//! key, whatever was read before.

mod by_rules;
mod calendar;
mod customers;
mod error;
mod import;
mod read;
mod staff;
mod write;

use std::time::Duration;

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use serde::Serialize;

pub use calendar::{CalendarPlace, CalendarVersion, CalendarVersions, Withdrawal, WithdrawalScope};
pub use customers::{AHEAD_MAX_DAYS, is_ahead, times_of};
pub use error::BookingError;
pub use import::{CalendarImport, IMPORT_MAX, Imported, Row};
pub use read::Filter;
pub use staff::{NewStaff, Service, StaffMember};
pub use write::{Moved, NewAppointment, Order, granules};

pub(in crate::store) use by_rules::{RequestedChange, by_rules};
pub(in crate::store) use write::forget_customer;

use crate::domain::appointment::AppointmentFacts;
use crate::domain::{AppointmentId, AppointmentState, ContactId, ServiceId, StaffId, TenantId, Timestamp, abort};
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::pending_cache::Committed;
use crate::time::zone::to_instant;

/// The length of a service that a booking makes.
pub const DEFAULT_MINUTES: u32 = 30;
pub const MINUTES_MAX: u32 = 1_440;
pub const NOTE_MAX_CHARS: usize = 2_000;
pub const NAME_MAX_CHARS: usize = 80;
pub const UID_MAX_CHARS: usize = 255;
/// The unit of a member of staff's time. An appointment takes all granules that it touches: from 10:03 to 10:41 it
/// occupies 10:00 to 10:45.
pub const GRANULE: Duration = Duration::from_secs(300);

/// The start of an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starts {
    At(Timestamp),
    /// The time on the wall, in the zone of the member of staff or of the business.
    Local(NaiveDateTime),
}

impl Starts {
    /// The instant of the start; `zone` is the zone of a time on the wall.
    pub fn at(self, zone: Tz) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Local(local) => to_instant(local, zone),
        }
    }
}

/// An appointment as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Appointment {
    pub id: AppointmentId,
    /// The customer; `None` if the customer was erased.
    pub contact: Option<ContactId>,
    /// The customer's number, E.164.
    pub customer: Option<String>,
    pub customer_name: String,
    pub service: String,
    #[serde(skip)]
    pub service_id: ServiceId,
    pub staff: Option<String>,
    #[serde(skip)]
    pub staff_id: Option<StaffId>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The agreed time on the wall in `zone`. The instants are derived from it.
    pub starts_local: NaiveDateTime,
    pub zone: Tz,
    pub state: AppointmentState,
    pub note: String,
    /// Every change adds one.
    pub version: i32,
    /// The external id, for calendars and other programs; unique within the business.
    pub uid: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Appointment {
    pub fn facts(&self) -> AppointmentFacts {
        AppointmentFacts {
            id: self.id,
            service: self.service.clone(),
            staff: self.staff.clone(),
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            zone: self.zone.name().to_owned(),
            state: self.state.as_str().to_owned(),
        }
    }

    /// The length of the appointment.
    pub fn lasts(&self) -> Duration {
        self.ends_at.since(self.starts_at)
    }
}

impl Store {
    /// Books an appointment in a transaction of its own.
    pub async fn book(&self, new: &NewAppointment) -> Result<Appointment, BookingError> {
        Ok(self.book_all(std::slice::from_ref(new)).await?.remove(0))
    }

    /// Books all of these appointments. If one of them is refused, none is booked, and the error names it.
    pub async fn book_all(&self, all: &[NewAppointment]) -> Result<Vec<Appointment>, BookingError> {
        let txn = begin(&self.write).await?;
        let mut booked = Vec::with_capacity(all.len());
        for new in all {
            booked.push(write::book(&txn, &self.context, new).await?);
        }
        self.commit_changes(txn, all.iter().map(|new| new.tenant)).await?;
        Ok(booked)
    }

    /// Changes an appointment in a transaction of its own. The flag is `true` if anything has changed.
    pub async fn change_appointment(&self, order: &Order) -> Result<(Appointment, bool), BookingError> {
        let txn = begin(&self.write).await?;
        let (appointment, event) = write::change(&txn, &self.context, order).await?;
        self.commit_changes(txn, [order.tenant]).await?;
        Ok((appointment, event.is_some()))
    }

    async fn commit_changes(
        &self,
        txn: sea_orm::DatabaseTransaction,
        tenants: impl IntoIterator<Item = TenantId>,
    ) -> Result<(), StoreError> {
        abort::point("before-commit");
        txn.commit().await?;
        abort::point("after-commit");
        // A customer may be new or have a new name, and the writer has not seen the events.
        self.context.pending.push(Committed { changed_customers: true, ..Committed::default() });
        tenants.into_iter().for_each(|tenant| self.context.pending.forget(tenant));
        Ok(())
    }
}
