//! Lists of calls, their turns and their events.

use sea_orm::{QueryResult, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{
    ActionId, CallDirection, CallId, CallState, CallStatus, ContactId, EventId, EventKind, Step, TenantId, Timestamp,
};
use crate::store::db::sql;
use crate::store::db::sql::Row;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::tables::calls::CallResult;

const LISTED: &str = "SELECT id, provider_sid, direction, peer, number, status, answered_by, duration_s, recording_url,
    error_code, detail, result, started_us, ended_us, contact_id, action_id, recording_sid, state FROM calls";
/// The events that a call has at most once. Their dedupe keys are the kind and the provider's id of the call.
const TOLD: [EventKind; 4] =
    [EventKind::CALL_ANSWERED, EventKind::CALL_COMPLETED, EventKind::CALL_MISSED, EventKind::CALL_FAILED];

/// A filter of a tenant's calls. All conditions apply.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub contact: Option<ContactId>,
    /// The customer's folded number.
    pub peer_key: Option<String>,
    pub direction: Option<CallDirection>,
    pub status: Option<CallStatus>,
    /// Calls that began at this instant or later.
    pub since: Option<Timestamp>,
    /// Calls that began before this instant.
    pub until: Option<Timestamp>,
    /// Calls after this one, in the order of the list.
    pub after: Option<CallId>,
    pub limit: usize,
}

/// A call as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct ListedCall {
    pub id: CallId,
    pub sid: String,
    pub direction: CallDirection,
    pub from: String,
    pub to: String,
    /// `None` if no customer has the number, or the customer was erased.
    pub customer: Option<ContactId>,
    /// The send that began the call.
    pub action: Option<ActionId>,
    /// The voice agent that conducts the call.
    pub agent: Option<String>,
    pub status: CallStatus,
    pub answered_by: Option<String>,
    pub duration_s: Option<u32>,
    pub recording_sid: Option<String>,
    pub recording_url: Option<String>,
    pub error_code: Option<i64>,
    pub detail: Option<String>,
    #[serde(flatten)]
    pub result: CallResult,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// A turn of a call as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct ListedTurn {
    pub n: i32,
    pub event: EventId,
    pub at: Timestamp,
    pub heard: String,
    pub answer: Option<Vec<Step>>,
    pub how: Option<String>,
    pub took_ms: Option<i32>,
}

/// An event of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallEvent {
    pub id: EventId,
    pub kind: String,
    pub at: Timestamp,
}

impl Store {
    /// Lists a page of a tenant's calls, the newest first.
    pub async fn call_page(&self, tenant: TenantId, filter: &CallFilter) -> Result<Vec<ListedCall>, StoreError> {
        let mut text = format!("{LISTED} WHERE tenant_id = ?");
        let mut values: Vec<Value> = vec![tenant.uuid().into()];
        let mut only = |condition: &str, value: Option<Value>| {
            if let Some(value) = value {
                text.push_str(condition);
                values.push(value);
            }
        };
        only(" AND contact_id = ?", filter.contact.map(|contact| contact.uuid().into()));
        only(" AND peer_key = ?", filter.peer_key.clone().map(Into::into));
        only(" AND direction = ?", filter.direction.map(|direction| direction.as_str().into()));
        only(" AND status = ?", filter.status.map(|status| status.as_str().into()));
        only(" AND started_us >= ?", filter.since.map(|at| at.unix_us().into()));
        only(" AND started_us < ?", filter.until.map(|at| at.unix_us().into()));
        if let Some(after) = filter.after {
            text.push_str(" AND (started_us, id) < (SELECT started_us, id FROM calls WHERE id = ? AND tenant_id = ?)");
            values.extend([after.uuid().into(), tenant.uuid().into()]);
        }
        text.push_str(" ORDER BY started_us DESC, id DESC LIMIT ?");
        values.push((filter.limit as i64).into());
        let rows = sql::query(&self.read, &text, values).await?;
        rows.iter().map(|row| listed(&Row::Sea(row))).collect()
    }

    /// Finds a call by the provider's id, by our id, or by the id of the send that began it.
    pub async fn listed_call(&self, tenant: TenantId, wanted: &str) -> Result<Option<ListedCall>, StoreError> {
        let of_tenant = |text: &str| format!("{LISTED} WHERE tenant_id = ? AND {text}");
        let (text, values): (String, Vec<Value>) = match wanted.parse::<CallId>() {
            Ok(id) => (of_tenant("(id = ? OR action_id = ?)"), vec![id.uuid().into(), id.uuid().into()]),
            Err(_) => (of_tenant("provider_sid = ?"), vec![wanted.into()]),
        };
        let row = sql::query_one(&self.read, &text, [vec![tenant.uuid().into()], values].concat()).await?;
        row.map(|row| listed(&Row::Sea(&row))).transpose()
    }

    /// Lists the turns of a call, with the answers and their sources.
    pub async fn call_turns(&self, tenant: TenantId, call: CallId) -> Result<Vec<ListedTurn>, StoreError> {
        let text = "SELECT n, event_id, at_us, heard, answer, how, took_ms FROM call_turns
            WHERE call_id = ? AND tenant_id = ? ORDER BY n";
        let rows = sql::query(&self.read, text, vec![call.uuid().into(), tenant.uuid().into()]).await?;
        let turn = |row: &QueryResult| {
            let answer: Option<String> = row.try_get_by_index(4)?;
            Ok(ListedTurn {
                n: row.try_get_by_index(0)?,
                event: EventId::new(row.try_get_by_index(1)?),
                at: Timestamp::from_unix_us(row.try_get_by_index(2)?),
                heard: row.try_get_by_index(3)?,
                answer: answer.map(|answer| serde_json::from_str(&answer)).transpose().map_err(StoreError::json)?,
                how: row.try_get_by_index(5)?,
                took_ms: row.try_get_by_index(6)?,
            })
        };
        rows.iter().map(turn).collect()
    }

    /// Lists the events of a call, the oldest first. Of the events of recordings it gives the last one.
    pub async fn events_of_call(&self, tenant: TenantId, call: &ListedCall) -> Result<Vec<CallEvent>, StoreError> {
        let recording =
            call.recording_sid.iter().map(|one| format!("{}:{}:{one}", EventKind::RECORDING_READY, call.sid));
        let keys = TOLD.iter().map(|kind| format!("{kind}:{}", call.sid)).chain(recording);
        let keys: Vec<Value> = keys.map(Into::into).collect();
        let marks = vec!["?"; keys.len()].join(", ");
        let text = format!(
            "SELECT id, kind, occurred_us FROM events WHERE tenant_id = ?
               AND id IN (SELECT event_id FROM call_turns WHERE call_id = ? AND tenant_id = ?)
             UNION SELECT id, kind, occurred_us FROM events WHERE tenant_id = ? AND dedupe_key IN ({marks}) ORDER BY 1"
        );
        let tenant: Value = tenant.uuid().into();
        let values = [vec![tenant.clone(), call.id.uuid().into(), tenant.clone(), tenant], keys].concat();
        let rows = sql::query(&self.read, &text, values).await?;
        let event = |row: &QueryResult| {
            Ok(CallEvent {
                id: EventId::new(row.try_get_by_index(0)?),
                kind: row.try_get_by_index(1)?,
                at: Timestamp::from_unix_us(row.try_get_by_index(2)?),
            })
        };
        rows.iter().map(event).collect()
    }

    /// Lists the names of the rules that ran in a call, each once, in the order of their first runs.
    pub async fn rules_of_call(&self, tenant: TenantId, call: CallId) -> Result<Vec<String>, StoreError> {
        /// The part of a trace that is read here.
        #[derive(Deserialize)]
        struct Ran {
            #[serde(default)]
            rules: Vec<Ruled>,
        }
        #[derive(Deserialize)]
        struct Ruled {
            rule: String,
            verdict: String,
        }
        let text = "SELECT r.trace FROM call_turns t JOIN rule_runs r ON r.event_id = t.event_id
            WHERE t.call_id = ? AND t.tenant_id = ? AND r.tenant_id = t.tenant_id ORDER BY t.n";
        let rows = sql::query(&self.read, text, vec![call.uuid().into(), tenant.uuid().into()]).await?;
        let mut rules: Vec<String> = Vec::new();
        for row in &rows {
            let ran: Ran = serde_json::from_str(&row.try_get_by_index::<String>(0)?).map_err(StoreError::json)?;
            for one in ran.rules.into_iter().filter(|one| one.verdict == "fired") {
                if !rules.contains(&one.rule) {
                    rules.push(one.rule);
                }
            }
        }
        Ok(rules)
    }
}

fn listed(row: &Row) -> Result<ListedCall, StoreError> {
    let (peer, number): (String, String) = (row.get(3)?, row.get(4)?);
    let direction = CallDirection::from_stored(&row.get::<String>(2)?);
    let (from, to) = if direction == CallDirection::In { (peer, number) } else { (number, peer) };
    let status: String = row.get(5)?;
    let result: Option<String> = row.get(11)?;
    let state: CallState = serde_json::from_str(&row.get::<String>(17)?).map_err(StoreError::json)?;
    Ok(ListedCall {
        id: CallId::new(row.get(0)?),
        sid: row.get(1)?,
        direction,
        from,
        to,
        customer: row.get::<Option<Uuid>>(14)?.map(ContactId::new),
        action: row.get::<Option<Uuid>>(15)?.map(ActionId::new),
        agent: state.agent,
        status: CallStatus::parse(&status).ok_or_else(|| StoreError::Stored(format!("a call is '{status}'")))?,
        answered_by: row.get(6)?,
        duration_s: row.get::<Option<i32>>(7)?.and_then(|seconds| u32::try_from(seconds).ok()),
        recording_sid: row.get(16)?,
        recording_url: row.get(8)?,
        error_code: row.get(9)?,
        detail: row.get(10)?,
        result: result
            .map_or(Ok(CallResult::default()), |result| serde_json::from_str(&result))
            .map_err(StoreError::json)?,
        started_at: Timestamp::from_unix_us(row.get(12)?),
        ended_at: row.get::<Option<i64>>(13)?.map(Timestamp::from_unix_us),
    })
}
