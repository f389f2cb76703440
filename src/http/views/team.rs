//! Services and staff.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::tables::appointments as book;

/// A service that customers book.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
pub struct ServiceView {
    pub id: Uuid,
    pub name: String,
    /// The usual length in minutes
    pub minutes: u32,
    /// Whether it can be booked
    pub active: bool,
}

impl From<book::Service> for ServiceView {
    fn from(one: book::Service) -> Self {
        Self { id: one.id.uuid(), name: one.name, minutes: one.minutes, active: one.active }
    }
}

/// A member of staff who takes appointments.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct StaffView {
    pub id: Uuid,
    pub name: String,
    /// Time zone, where it is not the business's
    pub zone: Option<String>,
    /// Working hours, where they are not the business's
    #[schema(example = "mon-fri 09:00-14:00,16:00-20:00")]
    pub hours: Option<String>,
    pub active: bool,
    /// Names of the services; none: all services
    pub services: Vec<String>,
}

impl From<book::StaffMember> for StaffView {
    fn from(one: book::StaffMember) -> Self {
        Self {
            id: one.id.uuid(),
            name: one.name,
            zone: one.zone.map(|zone| zone.name().to_owned()),
            hours: one.hours.map(|hours| hours.to_string()),
            active: one.active,
            services: one.services.into_iter().collect(),
        }
    }
}
