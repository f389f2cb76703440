//! Appointments that customers book themselves: within opening hours, ahead of time, with staff who are free.

pub mod choice;
pub mod slots;
mod starts;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono_tz::Tz;

pub use starts::{NotATime, parse_starts};

use self::slots::Calendar;
use crate::domain::appointment::AppointmentFacts;
use crate::domain::name_key::name_key;
use crate::domain::{TenantId, Timestamp};
pub use crate::store::tables::appointments::AHEAD_MAX_DAYS;
use crate::store::tables::appointments::{
    Appointment, BookingError, NewAppointment, Service, StaffMember, granules, is_ahead, times_of,
};
use crate::store::{Store, StoreError};
use crate::tenants::Tenant;
use crate::time::WeeklyHours;
use crate::time::zone::to_wall;

/// Limits of a search: the number of free times, and the days that it covers.
pub const FREE_MAX: usize = 500;
pub const FREE_DAYS_MAX: u32 = 62;
/// Offers to a customer who wants to move an appointment: their number, the notice, and the days that they cover.
pub const OFFERS_MAX: usize = 3;
const OFFER_NOTICE: Duration = Duration::from_secs(2 * 3_600);
const OFFER_DAYS: u32 = 14;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The appointment book of a business, with the rules for customers.
pub struct Availability<'s> {
    pub store: &'s Store,
    pub tenant: TenantId,
    pub zone: Tz,
    /// The opening hours of the business with its holidays, which staff with hours of their own keep, too. `None` where it has
    /// set none: then only staff with hours of their own can be booked.
    pub hours: Option<WeeklyHours>,
}

/// A time that was free when it was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The local time of the staff member or the business.
    pub starts_local: chrono::NaiveDateTime,
    pub zone: Tz,
    /// The staff member; `None` where the business has no staff for the service.
    pub staff: Option<String>,
}

/// A search for free times.
#[derive(Clone, Debug)]
pub struct SlotSearch {
    pub service: String,
    /// Only slots of this staff member.
    pub staff: Option<String>,
    /// The earliest start. A past time means now.
    pub from: Timestamp,
    /// The end, at most [`FREE_DAYS_MAX`] after `from` and at most [`AHEAD_MAX_DAYS`] ahead.
    pub to: Timestamp,
    /// At most [`FREE_MAX`].
    pub limit: usize,
}

impl<'s> Availability<'s> {
    /// Opens a tenant's appointment book.
    pub fn new(store: &'s Store, tenant: &Tenant) -> Self {
        Self { store, tenant: tenant.id, zone: tenant.zone, hours: tenant.settings.hours.clone() }
    }

    /// Finds free times, in order. Where several staff members are free at once, each has a slot.
    pub async fn free_slots(&self, wanted: &SlotSearch) -> Result<Vec<Slot>, BookingError> {
        let service = self.service(&wanted.service).await?;
        let limit = wanted.limit.min(FREE_MAX);
        let now = self.store.clock().now();
        let from = wanted.from.max(now);
        let to = wanted.to.min(from.plus(DAY * FREE_DAYS_MAX)).min(now.plus(DAY * AHEAD_MAX_DAYS));
        let mut slots = Vec::new();
        for member in self.eligible_staff(&service, wanted.staff.as_deref()).await? {
            let (starts, zone) = self.free(member.as_ref(), service.minutes, from, to, limit).await?;
            slots.extend(starts.into_iter().map(|at| Slot {
                starts_at: at,
                ends_at: after(at, service.minutes),
                starts_local: to_wall(at, zone),
                zone,
                staff: member.as_ref().map(|member| member.name.clone()),
            }));
        }
        slots.sort_by(|a, b| (a.starts_at, &a.staff).cmp(&(b.starts_at, &b.staff)));
        slots.truncate(limit);
        Ok(slots)
    }

    /// Returns the starts of one member's free times, and their zone.
    async fn free(
        &self,
        member: Option<&StaffMember>,
        minutes: u32,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Timestamp>, Tz), BookingError> {
        let (hours, zone) = self.working_hours(member)?;
        let occupied = self.occupied(member, from, to).await?;
        Ok((Calendar { hours: &hours, zone, occupied: &occupied }.free(minutes, from, to, limit), zone))
    }

    /// Finds times to which a customer may move an appointment: at most [`OFFERS_MAX`], in order, with the same staff and of the
    /// same length, far enough apart to be a choice. Empty where customers can book nothing.
    pub async fn offers(&self, appointment: &AppointmentFacts, now: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        match self.free_for(appointment, now).await {
            Ok(free) => Ok(choice::pick_varied(&free, appointment.zone.parse().unwrap_or(self.zone), OFFERS_MAX)),
            Err(BookingError::Store(error)) => Err(error),
            Err(_) => Ok(Vec::new()),
        }
    }

    async fn free_for(&self, appointment: &AppointmentFacts, now: Timestamp) -> Result<Vec<Timestamp>, BookingError> {
        let service = self.service(&appointment.service).await?;
        let member = match appointment.staff.as_deref() {
            // An appointment without staff stays without.
            None => None,
            named => self.eligible_staff(&service, named).await?.pop().flatten(),
        };
        let lasts = appointment.ends_at.since(appointment.starts_at);
        let minutes = u32::try_from(lasts.as_secs().div_ceil(60)).unwrap_or(u32::MAX);
        let (from, to) = (now.plus(OFFER_NOTICE), now.plus(DAY * OFFER_DAYS));
        let (mut free, _) = self.free(member.as_ref(), minutes, from, to, usize::MAX).await?;
        free.retain(|at| *at >= appointment.ends_at || at.plus(lasts) <= appointment.starts_at);
        Ok(free)
    }

    /// Books an appointment for a customer: a known service at its usual length, ahead of now, within opening hours, with the
    /// named staff member or any who is free.
    pub async fn book(&self, new: &NewAppointment) -> Result<Appointment, BookingError> {
        let service = self.service(&new.service).await?;
        let mut last = None;
        for member in self.eligible_staff(&service, new.staff.as_deref()).await? {
            let (hours, zone) = self.working_hours(member.as_ref())?;
            let at = new.starts.at(zone);
            is_ahead(at, self.store.clock().now())?;
            if !hours.is_open_from(at, after(at, service.minutes), zone) {
                last = Some(BookingError::Closed(to_wall(at, zone)));
                continue;
            }
            let staff = member.map(|member| member.name);
            let one = NewAppointment { tenant: self.tenant, minutes: None, new_service: false, staff, ..new.clone() };
            match self.store.book(&one).await {
                Err(taken @ BookingError::Taken { .. }) => last = Some(taken),
                booked => return booked,
            }
        }
        Err(last.unwrap_or(BookingError::Closed(to_wall(new.starts.at(self.zone), self.zone))))
    }

    /// Finds a service that is offered.
    async fn service(&self, name: &str) -> Result<Service, BookingError> {
        let services = self.store.services(self.tenant).await?;
        let key = name_key(name);
        match services.iter().find(|service| name_key(&service.name) == key) {
            Some(service) if service.active => Ok(service.clone()),
            Some(service) => Err(BookingError::ServiceIsOff(service.name.clone())),
            None => Err(BookingError::UnknownService {
                name: name.chars().filter(|c| !c.is_control()).take(80).collect(),
                known: services
                    .iter()
                    .filter(|one| one.active)
                    .map(|one| one.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// Returns the staff for a service: the named member, or all who offer it. `None` means a business without such
    /// staff.
    async fn eligible_staff(
        &self,
        service: &Service,
        named: Option<&str>,
    ) -> Result<Vec<Option<StaffMember>>, BookingError> {
        let staff = self.store.staff(self.tenant).await?;
        let does = |member: &StaffMember| member.services.is_empty() || member.services.contains(&service.name);
        if let Some(name) = named {
            let key = name_key(name);
            return match staff.iter().find(|member| member.active && name_key(&member.name) == key) {
                Some(member) if does(member) => Ok(vec![Some(member.clone())]),
                Some(member) => {
                    Err(BookingError::StaffDoesNotDo { staff: member.name.clone(), service: service.name.clone() })
                }
                None => Err(BookingError::UnknownStaff {
                    name: name.chars().filter(|c| !c.is_control()).take(80).collect(),
                    known: staff
                        .iter()
                        .filter(|one| one.active)
                        .map(|one| one.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", "),
                }),
            };
        }
        let who: Vec<Option<StaffMember>> =
            staff.into_iter().filter(|member| member.active && does(member)).map(Some).collect();
        Ok(if who.is_empty() { vec![None] } else { who })
    }

    /// Returns the hours in which a staff member can be booked, and their zone.
    fn working_hours(&self, member: Option<&StaffMember>) -> Result<(WeeklyHours, Tz), BookingError> {
        times_of(member, self.hours.as_ref(), self.zone)
    }

    async fn occupied(
        &self,
        member: Option<&StaffMember>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeSet<i64>, BookingError> {
        let Some(member) = member else { return Ok(BTreeSet::new()) };
        // An appointment that begins before `to` may end a day later.
        let until = granules(from, to.plus(DAY * 2));
        Ok(self.store.occupied(self.tenant, member.id, until).await?.into_iter().collect())
    }
}

fn after(at: Timestamp, minutes: u32) -> Timestamp {
    at.plus(Duration::from_secs(u64::from(minutes) * 60))
}
