//! A timer.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::store::PendingTimer;

/// A timer: what a rule has planned for later.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timer)]
pub struct TimerView {
    pub id: String,
    /// The tenant's slug
    pub tenant: String,
    #[schema(value_type = String, format = DateTime)]
    pub due: Timestamp,
    pub rule: String,
    pub purpose: String,
    pub timing: String,
    /// The customer that it is about
    pub contact: Option<Uuid>,
    /// What it depends on, such as an appointment
    pub subject: Option<Uuid>,
    /// How often it could not be fired; only of a timer that was set aside
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retry_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl TimerView {
    pub fn new(slug: &str, timer: PendingTimer) -> Self {
        Self {
            id: timer.id.to_string(),
            tenant: slug.to_owned(),
            due: timer.due,
            rule: timer.rule,
            purpose: timer.purpose,
            timing: timer.timing,
            contact: timer.contact.map(|contact| contact.uuid()),
            subject: timer.subject,
            tries: None,
            retry_at: None,
            error: None,
        }
    }
}
