//! Wake-ups between the stages. **The row is the truth, the bus only a wake-up.** The bus carries names: a tenant that has
//! events to decide, or a queue that has sends. A sweep finds the rows whose wake-up was lost.
//!
//! How to add a bus: a file here with a type that implements [`Bus`], chosen in `app::composition`.

mod fast_slow;
mod local;

use std::future::Future;

pub use self::fast_slow::{FastSlowQueues, Speed};
pub use self::local::LocalBus;

/// A name that a bus can carry.
pub trait Waker: Clone + Ord + Send + Sync {}
impl<K: Clone + Ord + Send + Sync> Waker for K {}

/// Carries names, not rows. A name that is published twice before it is received is one wake-up, so a bus never holds more
/// than there are names.
pub trait Bus<K: Waker>: Send + Sync {
    /// Publishes a name that has something waiting. Never waits.
    fn publish(&self, who: K);

    /// Waits until there is a name, then takes all there are.
    fn receive(&self) -> impl Future<Output = Vec<K>> + Send;
}
