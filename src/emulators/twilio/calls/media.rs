//! Twilio's side of a media stream: sends a frame every 20 ms, and plays the received audio at the same pace.
//!
//! After <https://www.twilio.com/docs/voice/media-streams/websocket-messages>. It uses the system's time, like the
//! sockets.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::super::carrier::Inner;
use super::sound::{FRAME_BYTES, SILENCE};

/// The WebSocket of a stream.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const FRAME: Duration = Duration::from_millis(20);
/// Time for the other side to accept a message, and to close.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit of audio that waits to be played: ten minutes.
const PLAYING_MAX_BYTES: usize = 4_800_000;
const MARKS_MAX: usize = 1_000;
/// An invalid message of the other side.
const INVALID_MESSAGE: u32 = 31951;

/// An order of the call to its stream.
pub enum StreamOrder {
    /// Plays audio; the sender is notified when it has been sent.
    Sound(Vec<u8>, oneshot::Sender<()>),
    Digits(String),
}

/// The identity of a stream, for its `start` message.
pub struct Identity {
    pub account: String,
    pub call: String,
    pub stream: String,
    pub tracks: &'static [&'static str],
    pub parameters: BTreeMap<String, String>,
    /// Opened by `<Connect>`: the other side may send as well.
    pub both_ways: bool,
}

/// Twilio's side of a running stream.
pub struct Media {
    pub carrier: Arc<Inner>,
    pub socket: Socket,
    pub identity: Identity,
    pub orders: mpsc::Receiver<StreamOrder>,
}

/// Why a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The call stopped it.
    Stopped,
    /// The other side closed it.
    Closed,
    Failed {
        code: u32,
        why: String,
    },
}

#[derive(Default)]
struct State {
    /// Audio to be sent, with the senders to notify.
    sending: VecDeque<(VecDeque<u8>, oneshot::Sender<()>)>,
    playing: VecDeque<u8>,
    /// Marks, each with the position of the audio before it.
    marks: VecDeque<(u64, String)>,
    /// Position of the playback.
    played: u64,
    came: u64,
    sequence: u64,
    chunk: u64,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Sent {
    #[serde(rename_all = "camelCase")]
    Media { stream_sid: String, media: Payload },
    #[serde(rename_all = "camelCase")]
    Mark { stream_sid: String, mark: Name },
    #[serde(rename_all = "camelCase")]
    Clear { stream_sid: String },
}

#[derive(Deserialize)]
struct Payload {
    payload: String,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

impl Media {
    /// Runs until one side ends the stream.
    pub async fn run(mut self) -> StreamEnd {
        let mut state = State::default();
        let over = match self.speak(&mut state).await {
            Ok(over) => over,
            Err(over) => over,
        };
        if over != StreamEnd::Closed {
            let (account, call) = (&self.identity.account, &self.identity.call);
            let stop = json!({"event": "stop", "stop": {"accountSid": account, "callSid": call}});
            // The socket may be closed already.
            let _ = self.send(&mut state, stop).await;
            let _ = tokio::time::timeout(SOCKET_TIMEOUT, self.socket.close(None)).await;
        }
        over
    }

    async fn speak(&mut self, state: &mut State) -> Result<StreamEnd, StreamEnd> {
        self.send_start(state).await?;
        let began = Instant::now();
        let mut ticks = tokio::time::interval(FRAME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(StreamOrder::Sound(sound, sent)) => state.sending.push_back((sound.into(), sent)),
                    Some(StreamOrder::Digits(digits)) => self.dial(state, &digits).await?,
                    None => return Ok(StreamEnd::Stopped),
                },
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) if self.identity.both_ways => self.take(state, &text).await?,
                    Some(Ok(Message::Binary(_))) => return Err(invalid("a binary message")),
                    Some(Ok(Message::Close(_))) | None => return Ok(StreamEnd::Closed),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(StreamEnd::Failed { code: 31921, why: error.to_string() }),
                },
                _ = ticks.tick() => self.frame(state, began.elapsed()).await?,
            }
        }
    }

    async fn send_start(&mut self, state: &mut State) -> Result<(), StreamEnd> {
        self.write(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})).await?;
        let Identity { account, call, stream, tracks, parameters, .. } = &self.identity;
        let start = json!({"event": "start", "start": {
            "accountSid": account, "callSid": call, "streamSid": stream, "tracks": tracks,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }});
        self.send(state, start).await
    }

    /// Sends and plays one frame.
    async fn frame(&mut self, state: &mut State, since: Duration) -> Result<(), StreamEnd> {
        let frame = state.next_frame();
        state.chunk += 1;
        let (chunk, at) = (state.chunk.to_string(), since.as_millis().to_string());
        for track in self.identity.tracks {
            // The other side does not get the call's own playback.
            let payload =
                if *track == "inbound" { STANDARD.encode(&frame) } else { STANDARD.encode([SILENCE; FRAME_BYTES]) };
            let media = json!({"track": track, "chunk": chunk, "timestamp": at, "payload": payload});
            self.send(state, json!({"event": "media", "media": media})).await?;
        }
        self.carrier.change_stream(&self.identity.stream, |record| record.frames_sent += 1);
        let played = state.playing.len().min(FRAME_BYTES);
        state.playing.drain(..played);
        state.played += played as u64;
        self.echo(state).await
    }

    async fn dial(&mut self, state: &mut State, digits: &str) -> Result<(), StreamEnd> {
        for digit in digits.chars().filter(|digit| *digit != 'w') {
            let dtmf = json!({"track": "inbound_track", "digit": digit.to_string()});
            self.send(state, json!({"event": "dtmf", "dtmf": dtmf})).await?;
        }
        Ok(())
    }

    /// Handles a message: audio, a mark or a clear.
    async fn take(&mut self, state: &mut State, text: &str) -> Result<(), StreamEnd> {
        let sent: Sent = serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?;
        let (Sent::Media { stream_sid, .. } | Sent::Mark { stream_sid, .. } | Sent::Clear { stream_sid }) = &sent;
        if *stream_sid != self.identity.stream {
            return Err(invalid("another streamSid"));
        }
        match sent {
            Sent::Media { media, .. } => {
                let sound = STANDARD.decode(media.payload).map_err(|_| invalid("a payload that is not Base64"))?;
                if state.playing.len() + sound.len() > PLAYING_MAX_BYTES {
                    return Err(invalid("more sound than ten minutes ahead"));
                }
                state.came += sound.len() as u64;
                self.carrier.change_stream(&self.identity.stream, |record| record.take(&sound));
                state.playing.extend(sound);
            }
            Sent::Mark { mark, .. } => {
                if state.marks.len() >= MARKS_MAX {
                    return Err(invalid("more than a thousand marks ahead"));
                }
                self.carrier.change_stream(&self.identity.stream, |record| record.mark(&mark.name));
                state.marks.push_back((state.came, mark.name));
            }
            Sent::Clear { .. } => {
                let bytes = state.playing.len() as u64;
                self.carrier.change_stream(&self.identity.stream, |record| record.clear(bytes));
                state.playing.clear();
                state.played = state.came;
            }
        }
        self.echo(state).await
    }

    /// Returns the marks whose audio has been played or cleared.
    async fn echo(&mut self, state: &mut State) -> Result<(), StreamEnd> {
        while state.marks.front().is_some_and(|(at, _)| *at <= state.played) {
            let Some((_, name)) = state.marks.pop_front() else { break };
            self.send(state, json!({"event": "mark", "mark": {"name": name}})).await?;
        }
        Ok(())
    }

    /// Sends a message with its sequence number.
    async fn send(&mut self, state: &mut State, mut message: Value) -> Result<(), StreamEnd> {
        state.sequence += 1;
        message["sequenceNumber"] = state.sequence.to_string().into();
        message["streamSid"] = self.identity.stream.as_str().into();
        self.write(message).await
    }

    async fn write(&mut self, message: Value) -> Result<(), StreamEnd> {
        let sent = self.socket.send(Message::text(message.to_string()));
        match tokio::time::timeout(SOCKET_TIMEOUT, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(StreamEnd::Failed { code: 31921, why: error.to_string() }),
            Err(_) => Err(StreamEnd::Failed { code: 31921, why: "the other side takes nothing".to_owned() }),
        }
    }
}

impl State {
    /// Returns the next 160 bytes to send, filled up with silence.
    fn next_frame(&mut self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(FRAME_BYTES);
        while let Some((sound, _)) = self.sending.front_mut() {
            let part = sound.len().min(FRAME_BYTES - frame.len());
            frame.extend(sound.drain(..part));
            if !sound.is_empty() {
                break;
            }
            if let Some((_, sent)) = self.sending.pop_front() {
                // The receiver may be gone.
                let _ = sent.send(());
            }
        }
        frame.resize(FRAME_BYTES, SILENCE);
        frame
    }
}

fn invalid(why: &str) -> StreamEnd {
    StreamEnd::Failed { code: INVALID_MESSAGE, why: format!("the stream's other side sent what it should not: {why}") }
}
