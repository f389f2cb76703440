//! Reads appointments as they are now, and as they were before.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use sea_orm::{ConnectionTrait, Value};

use super::{Appointment, NewAppointment, staff};
use crate::domain::appointment::AppointmentFacts;
use crate::domain::name_key::name_key;
use crate::domain::{AppointmentId, AppointmentState, ContactId, ServiceId, StaffId, TenantId, Timestamp};
use crate::store::db::LIST_MAX;
use crate::store::db::sql;
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// A filter of appointments. A field that is `None` filters nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Appointments that end after this time.
    pub from: Option<Timestamp>,
    /// Appointments that start before this time.
    pub to: Option<Timestamp>,
    pub staff: Option<StaffId>,
    pub contact: Option<ContactId>,
    pub state: Option<AppointmentState>,
    /// Appointments after this one, in the order of the list.
    pub after: Option<(Timestamp, AppointmentId)>,
    /// At most [`LIST_MAX`].
    pub limit: usize,
}

const APPOINTMENTS: &str = "SELECT a.id, a.contact_id, c.phone, c.name, c.profile_name, a.service_id, s.name, a.staff_id,
    t.name, a.starts_us, a.ends_us, a.starts_local, a.zone, a.state, a.note, a.version, a.uid, a.created_us, a.updated_us
  FROM appointments a JOIN services s ON s.id = a.service_id AND s.tenant_id = a.tenant_id
    LEFT JOIN staff t ON t.id = a.staff_id AND t.tenant_id = a.tenant_id
    LEFT JOIN contacts c ON c.id = a.contact_id AND c.tenant_id = a.tenant_id
  WHERE a.tenant_id = ?";

fn read(row: &Row) -> Result<Appointment, StoreError> {
    let (name, profile_name): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
    let (local, zone, state): (String, String, String) = (row.get(11)?, row.get(12)?, row.get(13)?);
    Ok(Appointment {
        id: AppointmentId::new(row.get(0)?),
        contact: row.get::<Option<uuid::Uuid>>(1)?.map(ContactId::new),
        customer: row.get(2)?,
        customer_name: name.filter(|name| !name.is_empty()).or(profile_name).unwrap_or_default(),
        service_id: ServiceId::new(row.get(5)?),
        service: row.get(6)?,
        staff_id: row.get::<Option<uuid::Uuid>>(7)?.map(StaffId::new),
        staff: row.get(8)?,
        starts_at: Timestamp::from_unix_us(row.get(9)?),
        ends_at: Timestamp::from_unix_us(row.get(10)?),
        starts_local: local.parse::<NaiveDateTime>().map_err(StoreError::stored)?,
        zone: zone.parse::<Tz>().map_err(StoreError::stored)?,
        state: state.parse().map_err(StoreError::stored)?,
        note: row.get(14)?,
        version: row.get(15)?,
        uid: row.get(16)?,
        created_at: Timestamp::from_unix_us(row.get(17)?),
        updated_at: Timestamp::from_unix_us(row.get(18)?),
    })
}

pub(super) async fn one(
    txn: &impl Txn,
    tenant: TenantId,
    id: AppointmentId,
) -> Result<Option<Appointment>, StoreError> {
    let text = format!("{APPOINTMENTS} AND a.id = ?");
    Ok(txn.query(&text, vec![tenant.uuid().into(), id.uuid().into()], read).await?.pop())
}

/// Reads an appointment as [`one`] does, and locks it until the transaction ends.
pub(super) async fn one_to_change(
    txn: &impl Txn,
    tenant: TenantId,
    id: AppointmentId,
) -> Result<Option<Appointment>, StoreError> {
    // A writing transaction of SQLite locks the whole file.
    let lock = if txn.is_postgres() { " FOR UPDATE OF a" } else { "" };
    let text = format!("{APPOINTMENTS} AND a.id = ?{lock}");
    Ok(txn.query(&text, vec![tenant.uuid().into(), id.uuid().into()], read).await?.pop())
}

pub(super) async fn by_uid(txn: &impl Txn, tenant: TenantId, uid: &str) -> Result<Option<Appointment>, StoreError> {
    let text = format!("{APPOINTMENTS} AND a.uid = ?");
    Ok(txn.query(&text, vec![tenant.uuid().into(), uid.into()], read).await?.pop())
}

/// Finds the appointment of this customer for this service at this time. If there are several, it prefers an active
/// one.
pub(super) async fn same(txn: &impl Txn, new: &NewAppointment) -> Result<Option<Appointment>, StoreError> {
    let zone = match &new.staff {
        Some(name) => staff::zone_of(txn, new.tenant, name).await?.unwrap_or(new.zone),
        None => new.zone,
    };
    let text = format!(
        "{APPOINTMENTS} AND a.starts_us = ? AND s.name_key = ? AND c.phone_key = ?
         ORDER BY CASE WHEN a.state IN ('booked', 'confirmed') THEN 1 ELSE 0 END, a.id"
    );
    let values = vec![
        new.tenant.uuid().into(),
        new.starts.at(zone).unix_us().into(),
        name_key(&new.service).into(),
        new.customer.key().into(),
    ];
    Ok(txn.query(&text, values, read).await?.pop())
}

impl Store {
    pub async fn appointment(&self, tenant: TenantId, id: AppointmentId) -> Result<Option<Appointment>, StoreError> {
        let text = format!("{APPOINTMENTS} AND a.id = ?");
        let row = sql::query_one(&self.read, &text, vec![tenant.uuid().into(), id.uuid().into()]).await?;
        row.map(|row| read(&Row::Sea(&row))).transpose()
    }

    /// Finds the appointment with this external id.
    pub async fn appointment_by_uid(&self, tenant: TenantId, uid: &str) -> Result<Option<Appointment>, StoreError> {
        let text = format!("{APPOINTMENTS} AND a.uid = ?");
        let row = sql::query_one(&self.read, &text, vec![tenant.uuid().into(), uid.into()]).await?;
        row.map(|row| read(&Row::Sea(&row))).transpose()
    }

    /// Lists appointments in the order of their starts.
    pub async fn appointments(&self, tenant: TenantId, filter: &Filter) -> Result<Vec<Appointment>, StoreError> {
        let mut text = APPOINTMENTS.to_owned();
        let mut values: Vec<Value> = vec![tenant.uuid().into()];
        let mut and = |condition: &str, value: Option<Value>| {
            if let Some(value) = value {
                text.push_str(condition);
                values.push(value);
            }
        };
        and(" AND a.ends_us > ?", filter.from.map(|at| at.unix_us().into()));
        and(" AND a.starts_us < ?", filter.to.map(|at| at.unix_us().into()));
        and(" AND a.staff_id = ?", filter.staff.map(|id| id.uuid().into()));
        and(" AND a.contact_id = ?", filter.contact.map(|id| id.uuid().into()));
        and(" AND a.state = ?", filter.state.map(|state| state.as_str().into()));
        if let Some((at, id)) = filter.after {
            text.push_str(" AND (a.starts_us, a.id) > (?, ?)");
            values.extend([at.unix_us().into(), id.uuid().into()]);
        }
        let limit = i64::try_from(filter.limit.min(LIST_MAX)).unwrap_or(i64::MAX);
        text.push_str(" ORDER BY a.starts_us, a.id LIMIT ?");
        values.push(limit.into());
        let rows = sql::query(&self.read, &text, values).await?;
        rows.iter().map(|row| read(&Row::Sea(row))).collect()
    }

    /// Lists the granules in this range that a member of staff has taken, in order.
    pub async fn occupied(
        &self,
        tenant: TenantId,
        staff: StaffId,
        granules: std::ops::Range<i64>,
    ) -> Result<Vec<i64>, StoreError> {
        let rows = sql::query(
            &self.read,
            "SELECT granule FROM occupied WHERE tenant_id = ? AND staff_id = ? AND granule >= ? AND granule < ?
             ORDER BY granule",
            vec![tenant.uuid().into(), staff.uuid().into(), granules.start.into(), granules.end.into()],
        )
        .await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    /// Reads the facts of appointments for the rules: as they are, or as they were before `as_of`.
    pub async fn appointment_facts(
        &self,
        tenant: TenantId,
        ids: &[AppointmentId],
        as_of: Option<Timestamp>,
    ) -> Result<HashMap<AppointmentId, AppointmentFacts>, StoreError> {
        let mut facts = HashMap::with_capacity(ids.len());
        if let Some(as_of) = as_of {
            for id in ids {
                facts.extend(facts_then(&self.read, tenant, *id, as_of).await?.map(|then| (*id, then)));
            }
            return Ok(facts);
        }
        let list: Vec<Value> = ids.iter().map(|id| id.uuid().into()).collect();
        let text = format!("{APPOINTMENTS} AND a.id IN ({{list}})");
        for row in sql::query_in(&self.read, &text, &[tenant.uuid().into()], list).await? {
            let appointment = read(&Row::Sea(&row))?;
            facts.insert(appointment.id, appointment.facts());
        }
        Ok(facts)
    }

    /// Finds each customer's next active appointment that ends after `now`.
    pub async fn next_appointments(
        &self,
        tenant: TenantId,
        contacts: &[ContactId],
        now: Timestamp,
    ) -> Result<HashMap<ContactId, AppointmentFacts>, StoreError> {
        let mut next = HashMap::with_capacity(contacts.len());
        for row in next_of(&self.read, tenant, contacts, now).await? {
            let appointment = read(&Row::Sea(&row))?;
            if let Some(contact) = appointment.contact {
                next.entry(contact).or_insert_with(|| appointment.facts());
            }
        }
        Ok(next)
    }
}

impl Store {
    /// Finds the same as [`Store::next_appointments`], as it was at `then`.
    pub async fn next_appointments_then(
        &self,
        tenant: TenantId,
        contacts: &[ContactId],
        then: Timestamp,
    ) -> Result<HashMap<ContactId, AppointmentFacts>, StoreError> {
        let list: Vec<Value> = contacts.iter().map(|id| id.uuid().into()).collect();
        let rows = sql::query_in(
            &self.read,
            "SELECT contact_id, facts FROM appointment_history WHERE tenant_id = ? AND at_us < ? AND contact_id IN ({list})
             ORDER BY at_us, id",
            &[tenant.uuid().into(), then.unix_us().into()],
            list,
        )
        .await?;
        // The last change of each appointment.
        let mut last: HashMap<AppointmentId, (ContactId, AppointmentFacts)> = HashMap::new();
        for row in rows {
            let (contact, text): (uuid::Uuid, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let facts: AppointmentFacts = serde_json::from_str(&text).map_err(StoreError::json)?;
            last.insert(facts.id, (ContactId::new(contact), facts));
        }
        let mut next: HashMap<ContactId, AppointmentFacts> = HashMap::new();
        for (contact, facts) in last.into_values().filter(|(_, facts)| facts.is_active() && facts.ends_at > then) {
            let found = next.entry(contact).or_insert_with(|| facts.clone());
            if (facts.starts_at, facts.id) < (found.starts_at, found.id) {
                *found = facts;
            }
        }
        Ok(next)
    }
}

/// Lists the active appointments of these customers that end after `now`, the soonest first.
async fn next_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    contacts: &[ContactId],
    now: Timestamp,
) -> Result<Vec<sea_orm::QueryResult>, StoreError> {
    let list: Vec<Value> = contacts.iter().map(|id| id.uuid().into()).collect();
    let text = format!(
        "{APPOINTMENTS} AND a.ends_us > ? AND a.state IN ('booked', 'confirmed') AND a.contact_id IN ({{list}})
         ORDER BY a.starts_us, a.id"
    );
    Ok(sql::query_in(db, &text, &[tenant.uuid().into(), now.unix_us().into()], list).await?)
}

/// Reads an appointment as it was before `as_of`; `None` if it did not exist yet.
async fn facts_then(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    id: AppointmentId,
    as_of: Timestamp,
) -> Result<Option<AppointmentFacts>, StoreError> {
    let row = sql::query_one(
        db,
        "SELECT facts FROM appointment_history WHERE tenant_id = ? AND appointment_id = ? AND at_us < ?
         ORDER BY at_us DESC, id DESC LIMIT 1",
        vec![tenant.uuid().into(), id.uuid().into(), as_of.unix_us().into()],
    )
    .await?;
    let facts = row.map(|row| row.try_get_by_index::<String>(0)).transpose()?;
    facts.map(|facts| serde_json::from_str(&facts).map_err(StoreError::json)).transpose()
}
