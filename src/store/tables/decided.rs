//! A decision that the engine hands over to be stored.

use serde_json::Value as Json;

use crate::domain::{
    Action, ContactId, Effect, Event, EventId, EventKind, Firing, Ids, NewTimer, QuestionChange, TenantId, Timestamp,
};
use crate::store::tables::actions::NewAction;
use crate::store::tables::calls::TurnAnswer;

/// One decided event.
#[derive(Clone, Debug)]
pub struct Decided {
    pub event: EventId,
    pub tenant: TenantId,
    pub contact: Option<ContactId>,
    pub depth: u8,
    pub at: Timestamp,
    /// JSON of the trace; `None` if no rule was evaluated.
    pub trace: Option<String>,
    /// Sends and effects, in the order of the rules.
    pub actions: Vec<NewAction>,
    /// New events besides those that rules emit.
    pub children: Vec<Event>,
    /// New timers.
    pub timers: Vec<NewTimer>,
    /// The answer in the call of the event.
    pub answer: Option<TurnAnswer>,
    /// The runs of rules with a limit, for `contact`.
    pub firings: Vec<Firing>,
    /// Questions to `contact` that are opened or closed.
    pub questions: Vec<QuestionChange>,
}

/// The results of storing decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecidedReceipt {
    pub sends: usize,
    pub emitted: usize,
    /// Events whose decision did not hold any more. Nothing of it was stored, and they wait to be decided again.
    pub overtaken: usize,
}

pub(in crate::store) fn emitted(
    id: EventId,
    decided: &Decided,
    action: &NewAction,
    kind: &EventKind,
    data: &Json,
) -> Event {
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
    /// The events that the rules emit.
    pub fn emitted(&self, ids: &Ids) -> Vec<Event> {
        let emit = |action: &NewAction| match &action.action {
            Action::Effect(Effect::Emit { kind, data }) => Some(emitted(ids.next(), self, action, kind, data)),
            _ => None,
        };
        self.actions.iter().filter_map(emit).collect()
    }
}
