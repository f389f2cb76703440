//! The only place with SQL. SQLite or PostgreSQL, one set of statements.
//!
//! Hot rows go through [`Writer`]: one thread, many requests a commit. Reads have connections of their own.
//! **Invariant:** every query names its tenant, or goes by an id that a row of the tenant holds, and what it finds is
//! compared with the tenant before it is used. Exceptions: those that find which tenants have work; timers as they fall
//! due, or as their rules change; those by the provider's ids, which are unique across tenants; and lanes, which all who
//! send from one number share.

use crate::store::requests::claim;
use crate::store::requests::decide;
use crate::store::requests::resolve;
pub mod rows;
mod error;
use crate::store::tables::events;
mod pending_cache;
use crate::store::db::sql;
use crate::store::tables::actions;
mod writer;
pub mod db;
pub mod reads;
pub mod portability;
pub mod tables;
pub mod requests;

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::DatabaseConnection;

pub use crate::store::db::open::{Options, sqlite_path};
pub use crate::store::portability::backup::{compact_sqlite, copy_sqlite};
pub use crate::store::portability::erase::Erased;
pub use crate::store::portability::retention::{Removed, Step};
pub use crate::store::portability::snapshot::Snapshot;
pub use crate::store::portability::tables::{CUSTOMER_CHANNEL, NotARow, SET_ASIDE, TABLES, Table};
pub use crate::store::reads::ahead::{Ahead, Left, PlannedSend};
pub use crate::store::reads::lists::{Backlog, LIST_MAX, Listed, Unsettled};
pub use crate::store::requests::claim::{ANSWERED_WITHIN, ClaimRequest, Claimed, Claims, Gate, Judge};
pub use crate::store::requests::decide::{Decided, DecidedReceipt};
pub use crate::store::requests::fallback::wanted as fallback_wanted;
pub use crate::store::requests::fire::{
    DueTimer, FIRE_MAX, FireRequest, Firing, Next, RETRY_AFTER, SetAside, TRIES_MAX,
};
pub use crate::store::requests::ingest::{Confirmation, Ingested, NewInbound, Wish};
pub use crate::store::requests::outcome::{AttemptOutcome, AttemptResult};
pub use crate::store::requests::resolve::{OperatorDecision, Resolution};
pub use crate::store::requests::status::{Settled, StatusReport};
pub use crate::store::tables::actions::{
    Candidate, GateFacts, NewAction, OPTED_OUT_CODE, QueuedSend, SEND_WITHIN, Unknown, ordering_key,
};
pub use crate::store::tables::api_tokens::ApiToken;
pub use crate::store::tables::calls::{
    CallEvent, CallFilter, CallReport, CallResult, Caller, Leg, LegReport, ListedCall, ListedLeg, ListedTurn, NewTurn,
    OpenCall, Recording, Reported, TurnAnswer, Turned,
};
pub use crate::store::tables::customers::CustomerChange;
pub use crate::store::tables::idempotency::{Begun, IDEMPOTENCY_KEPT};
pub use crate::store::tables::questions::silence_of;
pub use crate::store::tables::refusals::{Refused, RefusedSum};
pub use crate::store::tables::tenants::StoredTenant;
pub use crate::store::tables::timers::{PendingTimer, Replanned, TIMERS_PAGE};
pub use error::StoreError;
pub use writer::{WRITE_QUEUE, Writer};

pub use crate::store::pending_cache::Pending;

use crate::store::pending_cache::Oldest;

use crate::domain::contact::ContactFacts;
use crate::domain::{ActionId, Clock, ContactId, Event, EventId, Ids, Route, SendQueue, TenantId, Timestamp, abort};

/// The database: cheap to clone, shared by all.
#[derive(Clone)]
pub struct Store {
    write: DatabaseConnection,
    read: DatabaseConnection,
    writer: Writer,
    means: Arc<writer::Means>,
}

impl Store {
    pub const fn writer(&self) -> &Writer {
        &self.writer
    }

    pub fn ids(&self) -> &Ids {
        &self.means.ids
    }

    pub fn clock(&self) -> &Clock {
        &self.means.clock
    }

    /// Whether the database answers; reads one row of nothing.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sql::query_one(&self.read, "SELECT 1", vec![]).await?;
        Ok(())
    }

    /// Tenants with undecided events in their rows, wherever these came from.
    pub async fn pending_tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let pending = events::pending_tenants(&self.read).await?;
        pending.iter().for_each(|tenant| self.means.fresh.waits(*tenant));
        Ok(pending)
    }

    /// A tenant's oldest undecided events, at most `limit`: those at hand, or else read. Those of a call that somebody is
    /// just answering are left to them for [`events::LINE_HOLD`].
    pub async fn pending_events(&self, tenant: TenantId, limit: usize) -> Result<Vec<Pending>, StoreError> {
        if let Oldest::AtHand(events) = self.means.fresh.oldest(tenant, limit) {
            return Ok(events);
        }
        let read = events::oldest(&self.read, tenant, self.means.clock.now(), limit).await;
        // More may wait than was read, or it could not be read: then it is read again.
        if read.as_ref().map_or(true, |events| events.len() >= limit) {
            self.means.fresh.forget(tenant);
        }
        Ok(read?.into_iter().map(|event| Pending { event, customer: None }).collect())
    }

    /// Events that were taken and could not be decided are to be read again.
    pub fn give_back(&self, tenant: TenantId) {
        self.means.fresh.forget(tenant);
    }

    /// Who has planned sends that are due, and along which routes.
    pub async fn due_queues(&self) -> Result<Vec<SendQueue>, StoreError> {
        claim::due_queues(&self.read, self.means.clock.now()).await
    }

    /// What is known of customers now, or as it was at `as_of`; beside it, in words, what could not be rebuilt.
    pub async fn contact_facts(
        &self,
        tenant: TenantId,
        ids: &[ContactId],
        as_of: Option<Timestamp>,
    ) -> Result<(HashMap<ContactId, ContactFacts>, Vec<String>), StoreError> {
        decide::contact_facts(&self.read, tenant, ids, as_of).await
    }

    /// An event and when it was handled.
    pub async fn event(&self, tenant: TenantId, id: EventId) -> Result<Option<(Event, Option<Timestamp>)>, StoreError> {
        events::find(&self.read, tenant, id).await
    }

    /// An event by its id alone, as a link that we have made names it; its tenant comes with it.
    pub async fn event_of_link(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        events::find_of_link(&self.read, id).await
    }

    /// The event of this dedupe key.
    pub async fn event_of_key(&self, tenant: TenantId, key: &str) -> Result<Option<Event>, StoreError> {
        events::find_by_key(&self.read, tenant, key).await
    }

    /// When an event was decided, and its trace as JSON.
    pub async fn trace(&self, tenant: TenantId, event: EventId) -> Result<Option<(Timestamp, String)>, StoreError> {
        decide::trace(&self.read, tenant, event).await
    }

    /// What an event set going.
    pub async fn actions_of(&self, tenant: TenantId, event: EventId) -> Result<Vec<rows::action::Model>, StoreError> {
        decide::actions_of(&self.read, tenant, event).await
    }

    /// The tries of an action.
    pub async fn attempts_of(
        &self,
        tenant: TenantId,
        action: ActionId,
    ) -> Result<Vec<rows::attempt::Model>, StoreError> {
        decide::attempts_of(&self.read, tenant, action).await
    }

    /// Sends along a route of unknown outcome that it is time to look for, of all tenants.
    pub async fn unknowns(&self, route: &Route, limit: usize) -> Result<Vec<Unknown>, StoreError> {
        actions::unknowns(&self.read, route, self.means.clock.now(), limit).await
    }

    /// Attempts begun before `began_before` whose process has died become unknown, to be looked for at `look_at`.
    pub async fn orphans_to_unknown(&self, began_before: Timestamp, look_at: Timestamp) -> Result<u64, StoreError> {
        if !actions::has_orphans(&self.read, began_before).await? {
            return Ok(0);
        }
        let txn = writer::begin(&self.write).await?;
        let count = actions::orphans_to_unknown(&txn, began_before, look_at).await?;
        abort::point("before-commit");
        txn.commit().await?;
        abort::point("after-commit");
        Ok(count)
    }

    /// Stores an event from inside with what was decided about it beforehand: a send by hand.
    pub async fn add_event(&self, event: &Event, actions: Vec<NewAction>, handled: bool) -> Result<(), StoreError> {
        let txn = writer::begin(&self.write).await?;
        let handled = handled.then(|| self.means.clock.now());
        events::insert(&txn, [(event, handled)]).await?;
        actions::plan(&txn, &self.means, actions).await?;
        abort::point("before-commit");
        txn.commit().await?;
        abort::point("after-commit");
        Ok(())
    }

    /// Applies a person's decision on a send that waits for one.
    pub async fn resolve(
        &self,
        tenant: TenantId,
        action: ActionId,
        decision: &OperatorDecision,
    ) -> Result<Resolution, StoreError> {
        let txn = writer::begin(&self.write).await?;
        let resolution = resolve::resolve(&txn, &self.means, tenant, action, decision).await?;
        txn.commit().await?;
        Ok(resolution)
    }

    /// Whether this is SQLite, where one process serves alone.
    pub fn is_sqlite(&self) -> bool {
        self.write.get_database_backend() == sea_orm::DatabaseBackend::Sqlite
    }
}
