//! The ledger: each action is planned once. `requests/claim.rs` claims sends, `requests/outcome.rs` ends them.

use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::contacts::ContactUpsert;
use crate::domain::{
    Action, ActionId, ActionState, Channel, ContactId, EventId, HttpRequest, Origin, Phone, Route, Send, TenantId,
    Timestamp, abort,
};
use crate::store::context::WriterContext;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// From the claim on, the first byte must leave within this; later, the attempt is given back unsent.
pub const SEND_WITHIN: Duration = Duration::from_secs(10);

/// Twilio's code for a recipient who has opted out of a sender.
pub const OPTED_OUT_CODE: i64 = 21610;

/// An action to be written down.
#[derive(Clone, Debug)]
pub struct NewAction {
    pub id: ActionId,
    pub tenant: TenantId,
    pub event: EventId,
    /// Of a send its recipient, `None` where that is to be found by the number; of an effect the event's contact.
    pub contact: Option<ContactId>,
    pub rule: String,
    pub index: usize,
    /// `Planned`, `Done` (an effect) or `Blocked` (no sender to send it from).
    pub state: ActionState,
    pub reason: Option<String>,
    pub origin: Origin,
    pub action: Action,
    /// The way it leaves; `None` for effects.
    pub route: Option<Route>,
    /// Where it comes from: E.164, Messaging Service SID, an e-mail address, a name; `None` for effects.
    pub sender: Option<String>,
    /// Not before this instant; `None` for at once.
    pub due: Option<Timestamp>,
    /// What it is about besides the customer, such as an appointment: ended with it.
    pub subject: Option<Uuid>,
    /// From here on it makes no sense any more.
    pub expires: Option<Timestamp>,
}

impl NewAction {
    /// The rule name under which confirmations of STOP, START and HELP are planned.
    pub const CONFIRMATION_RULE: &'static str = "recado: opt-out confirmation";
}

/// Where an action goes, as its row has it.
#[derive(Default)]
pub(in crate::store) struct ActionColumns {
    pub channel: Option<&'static str>,
    pub recipient: Option<String>,
    pub peer_key: Option<String>,
    pub ordering_key: Option<String>,
}

impl ActionColumns {
    pub fn of(new: &NewAction) -> Self {
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
            Action::Effect(_) | Action::Voice(_) => Self::default(),
        }
    }
}

/// What stands for a channel with requests, which have none.
pub(in crate::store) const REQUEST_CHANNEL: &str = "http";

/// The server that a request goes to: all of its URL that lists and logs may show.
fn host(request: &HttpRequest) -> String {
    let after = request.url.split_once("://").map_or(request.url.as_str(), |(_, rest)| rest);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase()
}

/// The states from which a send becomes sent when the provider speaks of it, as a list in SQL has them.
pub(in crate::store) fn adopted() -> String {
    ActionState::ADOPTED.map(|state| format!("'{state}'")).join(", ")
}

const PLANNED_COLUMNS: usize = 22;

/// Writes actions down; one that is there already stays as it is.
pub(in crate::store) async fn plan(
    txn: &impl Txn,
    context: &WriterContext,
    mut actions: Vec<NewAction>,
) -> Result<(), StoreError> {
    find_recipients(txn, context, &mut actions).await?;
    let mut values: Vec<Value> = Vec::with_capacity(actions.len() * PLANNED_COLUMNS);
    let now = context.clock.now();
    for new in &actions {
        let due = new.due.filter(|due| *due > now);
        // Its place in the lane: what is to leave later does not hold back what is to leave now.
        // Of one rule's that are to leave at the same time, the first goes first.
        let planned_us = due.map_or_else(|| context.ids.tick_us(), |due| due.unix_us() + new.index as i64);
        let due_us = due.unwrap_or(now).unix_us();
        let heading = ActionColumns::of(new);
        values.extend([
            new.id.uuid().into(),
            new.tenant.uuid().into(),
            new.event.uuid().into(),
            new.contact.map(ContactId::uuid).into(),
            new.rule.clone().into(),
            (new.index as i32).into(),
            new.action.kind().into(),
            new.state.as_str().into(),
            heading.channel.into(),
            new.sender.clone().into(),
            heading.recipient.into(),
            heading.peer_key.into(),
            heading.ordering_key.into(),
            new.route.as_ref().map(Route::to_string).into(),
            new.origin.as_str().into(),
            serde_json::to_string(&new.action).map_err(StoreError::json)?.into(),
            0i32.into(),
            planned_us.into(),
            due_us.into(),
            new.reason.clone().into(),
            new.subject.into(),
            new.expires.map(Timestamp::unix_us).into(),
        ]);
    }
    txn.rows(
        "INSERT INTO actions (id, tenant_id, event_id, contact_id, rule, idx, kind, state, channel, sender, recipient,
           peer_key, lane, route, origin, payload, tries, planned_us, due_us, reason,
           subject_id, expires_us) VALUES {rows} ON CONFLICT DO NOTHING",
        PLANNED_COLUMNS,
        Cut::Padded,
        values,
    )
    .await
}

/// Every send to a number has a contact, so that what a customer has been sent can be seen and bounded.
async fn find_recipients(txn: &impl Txn, context: &WriterContext, actions: &mut [NewAction]) -> Result<(), StoreError> {
    let mut unknown = ContactUpsert::default();
    let recipient = |new: &NewAction| match &new.action {
        Action::Send(send) if new.contact.is_none() => Some((new.tenant, send.to.phone()?.clone())),
        _ => None,
    };
    let wanted: Vec<(TenantId, Phone)> = actions.iter().filter_map(recipient).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let now = context.clock.now();
    for (tenant, phone) in &wanted {
        unknown.add(*tenant, phone, now);
    }
    let contacts = unknown.upsert(txn, context).await?;
    for new in actions {
        if let Some((tenant, phone)) = recipient(new) {
            new.contact = contacts.get(&(tenant, phone.key())).map(|(id, _)| *id);
        }
    }
    Ok(())
}

/// The ordering key of a send. One send at a time leaves with the same key, in planned order: a customer's messages from
/// one number, a customer's requests to one server. E-mails have none: each may arrive before another anyhow.
pub fn ordering_key(tenant: TenantId, contact: Option<ContactId>, sender: &str, action: &Action) -> Option<String> {
    match action {
        Action::Send(send) => {
            let to = send.to.phone()?;
            // Who is on the phone can be written to.
            let prefix = if send.channel == Channel::Voice { "voice:" } else { send.channel.spec().prefix };
            Some(format!("{prefix}{sender}>{}", to.key()))
        }
        Action::Request(request) => {
            let contact = contact.map_or_else(String::new, |contact| contact.to_string());
            Some(format!("{tenant}>{}>{contact}", host(request)))
        }
        Action::Effect(_) | Action::Voice(_) => None,
    }
}

/// A send as the ledger has it.
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
    /// E.164, e-mail address, or the host of an HTTP request.
    pub recipient: String,
    /// The recipient, folded.
    pub peer_key: String,
    pub origin: Origin,
    /// The planned action, read from its row once.
    pub planned: Result<Arc<Action>, StoreError>,
    /// `None` where no sender was found for it.
    pub route: Option<Route>,
    pub tries: i32,
    /// Strictly rising: the order of sends with one ordering key.
    pub planned_at: Timestamp,
    pub first_try_at: Option<Timestamp>,
    pub tried_at: Option<Timestamp>,
    /// The send makes no sense from this instant on.
    pub expires_at: Option<Timestamp>,
}

/// The facts that the send gate needs, read in the claiming transaction.
#[derive(Clone, Debug, Default)]
pub struct GateFacts {
    pub opted_out: bool,
    /// Automatic messages to this customer within the loop guard's window.
    pub recent: i64,
    /// Messages that the business started to this customer within a day; 0 for other sends.
    pub started: i64,
    /// The customer's last message on the send's channel, where that channel has a session window.
    pub session_from: Option<Timestamp>,
    /// The customer's last message on any channel, for an answer to an event that is more than an hour old.
    pub last_inbound_at: Option<Timestamp>,
    /// The customer's field `zone`, an IANA name, for sends that quiet hours may hold back.
    pub zone: Option<Tz>,
    /// The provider's account that the send would leave through.
    pub account: String,
}

/// A due send, for the gate to judge.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub send: QueuedSend,
    pub facts: GateFacts,
}

/// The columns of an action that [`QueuedSend::read`] reads, of the table `a`.
pub(in crate::store) const SEND_COLUMNS: &str =
    "a.id, a.tenant_id, a.event_id, a.contact_id, a.channel, coalesce(a.sender, ''), coalesce(a.recipient, ''),
    coalesce(a.peer_key, ''), a.origin, a.payload, a.route, a.tries, a.planned_us, a.first_try_us, a.tried_us,
    a.expires_us";
/// How many columns [`SEND_COLUMNS`] are.
pub(in crate::store) const SEND_WIDTH: usize = 16;

impl QueuedSend {
    /// Reads [`SEND_COLUMNS`]. A payload, a channel or a route that this version does not know makes no error here, so that
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
        })
    }

    /// A send that is to be planned, as its row will read; `None` for what is no message.
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
        })
    }

    pub fn is_call(&self) -> bool {
        self.channel == Some(Channel::Voice)
    }

    /// The action, as it was planned.
    pub fn planned(&self) -> Result<&Action, StoreError> {
        self.planned.as_deref().map_err(Clone::clone)
    }

    /// The message, as it was planned.
    pub fn message(&self) -> Result<&Send, StoreError> {
        match self.planned()? {
            Action::Send(send) => Ok(send),
            other => Err(StoreError::Stored(format!("action {} is no message: {}", self.id, other.kind()))),
        }
    }
}

/// Finds sends that have a route by id, each with its state.
pub(in crate::store) async fn find(txn: &impl Txn, ids: Vec<Value>) -> Result<Vec<(QueuedSend, String)>, StoreError> {
    let text =
        format!("SELECT {SEND_COLUMNS}, a.state FROM actions a WHERE a.route IS NOT NULL AND a.id IN ({{list}})");
    txn.query_in(&text, &[], ids, |row| Ok((QueuedSend::read(row)?, row.get(SEND_WIDTH)?))).await
}

impl Store {
    /// Sends along a route of unknown outcome that it is time to look for, of all tenants.
    pub async fn unknowns(&self, route: &Route, limit: usize) -> Result<Vec<Unknown>, StoreError> {
        unknowns(&self.read, route, self.context.clock.now(), limit).await
    }

    /// Attempts begun before `began_before` whose process has died become unknown, to be looked for at `look_at`.
    pub async fn orphans_to_unknown(&self, began_before: Timestamp, look_at: Timestamp) -> Result<u64, StoreError> {
        if !has_orphans(&self.read, began_before).await? {
            return Ok(0);
        }
        let txn = begin(&self.write).await?;
        let count = orphans_to_unknown(&txn, began_before, look_at).await?;
        abort::point("before-commit");
        txn.commit().await?;
        abort::point("after-commit");
        Ok(count)
    }
}

/// Whether there are orphaned attempts: asked every second, so without the lock to write.
pub(in crate::store) async fn has_orphans(
    db: &impl ConnectionTrait,
    began_before: Timestamp,
) -> Result<bool, StoreError> {
    let text = "SELECT 1 FROM actions WHERE state = 'sending' AND tried_us < ? LIMIT 1";
    Ok(sql::query_one(db, text, vec![began_before.unix_us().into()]).await?.is_some())
}

/// Attempts whose process has died: from now on their outcome is unknown.
///
/// `began_before` leaves alone what a living process may still be sending.
pub(in crate::store) async fn orphans_to_unknown(
    txn: &impl Txn,
    began_before: Timestamp,
    look_at: Timestamp,
) -> Result<u64, StoreError> {
    txn.execute(
        "UPDATE actions SET state = 'unknown', due_us = ?, reason = ? WHERE state = 'sending' AND tried_us < ?",
        vec![
            look_at.unix_us().into(),
            "the process ended while this was being sent; the provider may have taken it".into(),
            began_before.unix_us().into(),
        ],
    )
    .await
}

/// A send of unknown outcome.
#[derive(Clone, Debug)]
pub struct Unknown {
    pub send: Arc<QueuedSend>,
    /// The account that the send went through; its list is searched.
    pub account_sid: String,
}

/// Lists unknown sends along a route that are due to be looked for.
pub(in crate::store) async fn unknowns(
    db: &impl ConnectionTrait,
    route: &Route,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Unknown>, StoreError> {
    let text = format!(
        "SELECT {SEND_COLUMNS}, coalesce(a.account_sid, '') FROM actions a
         WHERE a.state = 'unknown' AND a.route = ? AND a.due_us <= ? ORDER BY a.due_us LIMIT ?"
    );
    let values = vec![route.to_string().into(), now.unix_us().into(), (limit as i64).into()];
    let read = |row: &Row| Ok(Unknown { send: Arc::new(QueuedSend::read(row)?), account_sid: row.get(SEND_WIDTH)? });
    sql::query(db, &text, values).await?.iter().map(|row| read(&Row::Sea(row))).collect()
}
