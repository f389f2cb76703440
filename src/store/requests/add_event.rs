//! Stores an event from inside together with its decision, such as a send by hand, or for the rules to decide.

use crate::domain::Event;
use crate::store::context::WriterContext;
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::pending_cache::Committed;
use crate::store::tables::actions::NewAction;
use crate::store::tables::{actions, events};
use crate::store::writer::{Request, Step};

/// An event from inside, with the actions that it has already.
struct AddedEvent {
    event: Event,
    actions: Vec<NewAction>,
    /// It needs no decision.
    handled: bool,
}

impl Store {
    /// Stores an event from inside together with its decision, such as a send by hand. An event that is not `handled` is
    /// for the rules to decide: wake the pipeline for it.
    pub async fn add_event(&self, event: &Event, actions: Vec<NewAction>, handled: bool) -> Result<(), StoreError> {
        self.writer().ask(AddedEvent { event: event.clone(), actions, handled }).await
    }
}

impl Request for AddedEvent {
    type Reply = ();

    const STEP: Step = Step::AddEvent;

    async fn execute(
        requests: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<Vec<()>, StoreError> {
        let now = context.clock.now();
        let rows = requests.iter().map(|added| (&added.event, added.handled.then_some(now)));
        events::insert(txn, rows).await?;
        let planned = requests.iter().flat_map(|added| added.actions.iter().cloned()).collect();
        actions::plan(txn, context, planned).await?;
        let undecided = requests.iter().filter(|added| !added.handled);
        committed.events.extend(undecided.map(|added| added.event.clone()));
        Ok(vec![(); requests.len()])
    }
}
