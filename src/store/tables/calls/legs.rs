//! Legs of calls: whom a caller was put through to.
//!
//! An answer dials once, and what comes of it is heard in a later turn: a leg is known by its call and the turn that
//! dialled. Two tell of it: its own callbacks, and the turn that follows it; in whatever order.

use serde::Serialize;

use crate::domain::event::CallData;
use crate::domain::{CallId, CallStatus, Phone, Step, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// What the provider says of a leg.
#[derive(Clone, Debug)]
pub struct LegReport {
    pub tenant: TenantId,
    /// The provider's id of the call that dialled.
    pub call: String,
    /// The turn in whose answer it was dialled; where that is not said, the last that dialled.
    pub turn: Option<i32>,
    pub leg: Leg,
}

/// How a leg stands.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The provider's id (`CA…`); `None` where none was begun.
    pub sid: Option<String>,
    pub status: CallStatus,
    pub duration_s: Option<u32>,
    pub at: Timestamp,
}

/// A leg as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedLeg {
    /// The turn in whose answer it was dialled.
    pub n: i32,
    pub sid: Option<String>,
    /// The number; `queue:` and its name where somebody was taken out of a queue; empty where they were erased.
    pub to: String,
    pub status: CallStatus,
    pub duration_s: Option<u32>,
    pub began_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

impl Leg {
    /// What a turn says of the leg that has ended before it; `None` where it is about something else.
    pub(in crate::store) fn from_turn(data: &CallData, at: Timestamp) -> Option<Self> {
        // <https://www.twilio.com/docs/voice/twiml/dial#dialcallstatus>: `answered`, of a call that was spoken on.
        let status = match data.outcome.as_deref()? {
            "answered" => CallStatus::Completed,
            outcome => CallStatus::parse(outcome)?,
        };
        Some(Self { sid: data.leg_sid.clone(), status, duration_s: data.leg_s, at })
    }
}

/// Writes down how the leg stands that was dialled last in the turns up to `turn`; `false` where none was.
pub(in crate::store) async fn told(
    txn: &impl Txn,
    tenant: TenantId,
    call: CallId,
    turn: i32,
    leg: &Leg,
) -> Result<bool, StoreError> {
    let dialled = "SELECT n, at_us, answer FROM call_turns WHERE call_id = ? AND tenant_id = ? AND n <= ?
        AND answer LIKE '%\"do\":\"dial%' ORDER BY n DESC LIMIT 1";
    let read = |row: &Row| Ok((row.get::<i32>(0)?, row.get::<i64>(1)?, row.get::<String>(2)?));
    let found = txn.query(dialled, vec![call.uuid().into(), tenant.uuid().into(), turn.into()], read).await?;
    let Some((n, began_us, answer)) = found.into_iter().next() else { return Ok(false) };
    let steps: Vec<Step> = serde_json::from_str(&answer).map_err(StoreError::json)?;
    let Some(to) = steps.iter().find_map(whom) else { return Ok(false) };
    let key = Phone::parse(&to).map_or_else(|_| to.clone(), |phone| phone.key());
    let ended = leg.status.is_final().then(|| leg.at.unix_us());
    txn.execute(
        "INSERT INTO call_legs (call_id, n, tenant_id, provider_sid, peer, peer_key, status, status_rank, duration_s,
           began_us, ended_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (call_id, n) DO UPDATE SET
           provider_sid = coalesce(call_legs.provider_sid, excluded.provider_sid),
           duration_s = coalesce(call_legs.duration_s, excluded.duration_s),
           ended_us = coalesce(call_legs.ended_us, excluded.ended_us),
           status = CASE WHEN excluded.status_rank > call_legs.status_rank THEN excluded.status ELSE call_legs.status END,
           status_rank = CASE WHEN excluded.status_rank > call_legs.status_rank
             THEN excluded.status_rank ELSE call_legs.status_rank END",
        vec![
            call.uuid().into(),
            n.into(),
            tenant.uuid().into(),
            leg.sid.clone().into(),
            to.into(),
            key.into(),
            leg.status.as_str().into(),
            leg.status.rank().into(),
            leg.duration_s.and_then(|seconds| i32::try_from(seconds).ok()).into(),
            began_us.into(),
            ended.into(),
        ],
    )
    .await?;
    Ok(true)
}

/// Who is dialled in a step.
fn whom(step: &Step) -> Option<String> {
    match step {
        Step::Dial(dial) => Some(dial.number.clone()),
        Step::DialQueue { queue } => Some(format!("queue:{queue}")),
        _ => None,
    }
}

impl Store {
    /// Whom a caller was put through to, in the order in which they were dialled.
    pub async fn call_legs(&self, tenant: TenantId, call: CallId) -> Result<Vec<ListedLeg>, StoreError> {
        let text = "SELECT n, provider_sid, peer, status, duration_s, began_us, ended_us FROM call_legs
            WHERE call_id = ? AND tenant_id = ? ORDER BY n";
        let rows = sql::query(&self.read, text, vec![call.uuid().into(), tenant.uuid().into()]).await?;
        let leg = |row: &sea_orm::QueryResult| {
            let status: String = row.try_get_by_index(3)?;
            let seconds: Option<i32> = row.try_get_by_index(4)?;
            let ended: Option<i64> = row.try_get_by_index(6)?;
            Ok(ListedLeg {
                n: row.try_get_by_index(0)?,
                sid: row.try_get_by_index(1)?,
                to: row.try_get_by_index(2)?,
                status: CallStatus::parse(&status).ok_or_else(|| StoreError::Stored(format!("a leg is '{status}'")))?,
                duration_s: seconds.and_then(|seconds| u32::try_from(seconds).ok()),
                began_at: Timestamp::from_unix_us(row.try_get_by_index(5)?),
                ended_at: ended.map(Timestamp::from_unix_us),
            })
        };
        rows.iter().map(leg).collect()
    }
}
