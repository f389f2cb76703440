//! An appointment, as rules and timers read it.

use serde::{Deserialize, Serialize};

use super::{AppointmentId, Timestamp};

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
