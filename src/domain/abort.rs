//! Points at which a test can kill the process with SIGKILL, so that no destructor runs and nothing is flushed, or stop it
//! with SIGSTOP.
//!
//! They exist only with the feature `abort-points`; without it [`point`] does nothing. `RECADO_ABORT_AT=name:3` kills the
//! process when it passes the point for the third time, `RECADO_STOP_AT=name:3` stops it.

/// Does nothing: the feature `abort-points` is off.
#[cfg(not(feature = "abort-points"))]
#[inline]
pub const fn point(_name: &str) {}

/// Kills or stops the process here, if a test asks for it.
#[cfg(feature = "abort-points")]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicU64;
    static KILL: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static STOP: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
    if is_here(KILL.get_or_init(|| wanted("RECADO_ABORT_AT")), &PASSED[0], name) {
        signal("-9");
        std::process::abort();
    }
    if is_here(STOP.get_or_init(|| wanted("RECADO_STOP_AT")), &PASSED[1], name) {
        signal("-STOP");
    }
}

#[cfg(feature = "abort-points")]
fn wanted(variable: &str) -> Option<(String, u64)> {
    let setting = std::env::var(variable).ok()?;
    let (name, count) = setting.split_once(':')?;
    Some((name.to_owned(), count.parse().ok()?))
}

#[cfg(feature = "abort-points")]
fn is_here(wanted: &Option<(String, u64)>, passed: &std::sync::atomic::AtomicU64, name: &str) -> bool {
    wanted.as_ref().is_some_and(|(point, count)| {
        point == name && passed.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == *count
    })
}

/// Sends a signal to this process by `kill`. `abort()` would send SIGABRT, which the runtime could still catch.
#[cfg(feature = "abort-points")]
fn signal(signal: &str) {
    let _ = std::process::Command::new("kill").args([signal, &std::process::id().to_string()]).status();
}
