//! Books and changes appointments in the caller's transaction. Each change stores its history and its event.

use std::sync::LazyLock;

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use sea_orm::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::contacts::ContactUpsert;
use super::super::{events, questions, timers};
use super::by_rules::RequestedChange;
use super::staff::{self, StaffMember};
use super::{Appointment, BookingError, GRANULE, NOTE_MAX_CHARS, Starts, UID_MAX_CHARS, customers, read};
use crate::domain::id::{Id, noun};
use crate::domain::{
    AppointmentId, AppointmentState, By, Change, ContactId, Event, EventKind, Phone, TenantId, Timestamp,
};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Txn};
use crate::store::error::StoreError;
use crate::store::rows::{appointment, appointment_history, occupied};
use crate::time::zone::{to_instant, to_wall};

/// The reason why a send around an appointment is blocked.
const ENDED: &str = "the appointment was";

/// An appointment to be booked.
#[derive(Clone, Debug)]
pub struct NewAppointment {
    pub tenant: TenantId,
    /// The business's zone, for an appointment without a member of staff who has a zone.
    pub zone: Tz,
    /// The customer's number. A number that is not known yet becomes a customer.
    pub customer: Phone,
    /// The customer's name, if no name is known yet.
    pub customer_name: String,
    pub service: String,
    /// Whether an unknown service is made, with `minutes` or the default. If not, the booking is refused.
    pub new_service: bool,
    /// The length, 1 to [`super::MINUTES_MAX`]; `None` takes the usual length of the service.
    pub minutes: Option<u32>,
    /// `None` for an appointment that occupies nobody.
    pub staff: Option<String>,
    pub starts: Starts,
    pub note: String,
    /// An external id, unique within the business; `None` takes the appointment's own id.
    pub uid: Option<String>,
    pub by: By,
}

/// A change of an appointment.
#[derive(Clone, Debug)]
pub struct Order {
    pub tenant: TenantId,
    pub id: AppointmentId,
    pub change: Change,
    /// The new place of a move.
    pub to: Option<Moved>,
    /// The version that the appointment must have; `None` accepts any version.
    pub version: Option<i32>,
    pub by: By,
}

/// The new place of a move. A field that is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    pub starts: Option<Starts>,
    /// The new member of staff; `Some(None)` for nobody.
    pub staff: Option<Option<String>>,
    pub minutes: Option<u32>,
}

/// The place of an appointment in the calendar.
pub(super) struct TimeSlot {
    pub staff: Option<StaffMember>,
    pub zone: Tz,
    pub local: NaiveDateTime,
    pub starts: Timestamp,
    pub ends: Timestamp,
}

/// Gives the id of the new row, unless the business knows the external id already. The id is the second value of a row.
static INSERT: LazyLock<String> =
    LazyLock::new(|| appointment::TABLE.insert() + " ON CONFLICT DO NOTHING RETURNING id");
static INSERT_HISTORY: LazyLock<String> = LazyLock::new(|| appointment_history::TABLE.insert());
/// Gives the granules that were free.
static OCCUPY: LazyLock<String> =
    LazyLock::new(|| occupied::TABLE.insert() + " ON CONFLICT DO NOTHING RETURNING granule");

pub(super) async fn book(
    txn: &impl Txn,
    context: &WriterContext,
    new: &NewAppointment,
) -> Result<Appointment, BookingError> {
    if new.note.chars().count() > NOTE_MAX_CHARS {
        return Err(BookingError::NoteTooLong(NOTE_MAX_CHARS));
    }
    let now = context.clock.now();
    let minutes = new.minutes.map(staff::minutes).transpose()?;
    let service = staff::service_named(txn, context, new.tenant, &new.service, minutes, new.new_service).await?;
    let member = match &new.staff {
        Some(name) => Some(staff::who_does(txn, new.tenant, name, &service).await?),
        None => None,
    };
    let place = place(member, new.zone, new.starts, minutes.unwrap_or(service.minutes))?;
    let contact = customer(txn, context, new, now).await?;
    let id: AppointmentId = context.ids.next();
    let uid = match &new.uid {
        Some(uid) => staff::name("external id", UID_MAX_CHARS, uid)?,
        None => id.to_string(),
    };
    let row = appointment::NewRow {
        tenant: new.tenant,
        id,
        contact,
        service: service.id,
        staff: place.staff.as_ref().map(|member| member.id),
        starts_local: wall_text(place.local),
        zone: place.zone,
        starts: place.starts,
        ends: place.ends,
        note: &new.note,
        uid: &uid,
        created: now,
    };
    let values = appointment::new_row(row).to_vec();
    let made: Vec<Uuid> = txn.changed(&INSERT, appointment::TABLE.width(), 1, Cut::Exact, values).await?;
    if made.is_empty() {
        return Err(BookingError::UidTaken(uid));
    }
    occupy(txn, new.tenant, id, &place).await?;
    let booked = read::one(txn, new.tenant, id).await?.ok_or(BookingError::NotFound(id))?;
    let record = ChangeRecord {
        what: "booked",
        kind: EventKind::APPOINTMENT_BOOKED,
        by: new.by,
        previous: None,
        depth: 0,
        state: None,
    };
    record_change(txn, context, new.tenant, &booked, record, now).await?;
    Ok(booked)
}

/// Finds or makes the customer, and sets the customer's name if there is none.
async fn customer(
    txn: &impl Txn,
    context: &WriterContext,
    new: &NewAppointment,
    now: Timestamp,
) -> Result<ContactId, BookingError> {
    let mut upsert = ContactUpsert::default();
    let phone = new.customer.clone().into();
    upsert.add(new.tenant, &phone, now);
    let found = upsert.upsert(txn, context).await?.get(new.tenant, &phone);
    let (contact, _) = found.ok_or_else(|| StoreError::Stored("a customer that was just made is gone".to_owned()))?;
    if !new.customer_name.trim().is_empty() {
        let name = staff::name("customer's name", super::NAME_MAX_CHARS, &new.customer_name)?;
        txn.execute(
            "UPDATE contacts SET name = ? WHERE id = ? AND tenant_id = ? AND name = ''",
            vec![name.into(), contact.uuid().into(), new.tenant.uuid().into()],
        )
        .await?;
    }
    Ok(contact)
}

fn place(staff: Option<StaffMember>, zone: Tz, starts: Starts, minutes: u32) -> Result<TimeSlot, BookingError> {
    let zone = staff.as_ref().and_then(|member| member.zone).unwrap_or(zone);
    let (local, at) = match starts {
        Starts::Local(local) => (local, to_instant(local, zone)),
        Starts::At(at) => {
            let local = to_wall(at, zone);
            (local, to_instant(local, zone))
        }
    };
    if !(1970..=9998).contains(&chrono::Datelike::year(&local)) {
        return Err(BookingError::OutOfReach);
    }
    if let Starts::At(asked) = starts
        && asked != at
    {
        return Err(BookingError::Ambiguous { at: local, zone: zone.name().to_owned() });
    }
    let ends = at.plus(std::time::Duration::from_secs(u64::from(minutes) * 60));
    Ok(TimeSlot { staff, zone, local, starts: at, ends })
}

pub(super) fn wall_text(local: NaiveDateTime) -> String {
    local.format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Takes the granules of the member of staff. If another appointment has one of them, it takes none and gives an error.
/// Granules that the appointment has already count as taken.
async fn occupy(txn: &impl Txn, tenant: TenantId, id: AppointmentId, place: &TimeSlot) -> Result<(), BookingError> {
    let Some(member) = &place.staff else { return Ok(()) };
    let granules = granules(place.starts, place.ends);
    // Two transactions on PostgreSQL that want the same time lock the rows in the same order.
    let values: Vec<Value> =
        granules.clone().flat_map(|granule| occupied::new_row(tenant, member.id, granule, id)).collect();
    let taken: Vec<i64> =
        txn.changed(&OCCUPY, occupied::TABLE.width(), occupied::GRANULE_AT, Cut::Exact, values).await?;
    if taken.len() == granules.clone().count() {
        return Ok(());
    }
    let own = [tenant.uuid().into(), member.id.uuid().into(), id.uuid().into()];
    let within = [granules.start.into(), granules.end.into()];
    let text = "SELECT granule FROM occupied WHERE tenant_id = ? AND staff_id = ? AND appointment_id = ?
      AND granule >= ? AND granule < ?";
    let held = txn.query(text, [&own[..], &within[..]].concat(), |row| row.get::<i64>(0)).await?;
    if held.len() == granules.count() {
        return Ok(());
    }
    let text = "DELETE FROM occupied WHERE tenant_id = ? AND staff_id = ? AND appointment_id = ? AND granule = ?";
    for granule in taken {
        txn.execute(text, [&own[..], &[granule.into()]].concat()).await?;
    }
    Err(BookingError::Taken { who: member.name.clone(), at: place.local })
}

/// The granules that a time touches, counted from 1970.
pub fn granules(starts: Timestamp, ends: Timestamp) -> std::ops::Range<i64> {
    let size = GRANULE.as_micros() as i64;
    starts.unix_us().div_euclid(size)..(ends.unix_us() + size - 1).div_euclid(size)
}

/// Frees the granules of an appointment, except those at `place`.
async fn free(txn: &impl Txn, tenant: TenantId, id: AppointmentId, place: Option<&TimeSlot>) -> Result<(), StoreError> {
    let mut text = "DELETE FROM occupied WHERE tenant_id = ? AND appointment_id = ?".to_owned();
    let mut values: Vec<Value> = vec![tenant.uuid().into(), id.uuid().into()];
    if let Some((place, member)) = place.and_then(|place| Some((place, place.staff.as_ref()?))) {
        let needed = granules(place.starts, place.ends);
        text.push_str(" AND NOT (staff_id = ? AND granule >= ? AND granule < ?)");
        values.extend([member.id.uuid().into(), needed.start.into(), needed.end.into()]);
    }
    txn.execute(&text, values).await?;
    Ok(())
}

/// Changes an appointment. Gives its event too, unless nothing has changed.
pub(super) async fn change(
    txn: &impl Txn,
    context: &WriterContext,
    order: &Order,
) -> Result<(Appointment, Option<Event>), BookingError> {
    change_as(txn, context, order, None).await
}

/// Changes an appointment as [`change`] does. If a rule has `requested` a move, the limits of customers apply. A
/// refused change leaves everything as it was.
pub(super) async fn change_as(
    txn: &impl Txn,
    context: &WriterContext,
    order: &Order,
    requested: Option<&RequestedChange>,
) -> Result<(Appointment, Option<Event>), BookingError> {
    let found = read::one_to_change(txn, order.tenant, order.id).await?;
    let before = found.ok_or(BookingError::NotFound(order.id))?;
    if let Some(expected) = order.version.filter(|expected| *expected != before.version) {
        return Err(BookingError::Changed { is: before.version, expected });
    }
    let (state, change) = (before.state, order.change);
    let next = state.after(change).ok_or(BookingError::NotPossible { state, change })?;
    let moved = match change {
        Change::Move => moved(txn, order, &before).await?,
        _ => None,
    };
    if moved.is_none() && (next == state || change == Change::Move) {
        return Ok((before, None));
    }
    let now = context.clock.now();
    if let Some(place) = &moved {
        if requested.is_some() {
            customers::may_have(txn, order.tenant, place, now).await?;
        }
        occupy(txn, order.tenant, order.id, place).await?;
    }
    write_change(txn, order, next, moved.as_ref(), now).await?;
    if moved.is_some() || next == AppointmentState::Cancelled {
        free(txn, order.tenant, order.id, moved.as_ref()).await?;
    }
    if change.ends_plans() {
        let reason = format!("{ENDED} {}", change.done().replace('_', "-"));
        let blocked = timers::end_subject(txn, context, order.tenant, order.id.uuid(), &reason).await?;
        let unsent: Vec<_> = blocked.into_iter().map(|action| (action, reason.clone())).collect();
        questions::never_sent(txn, context, &unsent).await?;
    }
    let after = read::one(txn, order.tenant, order.id).await?.ok_or(BookingError::NotFound(order.id))?;
    let previous = moved.is_some().then_some(before.starts_at);
    let (depth, state) = requested.map_or((0, None), |requested| (requested.depth, Some(&requested.state)));
    let record = ChangeRecord { what: change.done(), kind: change.event(), by: order.by, previous, depth, state };
    let event = record_change(txn, context, order.tenant, &after, record, now).await?;
    Ok((after, Some(event)))
}

async fn write_change(
    txn: &impl Txn,
    order: &Order,
    next: AppointmentState,
    moved: Option<&TimeSlot>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut set = "state = ?, version = version + 1, updated_us = ?".to_owned();
    let mut values: Vec<Value> = vec![next.as_str().into(), now.unix_us().into()];
    if let Some(place) = moved {
        set.push_str(", staff_id = ?, starts_local = ?, zone = ?, starts_us = ?, ends_us = ?");
        values.extend([
            place.staff.as_ref().map(|member| member.id.uuid()).into(),
            wall_text(place.local).into(),
            place.zone.name().into(),
            place.starts.unix_us().into(),
            place.ends.unix_us().into(),
        ]);
    }
    values.extend([order.id.uuid().into(), order.tenant.uuid().into()]);
    txn.execute(&format!("UPDATE appointments SET {set} WHERE id = ? AND tenant_id = ?"), values).await?;
    Ok(())
}

/// The new place of a move; `None` if the appointment is there already.
async fn moved(txn: &impl Txn, order: &Order, before: &Appointment) -> Result<Option<TimeSlot>, BookingError> {
    let to = order.to.clone().unwrap_or_default();
    let name = to.staff.unwrap_or_else(|| before.staff.clone());
    let member = match &name {
        Some(name) => {
            let service = staff::service_by_id(txn, order.tenant, before.service_id).await?;
            Some(staff::who_does(txn, order.tenant, name, &service).await?)
        }
        None => None,
    };
    let minutes = match to.minutes {
        Some(minutes) => staff::minutes(minutes)?,
        None => u32::try_from(before.lasts().as_secs() / 60).unwrap_or(super::MINUTES_MAX),
    };
    let starts = to.starts.unwrap_or(Starts::Local(before.starts_local));
    let place = place(member, before.zone, starts, minutes)?;
    let same_staff = place.staff.as_ref().map(|member| member.id) == before.staff_id;
    let stays = same_staff
        && (place.starts, place.ends, place.local) == (before.starts_at, before.ends_at, before.starts_local);
    Ok((!stays).then_some(place))
}

struct ChangeRecord<'a> {
    what: &'static str,
    kind: EventKind,
    by: By,
    previous: Option<Timestamp>,
    depth: u8,
    /// The value that the rule stored with its request.
    state: Option<&'a Json>,
}

/// Stores the history and the event of a change.
async fn record_change(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    appointment: &Appointment,
    record: ChangeRecord<'_>,
    now: Timestamp,
) -> Result<Event, StoreError> {
    let facts = serde_json::to_value(appointment.facts()).map_err(StoreError::json)?;
    let id: Id<noun::Attempt> = context.ids.next();
    // This time is later than the decisions before the change, and earlier than the decisions about it.
    let at_us = context.ids.tick_us();
    let row = appointment_history::NewRow {
        tenant,
        id: id.uuid(),
        appointment: appointment.id,
        contact: appointment.contact,
        at_us,
        version: appointment.version,
        what: record.what,
        by: record.by,
        facts: facts.to_string(),
    };
    let values = appointment_history::new_row(row).to_vec();
    txn.rows(&INSERT_HISTORY, appointment_history::TABLE.width(), Cut::Exact, values).await?;
    let mut data = json!({"appointment": facts, "by": record.by});
    if let Some(previous) = record.previous {
        data["previous_starts_at"] = previous.to_string().into();
    }
    if let Some(state) = record.state.filter(|state| !state.is_null()) {
        data["state"] = state.clone();
    }
    let event = Event {
        id: context.ids.next(),
        tenant,
        kind: record.kind,
        channel: None,
        contact: appointment.contact,
        occurred_at: now,
        dedupe_key: Some(format!("appointment:{}:{}", appointment.id, appointment.version)),
        depth: record.depth,
        data,
    };
    events::insert(txn, [(&event, None)]).await?;
    Ok(event)
}

/// Cancels the active appointments of a customer who is erased. The other appointments stay, without the customer and
/// the note.
pub(in crate::store) async fn forget_customer(
    txn: &impl Txn,
    tenant: TenantId,
    contact: Uuid,
) -> Result<(), StoreError> {
    let theirs = || vec![tenant.uuid().into(), contact.into()];
    txn.execute(
        "DELETE FROM occupied WHERE tenant_id = ? AND appointment_id IN (SELECT id FROM appointments
           WHERE tenant_id = ? AND contact_id = ? AND state IN ('booked', 'confirmed'))",
        [vec![tenant.uuid().into()], theirs()].concat(),
    )
    .await?;
    txn.execute("UPDATE appointment_history SET contact_id = NULL WHERE tenant_id = ? AND contact_id = ?", theirs())
        .await?;
    txn.execute(
        "UPDATE appointments SET contact_id = NULL, note = '', version = version + 1,
           state = CASE WHEN state IN ('booked', 'confirmed') THEN 'cancelled' ELSE state END
         WHERE tenant_id = ? AND contact_id = ?",
        theirs(),
    )
    .await?;
    Ok(())
}
