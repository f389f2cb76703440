//! Free times: within opening hours and not occupied.

use std::collections::BTreeSet;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;

use crate::domain::Timestamp;
use crate::store::tables::appointments::granules;
use crate::time::WeeklyHours;
use crate::time::hours::Shift;
use crate::time::zone::{to_instant, to_wall};

/// Free times begin with a shift, and every this many minutes after.
pub const STEP_MIN: u16 = 15;

/// The calendar of a staff member, or of the business.
pub struct Calendar<'c> {
    pub hours: &'c WeeklyHours,
    pub zone: Tz,
    /// The granules that are occupied: see [`crate::store::tables::appointments::GRANULE`].
    pub occupied: &'c BTreeSet<i64>,
}

impl Calendar<'_> {
    /// Finds the starts of free times of `minutes`, from `from` on and before `to`, in order; at most `limit`.
    ///
    /// A local time that occurs twice is given once, the first. A local time that does not occur is left out.
    pub fn free(&self, minutes: u32, from: Timestamp, to: Timestamp, limit: usize) -> Vec<Timestamp> {
        let mut found = BTreeSet::new();
        // A shift of the day before may go on after midnight.
        let Some(mut date) = to_wall(from, self.zone).date().pred_opt() else { return Vec::new() };
        let last = to_wall(to, self.zone).date();
        while date <= last {
            // Shifts of the next day may begin before the end of these. Shifts of later days do not.
            let enough = found.len() >= limit;
            for shift in self.hours.shifts_on(date) {
                let steps = (shift.from..shift.to).step_by(usize::from(STEP_MIN));
                let starts = steps.filter_map(|minute| self.starts(date, *shift, minute, minutes));
                found.extend(starts.filter(|at| *at >= from && *at < to));
            }
            match date.succ_opt() {
                Some(next) if !enough => date = next,
                _ => break,
            }
        }
        found.into_iter().take(limit).collect()
    }

    /// The instant of this minute of a date, if `minutes` after it are open and free.
    fn starts(&self, date: NaiveDate, shift: Shift, minute: u16, minutes: u32) -> Option<Timestamp> {
        let wall = at_minute(date, minute)?;
        let at = to_instant(wall, self.zone);
        let ends = after(at, minutes);
        let closes = to_instant(at_minute(date, shift.to)?, self.zone);
        let shown = to_wall(at, self.zone) == wall;
        let free = || self.occupied.range(granules(at, ends)).next().is_none();
        (shown && ends <= closes && free()).then_some(at)
    }
}

fn after(at: Timestamp, minutes: u32) -> Timestamp {
    at.plus(std::time::Duration::from_secs(u64::from(minutes) * 60))
}

/// Minutes since midnight may exceed a day.
fn at_minute(date: NaiveDate, minute: u16) -> Option<NaiveDateTime> {
    date.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::minutes(i64::from(minute)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE_US: i64 = 60_000_000;

    /// Finds free times minute by minute: open throughout, in one shift, not occupied.
    fn brute_force(
        hours: &WeeklyHours,
        zone: Tz,
        taken: &[(i64, i64)],
        minutes: i64,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Timestamp> {
        let mut free = Vec::new();
        for us in (from.unix_us()..to.unix_us()).step_by(MINUTE_US as usize) {
            let at = Timestamp::from_unix_us(us);
            let wall = to_wall(at, zone);
            let earlier = (1..=180).any(|back| to_wall(Timestamp::from_unix_us(us - back * MINUTE_US), zone) == wall);
            let fits = |date: NaiveDate| {
                hours.shifts_on(date).iter().any(|shift| {
                    let since = (wall - date.and_hms_opt(0, 0, 0).unwrap()).num_minutes();
                    let on_step = since >= i64::from(shift.from)
                        && since < i64::from(shift.to)
                        && (since - i64::from(shift.from)) % i64::from(STEP_MIN) == 0;
                    // No minute of the appointment reaches the shift's end.
                    let midnight = date.and_hms_opt(0, 0, 0).unwrap();
                    let open = (0..minutes).all(|n| {
                        let shows = to_wall(Timestamp::from_unix_us(us + n * MINUTE_US), zone);
                        (shows - midnight).num_minutes() < i64::from(shift.to)
                    });
                    on_step && open
                })
            };
            let open = fits(wall.date()) || wall.date().pred_opt().is_some_and(fits);
            let busy = (0..minutes).any(|n| {
                let five = (us + n * MINUTE_US).div_euclid(5 * MINUTE_US);
                taken.iter().any(|(from, to)| (from.div_euclid(5)..(to + 4).div_euclid(5)).contains(&five))
            });
            if open && !busy && !earlier {
                free.push(at);
            }
        }
        free
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn free_times_are_those_of_the_slow_way(
            hours in prop::sample::select(vec![
                "daily 09:00-14:00,16:00-20:00",
                "mon-fri 09:10-13:00; sat,sun 02:00-04:00,22:00-02:00",
                "daily 00:00-24:00",
                "sat 10:00-11:00; 2026-03-29 01:00-05:00; 2026-10-25 00:30-04:30",
            ]),
            zone in prop::sample::select(vec![Tz::Europe__Madrid, Tz::UTC, Tz::America__New_York, Tz::Asia__Kathmandu]),
            // Days around the clock changes of March and October 2026, and one other.
            day in prop::sample::select(vec![1_774_656_000i64, 1_792_800_000, 1_781_000_000]),
            offset_min in 0i64..1_440,
            minutes in prop::sample::select(vec![5u32, 20, 30, 60, 95]),
            booked in prop::collection::vec((0i64..2_880, 1i64..120), 0..6),
        ) {
            let hours: WeeklyHours = hours.parse().unwrap();
            let from = Timestamp::from_unix_us((day / 60 + offset_min) * MINUTE_US);
            let to = Timestamp::from_unix_us((day / 60 + offset_min + 1_500) * MINUTE_US);
            let taken: Vec<(i64, i64)> =
                booked.iter().map(|(start, length)| (day / 60 + start, day / 60 + start + length)).collect();
            let occupied = taken
                .iter()
                .flat_map(|(start, end)| {
                    granules(Timestamp::from_unix_us(start * MINUTE_US), Timestamp::from_unix_us(end * MINUTE_US))
                })
                .collect();
            let calendar = Calendar { hours: &hours, zone, occupied: &occupied };
            let found = calendar.free(minutes, from, to, usize::MAX);
            prop_assert_eq!(&found, &brute_force(&hours, zone, &taken, i64::from(minutes), from, to));
            prop_assert!(found.iter().all(|at| hours.is_open_from(*at, after(*at, minutes), zone)));
            let few = calendar.free(minutes, from, to, 3);
            prop_assert_eq!(few.as_slice(), &found[..found.len().min(3)]);
        }
    }
}
