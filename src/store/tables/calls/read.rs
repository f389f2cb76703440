//! Reads calls for the rules, and stores how they ended.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::call_events::{missed_by_silence, new_event};
use super::{KNOWN, insert_turns, lines, read};
use crate::domain::event::{CallData, TranscriptLine};
use crate::domain::{ActionId, CallDirection, CallFacts, CallId, EventId, EventKind, Phone, Step, TenantId, Timestamp};
use crate::store::db::sql;
use crate::store::db::sql::Row;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::call_turn;
use crate::store::tables::events;

/// The result of a call, from its summary.
#[derive(Clone, Debug, Default, Serialize, serde::Deserialize)]
#[serde(default)]
pub struct CallResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// A call whose end is not known.
#[derive(Clone, Debug)]
pub struct OpenCall {
    pub id: CallId,
    pub tenant: TenantId,
    /// The provider's id.
    pub sid: String,
    pub direction: CallDirection,
    pub peer: String,
    /// Our number.
    pub number: String,
    /// The send that began the call, and its account.
    pub action: Option<ActionId>,
    pub account_sid: Option<String>,
    pub started: Timestamp,
}

impl Store {
    /// Lists calls of all tenants that began before `before` and whose end is not known, after `after`, the oldest
    /// first.
    pub async fn open_calls(
        &self,
        before: Timestamp,
        after: Option<&OpenCall>,
        limit: usize,
    ) -> Result<Vec<OpenCall>, StoreError> {
        let text =
            "SELECT k.id, k.tenant_id, k.provider_sid, k.direction, k.peer, k.number, k.action_id, a.account_sid,
              k.started_us
            FROM calls k LEFT JOIN actions a ON a.id = k.action_id AND a.tenant_id = k.tenant_id
            WHERE k.ended_us IS NULL AND k.started_us < ? AND (k.started_us, k.id) > (?, ?)
            ORDER BY k.started_us, k.id LIMIT ?";
        let values = vec![
            before.unix_us().into(),
            after.map_or(i64::MIN, |call| call.started.unix_us()).into(),
            after.map(|call| call.id.uuid()).unwrap_or_default().into(),
            (limit as i64).into(),
        ];
        let open = |row: &sea_orm::QueryResult| {
            Ok(OpenCall {
                id: CallId::new(row.try_get_by_index(0)?),
                tenant: TenantId::new(row.try_get_by_index(1)?),
                sid: row.try_get_by_index(2)?,
                direction: CallDirection::from_stored(&row.try_get_by_index::<String>(3)?),
                peer: row.try_get_by_index(4)?,
                number: row.try_get_by_index(5)?,
                action: row.try_get_by_index::<Option<Uuid>>(6)?.map(ActionId::new),
                account_sid: row.try_get_by_index(7)?,
                started: Timestamp::from_unix_us(row.try_get_by_index(8)?),
            })
        };
        sql::query(&self.read, text, values).await?.iter().map(open).collect()
    }

    /// Whether a call with this customer is in progress.
    pub async fn has_open_call(&self, tenant: TenantId, peer: &Phone) -> Result<bool, StoreError> {
        let text = "SELECT 1 FROM calls WHERE tenant_id = ? AND peer_key = ? AND ended_us IS NULL LIMIT 1";
        let row = sql::query_one(&self.read, text, vec![tenant.uuid().into(), peer.key().into()]).await?;
        Ok(row.is_some())
    }

    /// Finds a call by the provider's id.
    pub async fn call_by_sid(&self, tenant: TenantId, sid: &str) -> Result<Option<CallFacts>, StoreError> {
        let text = format!("{KNOWN} WHERE provider_sid = ? AND tenant_id = ?");
        let row = sql::query_one(&self.read, &text, vec![sid.into(), tenant.uuid().into()]).await?;
        row.map(|row| Ok(read(&Row::Sea(&row))?.facts)).transpose()
    }

    /// Reads the calls of events.
    pub async fn calls(&self, tenant: TenantId, ids: &[CallId]) -> Result<BTreeMap<CallId, CallFacts>, StoreError> {
        let text = format!("{KNOWN} WHERE tenant_id = ? AND id IN ({{list}})");
        let list = ids.iter().map(|id| id.uuid().into()).collect();
        let mut calls = BTreeMap::new();
        for row in sql::query_in(&self.read, &text, &[tenant.uuid().into()], list).await? {
            let known = read(&Row::Sea(&row))?;
            calls.insert(known.id, known.facts);
        }
        Ok(calls)
    }

    /// Reads the answer of a turn, if there is one.
    pub async fn turn_answer(&self, tenant: TenantId, call: CallId, n: i32) -> Result<Option<Vec<Step>>, StoreError> {
        let text = "SELECT answer FROM call_turns WHERE call_id = ? AND n = ? AND tenant_id = ?";
        let row = sql::query_one(&self.read, text, vec![call.uuid().into(), n.into(), tenant.uuid().into()]).await?;
        let answer: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        answer.map(|answer| serde_json::from_str(&answer).map_err(StoreError::json)).transpose()
    }

    /// Lists calls of all tenants that ended before `before` and have no event of their end, the oldest first.
    pub async fn untold_calls(&self, before: Timestamp, limit: usize) -> Result<Vec<(TenantId, CallId)>, StoreError> {
        let text = "SELECT tenant_id, id FROM calls WHERE told = false AND ended_us IS NOT NULL AND ended_us < ?
            ORDER BY ended_us LIMIT ?";
        let rows = sql::query(&self.read, text, vec![before.unix_us().into(), (limit as i64).into()]).await?;
        rows.iter()
            .map(|row| Ok((TenantId::new(row.try_get_by_index(0)?), CallId::new(row.try_get_by_index(1)?))))
            .collect()
    }

    /// Reads the transcript of a call.
    pub async fn transcript(&self, tenant: TenantId, call: CallId) -> Result<Vec<TranscriptLine>, StoreError> {
        let text = "SELECT heard, answer FROM call_turns WHERE call_id = ? AND tenant_id = ? ORDER BY n";
        let rows = sql::query(&self.read, text, vec![call.uuid().into(), tenant.uuid().into()]).await?;
        lines(
            rows.iter()
                .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
                .collect::<Result<_, StoreError>>()?,
        )
    }

    /// Begins the live conversation of a turn in an open call. Gives `None` if the conversation has begun already or
    /// the call is over, because a stream's token is good once. Until [`Store::add_lines`] stores the end, the
    /// conversation counts as broken.
    pub async fn begin_stream(&self, call: CallId, n: i32) -> Result<Option<(TenantId, CallFacts)>, StoreError> {
        let txn = begin(&self.write).await?;
        let set = "UPDATE calls SET streamed = ? WHERE id = ? AND abs(streamed) < ? AND turns = ? AND ended_us IS NULL";
        let values = vec![(-n).into(), call.uuid().into(), n.into(), n.into()];
        if sql::execute(&txn, set, values).await? == 0 {
            return Ok(None);
        }
        let text = format!("{KNOWN} WHERE id = ?");
        let row = sql::query_one(&txn, &text, vec![call.uuid().into()]).await?;
        txn.commit().await?;
        let known = row.map(|row| read(&Row::Sea(&row))).transpose()?;
        Ok(known.map(|known| (known.tenant, known.facts)))
    }

    /// Stores the transcript of a live conversation, and whether it ended well. The number of a broken conversation is
    /// stored as negative, so that the call's next turn knows of it and the token stays used.
    pub async fn add_lines(
        &self,
        tenant: TenantId,
        call: CallId,
        lines: &[TranscriptLine],
        ended_well: bool,
    ) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        // Another process may be storing a turn of the call.
        let lock = if self.is_sqlite() { "" } else { " FOR UPDATE" };
        let text = format!("{KNOWN} WHERE id = ? AND tenant_id = ?{lock}");
        let Some(row) = sql::query_one(&txn, &text, vec![call.uuid().into(), tenant.uuid().into()]).await? else {
            return Ok(());
        };
        let first = read(&Row::Sea(&row))?.turns + 1;
        let now = self.clock().now();
        let mut values = Vec::with_capacity(lines.len() * call_turn::TABLE.width());
        for (n, line) in (first..).zip(lines) {
            let (heard, said) = if line.who == "caller" { (line.text.as_str(), "") } else { ("", line.text.as_str()) };
            let steps: Vec<Step> = if said.is_empty() { Vec::new() } else { vec![Step::say(said)] };
            values.extend(call_turn::new_row(call_turn::NewRow {
                tenant,
                call,
                n,
                key: format!("stream:{n}"),
                event: EventId::new(Uuid::nil()),
                at: now,
                heard,
                answer: Some(serde_json::to_string(&steps).map_err(StoreError::json)?),
                how: Some("stream"),
            }));
        }
        insert_turns(&txn, values).await?;
        let last = first + lines.len() as i32 - 1;
        let heard = lines.iter().any(|line| line.who == "caller");
        let set = "UPDATE calls SET turns = ?, streamed = ?, heard = (heard OR ?) WHERE id = ? AND tenant_id = ?";
        let streamed = if ended_well { last } else { -last };
        let values = vec![last.into(), streamed.into(), heard.into(), call.uuid().into(), tenant.uuid().into()];
        sql::execute(&txn, set, values).await?;
        Ok(txn.commit().await?)
    }

    /// Stores the event of a call's end, with its summary. If the conversation was silent and silence counts, it stores
    /// the event of a missed call too. Gives `false` if the events were stored before.
    pub async fn tell_call(
        &self,
        tenant: TenantId,
        call: CallId,
        transcript: Vec<TranscriptLine>,
        result: CallResult,
        silence_is_missed: bool,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let txn = begin(&self.write).await?;
        let text = format!("{KNOWN} WHERE id = ? AND tenant_id = ?");
        let rows = sql::query(&txn, &text, vec![call.uuid().into(), tenant.uuid().into()]).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let known = read(&Row::Sea(row))?;
        let values = vec![
            serde_json::to_string(&result).map_err(StoreError::json)?.into(),
            call.uuid().into(),
            tenant.uuid().into(),
        ];
        let set = "UPDATE calls SET told = true, result = ? WHERE id = ? AND tenant_id = ? AND told = false";
        if sql::execute(&txn, set, values).await? == 0 {
            return Ok(false);
        }
        let data = CallData {
            status: known.facts.status.to_string(),
            duration_s: known.facts.duration_s,
            answered_by: known.facts.answered_by.clone(),
            transcript,
            sentiment: result.sentiment,
            summary: result.summary,
            ..CallData::default()
        };
        let silence_counts = silence_is_missed && known.facts.streamed != 0 && known.facts.state.nobody.is_none();
        let missed = missed_by_silence(&known, silence_counts);
        let missed = missed.map(|reason| CallData { reason: Some(reason), transcript: Vec::new(), ..data.clone() });
        let new_events = [(EventKind::CALL_COMPLETED, Some(data)), (EventKind::CALL_MISSED, missed)];
        for (kind, data) in new_events.into_iter().filter_map(|(kind, data)| Some((kind, data?))) {
            let event = new_event(&self.context, &known, kind, None, data, at)?;
            events::insert(&txn, [(&event, None)]).await?;
        }
        txn.commit().await?;
        Ok(true)
    }
}
