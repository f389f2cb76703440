//! The members of a campaign, their tries and results. A try is stored together with its action, in one transaction.
//! The id of the action is derived from (campaign, member, try), so each try is made once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sea_orm::{QueryResult, Value};
use serde::Serialize;
use uuid::Uuid;

use super::Campaign;
use crate::domain::{ActionId, CallState, CampaignId, Channel, Phone, TenantId, Timestamp, abort};
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::campaign_member;
use crate::store::tables::actions;
use crate::store::tables::actions::NewAction;

/// The most members of one campaign.
pub const MEMBERS_MAX: i64 = 200_000;
/// Members that are stored in one transaction. Other writers wait meanwhile.
const CHUNK: usize = 1_000;

/// A person to be called or written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    pub phone: Phone,
    pub name: String,
    pub fields: BTreeMap<String, String>,
}

/// A member who is due.
#[derive(Clone, Debug)]
pub struct Member {
    pub key: String,
    pub phone: Phone,
    pub name: String,
    pub fields: BTreeMap<String, String>,
    /// The number of tries that were ever planned, including withdrawn ones.
    pub n: i32,
    /// The earliest time of the next try.
    pub due: Timestamp,
    /// The zone in the customer's own row.
    pub zone: Option<chrono_tz::Tz>,
}

/// A try to be planned.
#[derive(Clone, Debug)]
pub struct NewTry {
    pub key: String,
    /// The member's number of tries when it was read. A member that has changed since is left alone.
    pub n: i32,
    pub action: NewAction,
}

/// A try with a result.
#[derive(Clone, Debug)]
pub struct EndedTry {
    pub key: String,
    pub phone: String,
    pub action: ActionId,
    pub tries: i32,
    /// The action's state; its reason follows.
    pub state: String,
    pub reason: Option<String>,
    /// The action was stopped because it made no sense any more.
    pub too_late: bool,
    /// The last status of the call, if there was one.
    pub call: Option<String>,
    pub answered_by: Option<String>,
    pub ended: Timestamp,
}

/// The result of a try for its member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEnd {
    Done {
        outcome: String,
        detail: Option<String>,
    },
    /// The member waits for another try. The last try counts, unless it never began.
    Again {
        at: Timestamp,
        outcome: String,
        counts: bool,
    },
}

/// A member as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct ListedMember {
    pub phone: String,
    pub name: String,
    pub state: String,
    pub tries: i32,
    pub due_at: Timestamp,
    /// The action of the last try.
    pub action: Option<ActionId>,
    pub outcome: Option<String>,
    pub detail: Option<String>,
    /// The customer's answer that the script has stored: `remember("answer", …)`.
    pub answer: Option<String>,
}

static INSERT: LazyLock<String> = LazyLock::new(|| campaign_member::TABLE.insert() + " ON CONFLICT DO NOTHING");
/// The tries that have a result: the call has ended, or the action has. A call that was sent is still in progress.
static ENDED_TRIES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT m.peer_key, m.phone, m.action_id, m.tries, a.state, a.reason,
          CASE WHEN a.expires_us IS NOT NULL AND a.due_us >= a.expires_us THEN 1 ELSE 0 END,
          k.status, k.answered_by, coalesce(k.ended_us, a.due_us)
        FROM campaign_members m JOIN actions a ON a.id = m.action_id AND a.tenant_id = m.tenant_id
        LEFT JOIN calls k ON k.action_id = a.id AND k.tenant_id = a.tenant_id AND k.ended_us IS NOT NULL
        WHERE m.campaign_id = ? AND m.tenant_id = ? AND m.state = 'trying'
          AND (k.ended_us IS NOT NULL OR a.state IN ('failed', 'blocked') OR (a.state = 'sent' AND a.channel <> '{}'))
        ORDER BY m.peer_key LIMIT ?",
        Channel::Voice
    )
});

impl Store {
    /// Adds members; a person who is a member already stays as they are. Gives the number of new members, or `None` if
    /// there would be more than [`MEMBERS_MAX`].
    pub async fn add_members(&self, campaign: &Campaign, new: &[NewMember]) -> Result<Option<u64>, StoreError> {
        let now = self.clock().now();
        let before = self.member_count(campaign.tenant, campaign.id).await?;
        if before + new.len() as i64 > MEMBERS_MAX {
            return Ok(None);
        }
        for chunk in new.chunks(CHUNK) {
            let mut values: Vec<Value> = Vec::with_capacity(chunk.len() * campaign_member::TABLE.width());
            for NewMember { phone, name, fields } in chunk {
                let fields = serde_json::to_string(fields).map_err(StoreError::json)?;
                values.extend(campaign_member::new_row(campaign.tenant, campaign.id, phone, name, fields, now));
            }
            let txn = begin(&self.write).await?;
            txn.rows(&INSERT, campaign_member::TABLE.width(), Cut::Exact, values).await?;
            Txn::commit(txn).await?;
        }
        let after = self.member_count(campaign.tenant, campaign.id).await?;
        Ok(Some(u64::try_from(after - before).unwrap_or_default()))
    }

    async fn member_count(&self, tenant: TenantId, id: CampaignId) -> Result<i64, StoreError> {
        let text = "SELECT count(*) FROM campaign_members WHERE campaign_id = ? AND tenant_id = ?";
        let row = sql::query_one(&self.read, text, vec![id.uuid().into(), tenant.uuid().into()]).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
    }

    /// Lists the members who are due, in the order of their times.
    pub async fn due_members(
        &self,
        campaign: &Campaign,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        let text = "SELECT m.peer_key, m.phone, m.name, m.fields, m.n, c.fields, m.due_us FROM campaign_members m
            LEFT JOIN contacts c ON c.tenant_id = m.tenant_id AND c.phone_key = m.peer_key
            WHERE m.campaign_id = ? AND m.tenant_id = ? AND m.state = 'waiting' AND m.due_us <= ?
            ORDER BY m.due_us, m.peer_key LIMIT ?";
        let values =
            vec![campaign.id.uuid().into(), campaign.tenant.uuid().into(), now.unix_us().into(), (limit as i64).into()];
        sql::query(&self.read, text, values).await?.iter().map(member).collect()
    }

    /// Counts the tries without a result. Gives the time of the next waiting member too.
    pub async fn campaign_outlook(&self, campaign: &Campaign) -> Result<(usize, Option<Timestamp>), StoreError> {
        let of = || vec![campaign.id.uuid().into(), campaign.tenant.uuid().into()];
        let trying =
            "SELECT count(*) FROM campaign_members WHERE campaign_id = ? AND tenant_id = ? AND state = 'trying'";
        let trying = sql::query_one(&self.read, trying, of()).await?;
        let trying: i64 = trying.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        let next =
            "SELECT min(due_us) FROM campaign_members WHERE campaign_id = ? AND tenant_id = ? AND state = 'waiting'";
        let next = sql::query_one(&self.read, next, of()).await?;
        let next: Option<i64> = next.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        Ok((usize::try_from(trying).unwrap_or_default(), next.map(Timestamp::from_unix_us)))
    }

    /// Counts the tries that take one of the parallel places. A held send takes none, because a person has to settle
    /// it. A send of unknown outcome that was begun before `forgotten` takes none either.
    pub async fn tries_under_way(&self, campaign: &Campaign, forgotten: Timestamp) -> Result<usize, StoreError> {
        let text =
            "SELECT count(*) FROM campaign_members m JOIN actions a ON a.id = m.action_id AND a.tenant_id = m.tenant_id
            WHERE m.campaign_id = ? AND m.tenant_id = ? AND m.state = 'trying' AND a.state <> 'held'
              AND (a.state <> 'unknown' OR a.tried_us >= ?)";
        let values = vec![campaign.id.uuid().into(), campaign.tenant.uuid().into(), forgotten.unix_us().into()];
        let row = sql::query_one(&self.read, text, values).await?;
        let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Lists the tries that have a result, at most `limit`.
    pub async fn ended_tries(&self, campaign: &Campaign, limit: usize) -> Result<Vec<EndedTry>, StoreError> {
        let values = vec![campaign.id.uuid().into(), campaign.tenant.uuid().into(), (limit as i64).into()];
        let read = |row: &QueryResult| {
            Ok(EndedTry {
                key: row.try_get_by_index(0)?,
                phone: row.try_get_by_index(1)?,
                action: ActionId::new(row.try_get_by_index(2)?),
                tries: row.try_get_by_index(3)?,
                state: row.try_get_by_index(4)?,
                reason: row.try_get_by_index(5)?,
                too_late: row.try_get_by_index::<i32>(6)? == 1,
                call: row.try_get_by_index(7)?,
                answered_by: row.try_get_by_index(8)?,
                ended: Timestamp::from_unix_us(row.try_get_by_index(9)?),
            })
        };
        sql::query(&self.read, &ENDED_TRIES, values).await?.iter().map(read).collect()
    }

    /// Stores the results of tries. A member whose try is another one stays as it is.
    pub async fn end_tries(&self, campaign: &Campaign, ends: &[(EndedTry, MemberEnd)]) -> Result<(), StoreError> {
        if ends.is_empty() {
            return Ok(());
        }
        let txn = begin(&self.write).await?;
        for (ended, end) in ends {
            let (state, outcome, detail, at, uncounted) = match end {
                MemberEnd::Done { outcome, detail } => ("done", outcome, detail.clone(), None, 0i32),
                MemberEnd::Again { at, outcome, counts } => {
                    ("waiting", outcome, None, Some(at.unix_us()), i32::from(!counts))
                }
            };
            let text = "UPDATE campaign_members SET state = ?, outcome = ?, detail = ?, due_us = coalesce(?, due_us),
                  tries = tries - ?
                WHERE campaign_id = ? AND peer_key = ? AND tenant_id = ? AND state = 'trying' AND action_id = ?";
            let values = vec![
                state.into(),
                outcome.clone().into(),
                detail.into(),
                at.into(),
                uncounted.into(),
                campaign.id.uuid().into(),
                ended.key.clone().into(),
                campaign.tenant.uuid().into(),
                ended.action.uuid().into(),
            ];
            sql::execute(&txn, text, values).await?;
        }
        abort::point("before-commit");
        Ok(txn.commit().await?)
    }

    /// Plans tries with their actions, and puts off members who are not due now, in one transaction. It stores the
    /// campaign's next free slot too. It does nothing if the campaign does not run any more, or if another process was
    /// first.
    pub async fn plan_tries(
        &self,
        campaign: &Campaign,
        tries: Vec<NewTry>,
        later: &[(String, Timestamp)],
        gone: &[String],
        paced: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, tenant) = (campaign.id.uuid(), campaign.tenant.uuid());
        let txn = begin(&self.write).await?;
        let pace =
            "UPDATE campaigns SET paced_us = ? WHERE id = ? AND tenant_id = ? AND state = 'running' AND paced_us = ?";
        let values = vec![paced.unix_us().into(), id.into(), tenant.into(), campaign.paced.unix_us().into()];
        if sql::execute(&txn, pace, values).await? == 0 {
            return Ok(false);
        }
        let mut actions = Vec::with_capacity(tries.len());
        for one in tries {
            let text = "UPDATE campaign_members SET state = 'trying', n = n + 1, tries = tries + 1, action_id = ?
                WHERE campaign_id = ? AND peer_key = ? AND tenant_id = ? AND state = 'waiting' AND n = ?";
            let values = vec![one.action.id.uuid().into(), id.into(), one.key.into(), tenant.into(), one.n.into()];
            if sql::execute(&txn, text, values).await? == 1 {
                actions.push(one.action);
            }
        }
        for (key, at) in later {
            let text = "UPDATE campaign_members SET due_us = ?
                WHERE campaign_id = ? AND peer_key = ? AND tenant_id = ? AND state = 'waiting'";
            let values = vec![at.unix_us().into(), id.into(), key.clone().into(), tenant.into()];
            sql::execute(&txn, text, values).await?;
        }
        for key in gone {
            let text = "UPDATE campaign_members SET state = 'done', outcome = 'no_hours'
                WHERE campaign_id = ? AND peer_key = ? AND tenant_id = ? AND state = 'waiting'";
            sql::execute(&txn, text, vec![id.into(), key.clone().into(), tenant.into()]).await?;
        }
        actions::plan(&txn, &self.context, actions).await?;
        abort::point("before-commit");
        txn.commit().await?;
        abort::point("after-commit");
        Ok(true)
    }

    /// Lists a page of a campaign's members after `after`, in the order of their folded numbers: [`Phone::key`].
    pub async fn campaign_members(
        &self,
        campaign: &Campaign,
        after: Option<&Phone>,
        limit: usize,
    ) -> Result<Vec<ListedMember>, StoreError> {
        let text = "SELECT m.phone, m.name, m.state, m.tries, m.due_us, m.action_id, m.outcome, m.detail, k.state
            FROM campaign_members m LEFT JOIN calls k ON k.action_id = m.action_id AND k.tenant_id = m.tenant_id
            WHERE m.campaign_id = ? AND m.tenant_id = ? AND m.peer_key > ? ORDER BY m.peer_key LIMIT ?";
        let after = after.map(Phone::key).unwrap_or_default();
        let values =
            vec![campaign.id.uuid().into(), campaign.tenant.uuid().into(), after.into(), (limit as i64).into()];
        sql::query(&self.read, text, values).await?.iter().map(listed).collect()
    }
}

fn member(row: &QueryResult) -> Result<Member, StoreError> {
    let phone: String = row.try_get_by_index(1)?;
    let fields: String = row.try_get_by_index(3)?;
    let known: Option<String> = row.try_get_by_index(5)?;
    let zone = || {
        let known: serde_json::Value = serde_json::from_str(known.as_ref()?).ok()?;
        known.get("zone")?.as_str()?.parse().ok()
    };
    Ok(Member {
        key: row.try_get_by_index(0)?,
        phone: Phone::parse(&phone).map_err(StoreError::stored)?,
        name: row.try_get_by_index(2)?,
        fields: serde_json::from_str(&fields).map_err(StoreError::json)?,
        n: row.try_get_by_index(4)?,
        due: Timestamp::from_unix_us(row.try_get_by_index(6)?),
        zone: zone(),
    })
}

fn listed(row: &QueryResult) -> Result<ListedMember, StoreError> {
    let state: Option<String> = row.try_get_by_index(8)?;
    let state: Option<CallState> = state.and_then(|state| serde_json::from_str(&state).ok());
    let answer = state.and_then(|state| state.vars.get("answer").and_then(|one| one.as_str()).map(str::to_owned));
    Ok(ListedMember {
        phone: row.try_get_by_index(0)?,
        name: row.try_get_by_index(1)?,
        state: row.try_get_by_index(2)?,
        tries: row.try_get_by_index(3)?,
        due_at: Timestamp::from_unix_us(row.try_get_by_index(4)?),
        action: row.try_get_by_index::<Option<Uuid>>(5)?.map(ActionId::new),
        outcome: row.try_get_by_index(6)?,
        detail: row.try_get_by_index(7)?,
        answer,
    })
}
