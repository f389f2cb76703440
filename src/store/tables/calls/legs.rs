//! Legs of calls: the numbers and queues that a caller was put through to.
//!
//! An answer dials at most once, and a later turn has the result. A leg is known by its call and the turn that dialled.
//! The leg's own callbacks and the next turn report it, in any order.

use std::sync::LazyLock;

use serde::Serialize;

use crate::domain::event::CallData;
use crate::domain::{CallId, CallStatus, Phone, Step, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::call_leg;

/// A provider's report of a leg.
#[derive(Clone, Debug)]
pub struct LegReport {
    pub tenant: TenantId,
    /// The provider's id of the call that dialled.
    pub call: String,
    /// The turn whose answer dialled; `None` for the last turn that dialled.
    pub turn: Option<i32>,
    pub leg: Leg,
}

/// The status of a leg.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The provider's id (`CA…`); `None` if the leg never began.
    pub sid: Option<String>,
    pub status: CallStatus,
    pub duration_s: Option<u32>,
    pub at: Timestamp,
}

/// A leg as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedLeg {
    /// The turn whose answer dialled the leg.
    pub n: i32,
    pub sid: Option<String>,
    /// The number; `queue:` and the name for a caller who was taken out of a queue; empty if the person was erased.
    pub to: String,
    pub status: CallStatus,
    pub duration_s: Option<u32>,
    pub began_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

impl Leg {
    /// Reads the leg that ended before a turn; `None` if the turn is about something else.
    pub(in crate::store) fn from_turn(data: &CallData, at: Timestamp) -> Option<Self> {
        // <https://www.twilio.com/docs/voice/twiml/dial#dialcallstatus>: a leg with a conversation is `answered`.
        let status = match data.outcome.as_deref()? {
            "answered" => CallStatus::Completed,
            outcome => CallStatus::parse(outcome)?,
        };
        Some(Self { sid: data.leg_sid.clone(), status, duration_s: data.leg_s, at })
    }
}

/// The first value of a column stays; the status moves forward.
static INSERT_OR_MERGE: LazyLock<String> = LazyLock::new(|| {
    call_leg::TABLE.insert()
        + " ON CONFLICT (call_id, n) DO UPDATE SET
           provider_sid = coalesce(call_legs.provider_sid, excluded.provider_sid),
           duration_s = coalesce(call_legs.duration_s, excluded.duration_s),
           ended_us = coalesce(call_legs.ended_us, excluded.ended_us),
           status = CASE WHEN excluded.status_rank > call_legs.status_rank THEN excluded.status ELSE call_legs.status END,
           status_rank = CASE WHEN excluded.status_rank > call_legs.status_rank
             THEN excluded.status_rank ELSE call_legs.status_rank END"
});

/// Stores the status of the leg that was dialled last in the turns up to `turn`; `false` if none was dialled.
pub(in crate::store) async fn record(
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
    let Some(to) = steps.iter().find_map(recipient) else { return Ok(false) };
    let key = Phone::parse(&to).map_or_else(|_| to.clone(), |phone| phone.key());
    let row = call_leg::NewRow {
        tenant,
        call,
        n,
        sid: leg.sid.clone(),
        peer: to,
        peer_key: key,
        status: leg.status,
        duration_s: leg.duration_s,
        began_us,
        ended: leg.status.is_final().then_some(leg.at),
    };
    txn.rows(&INSERT_OR_MERGE, call_leg::TABLE.width(), Cut::Exact, call_leg::new_row(row).to_vec()).await?;
    Ok(true)
}

/// The number or queue that a step dials.
fn recipient(step: &Step) -> Option<String> {
    match step {
        Step::Dial(dial) => Some(dial.number.clone()),
        Step::DialQueue { queue } => Some(format!("queue:{queue}")),
        _ => None,
    }
}

impl Store {
    /// Lists the legs of a call in the order in which they were dialled.
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
