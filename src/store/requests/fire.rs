//! Fires due timers: their rows are removed and their events stored in one transaction, so that each timer fires once.
//!
//! On PostgreSQL several processes share the work: each locks the rows it takes, and skips rows that others have
//! locked. A process that stops in the middle loses its session and its locks after
//! [`crate::store::db::open::IDLE_IN_TRANSACTION`].

use std::sync::{Arc, LazyLock};
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
use crate::store::rows::timer::{COLUMNS, PendingTimer};
use crate::store::rows::{event, timer_set_aside};
use crate::store::tables::{events, timers};
use crate::store::writer::{Request, Step, Writer};

/// The most timers of one transaction. With more, the commit is only a small part of the cost.
pub const FIRE_MAX: usize = 512;
/// The most tries of a timer that cannot be read, including the first. Then it waits for a person.
pub const TRIES_MAX: i32 = 5;
/// The time between two tries.
pub const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Gives the timer after a timer of a schedule. It runs in the firing transaction and must not wait.
pub type Next = Arc<dyn Fn(&DueTimer, Timestamp) -> Option<NewTimer> + Send + Sync>;

#[derive(Clone)]
pub struct FireRequest {
    /// The most timers to fire.
    pub limit: usize,
    pub next: Next,
}

/// The result of firing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firing {
    /// The number of timers that were taken.
    pub taken: usize,
    /// The number of these that could not be read and were set aside.
    pub set_aside: usize,
    /// The tenants of the new events.
    pub tenants: Vec<TenantId>,
}

/// A due timer.
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

/// A timer's row, readable or not.
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
    /// The event of the timer when it fires at `now`, or the reason why it cannot fire.
    pub fn fired(&self, id: EventId, now: Timestamp) -> Result<(Event, DueTimer), String> {
        let (event, data, timer) = self.becomes(id, now)?;
        let data = serde_json::from_str(&data).map_err(|error| format!("its payload is no JSON: {error}"))?;
        Ok((Event { data, ..event }, timer))
    }

    /// The same, with the data of the event as text.
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
            // The key begins with the time, so that its index grows at the end.
            dedupe_key: Some(format!("timer:{}:{}", self.due.unix_us(), self.id.uuid().simple())),
            depth: anchor.map_or(0, |anchor| anchor.depth),
            data: serde_json::Value::Null,
        };
        Ok((event, data, timer))
    }
}

impl Writer {
    /// Fires due timers.
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
    // `RETURNING` does not promise an order.
    due.sort_by_key(|stored| (stored.timer.due, stored.timer.id));
    abort::point("timers-taken");
    let (mut rows, mut tenants, mut next, mut broken) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for stored in &due {
        match stored.timer.becomes(context.ids.next(), now) {
            Ok((event, data, timer)) => {
                if timer.purpose == Purpose::Cron {
                    next.extend((request.next)(&timer, now));
                }
                rows.extend(event::new_row(&event, data, None));
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

/// Takes due timers, the oldest first.
async fn take(txn: &impl Txn, now: Timestamp, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let values = vec![now.unix_us().into(), (limit as i64).into()];
    if txn.is_postgres() {
        // Materialized: a plain subquery may run more than once, and give other rows each time. The rows are locked, so
        // they stay in their places, and the table is not read for them again, whatever its statistics say.
        let text = format!(
            "WITH due AS MATERIALIZED (SELECT ctid FROM timers WHERE due_us <= ? ORDER BY due_us, id LIMIT ?
             FOR UPDATE SKIP LOCKED)
             DELETE FROM timers WHERE ctid = ANY (ARRAY (SELECT ctid FROM due)) RETURNING {}",
            *COLUMNS
        );
        return txn.query(&text, values, Stored::read).await;
    }
    // The writer is alone here. The rows are the beginning of the table, so one statement removes them.
    let text = format!("SELECT {} FROM timers WHERE due_us <= ? ORDER BY due_us, id LIMIT ?", *COLUMNS);
    let due = txn.query(&text, values, Stored::read).await?;
    if let Some(last) = due.last() {
        let until = vec![last.timer.due.unix_us().into(), last.timer.id.uuid().into()];
        txn.execute("DELETE FROM timers WHERE (due_us, id) <= (?, ?)", until).await?;
    }
    Ok(due)
}

/// Takes timers that were set aside and are due for another try.
async fn take_again(txn: &impl Txn, now: Timestamp, limit: usize) -> Result<Vec<Stored>, StoreError> {
    let lock = if txn.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" };
    let text = format!(
        "DELETE FROM timers_set_aside WHERE (due_us, id) IN (SELECT due_us, id FROM timers_set_aside
         WHERE retry_us <= ? ORDER BY retry_us LIMIT ?{lock}) RETURNING {}",
        timer_set_aside::TABLE.full_column_list()
    );
    txn.query(&text, vec![now.unix_us().into(), (limit as i64).into()], Stored::read_again).await
}

/// Sets timers aside that could not be read.
async fn set_aside(txn: &impl Txn, now: Timestamp, broken: &[(&Stored, String)]) -> Result<(), StoreError> {
    let mut values: Vec<Value> = Vec::new();
    for (Stored { timer, tries }, why) in broken {
        let tries = tries + 1;
        let retry = (tries < TRIES_MAX).then(|| now.plus(RETRY_AFTER));
        tracing::error!(timer = %timer.id, rule = %timer.rule, tries, %why, "a timer cannot be fired: see recado timers list --set-aside");
        values.extend(timer_set_aside::new_row(timer, tries, retry, why));
    }
    txn.rows(&INSERT_SET_ASIDE, timer_set_aside::TABLE.width(), Cut::Padded, values).await
}

static INSERT_SET_ASIDE: LazyLock<String> =
    LazyLock::new(|| timer_set_aside::TABLE.insert() + " ON CONFLICT DO NOTHING");

/// A timer that could not be fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetAside {
    #[serde(flatten)]
    pub timer: PendingTimer,
    pub tries: i32,
    /// `None` if the timer waits for a person.
    pub retry_at: Option<Timestamp>,
    pub error: String,
}

impl Store {
    /// Lists a tenant's timers that were set aside, the oldest first, at most `limit`.
    pub async fn timers_set_aside(&self, tenant: TenantId, limit: usize) -> Result<Vec<SetAside>, StoreError> {
        let text = format!(
            "SELECT {} FROM timers_set_aside WHERE tenant_id = ? ORDER BY due_us, id LIMIT ?",
            timer_set_aside::TABLE.full_column_list()
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

    /// Releases a tenant's timers that were set aside for another try: one, or all. Gives their number. A running
    /// server sees them within its longest sleep.
    pub async fn redrive_timers(&self, tenant: TenantId, timer: Option<TimerId>) -> Result<u64, StoreError> {
        let mut values = vec![self.clock().now().unix_us().into(), tenant.uuid().into()];
        values.extend(timer.map(|timer| timer.uuid().into()));
        let one = if timer.is_some() { " AND id = ?" } else { "" };
        let text = format!("UPDATE timers_set_aside SET tries = 0, retry_us = ? WHERE tenant_id = ?{one}");
        Ok(sql::execute(&self.write, &text, values).await?)
    }
}
