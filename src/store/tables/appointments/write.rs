//! Booking and changing, each with its history and its event, in the caller's transaction.

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use sea_orm::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::contacts::ContactUpsert;
use super::super::{events, timers};
use super::by_rules::Asked;
use super::staff::{self, Service, StaffMember};
use super::{Appointment, BookingError, GRANULE, NOTE_MAX_CHARS, Starts, UID_MAX_CHARS, customers, read};
use crate::domain::id::{Id, noun};
use crate::domain::{
    AppointmentId, AppointmentState, By, Change, ContactId, Event, EventKind, Phone, TenantId, Timestamp,
};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Txn};
use crate::store::error::StoreError;
use crate::time::zone::{to_instant, to_wall};

/// Why what was planned around an appointment does not leave any more.
const ENDED: &str = "the appointment was";

/// What is to be booked.
#[derive(Clone, Debug)]
pub struct NewAppointment {
    pub tenant: TenantId,
    /// The business's zone, where no staff member has one.
    pub zone: Tz,
    /// Made a customer where they are none yet.
    pub customer: Phone,
    /// Theirs, where no name is known yet.
    pub customer_name: String,
    pub service: String,
    /// Where the service is not known: whether it is made (with `minutes`, or the default), or refused.
    pub new_service: bool,
    /// How long, if not as long as the service usually lasts; 1 to [`super::MINUTES_MAX`].
    pub minutes: Option<u32>,
    /// `None`: it occupies nobody.
    pub staff: Option<String>,
    pub starts: Starts,
    pub note: String,
    /// An external id, unique within the business; its own where there is none.
    pub uid: Option<String>,
    pub by: By,
}

/// What is to be done with an appointment.
#[derive(Clone, Debug)]
pub struct Order {
    pub tenant: TenantId,
    pub id: AppointmentId,
    pub change: Change,
    /// Of a move: where to.
    pub to: Option<Moved>,
    /// What its version must be still; `None` takes it as it is.
    pub version: Option<i32>,
    pub by: By,
}

/// Where an appointment moves; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    pub starts: Option<Starts>,
    /// To somebody else of the staff; `Some(None)` to nobody.
    pub staff: Option<Option<String>>,
    pub minutes: Option<u32>,
}

/// Where and how long.
pub(super) struct TimeSlot {
    pub staff: Option<StaffMember>,
    pub zone: Tz,
    pub local: NaiveDateTime,
    pub starts: Timestamp,
    pub ends: Timestamp,
}

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
    if !insert(txn, new, id, contact, &service, &place, &uid, now).await? {
        return Err(BookingError::UidTaken(uid));
    }
    occupy(txn, new.tenant, id, &place).await?;
    let booked = read::one(txn, new.tenant, id).await?.ok_or(BookingError::NotFound(id))?;
    let told = ChangeRecord {
        what: "booked",
        kind: EventKind::APPOINTMENT_BOOKED,
        by: new.by,
        previous: None,
        depth: 0,
        state: None,
    };
    tell(txn, context, new.tenant, &booked, told, now).await?;
    Ok(booked)
}

/// Finds or makes the customer, and gives them the name where they have none.
async fn customer(
    txn: &impl Txn,
    context: &WriterContext,
    new: &NewAppointment,
    now: Timestamp,
) -> Result<ContactId, BookingError> {
    let mut upsert = ContactUpsert::default();
    upsert.add(new.tenant, &new.customer, now);
    let met = upsert.upsert(txn, context).await?;
    let found = met.get(&(new.tenant, new.customer.key())).copied();
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

/// `false` where the business knows this external id already.
#[expect(clippy::too_many_arguments, reason = "one for each group of columns")]
async fn insert(
    txn: &impl Txn,
    new: &NewAppointment,
    id: AppointmentId,
    contact: ContactId,
    service: &Service,
    place: &TimeSlot,
    uid: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let values = vec![
        id.uuid().into(),
        new.tenant.uuid().into(),
        contact.uuid().into(),
        service.id.uuid().into(),
        place.staff.as_ref().map(|member| member.id.uuid()).into(),
        wall_text(place.local).into(),
        place.zone.name().into(),
        place.starts.unix_us().into(),
        place.ends.unix_us().into(),
        AppointmentState::Booked.as_str().into(),
        new.note.clone().into(),
        1i32.into(),
        uid.into(),
        now.unix_us().into(),
        now.unix_us().into(),
    ];
    let inserted = txn
        .execute(
            "INSERT INTO appointments (id, tenant_id, contact_id, service_id, staff_id, starts_local, zone, starts_us,
               ends_us, state, note, version, uid, created_us, updated_us)
             VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
            values,
        )
        .await?;
    Ok(inserted == 1)
}

pub(super) fn wall_text(local: NaiveDateTime) -> String {
    local.format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Takes the staff member's time, or says that somebody has it and leaves all as it was. What the appointment itself
/// has of it already is taken.
async fn occupy(txn: &impl Txn, tenant: TenantId, id: AppointmentId, place: &TimeSlot) -> Result<(), BookingError> {
    let Some(member) = &place.staff else { return Ok(()) };
    let granules = granules(place.starts, place.ends);
    // In their order, so that two who want the same time on PostgreSQL wait for each other in one order.
    let values: Vec<Value> = granules
        .clone()
        .flat_map(|granule| [tenant.uuid().into(), member.id.uuid().into(), granule.into(), id.uuid().into()])
        .collect();
    let taken: Vec<i64> = txn
        .changed(
            "INSERT INTO occupied (tenant_id, staff_id, granule, appointment_id) VALUES {rows}
             ON CONFLICT DO NOTHING RETURNING granule",
            4,
            2,
            Cut::Exact,
            values,
        )
        .await?;
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

/// The granules that a time touches, each counted from 1970.
pub fn granules(starts: Timestamp, ends: Timestamp) -> std::ops::Range<i64> {
    let size = GRANULE.as_micros() as i64;
    starts.unix_us().div_euclid(size)..(ends.unix_us() + size - 1).div_euclid(size)
}

/// Gives back what the appointment has taken, but for what it has at `place`.
async fn free(txn: &impl Txn, tenant: TenantId, id: AppointmentId, place: Option<&TimeSlot>) -> Result<(), StoreError> {
    let mut text = "DELETE FROM occupied WHERE tenant_id = ? AND appointment_id = ?".to_owned();
    let mut values: Vec<Value> = vec![tenant.uuid().into(), id.uuid().into()];
    if let Some((place, member)) = place.and_then(|place| Some((place, place.staff.as_ref()?))) {
        let kept = granules(place.starts, place.ends);
        text.push_str(" AND NOT (staff_id = ? AND granule >= ? AND granule < ?)");
        values.extend([member.id.uuid().into(), kept.start.into(), kept.end.into()]);
    }
    txn.execute(&text, values).await?;
    Ok(())
}

/// Changes an appointment; beside it the event that says so, unless nothing has changed.
pub(super) async fn change(
    txn: &impl Txn,
    context: &WriterContext,
    order: &Order,
) -> Result<(Appointment, Option<Event>), BookingError> {
    change_as(txn, context, order, None).await
}

/// As [`change`]. Where a rule has `asked` for it, a move is held to what customers are held to. Refused, all is as it was.
pub(super) async fn change_as(
    txn: &impl Txn,
    context: &WriterContext,
    order: &Order,
    asked: Option<&Asked>,
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
        if asked.is_some() {
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
        timers::end_subject(txn, order.tenant, order.id.uuid(), &reason).await?;
    }
    let after = read::one(txn, order.tenant, order.id).await?.ok_or(BookingError::NotFound(order.id))?;
    let previous = moved.is_some().then_some(before.starts_at);
    let (depth, state) = asked.map_or((0, None), |asked| (asked.depth, Some(&asked.state)));
    let told = ChangeRecord { what: change.done(), kind: change.event(), by: order.by, previous, depth, state };
    let event = tell(txn, context, order.tenant, &after, told, now).await?;
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

/// Where a move leads; `None` where it is there already.
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
    /// What the rule that asked for it wanted to remember.
    state: Option<&'a Json>,
}

/// Writes the history and the event.
async fn tell(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    appointment: &Appointment,
    told: ChangeRecord<'_>,
    now: Timestamp,
) -> Result<Event, StoreError> {
    let facts = serde_json::to_value(appointment.facts()).map_err(StoreError::json)?;
    let id: Id<noun::Attempt> = context.ids.next();
    // Later than what was decided before, earlier than what is decided of it.
    let at_us = context.ids.tick_us();
    txn.execute(
        "INSERT INTO appointment_history (id, tenant_id, appointment_id, contact_id, at_us, version, what, made_by, facts)
         VALUES (?,?,?,?,?,?,?,?,?)",
        vec![
            id.uuid().into(),
            tenant.uuid().into(),
            appointment.id.uuid().into(),
            appointment.contact.map(ContactId::uuid).into(),
            at_us.into(),
            appointment.version.into(),
            told.what.into(),
            told.by.as_str().into(),
            facts.to_string().into(),
        ],
    )
    .await?;
    let mut data = json!({"appointment": facts, "by": told.by});
    if let Some(previous) = told.previous {
        data["previous_starts_at"] = previous.to_string().into();
    }
    if let Some(state) = told.state.filter(|state| !state.is_null()) {
        data["state"] = state.clone();
    }
    let event = Event {
        id: context.ids.next(),
        tenant,
        kind: told.kind,
        channel: None,
        contact: appointment.contact,
        occurred_at: now,
        dedupe_key: Some(format!("appointment:{}:{}", appointment.id, appointment.version)),
        depth: told.depth,
        data,
    };
    events::insert(txn, [(&event, None)]).await?;
    Ok(event)
}

/// What stands is cancelled, since nobody would come; the rest stays without its customer and its note.
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
