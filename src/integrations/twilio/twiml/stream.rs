//! Media streams: the call's sound over a WebSocket. <https://www.twilio.com/docs/voice/twiml/stream>

use super::node::Node;
use crate::integrations::twilio::words::{Method, Word};

/// Whose voice is streamed. `Connect` knows the inbound one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    Inbound,
    Outbound,
    Both,
}

impl Word for Track {
    fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound_track",
            Self::Outbound => "outbound_track",
            Self::Both => "both_tracks",
        }
    }
}

/// A name and a value that the stream's `start` message, or a client, is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub value: String,
}

impl Parameter {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    pub(super) fn node(&self) -> Node {
        Node::new("Parameter").attribute("name", Some(&self.name)).attribute("value", Some(&self.value))
    }
}

/// Where the sound goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// `wss://…`. Twilio drops its query: what is to be told goes into the path or `parameters`.
    pub url: Option<String>,
    /// Unique within the call; by it a stream that was started can be stopped.
    pub name: Option<String>,
    pub track: Option<Track>,
    /// Told `stream-started`, `stream-stopped` and `stream-error`.
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    pub connector_name: Option<String>,
    pub parameters: Vec<Parameter>,
}

impl Stream {
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    fn node(&self) -> Node {
        Node::new("Stream")
            .attribute("url", self.url.as_ref())
            .attribute("name", self.name.as_ref())
            .word("track", self.track)
            .attribute("statusCallback", self.status_callback.as_ref())
            .word("statusCallbackMethod", self.status_callback_method)
            .attribute("connectorName", self.connector_name.as_ref())
            .children(self.parameters.iter().map(Parameter::node))
    }
}

/// Streams both ways; the verbs after it wait until the socket closes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    pub stream: Stream,
    /// Called when the socket has closed.
    pub action: Option<String>,
    pub method: Option<Method>,
}

impl Connect {
    pub(super) fn node(&self) -> Node {
        Node::new("Connect")
            .attribute("action", self.action.as_ref())
            .word("method", self.method)
            .children([self.stream.node()])
    }
}

impl From<Stream> for Connect {
    fn from(stream: Stream) -> Self {
        Self { stream, ..Self::default() }
    }
}

/// Streams the call to the socket while the next verbs are done, and the next documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    pub stream: Stream,
}

impl Start {
    pub(super) fn node(&self) -> Node {
        Node::new("Start").children([self.stream.node()])
    }
}

/// Ends a stream that [`Start`] began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    pub stream_name: String,
}

impl Stop {
    pub(super) fn node(&self) -> Node {
        let stream = Stream { name: Some(self.stream_name.clone()), ..Stream::default() };
        Node::new("Stop").children([stream.node()])
    }
}
