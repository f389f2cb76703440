//! Loops of the server itself: gauges of the backlog, and the record of refused webhooks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::Engine;
use crate::http::{RejectionCounts, health};
use crate::telemetry::metric;

const GAUGES_EVERY: Duration = Duration::from_secs(10);
/// Refused webhooks are stored at this interval, so that a flood of them costs one commit in this time.
const STORE_REJECTIONS_EVERY: Duration = Duration::from_secs(1);

/// Sets the gauges of the backlog, until aborted.
pub async fn report_gauges(engine: &Engine) {
    loop {
        metrics::gauge!(metric::PAUSED_ACCOUNTS).set(engine.circuits.paused() as f64);
        if let Ok(backlog) = engine.store.backlog(health::BACKLOG_COUNT_MAX).await {
            metrics::gauge!(metric::BACKLOG_EVENTS).set(backlog.events as f64);
            metrics::gauge!(metric::BACKLOG_ACTIONS).set(backlog.actions as f64);
            metrics::gauge!(metric::UNKNOWN_ACTIONS).set(backlog.unknown as f64);
        }
        engine.clock.sleep(GAUGES_EVERY).await;
    }
}

/// Stores the counts of rejected webhooks until `stopped`, and then once more.
pub async fn store_rejection_counts(
    rejection_counts: Arc<RejectionCounts>,
    engine: Engine,
    mut stopped: watch::Receiver<bool>,
) {
    let mut running = true;
    while running {
        tokio::select! {
            () = engine.clock.sleep(STORE_REJECTIONS_EVERY) => {}
            _ = stopped.wait_for(|stopped| *stopped) => running = false,
        }
        rejection_counts.store_all(&engine.store).await;
    }
}
