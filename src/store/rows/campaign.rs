//! A campaign's row.

use std::sync::LazyLock;

use sea_orm::{QueryResult, Value};
use serde_json::Value as Json;

use super::table::Holds::{Big, Document, Form, Of};
use super::table::{Table, column};
use crate::domain::{CampaignId, CampaignState, EventId, TenantId, Timestamp};
use crate::store::error::StoreError;

/// The longest name of a campaign, in characters.
pub const NAME_CHARS: usize = 80;

/// Whether a text may name a campaign: 1 to [`NAME_CHARS`] characters, no control characters.
pub fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

pub(in crate::store) const TABLE: Table = Table {
    kind: "campaign",
    name: "campaigns",
    order: &["id"],
    columns: &[
        // The campaign's event has the same id; its actions belong to that event.
        column("id", Of("events")),
        column("name", Form(is_name)),
        column("state", Form(|state| state.parse::<CampaignState>().is_ok())),
        column("plan", Document(Json::is_object)),
        column("paced_us", Big),
        column("created_us", Big),
        column("changed_us", Big),
    ],
};

/// The query that [`Campaign::read`] reads, up to its `WHERE`.
pub(in crate::store) static SELECT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM {}", TABLE.full_column_list(), TABLE.name));

/// A campaign's row.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub id: CampaignId,
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub name: String,
    pub state: CampaignState,
    /// The plan as JSON. [`crate::features::campaigns`] reads it.
    pub plan: String,
    /// The first slot that no member has.
    pub paced: Timestamp,
    pub created: Timestamp,
    pub changed: Timestamp,
}

impl Campaign {
    /// The event of the campaign's actions.
    pub const fn event(&self) -> EventId {
        EventId::new(self.id.uuid())
    }

    pub(in crate::store) fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let state: String = row.try_get_by_index(3)?;
        Ok(Self {
            tenant: TenantId::new(row.try_get_by_index(0)?),
            id: CampaignId::new(row.try_get_by_index(1)?),
            name: row.try_get_by_index(2)?,
            state: state.parse().map_err(|error| StoreError::Stored(format!("{error}")))?,
            plan: row.try_get_by_index(4)?,
            paced: Timestamp::from_unix_us(row.try_get_by_index(5)?),
            created: Timestamp::from_unix_us(row.try_get_by_index(6)?),
            changed: Timestamp::from_unix_us(row.try_get_by_index(7)?),
        })
    }
}

/// The values of a campaign, in the order of [`Table::insert`].
pub(in crate::store) fn new_row(campaign: &Campaign) -> [Value; TABLE.width()] {
    [
        campaign.tenant.uuid().into(),
        campaign.id.uuid().into(),
        campaign.name.as_str().into(),
        campaign.state.as_str().into(),
        campaign.plan.as_str().into(),
        campaign.paced.unix_us().into(),
        campaign.created.unix_us().into(),
        campaign.changed.unix_us().into(),
    ]
}
