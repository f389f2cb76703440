//! Results of verbs.

use strum::{EnumString, IntoStaticStr, VariantArray};

use super::{CallStatus, Reported, limits};
use crate::integrations::twilio::fields::Form;
use crate::integrations::twilio::form::Params;

/// The result of a `<Gather>`. All fields are absent if there was no input and `actionOnEmptyResult` is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// Keys, without the finishing one.
    pub digits: Option<String>,
    /// Transcript of the caller; untrusted.
    pub speech: Option<String>,
    /// From 0 to 1: the recognizer's confidence.
    pub confidence: Option<f64>,
    /// The names of fields that were not usable and are left out.
    pub dropped: Vec<String>,
}

impl Gathered {
    /// Reads the form of a `<Gather>`.
    pub fn parse(params: &Params) -> Self {
        let form = Form::new(params);
        let gathered = Self {
            digits: form.digits(),
            speech: form.beginning("SpeechResult", limits::BODY_MAX_BYTES),
            confidence: form.confidence(),
            dropped: Vec::new(),
        };
        Self { dropped: form.dropped(), ..gathered }
    }
}

/// The result of a `<Dial>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialled {
    /// Status of the last leg: `completed`, `busy`, `no-answer`, `failed` or `canceled`.
    pub status: Reported<CallStatus>,
    /// The leg; absent if none was created.
    pub call_sid: Option<String>,
    pub duration_s: Option<u32>,
    /// The two sides were connected.
    pub bridged: Option<bool>,
    pub recording_url: Option<String>,
}

impl Dialled {
    /// Reads the form of a `<Dial>`.
    pub fn parse(params: &Params) -> Self {
        let form = Form::new(params);
        Self {
            status: form.value("DialCallStatus").unwrap_or_default(),
            call_sid: form.text("DialCallSid", limits::WORD_MAX_BYTES),
            duration_s: form.seconds("DialCallDuration"),
            bridged: form.filled("DialBridged").map(|_| form.flag("DialBridged")),
            recording_url: form.text("RecordingUrl", limits::URL_MAX_BYTES),
        }
    }
}

/// Why a caller left a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum QueueResult {
    /// Connected to an agent.
    Bridged,
    /// Being connected to an agent.
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

/// A caller in a queue: the fields of the wait URL, and of `<Enqueue>`'s `action` after the caller left.
/// <https://www.twilio.com/docs/voice/twiml/enqueue>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// `QU…`
    pub queue_sid: Option<String>,
    /// Only at the `action`.
    pub result: Option<Reported<QueueResult>>,
    /// Waiting time of the caller.
    pub time_s: Option<u32>,
    /// From 1; only at the wait URL, like the fields below.
    pub position: Option<u32>,
    pub average_time_s: Option<u32>,
    pub current_size: Option<u32>,
}

impl Queued {
    /// Reads the form of a wait URL, or of `<Enqueue>`'s `action`.
    pub fn parse(params: &Params) -> Self {
        let form = Form::new(params);
        Self {
            queue_sid: form.optional_sid("QueueSid"),
            result: form.value("QueueResult"),
            time_s: form.seconds("QueueTime"),
            position: form.number("QueuePosition"),
            average_time_s: form.seconds("AvgQueueTime"),
            current_size: form.number("CurrentQueueSize"),
        }
    }
}

impl Form<'_> {
    /// Reads keys of a telephone. A recording that the caller ended by hanging up has the word `hangup`.
    fn digits(&self) -> Option<String> {
        let is_key = |b: u8| b.is_ascii_digit() || b"*#ABCDabcdwW".contains(&b);
        self.optional("Digits", |text| {
            let keys = text.len() <= limits::TEXT_MAX_BYTES && text.bytes().all(is_key);
            (keys || text == "hangup").then(|| text.to_owned())
        })
    }

    fn confidence(&self) -> Option<f64> {
        // NaN is in no range.
        self.optional("Confidence", |text| {
            text.parse::<f64>().ok().filter(|confidence| (0.0..=1.0).contains(confidence))
        })
    }
}
