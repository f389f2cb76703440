//! Points at which a test may have the process killed, as by SIGKILL: nothing runs after it, no destructor, no flush.
//!
//! Only with the feature `abort-points`; else [`point`] is nothing. `RECADO_ABORT_AT=name:3` kills at the third passing.

#[cfg(not(feature = "abort-points"))]
#[inline]
pub const fn point(_name: &str) {}

#[cfg(feature = "abort-points")]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let setting = std::env::var("RECADO_ABORT_AT").ok()?;
        let (name, count) = setting.split_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    if let Some((wanted, count)) = wanted
        && wanted == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        // `kill` by ourselves: `abort()` would be SIGABRT, which the runtime could still catch.
        let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        std::process::abort();
    }
}
