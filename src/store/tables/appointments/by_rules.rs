//! Changes of appointments by rules, in the transaction that writes the decision.

use serde_json::{Value as Json, json};

use super::super::events;
use super::{BookingError, Moved, Order, Starts, read, write};
use crate::domain::{By, Change, ContactId, Effect, Event, EventKind, Origin, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;
use crate::store::tables::actions::NewAction;
use crate::store::tables::decided::Decided;

/// A change that a rule requests.
pub(in crate::store) struct RequestedChange {
    pub order: Order,
    /// The depth of the events of the change.
    pub depth: u8,
    /// The value that the rule stores with a move.
    pub state: Json,
    /// The customer of the rule's event.
    contact: Option<ContactId>,
}

impl RequestedChange {
    /// Makes the change of an effect; `None` for an effect that does not change an appointment.
    pub fn from_effect(decided: &Decided, action: &NewAction, effect: &Effect) -> Option<Self> {
        let (id, change, to, state) = match effect {
            Effect::MoveAppointment { appointment, starts_at, state } => {
                let to = Moved { starts: Some(Starts::At(*starts_at)), ..Moved::default() };
                (*appointment, Change::Move, Some(to), state.clone())
            }
            effect => effect.appointment_change().map(|(id, change)| (id, change, None, Json::Null))?,
        };
        let by = if action.origin == Origin::Answer { By::Customer } else { By::Rule };
        let order = Order { tenant: decided.tenant, id, change, to, version: None, by };
        Some(Self { order, depth: decided.depth.saturating_add(1), state, contact: decided.contact })
    }

    /// The time that a move asks for.
    fn wanted(&self) -> Option<Timestamp> {
        match self.order.to.as_ref()?.starts? {
            Starts::At(at) => Some(at),
            Starts::Local(_) => None,
        }
    }
}

/// Applies the changes that rules have requested, and gives their events. A change that is not possible any more is
/// left out. A move that is left out makes an event, because the customer waits for the answer.
pub(in crate::store) async fn by_rules(
    txn: &impl Txn,
    context: &WriterContext,
    requested: &[RequestedChange],
) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    for one in requested {
        match write::change_as(txn, context, &one.order, Some(one)).await {
            Ok((_, event)) => events.extend(event),
            Err(BookingError::Store(error)) => return Err(error),
            Err(why) => {
                let appointment = one.order.id;
                tracing::info!(%appointment, %why, "a rule's change of an appointment was not possible");
                if one.order.change == Change::Move {
                    events.push(refused(txn, context, one, &why).await?);
                }
            }
        }
    }
    Ok(events)
}

async fn refused(
    txn: &impl Txn,
    context: &WriterContext,
    requested: &RequestedChange,
    why: &BookingError,
) -> Result<Event, StoreError> {
    let order = &requested.order;
    let stands = read::one(txn, order.tenant, order.id).await?;
    let facts = match &stands {
        Some(appointment) => serde_json::to_value(appointment.facts()).map_err(StoreError::json)?,
        None => json!({"id": order.id}),
    };
    let data = json!({"appointment": facts, "wanted": requested.wanted(), "reason": why.code(), "by": order.by, "state": requested.state});
    let event = Event {
        id: context.ids.next(),
        tenant: order.tenant,
        kind: EventKind::APPOINTMENT_MOVE_REFUSED,
        channel: None,
        contact: stands.and_then(|appointment| appointment.contact).or(requested.contact),
        occurred_at: context.clock.now(),
        dedupe_key: None,
        depth: requested.depth,
        data,
    };
    events::insert(txn, [(&event, None)]).await?;
    Ok(event)
}
