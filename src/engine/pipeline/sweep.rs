//! Wake-ups from outside the stages, and the sweep that stands in for those that were lost.

use std::collections::HashSet;
use std::time::Duration;

use super::Pipeline;
use crate::domain::{ActionId, SendQueue, TenantId, Timestamp};
use crate::engine::wakeups::Bus;
use crate::store::StoreError;

/// How often the sweep looks for rows whose wake-up was lost.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl Pipeline {
    /// Looks for rows whose wake-up was lost, sends that have fallen due, and tenants that have changed. Runs until the
    /// future is dropped.
    pub async fn sweep(&self) {
        loop {
            if let Err(error) = self.sweep_once().await {
                tracing::warn!(%error, "the sweep waits for the database");
            }
            self.clock.sleep(SWEEP_EVERY).await;
        }
    }

    /// Runs one round of [`Pipeline::sweep`].
    pub async fn sweep_once(&self) -> Result<(), StoreError> {
        let before = self.directory.now();
        self.directory.refresh().await?;
        self.follow_accounts(&before);
        self.store.pending_tenants().await?.into_iter().for_each(|tenant| self.wake_dispatch(tenant));
        self.store.repair_ordering_keys().await?;
        self.store.retry_events().await?.into_iter().for_each(|tenant| self.wake_for_rows(tenant));
        self.store.due_queues().await?.into_iter().for_each(|queue| self.to_send.publish(queue));
        Ok(())
    }

    /// The sends that this process has claimed and whose outcome is not written yet.
    pub fn in_flight(&self) -> HashSet<ActionId> {
        self.in_flight.actions()
    }

    /// Tells dispatch that a tenant has events to decide.
    pub fn wake_dispatch(&self, tenant: TenantId) {
        self.to_decide.publish(tenant, self.clock.now());
    }

    /// Tells dispatch that events of this tenant were stored which are not cached: it must read the rows.
    pub fn wake_for_rows(&self, tenant: TenantId) {
        self.store.give_back(tenant);
        self.wake_dispatch(tenant);
    }

    /// Tells the senders that a queue has a send that is due.
    pub fn wake_perform(&self, queue: SendQueue) {
        self.to_send.publish(queue);
    }

    /// Tells the senders that a queue has a send that falls due at `at`.
    pub fn wake_perform_at(&self, queue: SendQueue, at: Timestamp) {
        self.delayed.schedule(at, queue);
    }

    /// Tells the senders of queues that have something planned: at once, or at its time.
    pub(super) fn wake_queues(&self, queues: impl IntoIterator<Item = (SendQueue, Option<Timestamp>)>) {
        for (queue, due) in queues {
            match due {
                None => self.wake_perform(queue),
                Some(due) => self.wake_perform_at(queue, due),
            }
        }
    }
}
