//! Live conversations: a call's audio goes to an agent and back, and the transcript is stored.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::caller::{ANA, Caller, TwimlResponse, options};
use crate::cli;
use crate::faults::rig::{self, Look, OURS};
use crate::support::elevenlabs::{Behavior, Conversation, ElevenLabsEmulator, Step};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

const WITHIN: Duration = Duration::from_secs(20);
const KEY: &str = "xi-test";
const AGENT: &str = "agent_1";
pub const RULES: &str = r#"rule("ended").on("call_completed").then(|e| note(`${e.data.transcript.len()} lines: ${e.data.transcript[0].text}`));"#;

/// The fake ElevenLabs, and a server with a live agent.
pub struct Scene {
    eleven: ElevenLabsEmulator,
    pub server: Server,
}

impl Scene {
    async fn start() -> Self {
        Self::with(options(RULES)).await
    }

    pub async fn with(options: ServerOptions) -> Self {
        let eleven = ElevenLabsEmulator::new(KEY, AGENT, Behavior::Scripted);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = eleven.router();
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves until the test ends") });
        let options =
            options.env("ELEVENLABS_API_BASE", base).env("ELEVENLABS_API_KEY", KEY).env("ELEVENLABS_AGENT_ID", AGENT);
        let server = rig::migrated(options);
        let add = ["agents", "add", "Live", "--number", OURS, "--mode", "stream", "--greeting", "Aquí {name}"];
        cli::run(&mut rig::recado(&server, &add)).ok();
        let mut scene = Self { eleven, server };
        scene.server.start_again().await;
        scene
    }

    pub async fn conversation(&self) -> Conversation {
        tokio::time::timeout(WITHIN, self.eleven.conversation()).await.expect("in time").expect("a conversation")
    }
}

/// The provider's side of a media stream.
pub struct Stream<S>(WebSocketStream<S>);

impl Stream<MaybeTlsStream<TcpStream>> {
    pub async fn open(twiml: &TwimlResponse, call: &str) -> Self {
        let url = twiml.attribute("url").expect("a stream's URL");
        let (socket, _) = connect_async(&url).await.expect("it is upgraded");
        Self::begin(socket, call).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// Starts on a socket that is already open.
    pub async fn begin(socket: WebSocketStream<S>, call: &str) -> Self {
        let mut stream = Self(socket);
        stream.send(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})).await;
        let format = json!({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1});
        let start = json!({"accountSid": rig::ACCOUNT, "callSid": call, "streamSid": "MZ1", "tracks": ["inbound"],
            "mediaFormat": format, "customParameters": {}});
        stream.send(json!({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start})).await;
        stream
    }

    pub async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("the socket is open");
    }

    pub async fn wait_event(&mut self, event: &str) -> Value {
        loop {
            let message = tokio::time::timeout(WITHIN, self.0.next()).await.expect("in time");
            let message = message.expect("the socket is open").expect("a message");
            let Message::Text(text) = message else { continue };
            let value: Value = serde_json::from_str(&text).expect("JSON");
            if value["event"] == event {
                return value;
            }
        }
    }

    /// True if the stream was closed.
    pub async fn closed(&mut self) -> bool {
        let end = async {
            while let Some(Ok(message)) = self.0.next().await {
                if message.is_close() {
                    return true;
                }
            }
            true
        };
        tokio::time::timeout(WITHIN, end).await.unwrap_or(false)
    }
}

#[tokio::test]
async fn a_live_conversation_goes_both_ways_and_ends_with_the_call() {
    let scene = Scene::start().await;
    let ana = Caller::new(&scene.server, 1);
    let twiml = ana.posts("/api/twilio/voice", &[]).await;
    assert!(twiml.document.starts_with("<?xml version=\"1.0\""), "{}", twiml.document);
    assert_eq!(twiml.verbs(), ["Response", "Connect", "Stream", "Redirect"], "{}", twiml.document);
    let mut stream = Stream::open(&twiml, &ana.sid).await;
    let mut agent = scene.conversation().await;
    let opening = agent.receive().await.expect("it is told how to begin");
    assert_eq!(opening["type"], "conversation_initiation_client_data");
    assert_eq!(opening["conversation_config_override"]["agent"]["first_message"], "Aquí Demo");
    agent.say(Step::Metadata { format: "ulaw_8000".into() }).await;
    stream
        .send(json!({"event": "media", "sequenceNumber": "2", "streamSid": "MZ1",
        "media": {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "f39/f39/"}}))
        .await;
    assert_eq!(agent.receive().await, Some(json!({"user_audio_chunk": "f39/f39/"})));
    agent.say(Step::Caller("Hola".into())).await;
    agent.say(Step::Agent("Buenos días".into())).await;
    agent.say(Step::Audio { event_id: 1, payload: "AAAA".into() }).await;
    assert_eq!(stream.wait_event("media").await["media"]["payload"], "AAAA");
    let mark = stream.wait_event("mark").await;
    agent.say(Step::Interrupt { event_id: 1 }).await;
    stream.wait_event("clear").await;
    stream.send(json!({"event": "mark", "sequenceNumber": "3", "streamSid": "MZ1", "mark": mark["mark"]})).await;
    agent.say(Step::Tool { id: "t1".into(), name: "find_customer".into(), parameters: json!({}) }).await;
    let result = agent.receive().await.expect("an answer");
    assert_eq!((&result["type"], &result["is_error"]), (&json!("client_tool_result"), &json!(false)), "{result}");
    // The token is valid once, and no other is valid.
    let url = twiml.attribute("url").expect("a URL");
    assert!(connect_async(&url).await.is_err(), "a second stream on one token");
    let forged = format!("{}x", &url[..url.len() - 1]);
    assert!(connect_async(&forged).await.is_err(), "a forged token");
    // The call's status ends it.
    ana.posts("/api/twilio/status", &[("CallStatus", "completed"), ("CallDuration", "7")]).await;
    assert!(stream.closed().await, "the stream ends with its call");
    let look = Look::into(scene.server.folder()).await;
    eventually(WITHIN, || async {
        let notes = look.text_or_number("SELECT coalesce(group_concat(new, '|'), '') FROM contact_history").await;
        if notes == "\"2 lines: Hola\"" { Ok(()) } else { Err(notes) }
    })
    .await;
    let log = scene.server.log();
    for line in [
        "Twilio: a call asks what to say",
        "Twilio: a call is connected to a live conversation by WebSocket",
        "ElevenLabs: a conversation started",
        "ElevenLabs: a conversation ended",
    ] {
        assert!(log.contains(line), "'{line}' is not in the log: {log}");
    }
    assert!(!log.contains(ANA), "{log}");
    assert!(!log.contains(url.rsplit('/').next().expect("a token")), "the token is in the log");
}

#[tokio::test]
async fn where_no_live_conversation_can_be_had_the_script_answers() {
    let scene = Scene::start().await;
    let ana = Caller::new(&scene.server, 1);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    let mut stream = Stream::open(&twiml, &ana.sid).await;
    let agent = scene.conversation().await;
    agent.say(Step::Metadata { format: "ulaw_8000".into() }).await;
    agent.say(Step::Close).await;
    assert!(stream.closed().await);
    // The agent ended the conversation, so the call ends.
    let ended = ana.posts(&ana.next_of_redirect(&twiml), &[]).await;
    assert_eq!(ended.verbs(), ["Response", "Hangup"], "{}", ended.document);
    // The stream breaks: the greeting is spoken by script, and the caller's words are heard.
    let bo = Caller::new(&scene.server, 2);
    let twiml = bo.posts("/api/twilio/demo/answer", &[]).await;
    let mut stream = Stream::open(&twiml, &bo.sid).await;
    scene.conversation().await.say(Step::Metadata { format: "pcm_16000".into() }).await;
    assert!(stream.closed().await);
    let goes_on = bo.posts(&bo.next_of_redirect(&twiml), &[]).await;
    goes_on.says("Aquí Demo");
    assert_eq!(goes_on.verbs()[..2], ["Response", "Gather"], "{}", goes_on.document);
    // The token of a broken stream is used up all the same.
    assert!(connect_async(&twiml.attribute("url").expect("a URL")).await.is_err());
    // The stream never starts.
    let eva = Caller::new(&scene.server, 3);
    let twiml = eva.posts("/api/twilio/demo/answer", &[]).await;
    eva.posts(&eva.next_of_redirect(&twiml), &[]).await.says("Aquí Demo");
    // A person is configured to be connected to.
    cli::run(&mut rig::recado(&scene.server, &["agents", "default", "--person", "+34600999888"])).ok();
    let next = std::sync::atomic::AtomicU32::new(4);
    eventually(WITHIN, || async {
        let line = Caller::new(&scene.server, next.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into());
        let twiml = line.posts("/api/twilio/demo/answer", &[]).await;
        let through = line.posts(&line.next_of_redirect(&twiml), &[]).await;
        if through.text("Number").as_deref() == Some("+34600999888") { Ok(()) } else { Err(through) }
    })
    .await;
    // Without a key there is no stream: the greeting is spoken instead.
    let server = rig::migrated(options(RULES));
    let add = ["agents", "add", "Live", "--number", OURS, "--mode", "stream", "--greeting", "Aquí {name}"];
    cli::run(&mut rig::recado(&server, &add)).ok();
    let mut server = server;
    server.start_again().await;
    Caller::new(&server, 1).posts("/api/twilio/voice", &[]).await.says("Aquí Demo");
}

/// A call continues with the verbs after its stream, and the transcript is stored.
#[tokio::test]
async fn the_script_goes_on_if_the_server_stops_in_a_live_conversation() {
    let mut scene = Scene::start().await;
    let ana = Caller::new(&scene.server, 1);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    let _stream = Stream::open(&twiml, &ana.sid).await;
    let mut agent = scene.conversation().await;
    agent.receive().await.expect("it is told how to begin");
    agent.say(Step::Metadata { format: "ulaw_8000".into() }).await;
    agent.say(Step::Caller("Hola".into())).await;
    agent.say(Step::Tool { id: "t1".into(), name: "find_customer".into(), parameters: json!({}) }).await;
    agent.receive().await.expect("an answer: what came before was heard, too");
    assert!(scene.server.stop().await.success());
    scene.server.start_again().await;
    ana.posts(&ana.next_of_redirect(&twiml), &[]).await.says("Aquí Demo");
    let shown = cli::run(&mut rig::recado(&scene.server, &["calls", &ana.sid])).ok();
    assert!(shown.contains("Hola"), "{shown}");

    let bo = Caller::new(&scene.server, 2);
    let twiml = bo.posts("/api/twilio/demo/answer", &[]).await;
    let _stream = Stream::open(&twiml, &bo.sid).await;
    scene.conversation().await.receive().await.expect("it is told how to begin");
    scene.server.kill();
    scene.server.start_again().await;
    bo.posts(&bo.next_of_redirect(&twiml), &[]).await.says("Aquí Demo");
}

/// The business's setting applies to live conversations, too: a call in which the caller says nothing was missed.
#[tokio::test]
async fn a_live_conversation_in_which_nothing_is_said_was_missed() {
    let rules = r#"rule("missed").on("call_missed").then(|e| note(`missed: ${e.data.reason}`));
        rule("ended").on("call_completed").then(|e| note("completed"));"#;
    let scene = Scene::with(options(rules)).await;
    cli::run(&mut rig::recado(&scene.server, &["agents", "default", "--silence-is-missed", "true"])).ok();
    let look = Look::into(scene.server.folder()).await;
    let notes = || async {
        look.text_or_number(
            "SELECT coalesce(group_concat(new, '|'), '') FROM (SELECT new FROM contact_history ORDER BY new)",
        )
        .await
    };
    let next = std::sync::atomic::AtomicU32::new(1);
    // The server sees the setting within a moment.
    eventually(WITHIN, || async {
        let ana = Caller::new(&scene.server, next.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into());
        let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
        let mut stream = Stream::open(&twiml, &ana.sid).await;
        scene.conversation().await.receive().await.expect("it is told how to begin");
        ana.posts("/api/twilio/demo/status", &[("CallStatus", "completed"), ("CallDuration", "7")]).await;
        assert!(stream.closed().await);
        let reported = || async {
            let reported = look.count("events WHERE kind = 'call_completed' AND handled_us IS NOT NULL").await;
            if reported > 0 { Ok(()) } else { Err(reported) }
        };
        eventually(WITHIN, reported).await;
        let notes = notes().await;
        if notes.contains("missed: hung up before a word or a key") { Ok(()) } else { Err(notes) }
    })
    .await;
}
