//! TwiML: the XML documents that answer Twilio's voice webhooks.
//!
//! The module has the verbs and attributes that rules can produce, after <https://www.twilio.com/docs/voice/twiml>.
//! Attributes that are `None`, and empty lists, are left out, so that Twilio's default applies.
//!
//! **Every document is well-formed and has exactly the verbs that were pushed, whatever texts it contains.** Markup is
//! escaped, so text is never SSML. Characters that XML 1.0 forbids are dropped: U+0000 to U+001F except tab, line feed
//! and carriage return, and U+FFFE and U+FFFF. All other characters pass unchanged, bidirectional marks included.
//!
//! ```
//! use recado::integrations::twilio::twiml::{Gather, Response, Say};
//!
//! let mut response = Response::new();
//! response.push(Gather { num_digits: Some(1), children: vec![Say::new("Press <1>").into()], ..Gather::default() });
//! assert_eq!(
//!     response.render()?,
//!     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
//!      <Response><Gather numDigits=\"1\"><Say>Press &lt;1&gt;</Say></Gather></Response>"
//! );
//! # Ok::<(), recado::integrations::twilio::twiml::TwimlError>(())
//! ```

mod dial;
mod node;
mod stream;
mod verbs;

#[cfg(test)]
mod tests;

use self::node::Node;

pub use self::dial::{Dial, Noun, Number, Queue};
pub use self::stream::{Connect, Stream};
pub use self::verbs::{
    Enqueue, Gather, Input, Pause, Play, Prompt, Record, Redirect, Reject, RejectReason, Say, SpeechTimeout,
};

/// The answer to message webhooks: replies go out through the REST API, never in the answer.
pub const EMPTY_RESPONSE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";
/// Content type of every document; Twilio reports an answer without one as error 12300.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";
/// Size limit of a document: Twilio's 64 kB (error 11750), read as 64,000 bytes to be safe.
pub const MAX_BYTES: usize = 64_000;

/// Why a document cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TwimlError {
    #[error(
        "the TwiML is longer than the {MAX_BYTES} bytes that Twilio takes: say less, or redirect to a second document"
    )]
    TooLarge,
}

/// A document: verbs that Twilio performs in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub verbs: Vec<Verb>,
}

impl Response {
    /// Creates a document without verbs.
    pub const fn new() -> Self {
        Self { verbs: Vec::new() }
    }

    /// Appends a verb.
    pub fn push(&mut self, verb: impl Into<Verb>) -> &mut Self {
        self.verbs.push(verb.into());
        self
    }

    /// Renders the document with its XML declaration, at most [`MAX_BYTES`] long.
    pub fn render(&self) -> Result<String, TwimlError> {
        Node::new("Response")
            .children(self.verbs.iter().map(Verb::node))
            .document(MAX_BYTES)
            .ok_or(TwimlError::TooLarge)
    }
}

impl<V: Into<Verb>> FromIterator<V> for Response {
    fn from_iter<I: IntoIterator<Item = V>>(verbs: I) -> Self {
        Self { verbs: verbs.into_iter().map(Into::into).collect() }
    }
}

/// One instruction to Twilio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    Say(Say),
    Play(Play),
    Pause(Pause),
    Gather(Gather),
    Record(Record),
    Dial(Dial),
    Enqueue(Enqueue),
    /// Leaves the queue and continues after `Enqueue`. Valid only in a wait document.
    Leave,
    Hangup,
    Redirect(Redirect),
    /// Rejects the call unanswered and free of charge. Valid only as the first verb.
    Reject(Reject),
    Connect(Connect),
}

impl Verb {
    fn node(&self) -> Node {
        match self {
            Self::Say(say) => say.node(),
            Self::Play(play) => play.node(),
            Self::Pause(pause) => pause.node(),
            Self::Gather(gather) => gather.node(),
            Self::Record(record) => record.node(),
            Self::Dial(dial) => dial.node(),
            Self::Enqueue(enqueue) => enqueue.node(),
            Self::Leave => Node::new("Leave"),
            Self::Hangup => Node::new("Hangup"),
            Self::Redirect(redirect) => redirect.node(),
            Self::Reject(reject) => reject.node(),
            Self::Connect(connect) => connect.node(),
        }
    }
}

impl From<Say> for Verb {
    fn from(say: Say) -> Self {
        Self::Say(say)
    }
}

impl From<Play> for Verb {
    fn from(play: Play) -> Self {
        Self::Play(play)
    }
}

impl From<Pause> for Verb {
    fn from(pause: Pause) -> Self {
        Self::Pause(pause)
    }
}

impl From<Gather> for Verb {
    fn from(gather: Gather) -> Self {
        Self::Gather(gather)
    }
}

impl From<Record> for Verb {
    fn from(record: Record) -> Self {
        Self::Record(record)
    }
}

impl From<Dial> for Verb {
    fn from(dial: Dial) -> Self {
        Self::Dial(dial)
    }
}

impl From<Enqueue> for Verb {
    fn from(enqueue: Enqueue) -> Self {
        Self::Enqueue(enqueue)
    }
}

impl From<Redirect> for Verb {
    fn from(redirect: Redirect) -> Self {
        Self::Redirect(redirect)
    }
}

impl From<Reject> for Verb {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl From<Connect> for Verb {
    fn from(connect: Connect) -> Self {
        Self::Connect(connect)
    }
}
