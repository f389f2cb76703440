//! The limits for customers who book or move an appointment themselves: opening hours, and the days ahead.

use std::time::Duration;

use chrono_tz::Tz;
use serde::Deserialize;

use super::write::TimeSlot;
use super::{BookingError, StaffMember};
use crate::domain::{TenantId, Timestamp};
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;
use crate::time::WeeklyHours;
use crate::time::zone::to_wall;

/// The longest time ahead that a customer can book.
pub const AHEAD_MAX_DAYS: u32 = 180;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The hours and the zone in which an appointment can be booked: those of the member of staff, or else those of the
/// business. The business's holidays apply to all.
pub fn times_of(
    member: Option<&StaffMember>,
    hours: Option<&WeeklyHours>,
    zone: Tz,
) -> Result<(WeeklyHours, Tz), BookingError> {
    let own = member.and_then(|member| member.hours.clone());
    let hours = match (own, hours) {
        (Some(own), Some(business)) => own.with_holidays_of(business),
        (Some(own), None) => own,
        (None, business) => business.cloned().ok_or(BookingError::NoHours)?,
    };
    Ok((hours, member.and_then(|member| member.zone).unwrap_or(zone)))
}

/// Checks that a time is in the future, and not too far ahead.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> Result<(), BookingError> {
    if at <= now {
        return Err(BookingError::Past(at));
    }
    if at > now.plus(DAY * AHEAD_MAX_DAYS) {
        return Err(BookingError::TooFarAhead(at, AHEAD_MAX_DAYS));
    }
    Ok(())
}

/// Checks that a customer may book this time, by the business's hours. Whether the time is free is not checked.
pub(super) async fn may_have(
    txn: &impl Txn,
    tenant: TenantId,
    place: &TimeSlot,
    now: Timestamp,
) -> Result<(), BookingError> {
    is_ahead(place.starts, now)?;
    let (hours, zone) = business(txn, tenant).await?;
    let (hours, zone) = times_of(place.staff.as_ref(), hours.as_ref(), zone)?;
    let open = hours.is_open_from(place.starts, place.ends, zone);
    if open { Ok(()) } else { Err(BookingError::Closed(to_wall(place.starts, zone))) }
}

/// The settings of a tenant that are read here.
#[derive(Deserialize)]
struct Settings {
    hours: Option<WeeklyHours>,
}

/// The opening hours of a business, if it has set them, and its zone.
async fn business(txn: &impl Txn, tenant: TenantId) -> Result<(Option<WeeklyHours>, Tz), StoreError> {
    let text = "SELECT settings, zone FROM tenants WHERE id = ?";
    let read = |row: &crate::store::db::sql::Row| Ok((row.get::<String>(0)?, row.get::<String>(1)?));
    let found = txn.query(text, vec![tenant.uuid().into()], read).await?.pop();
    let (settings, zone) = found.ok_or_else(|| StoreError::Stored(format!("the tenant {tenant} is gone")))?;
    let settings: Settings = serde_json::from_str(&settings).map_err(StoreError::json)?;
    Ok((settings.hours, zone.parse().map_err(StoreError::stored)?))
}
