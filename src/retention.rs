//! How long a tenant keeps what happened: `retain_days` of its settings. By default for ever.

use std::time::Duration;

use crate::directory::{Directory, Tenant};
use crate::domain::Clock;
use crate::store::{Removed, Store, StoreError};

/// The shortest. Twilio repeats a webhook within hours, and the catch-up reads its list three days back: what is removed
/// could be taken for new.
pub const RETAIN_DAYS_MIN: u32 = 7;
/// The longest that makes sense: ten years.
pub const RETAIN_DAYS_MAX: u32 = 3_650;
/// How often the server looks for what has grown old.
const EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Between two steps, for others who write.
const PAUSE: Duration = Duration::from_millis(50);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Removes what is older than its tenant keeps it, until the future is dropped.
pub async fn run(store: &Store, directory: &Directory, clock: &Clock) {
    loop {
        for tenant in directory.now().tenants() {
            match purge(store, tenant, clock, false).await {
                Ok(removed) if removed != Removed::default() => {
                    tracing::info!(tenant = %tenant.slug, events = removed.events, messages = removed.messages,
                        "what was older than this tenant keeps it is removed");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, tenant = %tenant.slug, "what has grown old stays for now"),
            }
        }
        clock.sleep(EVERY).await;
    }
}

/// Removes what one tenant does not keep any longer; with `dry_run` it only counts. Webhooks that arrive densely go first.
pub async fn purge(store: &Store, tenant: &Tenant, clock: &Clock, dry_run: bool) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let Some(days) = tenant.settings.retain_days else { return Ok(removed) };
    let before = store.clock().now().minus(DAY * days.max(RETAIN_DAYS_MIN));
    let mut after = None;
    loop {
        while store.writer().intake_is_hot() {
            clock.sleep(PAUSE).await;
        }
        let step = store.remove_old(tenant.id, before, after, dry_run).await?;
        removed.events += step.removed.events;
        removed.actions += step.removed.actions;
        removed.messages += step.removed.messages;
        let Some(next) = step.next else {
            if !dry_run {
                store.remove_old_appointments(tenant.id, before).await?;
            }
            return Ok(removed);
        };
        after = Some(next);
        clock.sleep(PAUSE).await;
    }
}
