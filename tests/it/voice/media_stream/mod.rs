//! The media bridge between two real WebSockets: a client in Twilio's place, and the emulator of ElevenLabs.

mod ends;
mod flow;
mod hostile;
mod pressure;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use recado::integrations::elevenlabs::message::{AgentOverrides, Initiation, Overrides, ToolCall};
use recado::integrations::elevenlabs::{ElevenLabs, ElevenLabsError};
use recado::integrations::http;
use recado::integrations::media_stream;
use recado::integrations::media_stream::{BridgeEvent, Ended, Limits, Opening, Outcome, ToolHandler};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Said;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::elevenlabs::{Behavior, Conversation, ElevenLabsEmulator, Step, ULAW};

const KEY: &str = "sk_of_the_tests";
const AGENT: &str = "agent_1";
const CALL: &str = "CA00000000000000000000000000000001";
const STREAM: &str = "MZ00000000000000000000000000000001";
/// Limit of a wait for something that must happen; long, because the machine may be busy.
const SOON: Duration = Duration::from_secs(50);
/// 20 ms of silence.
const SILENCE: &str = concat!(
    "////////////////////////////////////////////////////////////////////////////////////////////////////////////",
    "/////////////////////////////////////////////////////////////////////////////////////////////////////////w==",
);

/// Awaits something that must happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("it happens soon")
}

/// The bridge behind a route, the emulated agent, and the channels with the events and outcomes of the calls.
struct World {
    api: ElevenLabsEmulator,
    url: String,
    outcomes: mpsc::Receiver<Outcome>,
    events: mpsc::Receiver<BridgeEvent>,
    cancel: watch::Sender<bool>,
    tools: Arc<Tools>,
}

/// The state of the route.
#[derive(Clone)]
struct Route {
    eleven: ElevenLabs,
    limits: Limits,
    outcomes: mpsc::Sender<Outcome>,
    events: mpsc::Sender<BridgeEvent>,
    cancelled: watch::Receiver<bool>,
    tools: Arc<Tools>,
}

impl World {
    async fn scripted(limits: Limits) -> Self {
        Self::new(Behavior::Scripted, limits).await
    }

    async fn new(behavior: Behavior, limits: Limits) -> Self {
        let api = ElevenLabsEmulator::new(KEY, AGENT, behavior);
        let base = format!("http://{}", serve(api.router()).await);
        let eleven = ElevenLabs::new(http::client().unwrap(), &base, Some(KEY.into())).unwrap();
        let (to_outcomes, outcomes) = mpsc::channel(8);
        let (to_events, events) = mpsc::channel(4_096);
        let (cancel, cancelled) = watch::channel(false);
        let tools = Arc::<Tools>::default();
        let state = Route { tools: tools.clone(), eleven, limits, outcomes: to_outcomes, events: to_events, cancelled };
        let url = format!("ws://{}/stream", serve(Router::new().route("/stream", get(carry)).with_state(state)).await);
        Self { api, url, outcomes, events, cancel, tools }
    }

    async fn dial(&self) -> Caller {
        Caller(soon(connect_async(&self.url)).await.unwrap().0)
    }

    /// Starts a call with a scripted agent.
    async fn call(&mut self) -> (Caller, Conversation) {
        let mut caller = self.dial().await;
        caller.begin().await;
        let mut agent = soon(self.api.conversation()).await.unwrap();
        let first = soon(agent.receive()).await.unwrap();
        assert_eq!(first["type"], "conversation_initiation_client_data");
        agent.say(Step::Metadata { format: ULAW.into() }).await;
        assert!(matches!(self.event().await, BridgeEvent::Started { .. }));
        assert!(matches!(self.event().await, BridgeEvent::Conversation { .. }));
        (caller, agent)
    }

    async fn event(&mut self) -> BridgeEvent {
        soon(self.events.recv()).await.unwrap()
    }

    async fn outcome(&mut self) -> Outcome {
        soon(self.outcomes.recv()).await.unwrap()
    }
}

async fn serve(router: Router) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn carry(State(route): State<Route>, upgrade: WebSocketUpgrade) -> Response {
    media_stream::limited(upgrade).on_upgrade(move |socket| async move {
        let Route { eleven, limits, outcomes, events, mut cancelled, tools } = route;
        let agent = eleven.open(AGENT, SOON).await.unwrap();
        let agent_overrides =
            AgentOverrides { first_message: Some("Clínica Sol.".into()), ..AgentOverrides::default() };
        let overrides = Some(Overrides { agent: agent_overrides, ..Overrides::default() });
        let initiation = Initiation { overrides, ..Initiation::default() };
        let opening = Opening { call_sid: Some(CALL.into()), initiation, limits };
        let (twilio, agent) = (media_stream::from_axum(socket), media_stream::from_tungstenite(agent));
        let cancel = async move { drop(cancelled.wait_for(|cancelled| *cancelled).await) };
        let outcome = media_stream::bridge(twilio, agent, opening, tools, events, cancel).await;
        outcomes.send(outcome).await.unwrap();
    })
}

/// Tools that answer, fail, hang, panic, and wait for a signal.
#[derive(Default)]
struct Tools {
    release: Notify,
    done: Notify,
}

impl ToolHandler for Tools {
    async fn call(&self, call: ToolCall) -> Result<String, String> {
        match call.tool_name.as_str() {
            "free_slots" => Ok(format!("10:00 on {}", call.parameters["day"].as_str().unwrap_or_default())),
            "linger" => {
                self.release.notified().await;
                self.done.notify_one();
                Ok(String::new())
            }
            "hang" => std::future::pending().await,
            "panic" => panic!("as the test wants"),
            name => Err(format!("there is no tool {name}")),
        }
    }
}

/// Twilio's end of the stream.
struct Caller(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Caller {
    async fn begin(&mut self) {
        self.say(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})).await;
        self.say(start()).await;
    }

    async fn say(&mut self, message: Value) {
        self.raw(Said::Text(message.to_string().into())).await;
    }

    async fn raw(&mut self, message: Said) {
        soon(self.0.send(message)).await.unwrap();
    }

    async fn speak(&mut self, payload: &str) {
        self.say(media(payload)).await;
    }

    async fn mark(&mut self, name: &str) {
        self.say(json!({"event": "mark", "sequenceNumber": "9", "streamSid": STREAM, "mark": {"name": name}})).await;
    }

    async fn press(&mut self, digit: &str) {
        self.say(json!({"event": "dtmf", "streamSid": STREAM, "dtmf": {"track": "inbound_track", "digit": digit}}))
            .await;
    }

    async fn stop(&mut self) {
        self.say(json!({"event": "stop", "streamSid": STREAM, "stop": {"accountSid": "AC1", "callSid": CALL}})).await;
    }

    /// Receives the next message; `None` once the socket is closed.
    async fn receive(&mut self) -> Option<Value> {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Said::Text(text))) => return Some(serde_json::from_str(text.as_str()).unwrap()),
                Some(Ok(Said::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Receives a piece of audio and its mark; returns payload and mark.
    async fn hear_audio(&mut self) -> (String, String) {
        let (media, mark) = (self.receive().await.unwrap(), self.receive().await.unwrap());
        assert_eq!(
            (&media["event"], &media["streamSid"], &mark["event"]),
            (&json!("media"), &json!(STREAM), &json!("mark"))
        );
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&media["media"]["payload"]), text(&mark["mark"]["name"]))
    }
}

fn start() -> Value {
    json!({
        "event": "start", "sequenceNumber": "1", "streamSid": STREAM,
        "start": {
            "accountSid": "AC1", "callSid": CALL, "streamSid": STREAM, "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"agent": "ana"},
        },
    })
}

fn media(payload: &str) -> Value {
    json!({
        "event": "media", "sequenceNumber": "2", "streamSid": STREAM,
        "media": {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": payload},
    })
}

/// 20 ms of audio, different for each number.
fn numbered(number: usize) -> String {
    format!("{number:08}{}", &SILENCE[8..])
}

/// A piece of the agent's audio.
fn audio(event_id: i64, payload: &str) -> Step {
    Step::Audio { event_id, payload: payload.into() }
}
