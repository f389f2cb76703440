//! The STOPs of the last moments, looked up just before a send leaves.
//!
//! The gate sees a STOP once it is committed. A send that passed the gate before, and waits for a connection, is caught
//! here, because the STOP is noted before its commit begins. A window of some microseconds remains, between this look and
//! the first byte on the wire.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::domain::{Channel, TenantId, Timestamp};
use crate::store::SEND_WITHIN;

/// The most notes in memory. Notes that are older than any attempt are dropped first.
const NOTES_MAX: usize = 100_000;

type Who = (TenantId, Channel, String);

/// Recent STOPs by tenant, channel and address.
#[derive(Default)]
pub struct RecentOptOuts(Mutex<HashMap<Who, Timestamp>>);

impl RecentOptOuts {
    /// Notes a STOP of this customer that is about to be committed.
    pub fn note(&self, tenant: TenantId, channel: Channel, peer_key: String, now: Timestamp) {
        let mut notes = self.0.lock();
        if notes.len() >= NOTES_MAX {
            notes.retain(|_, at| at.plus(SEND_WITHIN) > now);
        }
        notes.insert((tenant, channel, peer_key), now);
    }

    /// Whether a STOP was noted since `claimed_at`.
    pub fn since(&self, tenant: TenantId, channel: Channel, peer_key: &str, claimed_at: Timestamp) -> bool {
        let notes = self.0.lock();
        !notes.is_empty() && notes.get(&(tenant, channel, peer_key.to_owned())).is_some_and(|at| *at >= claimed_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_catches_what_was_claimed_before_it_only() {
        let stops = RecentOptOuts::default();
        let tenant = TenantId::new(uuid::Uuid::from_u128(1));
        let at = Timestamp::from_unix_us;
        stops.note(tenant, Channel::Sms, "+34600111222".to_owned(), at(10));
        assert!(stops.since(tenant, Channel::Sms, "+34600111222", at(9)));
        assert!(stops.since(tenant, Channel::Sms, "+34600111222", at(10)), "at the same instant");
        assert!(!stops.since(tenant, Channel::Sms, "+34600111222", at(11)), "the gate has seen it");
        assert!(!stops.since(tenant, Channel::WhatsApp, "+34600111222", at(9)));
    }
}
