//! Imports many appointments from a file in one transaction, and reports each row: new, changed, unchanged, older than what
//! is known, or refused.

use sea_orm::TransactionTrait;

use super::calendar::{self, CalendarPlace, KnownEvents, Withdrawal};
use super::write::{self, Moved, NewAppointment, Order};
use super::{Appointment, BookingError, read};
use crate::domain::name_key::name_key;
use crate::domain::{AppointmentId, AppointmentState, By, Change, Phone, TenantId};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// The most appointments of one import. Other writers wait meanwhile.
pub const IMPORT_MAX: usize = 2_000;

/// One appointment of the file. `new.minutes` and `new.staff` stay as they are if they are `None`.
#[derive(Clone, Debug)]
pub struct Row {
    pub new: NewAppointment,
    /// The state of the appointment; `None` leaves it.
    pub state: Option<AppointmentState>,
    /// The occurrence of an event that it is, for rows of a calendar file. `new.uid` is its external id.
    pub calendar: Option<CalendarPlace>,
}

/// The result of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Imported {
    New(AppointmentId),
    Changed(AppointmentId),
    Unchanged(AppointmentId),
    /// A newer version of its event is known, so nothing has changed.
    Older,
}

/// The result of a calendar file.
#[derive(Debug, Default)]
pub struct CalendarImport {
    /// The result of each row.
    pub rows: Vec<Result<Imported, BookingError>>,
    /// The appointments that were cancelled, because the file no longer has them.
    pub withdrawn: Vec<Appointment>,
}

impl Store {
    /// Changes a business's appointments to those of the file, in one transaction; refused rows are left out. A row
    /// finds its appointment by the external id or, without one, by customer, service and start. With `preview` nothing
    /// is stored, but each row has the same result.
    pub async fn import_appointments(
        &self,
        tenant: TenantId,
        rows: &[Row],
        preview: bool,
    ) -> Result<Vec<Result<Imported, BookingError>>, StoreError> {
        Ok(self.import_calendar(tenant, rows, &[], preview).await?.rows)
    }

    /// Imports as [`Store::import_appointments`] does. First it cancels what the file withdraws, so that its time is free.
    pub async fn import_calendar(
        &self,
        tenant: TenantId,
        rows: &[Row],
        withdrawals: &[Withdrawal],
        preview: bool,
    ) -> Result<CalendarImport, StoreError> {
        let txn = begin(&self.write).await?;
        let mut done = CalendarImport::default();
        let mut known = KnownEvents::default();
        let places = rows.iter().filter_map(|row| row.calendar.as_ref()).map(|place| &place.uid);
        for uid in withdrawals.iter().map(|withdrawal| &withdrawal.uid).chain(places) {
            known.load(&txn, tenant, uid).await?;
        }
        for withdrawal in withdrawals {
            match known.withdraw(&txn, &self.context, tenant, withdrawal).await {
                Ok(cancelled) => done.withdrawn.extend(cancelled),
                Err(BookingError::Store(error)) => return Err(error),
                // Somebody was faster, and it is over already.
                Err(_) => {}
            }
        }
        for row in rows.iter().take(IMPORT_MAX) {
            // A refused row leaves nothing behind, not even a new customer.
            let own = txn.begin().await?;
            match import(&own, &self.context, row, &known).await {
                Ok(imported) => {
                    own.commit().await?;
                    done.rows.push(Ok(imported));
                }
                Err(BookingError::Store(error)) => return Err(error),
                Err(refused) => {
                    own.rollback().await?;
                    done.rows.push(Err(refused));
                }
            }
        }
        if preview {
            txn.rollback().await?;
        } else {
            self.commit_changes(txn, [tenant]).await?;
        }
        Ok(done)
    }
}

/// Imports a row. A row of a calendar file is compared with the versions that are known.
async fn import(
    txn: &impl Txn,
    context: &WriterContext,
    row: &Row,
    known: &KnownEvents,
) -> Result<Imported, BookingError> {
    let Some(place) = &row.calendar else { return import_row(txn, context, row).await };
    if known.is_older(place) {
        return Ok(Imported::Older);
    }
    let tenant = row.new.tenant;
    let same = known.find(place, place.occurrence).or_else(|| known.find(place, place.former?));
    if let Some(same) = same {
        calendar::rename(txn, tenant, same, place).await?;
    }
    let imported = import_row(txn, context, row).await?;
    if let Imported::New(id) | Imported::Changed(id) | Imported::Unchanged(id) = imported {
        known.note(txn, tenant, id, place).await?;
    }
    Ok(imported)
}

async fn import_row(txn: &impl Txn, context: &WriterContext, row: &Row) -> Result<Imported, BookingError> {
    let new = &row.new;
    let found = match &new.uid {
        Some(uid) => read::by_uid(txn, new.tenant, uid).await?,
        None => read::same(txn, new).await?,
    };
    let wanted = row.state;
    let Some(before) = found else {
        if let Some(state) = wanted.filter(|state| !state.is_active()) {
            return Err(BookingError::Over(state));
        }
        let booked = write::book(txn, context, new).await?;
        transition(txn, context, new.tenant, &booked, wanted).await?;
        return Ok(Imported::New(booked.id));
    };
    let same_customer = before.customer.as_deref().and_then(|known| Phone::parse(known).ok()).map(|known| known.key());
    if name_key(&before.service) != name_key(&new.service) || same_customer != Some(new.customer.key()) {
        return Err(BookingError::AnotherOne(before.uid));
    }
    let mut changed = false;
    let mut stands = before;
    if wanted.is_none_or(AppointmentState::is_active) {
        let to = Moved { starts: Some(new.starts), staff: new.staff.clone().map(Some), minutes: new.minutes };
        if differs(&stands, new) {
            let (moved, event) =
                write::change(txn, context, &order(new.tenant, &stands, Change::Move, Some(to))).await?;
            changed |= event.is_some();
            stands = moved;
        }
    }
    changed |= transition(txn, context, new.tenant, &stands, wanted).await?;
    Ok(if changed { Imported::Changed(stands.id) } else { Imported::Unchanged(stands.id) })
}

/// Whether the row has another place or time than the appointment.
fn differs(stands: &Appointment, new: &NewAppointment) -> bool {
    let staff = new.staff.as_ref().is_some_and(|name| stands.staff.as_deref().map(name_key) != Some(name_key(name)));
    let minutes = new.minutes.is_some_and(|minutes| u64::from(minutes) * 60 != stands.lasts().as_secs());
    staff || minutes || new.starts.at(stands.zone) != stands.starts_at
}

/// Moves an appointment to a state; `true` if that changed it.
async fn transition(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    stands: &Appointment,
    wanted: Option<AppointmentState>,
) -> Result<bool, BookingError> {
    let state = stands.state;
    let change = match wanted.filter(|wanted| *wanted != state) {
        None => return Ok(false),
        // A confirmation of the customer is not taken back.
        Some(AppointmentState::Booked) if state.is_active() => return Ok(false),
        Some(AppointmentState::Booked) => return Err(BookingError::NotPossible { state, change: Change::Move }),
        Some(AppointmentState::Confirmed) => Change::Confirm,
        Some(AppointmentState::Cancelled) => Change::Cancel,
        Some(AppointmentState::Completed) => Change::Complete,
        Some(AppointmentState::NoShow) => Change::NoShow,
    };
    Ok(write::change(txn, context, &order(tenant, stands, change, None)).await?.1.is_some())
}

fn order(tenant: TenantId, stands: &Appointment, change: Change, to: Option<Moved>) -> Order {
    Order { tenant, id: stands.id, change, to, version: None, by: By::Import }
}
