//! Long polls: a request waits until there is something new.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Limit of the wait.
const WAIT_MAX_MS: u64 = 30_000;

/// Calls `look` after each change until it returns true, or the time is up; returns its last value. `None` ends the
/// wait at once.
pub async fn wait_for<T>(
    changes: &watch::Sender<u64>,
    wait_ms: u64,
    look: impl Fn() -> Option<(bool, T)>,
) -> Option<T> {
    let mut changes = changes.subscribe();
    let until = Instant::now() + Duration::from_millis(wait_ms.min(WAIT_MAX_MS));
    loop {
        changes.mark_unchanged();
        let (found, value) = look()?;
        if found || !matches!(timeout_at(until, changes.changed()).await, Ok(Ok(()))) {
            return Some(value);
        }
    }
}
