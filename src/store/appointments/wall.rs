//! Between what the clock on the wall says and instants.

use chrono::{LocalResult, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::domain::Timestamp;

pub fn to_wall(at: Timestamp, zone: Tz) -> NaiveDateTime {
    at.to_utc().with_timezone(&zone).naive_local()
}

/// In a gap the first instant after it, in an overlap the first.
pub fn to_instant(wall: NaiveDateTime, zone: Tz) -> Timestamp {
    for minute in 0..24 * 60 {
        match zone.from_local_datetime(&(wall + TimeDelta::minutes(minute))) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => return at.to_utc().into(),
            LocalResult::None => {}
        }
    }
    wall.and_utc().into()
}
