//! `<Dial>`: calls a number, or connects the caller to a queue. <https://www.twilio.com/docs/voice/twiml/dial>

use super::node::Node;
use crate::integrations::twilio::types::{CallEvent, Method};

/// Calls the nouns and connects the first that answers with the caller. Twilio requests `action` afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dial {
    pub action: Option<String>,
    pub method: Option<Method>,
    /// Ringing time.
    pub timeout_s: Option<u32>,
    /// The caller hears ringing and is not charged until the other side answers.
    pub answer_on_bridge: Option<bool>,
    /// Records the call from the moment the other side answers.
    pub record_from_answer: bool,
    pub recording_status_callback: Option<String>,
    /// One queue, or up to ten numbers.
    pub nouns: Vec<Noun>,
}

impl Dial {
    pub(super) fn node(&self) -> Node {
        Node::new("Dial")
            .attribute("action", self.action.as_ref())
            .value("method", self.method)
            .attribute("timeout", self.timeout_s)
            .attribute("answerOnBridge", self.answer_on_bridge)
            .attribute("record", self.record_from_answer.then_some("record-from-answer"))
            .attribute("recordingStatusCallback", self.recording_status_callback.as_ref())
            .children(self.nouns.iter().map(Noun::node))
    }
}

/// The other side of a [`Dial`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noun {
    Number(Number),
    Queue(Queue),
}

impl Noun {
    fn node(&self) -> Node {
        match self {
            Self::Number(number) => number.node(),
            Self::Queue(queue) => Node::new("Queue").text(&queue.name),
        }
    }
}

impl From<Number> for Noun {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<Queue> for Noun {
    fn from(queue: Queue) -> Self {
        Self::Queue(queue)
    }
}

/// A phone number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Number {
    /// E.164.
    pub number: String,
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    pub status_callback_events: Vec<CallEvent>,
}

impl Number {
    /// Creates a number without a status callback.
    pub fn new(number: impl Into<String>) -> Self {
        Self { number: number.into(), ..Self::default() }
    }

    fn node(&self) -> Node {
        Node::new("Number")
            .attribute("statusCallback", self.status_callback.as_ref())
            .value("statusCallbackMethod", self.status_callback_method)
            .values("statusCallbackEvent", &self.status_callback_events)
            .text(&self.number)
    }
}

/// The first caller of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    pub name: String,
}
