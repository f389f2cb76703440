//! Wake-ups between the stages. **The row is the truth, the bus only a wake-up**: it carries who has
//! something waiting (a tenant to be decided for, an queue to be sent along), and what a lost wake-up leaves behind, a sweep finds.
//!
//! How to add a bus: a file here with a type that implements [`Bus`], chosen in `app.rs`.

mod fast_slow;
mod local;

use std::future::Future;

pub use crate::engine::wakeups::fast_slow::{FastSlowQueues, Speed};
pub use local::LocalBus;

/// What a bus can carry.
pub trait Waker: Clone + Ord + Send + Sync {}
impl<K: Clone + Ord + Send + Sync> Waker for K {}

/// Carries tenants and their queues, not rows: publishing the same one twice before it is received is one wake-up, so
/// that a bus can never hold more than there are.
pub trait Bus<K: Waker>: Send + Sync {
    /// Says who has something waiting. Never waits.
    fn publish(&self, who: K);

    /// Waits until somebody has, then takes all who have.
    fn receive(&self) -> impl Future<Output = Vec<K>> + Send;
}
