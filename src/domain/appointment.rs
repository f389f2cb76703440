//! An appointment: its states, and what rules and timers read of it.
//!
//! ```text
//!              confirm                 move: to be confirmed anew
//!     booked ──────────▶ confirmed ───────────▶ booked
//!       │ └─ move ─▶ booked  │
//!       ├────────────────────┤
//!       ▼         ▼          ▼
//!   cancelled  completed  no_show              (each final)
//! ```
//! What is so already may be asked for again: nothing changes then.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AppointmentId, EventKind, Timestamp};

/// What is known of an appointment; as JSON it is `data.appointment` of its events.
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
    /// IANA name of the zone that its local time is meant in.
    pub zone: String,
    /// Its state's stored name.
    pub state: String,
}

impl AppointmentFacts {
    /// Whether it is still to take place.
    pub fn is_active(&self) -> bool {
        self.state.parse::<AppointmentState>().is_ok_and(AppointmentState::is_active)
    }

    /// As it stands after a change that is possible.
    pub fn apply(&mut self, change: Change) {
        if let Some(next) = self.state.parse::<AppointmentState>().ok().and_then(|state| state.after(change)) {
            self.state = next.as_str().to_owned();
        }
    }
}

/// Where an appointment stands; drawn in the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppointmentState {
    /// It stands; the customer has not confirmed it since it was made or moved.
    Booked,
    /// It stands, and the customer has said so.
    Confirmed,
    /// It will not take place, and its time is free again.
    Cancelled,
    /// It took place.
    Completed,
    /// The customer did not come.
    NoShow,
}

impl AppointmentState {
    pub const ALL: [Self; 5] = [Self::Booked, Self::Confirmed, Self::Cancelled, Self::Completed, Self::NoShow];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::NoShow => "no_show",
        }
    }

    /// Whether it is still to take place.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Booked | Self::Confirmed)
    }

    /// Where a change leads from here; the same state where nothing changes; `None` where the drawing has no arrow.
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

impl fmt::Display for AppointmentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no state of an appointment: booked, confirmed, cancelled, completed, no_show")]
pub struct UnknownAppointmentState(String);

impl FromStr for AppointmentState {
    type Err = UnknownAppointmentState;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| UnknownAppointmentState(text.chars().take(40).collect()))
    }
}

/// What may be done with an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Confirm,
    Move,
    Cancel,
    Complete,
    NoShow,
}

impl Change {
    pub const ALL: [Self; 5] = [Self::Confirm, Self::Move, Self::Cancel, Self::Complete, Self::NoShow];

    /// What has been done to it, as the history says.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Confirm => "confirmed",
            Self::Move => "moved",
            Self::Cancel => "cancelled",
            Self::Complete => "completed",
            Self::NoShow => "no_show",
        }
    }

    /// The event that it makes.
    pub const fn event(self) -> EventKind {
        match self {
            Self::Confirm => EventKind::APPOINTMENT_CONFIRMED,
            Self::Move => EventKind::APPOINTMENT_MOVED,
            Self::Cancel => EventKind::APPOINTMENT_CANCELLED,
            Self::Complete => EventKind::APPOINTMENT_COMPLETED,
            Self::NoShow => EventKind::APPOINTMENT_NO_SHOW,
        }
    }

    /// Whether what is planned around the appointment ends with it: a confirmed one keeps its reminders.
    pub const fn ends_plans(self) -> bool {
        !matches!(self, Self::Confirm)
    }
}

/// Who made a change; `data.by` of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// By their own message or booking.
    Customer,
    /// Somebody of the business, such as on the command line.
    Staff,
    /// Another program.
    Api,
    /// A file.
    Import,
    /// A rule, on an event that is no message of the customer's.
    Rule,
}

impl By {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Api => "api",
            Self::Import => "import",
            Self::Rule => "rule",
        }
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
        assert_eq!(expected.map(|(state, _)| state), AppointmentState::ALL);
        for (state, leads) in expected {
            assert_eq!(Change::ALL.map(|change| state.after(change)), leads, "from {state}");
            assert_eq!(state.to_string().parse::<AppointmentState>().unwrap(), state);
        }
    }
}
