//! The plan of a call: its first document, its callbacks, its limits, and how it ends.

use std::time::Duration;

use reqwest::Url;

use super::super::faults::CallbackFault;
use super::super::method::Method;
use super::call::{CallStatus, HungUpBy};
use super::document::{Element, Fault};
use super::order::Source;
use super::party::Party;
use super::report::Report;
use crate::integrations::twilio::form::Params;

/// Twilio's limit of a call.
pub const TIME_LIMIT: Duration = Duration::from_secs(4 * 3_600);
/// Twilio's code for an invalid URL.
pub const WRONG_URL: u32 = 11100;

/// A fetched document.
pub struct Document {
    /// The base of relative URLs.
    pub url: Option<String>,
    pub verbs: Vec<Element>,
}

impl Document {
    /// Resolves an absolute or relative URL in the document.
    pub fn resolve(&self, named: Option<&str>) -> Result<String, Fault> {
        let wrong = || Fault::new(WRONG_URL, format!("'{}' is no URL here", named.unwrap_or_default()));
        let Some(named) = named else { return self.url.clone().ok_or_else(wrong) };
        if Url::parse(named).is_ok() {
            return Ok(named.to_owned());
        }
        let base = self.url.as_deref().and_then(|url| Url::parse(url).ok()).ok_or_else(wrong)?;
        base.join(named).map(String::from).map_err(|_| wrong())
    }
}

/// The callback if the party hangs up in the middle of a verb.
pub struct HangupAction {
    pub url: String,
    pub method: Method,
    pub params: Params,
    /// The field with the duration in seconds, and its start.
    pub lasted: &'static str,
    pub since: Duration,
}

impl HangupAction {
    /// Replaces the value of a field.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.params = self.params.iter().map(|(known, old)| (known, if known == key { value } else { old })).collect();
        self
    }
}

/// The end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub status: CallStatus,
    pub by: Option<HungUpBy>,
}

impl End {
    /// The end of an answered call.
    pub const fn by(by: HungUpBy) -> Self {
        Self { status: CallStatus::Completed, by: Some(by) }
    }

    /// The end of a call with another status.
    pub const fn status(status: CallStatus) -> Self {
        Self { status, by: None }
    }
}

/// The parameters of a new call.
pub struct Plan {
    pub first: Source,
    pub fallback: Option<(String, Method)>,
    pub report: Option<Report>,
    pub party: Party,
    /// Limit of the ringing time.
    pub timeout: Duration,
    pub time_limit: Duration,
    pub amd: Option<Amd>,
    pub send_digits: Option<String>,
    /// Records the call, and reports the recording.
    pub record: Option<Option<(String, Method)>>,
    pub callback_fault: Option<CallbackFault>,
}

impl Plan {
    /// Creates a plan with Twilio's defaults.
    pub fn new(first: Source, party: Party) -> Self {
        Self {
            first,
            fallback: None,
            report: None,
            party,
            timeout: Duration::from_secs(60),
            time_limit: TIME_LIMIT,
            amd: None,
            send_digits: None,
            record: None,
            callback_fault: None,
        }
    }
}

/// The answering machine detection of a call.
#[derive(Clone, Debug)]
pub struct Amd {
    /// `DetectMessageEnd`: waits for the beep.
    pub to_the_end: bool,
    /// Callback for the result while the first document runs; without it, the document waits for the result.
    pub reports_to: Option<(String, Method)>,
}

/// The continuation after a verb.
#[derive(Clone, Debug)]
pub enum Flow {
    /// The next verb.
    Next,
    Go(Source),
    /// The call left the queue.
    Left,
}
