//! What came of a verb, or of something that goes on beside the call.

use super::{AnsweredBy, CallStatus, FormError, Known, Told, limits};
use crate::twilio::fields::{Form, error};
use crate::twilio::form::Params;
use crate::twilio::is_sid;
use crate::twilio::words::Word;

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

/// How a recording stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordingStatus {
    InProgress,
    Completed,
    /// Nothing was heard: there is none.
    Absent,
    Failed,
}

impl Word for RecordingStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

impl Known for RecordingStatus {
    const ALL: &'static [Self] = &[Self::InProgress, Self::Completed, Self::Absent, Self::Failed];
}

/// A recording: that of a `<Record>` at its `action`, or any at its status callback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub call_sid: String,
    pub account_sid: String,
    /// `RE…`
    pub recording_sid: String,
    pub url: Option<String>,
    pub duration_s: Option<u32>,
    /// Absent at an `action`.
    pub status: Option<Told<RecordingStatus>>,
    /// The key that ended it, or `hangup`.
    pub digits: Option<String>,
}

impl Recorded {
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        let url = form.text("RecordingUrl", limits::URL_MAX_BYTES)?;
        // The URL ends in the SID, which some forms do not give by itself.
        let in_url = url.as_deref().and_then(|url| url.rsplit('/').next()).filter(|last| is_sid("RE", last));
        let recording_sid = match (params.filled("RecordingSid"), in_url) {
            (None, Some(sid)) => sid.to_owned(),
            _ => form.sid(&["RecordingSid"], "a recording SID: RE and 32 hex digits")?,
        };
        Ok(Self {
            call_sid: form.call_sid()?,
            account_sid: form.account_sid()?,
            recording_sid,
            url,
            duration_s: form.seconds("RecordingDuration")?,
            status: form.told("RecordingStatus")?,
            digits: form.digits()?,
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

/// Who answered, told while the call goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmdResult {
    pub call_sid: String,
    pub account_sid: String,
    pub answered_by: Told<AnsweredBy>,
    /// How long it took to tell.
    pub duration_ms: Option<u32>,
}

impl AmdResult {
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        Ok(Self {
            call_sid: form.call_sid()?,
            account_sid: form.account_sid()?,
            answered_by: form.told_required("AnsweredBy", "who answered, such as human")?,
            duration_ms: form.number("MachineDetectionDuration", "whole milliseconds")?,
        })
    }
}

/// What has become of a media stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamStep {
    Started,
    Stopped,
    Error,
}

impl Word for StreamStep {
    fn as_str(self) -> &'static str {
        match self {
            Self::Started => "stream-started",
            Self::Stopped => "stream-stopped",
            Self::Error => "stream-error",
        }
    }
}

impl Known for StreamStep {
    const ALL: &'static [Self] = &[Self::Started, Self::Stopped, Self::Error];
}

/// What the status callback of a `<Stream>` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamEvent {
    pub call_sid: String,
    pub account_sid: String,
    /// `MZ…`
    pub stream_sid: String,
    pub step: Told<StreamStep>,
    pub stream_name: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

impl StreamEvent {
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        Ok(Self {
            call_sid: form.call_sid()?,
            account_sid: form.account_sid()?,
            stream_sid: form.sid(&["StreamSid"], "a stream SID: MZ and 32 hex digits")?,
            step: form.told_required("StreamEvent", "what happened, such as stream-started")?,
            stream_name: form.text("StreamName", limits::TEXT_MAX_BYTES)?,
            error: form.text("StreamError", limits::TEXT_MAX_BYTES)?,
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
