//! Stores decisions: actions, effects and the handled mark of the event, in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use sea_orm::Value;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::domain::id::{Id, noun};
use crate::domain::{Action, ActionState, AppointmentId, ContactId, Effect, Event, EventId, EventKind};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::rows::{contact_history, rule_run};
use crate::store::tables::actions;
use crate::store::tables::actions::NewAction;
use crate::store::tables::decided::{Decided, DecidedReceipt, emitted};
use crate::store::tables::{appointments, calls, events, firings, questions, timers};
use crate::store::writer::{Request, Step, Writer};

impl Writer {
    /// Stores decisions and marks their events handled. The request is in the queue when this returns, not only when
    /// its future is awaited. A claim that is requested afterwards sees the planned sends, and may share the commit.
    pub fn decided(&self, decisions: Vec<Decided>) -> impl Future<Output = Result<DecidedReceipt, StoreError>> + use<> {
        self.ask(Decisions(decisions))
    }
}

static INSERT_TRACES: LazyLock<String> = LazyLock::new(|| rule_run::TABLE.insert() + " ON CONFLICT DO NOTHING");
static INSERT_HISTORY: LazyLock<String> = LazyLock::new(|| contact_history::TABLE.insert());

/// Decisions that are stored together.
struct Decisions(Vec<Decided>);

impl Request for Decisions {
    type Reply = DecidedReceipt;

    const STEP: Step = Step::Decide;

    async fn execute(
        requests: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<Vec<DecidedReceipt>, StoreError> {
        let mut receipts = Vec::with_capacity(requests.len());
        for Self(decisions) in requests {
            receipts.push(write(txn, context, decisions, committed).await?);
        }
        Ok(receipts)
    }
}

pub(in crate::store) async fn write(
    txn: &impl Txn,
    context: &WriterContext,
    decisions: &[Decided],
    committed: &mut Committed,
) -> Result<DecidedReceipt, StoreError> {
    let still_open = mark_handled(txn, decisions).await?;
    let mut decisions: Vec<&Decided> =
        decisions.iter().filter(|decided| still_open.contains(&decided.event.uuid())).collect();
    let overtaken = leave_overtaken(txn, context, &mut decisions).await?;
    let mut traces: Vec<Value> = Vec::new();
    let mut actions: Vec<NewAction> = Vec::new();
    let mut children = Vec::new();
    let mut requested = Vec::new();
    let mut changes: Vec<(&Decided, &NewAction, &Effect)> = Vec::new();
    let mut ends: Vec<(AppointmentId, usize)> = Vec::new();
    for decided in &decisions {
        let before = actions.len();
        if let Some(answer) = &decided.answer {
            calls::answer(txn, decided.tenant, answer).await?;
        }
        if let Some(trace) = &decided.trace {
            traces.extend(rule_run::new_row(decided.tenant, decided.event, decided.at, trace));
        }
        for action in &decided.actions {
            match &action.action {
                _ if action.state == ActionState::Blocked => {}
                Action::Effect(Effect::Emit { kind, data }) => {
                    children.push(emitted(context.ids.next(), decided, action, kind, data));
                }
                Action::Effect(effect) => match appointments::RequestedChange::from_effect(decided, action, effect) {
                    Some(one) => {
                        ends.extend(one.order.change.ends_plans().then_some((one.order.id, before)));
                        requested.push(one);
                    }
                    None => changes.push((decided, action, effect)),
                },
                Action::Send(_) | Action::Unaddressed(_) | Action::Request(_) | Action::Voice(_) => {}
            }
            actions.push(action.clone());
        }
    }
    children.extend(decisions.iter().flat_map(|decided| decided.children.iter().cloned()));
    let sends = actions.iter().filter(|action| action.route.is_some()).count();
    txn.rows(&INSERT_TRACES, rule_run::TABLE.width(), Cut::Padded, traces).await?;
    events::insert(txn, children.iter().map(|event| (event, None))).await?;
    let mut emitted = children.len();
    committed.events.extend(children);
    committed.changed_customers |= !changes.is_empty();
    change_contacts(txn, context, changes).await?;
    // Appointments change before actions are planned: a cancellation ends only the sends that were planned before it.
    let changed = appointments::by_rules(txn, context, &requested).await?;
    end_plans(&mut actions, &ends, &changed);
    emitted += changed.len();
    committed.events.extend(changed);
    let asks = decisions.iter().any(|decided| !decided.questions.is_empty());
    let blocked = actions.iter().filter(|action| asks && action.state == ActionState::Blocked);
    let unsent: Vec<_> = blocked.map(|action| (action.id, action.reason.clone().unwrap_or_default())).collect();
    actions::plan(txn, context, actions).await?;
    questions::never_sent(txn, context, &unsent).await?;
    timers::plan(txn, context, decisions.iter().flat_map(|decided| &decided.timers)).await?;
    Ok(DecidedReceipt { sends, emitted, overtaken })
}

/// Blocks the sends around an appointment that were decided in this batch before the decision that moved or ended it,
/// as if they had been stored before.
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

/// Stores the firings and questions of the decisions. A decision whose limit or question does not hold any more is
/// taken out, with the decisions on later events of the same customer. Their events are decided again.
async fn leave_overtaken(
    txn: &impl Txn,
    context: &WriterContext,
    decisions: &mut Vec<&Decided>,
) -> Result<usize, StoreError> {
    let mut customers: HashSet<ContactId> = HashSet::new();
    let mut overtaken: HashSet<EventId> = HashSet::new();
    for decided in &*decisions {
        let Some(contact) = decided.contact else { continue };
        let holds = !customers.contains(&contact)
            && firings::allowed(txn, decided).await?
            && questions::write(txn, context, decided).await?;
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

/// Marks events handled. Gives those that were not handled before: another process may have been first.
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

/// Stores tags, fields and notes: the customer's row, and the dated history.
async fn change_contacts(
    txn: &impl Txn,
    context: &WriterContext,
    changes: Vec<(&Decided, &NewAction, &Effect)>,
) -> Result<(), StoreError> {
    let ids: Vec<Value> =
        changes.iter().filter_map(|(_, action, _)| action.contact).map(|id| id.uuid().into()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let text = "SELECT id, tenant_id, name, tags, fields FROM contacts WHERE id IN ({list})";
    let edits = txn.query_in(text, &[], ids, ContactEdit::read).await?;
    let mut contacts: HashMap<Uuid, ContactEdit> = edits.into_iter().map(|edit| (edit.id, edit)).collect();
    let mut history: Vec<Value> = Vec::new();
    for (decided, action, effect) in changes {
        let edit = action.contact.and_then(|id| contacts.get_mut(&id.uuid()));
        let Some(edit) = edit.filter(|edit| edit.tenant_id == decided.tenant.uuid()) else { continue };
        let Some(change) = edit.alter(effect) else { continue };
        let id: Id<noun::Attempt> = context.ids.next();
        history.extend(contact_history::new_row(contact_history::Model {
            id: id.uuid(),
            tenant_id: decided.tenant.uuid(),
            contact_id: edit.id,
            at_us: decided.at.unix_us(),
            kind: change.kind.to_owned(),
            name: change.name,
            old: change.old.map(|value| value.to_string()),
            new: change.new.map(|value| value.to_string()),
            action_id: Some(action.id.uuid()),
        }));
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
    txn.rows(&INSERT_HISTORY, contact_history::TABLE.width(), Cut::Exact, history).await
}

struct Change {
    kind: &'static str,
    name: String,
    old: Option<Json>,
    new: Option<Json>,
}

/// A customer's row that is being changed.
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

    /// Applies an effect; `None` if nothing changes.
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
