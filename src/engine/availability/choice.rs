//! Picks a few of many free times.

use chrono::{NaiveDate, NaiveDateTime, Timelike};
use chrono_tz::Tz;

use crate::domain::Timestamp;
use crate::time::zone::to_wall;

/// Picks at most `count` of these starts, which are in order: the first, then some of other days and of the other half of
/// the day, then of other days, then of the same days. Days are those of `zone`.
pub fn pick_varied(starts: &[Timestamp], zone: Tz, count: usize) -> Vec<Timestamp> {
    let mut halves: Vec<(Timestamp, HalfDay)> =
        starts.iter().map(|at| (*at, HalfDay::of(to_wall(*at, zone)))).collect();
    // The first start of each half of a day.
    halves.dedup_by_key(|(_, half)| *half);
    let mut chosen: Vec<(Timestamp, HalfDay)> = Vec::new();
    let rounds: [Suits; 3] = [
        |half, chosen| chosen.last().is_none_or(|(_, last)| half.date > last.date && half.afternoon != last.afternoon),
        |half, chosen| chosen.iter().all(|(_, other)| half.date != other.date),
        |half, chosen| chosen.iter().all(|(_, other)| half != other),
    ];
    for suits in rounds {
        for one in &halves {
            if chosen.len() < count && suits(&one.1, &chosen) {
                chosen.push(*one);
            }
        }
    }
    let mut chosen: Vec<Timestamp> = chosen.into_iter().map(|(at, _)| at).collect();
    chosen.sort_unstable();
    chosen
}

/// A condition for a half of a day, given the times that were chosen before.
type Suits = fn(&HalfDay, &[(Timestamp, HalfDay)]) -> bool;

#[derive(Clone, Copy, PartialEq, Eq)]
struct HalfDay {
    date: NaiveDate,
    afternoon: bool,
}

impl HalfDay {
    fn of(wall: NaiveDateTime) -> Self {
        Self { date: wall.date(), afternoon: wall.hour() >= 12 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Picks from free times in Madrid, in January 2027.
    fn chosen(free: &[&str]) -> Vec<String> {
        let zone = Tz::Europe__Madrid;
        let at = |text: &&str| Timestamp::parse(&format!("2027-01-{}:00+01:00", text.replace(' ', "T"))).unwrap();
        let free: Vec<Timestamp> = free.iter().map(at).collect();
        pick_varied(&free, zone, 3).into_iter().map(|at| to_wall(at, zone).format("%d %H:%M").to_string()).collect()
    }

    #[test]
    fn the_first_then_other_days_and_other_halves_of_the_day() {
        let all = ["12 09:00", "12 09:15", "12 16:00", "13 09:00", "13 16:30", "13 16:45", "14 09:00", "14 16:00"];
        assert_eq!(chosen(&all), ["12 09:00", "13 16:30", "14 09:00"]);
        let afternoons = ["12 12:00", "12 13:00", "13 15:00", "14 15:00", "15 15:00"];
        assert_eq!(chosen(&afternoons), ["12 12:00", "13 15:00", "14 15:00"], "only other days");
        assert_eq!(chosen(&["12 09:00", "12 09:15", "12 16:00"]), ["12 09:00", "12 16:00"], "only other halves");
        assert_eq!(chosen(&["12 16:00", "13 09:00"]), ["12 16:00", "13 09:00"]);
        assert_eq!(chosen(&["12 09:00", "12 16:00", "13 09:00"]), ["12 09:00", "12 16:00", "13 09:00"], "in order");
        assert!(chosen(&[]).is_empty());
    }
}
