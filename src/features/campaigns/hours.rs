//! The hours in which a member may be tried: within the campaign's windows, outside quiet hours, in every possible
//! zone.

use chrono_tz::Tz;

use crate::domain::{Phone, Timestamp};
use crate::time::quiet::Local;
use crate::time::zone::to_wall;
use crate::time::{Quiet, WeeklyHours, phones};

/// A time that is postponed this often counts as never, as for zones without a common hour.
const LOOKS_MAX: usize = 64;

/// One member's hours.
pub struct Hours<'a> {
    windows: Option<&'a WeeklyHours>,
    quiet: Local,
    /// The zones that they may be in; at least one.
    zones: Vec<Tz>,
}

impl<'a> Hours<'a> {
    /// `own` is the member's zone, if it is known; else the number's zones count, else the tenant's.
    pub fn new(windows: Option<&'a WeeklyHours>, quiet: &Quiet<'_>, phone: &Phone, own: Option<Tz>) -> Self {
        let mut zones = own.map_or_else(|| phones::zones(phone), |own| vec![own]);
        if zones.is_empty() {
            zones.push(quiet.zone);
        }
        Self { windows, quiet: quiet.for_customer(Some(phone), own), zones }
    }

    /// The first allowed instant from `at` on; `None` if there is none.
    pub fn next_allowed(&self, at: Timestamp) -> Option<Timestamp> {
        let mut next = at;
        for _ in 0..LOOKS_MAX {
            let before = next;
            next = self.quiet.next_allowed(next)?;
            for zone in &self.zones {
                if let Some(windows) = self.windows.filter(|windows| !windows.is_open(to_wall(next, *zone))) {
                    next = windows.next_open(next, *zone)?;
                }
            }
            if next == before {
                return Some(next);
            }
        }
        None
    }

    /// The end of the allowed time around `at`, by the windows or by quiet hours; `None` if it does not end.
    pub fn closes(&self, at: Timestamp) -> Option<Timestamp> {
        let closes = |windows: &'a WeeklyHours| self.zones.iter().filter_map(move |zone| windows.closes(at, *zone));
        self.windows.into_iter().flat_map(closes).chain(self.quiet.next_begin(at)).min()
    }

    /// The zone in which days are counted.
    pub fn zone(&self) -> Tz {
        self.zones.first().copied().unwrap_or(Tz::UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::QuietRules;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn windows_hold_where_the_customer_is() {
        let (none, own): (QuietRules, QuietRules) = (QuietRules::default(), "all=21:00-09:00".parse().unwrap());
        let quiet = Quiet { installation: &own, tenant: &none, zone: Tz::UTC };
        let windows: WeeklyHours = "mon-fri 08:00-14:00".parse().unwrap();
        let hours = |number: &str| Hours::new(Some(&windows), &quiet, &Phone::parse(number).unwrap(), None);
        // Monday, 23 November 2026: eight o'clock in Madrid is seven in UTC, but it is quiet until nine.
        let spain = hours("+34600111222");
        assert_eq!(spain.next_allowed(at("2026-11-23T06:00:00Z")), Some(at("2026-11-23T08:00:00Z")));
        assert_eq!(spain.next_allowed(at("2026-11-23T12:59:59Z")), Some(at("2026-11-23T12:59:59Z")));
        assert_eq!(spain.next_allowed(at("2026-11-23T13:00:00Z")), Some(at("2026-11-24T08:00:00Z")));
        assert_eq!(
            spain.next_allowed(at("2026-11-27T13:00:00Z")),
            Some(at("2026-11-30T08:00:00Z")),
            "over the weekend"
        );
        assert_eq!(spain.closes(at("2026-11-23T12:00:00Z")), Some(at("2026-11-23T13:00:00Z")));
        assert_eq!(spain.closes(at("2026-11-23T08:00:00Z")), Some(at("2026-11-23T13:00:00Z")));
        let york = hours("+12125550100");
        assert_eq!(york.next_allowed(at("2026-11-23T08:00:00Z")), Some(at("2026-11-23T14:00:00Z")));
        // From the Canaries or from the mainland: both must be open.
        assert_eq!(hours("+34100111222").closes(at("2026-11-23T10:00:00Z")), Some(at("2026-11-23T13:00:00Z")));
    }

    #[test]
    fn a_try_is_valid_until_quiet_hours_begin_within_the_window() {
        let (none, own): (QuietRules, QuietRules) = (QuietRules::default(), "all=21:00-09:00".parse().unwrap());
        let quiet = Quiet { installation: &own, tenant: &none, zone: Tz::UTC };
        let windows: WeeklyHours = "mon-sun 10:00-23:00".parse().unwrap();
        let closes = |windows, number: &str, from: &str| {
            Hours::new(windows, &quiet, &Phone::parse(number).unwrap(), None).closes(at(from))
        };
        let nine_in_madrid = Some(at("2026-11-23T20:00:00Z"));
        assert_eq!(closes(Some(&windows), "+34600111222", "2026-11-23T09:30:00Z"), nine_in_madrid);
        assert_eq!(closes(None, "+34600111222", "2026-11-23T08:00:00Z"), nine_in_madrid, "without a window, too");
        assert_eq!(closes(None, "+34100111222", "2026-11-23T10:00:00Z"), nine_in_madrid, "before the Canaries");
        assert_eq!(closes(None, "+34600111222", "2026-11-23T20:00:00Z"), nine_in_madrid, "now");
        let off = Quiet { installation: &none, tenant: &none, zone: Tz::UTC };
        let hours = Hours::new(None, &off, &Phone::parse("+34600111222").unwrap(), None);
        assert_eq!(hours.closes(at("2026-11-23T10:00:00Z")), None);
    }

    #[test]
    fn a_member_without_an_allowed_hour_is_never_tried() {
        let none = QuietRules::default();
        let quiet = Quiet { installation: &none, tenant: &none, zone: Tz::UTC };
        let windows: WeeklyHours = "2020-01-01 10:00-11:00".parse().unwrap();
        let hours = Hours::new(Some(&windows), &quiet, &Phone::parse("+34600111222").unwrap(), None);
        assert_eq!(hours.next_allowed(at("2026-11-23T06:00:00Z")), None);
    }
}
