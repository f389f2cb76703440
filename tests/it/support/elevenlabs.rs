//! An emulator of ElevenLabs' conversations, over the real protocol: clients with the API key get a signed URL, which
//! opens one WebSocket.
//!
//! The agent either echoes the caller ([`Behavior::Echo`]), or a test drives it step by step ([`Behavior::Scripted`])
//! through the [`Conversation`] from [`ElevenLabsEmulator::conversation`]. The emulator is a server of its own:
//! `GET /v1/convai/conversation/get-signed-url?agent_id=…` and `GET /v1/convai/conversation`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use recado::domain::clock::Random;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

/// The audio format of a telephone.
pub const ULAW: &str = "ulaw_8000";
/// Unused signed URLs; the oldest are dropped.
const SIGNATURES_MAX: usize = 1_000;
/// Open conversations that no test has taken; further ones run without a test.
const OPENED_MAX: usize = 256;
/// Unread messages of one conversation; at the limit a scripted agent stops reading.
const INBOX_MAX: usize = 64;
const STEPS_MAX: usize = 64;
/// Recorded messages without audio; the oldest are dropped.
const KEEP_MAX: usize = 256;
/// Pause between two frames of [`Step::Play`].
const FRAME: Duration = Duration::from_millis(20);

/// The agent's behavior in every conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Behavior {
    /// Starts the conversation, says hello, performs `opening`, and sends each piece of audio back.
    Echo { opening: Vec<Step> },
    /// Only performs the steps of a test.
    Scripted,
}

/// One action of the agent.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The first message, with the audio format of both directions, usually [`ULAW`].
    Metadata {
        format: String,
    },
    Audio {
        event_id: i64,
        payload: String,
    },
    /// Sends a payload every 20 ms, while other steps go on.
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
    /// Transcript of the caller.
    Caller(String),
    /// Transcript of the agent.
    Agent(String),
    Corrected {
        original: String,
        text: String,
    },
    /// A text frame, sent as given.
    Raw(String),
    Binary(Vec<u8>),
    /// Closes the WebSocket with a close frame.
    Close,
    /// Drops the connection without a close frame.
    Vanish,
}

/// A conversation of a scripted agent.
pub struct Conversation {
    steps: mpsc::Sender<Step>,
    received: mpsc::Receiver<Value>,
}

impl Conversation {
    /// Performs a step; false if the conversation has ended.
    pub async fn say(&self, step: Step) -> bool {
        self.steps.send(step).await.is_ok()
    }

    /// Receives the next message of the client; `None` once the socket is closed.
    pub async fn receive(&mut self) -> Option<Value> {
        self.received.recv().await
    }
}

/// A handle to the emulator; clones share one server.
#[derive(Clone)]
pub struct ElevenLabsEmulator(Arc<Inner>);

struct Inner {
    key: String,
    agent: String,
    behavior: Behavior,
    random: Random,
    signatures: Mutex<VecDeque<String>>,
    new_conversations: mpsc::Sender<Conversation>,
    conversations: AsyncMutex<mpsc::Receiver<Conversation>>,
    received: Mutex<VecDeque<Value>>,
    /// Number of open conversations.
    open: watch::Sender<u64>,
}

impl ElevenLabsEmulator {
    /// Creates an emulator with one agent, for clients with the API key `key`.
    pub fn new(key: impl Into<String>, agent: impl Into<String>, behavior: Behavior) -> Self {
        let (new_conversations, conversations) = mpsc::channel(OPENED_MAX);
        Self(Arc::new(Inner {
            key: key.into(),
            agent: agent.into(),
            behavior,
            random: Random::seeded(1),
            signatures: Mutex::default(),
            new_conversations,
            conversations: AsyncMutex::new(conversations),
            received: Mutex::default(),
            open: watch::Sender::new(0),
        }))
    }

    /// Returns the routes of the emulator.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/convai/conversation/get-signed-url", get(sign))
            .route("/v1/convai/conversation", get(converse))
            .with_state(self.clone())
    }

    /// Waits for the next conversation with a scripted agent.
    pub async fn conversation(&self) -> Option<Conversation> {
        self.0.conversations.lock().await.recv().await
    }

    /// Returns the messages of all clients without audio, oldest first.
    pub fn received(&self) -> Vec<Value> {
        self.0.received.lock().iter().cloned().collect()
    }

    /// Waits until exactly `count` conversations are open.
    pub async fn wait_open(&self, count: u64) {
        // `self` keeps the sender alive, so the wait cannot fail.
        let _ = self.0.open.subscribe().wait_for(|open| *open == count).await;
    }

    fn record(&self, message: &Value) {
        let mut received = self.0.received.lock();
        if received.len() == KEEP_MAX {
            received.pop_front();
        }
        received.push_back(message.clone());
    }
}

#[derive(Deserialize)]
struct ConversationQuery {
    agent_id: String,
    conversation_signature: Option<String>,
}

async fn sign(
    State(api): State<ElevenLabsEmulator>,
    Query(query): Query<ConversationQuery>,
    headers: HeaderMap,
) -> Response {
    let refuse = |status: StatusCode, reason: &str| {
        (status, Json(json!({"detail": {"status": reason, "message": reason}}))).into_response()
    };
    if headers.get("xi-api-key").map(|key| key.as_bytes()) != Some(api.0.key.as_bytes()) {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_api_key");
    }
    if query.agent_id != api.0.agent {
        return refuse(StatusCode::NOT_FOUND, "agent_not_found");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let signature = format!("cvtkn_{:016x}{:016x}", api.0.random.next_u64(), api.0.random.next_u64());
    let path = format!("v1/convai/conversation?agent_id={}&conversation_signature={signature}", query.agent_id);
    let mut signatures = api.0.signatures.lock();
    if signatures.len() == SIGNATURES_MAX {
        signatures.pop_front();
    }
    signatures.push_back(signature);
    drop(signatures);
    Json(json!({"signed_url": format!("ws://{host}/{path}")})).into_response()
}

async fn converse(
    State(api): State<ElevenLabsEmulator>,
    Query(query): Query<ConversationQuery>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, StatusCode> {
    let mut signatures = api.0.signatures.lock();
    let known = signatures.iter().position(|known| Some(known) == query.conversation_signature.as_ref());
    signatures.remove(known.ok_or(StatusCode::FORBIDDEN)?);
    drop(signatures);
    Ok(upgrade.on_upgrade(|socket| async move {
        api.0.open.send_modify(|open| *open += 1);
        let (steps, script) = mpsc::channel(STEPS_MAX);
        let (received, inbox) = mpsc::channel(INBOX_MAX);
        let scripted = api.0.behavior == Behavior::Scripted;
        if scripted {
            // Fails if no test takes conversations: the agent stays silent.
            let _ = api.0.new_conversations.try_send(Conversation { steps, received: inbox });
        }
        let id = format!("conv_{:016x}", api.0.random.next_u64());
        let mut agent = Agent {
            socket,
            id,
            api: api.clone(),
            received: scripted.then_some(received),
            playing: VecDeque::new(),
            last_event: 0,
        };
        // An error means that the client is gone: the conversation ends as well.
        let _ = agent.run(script).await;
        api.0.open.send_modify(|open| *open -= 1);
    }))
}

/// The agent's end of a conversation.
struct Agent {
    socket: WebSocket,
    id: String,
    api: ElevenLabsEmulator,
    /// Inbox of the scripted agent; `None` for an echo.
    received: Option<mpsc::Sender<Value>>,
    playing: VecDeque<(i64, String)>,
    last_event: i64,
}

impl Agent {
    async fn run(&mut self, mut steps: mpsc::Receiver<Step>) -> Result<(), axum::Error> {
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = self.socket.recv() => match message.transpose()? {
                    None | Some(Message::Close(_)) => return Ok(()),
                    Some(Message::Text(text)) => self.receive(text.as_str()).await?,
                    Some(_) => {}
                },
                Some(step) = steps.recv() => match step {
                    Step::Vanish => return Ok(()),
                    Step::Close => return self.socket.send(Message::Close(None)).await,
                    step => self.perform(step).await?,
                },
                _ = frames.tick(), if !self.playing.is_empty() => {
                    if let Some((event_id, payload)) = self.playing.pop_front() {
                        self.perform(Step::Audio { event_id, payload }).await?;
                    }
                }
            }
        }
    }

    async fn receive(&mut self, text: &str) -> Result<(), axum::Error> {
        let message: Value = serde_json::from_str(text).unwrap_or_else(|_| json!({"type": "no JSON", "text": text}));
        let chunk = message["user_audio_chunk"].as_str().map(str::to_owned);
        if chunk.is_none() {
            self.api.record(&message);
        }
        if let Some(received) = &self.received {
            // Blocks on a full inbox, so that nothing more is read. Fails if the test dropped the conversation.
            let _ = received.send(message).await;
            return Ok(());
        }
        match chunk {
            Some(payload) => {
                if self.last_event == 0 {
                    self.perform(Step::Caller("(audio)".to_owned())).await?;
                }
                self.last_event += 1;
                self.perform(Step::Audio { event_id: self.last_event, payload }).await
            }
            None if message["type"] == "conversation_initiation_client_data" => self.begin(&message).await,
            None => Ok(()),
        }
    }

    async fn begin(&mut self, initiation: &Value) -> Result<(), axum::Error> {
        let hello = initiation["conversation_config_override"]["agent"]["first_message"].as_str().unwrap_or("Hello");
        self.perform(Step::Metadata { format: ULAW.to_owned() }).await?;
        self.perform(Step::Agent(hello.to_owned())).await?;
        if let Behavior::Echo { opening } = self.api.0.behavior.clone() {
            for step in opening {
                self.perform(step).await?;
            }
        }
        Ok(())
    }

    async fn perform(&mut self, step: Step) -> Result<(), axum::Error> {
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
