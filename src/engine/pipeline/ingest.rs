//! The steps of the first stage: a verified message becomes rows.

use super::{INGEST_TIMEOUT, Pipeline};
use crate::domain::opt_out::OptOutWord;
use crate::domain::{Event, EventKind, Route, SendQueue, TenantId};
use crate::engine::wakeups::Bus;
use crate::store::{Ingested, NewInbound, StoreError};
use crate::telemetry::metric;

impl Pipeline {
    /// Marks a message that no rule listens to: it counts as decided as soon as it is stored.
    pub(super) fn match_inbound(&self, inbound: &mut NewInbound) {
        let kind = EventKind::inbound(inbound.channel);
        inbound.unmatched = !self.has_rule_for(inbound.tenant, &kind, &inbound.event_data);
    }

    /// Notes a STOP for the sends that passed the gate before it.
    pub(super) fn note_opt_out(&self, inbound: &NewInbound) {
        if let (Some(keyword), Some(from)) = (&inbound.opt_out_keyword, &inbound.from)
            && keyword.word == OptOutWord::Stop
        {
            self.recent_opt_outs.note(inbound.tenant, inbound.channel, from.key(), self.clock.now());
        }
    }

    pub(super) async fn store_inbound(&self, inbound: NewInbound) -> Result<Ingested, StoreError> {
        let begun = self.clock.now();
        let ingested = tokio::time::timeout(INGEST_TIMEOUT, self.store.writer().ingest(inbound))
            .await
            .map_err(|_| StoreError::Busy)??;
        metrics::histogram!(metric::INGEST_SECONDS).record(self.clock.now().since(begun).as_secs_f64());
        Ok(ingested)
    }

    /// Wakes dispatch for the event, and the senders where we confirm an opt-out or opt-in ourselves.
    pub(super) fn wake_after_ingest(&self, tenant: TenantId, ingested: &Ingested) {
        if !ingested.duplicate {
            self.wake_dispatch(tenant);
        }
        if ingested.confirmed {
            self.to_send.publish(SendQueue::new(tenant, Route::Twilio));
        }
    }

    /// Stores an event from the API or a page, for the rules to decide.
    pub async fn add_event(&self, event: &Event) -> Result<(), StoreError> {
        self.store.add_event(event, Vec::new(), false).await?;
        self.wake_dispatch(event.tenant);
        Ok(())
    }

    /// Whether any rule listens to such an event. An event without one is decided as soon as it is stored.
    pub(super) fn has_rule_for(&self, tenant: TenantId, kind: &EventKind, data: &serde_json::Value) -> bool {
        let tenants = self.directory.now();
        tenants.by_id(tenant).is_none_or(|tenant| self.rules().has_rule_for(kind, data, &tenant.facts))
    }
}
