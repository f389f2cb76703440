//! Reads pending work without changing it: for forecasts, and for a simulated clock that looks for its next instant.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::domain::{Address, Channel, ContactId, Event, EventId, Origin, TenantId, TimerId, Timestamp};
use crate::store::db::LIST_MAX;
use crate::store::db::sql;
use crate::store::db::sql::Row;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::timer::{COLUMNS, PendingTimer};
use crate::store::tables::actions::{NewAction, QueuedSend, SEND_COLUMNS, SEND_WIDTH};
use crate::store::tables::events;
use crate::store::tables::identity::CUSTOMER_OF_KEY;
use crate::store::tables::timers::TIMERS_PAGE;

/// Undecided events of one page.
const UNDECIDED_PAGE: usize = 500;

/// A send that is planned or settled.
#[derive(Clone, Debug)]
pub struct PlannedSend {
    pub send: QueuedSend,
    pub rule: String,
    /// The time when it is due, or when it left or was stopped.
    pub due: Timestamp,
    pub state: String,
    /// The reason why it waits or was stopped.
    pub reason: Option<String>,
    /// The subject besides the customer, such as an appointment.
    pub subject: Option<Uuid>,
}

impl PlannedSend {
    /// The send that a decision plans; `None` for effects and requests.
    pub fn from_new(new: &NewAction, due: Timestamp) -> Option<Self> {
        let (state, reason) = (new.state.as_str().to_owned(), new.reason.clone());
        let send = QueuedSend::from_new(new)?;
        Some(Self { send, rule: new.rule.clone(), due, state, reason, subject: new.subject })
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            send: QueuedSend::read(row)?,
            rule: row.get(SEND_WIDTH)?,
            due: Timestamp::from_unix_us(row.get(SEND_WIDTH + 1)?),
            state: row.get(SEND_WIDTH + 2)?,
            reason: row.get(SEND_WIDTH + 3)?,
            subject: row.get(SEND_WIDTH + 4)?,
        })
    }
}

/// The facts about a recipient that the gate needs.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// The customer with this number, if there is one.
    pub contact: Option<ContactId>,
    pub opted_out: bool,
    /// The recent automatic messages to the customer, and their origins.
    pub lately: Vec<(Timestamp, Origin)>,
}

/// The open work at an instant, and the next instant with work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Undecided events, due timers and sends, and sends in progress.
    pub open: i64,
    /// The time of the next timer or send; `None` if nothing is planned.
    pub next: Option<Timestamp>,
}

/// The query that [`PlannedSend::read`] reads, up to its `WHERE`.
fn sends() -> String {
    format!("SELECT {SEND_COLUMNS}, a.rule, a.due_us, a.state, a.reason, a.subject_id FROM actions a")
}

impl Store {
    /// Lists a tenant's messages and calls that are planned for times up to `until`, the next first, at most
    /// [`LIST_MAX`].
    pub async fn planned_sends(&self, tenant: TenantId, until: Timestamp) -> Result<Vec<PlannedSend>, StoreError> {
        let text = format!(
            "{} WHERE tenant_id = ? AND state = 'planned' AND channel IN ({})
               AND due_us <= ? ORDER BY due_us, planned_us LIMIT ?",
            sends(),
            sql::channels(|_| true)
        );
        let values = vec![tenant.uuid().into(), until.unix_us().into(), (LIST_MAX as i64).into()];
        self.sends(&text, values).await
    }

    /// Lists a page of a tenant's undecided events after `after`, in the order of their decisions. It reads the rows
    /// and leaves the cache alone.
    pub async fn undecided_after(&self, tenant: TenantId, after: Option<EventId>) -> Result<Vec<Event>, StoreError> {
        events::pending(&self.read, tenant, after, UNDECIDED_PAGE).await
    }

    /// Finds the customer with this address, and the channels that it has opted out of.
    pub async fn whose(
        &self,
        tenant: TenantId,
        address: &Address,
    ) -> Result<(Option<ContactId>, BTreeSet<Channel>), StoreError> {
        let text = format!(
            "SELECT CAST(NULL AS text), {CUSTOMER_OF_KEY}
          UNION ALL SELECT channel, NULL FROM opt_outs
            WHERE tenant_id = ? AND peer_key = ? AND sender = '' AND active AND channel IN ({})",
            sql::channels(|spec| spec.receives)
        );
        let key = address.key();
        let of_customer = || [tenant.uuid().into(), key.clone().into()];
        let values = [of_customer(), of_customer(), of_customer()].into_iter().flatten().collect();
        let (mut contact, mut opted_out) = (None, BTreeSet::new());
        for row in sql::query(&self.read, &text, values).await? {
            let channel: Option<String> = row.try_get_by_index(0)?;
            if let Some(channel) = channel {
                opted_out.insert(channel.parse().map_err(StoreError::stored)?);
            }
            contact = contact.or(row.try_get_by_index::<Option<Uuid>>(1)?.map(ContactId::new));
        }
        Ok((contact, opted_out))
    }

    /// Lists a tenant's messages that left or were stopped for good in this time, the oldest first, at most
    /// [`LIST_MAX`]. It scans all actions of the tenant: for copies and tests.
    pub async fn settled_sends(
        &self,
        tenant: TenantId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<PlannedSend>, StoreError> {
        let text = format!(
            "{} WHERE tenant_id = ? AND channel IN ({})
               AND state IN ('sent', 'failed', 'unknown', 'blocked', 'held') AND due_us > ? AND due_us <= ?
             ORDER BY due_us, planned_us, id LIMIT ?",
            sends(),
            sql::channels(|spec| spec.channel != Channel::Voice)
        );
        let within = [from.unix_us().into(), until.unix_us().into(), (LIST_MAX as i64).into()];
        self.sends(&text, std::iter::once(tenant.uuid().into()).chain(within).collect()).await
    }

    async fn sends(&self, text: &str, values: Vec<sea_orm::Value>) -> Result<Vec<PlannedSend>, StoreError> {
        let rows = sql::query(&self.read, text, values).await?;
        rows.iter().map(|row| PlannedSend::read(&Row::Sea(row))).collect()
    }

    /// Lists a page of pending timers after `after`, in their order: those of one tenant, or those of all tenants.
    pub async fn timers_ahead(
        &self,
        tenant: Option<TenantId>,
        after: Option<(Timestamp, TimerId)>,
    ) -> Result<Vec<PendingTimer>, StoreError> {
        let Some(tenant) = tenant else { return self.timers_after(after).await };
        let text = format!(
            "SELECT {} FROM timers WHERE tenant_id = ? AND (due_us, id) > (?, ?) ORDER BY due_us, id LIMIT {TIMERS_PAGE}",
            *COLUMNS
        );
        let (due, id) = after.map_or((i64::MIN, Uuid::nil()), |(due, id)| (due.unix_us(), id.uuid()));
        let rows = sql::query(&self.read, &text, vec![tenant.uuid().into(), due.into(), id.into()]).await?;
        rows.iter().map(|row| PendingTimer::read(&Row::Sea(row))).collect()
    }

    /// Reads the facts about the recipient of a send for the gate. The recent messages are those after `since`.
    pub async fn recipient(&self, tenant: TenantId, send: &QueuedSend, since: Timestamp) -> Result<Left, StoreError> {
        let key = send.peer_key.clone();
        let text = format!(
            "SELECT {CUSTOMER_OF_KEY} AS contact,
            EXISTS (SELECT 1 FROM opt_outs WHERE tenant_id = ? AND channel = ? AND peer_key = ? AND active
              AND (sender = '' OR sender = ?)) AS opted_out"
        );
        let values = vec![
            tenant.uuid().into(),
            key.clone().into(),
            tenant.uuid().into(),
            key.clone().into(),
            tenant.uuid().into(),
            send.channel.map(Channel::as_str).into(),
            key.into(),
            send.sender.clone().into(),
        ];
        let Some(row) = sql::query_one(&self.read, &text, values).await? else { return Ok(Left::default()) };
        let (found, opted_out): (Option<Uuid>, bool) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let contact = send.contact.map(ContactId::uuid).or(found);
        let mut lately = Vec::new();
        if let Some(contact) = contact {
            let text = "SELECT at_us, origin FROM messages WHERE contact_id = ? AND tenant_id = ? AND at_us > ?
              AND direction = 'out' AND origin IN ('answer', 'business') AND status <> 'blocked' ORDER BY at_us LIMIT ?";
            let values = vec![contact.into(), tenant.uuid().into(), since.unix_us().into(), (LIST_MAX as i64).into()];
            for row in sql::query(&self.read, text, values).await? {
                let origin: String = row.try_get_by_index(1)?;
                lately.push((Timestamp::from_unix_us(row.try_get_by_index(0)?), Origin::from_stored(&origin)));
            }
        }
        Ok(Left { contact: contact.map(ContactId::new), opted_out, lately })
    }

    /// Counts the open work by the store's clock, and finds the next instant with work.
    pub async fn ahead(&self) -> Result<Ahead, StoreError> {
        let now = self.clock().now().unix_us();
        let text = "SELECT (SELECT count(*) FROM events WHERE handled_us IS NULL)
            + (SELECT count(*) FROM actions WHERE state = 'planned' AND due_us <= ?)
            + (SELECT count(*) FROM actions WHERE state = 'sending')
            + (SELECT count(*) FROM actions WHERE state = 'unknown' AND due_us <= ?)
            + (SELECT count(*) FROM timers WHERE due_us <= ?) AS open,
          (SELECT min(at_us) FROM (SELECT min(due_us) AS at_us FROM timers WHERE due_us > ?
            UNION ALL SELECT min(retry_us) FROM timers_set_aside WHERE retry_us > ?
            UNION ALL SELECT min(due_us) FROM actions WHERE state = 'planned' AND due_us > ?
            UNION ALL SELECT min(due_us) FROM actions WHERE state = 'unknown' AND due_us > ?) AS next) AS next_us";
        let row = sql::query_one(&self.read, text, vec![now.into(); 7]).await?;
        let Some(row) = row else { return Ok(Ahead { open: 0, next: None }) };
        let next: Option<i64> = row.try_get_by_index(1)?;
        Ok(Ahead { open: row.try_get_by_index(0)?, next: next.map(Timestamp::from_unix_us) })
    }
}
