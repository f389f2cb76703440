//! An appointment: its states, and what rules and timers read of it.
//!
//! ```text
//!              confirm                 move: to be confirmed again
//!     booked ──────────▶ confirmed ───────────▶ booked
//!       │ └─ move ─▶ booked  │
//!       ├────────────────────┤
//!       ▼         ▼          ▼
//!   cancelled  completed  no_show              (each final)
//! ```
//! A change to the present state is allowed and changes nothing.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use super::clock::Timestamp;
use super::event::EventKind;
use super::id::AppointmentId;

/// An appointment as rules read it. As JSON it is `data.appointment` of its events.
///
/// ```json
/// {"id": "0199…", "service": "cut", "staff": null, "starts_at": "2026-12-01T09:00:00Z",
///  "ends_at": "2026-12-01T09:30:00Z", "zone": "Europe/Madrid", "state": "booked"}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppointmentFacts {
    pub id: AppointmentId,
    pub service: String,
    pub staff: Option<String>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The IANA name of the zone of its local time.
    pub zone: String,
    /// The stored name of its [`AppointmentState`].
    pub state: String,
}

impl AppointmentFacts {
    /// Whether it is still to take place.
    pub fn is_active(&self) -> bool {
        self.state.parse::<AppointmentState>().is_ok_and(AppointmentState::is_active)
    }

    /// Makes a change, if it is possible.
    pub fn apply(&mut self, change: Change) {
        if let Some(next) = self.state.parse::<AppointmentState>().ok().and_then(|state| state.after(change)) {
            self.state = next.as_str().to_owned();
        }
    }
}

/// The state of an appointment; the module's documentation has the drawing.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::EnumString,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str, parse_err_ty = UnknownAppointmentState, parse_err_fn = UnknownAppointmentState::new)]
pub enum AppointmentState {
    /// It takes place; the customer has not confirmed it since it was made or moved.
    Booked,
    /// It takes place; the customer has confirmed it.
    Confirmed,
    /// It will not take place, and its time is free again.
    Cancelled,
    /// It took place.
    Completed,
    /// The customer did not come.
    NoShow,
}

impl AppointmentState {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Whether it is still to take place.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Booked | Self::Confirmed)
    }

    /// The state after a change; the same state if nothing changes; `None` if the drawing has no arrow.
    pub const fn after(self, change: Change) -> Option<Self> {
        match (self, change) {
            (Self::Booked | Self::Confirmed, Change::Confirm) => Some(Self::Confirmed),
            (Self::Booked | Self::Confirmed, Change::Move) => Some(Self::Booked),
            (Self::Booked | Self::Confirmed | Self::Cancelled, Change::Cancel) => Some(Self::Cancelled),
            (Self::Booked | Self::Confirmed | Self::Completed, Change::Complete) => Some(Self::Completed),
            (Self::Booked | Self::Confirmed | Self::NoShow, Change::NoShow) => Some(Self::NoShow),
            _ => None,
        }
    }
}

/// A name that is not one of [`AppointmentState`].
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no state of an appointment: booked, confirmed, cancelled, completed, no_show")]
pub struct UnknownAppointmentState(String);

impl UnknownAppointmentState {
    fn new(text: &str) -> Self {
        Self(text.chars().take(40).collect())
    }
}

/// A change to an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Confirm,
    Move,
    Cancel,
    Complete,
    NoShow,
}

impl Change {
    /// The past participle, as the history shows it.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Confirm => "confirmed",
            Self::Move => "moved",
            Self::Cancel => "cancelled",
            Self::Complete => "completed",
            Self::NoShow => "no_show",
        }
    }

    /// The kind of the event that reports the change.
    pub const fn event(self) -> EventKind {
        match self {
            Self::Confirm => EventKind::APPOINTMENT_CONFIRMED,
            Self::Move => EventKind::APPOINTMENT_MOVED,
            Self::Cancel => EventKind::APPOINTMENT_CANCELLED,
            Self::Complete => EventKind::APPOINTMENT_COMPLETED,
            Self::NoShow => EventKind::APPOINTMENT_NO_SHOW,
        }
    }

    /// Whether timers that hang on the appointment end with the change; a confirmed appointment keeps its reminders.
    pub const fn ends_plans(self) -> bool {
        !matches!(self, Self::Confirm)
    }
}

/// The author of a change: `data.by` of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum By {
    /// The customer, by a message or a booking.
    Customer,
    /// A member of staff, for example on the command line.
    Staff,
    /// Another program.
    Api,
    /// An imported file.
    Import,
    /// A rule, on an event that is not a message of the customer.
    Rule,
}

impl By {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AppointmentState::{Booked, Cancelled, Completed, Confirmed, NoShow};

    #[test]
    fn every_change_of_every_state_leads_where_the_drawing_says() {
        let expected = [
            (Booked, [Some(Confirmed), Some(Booked), Some(Cancelled), Some(Completed), Some(NoShow)]),
            (Confirmed, [Some(Confirmed), Some(Booked), Some(Cancelled), Some(Completed), Some(NoShow)]),
            (Cancelled, [None, None, Some(Cancelled), None, None]),
            (Completed, [None, None, None, Some(Completed), None]),
            (NoShow, [None, None, None, None, Some(NoShow)]),
        ];
        assert_eq!(expected.map(|(state, _)| state), AppointmentState::VARIANTS);
        for (state, leads) in expected {
            let after: Vec<_> = Change::VARIANTS.iter().map(|change| state.after(*change)).collect();
            assert_eq!(after, leads, "from {state}");
            assert_eq!(state.to_string().parse::<AppointmentState>().unwrap(), state);
        }
    }
}
