//! The verbs that speak, listen and steer.

use std::fmt;

use super::node::Node;
use crate::integrations::twilio::words::{Method, RecordingEvent, Trim, Word};

/// Speaks a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Say {
    pub text: String,
    /// Such as `alice` or `Polly.Lucia-Neural`.
    pub voice: Option<String>,
    /// Such as `es-ES`.
    pub language: Option<String>,
    /// How often; 0 until the call ends.
    pub loops: Option<u32>,
}

impl Say {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn node(&self) -> Node {
        Node::new("Say")
            .attribute("voice", self.voice.as_ref())
            .attribute("language", self.language.as_ref())
            .attribute("loop", self.loops)
            .text(&self.text)
    }
}

/// Plays a sound file, or tones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Play {
    /// Empty where `digits` are played.
    pub url: String,
    /// How often; 0 until the call ends.
    pub loops: Option<u32>,
    /// Tones; `w` waits half a second.
    pub digits: Option<String>,
}

impl Play {
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    pub(super) fn node(&self) -> Node {
        Node::new("Play").attribute("loop", self.loops).attribute("digits", self.digits.as_ref()).text(&self.url)
    }
}

/// Waits in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    pub length_s: Option<u32>,
}

impl Pause {
    pub(super) fn node(&self) -> Node {
        Node::new("Pause").attribute("length", self.length_s)
    }
}

/// What is heard while a [`Gather`] listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    Say(Say),
    Play(Play),
    Pause(Pause),
}

impl Prompt {
    fn node(&self) -> Node {
        match self {
            Self::Say(say) => say.node(),
            Self::Play(play) => play.node(),
            Self::Pause(pause) => pause.node(),
        }
    }
}

impl From<Say> for Prompt {
    fn from(say: Say) -> Self {
        Self::Say(say)
    }
}

impl From<Play> for Prompt {
    fn from(play: Play) -> Self {
        Self::Play(play)
    }
}

impl From<Pause> for Prompt {
    fn from(pause: Pause) -> Self {
        Self::Pause(pause)
    }
}

/// What a [`Gather`] listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Dtmf,
    Speech,
    /// Whichever comes first.
    DtmfSpeech,
}

impl Word for Input {
    fn as_str(self) -> &'static str {
        match self {
            Self::Dtmf => "dtmf",
            Self::Speech => "speech",
            Self::DtmfSpeech => "dtmf speech",
        }
    }
}

/// The silence after which speech has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechTimeout {
    Auto,
    Seconds(u32),
}

impl fmt::Display for SpeechTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Seconds(seconds) => write!(f, "{seconds}"),
        }
    }
}

/// Listens for keys or speech, and posts what came to `action`. Where nothing came the next verb is done, unless
/// `action_on_empty_result` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gather {
    pub input: Option<Input>,
    pub action: Option<String>,
    pub method: Option<Method>,
    /// How long to wait for the first, and between two keys.
    pub timeout_s: Option<u32>,
    /// Ends the keys; empty for none.
    pub finish_on_key: Option<String>,
    /// How many keys are enough.
    pub num_digits: Option<u32>,
    /// What is spoken, such as `es-ES`.
    pub language: Option<String>,
    /// Words that are likely to be said; a comma parts two of them.
    pub hints: Vec<String>,
    pub speech_timeout: Option<SpeechTimeout>,
    /// Such as `phone_call`; the set grows.
    pub speech_model: Option<String>,
    pub profanity_filter: Option<bool>,
    /// Whether speech interrupts the prompt.
    pub barge_in: Option<bool>,
    pub partial_result_callback: Option<String>,
    pub partial_result_callback_method: Option<Method>,
    pub action_on_empty_result: Option<bool>,
    pub max_speech_time_s: Option<u32>,
    pub enhanced: Option<bool>,
    pub debug: Option<bool>,
    pub children: Vec<Prompt>,
}

impl Gather {
    pub(super) fn node(&self) -> Node {
        Node::new("Gather")
            .word("input", self.input)
            .attribute("action", self.action.as_ref())
            .word("method", self.method)
            .attribute("timeout", self.timeout_s)
            .attribute("finishOnKey", self.finish_on_key.as_ref())
            .attribute("numDigits", self.num_digits)
            .attribute("language", self.language.as_ref())
            .attribute("hints", (!self.hints.is_empty()).then(|| self.hints.join(",")))
            .attribute("speechTimeout", self.speech_timeout)
            .attribute("speechModel", self.speech_model.as_ref())
            .attribute("profanityFilter", self.profanity_filter)
            .attribute("bargeIn", self.barge_in)
            .attribute("partialResultCallback", self.partial_result_callback.as_ref())
            .word("partialResultCallbackMethod", self.partial_result_callback_method)
            .attribute("actionOnEmptyResult", self.action_on_empty_result)
            .attribute("maxSpeechTime", self.max_speech_time_s)
            .attribute("enhanced", self.enhanced)
            .attribute("debug", self.debug)
            .children(self.children.iter().map(Prompt::node))
    }
}

/// Records the caller and posts the recording to `action`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub action: Option<String>,
    pub method: Option<Method>,
    /// The silence that ends it.
    pub timeout_s: Option<u32>,
    /// Keys any of which ends it.
    pub finish_on_key: Option<String>,
    pub max_length_s: Option<u32>,
    pub play_beep: Option<bool>,
    pub trim: Option<Trim>,
    pub transcribe: Option<bool>,
    pub transcribe_callback: Option<String>,
    pub recording_status_callback: Option<String>,
    pub recording_status_callback_method: Option<Method>,
    pub recording_status_callback_events: Vec<RecordingEvent>,
}

impl Record {
    pub(super) fn node(&self) -> Node {
        Node::new("Record")
            .attribute("action", self.action.as_ref())
            .word("method", self.method)
            .attribute("timeout", self.timeout_s)
            .attribute("finishOnKey", self.finish_on_key.as_ref())
            .attribute("maxLength", self.max_length_s)
            .attribute("playBeep", self.play_beep)
            .word("trim", self.trim)
            .attribute("transcribe", self.transcribe)
            .attribute("transcribeCallback", self.transcribe_callback.as_ref())
            .recording_callback(
                self.recording_status_callback.as_deref(),
                self.recording_status_callback_method,
                &self.recording_status_callback_events,
            )
    }
}

/// Puts the caller into a queue, which is made if there is none of this name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enqueue {
    /// 64 letters at most; none where a workflow routes the call.
    pub name: Option<String>,
    /// Called when the call leaves the queue.
    pub action: Option<String>,
    pub method: Option<Method>,
    /// The document that is done while the caller waits, again and again.
    pub wait_url: Option<String>,
    pub wait_url_method: Option<Method>,
    /// `WW…`
    pub workflow_sid: Option<String>,
    pub max_queue_size: Option<u32>,
}

impl Enqueue {
    pub(super) fn node(&self) -> Node {
        Node::new("Enqueue")
            .attribute("action", self.action.as_ref())
            .word("method", self.method)
            .attribute("waitUrl", self.wait_url.as_ref())
            .word("waitUrlMethod", self.wait_url_method)
            .attribute("workflowSid", self.workflow_sid.as_ref())
            .attribute("maxQueueSize", self.max_queue_size)
            .text(self.name.as_deref().unwrap_or_default())
    }
}

/// Goes on with another document; what comes after it is never done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    pub url: String,
    pub method: Option<Method>,
}

impl Redirect {
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), method: None }
    }

    pub(super) fn node(&self) -> Node {
        Node::new("Redirect").word("method", self.method).text(&self.url)
    }
}

/// What the caller hears of a [`Reject`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    Rejected,
    Busy,
}

impl Word for RejectReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Busy => "busy",
        }
    }
}

/// Does not take the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reject {
    pub reason: Option<RejectReason>,
}

impl Reject {
    pub(super) fn node(&self) -> Node {
        Node::new("Reject").word("reason", self.reason)
    }
}

/// A text message, in the answer to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub body: String,
    /// The sender of the message that is answered, by default.
    pub to: Option<String>,
    pub from: Option<String>,
    pub action: Option<String>,
    pub method: Option<Method>,
    pub status_callback: Option<String>,
    /// URLs, ten at most.
    pub media: Vec<String>,
}

impl Message {
    pub(super) fn node(&self) -> Node {
        let body = (!self.body.is_empty()).then(|| Node::new("Body").text(&self.body));
        Node::new("Message")
            .attribute("to", self.to.as_ref())
            .attribute("from", self.from.as_ref())
            .attribute("action", self.action.as_ref())
            .word("method", self.method)
            .attribute("statusCallback", self.status_callback.as_ref())
            .children(body)
            .children(self.media.iter().map(|url| Node::new("Media").text(url)))
    }
}
