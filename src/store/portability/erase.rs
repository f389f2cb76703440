//! Erases the data of one customer from all tables.
//!
//! Opt-outs stay, by the number, because a STOP must stay in force. The skeleton of the ledger and the inbox stays too
//! (ids, states, times, codes, our own number), so that a repeat of the provider is still recognised.

use sea_orm::Value;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::{Action, ContactId, Effect, EventKind, TenantId};
use crate::store::db::sql;
use crate::store::db::sql::{Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::tables::{appointments, contacts, firings, ordering_keys, questions};

/// The most rows that one transaction changes.
const PAGE_ROWS: usize = 200;
/// The rows that one query looks through for a number, so that no snapshot of the database lasts.
const SCAN_ROWS: usize = 10_000;
/// The reason of sends that the erasure has cancelled.
const ERASED: &str = "the customer was erased";

/// The condition of the index `actions_unfinished`.
const UNFINISHED: &str = "(state = 'planned' OR state = 'sending' OR state = 'unknown' OR state = 'held')";

/// The numbers of erased rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    pub customers: u64,
    pub messages: u64,
    /// Erased messages that the provider has too.
    pub at_provider: u64,
    pub events: u64,
    pub actions: u64,
    /// Erased actions that were still to be sent.
    pub cancelled: u64,
    /// Rows that keep the number: opt-outs and their history.
    pub kept_opt_outs: i64,
}

/// The customer who is erased.
struct DataSubject {
    tenant: TenantId,
    phone_key: String,
    /// Nil if there is no such customer.
    contact: Uuid,
}

impl Store {
    /// Erases the customer with this address, given as [`crate::domain::Address::key`]. A second call finds nothing.
    ///
    /// A pending event counts as decided, a planned send is blocked, and a send of unknown outcome fails. While a send
    /// is in progress the erasure is refused, because the outcome would store the text again.
    pub async fn erase_contact(&self, tenant: TenantId, phone_key: &str) -> Result<Erased, StoreError> {
        let contact = self.contact_by_key(tenant, phone_key).await?.map(|contact| contact.uuid()).unwrap_or_default();
        let person = DataSubject { tenant, phone_key: phone_key.to_owned(), contact };
        // A timer that fires meanwhile makes an event, and an event that is decided meanwhile may plan a timer.
        self.erase_timers(&person).await?;
        let mut erased = Erased { events: self.erase_events(&person).await?, ..Erased::default() };
        self.erase_timers(&person).await?;
        erased.cancelled = self.cancel_sends(&person).await?;
        erased.actions = self.erase_actions(&person).await?;
        let mut rows = Search::new("messages", &person);
        while let Some(ids) = self.next_rows(&mut rows).await? {
            let at_provider = "SELECT id FROM messages WHERE provider_sid IS NOT NULL AND id IN ({list})";
            erased.at_provider += sql::query_in(&self.read, at_provider, &[], values(&ids)).await?.len() as u64;
            let set = "contact_id = NULL, peer = '', peer_key = '', body = '', extra = '{}'";
            erased.messages += self.change("UPDATE messages SET", set, "id", ids).await?;
        }
        self.erase_calls(&person).await?;
        let of_number = || vec![tenant.uuid().into(), phone_key.into()];
        self.erase_answers(tenant, contact, phone_key).await?;
        let txn = begin(&self.write).await?;
        let of_contact = || vec![tenant.uuid().into(), contact.into()];
        sql::execute(&txn, "DELETE FROM contact_history WHERE tenant_id = ? AND contact_id = ?", of_contact()).await?;
        questions::forget(&txn, tenant, ContactId::new(contact)).await?;
        contacts::forget_channels(&txn, tenant, ContactId::new(contact)).await?;
        firings::forget(&txn, tenant, ContactId::new(contact)).await?;
        appointments::forget_customer(&txn, tenant, contact).await?;
        let members = "DELETE FROM campaign_members WHERE campaign_id IN (SELECT id FROM campaigns WHERE tenant_id = ?)
          AND peer_key = ?";
        sql::execute(&txn, members, of_number()).await?;
        // Calls of other people that were put through to this number.
        let legs = "UPDATE call_legs SET peer = '', peer_key = '' WHERE tenant_id = ? AND peer_key = ?";
        sql::execute(&txn, legs, of_number()).await?;
        erased.customers =
            sql::execute(&txn, "DELETE FROM contacts WHERE tenant_id = ? AND id = ?", of_contact()).await?;
        txn.commit().await?;
        let opt_outs = "SELECT (SELECT count(*) FROM opt_outs WHERE tenant_id = ? AND peer_key = ?)
          + (SELECT count(*) FROM opt_out_history WHERE tenant_id = ? AND peer_key = ?)";
        let by_key: [Value; 2] = [tenant.uuid().into(), phone_key.into()];
        let row = sql::query_one(&self.read, opt_outs, [by_key.clone(), by_key].concat()).await?;
        erased.kept_opt_outs = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        Ok(erased)
    }

    /// Empties stored answers to programs that name the customer. The keys stay answered.
    async fn erase_answers(&self, tenant: TenantId, contact: Uuid, phone_key: &str) -> Result<(), StoreError> {
        let named = "SELECT key_text FROM idempotency_keys WHERE tenant_id = ? AND (body LIKE ? OR body LIKE ?)";
        let values = vec![tenant.uuid().into(), format!("%{contact}%").into(), format!("%{phone_key}%").into()];
        for row in sql::query(&self.read.patient(), named, values).await? {
            let key: String = row.try_get_by_index(0)?;
            let text = "UPDATE idempotency_keys SET body = '{}' WHERE tenant_id = ? AND key_text = ?";
            sql::execute(&self.write, text, vec![tenant.uuid().into(), key.into()]).await?;
        }
        Ok(())
    }

    async fn erase_timers(&self, person: &DataSubject) -> Result<(), StoreError> {
        // There is no index for this, since every timer would pay for it. The scan needs no write lock.
        for table in ["timers", "timers_set_aside"] {
            let text = format!("SELECT due_us, id FROM {table} WHERE tenant_id = ? AND contact_id = ?");
            let theirs = vec![person.tenant.uuid().into(), person.contact.into()];
            for row in sql::query(&self.read.patient(), &text, theirs).await? {
                let (due_us, id): (i64, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let text = format!("DELETE FROM {table} WHERE due_us = ? AND id = ? AND tenant_id = ?");
                sql::execute(&self.write, &text, vec![due_us.into(), id.into(), person.tenant.uuid().into()]).await?;
            }
        }
        Ok(())
    }

    /// Erases the events before the sends: a decision that comes meanwhile finds its event handled, and plans nothing.
    async fn erase_events(&self, person: &DataSubject) -> Result<u64, StoreError> {
        let now = self.clock().now().unix_us();
        let mut events = 0;
        loop {
            let ids = self.rows_of("events", "contact_id", person.contact.into(), person.tenant).await?;
            if ids.is_empty() {
                return Ok(events);
            }
            self.change("DELETE FROM rule_runs", "", "event_id", ids.clone()).await?;
            self.change("DELETE FROM events_set_aside", "", "event_id", ids.clone()).await?;
            let set = format!("contact_id = NULL, data = '{{}}', handled_us = coalesce(handled_us, {now})");
            events += self.change("UPDATE events SET", &set, "id", ids).await?;
        }
    }

    /// Erases the words and the number of calls. The rows stay, so that later reports of the provider are recognised.
    async fn erase_calls(&self, person: &DataSubject) -> Result<(), StoreError> {
        let mut rows = Search::new("calls", person);
        while let Some(ids) = self.next_rows(&mut rows).await? {
            self.change("UPDATE call_legs SET", "peer = '', peer_key = ''", "call_id", ids.clone()).await?;
            self.change("UPDATE call_turns SET", "heard = '', answer = NULL", "call_id", ids.clone()).await?;
            let set = "contact_id = NULL, peer = '', peer_key = '', state = '{}', result = NULL, detail = NULL,
                recording_sid = NULL, recording_url = NULL";
            self.change("UPDATE calls SET", set, "id", ids).await?;
        }
        Ok(())
    }

    async fn cancel_sends(&self, person: &DataSubject) -> Result<u64, StoreError> {
        let theirs = format!("tenant_id = ? AND (contact_id = ? OR peer_key = ?) AND {UNFINISHED}");
        let values = || vec![person.tenant.uuid().into(), person.contact.into(), person.phone_key.clone().into()];
        let txn = begin(&self.write).await?;
        let text = format!("SELECT 1 FROM actions WHERE {theirs} AND state = 'sending' LIMIT 1");
        if sql::query_one(&txn, &text, values()).await?.is_some() {
            return Err(StoreError::Setup(
                "a send to this customer is under way: try again in a minute, when its outcome is known".to_owned(),
            ));
        }
        let text = format!(
            "UPDATE actions SET state = CASE WHEN state = 'unknown' THEN 'failed' ELSE 'blocked' END
             WHERE {theirs} AND state <> 'sending' RETURNING lane"
        );
        let keys = txn.query(&text, values(), |row| row.get::<Option<String>>(0)).await?;
        let cancelled = keys.len() as u64;
        ordering_keys::promote(&txn, &self.context, keys.into_iter().flatten()).await?;
        txn.commit().await?;
        self.context.committed();
        Ok(cancelled)
    }

    async fn erase_actions(&self, person: &DataSubject) -> Result<u64, StoreError> {
        // An action without content that can still be read. Without a route, reports of the provider do not find it.
        let nothing = Action::Effect(Effect::Note { text: String::new() });
        let nothing = serde_json::to_string(&nothing).map_err(StoreError::json)?;
        let set = format!(
            "contact_id = NULL, recipient = NULL, peer_key = NULL, lane = NULL, route = NULL, payload = '{nothing}', reason = '{ERASED}'"
        );
        let mut actions = 0;
        let mut rows = Search::new("actions", person);
        while let Some(ids) = self.next_rows(&mut rows).await? {
            // The trace of another customer's event may show the number, if a rule wrote to this customer.
            let causes = "SELECT event_id FROM actions WHERE id IN ({list})";
            let causes = sql::query_in(&self.read, causes, &[], values(&ids)).await?;
            let events = causes.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<Uuid>, _>>()?;
            self.change("DELETE FROM rule_runs", "", "event_id", events.clone()).await?;
            // The event of a send by hand has no customer, but names the number.
            let by_hand = format!("data = CASE WHEN kind = '{}' THEN '{{}}' ELSE data END", EventKind::MANUAL.as_str());
            self.change("UPDATE events SET", &by_hand, "id", events).await?;
            self.change("UPDATE attempts SET", "detail = NULL", "action_id", ids.clone()).await?;
            actions += self.erase_page_of_actions(&set, &ids).await?;
        }
        Ok(actions)
    }

    /// A send that was planned meanwhile may be the head of its ordering key: the next one gets its place.
    async fn erase_page_of_actions(&self, set: &str, ids: &[Uuid]) -> Result<u64, StoreError> {
        let txn = begin(&self.write).await?;
        let keys = "SELECT lane FROM actions WHERE lane IS NOT NULL AND id IN ({list})";
        let keys = txn.query_in(keys, &[], values(ids), |row| row.get::<String>(0)).await?;
        let marks = vec!["?"; ids.len()].join(",");
        let text = format!("UPDATE actions SET {set} WHERE id IN ({marks})");
        let erased = sql::execute(&txn, &text, values(ids)).await?;
        ordering_keys::promote(&txn, &self.context, keys).await?;
        txn.commit().await?;
        self.context.committed();
        Ok(erased)
    }

    /// Lists the next rows of a customer, without the write lock; `None` if there are no more. The rows that name the
    /// customer come first, by their index. Then the table is looked through once for rows that have only the number.
    async fn next_rows(&self, search: &mut Search<'_>) -> Result<Option<Vec<Uuid>>, StoreError> {
        let Search { table, person, after } = search;
        if after.is_none() {
            let ids = self.rows_of(table, "contact_id", person.contact.into(), person.tenant).await?;
            if !ids.is_empty() {
                return Ok(Some(ids));
            }
            *after = Some(Uuid::nil());
        }
        while let Some(from) = *after {
            let rest = format!("FROM {table} WHERE id > ? ORDER BY id");
            let text = format!("SELECT id {rest} LIMIT 1 OFFSET {}", SCAN_ROWS - 1);
            let last = sql::query_one(&self.read, &text, vec![from.into()]).await?;
            let last: Option<Uuid> = last.map(|row| row.try_get_by_index(0)).transpose()?;
            let text = format!(
                "SELECT id FROM (SELECT id, tenant_id, peer_key {rest} LIMIT {SCAN_ROWS}) AS page
                 WHERE tenant_id = ? AND peer_key = ?"
            );
            let of = vec![from.into(), person.tenant.uuid().into(), person.phone_key.clone().into()];
            let ids = first_column(sql::query(&self.read, &text, of).await?)?;
            *after = last;
            if !ids.is_empty() {
                return Ok(Some(ids));
            }
        }
        Ok(None)
    }

    async fn rows_of(&self, table: &str, column: &str, key: Value, tenant: TenantId) -> Result<Vec<Uuid>, StoreError> {
        let text = format!("SELECT id FROM {table} WHERE {column} = ? AND tenant_id = ? LIMIT {PAGE_ROWS}");
        first_column(sql::query(&self.read, &text, vec![key, tenant.uuid().into()]).await?)
    }

    /// Runs one statement on these rows in a transaction of its own. Their ids come from rows of the tenant.
    async fn change(&self, what: &str, set: &str, key: &str, ids: Vec<Uuid>) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let marks = vec!["?"; ids.len()].join(",");
        let txn = begin(&self.write).await?;
        let changed = sql::execute(&txn, &format!("{what} {set} WHERE {key} IN ({marks})"), values(&ids)).await?;
        txn.commit().await?;
        Ok(changed)
    }
}

/// A search for the rows of a customer in one table.
struct Search<'p> {
    table: &'static str,
    person: &'p DataSubject,
    /// The row behind which the scan for the number goes on; `None` before the scan.
    after: Option<Uuid>,
}

impl<'p> Search<'p> {
    const fn new(table: &'static str, person: &'p DataSubject) -> Self {
        Self { table, person, after: None }
    }
}

fn first_column(rows: Vec<sea_orm::QueryResult>) -> Result<Vec<Uuid>, StoreError> {
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

fn values(ids: &[Uuid]) -> Vec<Value> {
    ids.iter().map(|id| (*id).into()).collect()
}
