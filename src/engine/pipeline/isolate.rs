//! Finds the event that keeps a batch from being decided, and sets it aside.

use super::Pipeline;
use crate::domain::TenantId;
use crate::engine::wakeups::Speed;
use crate::store::StoreError;

/// The most rounds that one search takes. The rest waits for the next wake-up.
const ROUNDS_MAX: usize = 64;

impl Pipeline {
    /// Decides the oldest events of each tenant in ever smaller batches, after a batch was refused with `error`: a row
    /// cannot be read, or the database does not take a decision. An event that is refused alone is set aside, and the
    /// others go on.
    pub(super) async fn isolate(
        &self,
        tenants: &[TenantId],
        per_tenant: usize,
        speed: Speed,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        tracing::warn!(%error, "a batch of events could not be decided: looking for the one");
        for tenant in tenants {
            let mut count = per_tenant;
            for _ in 0..ROUNDS_MAX {
                // The rows are read anew: what was cached may have been handed out to the batch that failed.
                self.store.give_back(*tenant);
                match self.decide_round(&[*tenant], count, speed).await {
                    Ok(()) if count >= per_tenant => break,
                    Ok(()) => count *= 2,
                    Err(error) if !error.is_refusal() => return Err(error),
                    Err(_) if count > 1 => count /= 2,
                    Err(error) => {
                        let event = self.store.set_aside_oldest(*tenant, &error.to_string()).await?;
                        tracing::error!(%tenant, event = ?event.map(|id| id.to_string()), %error, "an event cannot be decided: see recado events --set-aside");
                        count = per_tenant;
                    }
                }
            }
            self.wake_for_rows(*tenant);
        }
        Ok(())
    }
}
