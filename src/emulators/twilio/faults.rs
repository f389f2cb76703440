//! Faults on demand.
//!
//! ```json
//! {"fault": "drop_after_accept", "times": 3, "percent": 50, "account": "AC…", "on": "create"}
//! {"fault": "callbacks_late", "delay_ms": 90000}
//! ```

use std::str::FromStr;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::clock::Random;

/// Limit of active faults.
pub const FAULTS_MAX: usize = 64;

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 429, not accepted.
    Throttle,
    /// 500, not accepted.
    #[serde(rename = "error_500")]
    Error500,
    /// 500, but accepted.
    #[serde(rename = "error_500_after_accept")]
    Error500AfterAccept,
    /// 503, not accepted.
    #[serde(rename = "unavailable_503")]
    Unavailable503,
    /// The connection closes without an answer, but the request is accepted.
    DropAfterAccept,
    /// The connection closes without an answer, not accepted.
    DropBeforeAccept,
    /// No answer until the client gives up, but accepted.
    HangAfterAccept,
    /// No answer until the client gives up, not accepted.
    Hang,
    /// Accepted, and answered one byte at a time.
    Drip,
    /// 401, not accepted.
    Unauthorized,
    /// Each status callback comes twice.
    CallbacksDoubled,
    /// The last status is reported first.
    CallbacksReordered,
    /// Status callbacks come after `delay_ms`.
    CallbacksLate,
    /// No status callback comes.
    CallbacksLost,
    /// Status callbacks come before the answer to the request.
    CallbacksBeforeAnswer,
}

impl FaultKind {
    const fn is_about_callbacks(self) -> bool {
        use FaultKind::{CallbacksBeforeAnswer, CallbacksDoubled, CallbacksLate, CallbacksLost, CallbacksReordered};
        matches!(self, CallbacksDoubled | CallbacksReordered | CallbacksLate | CallbacksLost | CallbacksBeforeAnswer)
    }
}

/// The requests that a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Creating a message.
    #[default]
    Create,
    /// Creating a call.
    Call,
    /// Listing messages or calls, or fetching one.
    List,
    Any,
}

/// An active fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub fault: FaultKind,
    /// Number of strikes; `None` until cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// Share of the matching requests, 0 to 100.
    #[serde(default = "always")]
    pub percent: u8,
    /// Only requests of this account.
    #[serde(default)]
    pub account: Option<String>,
    #[serde(default)]
    pub on: On,
    /// Delay of late callbacks, at most a day; half a minute by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

const DELAY_MS: u64 = 30_000;
const DELAY_MAX_MS: u64 = 24 * 3_600 * 1_000;

const fn always() -> u8 {
    100
}

impl Fault {
    /// Strikes every create, `times` times.
    pub const fn times(fault: FaultKind, times: u32) -> Self {
        Self { fault, times: Some(times), percent: 100, account: None, on: On::Create, delay_ms: None }
    }

    /// Strikes every create until cleared.
    pub const fn always(fault: FaultKind) -> Self {
        Self { fault, times: None, percent: 100, account: None, on: On::Create, delay_ms: None }
    }
}

/// Why a fault is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("{FAULTS_MAX} faults are ordered already: clear them first (DELETE /carrier/faults)")]
    TooMany,
    #[error("percent is {0}: choose 0 to 100")]
    Percent(u8),
    #[error("delay_ms is {0}: choose {DELAY_MAX_MS} at most")]
    Delay(u64),
}

/// `throttle`, or `callbacks_late:delay_ms=90000,times=3`.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, options) = text.split_once(':').unwrap_or((text, ""));
        let mut fault = Map::new();
        fault.insert("fault".to_owned(), kind.into());
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or_else(|| format!("write NAME=VALUE, not '{option}'"))?;
            let value = value.parse::<u64>().map_or_else(|_| Value::from(value), Value::from);
            fault.insert(name.to_owned(), value);
        }
        serde_json::from_value(Value::Object(fault)).map_err(|error| error.to_string())
    }
}

/// The faults of one request: at most one of the answer and one of the callbacks, the oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestFaults {
    pub answer: Option<FaultKind>,
    pub callbacks: Option<CallbackFault>,
}

/// A fault of status callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackFault {
    pub kind: FaultKind,
    /// The delay of late callbacks.
    pub delay: Duration,
}

/// The active faults.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Activates a fault.
    pub fn add(&self, fault: Fault) -> Result<(), FaultError> {
        if fault.percent > 100 {
            return Err(FaultError::Percent(fault.percent));
        }
        if let Some(delay_ms) = fault.delay_ms.filter(|delay_ms| *delay_ms > DELAY_MAX_MS) {
            return Err(FaultError::Delay(delay_ms));
        }
        let mut faults = self.lock();
        if faults.len() == FAULTS_MAX {
            return Err(FaultError::TooMany);
        }
        faults.push(fault);
        drop(faults);
        Ok(())
    }

    /// Returns the active faults.
    pub fn all(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// Clears the faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the faults of this request, and removes those that have struck often enough.
    pub fn draw(&self, on: On, account: &str, random: &Random) -> RequestFaults {
        let mut drawn = RequestFaults::default();
        let mut faults = self.lock();
        for fault in faults.iter_mut() {
            let about_callbacks = fault.fault.is_about_callbacks();
            let free = if about_callbacks { drawn.callbacks.is_none() } else { drawn.answer.is_none() };
            let concerned = (fault.on == On::Any || fault.on == on)
                && fault.times != Some(0)
                && fault.account.as_deref().is_none_or(|only| only == account);
            if free && concerned && random.next_u64() % 100 < u64::from(fault.percent) {
                if about_callbacks {
                    let delay = Duration::from_millis(fault.delay_ms.unwrap_or(DELAY_MS));
                    drawn.callbacks = Some(CallbackFault { kind: fault.fault, delay });
                } else {
                    drawn.answer = Some(fault.fault);
                }
                fault.times = fault.times.map(|times| times - 1);
            }
        }
        faults.retain(|fault| fault.times != Some(0));
        drop(faults);
        drawn
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_on_a_command_line() {
        assert_eq!("throttle".parse(), Ok(Fault::always(FaultKind::Throttle)));
        let late = Fault { delay_ms: Some(90_000), ..Fault::times(FaultKind::CallbacksLate, 3) };
        assert_eq!("callbacks_late:delay_ms=90000,times=3".parse(), Ok(late));
        let listing = Fault { percent: 50, on: On::List, ..Fault::always(FaultKind::Error500) };
        assert_eq!("error_500:percent=50,on=list".parse(), Ok(listing));
        for bad in ["earthquake", "throttle:times", "throttle:tmes=3", "throttle:times=many"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
