//! Ids: UUIDv7, so that rows of the same time are stored together and ids sort by age.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::clock::{Clock, Random};

/// The id of a noun. Its type keeps it apart from the ids of other nouns.
pub struct Id<Noun>(Uuid, PhantomData<fn() -> Noun>);

/// The nouns that have ids. They are never constructed.
pub mod noun {
    pub enum Tenant {}
    pub enum Contact {}
    pub enum Message {}
    pub enum Event {}
    pub enum Action {}
    pub enum Attempt {}
    pub enum Timer {}
    pub enum Token {}
    pub enum Appointment {}
    pub enum Service {}
    pub enum Staff {}
    pub enum Call {}
    pub enum Campaign {}
}

pub type TenantId = Id<noun::Tenant>;
pub type ContactId = Id<noun::Contact>;
pub type MessageId = Id<noun::Message>;
pub type EventId = Id<noun::Event>;
pub type ActionId = Id<noun::Action>;
pub type AppointmentId = Id<noun::Appointment>;
pub type ServiceId = Id<noun::Service>;
pub type StaffId = Id<noun::Staff>;
pub type CallId = Id<noun::Call>;
pub type CampaignId = Id<noun::Campaign>;
pub type AttemptId = Id<noun::Attempt>;

impl<Noun> Id<Noun> {
    /// Makes an id of a UUID.
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The time when the id was made, in milliseconds since 1970.
    pub fn unix_ms(self) -> u64 {
        (self.0.as_u128() >> 80) as u64
    }
}

impl ActionId {
    /// Derives the id of an action from (event, rule, index). Deciding twice gives the same id, so the action is planned
    /// once. The time part is the event's, the rest is a hash.
    pub fn of(event: EventId, rule: &str, index: usize) -> Self {
        let mut hash = Sha256::new();
        hash.update(event.uuid().as_bytes());
        hash.update(rule.as_bytes());
        hash.update([0]);
        hash.update((index as u64).to_be_bytes());
        let digest = hash.finalize();
        let mut rest = [0u8; 10];
        rest.copy_from_slice(&digest[..10]);
        Self::new(uuid::Builder::from_unix_timestamp_millis(event.unix_ms(), &rest).into_uuid())
    }

    /// The id of the message that this action sends, which has the same UUID.
    pub const fn message(self) -> MessageId {
        Id::new(self.uuid())
    }
}

impl MessageId {
    /// The id of the action that sent this message, if it is outbound.
    pub const fn action(self) -> ActionId {
        Id::new(self.uuid())
    }
}

/// Makes ids that increase strictly within the process, even if the clock steps back.
pub struct Ids {
    clock: Clock,
    random: Random,
    last: Mutex<u128>,
    last_tick_us: AtomicI64,
}

impl Ids {
    /// Makes ids by this clock and this source of randomness.
    pub const fn new(clock: Clock, random: Random) -> Self {
        Self { clock, random, last: Mutex::new(0), last_tick_us: AtomicI64::new(0) }
    }

    /// The current time in microseconds, but later than any tick before. Planned actions are ordered by it.
    pub fn tick_us(&self) -> i64 {
        let now = self.clock.now().unix_us();
        let last = self.last_tick_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        now.max(last.unwrap_or_default() + 1)
    }

    /// Makes the next id.
    pub fn next<Noun>(&self) -> Id<Noun> {
        // 48 bits of milliseconds, 12 bits of rand_a and 14 bits of rand_b are a counter; 48 bits are random.
        let ms = self.clock.now().unix_ms().max(0) as u128;
        let mut last = self.last.lock();
        *last = (*last + 1).max(ms << 26);
        let (ms, counter) = ((*last >> 26) as u64, (*last & 0x3FF_FFFF) as u32);
        drop(last);
        let mut rest = [0u8; 10];
        let random = self.random.next_u64();
        // rand_a: the counter's upper 12 bits; rand_b: its lower 14, then 48 random bits.
        let upper = (counter >> 14) as u16;
        let lower = (counter & 0x3FFF) as u16;
        rest[..2].copy_from_slice(&upper.to_be_bytes());
        rest[2..4].copy_from_slice(&lower.to_be_bytes());
        rest[4..].copy_from_slice(&random.to_be_bytes()[..6]);
        Id::new(uuid::Builder::from_unix_timestamp_millis(ms, &rest).into_uuid())
    }
}

impl<Noun> Clone for Id<Noun> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Noun> Copy for Id<Noun> {}
impl<Noun> PartialEq for Id<Noun> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<Noun> Eq for Id<Noun> {}
impl<Noun> PartialOrd for Id<Noun> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<Noun> Ord for Id<Noun> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<Noun> std::hash::Hash for Id<Noun> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<Noun> fmt::Display for Id<Noun> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl<Noun> fmt::Debug for Id<Noun> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl<Noun> FromStr for Id<Noun> {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self::new)
    }
}
impl<Noun> Serialize for Id<Noun> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
impl<'de, Noun> Deserialize<'de> for Id<Noun> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_even_when_the_clock_steps_back() {
        let clock = Clock::simulated(Timestamp::from_unix_us(1_800_000_000_000_000));
        let ids = Ids::new(clock.clone(), Random::seeded(7));
        let mut last: EventId = ids.next();
        for step in 0..10_000 {
            if step == 5_000 {
                clock.set(Timestamp::from_unix_us(1_700_000_000_000_000));
            }
            let next: EventId = ids.next();
            assert!(next > last, "{next} after {last}");
            assert_eq!(next.uuid().get_version_num(), 7);
            last = next;
        }
    }

    #[test]
    fn an_action_is_the_same_when_decided_twice() {
        let ids = Ids::new(Clock::simulated(Timestamp::from_unix_us(1)), Random::seeded(7));
        let event: EventId = ids.next();
        assert_eq!(ActionId::of(event, "welcome", 0), ActionId::of(event, "welcome", 0));
        assert_ne!(ActionId::of(event, "welcome", 0), ActionId::of(event, "welcome", 1));
        assert_ne!(ActionId::of(event, "a", 0), ActionId::of(event, "b", 0));
        assert_eq!(ActionId::of(event, "welcome", 0).unix_ms(), event.unix_ms());
    }

    use crate::domain::clock::Timestamp;
}
