//! Timers that fall due: their rows go and their events come in one transaction, so that each fires once, whatever happens.
//!
//! On PostgreSQL several processes share the work: each locks what it takes and skips what others hold. One that stops in
//! the middle loses its session after [`crate::store::db::open::IDLE_IN_TRANSACTION`], and with it what it held.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::Value;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::timer::Fired;
use crate::domain::{ContactId, Event, EventId, EventKind, NewTimer, Purpose, TenantId, TimerId, Timestamp, abort};
use crate::store::context::WriterContext;
use crate::store::db::LIST_MAX;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::pending_cache::Committed;
use crate::store::tables::timers::{COLUMNS, PendingTimer};
use crate::store::tables::{events, timers};
use crate::store::writer::{Request, Step, Writer};

/// Timers that fire in one transaction, at most: beyond that a commit costs little beside them.
pub const FIRE_MAX: usize = 512;
/// A timer that cannot be read is tried so often, the first try included; then it waits for a person.
pub const TRIES_MAX: i32 = 5;
/// Between two tries.
pub const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Asked inside the firing transaction for each timer of a schedule: the one that takes its place. Must not wait.
pub type Next = Arc<dyn Fn(&DueTimer, Timestamp) -> Option<NewTimer> + Send + Sync>;

#[derive(Clone)]
pub struct FireRequest {
    /// At most so many timers.
    pub limit: usize,
    pub next: Next,
}

/// What fell due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firing {
    /// How many timers were taken.
    pub taken: usize,
    /// Of these, how many could not be read and were set aside.
    pub set_aside: usize,
    /// Whose events wait to be decided now.
    pub tenants: Vec<TenantId>,
}

/// A timer's row that has fallen due.
#[derive(Clone, Debug)]
pub struct DueTimer {
    pub id: TimerId,
    pub due: Timestamp,
    pub tenant: TenantId,
    pub purpose: Purpose,
    pub rule: String,
    pub contact: Option<ContactId>,
    pub subject: Option<Uuid>,
}

/// A row as it is, readable or not.
struct Stored {
    timer: PendingTimer,
    tries: i32,
}

impl Stored {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { timer: PendingTimer::read(row)?, tries: 0 })
    }

    fn read_again(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { tries: row.get(9)?, ..Self::read(row)? })
    }
}

impl PendingTimer {
    /// The event that it becomes when it fires at `now`, or why it cannot.
    pub fn fired(&self, id: EventId, now: Timestamp) -> Result<(Event, DueTimer), String> {
        let (event, data, timer) = self.becomes(id, now)?;
        let data = serde_json::from_str(&data).map_err(|error| format!("its payload is no JSON: {error}"))?;
        Ok((Event { data, ..event }, timer))
    }

    /// The same, with the event's data beside it, as text.
    fn becomes(&self, id: EventId, now: Timestamp) -> Result<(Event, String, DueTimer), String> {
        let timer = DueTimer {
            id: self.id,
            due: self.due,
            tenant: self.tenant,
            purpose: self.purpose.parse().map_err(|error| format!("{error}"))?,
            rule: self.rule.clone(),
            contact: self.contact,
            subject: self.subject,
        };
        let fired = Fired { rule: self.rule.clone(), purpose: timer.purpose, due: timer.due, subject: timer.subject };
        let (anchor, data) =
            fired.into_text(&self.payload).map_err(|error| format!("its payload is no JSON object: {error}"))?;
        let event = Event {
            id,
            tenant: timer.tenant,
            kind: EventKind::TIMER,
            channel: anchor.as_ref().and_then(|anchor| anchor.channel),
            contact: timer.contact,
            occurred_at: now,
            // The time first: its index then grows at its end.
            dedupe_key: Some(format!("timer:{}:{}", self.due.unix_us(), self.id.uuid().simple())),
            depth: anchor.map_or(0, |anchor| anchor.depth),
            data: serde_json::Value::Null,
        };
        Ok((event, data, timer))
    }
}

impl Writer {
    /// Turns timers that are due into events.
    pub async fn fire(&self, request: FireRequest) -> Result<Firing, StoreError> {
        self.ask(request).await
    }
}

impl Request for FireRequest {
    type Reply = Firing;

    const STEP: Step = Step::Fire;

    async fn execute(
        requests: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        _committed: &mut Committed,
    ) -> Result<Vec<Firing>, StoreError> {
        let mut firings = Vec::with_capacity(requests.len());
        for request in requests {
            firings.push(fire(txn, context, request).await?);
        }
        Ok(firings)
    }
}

async fn fire(txn: &impl Txn, context: &WriterContext, request: &FireRequest) -> Result<Firing, StoreError> {
    let now = context.clock.now();
    let mut due = take(txn, now, request.limit).await?;
    due.extend(take_again(txn, now, request.limit).await?);
    // In the order in which they fell due, which `RETURNING` does not promise.
    due.sort_by_key(|stored| (stored.timer.due, stored.timer.id));
    abort::point("timers-taken");
    let (mut rows, mut tenants, mut next, mut broken) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for stored in &due {
        match stored.timer.becomes(context.ids.next(), now) {
            Ok((event, data, timer)) => {
                if timer.purpose == Purpose::Cron {
                    next.extend((request.next)(&timer, now));
                }
                rows.extend(events::row(&event, data, None));
                tenants.push(event.tenant);
            }
            Err(why) => broken.push((stored, why)),
        }
    }
    events::insert_rows(txn, rows).await?;
    timers::plan(txn, context, &next).await?;
    set_aside(txn, now, &broken).await?;
    tenants.sort_unstable();
    tenants.dedup();
    Ok(Firing { taken: due.len(), set_aside: broken.len(), tenants })
}

/// Takes the rows that are due, the oldest first.
async fn take(txn: &impl Txn, now: Timestamp, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let values = vec![now.unix_us().into(), (limit as i64).into()];
    if txn.is_postgres() {
        // Materialized: as a plain subquery it could be asked more than once, and give other rows each time.
        let columns = COLUMNS.split(", ").map(|column| format!("t.{column}")).collect::<Vec<_>>().join(", ");
        let text = format!(
            "WITH due AS MATERIALIZED (SELECT due_us, id FROM timers WHERE due_us <= ? ORDER BY due_us, id LIMIT ?
             FOR UPDATE SKIP LOCKED)
             DELETE FROM timers t USING due WHERE t.due_us = due.due_us AND t.id = due.id RETURNING {columns}"
        );
        return txn.query(&text, values, Stored::read).await;
    }
    // The writer is alone here: what is read is the beginning of the table, which goes in one stroke.
    let text = format!("SELECT {COLUMNS} FROM timers WHERE due_us <= ? ORDER BY due_us, id LIMIT ?");
    let due = txn.query(&text, values, Stored::read).await?;
    if let Some(last) = due.last() {
        let until = vec![last.timer.due.unix_us().into(), last.timer.id.uuid().into()];
        txn.execute("DELETE FROM timers WHERE (due_us, id) <= (?, ?)", until).await?;
    }
    Ok(due)
}

/// Takes what was set aside and is to be tried again.
async fn take_again(txn: &impl Txn, now: Timestamp, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let lock = if txn.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" };
    let text = format!(
        "DELETE FROM timers_set_aside WHERE (due_us, id) IN (SELECT due_us, id FROM timers_set_aside
         WHERE retry_us <= ? ORDER BY retry_us LIMIT ?{lock}) RETURNING {COLUMNS}, tries"
    );
    txn.query(&text, vec![now.unix_us().into(), (limit as i64).into()], Stored::read_again).await
}

/// Keeps what could not be read out of the way of the others.
async fn set_aside(txn: &impl Txn, now: Timestamp, broken: &[(&Stored, String)]) -> Result<(), StoreError> {
    let mut values: Vec<Value> = Vec::new();
    for (Stored { timer, tries }, why) in broken {
        let tries = tries + 1;
        let retry = (tries < TRIES_MAX).then(|| now.plus(RETRY_AFTER).unix_us());
        tracing::error!(timer = %timer.id, rule = %timer.rule, tries, %why, "a timer cannot be fired: see recado timers list --set-aside");
        values.extend([
            timer.due.unix_us().into(),
            timer.id.uuid().into(),
            timer.tenant.uuid().into(),
            timer.purpose.clone().into(),
            timer.rule.clone().into(),
            timer.timing.clone().into(),
            timer.contact.map(ContactId::uuid).into(),
            timer.subject.into(),
            timer.payload.clone().into(),
            tries.into(),
            retry.into(),
            why.clone().into(),
        ]);
    }
    let insert = format!(
        "INSERT INTO timers_set_aside ({COLUMNS}, tries, retry_us, error) VALUES {{rows}} ON CONFLICT DO NOTHING"
    );
    txn.rows(&insert, 12, Cut::Padded, values).await
}

/// A timer that could not be fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetAside {
    #[serde(flatten)]
    pub timer: PendingTimer,
    pub tries: i32,
    /// `None` where it waits for a person.
    pub retry_at: Option<Timestamp>,
    pub error: String,
}

impl Store {
    /// A tenant's timers that could not be fired, the oldest first, at most `limit`.
    pub async fn timers_set_aside(&self, tenant: TenantId, limit: usize) -> Result<Vec<SetAside>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS}, tries, retry_us, error FROM timers_set_aside WHERE tenant_id = ? ORDER BY due_us, id LIMIT ?"
        );
        let values = vec![tenant.uuid().into(), (limit.min(LIST_MAX) as i64).into()];
        let read = |row: &Row| {
            Ok(SetAside {
                timer: PendingTimer::read(row)?,
                tries: row.get(9)?,
                retry_at: row.get::<Option<i64>>(10)?.map(Timestamp::from_unix_us),
                error: row.get(11)?,
            })
        };
        sql::query(&self.read, &text, values).await?.iter().map(|row| read(&Row::Sea(row))).collect()
    }

    /// Lets a tenant's timers that were set aside be tried anew: one, or all; gives how many. A running server sees it
    /// within its longest sleep.
    pub async fn redrive_timers(&self, tenant: TenantId, timer: Option<TimerId>) -> Result<u64, StoreError> {
        let mut values = vec![self.clock().now().unix_us().into(), tenant.uuid().into()];
        values.extend(timer.map(|timer| timer.uuid().into()));
        let one = if timer.is_some() { " AND id = ?" } else { "" };
        let text = format!("UPDATE timers_set_aside SET tries = 0, retry_us = ? WHERE tenant_id = ?{one}");
        Ok(sql::execute(&self.write, &text, values).await?)
    }
}
