//! Wake-ups between the stages. **The row is the truth, the bus only a wake-up**: it carries which tenants have
//! something waiting, and what a lost wake-up leaves behind, a sweep finds.
//!
//! How to add a bus: a file here with a type that implements [`Bus`], chosen in `app.rs`.

mod lanes;
mod local;

use std::future::Future;

pub use lanes::{Lanes, Speed};
pub use local::LocalBus;

use crate::domain::TenantId;

/// Carries tenants, not rows: publishing the same one twice before it is received is one wake-up, so that a bus can
/// never hold more than there are tenants.
pub trait Bus: Send + Sync {
    /// Says that the tenant has something waiting. Never waits.
    fn publish(&self, tenant: TenantId);

    /// Waits until somebody has, then takes all who have.
    fn receive(&self) -> impl Future<Output = Vec<TenantId>> + Send;
}
