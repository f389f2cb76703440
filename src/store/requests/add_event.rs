//! Stores an event from inside together with its decision, such as a send by hand.

use crate::domain::{Event, abort};
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::tables::actions::NewAction;
use crate::store::tables::{actions, events};

impl Store {
    /// Stores an event from inside together with its decision, such as a send by hand.
    pub async fn add_event(&self, event: &Event, actions: Vec<NewAction>, handled: bool) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        let handled = handled.then(|| self.context.clock.now());
        events::insert(&txn, [(event, handled)]).await?;
        actions::plan(&txn, &self.context, actions).await?;
        abort::point("before-commit");
        txn.commit().await?;
        abort::point("after-commit");
        self.context.committed();
        Ok(())
    }
}
