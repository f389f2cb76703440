//! Real sockets as the bridge takes them: texts out, [`Frame`]s in. Pings and pongs are the library's business.

use std::future::ready;

use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

/// Of one frame or message from Twilio: its frames are some 300 bytes.
pub const TWILIO_FRAME_MAX_BYTES: usize = 64 * 1024;
/// What is read at once.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// What a socket gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    /// Nothing that either side ever says.
    Binary,
    Closed,
}

/// Why a socket broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

impl Broken {
    pub fn new(error: &impl ToString) -> Self {
        Self(error.to_string())
    }
}

/// A socket of texts.
pub trait Socket: Stream<Item = Result<Frame, Broken>> + Sink<String, Error = Broken> + Send + Unpin {}

impl<S> Socket for S where S: Stream<Item = Result<Frame, Broken>> + Sink<String, Error = Broken> + Send + Unpin {}

/// Twilio's upgrade, with the limits on its frames.
pub fn limited(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(TWILIO_FRAME_MAX_BYTES)
        .max_frame_size(TWILIO_FRAME_MAX_BYTES)
}

/// Twilio's side: a socket that axum upgraded; see [`limited`].
pub fn of_axum(socket: WebSocket) -> impl Socket {
    let frame = |message: Result<ws::Message, axum::Error>| match message {
        Ok(ws::Message::Text(text)) => Some(Ok(Frame::Text(text.as_str().to_owned()))),
        Ok(ws::Message::Binary(_)) => Some(Ok(Frame::Binary)),
        Ok(ws::Message::Close(_)) => Some(Ok(Frame::Closed)),
        Ok(ws::Message::Ping(_) | ws::Message::Pong(_)) => None,
        Err(error) => Some(Err(Broken::new(&error))),
    };
    socket
        .filter_map(move |message| ready(frame(message)))
        .with(|text: String| ready(Ok::<_, axum::Error>(ws::Message::Text(text.into()))))
        .sink_map_err(|error| Broken::new(&error))
}

/// The agent's side: a socket that we opened.
pub fn of_tungstenite<S: AsyncRead + AsyncWrite + Send + Unpin>(socket: WebSocketStream<S>) -> impl Socket {
    let frame = |message: Result<Message, tungstenite::Error>| match message {
        Ok(Message::Text(text)) => Some(Ok(Frame::Text(text.as_str().to_owned()))),
        Ok(Message::Binary(_) | Message::Frame(_)) => Some(Ok(Frame::Binary)),
        Ok(Message::Close(_)) => Some(Ok(Frame::Closed)),
        Ok(Message::Ping(_) | Message::Pong(_)) => None,
        Err(error) => Some(Err(Broken::new(&error))),
    };
    socket
        .filter_map(move |message| ready(frame(message)))
        .with(|text: String| ready(Ok::<_, tungstenite::Error>(Message::Text(text.into()))))
        .sink_map_err(|error| Broken::new(&error))
}
