//! Live conversations: carries a call's audio to an ElevenLabs agent and back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use tokio::sync::{mpsc, watch};

use super::tools::{ToolCustomer, Tools};
use crate::config::secret::SecretKey;
use crate::config::webhook_urls::media_stream;
use crate::domain::event::TranscriptLine;
use crate::domain::{CallFacts, CallId, Clock, Phone, VoiceAgent};
use crate::engine::Engine;
use crate::integrations::elevenlabs::ElevenLabs;
use crate::integrations::elevenlabs::message::{AgentOverrides, Initiation, Overrides, Prompt, ToolCall};
use crate::integrations::media_stream::{BridgeEvent, Limits, Opening, Socket, ToolHandler, bridge, from_tungstenite};
use crate::store::Store;
use crate::telemetry::metric;
use crate::tenants::{Directory, Tenant};

/// The purpose of the token in a stream's URL.
const PURPOSE: &str = "media stream";
/// The time limit for opening a conversation.
const OPENS_WITHIN: Duration = Duration::from_secs(5);
/// The most events of a stream that wait to be stored.
const EVENTS_MAX: usize = 1_024;
/// The interval at which a turn checks whether the stream before it is stored.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The most lines of a transcript.
const LINES_MAX: usize = 2_000;
const TRANSCRIPT_MAX_BYTES: usize = 1 << 20;
/// The most conversations at once.
const STREAMS_MAX: usize = 1_000;

/// Carries live conversations.
pub struct LiveConversations {
    store: Store,
    directory: Arc<Directory>,
    clock: Clock,
    eleven: ElevenLabs,
    /// The installation's agent.
    agent: Option<String>,
    tools: Tools,
    /// The open streams of this process. A stream stays until its transcript is stored; none is opened after the stop.
    open: Mutex<OpenStreams>,
}

#[derive(Default)]
struct OpenStreams {
    stopping: bool,
    last: u64,
    /// The streams by number, because a call may have had more than one.
    streams: HashMap<u64, Stream>,
}

struct Stream {
    call: CallId,
    /// The provider's SID of the call.
    sid: String,
    /// Ends the stream with its call.
    stop: watch::Sender<bool>,
}

impl LiveConversations {
    pub fn new(engine: &Engine, eleven: ElevenLabs, agent: Option<String>, tools: Tools) -> Self {
        let (store, directory, clock) = (engine.store.clone(), engine.directory.clone(), engine.clock.clone());
        Self { store, directory, clock, eleven, agent, tools, open: Mutex::default() }
    }

    /// The URL at which the provider opens the stream of a turn. Twilio drops query strings, so the token is part of
    /// the path.
    pub fn url(&self, base: &str, call: CallId, n: i32) -> String {
        media_stream(base, &token(self.directory.key(), call, n))
    }

    /// The call and turn of a token of ours. Whether the token was used shows when the stream begins.
    pub fn parse_token(&self, text: &str) -> Option<(CallId, i32)> {
        let (call, rest) = text.split_once('.')?;
        let (n, _) = rest.split_once('.')?;
        let (call, n) = (call.parse().ok()?, n.parse().ok()?);
        let genuine: bool = token(self.directory.key(), call, n).as_bytes().ct_eq(text.as_bytes()).into();
        genuine.then_some((call, n))
    }

    /// Carries a call until it ends, then stores the transcript. If the stream breaks or cannot begin, the call
    /// continues with the document's next verb.
    pub async fn run(&self, tenant: Arc<Tenant>, call: CallFacts, twilio: impl Socket) {
        let Some((until_here, stopped)) = self.begin(&call) else {
            tracing::error!(tenant = %tenant.slug, call = %call.sid, "there are {STREAMS_MAX} live conversations, or none begin any more");
            return;
        };
        let (lines, well) = self.converse(&tenant, &call, twilio, stopped).await;
        // A conversation that this process breaks off did not end well: the call continues.
        let well = well && !self.lock().stopping;
        if let Err(error) = self.store.add_lines(tenant.id, call.id, &lines, well).await {
            tracing::error!(tenant = %tenant.slug, call = %call.sid, %error, "what was said in a live conversation is lost");
        }
        drop(until_here);
    }

    fn begin(&self, call: &CallFacts) -> Option<(OpenStreamGuard<'_>, watch::Receiver<bool>)> {
        let mut open = self.lock();
        if open.stopping || open.streams.len() >= STREAMS_MAX {
            return None;
        }
        open.last += 1;
        let (number, (stop, stopped)) = (open.last, watch::channel(false));
        open.streams.insert(number, Stream { call: call.id, sid: call.sid.clone(), stop });
        Some((OpenStreamGuard(self, number), stopped))
    }

    /// Carries the conversation. Returns the transcript, and whether it ended well.
    async fn converse(
        &self,
        tenant: &Arc<Tenant>,
        call: &CallFacts,
        twilio: impl Socket,
        mut stopped: watch::Receiver<bool>,
    ) -> (Vec<TranscriptLine>, bool) {
        let voice = &tenant.settings.voice;
        let agent = call.state.agent.as_deref().and_then(|name| voice.agent(name)).cloned().unwrap_or_default();
        let Some(eleven_agent) = agent.stream_agent.clone().or_else(|| self.agent.clone()) else {
            return (Vec::new(), false);
        };
        if !tenant.settings.sends.allows_stream_agent(&eleven_agent) {
            tracing::error!(tenant = %tenant.slug, call = %call.sid, agent = eleven_agent,
                "ElevenLabs: the operator does not allow this agent to this business ('recado tenant set')");
            return (Vec::new(), false);
        }
        let opened = self.eleven.open(&eleven_agent, OPENS_WITHIN).await;
        let eleven = match opened {
            Ok(socket) => from_tungstenite(socket),
            Err(error) => {
                tracing::error!(tenant = %tenant.slug, call = %call.sid, %error, "ElevenLabs: no live conversation can be had");
                return (Vec::new(), false);
            }
        };
        let _open = OpenStreamGauge::new();
        let cancel = async move {
            // The sender is dropped with its entry; then the stream ends by itself.
            if stopped.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let (events, received) = mpsc::channel(EVENTS_MAX);
        let opening = Opening {
            call_sid: Some(call.sid.clone()),
            initiation: initiation(tenant, &agent, call),
            limits: Limits::DEFAULT,
        };
        let tools = Arc::new(CallTools {
            tools: self.tools.clone(),
            customer: ToolCustomer { tenant: tenant.clone(), phone: Phone::parse(&call.peer).ok() },
        });
        let (outcome, lines) = tokio::join!(
            bridge(twilio, eleven, opening, tools, events, cancel),
            collect_transcript(tenant, call, received)
        );
        tracing::info!(tenant = %tenant.slug, call = %call.sid, conversation = outcome.conversation_id.as_deref(),
            why = %outcome.ended, seconds = outcome.duration.as_secs(), dropped = outcome.stats.caller_frames_dropped,
            "ElevenLabs: a conversation ended");
        (lines, outcome.ended.is_ordinary())
    }

    /// True if this process has yet to store a conversation of the call.
    pub fn has_open_stream(&self, call: CallId) -> bool {
        self.lock().streams.values().any(|stream| stream.call == call)
    }

    /// Waits until the conversation of the call with this SID is stored, because the next step depends on how it ended.
    pub async fn wait_stored(&self, sid: &str) {
        while self.lock().streams.values().any(|stream| stream.sid == sid) {
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    /// Ends the streams of a call.
    pub fn end(&self, call: CallId) {
        self.lock().streams.values().filter(|stream| stream.call == call).for_each(Stream::end);
    }

    /// Ends all streams and opens no more: the server stops. The calls continue with the next verbs of their documents.
    pub fn end_all(&self) {
        let mut open = self.lock();
        open.stopping = true;
        open.streams.values().for_each(Stream::end);
    }

    /// Waits until all transcripts are stored.
    pub async fn wait_all_stored(&self) {
        while !self.lock().streams.is_empty() {
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, OpenStreams> {
        self.open.lock()
    }
}

impl Stream {
    fn end(&self) {
        self.stop.send_replace(true);
    }
}

/// Counts a stream as open until it is dropped.
struct OpenStreamGauge;

impl OpenStreamGauge {
    fn new() -> Self {
        metrics::gauge!(metric::STREAMS_OPEN).increment(1.0);
        Self
    }
}

impl Drop for OpenStreamGauge {
    fn drop(&mut self) {
        metrics::gauge!(metric::STREAMS_OPEN).decrement(1.0);
    }
}

/// Removes the stream from the open ones when dropped, however it ends.
struct OpenStreamGuard<'a>(&'a LiveConversations, u64);

impl Drop for OpenStreamGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().streams.remove(&self.1);
    }
}

/// `{call}.{turn}.{mac}`
fn token(key: &SecretKey, call: CallId, n: i32) -> String {
    let (call, n) = (call.to_string(), n.to_string());
    let mac = URL_SAFE_NO_PAD.encode(key.mac(PURPOSE, &[&call, &n]));
    format!("{call}.{n}.{mac}")
}

/// Collects the transcript until the stream ends.
async fn collect_transcript(
    tenant: &Tenant,
    call: &CallFacts,
    mut events: mpsc::Receiver<BridgeEvent>,
) -> Vec<TranscriptLine> {
    let mut lines: Vec<TranscriptLine> = Vec::new();
    let mut bytes = 0;
    while let Some(event) = events.recv().await {
        let line = |who: &str, text| TranscriptLine { who: who.to_owned(), text };
        match event {
            BridgeEvent::Conversation { id } => {
                tracing::info!(tenant = %tenant.slug, call = %call.sid, conversation = %id, "ElevenLabs: a conversation started");
            }
            BridgeEvent::Caller { text } => lines.push(line("caller", text)),
            BridgeEvent::Agent { text } => lines.push(line("us", text)),
            BridgeEvent::AgentCorrected { original, text } => {
                // Text that the caller did not hear is removed.
                if let Some(last) = lines.iter_mut().rev().find(|line| line.who == "us" && line.text == original) {
                    last.text = text;
                }
            }
            _ => {}
        }
        // One event adds at most one line, or changes one.
        if lines.len() > LINES_MAX || bytes > TRANSCRIPT_MAX_BYTES {
            lines.pop();
        }
        bytes = lines.iter().map(|line| line.text.len()).sum();
    }
    lines
}

/// The agent's first message. It overrides only what the tenant has set: ElevenLabs refuses a conversation with an
/// override that the agent does not allow
/// (<https://elevenlabs.io/docs/agents-platform/customization/personalization/overrides>).
fn initiation(tenant: &Tenant, agent: &VoiceAgent, call: &CallFacts) -> Initiation {
    let known = |text: String| Some(text).filter(|text| !text.trim().is_empty());
    let instructions = known(agent.instructions.clone());
    let overrides = AgentOverrides {
        prompt: instructions.map(|own| Prompt { prompt: format!("{}\n{own}", tenant.settings.voice.instructions) }),
        first_message: known(agent.greeting.replace("{name}", &tenant.name)),
        language: agent.language.as_deref().and_then(|language| language.get(..2)).map(str::to_owned),
    };
    let any = overrides.prompt.is_some() || overrides.first_message.is_some() || overrides.language.is_some();
    let overrides = any.then(|| Overrides { agent: overrides, ..Overrides::default() });
    let mut variables = Map::new();
    variables.insert("business".to_owned(), tenant.name.clone().into());
    variables.insert("caller".to_owned(), call.peer.clone().into());
    Initiation { overrides, dynamic_variables: variables, user_id: Some(call.id.to_string()) }
}

/// The tools for the customer on the line.
struct CallTools {
    tools: Tools,
    customer: ToolCustomer,
}

impl ToolHandler for CallTools {
    async fn call(&self, call: ToolCall) -> Result<String, String> {
        let done: Result<Value, _> = self.tools.call(&self.customer, &call.tool_name, &call.parameters).await;
        done.map(|value| value.to_string()).map_err(|error| error.to_string())
    }
}
