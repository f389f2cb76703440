//! The verbs that speak, listen, record and redirect.

use std::fmt;

use strum::IntoStaticStr;

use super::node::Node;
use crate::integrations::twilio::types::Method;

/// Speaks a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Say {
    pub text: String,
    /// For example `alice` or `Polly.Lucia-Neural`.
    pub voice: Option<String>,
    /// For example `es-ES`.
    pub language: Option<String>,
}

impl Say {
    /// Creates a `<Say>` in Twilio's default voice and language.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn node(&self) -> Node {
        Node::new("Say")
            .attribute("voice", self.voice.as_ref())
            .attribute("language", self.language.as_ref())
            .text(&self.text)
    }
}

/// Plays an audio file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Play {
    pub url: String,
}

impl Play {
    /// Creates a `<Play>` of the file at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }

    pub(super) fn node(&self) -> Node {
        Node::new("Play").text(&self.url)
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

/// A prompt that plays while a [`Gather`] listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    Say(Say),
    Play(Play),
}

impl Prompt {
    fn node(&self) -> Node {
        match self {
            Self::Say(say) => say.node(),
            Self::Play(play) => play.node(),
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

/// The input that a [`Gather`] accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum Input {
    #[strum(serialize = "dtmf")]
    Dtmf,
    #[strum(serialize = "speech")]
    Speech,
    /// Keys or speech, whichever comes first.
    #[strum(serialize = "dtmf speech")]
    DtmfSpeech,
}

/// The silence that ends a caller's speech.
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

/// Listens for keys or speech, and posts the input to `action`. Without input, Twilio continues with the next verb.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gather {
    pub input: Option<Input>,
    /// URL that gets the input; without it, the input is posted to the URL of this document.
    pub action: Option<String>,
    pub method: Option<Method>,
    /// Time limit for the first key, and between two keys.
    pub timeout_s: Option<u32>,
    /// Key that ends the input; empty for none.
    pub finish_on_key: Option<String>,
    /// Number of keys that completes the input.
    pub num_digits: Option<u32>,
    /// Language of the speech, for example `es-ES`.
    pub language: Option<String>,
    /// Expected words and phrases, sent as a comma-separated list.
    pub hints: Vec<String>,
    pub speech_timeout: Option<SpeechTimeout>,
    pub children: Vec<Prompt>,
}

impl Gather {
    pub(super) fn node(&self) -> Node {
        Node::new("Gather")
            .value("input", self.input)
            .attribute("action", self.action.as_ref())
            .value("method", self.method)
            .attribute("timeout", self.timeout_s)
            .attribute("finishOnKey", self.finish_on_key.as_ref())
            .attribute("numDigits", self.num_digits)
            .attribute("language", self.language.as_ref())
            .attribute("hints", (!self.hints.is_empty()).then(|| self.hints.join(",")))
            .attribute("speechTimeout", self.speech_timeout)
            .children(self.children.iter().map(Prompt::node))
    }
}

/// Records the caller, and posts the recording to `action`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub action: Option<String>,
    pub method: Option<Method>,
    /// Keys that end the recording.
    pub finish_on_key: Option<String>,
    pub max_length_s: Option<u32>,
    pub play_beep: Option<bool>,
    pub recording_status_callback: Option<String>,
}

impl Record {
    pub(super) fn node(&self) -> Node {
        Node::new("Record")
            .attribute("action", self.action.as_ref())
            .value("method", self.method)
            .attribute("finishOnKey", self.finish_on_key.as_ref())
            .attribute("maxLength", self.max_length_s)
            .attribute("playBeep", self.play_beep)
            .attribute("recordingStatusCallback", self.recording_status_callback.as_ref())
    }
}

/// Puts the caller into a queue. Twilio creates a queue that does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enqueue {
    /// At most 64 characters.
    pub name: String,
    /// Requested when the call leaves the queue.
    pub action: Option<String>,
    pub method: Option<Method>,
    /// Document that Twilio performs again and again while the caller waits.
    pub wait_url: Option<String>,
    pub wait_url_method: Option<Method>,
}

impl Enqueue {
    pub(super) fn node(&self) -> Node {
        Node::new("Enqueue")
            .attribute("action", self.action.as_ref())
            .value("method", self.method)
            .attribute("waitUrl", self.wait_url.as_ref())
            .value("waitUrlMethod", self.wait_url_method)
            .text(&self.name)
    }
}

/// Continues with another document; the verbs after it are never performed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    pub url: String,
    pub method: Option<Method>,
}

impl Redirect {
    /// Creates a `<Redirect>` with Twilio's default method.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), method: None }
    }

    pub(super) fn node(&self) -> Node {
        Node::new("Redirect").value("method", self.method).text(&self.url)
    }
}

/// The tone that a rejected caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum RejectReason {
    Rejected,
    Busy,
}

/// Rejects the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reject {
    pub reason: Option<RejectReason>,
}

impl Reject {
    pub(super) fn node(&self) -> Node {
        Node::new("Reject").value("reason", self.reason)
    }
}
