//! The start of an appointment, as people and programs write it.

use chrono::NaiveDateTime;

use crate::domain::Timestamp;
use crate::store::tables::appointments::Starts;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no time: write it with its offset, such as 2026-12-01T10:00:00+01:00, or by the clock on the wall, such \
     as 2026-12-01T10:00"
)]
/// The text is no time.
pub struct NotATime(String);

/// Parses a time with its offset from UTC, or a local time.
pub fn parse_starts(text: &str) -> Result<Starts, NotATime> {
    if let Ok(at) = Timestamp::parse(text) {
        return Ok(Starts::At(at));
    }
    let forms = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
    let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    local.map(Starts::Local).ok_or_else(|| NotATime(text.chars().take(40).collect()))
}
