//! A stand-in for ElevenLabs' conversations, over the real protocol: a signed URL for those who bring the key, and a
//! WebSocket that is good for it once.
//!
//! An agent either echoes the caller ([`Conduct::Echo`]), or does what it is told step by step, through the
//! [`Conversation`] that [`ElevenApi::conversation`] gives ([`Conduct::Told`]). It is a server of its own, with its own
//! port: `GET /v1/convai/conversation/get-signed-url?agent_id=…` and `GET /v1/convai/conversation`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::domain::clock::Random;

/// What a telephone needs.
pub const ULAW: &str = "ulaw_8000";
/// Signed URLs that have not been used; the oldest go.
const SIGNATURES_MAX: usize = 1_000;
/// Conversations that nobody has asked for; more are carried all the same.
const OPENED_MAX: usize = 256;
/// Messages of one conversation that nobody has taken; with more, an agent that is told reads no further.
const HEARD_MAX: usize = 64;
const STEPS_MAX: usize = 64;
/// What is not audio is remembered; the oldest goes.
const KEEP_MAX: usize = 256;
/// Between two frames of [`Step::Play`].
const FRAME: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, PartialEq)]
pub enum Conduct {
    /// Begins properly, says hello, does `opening`, and sends back each piece of audio as its own.
    Echo { opening: Vec<Step> },
    /// Does nothing by itself.
    Told,
}

/// Something that the agent sends or does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The first message: the audio's format both ways, as a rule [`ULAW`].
    Metadata {
        format: String,
    },
    Audio {
        event_id: i64,
        payload: String,
    },
    /// One after the other, every 20 ms, while other steps are done.
    Play {
        event_id: i64,
        payloads: Vec<String>,
    },
    Interrupt {
        event_id: i64,
    },
    Ping {
        event_id: i64,
    },
    Tool {
        id: String,
        name: String,
        parameters: Value,
    },
    /// What it heard.
    Caller(String),
    /// What it says.
    Agent(String),
    Corrected {
        original: String,
        text: String,
    },
    /// A text as it stands.
    Raw(String),
    Binary(Vec<u8>),
    /// Closes the socket properly.
    Close,
    /// Lets go of the socket without a word.
    Vanish,
}

/// A conversation that a [`Conduct::Told`] agent holds.
pub struct Conversation {
    steps: mpsc::Sender<Step>,
    heard: mpsc::Receiver<Value>,
}

impl Conversation {
    /// Gives whether the conversation is still open.
    pub async fn say(&self, step: Step) -> bool {
        self.steps.send(step).await.is_ok()
    }

    /// The next message from the client; `None` once the socket is closed.
    pub async fn hear(&mut self) -> Option<Value> {
        self.heard.recv().await
    }
}

/// A handle; clones are the same server.
#[derive(Clone)]
pub struct ElevenApi(Arc<Inner>);

struct Inner {
    key: String,
    agent: String,
    conduct: Conduct,
    random: Random,
    signatures: Mutex<VecDeque<String>>,
    told: mpsc::Sender<Conversation>,
    opened: AsyncMutex<mpsc::Receiver<Conversation>>,
    heard: Mutex<VecDeque<Value>>,
    /// Conversations that are open, to be waited for.
    open: watch::Sender<u64>,
}

impl ElevenApi {
    /// `key` is what clients must bring, `agent` the only agent there is.
    pub fn new(key: impl Into<String>, agent: impl Into<String>, conduct: Conduct) -> Self {
        let (told, opened) = mpsc::channel(OPENED_MAX);
        Self(Arc::new(Inner {
            key: key.into(),
            agent: agent.into(),
            conduct,
            random: Random::seeded(1),
            signatures: Mutex::default(),
            told,
            opened: AsyncMutex::new(opened),
            heard: Mutex::default(),
            open: watch::Sender::new(0),
        }))
    }

    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/convai/conversation/get-signed-url", get(sign))
            .route("/v1/convai/conversation", get(converse))
            .with_state(self.clone())
    }

    /// The next conversation that is opened with a [`Conduct::Told`] agent.
    pub async fn conversation(&self) -> Option<Conversation> {
        self.0.opened.lock().await.recv().await
    }

    /// What clients sent but for audio, the oldest first.
    pub fn heard(&self) -> Vec<Value> {
        lock(&self.0.heard).iter().cloned().collect()
    }

    /// Waits until so many conversations are open.
    pub async fn wait_open(&self, count: u64) {
        // The sender lives in `self`, so waiting can only end by the count being reached.
        let _ = self.0.open.subscribe().wait_for(|open| *open == count).await;
    }

    fn note(&self, message: &Value) {
        let mut heard = lock(&self.0.heard);
        if heard.len() == KEEP_MAX {
            heard.pop_front();
        }
        heard.push_back(message.clone());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Lists of whole values, good whatever happened.
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[derive(Deserialize)]
struct Wanted {
    agent_id: String,
    conversation_signature: Option<String>,
}

async fn sign(State(api): State<ElevenApi>, Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    let refuse = |status: StatusCode, what: &str| {
        (status, Json(json!({"detail": {"status": what, "message": what}}))).into_response()
    };
    if headers.get("xi-api-key").map(|key| key.as_bytes()) != Some(api.0.key.as_bytes()) {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_api_key");
    }
    if wanted.agent_id != api.0.agent {
        return refuse(StatusCode::NOT_FOUND, "agent_not_found");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let signature = format!("cvtkn_{:016x}{:016x}", api.0.random.next_u64(), api.0.random.next_u64());
    let path = format!("v1/convai/conversation?agent_id={}&conversation_signature={signature}", wanted.agent_id);
    let mut signatures = lock(&api.0.signatures);
    if signatures.len() == SIGNATURES_MAX {
        signatures.pop_front();
    }
    signatures.push_back(signature);
    drop(signatures);
    Json(json!({"signed_url": format!("ws://{host}/{path}")})).into_response()
}

async fn converse(
    State(api): State<ElevenApi>,
    Query(wanted): Query<Wanted>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, StatusCode> {
    let mut signatures = lock(&api.0.signatures);
    let known = signatures.iter().position(|known| Some(known) == wanted.conversation_signature.as_ref());
    signatures.remove(known.ok_or(StatusCode::FORBIDDEN)?);
    drop(signatures);
    Ok(upgrade.on_upgrade(|socket| async move {
        api.0.open.send_modify(|open| *open += 1);
        let (steps, to_do) = mpsc::channel(STEPS_MAX);
        let (heard, taken) = mpsc::channel(HEARD_MAX);
        let told = api.0.conduct == Conduct::Told;
        if told {
            // Where nobody asks for conversations, this one stays silent.
            let _ = api.0.told.try_send(Conversation { steps, heard: taken });
        }
        let id = format!("conv_{:016x}", api.0.random.next_u64());
        let mut agent = Agent {
            socket,
            id,
            api: api.clone(),
            heard: told.then_some(heard),
            playing: VecDeque::new(),
            last_event: 0,
        };
        // Fails where the client is gone, which ends it as well.
        let _ = agent.run(to_do).await;
        api.0.open.send_modify(|open| *open -= 1);
    }))
}

/// The agent's end of a conversation.
struct Agent {
    socket: WebSocket,
    id: String,
    api: ElevenApi,
    /// Who is told what came; none where it echoes.
    heard: Option<mpsc::Sender<Value>>,
    playing: VecDeque<(i64, String)>,
    last_event: i64,
}

impl Agent {
    async fn run(&mut self, mut steps: mpsc::Receiver<Step>) -> Result<(), axum::Error> {
        let mut beat = interval(FRAME);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = self.socket.recv() => match message.transpose()? {
                    None | Some(Message::Close(_)) => return Ok(()),
                    Some(Message::Text(text)) => self.take(text.as_str()).await?,
                    Some(_) => {}
                },
                Some(step) = steps.recv() => match step {
                    Step::Vanish => return Ok(()),
                    Step::Close => return self.socket.send(Message::Close(None)).await,
                    step => self.act(step).await?,
                },
                _ = beat.tick(), if !self.playing.is_empty() => {
                    if let Some((event_id, payload)) = self.playing.pop_front() {
                        self.act(Step::Audio { event_id, payload }).await?;
                    }
                }
            }
        }
    }

    async fn take(&mut self, text: &str) -> Result<(), axum::Error> {
        let message: Value = serde_json::from_str(text).unwrap_or_else(|_| json!({"type": "no JSON", "text": text}));
        let chunk = message["user_audio_chunk"].as_str().map(str::to_owned);
        if chunk.is_none() {
            self.api.note(&message);
        }
        if let Some(heard) = &self.heard {
            // Held up where nobody takes it, so that nothing more is read; gone where nobody can.
            let _ = heard.send(message).await;
            return Ok(());
        }
        match chunk {
            Some(payload) => {
                if self.last_event == 0 {
                    self.act(Step::Caller("(audio)".to_owned())).await?;
                }
                self.last_event += 1;
                self.act(Step::Audio { event_id: self.last_event, payload }).await
            }
            None if message["type"] == "conversation_initiation_client_data" => self.begin(&message).await,
            None => Ok(()),
        }
    }

    async fn begin(&mut self, initiation: &Value) -> Result<(), axum::Error> {
        let hello = initiation["conversation_config_override"]["agent"]["first_message"].as_str().unwrap_or("Hello");
        self.act(Step::Metadata { format: ULAW.to_owned() }).await?;
        self.act(Step::Agent(hello.to_owned())).await?;
        if let Conduct::Echo { opening } = self.api.0.conduct.clone() {
            for step in opening {
                self.act(step).await?;
            }
        }
        Ok(())
    }

    async fn act(&mut self, step: Step) -> Result<(), axum::Error> {
        let message = match step {
            Step::Raw(text) => return self.socket.send(Message::Text(text.into())).await,
            Step::Binary(bytes) => return self.socket.send(Message::Binary(bytes.into())).await,
            Step::Close | Step::Vanish => return self.socket.send(Message::Close(None)).await,
            Step::Play { event_id, payloads } => {
                self.playing.extend(payloads.into_iter().map(|payload| (event_id, payload)));
                return Ok(());
            }
            Step::Metadata { format } => json!({
                "type": "conversation_initiation_metadata",
                "conversation_initiation_metadata_event": {
                    "conversation_id": self.id,
                    "agent_output_audio_format": format,
                    "user_input_audio_format": format,
                },
            }),
            Step::Audio { event_id, payload } => {
                json!({"type": "audio", "audio_event": {"audio_base_64": payload, "event_id": event_id}})
            }
            Step::Interrupt { event_id } => {
                self.playing.retain(|(playing, _)| *playing > event_id);
                json!({"type": "interruption", "interruption_event": {"event_id": event_id}})
            }
            Step::Ping { event_id } => json!({"type": "ping", "ping_event": {"event_id": event_id, "ping_ms": null}}),
            Step::Tool { id, name, parameters } => json!({
                "type": "client_tool_call",
                "client_tool_call": {"tool_call_id": id, "tool_name": name, "parameters": parameters},
            }),
            Step::Caller(text) => {
                json!({"type": "user_transcript", "user_transcription_event": {"user_transcript": text}})
            }
            Step::Agent(text) => json!({"type": "agent_response", "agent_response_event": {"agent_response": text}}),
            Step::Corrected { original, text } => json!({
                "type": "agent_response_correction",
                "agent_response_correction_event": {
                    "original_agent_response": original,
                    "corrected_agent_response": text,
                },
            }),
        };
        self.socket.send(Message::Text(message.to_string().into())).await
    }
}

#[cfg(test)]
mod tests;
