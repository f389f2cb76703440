//! Twilio's end of a media stream: frames out every 20 ms, and what comes in is played at the same pace.
//!
//! After <https://www.twilio.com/docs/voice/media-streams/websocket-messages>. It goes by the machine's time, as sockets do.

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

use super::super::Inner;
use super::sound::{FRAME_BYTES, SILENCE};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const FRAME: Duration = Duration::from_millis(20);
/// How long the other side may take to a message, and to close.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of sound that waits to be played: ten minutes.
const PLAYING_MAX_BYTES: usize = 4_800_000;
const MARKS_MAX: usize = 1_000;
/// A message of the other side's that is none.
const INVALID_MESSAGE: u32 = 31951;

/// What the call lets be heard.
pub enum Do {
    /// Told when it has been sent.
    Sound(Vec<u8>, oneshot::Sender<()>),
    Digits(String),
}

/// Which stream it is, as its `start` says.
pub struct Identity {
    pub account: String,
    pub call: String,
    pub stream: String,
    pub tracks: &'static [&'static str],
    pub parameters: BTreeMap<String, String>,
    /// Opened by `<Connect>`: the other side may send, too.
    pub both_ways: bool,
}

pub struct Media {
    pub carrier: Arc<Inner>,
    pub socket: Socket,
    pub identity: Identity,
    pub orders: mpsc::Receiver<Do>,
}

/// Why a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// The call let go of it.
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
    /// Sound that is to be sent, and who waits for that.
    sending: VecDeque<(VecDeque<u8>, oneshot::Sender<()>)>,
    playing: VecDeque<u8>,
    /// Marks, each with how much is played before it.
    marks: VecDeque<(u64, String)>,
    /// Of all that ever came to be played, how much has been.
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
    /// Speaks until one side ends it.
    pub async fn run(mut self) -> Over {
        let mut state = State::default();
        let over = match self.speak(&mut state).await {
            Ok(over) => over,
            Err(over) => over,
        };
        if over != Over::Closed {
            let (account, call) = (&self.identity.account, &self.identity.call);
            let stop = json!({"event": "stop", "stop": {"accountSid": account, "callSid": call}});
            // It may be too late for either.
            let _ = self.send(&mut state, stop).await;
            let _ = tokio::time::timeout(PATIENCE, self.socket.close(None)).await;
        }
        over
    }

    async fn speak(&mut self, state: &mut State) -> Result<Over, Over> {
        self.introduce(state).await?;
        let began = Instant::now();
        let mut ticks = tokio::time::interval(FRAME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Do::Sound(sound, sent)) => state.sending.push_back((sound.into(), sent)),
                    Some(Do::Digits(digits)) => self.dial(state, &digits).await?,
                    None => return Ok(Over::Stopped),
                },
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) if self.identity.both_ways => self.take(state, &text).await?,
                    Some(Ok(Message::Binary(_))) => return Err(invalid("a binary message")),
                    Some(Ok(Message::Close(_))) | None => return Ok(Over::Closed),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(Over::Failed { code: 31921, why: error.to_string() }),
                },
                _ = ticks.tick() => self.frame(state, began.elapsed()).await?,
            }
        }
    }

    async fn introduce(&mut self, state: &mut State) -> Result<(), Over> {
        self.write(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})).await?;
        let Identity { account, call, stream, tracks, parameters, .. } = &self.identity;
        let start = json!({"event": "start", "start": {
            "accountSid": account, "callSid": call, "streamSid": stream, "tracks": tracks,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }});
        self.send(state, start).await
    }

    /// One frame each way.
    async fn frame(&mut self, state: &mut State, since: Duration) -> Result<(), Over> {
        let frame = state.next_frame();
        state.chunk += 1;
        let (chunk, at) = (state.chunk.to_string(), since.as_millis().to_string());
        for track in self.identity.tracks {
            // What the call hears itself is not sounded here.
            let payload =
                if *track == "inbound" { STANDARD.encode(&frame) } else { STANDARD.encode([SILENCE; FRAME_BYTES]) };
            let media = json!({"track": track, "chunk": chunk, "timestamp": at, "payload": payload});
            self.send(state, json!({"event": "media", "media": media})).await?;
        }
        self.carrier.change_stream(&self.identity.stream, |kept| kept.frames_sent += 1);
        let played = state.playing.len().min(FRAME_BYTES);
        state.playing.drain(..played);
        state.played += played as u64;
        self.echo(state).await
    }

    async fn dial(&mut self, state: &mut State, digits: &str) -> Result<(), Over> {
        for digit in digits.chars().filter(|digit| *digit != 'w') {
            let dtmf = json!({"track": "inbound_track", "digit": digit.to_string()});
            self.send(state, json!({"event": "dtmf", "dtmf": dtmf})).await?;
        }
        Ok(())
    }

    /// What the other side sends: sound, marks, or that what waits shall not be played.
    async fn take(&mut self, state: &mut State, text: &str) -> Result<(), Over> {
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
                self.carrier.change_stream(&self.identity.stream, |kept| kept.take(&sound));
                state.playing.extend(sound);
            }
            Sent::Mark { mark, .. } => {
                if state.marks.len() >= MARKS_MAX {
                    return Err(invalid("more than a thousand marks ahead"));
                }
                self.carrier.change_stream(&self.identity.stream, |kept| kept.mark(&mark.name));
                state.marks.push_back((state.came, mark.name));
            }
            Sent::Clear { .. } => {
                let bytes = state.playing.len() as u64;
                self.carrier.change_stream(&self.identity.stream, |kept| kept.clear(bytes));
                state.playing.clear();
                state.played = state.came;
            }
        }
        self.echo(state).await
    }

    /// Sends back the marks whose sound has been played, or will not be.
    async fn echo(&mut self, state: &mut State) -> Result<(), Over> {
        while state.marks.front().is_some_and(|(at, _)| *at <= state.played) {
            let Some((_, name)) = state.marks.pop_front() else { break };
            self.send(state, json!({"event": "mark", "mark": {"name": name}})).await?;
        }
        Ok(())
    }

    /// Writes a message with its number.
    async fn send(&mut self, state: &mut State, mut message: Value) -> Result<(), Over> {
        state.sequence += 1;
        message["sequenceNumber"] = state.sequence.to_string().into();
        message["streamSid"] = self.identity.stream.as_str().into();
        self.write(message).await
    }

    async fn write(&mut self, message: Value) -> Result<(), Over> {
        let sent = self.socket.send(Message::text(message.to_string()));
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Over::Failed { code: 31921, why: error.to_string() }),
            Err(_) => Err(Over::Failed { code: 31921, why: "the other side takes nothing".to_owned() }),
        }
    }
}

impl State {
    /// The next 160 bytes of what is to be sent; silence fills them up.
    fn next_frame(&mut self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(FRAME_BYTES);
        while let Some((sound, _)) = self.sending.front_mut() {
            let part = sound.len().min(FRAME_BYTES - frame.len());
            frame.extend(sound.drain(..part));
            if !sound.is_empty() {
                break;
            }
            if let Some((_, sent)) = self.sending.pop_front() {
                // Nobody may wait any more.
                let _ = sent.send(());
            }
        }
        frame.resize(FRAME_BYTES, SILENCE);
        frame
    }
}

fn invalid(why: &str) -> Over {
    Over::Failed { code: INVALID_MESSAGE, why: format!("the stream's other side sent what it should not: {why}") }
}
