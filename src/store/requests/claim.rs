//! Claims: takes the due sends that may leave now, and stores their attempts in the same transaction.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono_tz::Tz;
use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::fallback;
use crate::domain::channel::{AddressKind, OptOut};
use crate::domain::{ActionState, SendQueue, TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::pending_cache::Committed;
use crate::store::tables::actions::{Candidate, GateFacts, QueuedSend, SEND_COLUMNS, SEND_WIDTH, SEND_WITHIN};
use crate::store::tables::ordering_keys::CLAIMABLE;
use crate::store::tables::send_counts::SendCounts;
use crate::store::tables::{messages, ordering_keys, questions, send_counts};
use crate::store::writer::{Request, Step, Writer};

/// The gate's answer to one candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    Pass,
    /// Never. This is final.
    Block(String),
    /// Never: the send makes no sense any more at this instant, when it could leave. This is final.
    TooLate(Timestamp, String),
    /// Not without a person, who may release it.
    Hold(String),
    /// Not before this instant. Later sends with the same ordering key wait too.
    Postpone(Timestamp, String),
    /// Planned again for this instant. Later sends with the same ordering key may go first.
    Replan(Timestamp, String),
}

/// Judges a candidate. It runs in the claiming transaction and must not wait.
pub type Judge = Arc<dyn Fn(&Candidate, Timestamp) -> Gate + Send + Sync>;

#[derive(Clone)]
pub struct ClaimRequest {
    pub queue: SendQueue,
    /// The provider's account of the sends. It is stored, because the tenant's account may change.
    pub account_sid: String,
    /// The most sends. Sends that the gate stops do not count.
    pub limit: usize,
    pub judge: Judge,
    /// The loop guard's window.
    pub recent_within: Duration,
    /// An opt-out of messages is an opt-out of calls too.
    pub stop_ends_calls: bool,
    /// The tenant has a send budget, so that its sends are counted.
    pub has_budget: bool,
}

/// The result of a claim.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub sends: Vec<Claimed>,
    /// More sends are due and may be claimed now.
    pub more: bool,
    /// The gate has stopped sends for good, so that the sends behind them may go now.
    pub keys_freed: bool,
    /// Stopped sends have made events, which wait to be decided.
    pub new_events: bool,
}

/// A send that may leave now. Its attempt is committed.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub send: Arc<QueuedSend>,
    /// The facts that the gate has judged by.
    pub facts: GateFacts,
    /// The attempt's number, from 1.
    pub attempt: i32,
    pub not_after: Timestamp,
}

/// An answer must leave within this time after its event, or after the customer's last message. A later one counts as
/// started by the business, for quiet hours.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(3_600);

/// The candidates of a claim, the next first: heads of ordering keys, along the index `actions_claimable`.
static CANDIDATES: LazyLock<String> = LazyLock::new(|| {
    let inbound = sql::channels(|spec| spec.receives);
    let opt_out_with_messages = sql::channels(|spec| spec.opt_out == OptOut::WithMessages);
    let windowed = sql::channels(|spec| spec.session_window.is_some());
    let to_phones = sql::channels(|spec| spec.address != AddressKind::Email);
    format!(
        "SELECT {SEND_COLUMNS},
    CASE WHEN a.channel IN ({windowed}) THEN (SELECT l.last_us FROM contact_channels l
      WHERE l.tenant_id = a.tenant_id AND l.contact_id = a.contact_id AND l.channel = a.channel) END AS session_us,
    EXISTS (SELECT 1 FROM opt_outs o WHERE o.tenant_id = a.tenant_id AND o.peer_key = a.peer_key AND o.active AND (
      (o.channel = a.channel AND (o.sender = '' OR o.sender = a.sender))
      OR (a.channel IN ({opt_out_with_messages}) AND o.channel IN ({inbound}) AND ?))) AS opted_out,
    (SELECT count(*) FROM messages m WHERE m.contact_id = a.contact_id AND m.at_us > ?
      AND m.direction = 'out' AND m.origin IN ('answer', 'business') AND m.status <> 'blocked') AS recent,
    CASE WHEN a.origin = 'business' THEN (SELECT count(*) FROM messages m WHERE m.contact_id = a.contact_id AND m.at_us > ?
      AND m.direction = 'out' AND m.origin = 'business' AND m.status <> 'blocked') ELSE 0 END AS started,
    CASE WHEN a.origin = 'answer' AND a.event_id < ? AND a.channel IN ({to_phones}) THEN (
      SELECT max(l.last_us) FROM contact_channels l
      WHERE l.tenant_id = a.tenant_id AND l.contact_id = a.contact_id) END AS last_inbound_us,
    CASE WHEN a.channel IN ({to_phones}) AND (a.origin = 'business' OR (a.origin = 'answer' AND a.event_id < ?))
      THEN (SELECT c.fields FROM contacts c WHERE c.id = a.contact_id) END AS fields
  FROM actions a
  WHERE a.tenant_id = ? AND a.route = ? AND {CLAIMABLE} AND a.due_us <= ?
  ORDER BY a.due_us, a.planned_us LIMIT ?"
    )
});

/// Stores the gate's answer, and the number and the start of an attempt. The attempt gets a row of its own when it ends. A
/// send that is planned anew comes after those that its ordering key has planned for that time: they keep their order. It is
/// the head no more, until its turn comes again. SQLite uses the index `actions_lane` only if the states are written exactly as in
/// the index.
const TAKE: &str = "UPDATE actions SET state = v.column2, tries = v.column3, due_us = v.column4, reason = v.column5,
       first_try_us = v.column6, tried_us = v.column7,
       account_sid = coalesce(v.column9, actions.account_sid),
       planned_us = CASE WHEN v.column10 IS NULL THEN actions.planned_us ELSE coalesce((
         SELECT max(b.planned_us) + 1 FROM actions b WHERE b.lane = actions.lane AND b.planned_us >= v.column10
           AND b.planned_us < v.column10 + 1000000
           AND (b.state = 'planned' OR b.state = 'sending' OR b.state = 'unknown')), v.column10) END,
       head = (actions.head AND v.column10 IS NULL)
     FROM (VALUES {rows}) AS v WHERE actions.id = v.column1 AND actions.tenant_id = v.column8";

/// The smallest id that an event of the last hour can have. Ids begin with their millisecond.
fn fresh_from(now: Timestamp) -> Uuid {
    let ms = u64::try_from(now.minus(ANSWERED_WITHIN).unix_ms()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(ms, &[0; 10]).into_uuid()
}

impl Writer {
    /// Takes due sends, asks the gate, and stores their attempts.
    pub async fn claim(&self, claim: ClaimRequest) -> Result<Claims, StoreError> {
        self.ask(claim).await
    }
}

impl Request for ClaimRequest {
    type Reply = Claims;

    const STEP: Step = Step::Claim;

    async fn execute(
        requests: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<Vec<Claims>, StoreError> {
        let mut claims = Vec::with_capacity(requests.len());
        for request in requests {
            claims.push(claim(txn, context, request, committed).await?);
        }
        Ok(claims)
    }
}

async fn claim(
    txn: &impl Txn,
    context: &WriterContext,
    request: &ClaimRequest,
    committed: &mut Committed,
) -> Result<Claims, StoreError> {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let now = context.clock.now();
    let lock = if txn.is_postgres() { " FOR UPDATE OF a SKIP LOCKED" } else { "" };
    let values = vec![
        request.stop_ends_calls.into(),
        now.minus(request.recent_within).unix_us().into(),
        now.minus(DAY).unix_us().into(),
        fresh_from(now).into(),
        fresh_from(now).into(),
        request.queue.tenant.uuid().into(),
        request.queue.route.to_string().into(),
        now.unix_us().into(),
        (request.limit as i64).into(),
    ];
    let read = |row: &Row| read_candidate(row, &request.account_sid);
    let found = txn.query(&format!("{}{lock}", *CANDIDATES), values, read).await?;
    let not_after = now.plus(SEND_WITHIN);
    let mut counted = match request.has_budget {
        true => send_counts::counted(txn, request.queue.tenant, now).await?,
        false => SendCounts::default(),
    };
    let counted_before = counted;
    let (mut updates, mut stopped): (Vec<Value>, Vec<Value>) = Default::default();
    let mut blocked = Vec::new();
    let mut sends = Vec::with_capacity(found.len());
    let mut freed: Vec<String> = Vec::new();
    for mut candidate in found {
        (candidate.facts.sent_this_hour, candidate.facts.sent_today) = (counted.this_hour, counted.today);
        let gate = (request.judge)(&candidate, now);
        let Candidate { mut send, facts } = candidate;
        let replanned = if let Gate::Replan(until, _) = &gate { Some(until.unix_us()) } else { None };
        let (state, due, reason) = match gate {
            Gate::Pass => (ActionState::Sending, now, None),
            Gate::Block(reason) => (ActionState::Blocked, now, Some(reason)),
            Gate::TooLate(until, reason) => (ActionState::Blocked, until, Some(reason)),
            Gate::Hold(reason) => (ActionState::Held, now, Some(reason)),
            Gate::Postpone(until, reason) | Gate::Replan(until, reason) => (ActionState::Planned, until, Some(reason)),
        };
        let passed = state == ActionState::Sending;
        if state == ActionState::Blocked {
            blocked.push((send.clone(), reason.clone().unwrap_or_default()));
        }
        if replanned.is_some() || matches!(state, ActionState::Blocked | ActionState::Held) {
            freed.extend(send.ordering_key.clone());
        }
        if passed && send.counts_in_budget() {
            counted.add_one();
        }
        let attempt = send.tries + i32::from(passed);
        if passed {
            send.first_try_at.get_or_insert(now);
            send.tried_at = Some(now);
        }
        updates.extend([
            send.id.uuid().into(),
            state.as_str().into(),
            attempt.into(),
            due.unix_us().into(),
            reason.into(),
            send.first_try_at.map(Timestamp::unix_us).into(),
            send.tried_at.map(Timestamp::unix_us).into(),
            request.queue.tenant.uuid().into(),
            passed.then(|| request.account_sid.clone()).into(),
            replanned.into(),
        ]);
        if state == ActionState::Blocked {
            stopped.extend(messages::row_of_send(&send, "blocked", 4, None, None, now)?.into_iter().flatten());
        }
        if passed {
            sends.push(Claimed { send: Arc::new(send), facts, attempt, not_after });
        }
    }
    txn.rows(TAKE, 10, Cut::Padded, updates).await?;
    let keys_freed = !freed.is_empty();
    ordering_keys::promote(txn, context, freed).await?;
    if request.has_budget {
        let sends = counted.this_hour - counted_before.this_hour;
        send_counts::add(txn, request.queue.tenant, now, sends).await?;
    }
    messages::merge(txn, stopped).await?;
    let unsent: Vec<_> = blocked.iter().map(|(send, reason)| (send.id, reason.clone())).collect();
    questions::never_sent(txn, context, &unsent).await?;
    let ended = blocked.iter().map(|(send, reason)| (send, reason.clone()));
    let new_events = fallback::insert_events(txn, context, ended, committed).await? > 0;
    let due = format!(
        "SELECT 1 FROM actions a WHERE a.tenant_id = ? AND a.route = ? AND {CLAIMABLE} AND a.due_us <= ? LIMIT 1"
    );
    let of_queue =
        vec![request.queue.tenant.uuid().into(), request.queue.route.to_string().into(), now.unix_us().into()];
    let due = txn.query(&due, of_queue, |_| Ok(())).await?;
    Ok(Claims { sends, more: !due.is_empty(), keys_freed, new_events })
}

/// Reads the columns of [`CANDIDATES`].
fn read_candidate(row: &Row, account: &str) -> Result<Candidate, StoreError> {
    let at = |us: Option<i64>| us.map(Timestamp::from_unix_us);
    let facts = GateFacts {
        session_from: at(row.get(SEND_WIDTH)?),
        opted_out: row.get(SEND_WIDTH + 1)?,
        recent: row.get(SEND_WIDTH + 2)?,
        started: row.get(SEND_WIDTH + 3)?,
        last_inbound_at: at(row.get(SEND_WIDTH + 4)?),
        zone: row.get::<Option<String>>(SEND_WIDTH + 5)?.and_then(|fields| zone_in(&fields)),
        account: account.to_owned(),
        ..GateFacts::default()
    };
    Ok(Candidate { send: QueuedSend::read(row)?, facts })
}

/// The customer's time zone, in the JSON of their fields.
fn zone_in(fields: &str) -> Option<Tz> {
    let fields: serde_json::Value = serde_json::from_str(fields).ok()?;
    fields.get("zone")?.as_str()?.parse().ok()
}

impl Store {
    /// Lists the queues that have a planned send due.
    pub async fn due_queues(&self) -> Result<Vec<SendQueue>, StoreError> {
        due_queues(&self.read, self.context.clock.now()).await
    }
}

static DUE_QUEUES: LazyLock<String> = LazyLock::new(|| {
    let next = |column: &str, after: &str| {
        format!("(SELECT a.{column} FROM actions a WHERE {CLAIMABLE}{after} ORDER BY a.tenant_id, a.route LIMIT 1)")
    };
    const AFTER: &str = " AND (a.tenant_id, a.route) > (t.id, t.route)";
    format!(
        "WITH RECURSIVE t(id, route) AS (SELECT {}, {} UNION ALL SELECT {}, {} FROM t WHERE t.id IS NOT NULL)
         SELECT id, route FROM t WHERE id IS NOT NULL AND EXISTS (SELECT 1 FROM actions a
           WHERE {CLAIMABLE} AND a.tenant_id = t.id AND a.route = t.route AND a.due_us <= ?)",
        next("tenant_id", ""),
        next("route", ""),
        next("tenant_id", AFTER),
        next("route", AFTER)
    )
});

/// Lists the queues that have a due send. The query walks along the index, one step for a tenant and route.
pub(in crate::store) async fn due_queues(
    db: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Vec<SendQueue>, StoreError> {
    let rows = sql::query(db, &DUE_QUEUES, vec![now.unix_us().into()]).await?;
    let mut queues = Vec::with_capacity(rows.len());
    for row in &rows {
        let (tenant, route): (Uuid, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        match route.parse() {
            Ok(route) => queues.push(SendQueue { tenant: TenantId::new(tenant), route }),
            // A newer version, or a person, has written it. The sends of other routes go on.
            Err(error) => tracing::warn!(%error, "a send waits for a route that this version does not know"),
        }
    }
    Ok(queues)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::db::sqlite::one_row;

    #[tokio::test]
    async fn the_next_send_of_a_key_is_found_by_its_index_without_a_temporary_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recado.db");
        crate::store::handle::tests::open(&path).await;
        let db = rusqlite::Connection::open(&path).unwrap();
        let explained = |sql: &str, column: usize| -> Vec<String> {
            let mut statement = db.prepare(sql).unwrap();
            // The values are not bound: SQLite takes them as NULL.
            let mut rows = statement.raw_query();
            let mut texts = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                texts.push(row.get(column).unwrap());
            }
            texts
        };
        let take = one_row(TAKE, 10);
        for (sql, finds) in [
            (CANDIDATES.as_str(), "SEARCH a USING INDEX actions_claimable (tenant_id=? AND route=? AND due_us<?)"),
            (&take, "SEARCH b USING INDEX actions_lane (lane=? AND planned_us>? AND planned_us<?)"),
        ] {
            let plan = explained(&format!("EXPLAIN QUERY PLAN {sql}"), 3);
            assert!(plan.iter().any(|step| step == finds), "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
        }
        // SQLite builds a table for each written row if the condition of the index has a list of three or more.
        let steps = explained(&format!("EXPLAIN {take}"), 1);
        assert!(steps.iter().any(|step| step == "IdxInsert"), "{steps:?}");
        assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{steps:?}");
    }
}
