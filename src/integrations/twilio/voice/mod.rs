//! What Twilio asks and tells of calls: the request for a document, what came of a verb.
//!
//! Fields after <https://www.twilio.com/docs/voice/twiml> and <https://www.twilio.com/docs/voice/api/call-resource>. Every
//! URL that a document names is asked with the fields of a [`CallRequest`] and those of the verb: both are parsed from the
//! same form, which may have come by POST or as a query. Unknown fields are passed over, and a word that is not known yet
//! is kept as it is ([`Told`]): Twilio adds some at any time.

mod results;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use super::fields::{Form, error};
use super::form::Params;
use super::words::Word;

pub use super::fields::{Address, FormError, Prefix, limits};
pub use results::{Dialled, Gathered, QueueResult, Queued};

/// The numbers that stand for a caller who withholds theirs: `ANONYMOUS`, `RESTRICTED`, `BLOCKED`, `UNKNOWN` and
/// `UNAVAILABLE` as typed on a phone's keys. <https://help.twilio.com/articles/223179988>
const WITHHELD_NUMBERS: [&str; 5] = ["+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"];
/// The same where the call came over SIP.
const WITHHELD_WORDS: [&str; 5] = ["anonymous", "restricted", "blocked", "unknown", "unavailable"];

/// Words that are read back from what Twilio writes.
pub trait Known: Word + 'static {
    const ALL: &'static [Self];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.as_str() == text)
    }
}

/// A word of Twilio's, and what it is known as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<W> {
    /// At most [`limits::WORD_MAX_BYTES`].
    pub raw: String,
    pub known: Option<W>,
}

impl<W> Default for Told<W> {
    fn default() -> Self {
        Self { raw: String::new(), known: None }
    }
}

impl<W: Known> From<String> for Told<W> {
    fn from(raw: String) -> Self {
        Self { known: W::parse(&raw), raw }
    }
}

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallStatus {
    /// Taken, not yet dialled.
    Queued,
    /// Being dialled: an event of callbacks, seen as a status too.
    Initiated,
    Ringing,
    InProgress,
    /// Was answered, and has ended.
    Completed,
    Busy,
    NoAnswer,
    /// It could not be connected: mostly a number that does not exist.
    Failed,
    /// Ended by us before it was answered.
    Canceled,
}

impl Word for CallStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

impl Known for CallStatus {
    const ALL: &'static [Self] = &[
        Self::Queued,
        Self::Initiated,
        Self::Ringing,
        Self::InProgress,
        Self::Completed,
        Self::Busy,
        Self::NoAnswer,
        Self::Failed,
        Self::Canceled,
    ];
}

impl CallStatus {
    /// The call has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Busy | Self::NoAnswer | Self::Failed | Self::Canceled)
    }
}

/// Who began a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Inbound,
    /// Through the REST API.
    OutboundApi,
    /// By `<Dial>`: the leg of another call.
    OutboundDial,
}

impl Word for Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundDial => "outbound-dial",
        }
    }
}

impl Known for Direction {
    const ALL: &'static [Self] = &[Self::Inbound, Self::OutboundApi, Self::OutboundDial];
}

/// Who answered, as far as Twilio can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnsweredBy {
    Human,
    /// A machine that may still be speaking.
    MachineStart,
    /// A machine: now a message can be left.
    MachineEndBeep,
    MachineEndSilence,
    MachineEndOther,
    Fax,
    Unknown,
}

impl Word for AnsweredBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::MachineStart => "machine_start",
            Self::MachineEndBeep => "machine_end_beep",
            Self::MachineEndSilence => "machine_end_silence",
            Self::MachineEndOther => "machine_end_other",
            Self::Fax => "fax",
            Self::Unknown => "unknown",
        }
    }
}

impl Known for AnsweredBy {
    const ALL: &'static [Self] = &[
        Self::Human,
        Self::MachineStart,
        Self::MachineEndBeep,
        Self::MachineEndSilence,
        Self::MachineEndOther,
        Self::Fax,
        Self::Unknown,
    ];
}

impl AnsweredBy {
    pub const fn is_machine(self) -> bool {
        matches!(self, Self::MachineStart | Self::MachineEndBeep | Self::MachineEndSilence | Self::MachineEndOther)
    }
}

/// Twilio asks what to do with a call: when it comes in or is answered, and at each URL that a document names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// `CA…`; one for each leg.
    pub call_sid: String,
    /// `AC…`
    pub account_sid: String,
    /// Who calls. Not every value is a number: `client:ana` and `sip:ana@example.com` are none; empty where Twilio does not
    /// say. See [`CallRequest::is_withheld`].
    pub from: Address,
    /// Who is called.
    pub to: Address,
    pub status: Told<CallStatus>,
    pub direction: Option<Told<Direction>>,
    pub forwarded_from: Option<Address>,
    /// What the caller's carrier says they are called; hostile.
    pub caller_name: Option<String>,
    /// The call whose `<Dial>` began this one.
    pub parent_call_sid: Option<String>,
    /// How far the caller's number is vouched for, such as `TN-Validation-Passed-A`.
    pub stir_verstat: Option<String>,
    pub api_version: Option<String>,
    /// Where the call waited for the result of the answering machine detection.
    pub answered_by: Option<Told<AnsweredBy>>,
}

impl CallRequest {
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        Ok(Self {
            call_sid: form.call_sid()?,
            account_sid: form.account_sid()?,
            from: form.address_if_any("From")?.unwrap_or_default(),
            to: form.address("To")?,
            status: form.told_required("CallStatus", "the call's status, such as ringing")?,
            direction: form.told("Direction")?,
            forwarded_from: form.address_if_any("ForwardedFrom")?,
            caller_name: form.text("CallerName", limits::TEXT_MAX_BYTES)?,
            parent_call_sid: form.text("ParentCallSid", limits::SID_MAX_BYTES)?,
            stir_verstat: form.text("StirVerstat", limits::WORD_MAX_BYTES)?,
            api_version: form.text("ApiVersion", limits::WORD_MAX_BYTES)?,
            answered_by: form.told("AnsweredBy")?,
        })
    }

    /// The caller's number is not shown, so they cannot be known or called back.
    pub fn is_withheld(&self) -> bool {
        let from = self.from.value.as_str();
        let user = from.strip_prefix("sip:").map_or(from, |address| address.split('@').next().unwrap_or(address));
        from.is_empty()
            || WITHHELD_NUMBERS.contains(&from)
            || WITHHELD_WORDS.iter().any(|word| word.eq_ignore_ascii_case(user))
    }
}

/// How a call fares. Callbacks come late, twice, out of order or never, and even before the answer to the request that
/// created the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCallback {
    pub call_sid: String,
    pub account_sid: String,
    pub status: Told<CallStatus>,
    pub from: Option<Address>,
    pub to: Option<Address>,
    pub direction: Option<Told<Direction>>,
    pub parent_call_sid: Option<String>,
    /// From being answered to the end; only at the end.
    pub duration_s: Option<u32>,
    /// From 0, in the order in which things happened.
    pub sequence_number: Option<u32>,
    /// When it happened, to the second.
    pub timestamp: Option<DateTime<Utc>>,
    /// The last answer of the called side: 200, 486 and so on.
    pub sip_response_code: Option<u32>,
    /// Where the whole call was recorded.
    pub recording_sid: Option<String>,
    pub recording_url: Option<String>,
    pub recording_duration_s: Option<u32>,
    pub error_code: Option<u32>,
    pub error_message: Option<String>,
    /// `call-progress-events`
    pub callback_source: Option<String>,
    pub answered_by: Option<Told<AnsweredBy>>,
}

impl CallCallback {
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        Ok(Self {
            call_sid: form.call_sid()?,
            account_sid: form.account_sid()?,
            status: form.told_required("CallStatus", "the call's status, such as completed")?,
            from: form.address_if_any("From")?,
            to: form.address_if_any("To")?,
            direction: form.told("Direction")?,
            parent_call_sid: form.text("ParentCallSid", limits::SID_MAX_BYTES)?,
            duration_s: form.number("CallDuration", "whole seconds")?,
            sequence_number: form.number("SequenceNumber", "a number from 0")?,
            timestamp: form.timestamp("Timestamp")?,
            sip_response_code: form.number("SipResponseCode", "a code such as 486, or leave it out")?,
            recording_sid: form.text("RecordingSid", limits::SID_MAX_BYTES)?,
            recording_url: form.text("RecordingUrl", limits::URL_MAX_BYTES)?,
            recording_duration_s: form.seconds("RecordingDuration")?,
            error_code: form
                .number("ErrorCode", "an error code such as 13224, or leave it out")?
                .filter(|code| *code != 0),
            error_message: form.text("ErrorMessage", limits::TEXT_MAX_BYTES)?,
            callback_source: form.text("CallbackSource", limits::WORD_MAX_BYTES)?,
            answered_by: form.told("AnsweredBy")?,
        })
    }
}

/// What the forms of calls have in common.
impl Form<'_> {
    fn call_sid(&self) -> Result<String, FormError> {
        self.sid(&["CallSid"], "a call SID: CA and 32 hex digits")
    }

    fn account_sid(&self) -> Result<String, FormError> {
        self.sid(&["AccountSid"], "the account SID: AC and 32 hex digits")
    }

    fn address_if_any(&self, field: &str) -> Result<Option<Address>, FormError> {
        Ok(self.text(field, limits::ADDRESS_MAX_BYTES)?.map(|address| Address::parse(&address)))
    }

    fn told<W: Known>(&self, field: &str) -> Result<Option<Told<W>>, FormError> {
        Ok(self.text(field, limits::WORD_MAX_BYTES)?.map(Told::from))
    }

    fn told_required<W: Known>(&self, field: &str, expected: &str) -> Result<Told<W>, FormError> {
        Ok(self.required(field, limits::WORD_MAX_BYTES, expected)?.into())
    }

    /// -1 says that a duration is not known yet.
    fn seconds(&self, field: &str) -> Result<Option<u32>, FormError> {
        let seconds = self.number::<i64>(field, "whole seconds")?;
        seconds.filter(|seconds| *seconds >= 0).map(u32::try_from).transpose().map_err(|_| {
            let expected = format!("whole seconds, {} at most", u32::MAX);
            error(field, expected)
        })
    }

    fn timestamp(&self, field: &str) -> Result<Option<DateTime<Utc>>, FormError> {
        let Some(text) = self.text(field, limits::WORD_MAX_BYTES)? else { return Ok(None) };
        let expected = || "an instant as RFC 2822 writes it: Sat, 21 Nov 2026 08:00:00 +0000".to_owned();
        DateTime::parse_from_rfc2822(&text).map(|at| Some(at.to_utc())).map_err(|_| error(field, expected()))
    }
}
