//! Fires timers: sleeps until the next one is due, then stores its event.
//!
//! Timers are rows. Nothing is loaded at the start, and memory does not grow with them. The event of a timer is decided as
//! any other.

pub mod sync;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::engine::Engine;
use crate::rules::RuleSet;
use crate::store::{FIRE_MAX, FireRequest, Next, StoreError};
use crate::telemetry::metric;
use crate::tenants::Snapshot;

/// The longest sleep. A timer that another process planned, or a clock that was set, may stay unseen for this long.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// No timer fires while this many events wait to be decided. So timers do not hold up messages after a downtime.
pub const EVENTS_AHEAD_MAX: usize = 4_096;
/// The pause between two looks at the backlog, and after a claim that another process holds.
const PAUSE: Duration = Duration::from_millis(100);
/// Pauses at most before a batch of timers.
const PAUSES_MAX: usize = 50;

/// Keeps timers in step with the rules and tenants, and fires those that are due. Runs until the future is dropped.
pub async fn run(engine: &Engine) {
    let mut in_sync = InSync::default();
    loop {
        let fired = async {
            in_sync.sync(engine).await?;
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

/// Brings timers in step with the rules and tenants, if anything has changed.
pub async fn plan(engine: &Engine) -> Result<(), StoreError> {
    InSync::default().sync(engine).await
}

/// The rules and tenants that the rows are in step with.
#[derive(Default)]
struct InSync {
    rules: Option<Arc<RuleSet>>,
    directory: Option<Arc<Snapshot>>,
}

impl InSync {
    async fn sync(&mut self, engine: &Engine) -> Result<(), StoreError> {
        let (rules, directory) = (engine.pipeline.rules(), engine.directory.now());
        let same_rules = self.rules.as_ref().is_some_and(|in_sync| Arc::ptr_eq(in_sync, &rules));
        let same_tenants = self.directory.as_ref().is_some_and(|in_sync| Arc::ptr_eq(in_sync, &directory));
        if same_rules && same_tenants {
            return Ok(());
        }
        let store = &engine.store;
        sync::Schedules::compare(store, &rules, &directory).await?.write(store).await?;
        let timer_sync =
            sync::TimerSync { store, rules: &rules, directory: &directory, platform: engine.directory.platform() };
        timer_sync.sync().await?;
        (self.rules, self.directory) = (Some(rules), Some(directory));
        Ok(())
    }
}

/// Fires all timers that are due. Returns the time of the next one.
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
            // Another process holds the due timers. They fire there, or come back when that process is gone.
            engine.clock.sleep(PAUSE).await;
        }
    }
}

/// Waits until few events wait to be decided, but not for ever: they may belong to a tenant that cannot be read.
async fn wait_for_decisions(engine: &Engine) -> Result<(), StoreError> {
    for _ in 0..PAUSES_MAX {
        if engine.store.backlog(EVENTS_AHEAD_MAX).await?.events < EVENTS_AHEAD_MAX as i64 {
            break;
        }
        engine.clock.sleep(PAUSE).await;
    }
    Ok(())
}

/// The next time of a schedule. It is planned in the transaction in which the schedule fires.
fn next_of(rules: Arc<RuleSet>, directory: Arc<Snapshot>) -> Next {
    Arc::new(move |timer, now| {
        let tenant = directory.by_id(timer.tenant)?;
        rules.next_schedule_timer(&timer.rule, timer.due, &tenant.facts, now)
    })
}
