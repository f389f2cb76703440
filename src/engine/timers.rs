//! The heart of time: one sleep until the next timer is due, then its event.
//!
//! Timers are rows and stay rows: nothing is loaded at the start, and memory does not grow with them. What a timer leads to
//! is decided as any event is.

pub mod sync;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::engine::Engine;
use crate::rules::RuleSet;
use crate::store::{FIRE_MAX, FireRequest, Next, StoreError};
use crate::telemetry::metric;
use crate::tenants::Snapshot;

/// The longest sleep: so long a timer that another process has planned, or a clock that was set, may stay unseen.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// While so many events wait to be decided, no timer becomes one more: after a downtime, messages go on beside them.
pub const EVENTS_AHEAD_MAX: usize = 4_096;
/// Between two looks at whether there are fewer, and after an error.
const PAUSE: Duration = Duration::from_millis(100);
/// Pauses before a batch of timers, at most.
const PAUSES_MAX: usize = 50;

/// Keeps what is planned in step with the rules and tenants, and fires what is due, until the future is dropped.
pub async fn run(engine: &Engine) {
    let mut kept = Kept::default();
    loop {
        let fired = async {
            kept.keep(engine).await?;
            fire_due(engine).await
        };
        match fired.await {
            Ok(next) => {
                let now = engine.clock.now();
                let until = next.map_or(now.plus(LOOK_EVERY), |next| next.min(now.plus(LOOK_EVERY)));
                tokio::select! {
                    () = engine.clock.sleep_until(until) => {}
                    () = engine.store.timer_wake() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "timers wait for the database");
                engine.clock.sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Plans what the rules and tenants of now ask for, if anything has changed: before anybody looks when the next is due.
pub async fn plan(engine: &Engine) -> Result<(), StoreError> {
    Kept::default().keep(engine).await
}

/// For which rules and tenants the rows are as they should be.
#[derive(Default)]
struct Kept {
    rules: Option<Arc<RuleSet>>,
    directory: Option<Arc<Snapshot>>,
}

impl Kept {
    async fn keep(&mut self, engine: &Engine) -> Result<(), StoreError> {
        let (rules, directory) = (engine.pipeline.rules(), engine.directory.now());
        let same_rules = self.rules.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, &rules));
        let same_tenants = self.directory.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, &directory));
        if same_rules && same_tenants {
            return Ok(());
        }
        let store = &engine.store;
        sync::Schedules::look(store, &rules, &directory).await?.write(store).await?;
        let keeper =
            sync::Keeper { store, rules: &rules, directory: &directory, platform: engine.directory.platform() };
        keeper.keep().await?;
        (self.rules, self.directory) = (Some(rules), Some(directory));
        Ok(())
    }
}

/// Fires all that is due; gives when the next timer will be.
pub async fn fire_due(engine: &Engine) -> Result<Option<Timestamp>, StoreError> {
    loop {
        let next = engine.store.next_timer().await?;
        if next.is_none_or(|next| next > engine.clock.now()) {
            return Ok(next);
        }
        wait_for_decisions(engine).await?;
        let next = next_of(engine.pipeline.rules(), engine.directory.now());
        let firing = engine.store.writer().fire(FireRequest { limit: FIRE_MAX, next }).await?;
        metrics::counter!(metric::TIMERS_FIRED_TOTAL).increment((firing.taken - firing.set_aside) as u64);
        for tenant in firing.tenants {
            engine.pipeline.wake_for_rows(tenant);
        }
        if firing.taken == 0 {
            // Another process holds what is due: it fires there, or comes back when that process is gone.
            engine.clock.sleep(PAUSE).await;
        }
    }
}

/// Waits until few events wait to be decided, but not for ever: they may be those of a tenant that cannot be read.
async fn wait_for_decisions(engine: &Engine) -> Result<(), StoreError> {
    for _ in 0..PAUSES_MAX {
        if engine.store.backlog(EVENTS_AHEAD_MAX).await?.events < EVENTS_AHEAD_MAX as i64 {
            break;
        }
        engine.clock.sleep(PAUSE).await;
    }
    Ok(())
}

/// The next time of a schedule, planned in the transaction in which one fires.
fn next_of(rules: Arc<RuleSet>, directory: Arc<Snapshot>) -> Next {
    Arc::new(move |timer, now| {
        let tenant = directory.by_id(timer.tenant)?;
        rules.follows(&timer.rule, timer.due, &tenant.facts, now)
    })
}
