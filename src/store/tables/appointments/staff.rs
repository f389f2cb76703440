//! Services and the staff who do them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono_tz::Tz;
use serde::Serialize;
use uuid::Uuid;

use super::{BookingError, DEFAULT_MINUTES, MINUTES_MAX, NAME_MAX_CHARS};
use crate::domain::name_key::name_key;
use crate::domain::{ServiceId, StaffId, TenantId};
use crate::store::context::WriterContext;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::{service, staff, staff_service};
use crate::time::WeeklyHours;

/// The most names that a refusal lists.
const LISTED_MAX: usize = 20;

/// A service that customers can book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    pub id: ServiceId,
    pub name: String,
    /// The usual length.
    pub minutes: u32,
    /// Whether the service can still be booked.
    pub active: bool,
}

/// A member of staff, who takes appointments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaffMember {
    pub id: StaffId,
    pub name: String,
    /// The zone of the member; `None` for the business's zone.
    pub zone: Option<Tz>,
    /// The opening hours of the member; `None` for the business's hours.
    pub hours: Option<WeeklyHours>,
    pub active: bool,
    /// The names of the services that the member does; all services if it is empty.
    pub services: BTreeSet<String>,
    /// The time when the member's feed was opened; `None` while there is none.
    #[serde(skip)]
    pub feed_us: Option<i64>,
}

/// A member of staff to be added or changed.
#[derive(Clone, Debug, Default)]
pub struct NewStaff {
    pub name: String,
    /// `None` leaves the value, here and below; `Some(None)` takes the business's value.
    pub zone: Option<Option<Tz>>,
    pub hours: Option<Option<WeeklyHours>>,
    pub services: Option<Vec<String>>,
    pub active: Option<bool>,
}

/// Checks a name and removes blanks around it.
pub(super) fn name(what: &'static str, max: usize, text: &str) -> Result<String, BookingError> {
    let trimmed = text.trim();
    let count = trimmed.chars().count();
    if count == 0 || count > max || trimmed.chars().any(char::is_control) {
        let given = trimmed.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(BookingError::Name { what, max, given });
    }
    Ok(trimmed.to_owned())
}

pub(super) fn minutes(minutes: u32) -> Result<u32, BookingError> {
    let good = (1..=MINUTES_MAX).contains(&minutes);
    if good { Ok(minutes) } else { Err(BookingError::Minutes(minutes, MINUTES_MAX)) }
}

static INSERT_SERVICE: LazyLock<String> = LazyLock::new(|| service::TABLE.insert() + " ON CONFLICT DO NOTHING");
static INSERT_STAFF: LazyLock<String> = LazyLock::new(|| staff::TABLE.insert() + " ON CONFLICT DO NOTHING");
static INSERT_STAFF_SERVICES: LazyLock<String> =
    LazyLock::new(|| staff_service::TABLE.insert() + " ON CONFLICT DO NOTHING");

const SERVICES: &str = "SELECT id, name, minutes, active FROM services WHERE tenant_id = ?";

fn read_service(row: &Row) -> Result<Service, StoreError> {
    let minutes: i32 = row.get(2)?;
    Ok(Service {
        id: ServiceId::new(row.get(0)?),
        name: row.get(1)?,
        minutes: u32::try_from(minutes).map_err(StoreError::stored)?,
        active: row.get(3)?,
    })
}

/// Finds a service that can be booked; with `make`, an unknown service is made.
pub(super) async fn service_named(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    given: &str,
    minutes: Option<u32>,
    make: bool,
) -> Result<Service, BookingError> {
    let given = name("service", NAME_MAX_CHARS, given)?;
    let by_key = || vec![tenant.uuid().into(), name_key(&given).into()];
    let text = format!("{SERVICES} AND name_key = ?");
    if make {
        insert_service(txn, context, tenant, &given, minutes.unwrap_or(DEFAULT_MINUTES)).await?;
    }
    match txn.query(&text, by_key(), read_service).await?.pop() {
        Some(service) if service.active => Ok(service),
        Some(service) => Err(BookingError::ServiceIsOff(service.name)),
        None => {
            let text = format!("{SERVICES} AND active ORDER BY name_key LIMIT {LISTED_MAX}");
            let known = txn.query(&text, vec![tenant.uuid().into()], |row| row.get::<String>(1)).await?;
            Err(BookingError::UnknownService { name: given, known: listed(&known) })
        }
    }
}

/// Stores a service, unless a service has this name.
async fn insert_service(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    name: &str,
    minutes: u32,
) -> Result<(), StoreError> {
    let id: ServiceId = context.ids.next();
    let values = service::new_row(tenant, id, name, name_key(name), minutes, context.clock.now()).to_vec();
    txn.rows(&INSERT_SERVICE, service::TABLE.width(), Cut::Exact, values).await
}

pub(super) async fn service_by_id(txn: &impl Txn, tenant: TenantId, id: ServiceId) -> Result<Service, StoreError> {
    let text = format!("{SERVICES} AND id = ?");
    let found = txn.query(&text, vec![tenant.uuid().into(), id.uuid().into()], read_service).await?.pop();
    found.ok_or_else(|| StoreError::Stored(format!("the service {id} of an appointment is gone")))
}

/// The columns, and the names of the services, one in a line: names have no line breaks.
const STAFF: &str = "SELECT t.id, t.name, t.zone, t.hours, t.active, t.feed_us,
    (SELECT string_agg(s.name, ?) FROM staff_services d JOIN services s ON s.id = d.service_id AND s.tenant_id = d.tenant_id
     WHERE d.tenant_id = t.tenant_id AND d.staff_id = t.id)
  FROM staff t WHERE t.tenant_id = ?";

fn read_staff(row: &Row) -> Result<StaffMember, StoreError> {
    let zone: Option<String> = row.get(2)?;
    let (hours, services): (Option<String>, Option<String>) = (row.get(3)?, row.get(6)?);
    Ok(StaffMember {
        id: StaffId::new(row.get(0)?),
        name: row.get(1)?,
        zone: zone.map(|zone| zone.parse()).transpose().map_err(StoreError::stored)?,
        hours: hours.map(|hours| hours.parse()).transpose().map_err(StoreError::stored)?,
        active: row.get(4)?,
        feed_us: row.get(5)?,
        services: services.iter().flat_map(|names| names.split('\n')).map(str::to_owned).collect(),
    })
}

/// The zone of the member of staff with this name, if the member has one.
pub(super) async fn zone_of(txn: &impl Txn, tenant: TenantId, given: &str) -> Result<Option<Tz>, StoreError> {
    let text = format!("{STAFF} AND t.name_key = ?");
    let found =
        txn.query(&text, vec!["\n".into(), tenant.uuid().into(), name_key(given).into()], read_staff).await?.pop();
    Ok(found.and_then(|member| member.zone))
}

/// The member of staff with this name, if the member does this service.
pub(super) async fn who_does(
    txn: &impl Txn,
    tenant: TenantId,
    given: &str,
    service: &Service,
) -> Result<StaffMember, BookingError> {
    let text = format!("{STAFF} AND t.name_key = ? AND t.active");
    let found =
        txn.query(&text, vec!["\n".into(), tenant.uuid().into(), name_key(given).into()], read_staff).await?.pop();
    let Some(member) = found else {
        let text =
            format!("SELECT name FROM staff WHERE tenant_id = ? AND active ORDER BY name_key LIMIT {LISTED_MAX}");
        let known = txn.query(&text, vec![tenant.uuid().into()], |row| row.get::<String>(0)).await?;
        let name = given.chars().filter(|c| !c.is_control()).take(NAME_MAX_CHARS).collect();
        return Err(BookingError::UnknownStaff { name, known: listed(&known) });
    };
    if member.services.is_empty() || member.services.contains(&service.name) {
        return Ok(member);
    }
    Err(BookingError::StaffDoesNotDo { staff: member.name, service: service.name.clone() })
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Store {
    /// Lists all services of a business by name, including those that are not offered any more.
    pub async fn services(&self, tenant: TenantId) -> Result<Vec<Service>, StoreError> {
        let text = format!("{SERVICES} ORDER BY name_key");
        let rows = sql::query(&self.read, &text, vec![tenant.uuid().into()]).await?;
        rows.iter().map(|row| read_service(&Row::Sea(row))).collect()
    }

    /// Makes a service, or changes the one with this name; `None` leaves a value.
    pub async fn set_service(
        &self,
        tenant: TenantId,
        given: &str,
        lasts: Option<u32>,
        active: Option<bool>,
    ) -> Result<Service, BookingError> {
        let given = name("service", NAME_MAX_CHARS, given)?;
        let lasts = lasts.map(minutes).transpose()?;
        let txn = begin(&self.write).await?;
        insert_service(&txn, &self.context, tenant, &given, lasts.unwrap_or(DEFAULT_MINUTES)).await?;
        let lasts = lasts.map(|lasts| i32::try_from(lasts).unwrap_or(i32::MAX));
        let set = "UPDATE services SET name = ?, minutes = coalesce(?, minutes), active = coalesce(?, active)
          WHERE tenant_id = ? AND name_key = ? RETURNING id, name, minutes, active";
        let key = name_key(&given);
        let values = vec![given.into(), lasts.into(), active.into(), tenant.uuid().into(), key.into()];
        let service = Txn::query(&txn, set, values, read_service).await?.pop();
        txn.commit().await.map_err(StoreError::from)?;
        Ok(service.ok_or_else(|| StoreError::Stored("a service that was just made is gone".to_owned()))?)
    }

    /// Lists the staff of a business by name, including members who take no appointments any more.
    pub async fn staff(&self, tenant: TenantId) -> Result<Vec<StaffMember>, StoreError> {
        let text = format!("{STAFF} ORDER BY t.name_key");
        let rows = sql::query(&self.read, &text, vec!["\n".into(), tenant.uuid().into()]).await?;
        rows.iter().map(|row| read_staff(&Row::Sea(row))).collect()
    }

    /// Finds a member of staff by id, for calendar feeds. The tenant comes with it.
    pub async fn staff_by_id(&self, id: StaffId) -> Result<Option<(TenantId, StaffMember)>, StoreError> {
        let row =
            sql::query_one(&self.read, "SELECT tenant_id FROM staff WHERE id = ?", vec![id.uuid().into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let tenant = TenantId::new(row.try_get_by_index::<Uuid>(0)?);
        Ok(self.staff(tenant).await?.into_iter().find(|member| member.id == id).map(|member| (tenant, member)))
    }

    /// Adds a member of staff, or changes the one with this name. Unknown services are made.
    pub async fn set_staff(&self, tenant: TenantId, new: &NewStaff) -> Result<StaffMember, BookingError> {
        let given = name("name of staff", NAME_MAX_CHARS, &new.name)?;
        let key = name_key(&given);
        let txn = begin(&self.write).await?;
        let id: StaffId = self.context.ids.next();
        let values = staff::new_row(tenant, id, &given, &key, self.context.clock.now()).to_vec();
        txn.rows(&INSERT_STAFF, staff::TABLE.width(), Cut::Exact, values).await?;
        let set =
            "UPDATE staff SET name = ?, active = coalesce(?, active) WHERE tenant_id = ? AND name_key = ? RETURNING id";
        let values = vec![given.into(), new.active.into(), tenant.uuid().into(), key.into()];
        let ids = Txn::query(&txn, set, values, |row| row.get::<Uuid>(0)).await?;
        let id = ids.into_iter().next().map(StaffId::new).unwrap_or(id);
        if let Some(zone) = new.zone {
            let zone = zone.map(|zone| zone.name().to_owned());
            set_column(&txn, "zone", zone, tenant, id).await?;
        }
        if let Some(hours) = &new.hours {
            set_column(&txn, "hours", hours.as_ref().map(WeeklyHours::to_string), tenant, id).await?;
        }
        if let Some(services) = &new.services {
            set_services(&txn, &self.context, tenant, id, services).await?;
        }
        let text = format!("{STAFF} AND t.id = ?");
        let member = Txn::query(&txn, &text, vec!["\n".into(), tenant.uuid().into(), id.uuid().into()], read_staff);
        let member = member.await?.pop();
        txn.commit().await.map_err(StoreError::from)?;
        Ok(member.ok_or_else(|| StoreError::Stored("a staff member who was just made is gone".to_owned()))?)
    }

    /// Opens a member's feed anew, or closes it. Links to the feed before it stop working.
    pub async fn set_feed(&self, tenant: TenantId, id: StaffId, open: bool) -> Result<Option<i64>, StoreError> {
        let feed = open.then(|| self.context.ids.tick_us());
        let txn = begin(&self.write).await?;
        let values = vec![feed.into(), tenant.uuid().into(), id.uuid().into()];
        sql::execute(&txn, "UPDATE staff SET feed_us = ? WHERE tenant_id = ? AND id = ?", values).await?;
        txn.commit().await?;
        Ok(feed)
    }
}

/// Sets one column; `column` is a constant name.
async fn set_column(
    txn: &impl Txn,
    column: &'static str,
    value: Option<String>,
    tenant: TenantId,
    id: StaffId,
) -> Result<(), StoreError> {
    let text = format!("UPDATE staff SET {column} = ? WHERE tenant_id = ? AND id = ?");
    txn.execute(&text, vec![value.into(), tenant.uuid().into(), id.uuid().into()]).await?;
    Ok(())
}

async fn set_services(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    id: StaffId,
    services: &[String],
) -> Result<(), BookingError> {
    let values = vec![tenant.uuid().into(), id.uuid().into()];
    txn.execute("DELETE FROM staff_services WHERE tenant_id = ? AND staff_id = ?", values).await?;
    let mut rows = Vec::with_capacity(services.len() * staff_service::TABLE.width());
    for given in services {
        let service = service_named(txn, context, tenant, given, None, true).await?;
        rows.extend(staff_service::new_row(tenant, id, service.id));
    }
    Ok(txn.rows(&INSERT_STAFF_SERVICES, staff_service::TABLE.width(), Cut::Padded, rows).await?)
}
