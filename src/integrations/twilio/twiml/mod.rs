//! TwiML: the XML with which a webhook is answered.
//!
//! Verbs and attributes after <https://www.twilio.com/docs/voice/twiml> and <https://www.twilio.com/docs/messaging/twiml>.
//! An attribute that is `None`, or an empty list, is not written: Twilio's default holds.
//!
//! **Whatever text is put in, what comes out is well-formed and has the verbs that were pushed, and no others.** Markup is
//! escaped, so text is never SSML. Characters that XML 1.0 forbids are left out: U+0000 to U+001F but for tab, line feed
//! and carriage return, U+FFFE and U+FFFF. All others arrive as they are, marks of writing direction among them.
//!
//! ```
//! use recado::twilio::twiml::{Gather, Response, Say};
//!
//! let mut response = Response::new();
//! response.push(Gather { num_digits: Some(1), children: vec![Say::new("Press <1>").into()], ..Gather::default() });
//! assert_eq!(
//!     response.render()?,
//!     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
//!      <Response><Gather numDigits=\"1\"><Say>Press &lt;1&gt;</Say></Gather></Response>"
//! );
//! # Ok::<(), recado::twilio::twiml::TwimlError>(())
//! ```

mod dial;
mod node;
mod stream;
mod verbs;

#[cfg(test)]
mod tests;

pub use self::dial::{
    Beep, Client, Conference, ConferenceEvent, ConferenceRecord, Dial, DialRecord, JitterBuffer, Noun, Number, Queue,
    Sim, Sip, SipCredentials, WhatsApp,
};
pub use self::stream::{Connect, Parameter, Start, Stop, Stream, Track};
pub use self::verbs::{
    Enqueue, Gather, Input, Message, Pause, Play, Prompt, Record, Redirect, Reject, RejectReason, Say, SpeechTimeout,
};

use self::node::Node;

/// Nothing to do. What is to be said goes out through the REST API, never in the answer to a message webhook.
pub const EMPTY_RESPONSE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

/// An answer without a content type is error 12300 for Twilio.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

/// A longer document is error 11750 for Twilio: 64 kB, of a thousand bytes to be on the safe side.
pub const MAX_BYTES: usize = 64_000;

/// Of a document that is handed to the REST API with a call (`Twiml`), instead of a URL.
pub const REST_MAX_CHARS: usize = 4_000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TwimlError {
    #[error(
        "the TwiML is longer than the {MAX_BYTES} bytes that Twilio takes: say less, or redirect to a second document"
    )]
    TooLarge,
}

/// A whole document: what Twilio does, one verb after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    pub verbs: Vec<Verb>,
}

impl Response {
    pub const fn new() -> Self {
        Self { verbs: Vec::new() }
    }

    pub fn push(&mut self, verb: impl Into<Verb>) -> &mut Self {
        self.verbs.push(verb.into());
        self
    }

    /// The document, with its XML declaration, of at most [`MAX_BYTES`].
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

/// One thing that Twilio does. [`Verb::Message`] belongs to the answer to a message; the others to that to a call, and
/// [`Verb::Redirect`] to both.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    Say(Say),
    Play(Play),
    Pause(Pause),
    Gather(Gather),
    Record(Record),
    Dial(Dial),
    Enqueue(Enqueue),
    /// Leaves the queue; the verbs after `Enqueue` go on. Only in a wait document.
    Leave,
    Hangup,
    Redirect(Redirect),
    /// Only as the first verb: the call is then not answered, and costs nothing.
    Reject(Reject),
    Connect(Connect),
    Start(Start),
    Stop(Stop),
    Message(Message),
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
            Self::Start(start) => start.node(),
            Self::Stop(stop) => stop.node(),
            Self::Message(message) => message.node(),
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

impl From<Prompt> for Verb {
    fn from(prompt: Prompt) -> Self {
        match prompt {
            Prompt::Say(say) => Self::Say(say),
            Prompt::Play(play) => Self::Play(play),
            Prompt::Pause(pause) => Self::Pause(pause),
        }
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

impl From<Start> for Verb {
    fn from(start: Start) -> Self {
        Self::Start(start)
    }
}

impl From<Stop> for Verb {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Message> for Verb {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}
