//! Misbehaviour on demand.
//!
//! ```json
//! {"fault": "drop_after_accept", "times": 3, "percent": 50, "account": "AC…", "on": "create"}
//! ```

use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

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
    /// No status callback comes.
    CallbacksLost,
    /// The status callbacks come before the answer to the request.
    CallbacksBeforeAnswer,
}

impl FaultKind {
    const fn is_about_callbacks(self) -> bool {
        use FaultKind::{CallbacksBeforeAnswer, CallbacksDoubled, CallbacksLost, CallbacksReordered};
        matches!(self, CallbacksDoubled | CallbacksReordered | CallbacksLost | CallbacksBeforeAnswer)
    }
}

/// Which requests a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Creating a message.
    #[default]
    Create,
    /// Listing messages, or fetching one.
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
}

const fn always() -> u8 {
    100
}

impl Fault {
    /// Strikes every creation, so many times.
    pub const fn times(fault: FaultKind, times: u32) -> Self {
        Self { fault, times: Some(times), percent: 100, account: None, on: On::Create }
    }

    /// Strikes every creation until cleared.
    pub const fn always(fault: FaultKind) -> Self {
        Self { fault, times: None, percent: 100, account: None, on: On::Create }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("{FAULTS_MAX} faults are ordered already: clear them first (DELETE /carrier/faults)")]
    TooMany,
    #[error("percent is {0}: choose 0 to 100")]
    Percent(u8),
}

/// What strikes one request: at most one fault of the answer and one of the callbacks, the first ordered first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strike {
    pub answer: Option<FaultKind>,
    pub callbacks: Option<FaultKind>,
}

#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub fn add(&self, fault: Fault) -> Result<(), FaultError> {
        if fault.percent > 100 {
            return Err(FaultError::Percent(fault.percent));
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
            let slot = if fault.fault.is_about_callbacks() { &mut strike.callbacks } else { &mut strike.answer };
            let concerned = (fault.on == On::Any || fault.on == on)
                && fault.times != Some(0)
                && fault.account.as_deref().is_none_or(|only| only == account);
            if slot.is_none() && concerned && random.next_u64() % 100 < u64::from(fault.percent) {
                *slot = Some(fault.fault);
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
