//! Counts refused webhooks in memory and stores the counts once a second, so that a flood costs no more than one.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Refusal;
use crate::domain::{RefusalKind, TenantId, Timestamp};
use crate::store::{Refused, Store};

/// The most counts in memory: tenants times routes times kinds. Further ones are in the log only.
const WAITING_MAX: usize = 10_000;
/// The longest stored detail of the last refusal, in characters.
const DETAIL_MAX_CHARS: usize = 200;

type Key = (Option<TenantId>, &'static str, RefusalKind);

#[derive(Default)]
pub struct Refusals(Mutex<HashMap<Key, Refused>>);

impl Refusals {
    /// Counts a refusal. A failure of our own is none.
    pub fn note(&self, route: &'static str, refusal: &Refusal, at: Timestamp) {
        let Some(kind) = refusal.kind() else { return };
        let detail = refusal.cause().chars().take(DETAIL_MAX_CHARS).collect();
        self.add(Refused { tenant: refusal.tenant(), route, kind, count: 1, at, detail });
    }

    /// Stores the counts. Counts that cannot be stored stay in memory.
    pub async fn keep(&self, store: &Store) {
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
        let mut waiting = self.0.lock();
        let full = waiting.len() >= WAITING_MAX;
        match waiting.get_mut(&(refused.tenant, refused.route, refused.kind)) {
            Some(known) => {
                known.count += refused.count;
                if refused.at > known.at {
                    (known.at, known.detail) = (refused.at, refused.detail);
                }
            }
            None if full => {}
            None => {
                waiting.insert((refused.tenant, refused.route, refused.kind), refused);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_waits_in_few_places() {
        let refusals = Refusals::default();
        let at = Timestamp::from_unix_us(1);
        for n in 0..1_000 {
            refusals.note(
                "sms",
                &Refusal::unknown_tenant(format!("no tenant has the slug '{n}{}'", "x".repeat(1_000))),
                at,
            );
        }
        refusals.note("sms", &Refusal::from(crate::store::StoreError::Busy), at);
        let waiting = refusals.0.lock();
        let counted: Vec<&Refused> = waiting.values().collect();
        assert_eq!((counted.len(), counted[0].count), (1, 1_000), "our own failures are nobody's refusal");
        assert!(counted[0].detail.chars().count() <= DETAIL_MAX_CHARS);
    }
}
