//! The head of an ordering key: the one send along it that may be claimed, is being sent, or is of unknown outcome.
//!
//! All other open sends with the key wait behind it, so that a claim reads an index of heads alone, however many wait.
//! Whoever plans a send decides with [`heads_among`] whether it becomes the head. Whoever ends, stops or moves one calls
//! [`promote`] in the same transaction, and the next send becomes the head.
//!
//! On PostgreSQL, transactions on one key meet at the row of its head: [`heads_among`] locks it, and ending it changes it.
//! The unique index `actions_head` refuses a second head. What is left behind all the same, such as rows of a program
//! that knows no heads, [`Store::repair_ordering_keys`] finds.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::LazyLock;

use sea_orm::Value;
use uuid::Uuid;

use crate::domain::{ActionState, SendQueue, TenantId};
use crate::store::context::WriterContext;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::action;

/// The ordering keys that one round of [`Store::repair_ordering_keys`] looks at.
const REPAIR_KEYS: usize = 500;

/// The condition of the index `actions_claimable`, of the table `a`. SQLite uses a partial index only for the exact
/// words of its condition. A send without an ordering key waits for nothing.
pub(in crate::store) const CLAIMABLE: &str = "a.state = 'planned' AND (a.head OR a.lane IS NULL)";

/// The condition of the indexes `actions_lane` and `actions_head`, of the table `name`.
pub(in crate::store) fn open(name: &str) -> String {
    format!("({name}.state = 'planned' OR {name}.state = 'sending' OR {name}.state = 'unknown')")
}

static HOLDERS: LazyLock<String> = LazyLock::new(|| {
    let open = open("a");
    format!(
        "SELECT a.lane, a.id, a.planned_us, a.state FROM actions a WHERE a.lane IN ({{list}}) AND a.head AND {open}"
    )
});
const DISPLACE: &str = "UPDATE actions SET head = false FROM (VALUES {rows}) AS v WHERE actions.id = v.column1";

/// Makes the first open send of each key its head, unless the key has one.
static PROMOTE: LazyLock<String> = LazyLock::new(|| {
    let (b, h) = (open("b"), open("h"));
    format!(
        "UPDATE actions SET head = true FROM (VALUES {{rows}}) AS v
         WHERE actions.id = (SELECT b.id FROM actions b WHERE b.lane = v.column1 AND NOT b.head AND {b}
             ORDER BY b.planned_us, b.id LIMIT 1)
           AND NOT EXISTS (SELECT 1 FROM actions h WHERE h.lane = v.column1 AND h.head AND {h}) RETURNING actions.lane"
    )
});

/// The same for PostgreSQL. A row that another transaction is changing is left out. The sends are found before any is
/// changed, and each key once: a statement that locks passes over the rows that it has changed itself.
static PROMOTE_UNLOCKED: LazyLock<String> = LazyLock::new(|| {
    let (b, h) = (open("b"), open("h"));
    format!(
        "WITH found AS MATERIALIZED (
           SELECT (SELECT b.id FROM actions b WHERE b.lane = v.lane AND NOT b.head AND {b}
               ORDER BY b.planned_us, b.id LIMIT 1 FOR UPDATE SKIP LOCKED) AS id
           FROM (SELECT DISTINCT column1 AS lane FROM (VALUES {{rows}}) AS given) AS v
           WHERE NOT EXISTS (SELECT 1 FROM actions h WHERE h.lane = v.lane AND h.head AND {h}))
         UPDATE actions SET head = true FROM found WHERE actions.id = found.id RETURNING actions.lane"
    )
});

/// Finds those of new rows that become the head of their ordering key. A send that comes before a planned head takes its
/// place. A head that is being sent, or of unknown outcome, stays until it ends.
pub(in crate::store) async fn heads_among(txn: &impl Txn, rows: &[action::Model]) -> Result<HashSet<Uuid>, StoreError> {
    let mut first: BTreeMap<&str, (i64, Uuid)> = BTreeMap::new();
    let is_open =
        |row: &&action::Model| [ActionState::Planned, ActionState::Unknown].iter().any(|s| row.state == s.as_str());
    for row in rows.iter().filter(is_open) {
        let Some(key) = &row.lane else { continue };
        let place = (row.planned_us, row.id);
        first.entry(key).and_modify(|first| *first = place.min(*first)).or_insert(place);
    }
    if first.is_empty() {
        return Ok(HashSet::new());
    }
    // In the order of the keys, so that two transactions do not wait for each other.
    let lock = if txn.is_postgres() { " ORDER BY a.lane FOR NO KEY UPDATE OF a" } else { "" };
    let keys = first.keys().map(|key| (*key).into()).collect();
    let read =
        |row: &Row| Ok((row.get::<String>(0)?, (row.get::<i64>(2)?, row.get::<Uuid>(1)?), row.get::<String>(3)?));
    let mut displaced: Vec<Value> = Vec::new();
    for (key, place, state) in txn.query_in(&format!("{}{lock}", *HOLDERS), &[], keys, read).await? {
        let comes_before = first.get(key.as_str()).is_some_and(|first| *first < place);
        if comes_before && state == ActionState::Planned.as_str() {
            displaced.push(place.1.into());
        } else {
            first.remove(key.as_str());
        }
    }
    txn.rows(DISPLACE, 1, Cut::Padded, displaced).await?;
    Ok(first.into_values().map(|(_, id)| id).collect())
}

/// Makes the next send of each of these keys the head, unless the key has one. Call it after the statements that took
/// sends out of the keys or moved them, in their transaction.
pub(in crate::store) async fn promote(
    txn: &impl Txn,
    context: &WriterContext,
    keys: impl IntoIterator<Item = String>,
) -> Result<(), StoreError> {
    let keys: BTreeSet<String> = keys.into_iter().collect();
    if keys.is_empty() {
        return Ok(());
    }
    let statement = if txn.is_postgres() { &PROMOTE_UNLOCKED } else { &PROMOTE };
    let keys = keys.into_iter().map(Value::from).collect();
    let promoted: Vec<String> = txn.changed(statement, 1, 0, Cut::Padded, keys).await?;
    if promoted.is_empty() {
        return Ok(());
    }
    let text = format!(
        "SELECT a.tenant_id, a.route FROM actions a WHERE a.lane IN ({{list}}) AND a.head AND {} AND a.route IS NOT NULL",
        open("a")
    );
    let read = |row: &Row| {
        let tenant = TenantId::new(row.get(0)?);
        // A route that this version does not know has no senders to wake.
        Ok(row.get::<String>(1)?.parse().ok().map(|route| SendQueue { tenant, route }))
    };
    let queues = txn.query_in(&text, &[], promoted.into_iter().map(Value::from).collect(), read).await?;
    context.promoted.add(queues.into_iter().flatten());
    Ok(())
}

/// Lets the first open send of a key be its head, although the key may have a later one that is still planned: a send has
/// come back that was planned before it.
pub(in crate::store) async fn reorder(
    txn: &impl Txn,
    context: &WriterContext,
    key: Option<String>,
) -> Result<(), StoreError> {
    let Some(key) = key else { return Ok(()) };
    let displace = "UPDATE actions SET head = false WHERE lane = ? AND head AND state = 'planned'";
    txn.execute(displace, vec![key.clone().into()]).await?;
    promote(txn, context, [key]).await
}

/// Makes heads of all ordering keys of a tenant's open sends that have none, such as after an import.
pub(in crate::store) async fn promote_all(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
) -> Result<(), StoreError> {
    let text =
        format!("SELECT DISTINCT a.lane FROM actions a WHERE a.tenant_id = ? AND a.lane IS NOT NULL AND {}", open("a"));
    let keys = txn.query(&text, vec![tenant.uuid().into()], |row| row.get::<String>(0)).await?;
    promote(txn, context, keys).await
}

impl Store {
    /// Waits for queues of which a send has become the head of its ordering key, and may be due.
    pub async fn promoted_queues(&self) -> Vec<SendQueue> {
        self.context.promoted.next().await
    }

    /// Finds ordering keys without a head and gives them one. A round looks at [`REPAIR_KEYS`] keys, and the next one
    /// goes on from there. Gives the number of keys that had none.
    pub async fn repair_ordering_keys(&self) -> Result<usize, StoreError> {
        let after = self.context.repaired_until.lock().clone();
        let (a, h) = (open("a"), open("h"));
        let text = format!(
            "WITH RECURSIVE k(lane, n) AS (
               SELECT (SELECT a.lane FROM actions a WHERE a.lane > ? AND {a} ORDER BY a.lane LIMIT 1), 1
               UNION ALL
               SELECT (SELECT a.lane FROM actions a WHERE a.lane > k.lane AND {a} ORDER BY a.lane LIMIT 1), k.n + 1
               FROM k WHERE k.lane IS NOT NULL AND k.n < {REPAIR_KEYS})
             SELECT k.lane, EXISTS (SELECT 1 FROM actions h WHERE h.lane = k.lane AND h.head AND {h}) FROM k
             WHERE k.lane IS NOT NULL"
        );
        let rows = sql::query(&self.read, &text, vec![after.into()]).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            keys.push((row.try_get_by_index::<String>(0)?, row.try_get_by_index::<bool>(1)?));
        }
        let last = keys.last().filter(|_| keys.len() == REPAIR_KEYS).map(|(key, _)| key.clone());
        let headless: Vec<String> = keys.into_iter().filter(|(_, has_head)| !has_head).map(|(key, _)| key).collect();
        let count = headless.len();
        if count > 0 {
            let txn = begin(&self.write).await?;
            promote(&txn, &self.context, headless).await?;
            txn.commit().await?;
            self.context.promoted.committed();
        }
        *self.context.repaired_until.lock() = last.unwrap_or_default();
        Ok(count)
    }
}
