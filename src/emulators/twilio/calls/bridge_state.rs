//! The shared state of connected calls.

use std::time::Duration;

use tokio::sync::watch;

#[derive(Clone, Copy, Default)]
struct State {
    /// Sides that are done.
    idle: usize,
    /// The duration, once the bridge has ended.
    over: Option<Duration>,
}

/// A connection between several sides.
pub struct Bridge {
    sides: usize,
    state: watch::Sender<State>,
}

impl Bridge {
    /// Creates a bridge between so many sides.
    pub fn new(sides: usize) -> Self {
        Self { sides, state: watch::Sender::new(State::default()) }
    }

    /// Ends the bridge; the first end counts.
    pub fn end(&self, lasted: Duration) {
        self.state.send_modify(|state| state.over = state.over.or(Some(lasted)));
    }

    /// Waits for the end; returns the duration.
    pub async fn over(&self) -> Duration {
        let ended = self.state.subscribe().wait_for(|state| state.over.is_some()).await.map(|state| state.over);
        // `self` keeps the sender alive.
        ended.ok().flatten().unwrap_or_default()
    }

    /// Marks a side as done, and waits until all are.
    pub async fn all_idle(&self) {
        self.state.send_modify(|state| state.idle += 1);
        let _ = self.state.subscribe().wait_for(|state| state.idle >= self.sides).await;
    }
}

/// A side of the bridge. Dropping it ends the bridge, so that the other side does not wait.
pub struct BridgeSide<'a>(pub &'a Bridge);

impl Drop for BridgeSide<'_> {
    fn drop(&mut self) {
        self.0.end(Duration::ZERO);
    }
}
