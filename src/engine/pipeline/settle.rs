//! The steps of the last stage: a delivery report becomes a status and an event.

use super::{INGEST_TIMEOUT, Pipeline};
use crate::domain::{EventKind, SendQueue};
use crate::engine::wakeups::Bus;
use crate::store::{Settled, StatusReport, StoreError};

impl Pipeline {
    /// Marks a report whose event no rule listens to.
    pub(super) fn match_report(&self, report: &mut StatusReport) {
        report.unmatched = !self.has_rule_for(report.tenant, &EventKind::MESSAGE_STATUS, &serde_json::Value::Null);
    }

    pub(super) async fn store_report(&self, report: StatusReport) -> Result<Settled, StoreError> {
        tokio::time::timeout(INGEST_TIMEOUT, self.store.writer().settle(report)).await.map_err(|_| StoreError::Busy)?
    }

    /// A report may be the outcome of an unknown send, which held back the next one.
    pub(super) fn wake_after_settle(&self, queue: SendQueue, settled: Settled) {
        if settled == Settled::Advanced {
            self.wake_dispatch(queue.tenant);
            self.release_ordering_key(queue);
        }
    }

    /// The send was reconciled: releases its ordering key, so that it and the sends behind it may go.
    pub fn release_ordering_key(&self, queue: SendQueue) {
        let snapshot = self.directory.now();
        let tenant = snapshot.by_id(queue.tenant).cloned();
        if let Some(target) = tenant.and_then(|tenant| self.target(tenant, queue.route)) {
            self.wake_ordering_keys(&target.account);
            self.to_send.publish(target.queue);
        }
    }
}
