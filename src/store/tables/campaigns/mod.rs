//! Campaigns: their rows, their states, and what is counted of them. The members are in `members.rs`.

mod members;

use std::collections::BTreeMap;

use sea_orm::QueryResult;
use serde::Serialize;
use uuid::Uuid;

pub use members::{EndedTry, ListedMember, MEMBERS_MAX, Member, MemberEnd, NewMember, NewTry};

use super::events;
use crate::domain::{CampaignId, CampaignState, Event, EventId, EventKind, MemberState, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// Campaigns of one tenant, at most.
pub const CAMPAIGNS_MAX: i64 = 1_000;
/// A campaign's name, in characters.
pub const NAME_CHARS: usize = 80;

/// Whether a campaign may be called so: 1 to [`NAME_CHARS`] characters, no control characters.
pub fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

/// A campaign's row.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub id: CampaignId,
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub name: String,
    pub state: CampaignState,
    /// What is done, as JSON: [`crate::features::campaigns`] reads it.
    pub plan: String,
    /// The first slot that is nobody's yet.
    pub paced: Timestamp,
    pub created: Timestamp,
    pub changed: Timestamp,
}

impl Campaign {
    /// The event on which its actions hang.
    pub const fn event(&self) -> EventId {
        EventId::new(self.id.uuid())
    }
}

/// What is counted of a campaign, from the rows as they stand: each member once, and each call once, however often the
/// provider repeats itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    pub members: i64,
    pub waiting: i64,
    pub trying: i64,
    pub done: i64,
    /// Tries that count.
    pub tries: i64,
    /// Members that are done, by what came of them.
    pub outcomes: BTreeMap<String, i64>,
    /// Calls by their status, those under way among them.
    pub calls: BTreeMap<String, i64>,
    /// Seconds of all calls together.
    pub talked_s: i64,
    /// Messages by their delivery status.
    pub messages: BTreeMap<String, i64>,
}

/// Why a campaign was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// The tenant has one of this name.
    Named,
    /// The tenant has [`CAMPAIGNS_MAX`].
    Many,
}

const KNOWN: &str = "SELECT id, tenant_id, name, state, plan, paced_us, created_us, changed_us FROM campaigns";

fn read(row: &QueryResult) -> Result<Campaign, StoreError> {
    let state: String = row.try_get_by_index(3)?;
    Ok(Campaign {
        id: CampaignId::new(row.try_get_by_index(0)?),
        tenant: TenantId::new(row.try_get_by_index(1)?),
        name: row.try_get_by_index(2)?,
        state: state.parse().map_err(|error| StoreError::Stored(format!("{error}")))?,
        plan: row.try_get_by_index(4)?,
        paced: Timestamp::from_unix_us(row.try_get_by_index(5)?),
        created: Timestamp::from_unix_us(row.try_get_by_index(6)?),
        changed: Timestamp::from_unix_us(row.try_get_by_index(7)?),
    })
}

impl Store {
    /// Adds a campaign, as a draft, with the event on which its actions will hang.
    pub async fn add_campaign(
        &self,
        tenant: TenantId,
        id: CampaignId,
        name: &str,
        plan: &str,
    ) -> Result<Result<Campaign, NotAdded>, StoreError> {
        let now = self.clock().now();
        let txn = begin(&self.write).await?;
        let known = "SELECT count(*), coalesce(sum(CASE WHEN name = ? THEN 1 ELSE 0 END), 0) FROM campaigns WHERE tenant_id = ?";
        if let Some(row) = sql::query_one(&txn, known, vec![name.into(), tenant.uuid().into()]).await? {
            let (count, named): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            if named > 0 {
                return Ok(Err(NotAdded::Named));
            }
            if count >= CAMPAIGNS_MAX {
                return Ok(Err(NotAdded::Many));
            }
        }
        let campaign = Campaign {
            id,
            tenant,
            name: name.to_owned(),
            state: CampaignState::Draft,
            plan: plan.to_owned(),
            paced: now,
            created: now,
            changed: now,
        };
        let event = Event {
            id: campaign.event(),
            tenant,
            kind: EventKind::CAMPAIGN,
            channel: None,
            contact: None,
            occurred_at: now,
            dedupe_key: None,
            depth: 0,
            data: serde_json::json!({ "campaign": name }),
        };
        events::insert(&txn, [(&event, Some(now))]).await?;
        let values = vec![
            id.uuid().into(),
            tenant.uuid().into(),
            name.into(),
            campaign.state.as_str().into(),
            plan.into(),
            now.unix_us().into(),
            now.unix_us().into(),
            now.unix_us().into(),
        ];
        let insert = "INSERT INTO campaigns (id, tenant_id, name, state, plan, paced_us, created_us, changed_us)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        sql::execute(&txn, insert, values).await?;
        txn.commit().await?;
        Ok(Ok(campaign))
    }

    /// A tenant's campaigns, the newest first, behind `after`.
    pub async fn campaigns(
        &self,
        tenant: TenantId,
        after: Option<CampaignId>,
        limit: usize,
    ) -> Result<Vec<Campaign>, StoreError> {
        let text = format!("{KNOWN} WHERE tenant_id = ? AND id < ? ORDER BY id DESC LIMIT ?");
        let after = after.map_or(Uuid::max(), CampaignId::uuid);
        let values = vec![tenant.uuid().into(), after.into(), (limit as i64).into()];
        sql::query(&self.read, &text, values).await?.iter().map(read).collect()
    }

    pub async fn campaign(&self, tenant: TenantId, id: CampaignId) -> Result<Option<Campaign>, StoreError> {
        let text = format!("{KNOWN} WHERE id = ? AND tenant_id = ?");
        let row = sql::query_one(&self.read, &text, vec![id.uuid().into(), tenant.uuid().into()]).await?;
        row.as_ref().map(read).transpose()
    }

    pub async fn campaign_named(&self, tenant: TenantId, name: &str) -> Result<Option<Campaign>, StoreError> {
        let text = format!("{KNOWN} WHERE name = ? AND tenant_id = ?");
        let row = sql::query_one(&self.read, &text, vec![name.into(), tenant.uuid().into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Those that run, of all tenants.
    pub async fn running_campaigns(&self) -> Result<Vec<Campaign>, StoreError> {
        let text = format!("{KNOWN} WHERE state = 'running' ORDER BY id");
        sql::query(&self.read, &text, vec![]).await?.iter().map(read).collect()
    }

    /// Those with something to do, of all tenants: they run, or tries are under way that were begun before they were
    /// paused or cancelled.
    pub async fn moving_campaigns(&self) -> Result<Vec<Campaign>, StoreError> {
        let text = format!(
            "{KNOWN} WHERE state = 'running' OR (state IN ('paused', 'cancelled') AND EXISTS
               (SELECT 1 FROM campaign_members m WHERE m.campaign_id = campaigns.id AND m.state = 'trying'))
             ORDER BY id"
        );
        sql::query(&self.read, &text, vec![]).await?.iter().map(read).collect()
    }

    /// Moves a campaign on; `false` where it does not stand at `from` any more. One that stops takes back the tries that
    /// have not begun: their members wait again, and these tries do not count.
    pub async fn move_campaign(
        &self,
        campaign: &Campaign,
        from: CampaignState,
        to: CampaignState,
    ) -> Result<bool, StoreError> {
        let now = self.clock().now();
        let (id, tenant) = (campaign.id.uuid(), campaign.tenant.uuid());
        let txn = begin(&self.write).await?;
        let set =
            "UPDATE campaigns SET state = ?, changed_us = ?, paced_us = CASE WHEN paced_us < ? THEN ? ELSE paced_us END
            WHERE id = ? AND tenant_id = ? AND state = ?";
        let values = vec![
            to.as_str().into(),
            now.unix_us().into(),
            now.unix_us().into(),
            now.unix_us().into(),
            id.into(),
            tenant.into(),
            from.as_str().into(),
        ];
        if sql::execute(&txn, set, values).await? == 0 {
            return Ok(false);
        }
        if matches!(to, CampaignState::Paused | CampaignState::Cancelled) {
            let withdraw = "UPDATE actions SET state = 'blocked', reason = ? WHERE tenant_id = ? AND event_id = ?
                AND (state = 'planned' OR (state = 'held' AND tries = 0)) RETURNING id";
            let why = format!("the campaign is {to}");
            let rows = sql::query(&txn, withdraw, vec![why.into(), tenant.into(), id.into()]).await?;
            for row in rows {
                let action: Uuid = row.try_get_by_index(0)?;
                let back = "UPDATE campaign_members SET state = 'waiting', tries = tries - 1, action_id = NULL
                    WHERE campaign_id = ? AND tenant_id = ? AND action_id = ? AND state = 'trying'";
                sql::execute(&txn, back, vec![id.into(), tenant.into(), action.into()]).await?;
            }
        }
        txn.commit().await?;
        Ok(true)
    }

    /// What is counted of a campaign now.
    pub async fn campaign_statistics(&self, campaign: &Campaign) -> Result<Statistics, StoreError> {
        let of = || vec![campaign.id.uuid().into(), campaign.tenant.uuid().into()];
        let mut statistics = Statistics::default();
        let members = "SELECT state, coalesce(outcome, ''), count(*), coalesce(sum(tries), 0) FROM campaign_members
            WHERE campaign_id = ? AND tenant_id = ? GROUP BY state, outcome";
        for row in sql::query(&self.read, members, of()).await? {
            let (state, outcome): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let (count, tries): (i64, i64) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
            statistics.members += count;
            statistics.tries += tries;
            match state.as_str() {
                state if state == MemberState::Waiting.as_str() => statistics.waiting += count,
                state if state == MemberState::Trying.as_str() => statistics.trying += count,
                _ => {
                    statistics.done += count;
                    *statistics.outcomes.entry(outcome).or_default() += count;
                }
            }
        }
        let calls = "SELECT k.status, count(*), coalesce(sum(k.duration_s), 0) FROM actions a
            JOIN calls k ON k.action_id = a.id WHERE a.event_id = ? AND a.tenant_id = ? GROUP BY k.status";
        for row in sql::query(&self.read, calls, of()).await? {
            statistics.calls.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            statistics.talked_s += row.try_get_by_index::<i64>(2)?;
        }
        let messages = "SELECT m.status, count(*) FROM actions a JOIN messages m ON m.id = a.id
            WHERE a.event_id = ? AND a.tenant_id = ? AND a.channel <> 'voice' GROUP BY m.status";
        for row in sql::query(&self.read, messages, of()).await? {
            statistics.messages.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        }
        Ok(statistics)
    }
}
