//! Quiet hours: when a business does not contact customers on its own initiative.
//!
//! They hold in the customer's local time. If the customer may be in one of several zones (a number without a city),
//! all must allow it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{Days, NaiveDateTime, Timelike};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::phones;
use super::zone::{at_minute, minute_of_day, to_instant, to_wall};
use crate::domain::{Phone, Timestamp};

/// A last send is planned this long before quiet hours, so that it leaves in time although others go first.
pub const LEAD: Duration = Duration::from_secs(5 * 60);
/// The time ahead in which an allowed minute is searched.
const LOOK_AHEAD: Duration = Duration::from_secs(8 * 24 * 3_600);
/// The most prefixes with quiet hours of their own.
pub const PREFIXES_MAX: usize = 200;
/// Stands for every number in place of a prefix.
pub const ALL: &str = "all";

/// Quiet minutes of the local day: `21:00-09:00`, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// Minutes since midnight; equal to `to` if there are no quiet hours.
    from: u16,
    /// The end, exclusive; less than `from` if the hours pass midnight.
    to: u16,
}

/// Quiet hours by prefix of the customer's number: `+1=21:00-08:00, all=21:00-09:00`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuietRules(BTreeMap<String, QuietHours>);

/// Why a text is no quiet hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotQuiet {
    #[error("'{0}' are no quiet hours: write such as 21:00-09:00, or off")]
    Hours(String),
    #[error("'{0}' is no prefix: write + and the first digits of numbers, such as +34, or all")]
    Prefix(String),
    #[error("'{0}' does not say for whom: write a prefix or all, =, and the hours, such as +34=22:00-09:00")]
    Entry(String),
    #[error("at most {PREFIXES_MAX} prefixes may have quiet hours of their own: remove some first")]
    Many,
}

/// The quiet hours that apply: the installation's, the tenant's, and the tenant's zone.
#[derive(Clone, Copy, Debug)]
pub struct Quiet<'a> {
    pub installation: &'a QuietRules,
    pub tenant: &'a QuietRules,
    pub zone: Tz,
}

/// One customer's quiet hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    hours: QuietHours,
    /// The zones that the customer may be in; at least one.
    zones: Vec<Tz>,
}

impl Quiet<'_> {
    /// The quiet hours of the customer with this number, or with none that is known. `own` is their zone, if it is known;
    /// else the number's zones count, else the tenant's.
    pub fn for_customer(&self, phone: Option<&Phone>, own: Option<Tz>) -> Local {
        // The longest prefix of both decides, so that a tenant's rule for all numbers does not override a country's.
        let (tenants, installations) = (self.tenant.hours_for(phone), self.installation.hours_for(phone));
        let length = |found: &Option<(usize, QuietHours)>| found.map(|(length, _)| length);
        let found = if length(&tenants) >= length(&installations) { tenants } else { installations };
        let mut zones = own.map_or_else(|| phone.map(phones::zones).unwrap_or_default(), |own| vec![own]);
        if zones.is_empty() {
            zones.push(self.zone);
        }
        Local { hours: found.map_or(QuietHours::OFF, |(_, hours)| hours), zones }
    }
}

impl Local {
    /// True if nothing may be started at this instant.
    pub fn is_quiet(&self, at: Timestamp) -> bool {
        self.quiet_zone(at).is_some()
    }

    /// The first instant from `at` on that is not quiet; `None` if there is none, as for zones without a common hour.
    pub fn next_allowed(&self, at: Timestamp) -> Option<Timestamp> {
        let mut next = at;
        while let Some(end) = self.quiet_zones(next).map(|zone| self.hours.end(next, zone)).max() {
            next = Some(end).filter(|end| end.since(at) <= LOOK_AHEAD)?;
        }
        Some(next)
    }

    /// When quiet hours begin next, at or after `at`, in any of the zones; `None` if there are none.
    pub fn next_begin(&self, at: Timestamp) -> Option<Timestamp> {
        let begin = |zone: &Tz| self.hours.next_begin(at, *zone);
        if self.hours == QuietHours::OFF { None } else { self.zones.iter().map(begin).min() }
    }

    /// The last time before `limit` to plan for, [`LEAD`] before quiet hours if they begin before it; `None` if there
    /// is none within a week.
    pub fn last_allowed_before(&self, limit: Timestamp) -> Option<Timestamp> {
        let mut last = limit.minus(Duration::from_secs(60));
        while let Some(begin) = self.quiet_zones(last).map(|zone| self.hours.begin(last, zone)).min() {
            last = Some(begin.minus(LEAD)).filter(|last| limit.since(*last) <= LOOK_AHEAD)?;
        }
        Some(last)
    }

    /// When to send what is due at `due` and useless from `expires` on: at `due`, else at the first allowed instant
    /// after it, else at the end of the allowed hours before it.
    pub fn shift_out(&self, due: Timestamp, expires: Option<Timestamp>) -> Option<Timestamp> {
        let later = self.next_allowed(due).filter(|next| expires.is_none_or(|expires| *next < expires));
        later.or_else(|| self.last_allowed_before(due))
    }

    /// Why nothing may be started at this instant.
    pub fn reason(&self, at: Timestamp) -> String {
        let zone = self.quiet_zone(at).or_else(|| self.zones.first().copied()).unwrap_or(Tz::UTC);
        let wall = to_wall(at, zone);
        let among = if self.zones.len() > 1 { ", where the customer may be" } else { "" };
        format!(
            "quiet hours {}: it is {:02}:{:02} in {zone}{among}, and the business begins this",
            self.hours,
            wall.hour(),
            wall.minute()
        )
    }

    fn quiet_zone(&self, at: Timestamp) -> Option<Tz> {
        self.quiet_zones(at).next()
    }

    fn quiet_zones(&self, at: Timestamp) -> impl Iterator<Item = Tz> {
        self.zones.iter().copied().filter(move |zone| self.hours.hold(to_wall(at, *zone)))
    }
}

impl QuietHours {
    const OFF: Self = Self { from: 0, to: 0 };

    fn hold(self, wall: NaiveDateTime) -> bool {
        let minute = minute(wall);
        if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }

    /// When the quiet hours around `at` end in this zone.
    fn end(self, at: Timestamp, zone: Tz) -> Timestamp {
        let wall = to_wall(at, zone);
        let tomorrow = self.from > self.to && minute(wall) >= self.from;
        let day = wall.date().checked_add_days(Days::new(u64::from(tomorrow))).unwrap_or(wall.date());
        let end = at_minute(day, self.to);
        let instant = to_instant(end, zone);
        // In the second pass of a repeated hour, the first has passed.
        if instant > at { instant } else { at.plus((end - wall).to_std().unwrap_or_default()) }
    }

    /// When the quiet hours around `at` began in this zone.
    fn begin(self, at: Timestamp, zone: Tz) -> Timestamp {
        let wall = to_wall(at, zone);
        let yesterday = self.from > self.to && minute(wall) < self.from;
        let day = wall.date().checked_sub_days(Days::new(u64::from(yesterday))).unwrap_or(wall.date());
        to_instant(at_minute(day, self.from), zone).min(at)
    }

    /// When quiet hours begin next in this zone, at or after `at`.
    fn next_begin(self, at: Timestamp, zone: Tz) -> Timestamp {
        let mut day = to_wall(at, zone).date();
        loop {
            let begin = to_instant(at_minute(day, self.from), zone);
            match day.succ_opt() {
                Some(next) if begin < at => day = next,
                _ => return begin,
            }
        }
    }
}

fn minute(wall: NaiveDateTime) -> u16 {
    (wall.hour() * 60 + wall.minute()) as u16
}

impl QuietRules {
    /// Sets a prefix's quiet hours; removes them if `hours` is empty.
    pub fn set(&mut self, prefix: &str, hours: &str) -> Result<(), NotQuiet> {
        let digits = prefix.strip_prefix('+').unwrap_or_default();
        let is_prefix = (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_prefix && prefix != ALL {
            return Err(NotQuiet::Prefix(short(prefix)));
        }
        if hours.is_empty() {
            self.0.remove(prefix);
        } else {
            self.0.insert(prefix.to_owned(), hours.parse()?);
        }
        if self.0.len() > PREFIXES_MAX { Err(NotQuiet::Many) } else { Ok(()) }
    }

    /// Prefixes with their quiet hours.
    pub fn iter(&self) -> impl Iterator<Item = (&str, QuietHours)> {
        self.0.iter().map(|(prefix, hours)| (prefix.as_str(), *hours))
    }

    /// The quiet hours of this number, with the length of the matching prefix.
    fn hours_for(&self, phone: Option<&Phone>) -> Option<(usize, QuietHours)> {
        let has = |prefix: &str| phone.is_some_and(|phone| phone.as_str().starts_with(prefix));
        let fits = self.0.iter().filter(|(prefix, _)| has(prefix));
        let longest = fits.map(|(prefix, hours)| (prefix.len(), *hours)).max_by_key(|(length, _)| *length);
        longest.or_else(|| self.0.get(ALL).map(|hours| (0, *hours)))
    }
}

impl FromStr for QuietRules {
    type Err = NotQuiet;

    fn from_str(text: &str) -> Result<Self, NotQuiet> {
        let mut rules = Self::default();
        for entry in text.split(',').map(str::trim) {
            if entry.eq_ignore_ascii_case("off") {
                continue;
            }
            let (prefix, hours) = entry.split_once('=').ok_or_else(|| NotQuiet::Entry(short(entry)))?;
            if hours.trim().is_empty() {
                return Err(NotQuiet::Hours(String::new()));
            }
            rules.set(prefix.trim(), hours.trim())?;
        }
        Ok(rules)
    }
}

impl FromStr for QuietHours {
    type Err = NotQuiet;

    fn from_str(text: &str) -> Result<Self, NotQuiet> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::OFF);
        }
        let parse = || {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (minute_of_day(from.trim())?, minute_of_day(to.trim())?);
            // 24:00 ends a day and begins none; a whole quiet day would never let anything through.
            (from != to && from < 24 * 60 && (from, to) != (0, 24 * 60)).then_some(Self { from, to })
        };
        parse().ok_or_else(|| NotQuiet::Hours(short(text)))
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::OFF {
            return f.write_str("off");
        }
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

impl Serialize for QuietHours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for QuietHours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn rules(text: &str) -> QuietRules {
        text.parse().unwrap()
    }

    fn local(phone: &str, own: Option<Tz>, tenant: &str) -> Local {
        let (installation, tenant) = (rules("+1=21:00-08:00, all=21:00-09:00"), rules(tenant));
        let quiet = Quiet { installation: &installation, tenant: &tenant, zone: Tz::Europe__Madrid };
        quiet.for_customer(Some(&Phone::parse(phone).unwrap()), own)
    }

    #[test]
    fn the_customers_own_zone_counts_then_the_numbers_then_the_tenants() {
        let eight_in_new_york = at("2026-11-23T13:00:00Z");
        assert!(!local("+12125550100", None, "off").is_quiet(eight_in_new_york));
        assert!(local("+12125550100", None, "off").is_quiet(at("2026-11-23T12:59:59Z")));
        assert!(local("+12125550100", Some(Tz::America__Los_Angeles), "off").is_quiet(eight_in_new_york));
        // Madrid and the Canaries, an hour apart: both must allow it.
        assert!(local("+34100111222", None, "off").is_quiet(at("2026-11-23T08:30:00Z")));
        assert!(!local("+34100111222", None, "off").is_quiet(at("2026-11-23T09:00:00Z")));
        assert!(!local("+34100111222", Some(Tz::Europe__Madrid), "off").is_quiet(at("2026-11-23T08:30:00Z")));
        assert_eq!(local("+99912345678", None, "off").zones, [Tz::Europe__Madrid]);
    }

    #[test]
    fn the_longest_prefix_decides_and_then_the_tenant() {
        let hours = |phone: &str, tenant: &str| local(phone, None, tenant).hours.to_string();
        assert_eq!(hours("+12125550100", "off"), "21:00-08:00");
        assert_eq!(hours("+34600111222", "off"), "21:00-09:00");
        assert_eq!(hours("+34600111222", "all=22:00-10:00"), "22:00-10:00");
        assert_eq!(hours("+12125550100", "all=22:00-10:00"), "21:00-08:00", "a country's stay");
        assert_eq!(hours("+12125550100", "+1=off"), "off");
        assert_eq!(hours("+34600111222", "+34=20:00-10:00, +34600=off"), "off");
    }

    #[test]
    fn a_send_due_at_night_waits_for_the_morning_or_leaves_before() {
        let madrid = local("+34600111222", Some(Tz::Europe__Madrid), "off");
        let night = at("2026-11-23T22:30:00Z");
        assert_eq!(madrid.next_allowed(night), Some(at("2026-11-24T08:00:00Z")));
        assert_eq!(madrid.last_allowed_before(night), Some(at("2026-11-23T19:55:00Z")));
        assert_eq!(madrid.shift_out(night, None), Some(at("2026-11-24T08:00:00Z")));
        assert_eq!(madrid.shift_out(night, Some(at("2026-11-24T08:00:01Z"))), Some(at("2026-11-24T08:00:00Z")));
        assert_eq!(madrid.shift_out(night, Some(at("2026-11-24T08:00:00Z"))), Some(at("2026-11-23T19:55:00Z")));
        let day = at("2026-11-23T12:00:00Z");
        assert_eq!((madrid.next_allowed(day), madrid.shift_out(day, None)), (Some(day), Some(day)));
        assert_eq!(
            madrid.reason(night),
            "quiet hours 21:00-09:00: it is 23:30 in Europe/Madrid, and the business begins this"
        );
    }

    #[test]
    fn quiet_hours_end_where_clocks_change() {
        let siesta = |hours: &str| Local { hours: hours.parse().unwrap(), zones: vec![Tz::Europe__Madrid] };
        // Ends at 02:30, which 29 March 2026 does not have.
        assert_eq!(siesta("21:00-02:30").next_allowed(at("2026-03-29T00:30:00Z")), Some(at("2026-03-29T01:00:00Z")));
        // Ends at 02:30, which 25 October 2026 has twice; it ends at the second.
        let autumn = siesta("21:00-02:30");
        assert_eq!(autumn.next_allowed(at("2026-10-25T00:10:00Z")), Some(at("2026-10-25T00:30:00Z")));
        assert_eq!(autumn.next_allowed(at("2026-10-25T01:10:00Z")), Some(at("2026-10-25T01:30:00Z")));
        assert_eq!(
            siesta("14:00-16:00").last_allowed_before(at("2026-10-26T14:30:00Z")),
            Some(at("2026-10-26T12:55:00Z"))
        );
    }

    #[test]
    fn zones_without_a_common_hour_allow_none() {
        let zones = vec![Tz::Asia__Tokyo, Tz::America__New_York];
        let local = Local { hours: "18:00-12:00".parse().unwrap(), zones };
        assert_eq!(
            (local.next_allowed(at("2026-11-23T12:00:00Z")), local.last_allowed_before(at("2026-11-23T12:00:00Z"))),
            (None, None)
        );
    }

    #[test]
    fn by_the_defaults_every_prefix_has_an_hour_every_day() {
        let days = ["2026-01-15T00:00:00Z", "2026-03-10T00:00:00Z", "2026-03-30T00:00:00Z", "2026-07-15T00:00:00Z"];
        let mut lines: Vec<&str> = phones::TABLE.lines().collect();
        lines.sort_by_key(|line| line.split_once(' ').map(|(_, zones)| zones));
        lines.dedup_by_key(|line| line.split_once(' ').map(|(_, zones)| zones));
        for line in lines {
            let prefix = line.split(' ').next().unwrap();
            let customer = local(&format!("+{prefix:0<12}"), None, "off");
            for day in days {
                let next = customer.next_allowed(at(day)).unwrap_or_else(|| panic!("{prefix} from {day}"));
                assert!(next.since(at(day)) < Duration::from_secs(24 * 3_600), "{prefix} from {day}: {next}");
            }
        }
    }

    #[test]
    fn texts_read_back_and_errors_say_what_is_expected() {
        let written = rules("+34 = 22:00-09:30, all=off");
        assert_eq!(serde_json::to_string(&written).unwrap(), r#"{"+34":"22:00-09:30","all":"off"}"#);
        assert_eq!(serde_json::from_str::<QuietRules>(r#"{"+34":"22:00-09:30","all":"off"}"#).unwrap(), written);
        for (text, expect) in [
            ("21:00-09:00", "for whom"),
            ("34=21:00-09:00", "no prefix"),
            ("+3a=21:00-09:00", "no prefix"),
            ("+34=", "no quiet hours"),
            ("+34=9-10", "no quiet hours"),
            ("+34=09:00-09:00", "no quiet hours"),
            ("+34=00:00-24:00", "no quiet hours"),
            ("", "for whom"),
        ] {
            let error = text.parse::<QuietRules>().unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
