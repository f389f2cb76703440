//! Refused bookings and changes. Each reason has a stable code for other programs.

use chrono::NaiveDateTime;

use crate::domain::phone::NotANumber;
use crate::domain::{AppointmentId, AppointmentState, Change, Timestamp};
use crate::store::error::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum BookingError {
    #[error(transparent)]
    Customer(#[from] NotANumber),
    #[error("a {what} has 1 to {max} characters and no line breaks; this is none: '{given}'")]
    Name { what: &'static str, max: usize, given: String },
    #[error("the note has more than {0} characters: shorten it")]
    NoteTooLong(usize),
    #[error("{0} minutes: a service lasts 1 to {1} minutes")]
    Minutes(u32, u32),
    #[error("there is no service '{name}'; there are: {known}")]
    UnknownService { name: String, known: String },
    #[error("the service '{0}' is not offered any more; 'recado services add' offers it again")]
    ServiceIsOff(String),
    #[error("nobody of the staff is called '{name}'; there are: {known}. Add somebody with 'recado staff add'")]
    UnknownStaff { name: String, known: String },
    #[error("{staff} does not do '{service}'; 'recado staff add {staff} --service …' says who does what")]
    StaffDoesNotDo { staff: String, service: String },
    #[error("{who} is taken at {at}: choose another time, see 'recado appointments free'")]
    Taken { who: String, at: NaiveDateTime },
    #[error("there is an appointment with the external id '{0}' already: change that one")]
    UidTaken(String),
    #[error("{at} comes twice in {zone} that night, and this is the second: an appointment can be at the first only")]
    Ambiguous { at: NaiveDateTime, zone: String },
    #[error("the year is out of reach: appointments are from 1970 to 9998")]
    OutOfReach,
    #[error("the appointment '{0}' is another customer's or for another service: cancel it, and book anew")]
    AnotherOne(String),
    #[error("it is {0} and not known here: only appointments that stand are taken in")]
    Over(AppointmentState),
    #[error("the business has not said when it is open: set them with 'recado tenant set SLUG --hours'")]
    NoHours,
    #[error("there is no appointment {0}")]
    NotFound(AppointmentId),
    #[error("the appointment is {state}: it cannot be {} any more", .change.done())]
    NotPossible { state: AppointmentState, change: Change },
    #[error(
        "the appointment has been changed meanwhile: it is at version {is}, and {expected} was expected; read it again"
    )]
    Changed { is: i32, expected: i32 },
    #[error("{0} is in the past: choose a time ahead")]
    Past(Timestamp),
    #[error("{0} is too far ahead: at most {1} days")]
    TooFarAhead(Timestamp, u32),
    #[error("{0} is outside opening hours: choose another time, see 'recado appointments free'")]
    Closed(NaiveDateTime),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BookingError {
    /// The stable code, part of the API.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Customer(_) => "bad_customer",
            Self::Name { .. } => "bad_name",
            Self::NoteTooLong(_) => "note_too_long",
            Self::Minutes(..) => "bad_minutes",
            Self::UnknownService { .. } => "unknown_service",
            Self::ServiceIsOff(_) => "service_is_off",
            Self::UnknownStaff { .. } => "unknown_staff",
            Self::StaffDoesNotDo { .. } => "staff_does_not_do",
            Self::Taken { .. } => "slot_taken",
            Self::UidTaken(_) => "uid_taken",
            Self::Ambiguous { .. } => "ambiguous_time",
            Self::OutOfReach => "bad_time",
            Self::AnotherOne(_) => "another_one",
            Self::Over(_) => "is_over",
            Self::NoHours => "no_hours",
            Self::NotFound(_) => "not_found",
            Self::NotPossible { .. } => "not_possible",
            Self::Changed { .. } => "changed_meanwhile",
            Self::Past(_) => "in_the_past",
            Self::TooFarAhead(..) => "too_far_ahead",
            Self::Closed(_) => "closed",
            Self::Store(_) => "database",
        }
    }
}
