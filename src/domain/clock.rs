//! The only source of the current time and the only source of randomness. Both are passed in, so that any run can be
//! repeated.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::watch;

/// An instant in microseconds since 1970 UTC, the finest resolution that both databases store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes an instant of microseconds since 1970 UTC.
    pub const fn from_unix_us(us: i64) -> Self {
        Self(us)
    }

    /// Microseconds since 1970 UTC.
    pub const fn unix_us(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970 UTC, rounded down.
    pub const fn unix_ms(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The instant later by `duration`.
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_micros() as i64))
    }

    /// The instant earlier by `duration`.
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_micros() as i64))
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        let us = self.0.saturating_sub(earlier.0);
        Duration::from_micros(if us > 0 { us as u64 } else { 0 })
    }

    /// The calendar date in UTC. An instant beyond chrono's years becomes 1970.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    /// Parses RFC 3339, such as `2026-11-21T08:00:00Z`.
    pub fn parse(text: &str) -> Result<Self, chrono::ParseError> {
        DateTime::parse_from_rfc3339(text).map(|at| Self(at.timestamp_micros()))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The source of the current time: the machine's clock, or a simulated one.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Simulated(watch::Sender<Timestamp>),
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A simulated clock, which stands at `start`.
    pub fn simulated(start: Timestamp) -> Self {
        Self(Source::Simulated(watch::Sender::new(start)))
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    /// The current time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Utc::now().into(),
            Source::Simulated(now) => *now.borrow(),
        }
    }

    /// Sets a simulated clock. Does nothing to the machine's clock.
    pub fn set(&self, to: Timestamp) {
        if let Source::Simulated(now) = &self.0 {
            now.send_replace(to);
        }
    }

    /// Advances a simulated clock. Does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }

    /// Waits until `at` by this clock.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Source::System => tokio::time::sleep(at.since(self.now())).await,
            Source::Simulated(now) => {
                // `self` owns the sender, so the wait ends only when the time is reached.
                let _ = now.subscribe().wait_for(|now| *now >= at).await;
            }
        }
    }

    /// Waits for a duration by this clock.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now().plus(duration)).await;
    }
}

/// A seeded source of randomness for ids and jitter. Keys come from the operating system instead.
#[derive(Debug)]
pub struct Random(Mutex<u64>);

impl Random {
    /// Starts from a seed.
    pub const fn seeded(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// Starts from a seed of the operating system.
    ///
    /// # Errors
    /// If the operating system has no randomness.
    pub fn from_os() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self::seeded)
    }

    /// The next number, by SplitMix64 (Steele, Lea, Flood 2014), which is good enough for ids and jitter.
    pub fn next_u64(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        drop(state);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Varies a duration by up to `percent` of it in either direction.
    pub fn jitter(&self, duration: Duration, percent: u32) -> Duration {
        let span = f64::from(percent) / 100.0;
        let unit = (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        duration.mul_f64((1.0 - span + 2.0 * span * unit).max(0.0))
    }
}
