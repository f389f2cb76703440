//! Misbehaviour on demand.
//!
//! ```json
//! {"fault": "drop_after_accept", "times": 3, "percent": 50, "account": "AC…", "on": "create"}
//! {"fault": "callbacks_late", "delay_ms": 90000}
//! ```

use std::str::FromStr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::clock::Random;

/// How many may be ordered at once.
pub const FAULTS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 429, not taken.
    Throttle,
    /// 500, not taken.
    #[serde(rename = "error_500")]
    Error500,
    /// 500, though taken.
    #[serde(rename = "error_500_after_accept")]
    Error500AfterAccept,
    /// 503, not taken.
    #[serde(rename = "unavailable_503")]
    Unavailable503,
    /// The connection closes without an answer, though taken.
    DropAfterAccept,
    /// The connection closes without an answer, not taken.
    DropBeforeAccept,
    /// No answer until the client gives up, though taken.
    HangAfterAccept,
    /// No answer until the client gives up, not taken.
    Hang,
    /// Taken, and answered a byte at a time.
    Drip,
    /// 401, not taken.
    Unauthorized,
    /// Each status callback comes twice.
    CallbacksDoubled,
    /// The last status is reported first.
    CallbacksReordered,
    /// The status callbacks come only after `delay_ms`.
    CallbacksLate,
    /// No status callback comes.
    CallbacksLost,
    /// The status callbacks come before the answer to the request.
    CallbacksBeforeAnswer,
}

impl FaultKind {
    const fn is_about_callbacks(self) -> bool {
        use FaultKind::{CallbacksBeforeAnswer, CallbacksDoubled, CallbacksLate, CallbacksLost, CallbacksReordered};
        matches!(self, CallbacksDoubled | CallbacksReordered | CallbacksLate | CallbacksLost | CallbacksBeforeAnswer)
    }
}

/// Which requests a fault strikes.
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub fault: FaultKind,
    /// How often it strikes; `None` until cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// Of the requests that it could strike, 0 to 100.
    #[serde(default = "always")]
    pub percent: u8,
    /// Only requests of this account.
    #[serde(default)]
    pub account: Option<String>,
    #[serde(default)]
    pub on: On,
    /// Of callbacks that come late, a day at most; half a minute where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

const DELAY_MS: u64 = 30_000;
const DELAY_MAX_MS: u64 = 24 * 3_600 * 1_000;

const fn always() -> u8 {
    100
}

impl Fault {
    /// Strikes every creation, so many times.
    pub const fn times(fault: FaultKind, times: u32) -> Self {
        Self { fault, times: Some(times), percent: 100, account: None, on: On::Create, delay_ms: None }
    }

    /// Strikes every creation until cleared.
    pub const fn always(fault: FaultKind) -> Self {
        Self { fault, times: None, percent: 100, account: None, on: On::Create, delay_ms: None }
    }
}

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

/// What strikes one request: at most one fault of the answer and one of the callbacks, the first ordered first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strike {
    pub answer: Option<FaultKind>,
    pub callbacks: Option<CallbackFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackFault {
    pub kind: FaultKind,
    /// How late they come, if that is the fault.
    pub delay: Duration,
}

#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
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

    pub fn all(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Takes what strikes this request; a fault that has struck its number of times is gone.
    pub fn strike(&self, on: On, account: &str, random: &Random) -> Strike {
        let mut strike = Strike::default();
        let mut faults = self.lock();
        for fault in faults.iter_mut() {
            let about_callbacks = fault.fault.is_about_callbacks();
            let free = if about_callbacks { strike.callbacks.is_none() } else { strike.answer.is_none() };
            let concerned = (fault.on == On::Any || fault.on == on)
                && fault.times != Some(0)
                && fault.account.as_deref().is_none_or(|only| only == account);
            if free && concerned && random.next_u64() % 100 < u64::from(fault.percent) {
                if about_callbacks {
                    let delay = Duration::from_millis(fault.delay_ms.unwrap_or(DELAY_MS));
                    strike.callbacks = Some(CallbackFault { kind: fault.fault, delay });
                } else {
                    strike.answer = Some(fault.fault);
                }
                fault.times = fault.times.map(|times| times - 1);
            }
        }
        faults.retain(|fault| fault.times != Some(0));
        drop(faults);
        strike
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        // A poisoned lock holds a list of plain values, each whole.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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
