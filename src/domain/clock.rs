//! The only source of now, and the only source of chance. Both are handed in, so that any run can be repeated.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::watch;

/// An instant in microseconds since 1970 UTC: the finest that both databases keep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_unix_us(us: i64) -> Self {
        Self(us)
    }

    pub const fn unix_us(self) -> i64 {
        self.0
    }

    pub const fn unix_ms(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_micros() as i64))
    }

    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_micros() as i64))
    }

    /// Time from `earlier` to this, zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        let us = self.0.saturating_sub(earlier.0);
        Duration::from_micros(if us > 0 { us as u64 } else { 0 })
    }

    /// As a calendar date in UTC; an instant beyond chrono's years becomes 1970.
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

/// Where now comes from: the machine, or a test.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Simulated(watch::Sender<Timestamp>),
}

impl Clock {
    pub const fn system() -> Self {
        Self(Source::System)
    }

    pub fn simulated(start: Timestamp) -> Self {
        Self(Source::Simulated(watch::Sender::new(start)))
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Utc::now().into(),
            Source::Simulated(now) => *now.borrow(),
        }
    }

    /// Sets a simulated clock; the machine's own cannot be set and is left alone.
    pub fn set(&self, to: Timestamp) {
        if let Source::Simulated(now) = &self.0 {
            now.send_replace(to);
        }
    }

    /// Moves a simulated clock on; the machine's own is left alone.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }

    /// Waits until `at`, on whichever clock this is.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Source::System => tokio::time::sleep(at.since(self.now())).await,
            Source::Simulated(now) => {
                // The sender lives in `self`, so waiting can only end by the time being reached.
                let _ = now.subscribe().wait_for(|now| *now >= at).await;
            }
        }
    }

    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now().plus(duration)).await;
    }
}

/// A seeded source of chance for ids and jitter. Not for keys: those come from the operating system.
#[derive(Debug)]
pub struct Random(Mutex<u64>);

impl Random {
    pub const fn seeded(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// Seeded by the operating system.
    pub fn from_os() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self::seeded)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): small, quick, good enough for ids and jitter.
    pub fn next_u64(&self) -> u64 {
        // A poisoned lock holds a plain number, which is good whatever happened.
        let mut state = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        drop(state);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `duration`, give or take up to `percent` of it.
    pub fn jitter(&self, duration: Duration, percent: u32) -> Duration {
        let span = f64::from(percent) / 100.0;
        let unit = (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        duration.mul_f64((1.0 - span + 2.0 * span * unit).max(0.0))
    }
}
