//! Media streams: the call's audio over a WebSocket. <https://www.twilio.com/docs/voice/twiml/stream>

use super::node::Node;

/// The WebSocket of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// `wss://…`. Twilio drops the query, so parameters belong in the path.
    pub url: String,
}

/// Streams audio in both directions; the next verbs wait until the WebSocket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    pub stream: Stream,
}

impl Connect {
    pub(super) fn node(&self) -> Node {
        let stream = Node::new("Stream").attribute("url", Some(&self.stream.url));
        Node::new("Connect").children([stream])
    }
}
