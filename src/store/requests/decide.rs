//! What a decision reads, and what it writes: actions, effects and the handled mark, in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::domain::contact::ContactFacts;
use crate::domain::id::{Id, noun};
use crate::domain::{
    Action, ActionId, ActionState, AppointmentId, Channel, ContactId, Effect, Event, EventId, EventKind, Firing, Ids,
    NewTimer, Phone, QuestionChange, TenantId, Timestamp,
};
use crate::store::StoreError;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::pending_cache::Committed;
use crate::store::rows::attempt;
use crate::store::tables::actions;
use crate::store::tables::actions::NewAction;
use crate::store::tables::calls::TurnAnswer;
use crate::store::tables::{appointments, calls, events, firings, questions, timers};
use crate::store::writer::Means;

/// One decided event, ready to be written.
#[derive(Clone, Debug)]
pub struct Decided {
    pub event: EventId,
    pub tenant: TenantId,
    pub contact: Option<ContactId>,
    pub depth: u8,
    pub at: Timestamp,
    /// JSON of the trace; `None` where no rule was evaluated.
    pub trace: Option<String>,
    /// Sends and effects, in the order in which the rules asked for them.
    pub actions: Vec<NewAction>,
    /// Events that it makes besides those that rules emit.
    pub children: Vec<Event>,
    /// What falls due later.
    pub timers: Vec<NewTimer>,
    /// What is said in the call that the event is of.
    pub answer: Option<TurnAnswer>,
    /// Rules with a limit that have run, for `contact`.
    pub firings: Vec<Firing>,
    /// Questions to `contact` that it asks or ends.
    pub questions: Vec<QuestionChange>,
}

/// What the decision has set going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecidedReceipt {
    pub sends: usize,
    pub emitted: usize,
    /// Events whose decision had been overtaken: nothing of it was written, they wait to be decided anew.
    pub overtaken: usize,
}

pub(in crate::store) async fn write(
    txn: &impl Txn,
    means: &Means,
    decisions: &[Decided],
    committed: &mut Committed,
) -> Result<DecidedReceipt, StoreError> {
    let still_open = mark_handled(txn, decisions).await?;
    let mut decisions: Vec<&Decided> =
        decisions.iter().filter(|decided| still_open.contains(&decided.event.uuid())).collect();
    let overtaken = leave_overtaken(txn, means, &mut decisions).await?;
    let mut traces: Vec<Value> = Vec::new();
    let mut actions: Vec<NewAction> = Vec::new();
    let mut children = Vec::new();
    let mut asked = Vec::new();
    let mut changes: Vec<(&Decided, &NewAction, &Effect)> = Vec::new();
    let mut ends: Vec<(AppointmentId, usize)> = Vec::new();
    for decided in &decisions {
        let before = actions.len();
        if let Some(answer) = &decided.answer {
            calls::answer(txn, decided.tenant, answer).await?;
        }
        if let Some(trace) = &decided.trace {
            traces.extend([
                decided.event.uuid().into(),
                decided.tenant.uuid().into(),
                decided.at.unix_us().into(),
                trace.clone().into(),
            ]);
        }
        for action in &decided.actions {
            match &action.action {
                Action::Effect(Effect::Emit { kind, data }) => {
                    children.push(emitted(means.ids.next(), decided, action, kind, data));
                }
                Action::Effect(effect) => match appointments::Asked::of(decided, action, effect) {
                    Some(one) => {
                        ends.extend(one.order.change.ends_plans().then_some((one.order.id, before)));
                        asked.push(one);
                    }
                    None => changes.push((decided, action, effect)),
                },
                Action::Send(_) | Action::Request(_) | Action::Voice(_) => {}
            }
            actions.push(action.clone());
        }
    }
    children.extend(decisions.iter().flat_map(|decided| decided.children.iter().cloned()));
    let sends = actions.iter().filter(|action| action.route.is_some()).count();
    txn.rows(
        "INSERT INTO rule_runs (event_id, tenant_id, decided_us, trace) VALUES {rows} ON CONFLICT DO NOTHING",
        4,
        Cut::Padded,
        traces,
    )
    .await?;
    events::insert(txn, children.iter().map(|event| (event, None))).await?;
    let mut emitted = children.len();
    committed.events.extend(children);
    committed.changed_customers |= !changes.is_empty();
    change_contacts(txn, means, changes).await?;
    // Before anything is planned: what hangs on an appointment that is cancelled here is only what was planned before.
    let changed = appointments::by_rules(txn, means, &asked).await?;
    end_plans(&mut actions, &ends, &changed);
    emitted += changed.len();
    committed.events.extend(changed);
    actions::plan(txn, means, actions).await?;
    timers::plan(txn, means, decisions.iter().flat_map(|decided| &decided.timers)).await?;
    Ok(DecidedReceipt { sends, emitted, overtaken })
}

/// What was decided in this batch before the decision that moved or ended an appointment, and hangs on it, does not leave
/// any more: as if it had been written down before.
fn end_plans(actions: &mut [NewAction], ends: &[(AppointmentId, usize)], changed: &[Event]) {
    for event in changed {
        let reason = match &event.kind {
            kind if *kind == EventKind::APPOINTMENT_CANCELLED => "the appointment was cancelled",
            kind if *kind == EventKind::APPOINTMENT_MOVED => "the appointment was moved",
            _ => continue,
        };
        let is_it = |id: &AppointmentId| event.data["appointment"]["id"] == id.to_string();
        let Some((id, before)) = ends.iter().find(|(id, _)| is_it(id)) else { continue };
        let hangs = |action: &&mut NewAction| {
            action.subject == Some(id.uuid()) && action.state == ActionState::Planned && action.route.is_some()
        };
        for action in actions[..*before].iter_mut().filter(hangs) {
            (action.state, action.reason) = (ActionState::Blocked, Some(reason.to_owned()));
        }
    }
}

fn emitted(id: EventId, decided: &Decided, action: &NewAction, kind: &EventKind, data: &Json) -> Event {
    Event {
        id,
        tenant: decided.tenant,
        kind: kind.clone(),
        channel: None,
        contact: decided.contact,
        occurred_at: decided.at,
        dedupe_key: Some(format!("emit:{}", action.id)),
        depth: decided.depth + 1,
        data: data.clone(),
    }
}

impl Decided {
    /// The events that its rules emit.
    pub fn emitted(&self, ids: &Ids) -> Vec<Event> {
        let emit = |action: &NewAction| match &action.action {
            Action::Effect(Effect::Emit { kind, data }) => Some(emitted(ids.next(), self, action, kind, data)),
            _ => None,
        };
        self.actions.iter().filter_map(emit).collect()
    }
}

/// Writes what stands between a customer's events: firings of rules that have a limit, questions. A decision made on what
/// holds no more is taken out, with those on later events of the customer that it was shown to: they are decided anew.
async fn leave_overtaken(txn: &impl Txn, means: &Means, decisions: &mut Vec<&Decided>) -> Result<usize, StoreError> {
    let mut customers: HashSet<ContactId> = HashSet::new();
    let mut overtaken: HashSet<EventId> = HashSet::new();
    for decided in &*decisions {
        let Some(contact) = decided.contact else { continue };
        let holds = !customers.contains(&contact)
            && firings::allowed(txn, decided).await?
            && questions::write(txn, means, decided).await?;
        if holds {
            firings::write(txn, decided).await?;
            continue;
        }
        customers.insert(contact);
        overtaken.insert(decided.event);
        txn.execute(
            "UPDATE events SET handled_us = NULL WHERE id = ? AND tenant_id = ?",
            vec![decided.event.uuid().into(), decided.tenant.uuid().into()],
        )
        .await?;
    }
    decisions.retain(|decided| !overtaken.contains(&decided.event));
    Ok(overtaken.len())
}

/// Marks the events handled; gives those that were not so before, since another process may have been quicker.
async fn mark_handled(txn: &impl Txn, decisions: &[Decided]) -> Result<HashSet<Uuid>, StoreError> {
    let mut values: Vec<Value> = Vec::with_capacity(decisions.len() * 3);
    for decided in decisions {
        values.extend([decided.event.uuid().into(), decided.tenant.uuid().into(), decided.at.unix_us().into()]);
    }
    let still_open: Vec<Uuid> = txn.changed(
        "UPDATE events SET handled_us = v.column3 FROM (VALUES {rows}) AS v
         WHERE events.id = v.column1 AND events.tenant_id = v.column2 AND events.handled_us IS NULL RETURNING events.id",
        3,
        0,
        Cut::Padded,
        values,
    )
    .await?;
    Ok(still_open.into_iter().collect())
}

/// Tags, fields and notes: the customer's row and its dated history.
async fn change_contacts(
    txn: &impl Txn,
    means: &Means,
    changes: Vec<(&Decided, &NewAction, &Effect)>,
) -> Result<(), StoreError> {
    let ids: Vec<Value> =
        changes.iter().filter_map(|(_, action, _)| action.contact).map(|id| id.uuid().into()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let text = "SELECT id, tenant_id, name, tags, fields FROM contacts WHERE id IN ({list})";
    let cards = txn.query_in(text, &[], ids, ContactEdit::read).await?;
    let mut contacts: HashMap<Uuid, ContactEdit> = cards.into_iter().map(|card| (card.id, card)).collect();
    let mut history: Vec<Value> = Vec::new();
    for (decided, action, effect) in changes {
        let card = action.contact.and_then(|id| contacts.get_mut(&id.uuid()));
        let Some(card) = card.filter(|card| card.tenant_id == decided.tenant.uuid()) else { continue };
        let Some(change) = card.alter(effect) else { continue };
        let id: Id<noun::Attempt> = means.ids.next();
        history.extend([
            id.uuid().into(),
            decided.tenant.uuid().into(),
            card.id.into(),
            decided.at.unix_us().into(),
            change.kind.into(),
            change.name.into(),
            change.old.map(|value| value.to_string()).into(),
            change.new.map(|value| value.to_string()).into(),
            action.id.uuid().into(),
        ]);
    }
    let mut rows: Vec<Value> = Vec::new();
    for ContactEdit { id, tenant_id, name, tags, fields } in contacts.into_values() {
        rows.extend([
            id.into(),
            tenant_id.into(),
            name.into(),
            serde_json::to_string(&tags).map_err(StoreError::json)?.into(),
            serde_json::to_string(&fields).map_err(StoreError::json)?.into(),
        ]);
    }
    txn.rows(
        "UPDATE contacts SET name = v.column3, tags = v.column4, fields = v.column5 FROM (VALUES {rows}) AS v
         WHERE contacts.id = v.column1 AND contacts.tenant_id = v.column2",
        5,
        Cut::Padded,
        rows,
    )
    .await?;
    txn.rows(
        "INSERT INTO contact_history (id, tenant_id, contact_id, at_us, kind, name, old, new, action_id) VALUES {rows}",
        9,
        Cut::Exact,
        history,
    )
    .await
}

struct Change {
    kind: &'static str,
    name: String,
    old: Option<Json>,
    new: Option<Json>,
}

/// A customer's row, opened to be changed.
struct ContactEdit {
    id: Uuid,
    tenant_id: Uuid,
    name: String,
    tags: BTreeSet<String>,
    fields: BTreeMap<String, Json>,
}

impl ContactEdit {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            tenant_id: row.get(1)?,
            name: row.get(2)?,
            tags: json(&row.get::<String>(3)?)?,
            fields: json(&row.get::<String>(4)?)?,
        })
    }

    /// Applies an effect; `None` where it changes nothing.
    fn alter(&mut self, effect: &Effect) -> Option<Change> {
        match effect {
            Effect::Tag { tag } => self.tags.insert(tag.clone()).then(|| Change {
                kind: "tag",
                name: tag.clone(),
                old: None,
                new: Some(Json::Bool(true)),
            }),
            Effect::Untag { tag } => self.tags.remove(tag).then(|| Change {
                kind: "tag",
                name: tag.clone(),
                old: Some(Json::Bool(true)),
                new: None,
            }),
            Effect::SetField { field, value } => {
                let new = (!value.is_null()).then(|| value.clone());
                let old = match &new {
                    Some(value) => self.fields.insert(field.clone(), value.clone()),
                    None => self.fields.remove(field),
                };
                if field == "name" {
                    self.name = value.as_str().unwrap_or_default().to_owned();
                }
                (old != new).then(|| Change { kind: "field", name: field.clone(), old, new })
            }
            Effect::Note { text } => {
                Some(Change { kind: "note", name: String::new(), old: None, new: Some(Json::String(text.clone())) })
            }
            Effect::Emit { .. }
            | Effect::ConfirmAppointment { .. }
            | Effect::CancelAppointment { .. }
            | Effect::MoveAppointment { .. } => None,
        }
    }
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(StoreError::json)
}

/// Customers' rows, as far as facts need them; read by position, since they are read often. Each channel that receives
/// messages adds two columns: the customer's last message on it, and whether they have opted out of it.
pub(in crate::store) static CONTACTS: LazyLock<String> = LazyLock::new(|| {
    let of_channel = |channel: Channel| {
        format!(
            ",
    (SELECT l.last_us FROM contact_channels l
      WHERE l.tenant_id = c.tenant_id AND l.contact_id = c.id AND l.channel = '{channel}'),
    EXISTS (SELECT 1 FROM opt_outs o WHERE o.tenant_id = c.tenant_id AND o.peer_key = c.phone_key
      AND o.channel = '{channel}' AND o.sender = '' AND o.active)"
        )
    };
    format!(
        "SELECT c.id, c.phone, c.name, c.profile_name, c.tags, c.fields, c.inbound_count, c.created_us{}
  FROM contacts c WHERE c.tenant_id = ? AND c.id IN ({{list}})",
        Channel::INBOUND.map(of_channel).concat()
    )
});
/// The columns of [`CONTACTS`] before those of the channels.
const CONTACT_COLUMNS: usize = 8;

/// What is known of customers at `as_of`: their rows, with later changes undone.
///
/// One function for live decisions, where nothing lies after `as_of`, and for explanations of old ones. The second
/// value says in words what could not be rebuilt.
pub(in crate::store) async fn contact_facts(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: &[ContactId],
    as_of: Option<Timestamp>,
) -> Result<(HashMap<ContactId, ContactFacts>, Vec<String>), StoreError> {
    let list: Vec<Value> = ids.iter().map(|id| id.uuid().into()).collect();
    let mut facts = HashMap::with_capacity(ids.len());
    for row in sql::query_in(db, &CONTACTS, &[tenant.uuid().into()], list).await? {
        let contact = read_facts(&Row::Sea(&row))?;
        facts.insert(contact.id, contact);
    }
    let mut not_rebuilt = Vec::new();
    if let Some(as_of) = as_of {
        for contact in facts.values_mut() {
            rewind(db, tenant, contact, as_of, &mut not_rebuilt).await?;
        }
    }
    Ok((facts, not_rebuilt))
}

pub(in crate::store) fn read_facts(row: &Row) -> Result<ContactFacts, StoreError> {
    let (name, profile_name): (String, String) = (row.get(2)?, row.get(3)?);
    let mut facts = ContactFacts {
        id: ContactId::new(row.get(0)?),
        phone: Phone::parse(&row.get::<String>(1)?).map_err(StoreError::stored)?,
        name: if name.is_empty() { profile_name } else { name },
        tags: json(&row.get::<String>(4)?)?,
        fields: json(&row.get::<String>(5)?)?,
        opted_out: BTreeSet::new(),
        created_at: Timestamp::from_unix_us(row.get(7)?),
        last_inbound_at: BTreeMap::new(),
        inbound_count: row.get(6)?,
    };
    for (place, channel) in Channel::INBOUND.into_iter().enumerate() {
        let column = CONTACT_COLUMNS + 2 * place;
        if let Some(last_us) = row.get::<Option<i64>>(column)? {
            facts.last_inbound_at.insert(channel, Timestamp::from_unix_us(last_us));
        }
        if row.get(column + 1)? {
            facts.opted_out.insert(channel);
        }
    }
    Ok(facts)
}

/// Reads the customers of the events that will be kept at hand, as the transaction leaves them.
pub(in crate::store) async fn read_customers(
    txn: &impl Txn,
    means: &Means,
    committed: &mut Committed,
) -> Result<(), StoreError> {
    let mut wanted: HashMap<TenantId, Vec<Value>> = HashMap::new();
    for event in &committed.events {
        if let Some(contact) = event.contact {
            wanted.entry(event.tenant).or_default().push(contact.uuid().into());
        }
    }
    wanted.retain(|tenant, _| means.fresh.keeps(*tenant));
    for (tenant, list) in wanted {
        let customers = txn.query_in(&CONTACTS, &[tenant.uuid().into()], list, read_facts).await?;
        committed.customers.extend(customers.into_iter().map(|customer| (customer.id, customer)));
    }
    Ok(())
}

/// Undoes what happened to a customer after `as_of`.
async fn rewind(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    contact: &mut ContactFacts,
    as_of: Timestamp,
    not_rebuilt: &mut Vec<String>,
) -> Result<(), StoreError> {
    let key = contact.phone.key();
    let since = [tenant.uuid().into(), contact.id.uuid().into(), as_of.unix_us().into()];
    let later = sql::query(
        db,
        "SELECT kind, name, old FROM contact_history
         WHERE tenant_id = ? AND contact_id = ? AND at_us >= ? ORDER BY at_us DESC, id DESC",
        since.to_vec(),
    )
    .await?;
    for row in later {
        let (kind, name, old): (String, String, Option<String>) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let old = old.map(|old| serde_json::from_str::<Json>(&old)).transpose().map_err(StoreError::json)?;
        match (kind.as_str(), old) {
            ("tag", Some(_)) => drop(contact.tags.insert(name)),
            ("tag", None) => drop(contact.tags.remove(&name)),
            ("field", Some(old)) => drop(contact.fields.insert(name, old)),
            ("field", None) => drop(contact.fields.remove(&name)),
            _ => {}
        }
    }
    let heard = vec![tenant.uuid().into(), contact.id.uuid().into(), as_of.unix_us().into()];
    let wished = vec![tenant.uuid().into(), key.into(), as_of.unix_us().into()];
    contact.last_inbound_at.clear();
    contact.inbound_count = 0;
    let inbound = "SELECT channel, max(at_us), count(*) FROM messages
      WHERE tenant_id = ? AND contact_id = ? AND at_us <= ? AND direction = 'in' GROUP BY channel";
    for row in sql::query(db, inbound, heard).await? {
        let channel: String = row.try_get_by_index(0)?;
        let channel = channel.parse().map_err(StoreError::stored)?;
        contact.last_inbound_at.insert(channel, Timestamp::from_unix_us(row.try_get_by_index(1)?));
        contact.inbound_count += row.try_get_by_index::<i64>(2)?;
    }
    contact.opted_out.clear();
    let wishes = "SELECT channel, sender, active FROM opt_out_history
      WHERE tenant_id = ? AND peer_key = ? AND at_us <= ? ORDER BY at_us, id";
    for row in sql::query(db, wishes, wished).await? {
        let (channel, sender, active): (String, String, bool) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let channel: Channel = channel.parse().map_err(StoreError::stored)?;
        match (active, sender.is_empty()) {
            (true, true) => drop(contact.opted_out.insert(channel)),
            (false, _) => drop(contact.opted_out.remove(&channel)),
            (true, false) => {}
        }
    }
    contact.name = contact.fields.get("name").and_then(Json::as_str).map_or_else(
        || {
            not_rebuilt.push("the name the customer gave themselves is today's".to_owned());
            contact.name.clone()
        },
        str::to_owned,
    );
    Ok(())
}

/// The stored trace of an event's decision, and when it was made.
pub(in crate::store) async fn trace(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    event: EventId,
) -> Result<Option<(Timestamp, String)>, StoreError> {
    let row = sql::query_one(
        db,
        "SELECT decided_us, trace FROM rule_runs WHERE tenant_id = ? AND event_id = ?",
        vec![tenant.uuid().into(), event.uuid().into()],
    )
    .await?;
    row.map(|row| Ok((Timestamp::from_unix_us(row.try_get_by_index(0)?), row.try_get_by_index(1)?))).transpose()
}

/// An event's actions, in their order.
pub(in crate::store) async fn actions_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    event: EventId,
) -> Result<Vec<crate::store::rows::action::Model>, StoreError> {
    // Action ids carry their event's millisecond: a range of the primary key.
    let first = uuid::Builder::from_unix_timestamp_millis(event.unix_ms(), &[0; 10]).into_uuid();
    let last = uuid::Builder::from_unix_timestamp_millis(event.unix_ms() + 1, &[0; 10]).into_uuid();
    let rows = sql::query(
        db,
        "SELECT * FROM actions WHERE id >= ? AND id < ? AND tenant_id = ? AND event_id = ? ORDER BY planned_us",
        vec![first.into(), last.into(), tenant.uuid().into(), event.uuid().into()],
    )
    .await?;
    rows.iter().map(|row| Ok(crate::store::rows::action::Model::from_query_result(row, "")?)).collect()
}

/// Attempts of an action, the first one first; the last may be under way.
pub(in crate::store) async fn attempts_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    action: ActionId,
) -> Result<Vec<attempt::Model>, StoreError> {
    let rows = sql::query(
        db,
        "SELECT * FROM attempts WHERE action_id = ? AND tenant_id = ? ORDER BY n",
        vec![action.uuid().into(), tenant.uuid().into()],
    )
    .await?;
    let mut attempts: Vec<attempt::Model> =
        rows.iter().map(|row| attempt::Model::from_query_result(row, "")).collect::<Result<_, _>>()?;
    let open = sql::query_one(
        db,
        "SELECT tries, tried_us FROM actions WHERE id = ? AND tenant_id = ? AND tries > 0",
        vec![action.uuid().into(), tenant.uuid().into()],
    )
    .await?;
    if let Some(row) = open {
        let (n, started_us): (i32, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if attempts.last().is_none_or(|last| last.n < n) {
            attempts.push(attempt::Model {
                action_id: action.uuid(),
                n,
                tenant_id: tenant.uuid(),
                started_us,
                not_after_us: started_us.saturating_add(actions::SEND_WITHIN.as_micros() as i64),
                finished_us: None,
                outcome: None,
                http_status: None,
                error_code: None,
                detail: None,
            });
        }
    }
    Ok(attempts)
}
