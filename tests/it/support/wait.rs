//! Waits for other tasks and processes. The only place in the tests that sleeps.

use std::fmt::Debug;
use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

const FIRST_PAUSE_MS: u64 = 5;
const PAUSE_MAX_MS: u64 = 100;

/// Calls `probe` until it returns `Ok`, and returns that value. Panics after `deadline` with the last `Err` of `probe`, at
/// the caller's line.
///
/// ```text
/// let sent = eventually(Duration::from_secs(5), || async { twin.only_message().await.ok_or("no message yet") }).await;
/// ```
#[track_caller]
pub fn eventually<T, S, F>(deadline: Duration, mut probe: impl FnMut() -> F) -> impl Future<Output = T>
where
    S: Debug,
    F: Future<Output = Result<T, S>>,
{
    let caller = Location::caller();
    async move {
        let started = Instant::now();
        let mut pause = Duration::from_millis(FIRST_PAUSE_MS);
        let mut last = None;
        loop {
            let left = deadline.saturating_sub(started.elapsed());
            match tokio::time::timeout(left, probe()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(state)) => last = Some(state),
                Err(_) => give_up(caller, deadline, last),
            }
            // A probe that answers at once never reaches the timeout, so the deadline is checked here too.
            if started.elapsed() >= deadline {
                give_up(caller, deadline, last);
            }
            tokio::time::sleep(pause.min(deadline.saturating_sub(started.elapsed()))).await;
            pause = (pause * 2).min(Duration::from_millis(PAUSE_MAX_MS));
        }
    }
}

fn give_up<S: Debug>(caller: &Location<'_>, deadline: Duration, last: Option<S>) -> ! {
    match last {
        Some(state) => panic!("{caller}: not after {deadline:?}; last state: {state:?}"),
        None => panic!("{caller}: the first probe did not end within {deadline:?}"),
    }
}
