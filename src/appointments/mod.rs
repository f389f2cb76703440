//! Appointments, for commands and other programs: what is said of them outside, and what only customers are held to.
//!
//! What is booked, and that nobody is booked twice, is the store's: [`crate::store::appointments`].

pub mod choice;
pub mod desk;
pub mod facts;
pub mod feed;
pub mod ical;
pub mod sheet;
pub mod slots;

use chrono::NaiveDateTime;

use crate::domain::Timestamp;
use crate::store::appointments::Starts;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no time: write it with its offset, such as 2026-12-01T10:00:00+01:00, or by the clock on the wall, such \
     as 2026-12-01T10:00"
)]
pub struct NotATime(String);

/// A time with its offset from UTC, or one by the clock on the wall.
pub fn parse_starts(text: &str) -> Result<Starts, NotATime> {
    if let Ok(at) = Timestamp::parse(text) {
        return Ok(Starts::At(at));
    }
    let forms = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
    let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    local.map(Starts::Local).ok_or_else(|| NotATime(text.chars().take(40).collect()))
}
