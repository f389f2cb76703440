//! A circuit breaker for each account at the provider. It opens when the account is throttled, refused or out of reach, so
//! that the failures of one account do not slow down the others.
//!
//! ```text
//!   closed ──▶ open (back-off doubles, with jitter) ──▶ one probe ──▶ closed
//! ```

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::Timestamp;
use crate::domain::clock::Random;

/// Sends in flight to one account at most, so that an account that hangs cannot use up the capacity of all.
pub const ACCOUNT_IN_FLIGHT_MAX: usize = 128;
/// The most sends in flight to all accounts.
pub const IN_FLIGHT_MAX: usize = 512;
/// Twilio's advice: from 100 ms, doubling, give or take a tenth, 30 s at most.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
const JITTER_PERCENT: u32 = 10;
/// The interval of retries with refused credentials, in case they were corrected at the provider.
const CREDENTIALS_PAUSE: Duration = Duration::from_secs(300);
/// Time-outs in a row until the circuit opens for them too.
const TIMEOUTS_TO_OPEN: u32 = 8;

/// A failure of the account, not of the single send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountFailure {
    /// 429, 503 or no connection, with the wait that the provider asked for.
    Busy(Option<Duration>),
    /// The credentials are refused.
    Credentials,
    /// No answer in time.
    Timeout,
}

#[derive(Debug, Default)]
struct Circuit {
    failures: u32,
    timeouts: u32,
    open_until: Option<Timestamp>,
    /// The credentials were refused. Health and metrics show it.
    paused: bool,
}

/// The circuits of all accounts. An account without an entry is closed.
pub struct Circuits {
    accounts: Mutex<HashMap<String, Circuit>>,
    random: Random,
}

impl Circuits {
    /// Starts with all circuits closed. `random` gives the jitter.
    pub fn new(random: Random) -> Self {
        Self { accounts: Mutex::default(), random }
    }

    /// How many sends may be in flight to the account now: none while it pauses, then one as a probe.
    pub fn allows(&self, account: &str, now: Timestamp) -> usize {
        match self.accounts.lock().get(account).and_then(|circuit| circuit.open_until) {
            Some(until) if until > now => 0,
            Some(_) => 1,
            None => ACCOUNT_IN_FLIGHT_MAX,
        }
    }

    /// Records the end of a send. Gives the time until which the account pauses, where this opened its circuit.
    pub fn record(&self, account: &str, failure: Option<AccountFailure>, now: Timestamp) -> Option<Timestamp> {
        let mut accounts = self.accounts.lock();
        let Some(failure) = failure else {
            accounts.remove(account);
            return None;
        };
        let circuit = accounts.entry(account.to_owned()).or_default();
        let pause = match failure {
            AccountFailure::Credentials => {
                circuit.paused = true;
                CREDENTIALS_PAUSE
            }
            AccountFailure::Timeout => {
                circuit.timeouts += 1;
                if circuit.timeouts < TIMEOUTS_TO_OPEN {
                    return None;
                }
                self.backoff(circuit.timeouts - TIMEOUTS_TO_OPEN)
            }
            AccountFailure::Busy(retry_after) => {
                // Many sends in flight fail together. They count as one failure, or the back-off would grow without reason.
                if circuit.open_until.is_some_and(|until| until > now) {
                    return circuit.open_until;
                }
                circuit.failures += 1;
                let backoff = self.backoff(circuit.failures - 1);
                retry_after.map_or(backoff, |wait| self.random.jitter(wait, JITTER_PERCENT).max(wait))
            }
        };
        circuit.open_until = Some(circuit.open_until.unwrap_or(now).max(now.plus(pause)));
        circuit.open_until
    }

    /// Counts the accounts whose credentials are refused. Their sends wait until the credentials are put right.
    pub fn paused(&self) -> usize {
        self.accounts.lock().values().filter(|circuit| circuit.paused).count()
    }

    /// Closes the circuit: the credentials have changed.
    pub fn reset(&self, account: &str) {
        self.accounts.lock().remove(account);
    }

    fn backoff(&self, failures: u32) -> Duration {
        let grown = BACKOFF_FIRST.saturating_mul(1 << failures.min(16)).min(BACKOFF_MAX);
        self.random.jitter(grown, JITTER_PERCENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_us(ms * 1_000)
    }

    #[test]
    fn throttling_backs_off_and_one_probe_closes_it() {
        let circuits = Circuits::new(Random::seeded(1));
        assert_eq!(circuits.allows("AC1", at(0)), ACCOUNT_IN_FLIGHT_MAX);
        let until = circuits.record("AC1", Some(AccountFailure::Busy(None)), at(0)).unwrap();
        assert!((90..=110).contains(&until.unix_ms()), "{until}");
        assert_eq!(circuits.allows("AC1", at(50)), 0, "open");
        assert_eq!(circuits.allows("AC2", at(50)), ACCOUNT_IN_FLIGHT_MAX, "others go on");
        assert_eq!(circuits.allows("AC1", at(200)), 1, "one probe");
        let until = circuits.record("AC1", Some(AccountFailure::Busy(None)), at(200)).unwrap();
        assert!(until.since(at(200)) >= Duration::from_millis(180), "twice as long");
        assert_eq!(circuits.record("AC1", None, at(500)), None);
        assert_eq!(circuits.allows("AC1", at(500)), ACCOUNT_IN_FLIGHT_MAX, "closed");
    }

    #[test]
    fn the_providers_own_wait_is_kept() {
        let circuits = Circuits::new(Random::seeded(1));
        let until = circuits.record("AC1", Some(AccountFailure::Busy(Some(Duration::from_secs(7)))), at(0)).unwrap();
        assert!(until >= at(7_000));
    }

    #[test]
    fn refused_credentials_pause_until_they_change() {
        let circuits = Circuits::new(Random::seeded(1));
        circuits.record("AC1", Some(AccountFailure::Credentials), at(0));
        assert_eq!(circuits.paused(), 1);
        assert_eq!(circuits.allows("AC1", at(1_000)), 0);
        circuits.reset("AC1");
        assert_eq!(circuits.paused(), 0);
        assert_eq!(circuits.allows("AC1", at(1_000)), ACCOUNT_IN_FLIGHT_MAX);
    }
}
