//! What came of a verb.

use super::{CallStatus, FormError, Known, Told, limits};
use crate::integrations::twilio::fields::{Form, error};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::words::Word;

/// What a `<Gather>` heard. All is absent where nothing was said or pressed and `actionOnEmptyResult` is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// Keys, without the one that ended them.
    pub digits: Option<String>,
    /// What was said; hostile.
    pub speech: Option<String>,
    /// From 0 to 1: how sure the recogniser is.
    pub confidence: Option<f64>,
}

impl Gathered {
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        Ok(Self {
            digits: form.digits()?,
            speech: form.text("SpeechResult", limits::BODY_MAX_BYTES)?,
            confidence: form.confidence()?,
        })
    }
}

/// How a `<Dial>` ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialled {
    /// Of the last leg: `completed`, `busy`, `no-answer`, `failed` or `canceled`.
    pub status: Told<CallStatus>,
    /// The leg; absent where none was begun.
    pub call_sid: Option<String>,
    pub duration_s: Option<u32>,
    /// The two were joined.
    pub bridged: Option<bool>,
    pub recording_url: Option<String>,
}

impl Dialled {
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        Ok(Self {
            status: form.told_required("DialCallStatus", "how the leg ended, such as busy")?,
            call_sid: form.text("DialCallSid", limits::SID_MAX_BYTES)?,
            duration_s: form.seconds("DialCallDuration")?,
            bridged: form.0.filled("DialBridged").map(|_| form.flag("DialBridged")),
            recording_url: form.text("RecordingUrl", limits::URL_MAX_BYTES)?,
        })
    }
}

/// Why a caller is no longer in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueResult {
    /// Talked to somebody.
    Bridged,
    /// Is being joined with somebody.
    BridgingInProcess,
    Error,
    Hangup,
    /// By `<Leave>`.
    Leave,
    /// By `<Redirect>`, or by the REST API.
    Redirected,
    RedirectedFromBridged,
    QueueFull,
    SystemError,
}

impl Word for QueueResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bridged => "bridged",
            Self::BridgingInProcess => "bridging-in-process",
            Self::Error => "error",
            Self::Hangup => "hangup",
            Self::Leave => "leave",
            Self::Redirected => "redirected",
            Self::RedirectedFromBridged => "redirected-from-bridged",
            Self::QueueFull => "queue-full",
            Self::SystemError => "system-error",
        }
    }
}

impl Known for QueueResult {
    const ALL: &'static [Self] = &[
        Self::Bridged,
        Self::BridgingInProcess,
        Self::Error,
        Self::Hangup,
        Self::Leave,
        Self::Redirected,
        Self::RedirectedFromBridged,
        Self::QueueFull,
        Self::SystemError,
    ];
}

/// A caller in a queue: what the wait URL is told, and the `action` of `<Enqueue>` when they are out of it.
/// <https://www.twilio.com/docs/voice/twiml/enqueue>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// `QU…`
    pub queue_sid: Option<String>,
    /// Only at the `action`.
    pub result: Option<Told<QueueResult>>,
    /// How long the caller has waited, or did.
    pub time_s: Option<u32>,
    /// From 1; only at the wait URL, as what follows.
    pub position: Option<u32>,
    pub average_time_s: Option<u32>,
    pub current_size: Option<u32>,
}

impl Queued {
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        Ok(Self {
            queue_sid: form.text("QueueSid", limits::SID_MAX_BYTES)?,
            result: form.told("QueueResult")?,
            time_s: form.seconds("QueueTime")?,
            position: form.number("QueuePosition", "a number from 1")?,
            average_time_s: form.seconds("AvgQueueTime")?,
            current_size: form.number("CurrentQueueSize", "a number")?,
        })
    }
}

impl Form<'_> {
    fn digits(&self) -> Result<Option<String>, FormError> {
        self.text("Digits", limits::TEXT_MAX_BYTES)
    }

    fn confidence(&self) -> Result<Option<f64>, FormError> {
        let expected = "a number from 0 to 1";
        match self.number::<f64>("Confidence", expected)? {
            // NaN lies in no range.
            Some(confidence) if !(0.0..=1.0).contains(&confidence) => Err(error("Confidence", expected.to_owned())),
            confidence => Ok(confidence),
        }
    }
}
