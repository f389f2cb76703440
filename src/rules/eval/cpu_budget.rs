//! How long this thread has worked, waiting left out: a rule on a busy machine is not to blame for what others take.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Processor time of the thread that made it, and that alone may ask.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Worked(Duration);

impl Worked {
    pub fn begin() -> Self {
        Self(of_this_thread())
    }

    /// Processor time of this thread since then.
    pub fn so_far(self) -> Duration {
        of_this_thread().saturating_sub(self.0)
    }
}

/// Processor time that this thread may use from now on.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Allowance {
    worked: Worked,
    allowed: Duration,
    /// It cannot be used up before this; the clock on the wall costs less to look at.
    not_before: Instant,
}

impl Allowance {
    /// Of less than centuries.
    pub fn of(allowed: Duration) -> Self {
        Self { worked: Worked::begin(), allowed, not_before: Instant::now() + allowed }
    }

    pub fn is_over(&mut self) -> bool {
        let now = Instant::now();
        if now < self.not_before {
            return false;
        }
        let left = self.allowed.saturating_sub(self.worked.so_far());
        self.not_before = now + left;
        left.is_zero()
    }
}

fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_uses_nothing_up_and_work_does() {
        let mut allowance = Allowance::of(Duration::from_millis(40));
        // Nothing comes, and the thread waits for it.
        let (_open, nothing) = std::sync::mpsc::channel::<()>();
        assert!(nothing.recv_timeout(Duration::from_millis(80)).is_err());
        assert!(!allowance.is_over());
        while !allowance.is_over() {
            std::hint::spin_loop();
        }
        assert!(allowance.worked.so_far() >= Duration::from_millis(40));
    }
}
