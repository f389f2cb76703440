//! Campaigns: their rows, states and statistics. `members.rs` has the members.

mod members;

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

pub use members::{EndedTry, ListedMember, MEMBERS_MAX, Member, MemberEnd, NewMember, NewTry};

use super::{events, ordering_keys};
use crate::domain::{CampaignId, CampaignState, Event, EventKind, MemberState, TenantId};
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::campaign;
use crate::store::rows::campaign::SELECT;
pub use crate::store::rows::campaign::{Campaign, NAME_CHARS, is_name};

/// The most campaigns of one tenant.
pub const CAMPAIGNS_MAX: i64 = 1_000;

/// The statistics of a campaign. Each member and each call counts once, even if the provider
/// repeats its reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    pub members: i64,
    pub waiting: i64,
    pub trying: i64,
    pub done: i64,
    /// Tries that count.
    pub tries: i64,
    /// Members that are done, by their outcome.
    pub outcomes: BTreeMap<String, i64>,
    /// Calls by their status, including calls in progress.
    pub calls: BTreeMap<String, i64>,
    /// The duration of all calls together, in seconds.
    pub talked_s: i64,
    /// Messages by their delivery status.
    pub messages: BTreeMap<String, i64>,
}

/// The reason why a campaign was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// The tenant has a campaign with this name.
    Named,
    /// The tenant has [`CAMPAIGNS_MAX`] campaigns.
    Many,
}

impl Store {
    /// Adds a campaign as a draft, with the event of its actions.
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
        let values = campaign::new_row(&campaign).to_vec();
        txn.rows(&campaign::TABLE.insert(), campaign::TABLE.width(), Cut::Exact, values).await?;
        txn.commit().await?;
        Ok(Ok(campaign))
    }

    /// Lists a tenant's campaigns after `after`, the newest first.
    pub async fn campaigns(
        &self,
        tenant: TenantId,
        after: Option<CampaignId>,
        limit: usize,
    ) -> Result<Vec<Campaign>, StoreError> {
        let text = format!("{} WHERE tenant_id = ? AND id < ? ORDER BY id DESC LIMIT ?", *SELECT);
        let after = after.map_or(Uuid::max(), CampaignId::uuid);
        let values = vec![tenant.uuid().into(), after.into(), (limit as i64).into()];
        sql::query(&self.read, &text, values).await?.iter().map(Campaign::read).collect()
    }

    pub async fn campaign(&self, tenant: TenantId, id: CampaignId) -> Result<Option<Campaign>, StoreError> {
        let text = format!("{} WHERE id = ? AND tenant_id = ?", *SELECT);
        let row = sql::query_one(&self.read, &text, vec![id.uuid().into(), tenant.uuid().into()]).await?;
        row.as_ref().map(Campaign::read).transpose()
    }

    pub async fn campaign_named(&self, tenant: TenantId, name: &str) -> Result<Option<Campaign>, StoreError> {
        let text = format!("{} WHERE name = ? AND tenant_id = ?", *SELECT);
        let row = sql::query_one(&self.read, &text, vec![name.into(), tenant.uuid().into()]).await?;
        row.as_ref().map(Campaign::read).transpose()
    }

    /// Lists the running campaigns of all tenants.
    pub async fn running_campaigns(&self) -> Result<Vec<Campaign>, StoreError> {
        let text = format!("{} WHERE state = 'running' ORDER BY id", *SELECT);
        sql::query(&self.read, &text, vec![]).await?.iter().map(Campaign::read).collect()
    }

    /// Lists the campaigns of all tenants that have work: running ones, and paused or cancelled ones with a try that
    /// was begun before.
    pub async fn moving_campaigns(&self) -> Result<Vec<Campaign>, StoreError> {
        let text = format!(
            "{} WHERE state = 'running' OR (state IN ('paused', 'cancelled') AND EXISTS
               (SELECT 1 FROM campaign_members m WHERE m.campaign_id = campaigns.id AND m.state = 'trying'))
             ORDER BY id",
            *SELECT
        );
        sql::query(&self.read, &text, vec![]).await?.iter().map(Campaign::read).collect()
    }

    /// Moves a campaign from one state to another; `false` if it is not in `from` any more. A campaign that stops
    /// withdraws the tries that have not begun: their members wait again, and these tries do not count.
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
                AND (state = 'planned' OR (state = 'held' AND tries = 0)) RETURNING id, lane";
            let why = format!("the campaign is {to}");
            let rows = sql::query(&txn, withdraw, vec![why.into(), tenant.into(), id.into()]).await?;
            let mut keys = Vec::new();
            for row in rows {
                let action: Uuid = row.try_get_by_index(0)?;
                keys.extend(row.try_get_by_index::<Option<String>>(1)?);
                let back = "UPDATE campaign_members SET state = 'waiting', tries = tries - 1, action_id = NULL
                    WHERE campaign_id = ? AND tenant_id = ? AND action_id = ? AND state = 'trying'";
                sql::execute(&txn, back, vec![id.into(), tenant.into(), action.into()]).await?;
            }
            ordering_keys::promote(&txn, &self.context, keys).await?;
        }
        txn.commit().await?;
        self.context.committed();
        Ok(true)
    }

    /// Reads the statistics of a campaign from its counters, which triggers keep: see `m0023_limits_sqlite.sql`.
    pub async fn campaign_statistics(&self, campaign: &Campaign) -> Result<Statistics, StoreError> {
        let text = "SELECT n.kind, n.name, n.rows_n, n.sum_n FROM campaign_counts n
            JOIN campaigns c ON c.id = n.campaign_id AND c.tenant_id = ? WHERE n.campaign_id = ? AND n.rows_n > 0";
        let values = vec![campaign.tenant.uuid().into(), campaign.id.uuid().into()];
        let mut statistics = Statistics::default();
        for row in sql::query(&self.read, text, values).await? {
            let (kind, name): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            statistics.add(&kind, name, row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        }
        Ok(statistics)
    }
}

impl Statistics {
    /// Adds a counter: `count` calls, messages, or members in the state `kind`; `sum` is of their seconds or tries.
    fn add(&mut self, kind: &str, name: String, count: i64, sum: i64) {
        match kind {
            "call" => {
                self.calls.insert(name, count);
                self.talked_s += sum;
                return;
            }
            "message" => {
                self.messages.insert(name, count);
                return;
            }
            state if state == MemberState::Waiting.as_str() => self.waiting += count,
            state if state == MemberState::Trying.as_str() => self.trying += count,
            _ => {
                self.done += count;
                *self.outcomes.entry(name).or_default() += count;
            }
        }
        self.members += count;
        self.tries += sum;
    }
}

/// Counts the campaigns of a tenant anew. The triggers miss rows that come before those that they belong to, as in an
/// import.
pub(in crate::store) async fn recount(db: &impl sea_orm::ConnectionTrait, tenant: TenantId) -> Result<(), StoreError> {
    let tenant = tenant.uuid();
    let of_tenant = "SELECT id FROM campaigns WHERE tenant_id = ?";
    sql::execute(db, &format!("DELETE FROM campaign_counts WHERE campaign_id IN ({of_tenant})"), vec![tenant.into()])
        .await?;
    let insert = "INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)";
    for counted in [
        "SELECT campaign_id, state, coalesce(outcome, ''), count(*), coalesce(sum(tries), 0)
         FROM campaign_members WHERE tenant_id = ? GROUP BY campaign_id, state, coalesce(outcome, '')",
        "SELECT c.id, 'call', k.status, count(*), coalesce(sum(k.duration_s), 0) FROM campaigns c
         JOIN actions a ON a.event_id = c.id JOIN calls k ON k.action_id = a.id
         WHERE c.tenant_id = ? GROUP BY c.id, k.status",
        "SELECT c.id, 'message', m.status, count(*), 0 FROM campaigns c
         JOIN actions a ON a.event_id = c.id JOIN messages m ON m.id = a.id
         WHERE c.tenant_id = ? AND m.channel <> 'voice' GROUP BY c.id, m.status",
    ] {
        sql::execute(db, &format!("{insert} {counted}"), vec![tenant.into()]).await?;
    }
    Ok(())
}
