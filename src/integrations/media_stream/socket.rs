//! Adapts real sockets to the bridge: texts out, [`Frame`]s in. The libraries handle pings and pongs.

use std::future::ready;

use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

/// Limit of one frame or message from Twilio, whose frames have about 300 bytes.
pub const TWILIO_FRAME_MAX_BYTES: usize = 64 * 1024;
/// Size of the read buffer.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    /// Neither side sends binary frames.
    Binary,
    Closed,
}

/// Why a socket failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SocketError(String);

impl SocketError {
    /// Creates the error from a library's.
    pub fn new(error: &impl ToString) -> Self {
        Self(error.to_string())
    }
}

/// A socket of text messages.
pub trait Socket: Stream<Item = Result<Frame, SocketError>> + Sink<String, Error = SocketError> + Send + Unpin {}

impl<S> Socket for S where
    S: Stream<Item = Result<Frame, SocketError>> + Sink<String, Error = SocketError> + Send + Unpin
{
}

/// Sets the frame limits on Twilio's upgrade.
pub fn limited(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(TWILIO_FRAME_MAX_BYTES)
        .max_frame_size(TWILIO_FRAME_MAX_BYTES)
}

/// Adapts Twilio's socket, which axum upgraded; see [`limited`].
pub fn from_axum(socket: WebSocket) -> impl Socket {
    let frame = |message: Result<ws::Message, axum::Error>| match message {
        Ok(ws::Message::Text(text)) => Some(Ok(Frame::Text(text.as_str().to_owned()))),
        Ok(ws::Message::Binary(_)) => Some(Ok(Frame::Binary)),
        Ok(ws::Message::Close(_)) => Some(Ok(Frame::Closed)),
        Ok(ws::Message::Ping(_) | ws::Message::Pong(_)) => None,
        Err(error) => Some(Err(SocketError::new(&error))),
    };
    socket
        .filter_map(move |message| ready(frame(message)))
        .with(|text: String| ready(Ok::<_, axum::Error>(ws::Message::Text(text.into()))))
        .sink_map_err(|error| SocketError::new(&error))
}

/// Adapts the agent's socket, which the client opened.
pub fn from_tungstenite<S: AsyncRead + AsyncWrite + Send + Unpin>(socket: WebSocketStream<S>) -> impl Socket {
    let frame = |message: Result<Message, tungstenite::Error>| match message {
        Ok(Message::Text(text)) => Some(Ok(Frame::Text(text.as_str().to_owned()))),
        Ok(Message::Binary(_) | Message::Frame(_)) => Some(Ok(Frame::Binary)),
        Ok(Message::Close(_)) => Some(Ok(Frame::Closed)),
        Ok(Message::Ping(_) | Message::Pong(_)) => None,
        Err(error) => Some(Err(SocketError::new(&error))),
    };
    socket
        .filter_map(move |message| ready(frame(message)))
        .with(|text: String| ready(Ok::<_, tungstenite::Error>(Message::Text(text.into()))))
        .sink_map_err(|error| SocketError::new(&error))
}
