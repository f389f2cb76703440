//! A decision, as the engine hands it over to be written.

use serde_json::Value as Json;

use crate::domain::{
    Action, ContactId, Effect, Event, EventId, EventKind, Firing, Ids, NewTimer, QuestionChange, TenantId, Timestamp,
};
use crate::store::tables::actions::NewAction;
use crate::store::tables::calls::TurnAnswer;

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
    /// The events that its rules emit.
    pub fn emitted(&self, ids: &Ids) -> Vec<Event> {
        let emit = |action: &NewAction| match &action.action {
            Action::Effect(Effect::Emit { kind, data }) => Some(emitted(ids.next(), self, action, kind, data)),
            _ => None,
        };
        self.actions.iter().filter_map(emit).collect()
    }
}
