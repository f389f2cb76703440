//! Twilio's voice webhooks: requests for TwiML, and results of verbs.
//!
//! Fields are from <https://www.twilio.com/docs/voice/twiml> and <https://www.twilio.com/docs/voice/api/call-resource>.
//! Twilio requests every URL of a document with the fields of a [`CallRequest`] and those of the verb; both are parsed
//! from the same form, which may come by POST or as a query. Unknown fields are ignored, and an unknown value is kept
//! as text ([`Reported`]): Twilio adds some at any time.

mod results;

#[cfg(test)]
mod tests;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::fields::{Form, error};
use super::form::Params;
use super::is_sid;

pub use super::fields::{Address, FormError, limits};
pub use results::{Dialled, Gathered, QueueResult, Queued};

/// The numbers of callers who withhold theirs: `ANONYMOUS`, `RESTRICTED`, `BLOCKED`, `UNKNOWN` and `UNAVAILABLE` on a
/// phone's keys. <https://help.twilio.com/articles/223179988>
const WITHHELD_NUMBERS: [&str; 5] = ["+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"];
/// The same for calls over SIP.
const WITHHELD_WORDS: [&str; 5] = ["anonymous", "restricted", "blocked", "unknown", "unavailable"];

/// A value from Twilio: the received text, and the variant it stands for, if known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported<T> {
    /// At most [`limits::WORD_MAX_BYTES`] long.
    pub raw: String,
    pub known: Option<T>,
}

impl<T> Default for Reported<T> {
    fn default() -> Self {
        Self { raw: String::new(), known: None }
    }
}

impl<T: FromStr> From<String> for Reported<T> {
    fn from(raw: String) -> Self {
        Self { known: raw.parse().ok(), raw }
    }
}

/// The status of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum CallStatus {
    /// Accepted, not yet dialled.
    Queued,
    /// Being dialled. Callbacks report this event as a status too.
    Initiated,
    Ringing,
    InProgress,
    /// Answered, and ended.
    Completed,
    Busy,
    NoAnswer,
    /// Not connected, mostly because the number does not exist.
    Failed,
    /// Ended by us before it was answered.
    Canceled,
}

impl CallStatus {
    /// True if the call has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Busy | Self::NoAnswer | Self::Failed | Self::Canceled)
    }
}

/// The origin of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Direction {
    Inbound,
    /// Created by the REST API.
    OutboundApi,
    /// Created by `<Dial>`: a leg of another call.
    OutboundDial,
}

/// Twilio's guess of who or what answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum AnsweredBy {
    Human,
    /// A machine that may still be speaking.
    MachineStart,
    /// A machine that is ready for a message.
    MachineEndBeep,
    MachineEndSilence,
    MachineEndOther,
    Fax,
    Unknown,
}

impl AnsweredBy {
    /// True for an answering machine.
    pub const fn is_machine(self) -> bool {
        matches!(self, Self::MachineStart | Self::MachineEndBeep | Self::MachineEndSilence | Self::MachineEndOther)
    }
}

/// A request for TwiML: when a call comes in or is answered, and at each URL of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// `CA…`; each leg has its own.
    pub call_sid: String,
    /// `AC…`
    pub account_sid: String,
    /// The caller. `client:ana` and `sip:ana@example.com` are no numbers. Empty if Twilio does not send it. See
    /// [`CallRequest::is_withheld`].
    pub from: Address,
    /// The called number.
    pub to: Address,
    pub status: Reported<CallStatus>,
    pub direction: Option<Reported<Direction>>,
    pub forwarded_from: Option<Address>,
    /// The caller's name by their carrier; untrusted.
    pub caller_name: Option<String>,
    /// The call whose `<Dial>` created this one.
    pub parent_call_sid: Option<String>,
    /// Verification of the caller's number, for example `TN-Validation-Passed-A`.
    pub stir_verstat: Option<String>,
    pub api_version: Option<String>,
    /// Only if the call waited for the answering machine detection.
    pub answered_by: Option<Reported<AnsweredBy>>,
    /// The names of fields that were not usable and are left out.
    pub dropped: Vec<String>,
}

impl CallRequest {
    /// Reads the form of a voice webhook.
    ///
    /// # Errors
    /// Returns an error if the SIDs, the caller or the called number have no such shape, or are missing.
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form::new(params);
        let request = Self {
            call_sid: form.call_sid()?,
            account_sid: form.account_sid()?,
            from: form.address_if_any("From")?.unwrap_or_default(),
            to: form.address("To")?,
            status: form.value("CallStatus").unwrap_or_default(),
            direction: form.value("Direction"),
            forwarded_from: form.optional_address("ForwardedFrom"),
            caller_name: form.text("CallerName", limits::TEXT_MAX_BYTES),
            parent_call_sid: form.optional_sid("ParentCallSid"),
            stir_verstat: form.text("StirVerstat", limits::WORD_MAX_BYTES),
            api_version: form.text("ApiVersion", limits::WORD_MAX_BYTES),
            answered_by: form.value("AnsweredBy"),
            dropped: Vec::new(),
        };
        Ok(Self { dropped: form.dropped(), ..request })
    }

    /// True if the caller's number is withheld: the caller cannot be identified or called back.
    pub fn is_withheld(&self) -> bool {
        let from = self.from.value.as_str();
        let user = from.strip_prefix("sip:").map_or(from, |address| address.split('@').next().unwrap_or(address));
        from.is_empty()
            || WITHHELD_NUMBERS.contains(&from)
            || WITHHELD_WORDS.iter().any(|word| word.eq_ignore_ascii_case(user))
    }
}

/// A status callback of a call. Callbacks come late, twice, out of order or never, and even before the answer to the
/// request that created the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCallback {
    pub call_sid: String,
    pub account_sid: String,
    pub status: Reported<CallStatus>,
    pub from: Option<Address>,
    pub to: Option<Address>,
    pub direction: Option<Reported<Direction>>,
    pub parent_call_sid: Option<String>,
    /// From the answer to the end; only at the end.
    pub duration_s: Option<u32>,
    /// From 0, in the order of the events.
    pub sequence_number: Option<u32>,
    /// When the event happened, to the second.
    pub timestamp: Option<DateTime<Utc>>,
    /// The called side's last SIP response: 200, 486 and so on.
    pub sip_response_code: Option<u32>,
    /// Only if the whole call was recorded.
    pub recording_sid: Option<String>,
    pub recording_url: Option<String>,
    pub recording_duration_s: Option<u32>,
    pub error_code: Option<u32>,
    pub error_message: Option<String>,
    /// `call-progress-events`
    pub callback_source: Option<String>,
    pub answered_by: Option<Reported<AnsweredBy>>,
}

impl CallCallback {
    /// Reads the form of a status callback.
    ///
    /// # Errors
    /// Returns an error if a SID is missing or is none.
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form::new(params);
        Ok(Self {
            call_sid: form.call_sid()?,
            account_sid: form.account_sid()?,
            status: form.value("CallStatus").unwrap_or_default(),
            from: form.optional_address("From"),
            to: form.optional_address("To"),
            direction: form.value("Direction"),
            parent_call_sid: form.optional_sid("ParentCallSid"),
            duration_s: form.number("CallDuration"),
            sequence_number: form.number("SequenceNumber"),
            timestamp: form.timestamp("Timestamp"),
            sip_response_code: form.number("SipResponseCode"),
            recording_sid: form.text("RecordingSid", limits::WORD_MAX_BYTES),
            recording_url: form.text("RecordingUrl", limits::URL_MAX_BYTES),
            recording_duration_s: form.seconds("RecordingDuration"),
            error_code: form.number("ErrorCode").filter(|code| *code != 0),
            error_message: form.text("ErrorMessage", limits::TEXT_MAX_BYTES),
            callback_source: form.text("CallbackSource", limits::WORD_MAX_BYTES),
            answered_by: form.value("AnsweredBy"),
        })
    }
}

/// Readers for the fields that all call forms share.
impl Form<'_> {
    fn call_sid(&self) -> Result<String, FormError> {
        let expected = "a call SID: CA and 32 hex digits";
        let sid = self.sid(&["CallSid"], expected)?;
        if is_sid("CA", &sid) { Ok(sid) } else { Err(error("CallSid", expected.to_owned())) }
    }

    fn account_sid(&self) -> Result<String, FormError> {
        self.sid(&["AccountSid"], "the account SID: AC and 32 hex digits")
    }

    fn value<T: FromStr>(&self, field: &str) -> Option<Reported<T>> {
        self.text(field, limits::WORD_MAX_BYTES).map(Reported::from)
    }

    /// Reads a duration; -1 means that it is not known yet.
    fn seconds(&self, field: &str) -> Option<u32> {
        if self.filled(field) == Some("-1") { None } else { self.number(field) }
    }

    fn timestamp(&self, field: &str) -> Option<DateTime<Utc>> {
        self.optional(field, |text| DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc()))
    }
}
