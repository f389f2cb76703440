//! The budget of a script: interpreter operations and processor time.
//!
//! Processor time leaves waiting out, so a busy machine fails no rule.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rhai::Dynamic;
use rustix::time::{ClockId, clock_gettime};

use crate::rules::limits::Limits;

/// Why [`spend`] stopped a script.
const OUT_OF_OPERATIONS: &str = "operations";
/// The other reason: the processor time is used up.
pub(in crate::rules) const OUT_OF_TIME: &str = "time";

/// How often the clock is read, in operations.
const CLOCK_EVERY_OPERATIONS: u64 = 64;

thread_local! {
    /// The rest of the budget of the rule on this thread. The engine counts operations per call only, and starts anew for
    /// the closures inside `filter` and `map`.
    static BUDGET: Cell<Budget> = const { Cell::new(Budget { operations_left: 0, time: None }) };
}

#[derive(Clone, Copy)]
struct Budget {
    operations_left: u64,
    time: Option<CpuAllowance>,
}

/// Gives the rule that runs next on this thread its operations and its time.
pub(in crate::rules) fn refill(limits: &Limits, within: Duration) {
    let time = CpuAllowance::new(Duration::from_millis(limits.rule_ms).min(within));
    BUDGET.set(Budget { operations_left: limits.operations, time: Some(time) });
}

/// Takes one operation from the budget; returns why the script must stop, if it must.
pub(in crate::rules) fn spend(_: u64) -> Option<Dynamic> {
    let mut budget = BUDGET.get();
    let Some(left) = budget.operations_left.checked_sub(1) else { return Some(OUT_OF_OPERATIONS.into()) };
    budget.operations_left = left;
    let look = left.is_multiple_of(CLOCK_EVERY_OPERATIONS);
    let over = look && budget.time.as_mut().is_some_and(CpuAllowance::is_over);
    BUDGET.set(budget);
    over.then(|| OUT_OF_TIME.into())
}

/// Measures the processor time of the thread that started it. Only that thread may read it.
#[derive(Clone, Copy)]
pub(in crate::rules) struct CpuTimer(Duration);

impl CpuTimer {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(thread_cpu_time())
    }

    /// Returns the processor time of this thread since the start.
    pub fn elapsed(self) -> Duration {
        thread_cpu_time().saturating_sub(self.0)
    }
}

/// Processor time that this thread may use from now on.
#[derive(Clone, Copy)]
struct CpuAllowance {
    used: CpuTimer,
    allowed: Duration,
    /// The allowance cannot be used up before this instant. The wall clock is cheaper to read.
    not_before: Instant,
}

impl CpuAllowance {
    fn new(allowed: Duration) -> Self {
        Self { used: CpuTimer::start(), allowed, not_before: Instant::now() + allowed }
    }

    fn is_over(&mut self) -> bool {
        let now = Instant::now();
        if now < self.not_before {
            return false;
        }
        let left = self.allowed.saturating_sub(self.used.elapsed());
        self.not_before = now + left;
        left.is_zero()
    }
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_uses_nothing_up_and_work_does() {
        let mut allowance = CpuAllowance::new(Duration::from_millis(40));
        // The thread waits for a message that never comes.
        let (_open, nothing) = std::sync::mpsc::channel::<()>();
        assert!(nothing.recv_timeout(Duration::from_millis(80)).is_err());
        assert!(!allowance.is_over());
        while !allowance.is_over() {
            std::hint::spin_loop();
        }
        assert!(allowance.used.elapsed() >= Duration::from_millis(40));
    }
}
