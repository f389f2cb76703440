//! The ledger: each action is planned once. `requests/claim.rs` claims sends, `requests/outcome.rs` ends them.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono_tz::Tz;
use sea_orm::Value;
use uuid::Uuid;

use super::contacts::ContactUpsert;
use super::old_causes::OldCauses;
use super::ordering_keys;
use crate::domain::channel::AddressKind;
use crate::domain::{
    Action, ActionId, ActionState, Address, Channel, ContactId, EventId, HttpRequest, Origin, Route, Send, TenantId,
    Timestamp,
};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::rows::action;
use crate::store::rows::action::REQUEST_CHANNEL;

/// The first byte of a send must leave within this time after the claim. Later, the attempt is given back unsent.
pub const SEND_WITHIN: Duration = Duration::from_secs(10);

/// Twilio's code for a recipient who has opted out of a sender.
pub const OPTED_OUT_CODE: i64 = 21610;

/// An action to be stored.
#[derive(Clone, Debug)]
pub struct NewAction {
    pub id: ActionId,
    pub tenant: TenantId,
    pub event: EventId,
    /// The recipient of a send, or `None` if it is found by the number. The event's contact for an effect.
    pub contact: Option<ContactId>,
    pub rule: String,
    pub index: usize,
    /// `Planned`, `Done` (an effect) or `Blocked` (a send without a sender, an action that cannot be done).
    pub state: ActionState,
    pub reason: Option<String>,
    pub origin: Origin,
    pub action: Action,
    /// The route of the action; `None` for effects.
    pub route: Option<Route>,
    /// The sender: E.164, Messaging Service SID, an e-mail address, a name; `None` for effects.
    pub sender: Option<String>,
    /// The earliest time of the action; `None` for at once.
    pub due: Option<Timestamp>,
    /// The subject besides the customer, such as an appointment. The action ends with it.
    pub subject: Option<Uuid>,
    /// The time from which the action makes no sense any more.
    pub expires: Option<Timestamp>,
}

impl NewAction {
    /// The rule name of confirmations of STOP, START and HELP.
    pub const CONFIRMATION_RULE: &'static str = "recado: opt-out confirmation";
}

/// The columns of an action that name its recipient.
#[derive(Default)]
pub(in crate::store) struct ActionColumns {
    pub channel: Option<&'static str>,
    pub recipient: Option<String>,
    pub peer_key: Option<String>,
    pub ordering_key: Option<String>,
}

impl ActionColumns {
    pub fn new(new: &NewAction) -> Self {
        let ordering_key =
            new.sender.as_ref().and_then(|sender| ordering_key(new.tenant, new.contact, sender, &new.action));
        match &new.action {
            Action::Send(send) => Self {
                channel: Some(send.channel.as_str()),
                recipient: Some(send.to.to_string()),
                peer_key: Some(send.to.key()),
                ordering_key,
            },
            Action::Request(request) => {
                let host = host(request);
                Self {
                    channel: Some(REQUEST_CHANNEL),
                    peer_key: Some(host.clone()),
                    recipient: Some(host),
                    ordering_key,
                }
            }
            Action::Unaddressed(send) => {
                Self { channel: Some(send.channel.as_str()), recipient: Some(send.to.clone()), ..Self::default() }
            }
            Action::Effect(_) | Action::Voice(_) => Self::default(),
        }
    }
}

/// The server of a request. Lists and logs show nothing else of the URL.
fn host(request: &HttpRequest) -> String {
    let after = request.url.split_once("://").map_or(request.url.as_str(), |(_, rest)| rest);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase()
}

/// The states from which a report of the provider makes a send sent, as a list in SQL.
pub(in crate::store) fn adopted() -> String {
    ActionState::ADOPTED.map(|state| format!("'{state}'")).join(", ")
}

/// The column `head` is no column of exports: it follows from the other rows.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let columns = action::TABLE.full_column_list();
    format!("INSERT INTO actions ({columns}, head) VALUES {{rows}} ON CONFLICT DO NOTHING RETURNING id")
});
/// The place of the id in a row of [`INSERT`].
const ID: usize = 1;

/// Stores actions; an action that is there already stays as it is.
pub(in crate::store) async fn plan(
    txn: &impl Txn,
    context: &WriterContext,
    mut actions: Vec<NewAction>,
) -> Result<(), StoreError> {
    find_recipients(txn, context, &mut actions).await?;
    let old_causes = OldCauses::find(txn, context, &actions).await?;
    let now = context.clock.now();
    let mut rows = Vec::with_capacity(actions.len());
    for new in &actions {
        let mut row = row(context, now, new)?;
        old_causes.doubt(new, &mut row);
        rows.push(row);
    }
    let heads = ordering_keys::heads_among(txn, &rows).await?;
    let stored = insert(txn, &rows, &heads).await?;
    if stored.len() == rows.len() {
        return Ok(());
    }
    // Some are there already, or another transaction has planned a head meanwhile.
    let left: Vec<_> = rows.into_iter().filter(|row| !stored.contains(&row.id)).collect();
    insert(txn, &left, &HashSet::new()).await?;
    ordering_keys::promote(txn, context, left.into_iter().filter_map(|row| row.lane)).await
}

/// Inserts rows; gives the ids of those that were not there.
async fn insert(txn: &impl Txn, rows: &[action::Model], heads: &HashSet<Uuid>) -> Result<HashSet<Uuid>, StoreError> {
    let width = action::TABLE.width() + 1;
    let mut values: Vec<Value> = Vec::with_capacity(rows.len() * width);
    for row in rows {
        let head = heads.contains(&row.id);
        values.extend(action::new_row(row.clone()));
        values.push(head.into());
    }
    let stored: Vec<Uuid> = txn.changed(&INSERT, width, ID, Cut::Padded, values).await?;
    Ok(stored.into_iter().collect())
}

/// Makes the row of an action that is planned at `now`.
fn row(context: &WriterContext, now: Timestamp, new: &NewAction) -> Result<action::Model, StoreError> {
    let due = new.due.filter(|due| *due > now);
    // The place behind its ordering key: a send that is due later does not hold back one that is due now. Of the sends
    // of one rule that are due at the same time, the first goes first.
    let planned_us = due.map_or_else(|| context.ids.tick_us(), |due| due.unix_us() + new.index as i64);
    let columns = ActionColumns::new(new);
    Ok(action::Model {
        id: new.id.uuid(),
        tenant_id: new.tenant.uuid(),
        event_id: new.event.uuid(),
        contact_id: new.contact.map(ContactId::uuid),
        rule: new.rule.clone(),
        idx: new.index as i32,
        kind: new.action.kind().to_owned(),
        state: new.state.as_str().to_owned(),
        channel: columns.channel.map(str::to_owned),
        sender: new.sender.clone(),
        recipient: columns.recipient,
        peer_key: columns.peer_key,
        lane: columns.ordering_key,
        route: new.route.as_ref().map(Route::to_string),
        account_sid: None,
        origin: new.origin.as_str().to_owned(),
        payload: serde_json::to_string(&new.action).map_err(StoreError::json)?,
        tries: 0,
        planned_us,
        due_us: due.unwrap_or(now).unix_us(),
        first_try_us: None,
        tried_us: None,
        reason: new.reason.clone(),
        error_code: None,
        provider_sid: None,
        subject_id: new.subject,
        expires_us: new.expires.map(Timestamp::unix_us),
    })
}

/// Finds or makes the contact of every send to a number or a WhatsApp id, so that the messages of a customer can be listed and limited.
async fn find_recipients(txn: &impl Txn, context: &WriterContext, actions: &mut [NewAction]) -> Result<(), StoreError> {
    let mut unknown = ContactUpsert::default();
    let recipient = |new: &NewAction| match &new.action {
        Action::Send(send) if new.contact.is_none() => Some((new.tenant, reachable(&send.to)?.clone())),
        _ => None,
    };
    let wanted: Vec<(TenantId, Address)> = actions.iter().filter_map(recipient).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let now = context.clock.now();
    for (tenant, address) in &wanted {
        unknown.add(*tenant, address, now);
    }
    let contacts = unknown.upsert(txn, context).await?;
    for new in actions {
        if let Some((tenant, address)) = recipient(new) {
            new.contact = contacts.get(tenant, &address).map(|(id, _)| id);
        }
    }
    Ok(())
}

/// The address of a customer's phone. An e-mail address is none.
const fn reachable(to: &Address) -> Option<&Address> {
    match to {
        Address::Phone(_) | Address::WhatsApp(_) => Some(to),
        Address::Email(_) => None,
    }
}

/// The ordering key of a send. One send at a time leaves with the same key, in planned order: a customer's messages
/// from one number, a customer's requests to one server. E-mails have none, because they may arrive in any order
/// anyhow.
pub fn ordering_key(tenant: TenantId, contact: Option<ContactId>, sender: &str, action: &Action) -> Option<String> {
    match action {
        Action::Send(send) => {
            let to = reachable(&send.to)?;
            // A call does not hold back messages to the same customer.
            let prefix = if send.channel == Channel::Voice { "voice:" } else { send.channel.spec().prefix };
            Some(format!("{prefix}{sender}>{}", to.key()))
        }
        Action::Request(request) => {
            let contact = contact.map_or_else(String::new, |contact| contact.to_string());
            Some(format!("{tenant}>{}>{contact}", host(request)))
        }
        Action::Unaddressed(_) | Action::Effect(_) | Action::Voice(_) => None,
    }
}

/// A send in the ledger.
#[derive(Clone, Debug)]
pub struct QueuedSend {
    pub id: ActionId,
    pub tenant: TenantId,
    pub event: EventId,
    pub contact: Option<ContactId>,
    /// `None` for HTTP requests.
    pub channel: Option<Channel>,
    /// E.164, Messaging Service SID, e-mail address or a name.
    pub sender: String,
    /// E.164, WhatsApp user id, e-mail address, or the host of an HTTP request.
    pub recipient: String,
    /// The folded recipient.
    pub peer_key: String,
    pub origin: Origin,
    /// The planned action, parsed once.
    pub planned: Result<Arc<Action>, StoreError>,
    /// `None` if the send has no sender.
    pub route: Option<Route>,
    pub tries: i32,
    /// The order of the sends with one ordering key; strictly rising.
    pub planned_at: Timestamp,
    pub first_try_at: Option<Timestamp>,
    pub tried_at: Option<Timestamp>,
    /// The time from which the send makes no sense any more.
    pub expires_at: Option<Timestamp>,
    /// One send at a time leaves with the same key.
    pub ordering_key: Option<String>,
}

/// The facts that the send gate needs. The claiming transaction reads them.
#[derive(Clone, Debug, Default)]
pub struct GateFacts {
    pub opted_out: bool,
    /// Automatic messages to this customer within the loop guard's window.
    pub recent: i64,
    /// Messages that the business started to this customer within a day; 0 for other sends.
    pub started: i64,
    /// The customer's last message on the send's channel, if that channel has a session window.
    pub session_from: Option<Timestamp>,
    /// The customer's last message on any channel, for an answer to an event that is more than an hour old.
    pub last_inbound_at: Option<Timestamp>,
    /// The customer's field `zone`, an IANA name, for sends that quiet hours may hold back.
    pub zone: Option<Tz>,
    /// The provider's account that the send would leave through.
    pub account: String,
    /// Messages to phones and calls of the tenant within this hour of the clock, and within 24. They are counted where the
    /// tenant has a budget.
    pub sent_this_hour: i64,
    pub sent_today: i64,
}

/// A due send that the gate judges.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub send: QueuedSend,
    pub facts: GateFacts,
}

/// The columns that [`QueuedSend::read`] reads, of the table `a`.
pub(in crate::store) const SEND_COLUMNS: &str =
    "a.id, a.tenant_id, a.event_id, a.contact_id, a.channel, coalesce(a.sender, ''), coalesce(a.recipient, ''),
    coalesce(a.peer_key, ''), a.origin, a.payload, a.route, a.tries, a.planned_us, a.first_try_us, a.tried_us,
    a.expires_us, a.lane";
/// The number of columns in [`SEND_COLUMNS`].
pub(in crate::store) const SEND_WIDTH: usize = 17;

impl QueuedSend {
    /// Reads [`SEND_COLUMNS`]. A payload, channel or route that this version does not know gives no error here, so that
    /// one row does not stop the others.
    pub(in crate::store) fn read(row: &Row) -> Result<Self, StoreError> {
        let at = |us: Option<i64>| us.map(Timestamp::from_unix_us);
        Ok(Self {
            id: ActionId::new(row.get(0)?),
            tenant: TenantId::new(row.get(1)?),
            event: EventId::new(row.get(2)?),
            contact: row.get::<Option<Uuid>>(3)?.map(ContactId::new),
            channel: row.get::<Option<String>>(4)?.and_then(|channel| channel.parse().ok()),
            sender: row.get(5)?,
            recipient: row.get(6)?,
            peer_key: row.get(7)?,
            origin: Origin::from_stored(&row.get::<String>(8)?),
            planned: serde_json::from_str(&row.get::<String>(9)?).map(Arc::new).map_err(StoreError::json),
            route: row.get::<Option<String>>(10)?.and_then(|route| route.parse().ok()),
            tries: row.get(11)?,
            planned_at: Timestamp::from_unix_us(row.get(12)?),
            first_try_at: at(row.get(13)?),
            tried_at: at(row.get(14)?),
            expires_at: at(row.get(15)?),
            ordering_key: row.get(16)?,
        })
    }

    /// The send that a new action becomes; `None` for an action that is no message.
    pub fn from_new(new: &NewAction) -> Option<Self> {
        let Action::Send(send) = &new.action else { return None };
        Some(Self {
            id: new.id,
            tenant: new.tenant,
            event: new.event,
            contact: new.contact,
            channel: Some(send.channel),
            sender: new.sender.clone().unwrap_or_default(),
            recipient: send.to.to_string(),
            peer_key: send.to.key(),
            origin: new.origin,
            planned: Ok(Arc::new(new.action.clone())),
            route: new.route.clone(),
            tries: 0,
            planned_at: new.due.unwrap_or(Timestamp::from_unix_us(0)),
            first_try_at: None,
            tried_at: None,
            expires_at: new.expires,
            ordering_key: None,
        })
    }

    /// Whether the send counts in its tenant's budget when it leaves: a message or a call, at its first try. E-mails and the
    /// confirmation of an opt-out do not.
    pub fn counts_in_budget(&self) -> bool {
        let costs = self.channel.is_some_and(|channel| channel.spec().address != AddressKind::Email);
        costs && self.tries == 0 && self.origin != Origin::System
    }

    pub fn is_call(&self) -> bool {
        self.channel == Some(Channel::Voice)
    }

    /// The planned action.
    pub fn planned(&self) -> Result<&Action, StoreError> {
        self.planned.as_deref().map_err(Clone::clone)
    }

    /// The planned message.
    pub fn message(&self) -> Result<&Send, StoreError> {
        match self.planned()? {
            Action::Send(send) => Ok(send),
            other => Err(StoreError::Stored(format!("action {} is no message: {}", self.id, other.kind()))),
        }
    }
}

/// Finds sends with a route by their ids, each with its state.
pub(in crate::store) async fn find(txn: &impl Txn, ids: Vec<Value>) -> Result<Vec<(QueuedSend, String)>, StoreError> {
    let text =
        format!("SELECT {SEND_COLUMNS}, a.state FROM actions a WHERE a.route IS NOT NULL AND a.id IN ({{list}})");
    txn.query_in(&text, &[], ids, |row| Ok((QueuedSend::read(row)?, row.get(SEND_WIDTH)?))).await
}
