//! Appointments that come from calendar files: which occurrence of which event they are, in which version, and what is
//! withdrawn when a newer file no longer has it.
//!
//! A row of `appointments` keeps the UID of its event in `calendar_uid` and [`CalendarVersions`] in `calendar_version`. Its
//! external id is [`CalendarPlace::external_id`].

use std::collections::{HashMap, HashSet};

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::write::{self, Order};
use super::{Appointment, BookingError, UID_MAX_CHARS};
use crate::domain::{AppointmentId, AppointmentState, By, Change, TenantId, Timestamp, hex};
use crate::store::context::WriterContext;
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;

/// The time of an occurrence in an external id.
const TIME: &str = "%Y%m%dT%H%M%SZ";
/// The length of `/20261201T090000Z`.
const TIME_CHARS: usize = 17;

/// The version of an event (RFC 5546, 2.1.4): SEQUENCE, then DTSTAMP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarVersion {
    pub sequence: i64,
    pub stamp: Option<Timestamp>,
}

impl CalendarVersion {
    /// Whether it is older. Without a DTSTAMP on both sides the same SEQUENCE is the same version.
    pub fn is_older_than(self, other: Self) -> bool {
        let stamps = self.stamp.zip(other.stamp);
        self.sequence < other.sequence
            || self.sequence == other.sequence && stamps.is_some_and(|(stamp, other)| stamp < other)
    }
}

/// The versions that an appointment was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarVersions {
    /// The version of the event or series; `None` if only this occurrence is known.
    pub series: Option<CalendarVersion>,
    /// The version of the occurrence, if it was changed by itself.
    pub own: Option<CalendarVersion>,
    /// Whether a calendar file called it off, not a person.
    #[serde(default)]
    pub withdrawn: bool,
}

/// The occurrence of an event that an appointment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarPlace {
    /// The UID of the event, as [`CalendarPlace::key`] has it.
    pub uid: String,
    /// The time that the series has for it; `None` for an event that does not recur.
    pub occurrence: Option<Timestamp>,
    /// The occurrence as which it was known while its event did not recur, or still recurred.
    pub former: Option<Option<Timestamp>>,
    pub versions: CalendarVersions,
}

impl CalendarPlace {
    /// The UID as it is stored: a hash of it if it is too long for an external id.
    pub fn key(uid: &str) -> String {
        let uid: String = uid.trim().chars().filter(|c| !c.is_control()).collect();
        let fits = uid.chars().count() <= UID_MAX_CHARS - TIME_CHARS;
        if fits { uid } else { hex(Sha256::digest(uid.as_bytes())) }
    }

    /// The external id of the appointment.
    pub fn external_id(&self) -> String {
        external_id(&self.uid, self.occurrence)
    }
}

/// The UID, with the occurrence behind a slash.
fn external_id(uid: &str, occurrence: Option<Timestamp>) -> String {
    occurrence.map_or_else(|| uid.to_owned(), |at| format!("{uid}/{}", at.to_utc().format(TIME)))
}

/// The occurrence in an external id.
fn occurrence_of(external_id: &str) -> Option<Timestamp> {
    let (_, time) = external_id.rsplit_once('/')?;
    NaiveDateTime::parse_from_str(time, TIME).ok().map(|at| at.and_utc().into())
}

/// What of an event no longer takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    pub uid: String,
    /// The version of the event, or of the occurrence, that says so.
    pub version: CalendarVersion,
    pub of: WithdrawalScope,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithdrawalScope {
    All,
    /// All occurrences between these times but the listed ones.
    AllBut {
        listed: HashSet<Option<Timestamp>>,
        from: Timestamp,
        to: Timestamp,
    },
    One(Option<Timestamp>),
    /// This occurrence and all later ones.
    From(Timestamp),
}

impl WithdrawalScope {
    fn contains(&self, occurrence: Option<Timestamp>) -> bool {
        match self {
            Self::All => true,
            Self::AllBut { listed, from, to } => {
                !listed.contains(&occurrence) && occurrence.is_none_or(|at| (*from..=*to).contains(&at))
            }
            Self::One(one) => *one == occurrence,
            Self::From(from) => occurrence.is_some_and(|at| at >= *from),
        }
    }
}

/// An appointment of an event, as far as an import asks.
#[derive(Clone, Debug)]
pub(super) struct KnownOccurrence {
    id: AppointmentId,
    state: AppointmentState,
    starts_at: Timestamp,
    pub external_id: String,
    pub versions: CalendarVersions,
}

/// The appointments of the events of a file, as they were before it.
#[derive(Debug, Default)]
pub(super) struct KnownEvents {
    events: HashMap<String, Vec<KnownOccurrence>>,
}

impl KnownEvents {
    pub async fn load(&mut self, txn: &impl Txn, tenant: TenantId, uid: &str) -> Result<(), StoreError> {
        if self.events.contains_key(uid) {
            return Ok(());
        }
        // An appointment that was imported before files were compared has only its external id.
        let text = "SELECT id, state, starts_us, uid, calendar_version FROM appointments
          WHERE tenant_id = ? AND calendar_uid = ?
          UNION SELECT id, state, starts_us, uid, calendar_version FROM appointments WHERE tenant_id = ? AND uid = ?
          ORDER BY starts_us, uid";
        let values = vec![tenant.uuid().into(), uid.into(), tenant.uuid().into(), uid.into()];
        let known = txn
            .query(text, values, |row| {
                let versions: Option<String> = row.get(4)?;
                Ok(KnownOccurrence {
                    id: AppointmentId::new(row.get(0)?),
                    state: row.get::<String>(1)?.parse().map_err(StoreError::stored)?,
                    starts_at: Timestamp::from_unix_us(row.get(2)?),
                    external_id: row.get(3)?,
                    versions: match versions {
                        Some(text) => serde_json::from_str(&text).map_err(StoreError::json)?,
                        None => CalendarVersions::default(),
                    },
                })
            })
            .await?;
        self.events.insert(uid.to_owned(), known);
        Ok(())
    }

    fn of(&self, uid: &str) -> &[KnownOccurrence] {
        self.events.get(uid).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn find(&self, place: &CalendarPlace, occurrence: Option<Timestamp>) -> Option<&KnownOccurrence> {
        let id = external_id(&place.uid, occurrence);
        self.of(&place.uid).iter().find(|known| known.external_id == id)
    }

    /// Whether a newer version of the event or of this occurrence is known.
    pub fn is_older(&self, place: &CalendarPlace) -> bool {
        let CalendarVersions { series, own, .. } = place.versions;
        let known = self.find(place, place.occurrence).map(|known| known.versions);
        let known_own = known.and_then(|known| known.own.or(known.series));
        series.is_some_and(|series| self.has_newer(&place.uid, series))
            || series.is_none() && own.zip(known_own).is_some_and(|(own, known)| own.is_older_than(known))
            || own.zip(known.and_then(|known| known.own)).is_some_and(|(own, known)| own.is_older_than(known))
    }

    fn has_newer(&self, uid: &str, version: CalendarVersion) -> bool {
        self.of(uid).iter().filter_map(|known| known.versions.series).any(|known| version.is_older_than(known))
    }

    /// The active appointments ahead that a withdrawal is about, unless they are known in a newer version.
    fn withdrawn(&self, withdrawal: &Withdrawal, now: Timestamp) -> Vec<&KnownOccurrence> {
        let Withdrawal { uid, version, of } = withdrawal;
        let is_whole = matches!(of, WithdrawalScope::All | WithdrawalScope::AllBut { .. });
        if is_whole && self.has_newer(uid, *version) {
            return Vec::new();
        }
        let is_newer = |known: &KnownOccurrence| {
            let versions = known.versions;
            !is_whole && versions.own.or(versions.series).is_some_and(|known| version.is_older_than(known))
        };
        let all = self.of(uid).iter().filter(|known| known.state.is_active() && known.starts_at > now);
        all.filter(|known| of.contains(occurrence_of(&known.external_id)) && !is_newer(known)).collect()
    }

    /// Cancels the appointments of a withdrawal.
    pub async fn withdraw(
        &self,
        txn: &impl Txn,
        context: &WriterContext,
        tenant: TenantId,
        withdrawal: &Withdrawal,
    ) -> Result<Vec<Appointment>, BookingError> {
        let mut cancelled = Vec::new();
        let series = matches!(withdrawal.of, WithdrawalScope::All | WithdrawalScope::AllBut { .. });
        for known in self.withdrawn(withdrawal, context.clock.now()) {
            let order = Order { tenant, id: known.id, change: Change::Cancel, to: None, version: None, by: By::Import };
            let (appointment, event) = write::change(txn, context, &order).await?;
            let mut versions = CalendarVersions { withdrawn: true, ..known.versions };
            *(if series { &mut versions.series } else { &mut versions.own }) = Some(withdrawal.version);
            remember(txn, tenant, known.id, &withdrawal.uid, versions).await?;
            cancelled.extend(event.map(|_| appointment));
        }
        Ok(cancelled)
    }

    /// Remembers the occurrence and the version that an appointment was read from.
    pub async fn note(
        &self,
        txn: &impl Txn,
        tenant: TenantId,
        id: AppointmentId,
        place: &CalendarPlace,
    ) -> Result<(), StoreError> {
        let is_known = self.of(&place.uid).iter().any(|known| known.id == id && known.versions == place.versions);
        if is_known { Ok(()) } else { remember(txn, tenant, id, &place.uid, place.versions).await }
    }
}

/// The appointment that a row is about becomes known by its new external id, or an appointment that a file withdrew gives
/// its external id up: the file has the event again, and a cancelled appointment stays cancelled.
pub(super) async fn rename(
    txn: &impl Txn,
    tenant: TenantId,
    known: &KnownOccurrence,
    place: &CalendarPlace,
) -> Result<(), StoreError> {
    let is_over = known.versions.withdrawn && known.state == AppointmentState::Cancelled;
    let (uid, event) =
        if is_over { (known.id.to_string(), None) } else { (place.external_id(), Some(place.uid.clone())) };
    if uid == known.external_id {
        return Ok(());
    }
    let text = "UPDATE appointments SET uid = ?, calendar_uid = ? WHERE id = ? AND tenant_id = ?";
    txn.execute(text, vec![uid.into(), event.into(), known.id.uuid().into(), tenant.uuid().into()]).await?;
    Ok(())
}

async fn remember(
    txn: &impl Txn,
    tenant: TenantId,
    id: AppointmentId,
    uid: &str,
    versions: CalendarVersions,
) -> Result<(), StoreError> {
    let versions = serde_json::to_string(&versions).map_err(StoreError::json)?;
    let text = "UPDATE appointments SET calendar_uid = ?, calendar_version = ? WHERE id = ? AND tenant_id = ?";
    txn.execute(text, vec![uid.into(), versions.into(), id.uuid().into(), tenant.uuid().into()]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(sequence: i64, stamp: Option<&str>) -> CalendarVersion {
        CalendarVersion { sequence, stamp: stamp.map(|text| Timestamp::parse(text).unwrap()) }
    }

    #[test]
    fn a_version_is_older_by_its_sequence_and_then_by_its_stamp() {
        let (early, late) = (Some("2026-11-01T00:00:00Z"), Some("2026-11-02T00:00:00Z"));
        for (one, other, expected) in [
            (version(0, late), version(1, early), true),
            (version(1, early), version(0, late), false),
            (version(1, early), version(1, late), true),
            (version(1, late), version(1, early), false),
            (version(1, early), version(1, early), false),
            (version(1, None), version(1, late), false),
            (version(1, early), version(1, None), false),
        ] {
            assert_eq!(one.is_older_than(other), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn an_external_id_holds_the_occurrence_and_never_grows_too_long() {
        let at = Timestamp::parse("2026-12-03T17:00:00Z").unwrap();
        let id = external_id("a/b", Some(at));
        assert_eq!(id, "a/b/20261203T170000Z");
        assert_eq!(occurrence_of(&id), Some(at));
        assert_eq!((occurrence_of("a/b"), occurrence_of("a")), (None, None));
        let long = CalendarPlace::key(&"x".repeat(239));
        assert_eq!(long.len(), 64);
        assert_eq!(CalendarPlace::key(&format!(" {}\0", "x".repeat(238))), "x".repeat(238));
    }
}
