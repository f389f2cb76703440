//! Counts rejected webhooks in memory and stores the counts once a second, so that a flood costs no more than one.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::WebhookRejection;
use crate::domain::{RefusalKind, TenantId, Timestamp};
use crate::store::{Refused, Store};

/// The most counts in memory: tenants times routes times kinds. Further ones are in the log only.
const COUNTS_MAX: usize = 10_000;
/// The longest stored detail of the last rejection, in characters.
const DETAIL_MAX_CHARS: usize = 200;

type Key = (Option<TenantId>, &'static str, RefusalKind);

#[derive(Default)]
pub struct RejectionCounts(Mutex<HashMap<Key, Refused>>);

impl RejectionCounts {
    /// Counts a rejection. Failures of our own do not count.
    pub fn count_rejection(&self, route: &'static str, rejection: &WebhookRejection, at: Timestamp) {
        let Some(kind) = rejection.kind() else { return };
        let detail = rejection.cause().chars().take(DETAIL_MAX_CHARS).collect();
        self.add(Refused { tenant: rejection.tenant(), route, kind, count: 1, at, detail });
    }

    /// Stores the counts. Counts that cannot be stored stay in memory.
    pub async fn store_all(&self, store: &Store) {
        let counted: Vec<Refused> = self.0.lock().drain().map(|(_, refused)| refused).collect();
        if counted.is_empty() {
            return;
        }
        if let Err(error) = store.add_refusals(&counted).await {
            tracing::warn!(%error, "refused webhooks could not be counted; it is tried again");
            counted.into_iter().for_each(|refused| self.add(refused));
        }
    }

    fn add(&self, refused: Refused) {
        let mut counts = self.0.lock();
        let full = counts.len() >= COUNTS_MAX;
        match counts.get_mut(&(refused.tenant, refused.route, refused.kind)) {
            Some(known) => {
                known.count += refused.count;
                if refused.at > known.at {
                    (known.at, known.detail) = (refused.at, refused.detail);
                }
            }
            None if full => {}
            None => {
                counts.insert((refused.tenant, refused.route, refused.kind), refused);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_waits_in_few_places() {
        let rejection_counts = RejectionCounts::default();
        let at = Timestamp::from_unix_us(1);
        for n in 0..1_000 {
            rejection_counts.count_rejection(
                "sms",
                &WebhookRejection::unknown_tenant(format!("no tenant has the slug '{n}{}'", "x".repeat(1_000))),
                at,
            );
        }
        rejection_counts.count_rejection("sms", &WebhookRejection::from(crate::store::StoreError::Busy), at);
        let counts = rejection_counts.0.lock();
        let counted: Vec<&Refused> = counts.values().collect();
        assert_eq!((counted.len(), counted[0].count), (1, 1_000), "our own failures are nobody's refusal");
        assert!(counted[0].detail.chars().count() <= DETAIL_MAX_CHARS);
    }
}
