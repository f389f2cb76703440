//! Removes old rows: a tenant keeps its events, messages and calls for `retain_days` of its settings, by default for ever.

use std::time::Duration;

use crate::domain::{Clock, Facts, Timestamp};
use crate::store::{Removed, Store, StoreError};
use crate::tenants::fields::RETAIN_DAYS_MIN;
use crate::tenants::{Directory, Tenant};

/// The interval between two rounds.
const EVERY: Duration = Duration::from_secs(6 * 3_600);
/// The pause between two steps, for other writers.
const PAUSE: Duration = Duration::from_millis(50);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Removes rows that are older than their tenant keeps them. Runs until the future is dropped. `oldest_counted` gives the time
/// from which on the limits of rules count, if there are any.
pub async fn run(
    store: &Store,
    directory: &Directory,
    clock: &Clock,
    oldest_counted: impl Fn(&Facts) -> Option<Timestamp>,
) {
    loop {
        for tenant in directory.now().tenants() {
            let counted_from = oldest_counted(&Facts { tenant: tenant.facts.clone(), ..Facts::empty(clock.now()) });
            if let Err(error) = forget(store, tenant, clock.now(), counted_from).await {
                tracing::warn!(%error, tenant = %tenant.slug, "what no rule looks back to stays for now");
            }
            match purge(store, tenant, clock, false).await {
                Ok(removed) if removed != Removed::default() => {
                    tracing::info!(tenant = %tenant.slug, events = removed.events, messages = removed.messages,
                        calls = removed.calls, "what was older than this tenant keeps it is removed");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, tenant = %tenant.slug, "what has grown old stays for now"),
            }
        }
        clock.sleep(EVERY).await;
    }
}

/// Removes rows that no rule looks back to: firings that no limit counts, stale questions, and the notes of timers that
/// have fired.
async fn forget(
    store: &Store,
    tenant: &Tenant,
    now: Timestamp,
    counted_from: Option<Timestamp>,
) -> Result<(), StoreError> {
    // Rules may be out of the folder for a while, and should remember when they come back.
    let spare = DAY * RETAIN_DAYS_MIN;
    store.remove_firings(tenant.id, counted_from.unwrap_or(now).minus(spare)).await?;
    store.remove_stale_questions(tenant.id, now.minus(spare)).await?;
    store.remove_fired_notes(tenant.id, now.minus(DAY)).await?;
    Ok(())
}

/// Removes rows that one tenant does not keep any longer; `dry_run` only counts them. Dense webhooks go first.
pub async fn purge(store: &Store, tenant: &Tenant, clock: &Clock, dry_run: bool) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let Some(days) = tenant.settings.retain_days else { return Ok(removed) };
    let before = store.clock().now().minus(DAY * days.max(RETAIN_DAYS_MIN));
    let mut after = None;
    // Campaigns go before the events that they hang on.
    removed.campaigns = store.remove_old_campaigns(tenant.id, before, dry_run).await?;
    loop {
        while store.writer().intake_is_hot() {
            clock.sleep(PAUSE).await;
        }
        let step = store.remove_old(tenant.id, before, after, dry_run).await?;
        removed.events += step.removed.events;
        removed.actions += step.removed.actions;
        removed.messages += step.removed.messages;
        let Some(next) = step.next else {
            removed.appointments = store.remove_old_appointments(tenant.id, before, dry_run).await?;
            removed.calls = store.remove_old_calls(tenant.id, before, dry_run).await?;
            return Ok(removed);
        };
        after = Some(next);
        clock.sleep(PAUSE).await;
    }
}
