//! The benchmark of media streams: many calls at once, each a WebSocket like Twilio's bridged to one like ElevenLabs', with
//! 50 frames of 20 ms a second in both directions.
//!
//! ```text
//! cargo build --release --example streams
//! target/release/examples/streams              # 50 streams for a minute
//! target/release/examples/streams --streams 200 --seconds 10
//! ```
//!
//! Every frame carries its stream, its number and its time of sending. Frames that are lost or out of order are counted and
//! make the exit code 1. The added delay runs from before one end writes a frame to after the other end has read it, through
//! both sockets and the bridge. Both ends, the signed URLs and the server share one process and its threads, so delays and
//! memory are those of all together; the bridge's own are smaller. Memory is the resident memory of the process.

use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use recado::domain::Clock;
use recado::integrations::elevenlabs::ElevenLabs;
use recado::integrations::elevenlabs::message::ToolCall;
use recado::integrations::http;
use recado::integrations::media_stream;
use recado::integrations::media_stream::{Ended, Limits, Opening, Outcome, ToolHandler};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::{connect_async_with_config, tungstenite};

/// Any failure ends the run and is printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Benchmark of media streams")]
struct Arguments {
    /// Calls at once
    #[arg(long, default_value_t = 50)]
    streams: u64,
    /// How many seconds they speak
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The p99 of the added delay, in ms, above which the run fails; without it the delay is only printed
    #[arg(long)]
    p99_max_ms: Option<f64>,
}

const FRAME: Duration = Duration::from_millis(20);
const FRAME_BYTES: usize = 160;
const FRAMES_PER_S: u64 = 50;
/// Time between the starts of two calls, so that their frames do not coincide.
const APART: Duration = Duration::from_millis(7);
/// Time for the last frames to arrive.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// When memory is measured first.
const WARM: Duration = Duration::from_secs(10);

/// One direction of all streams.
#[derive(Default)]
struct Way {
    sent: AtomicU64,
    received: AtomicU64,
    reordered: AtomicU64,
    /// Counts by microseconds; the last one holds the rest.
    delays: Delays,
}

struct Delays(Vec<AtomicU64>);

const DELAY_MAX_US: usize = 500_000;

impl Default for Delays {
    fn default() -> Self {
        Self((0..=DELAY_MAX_US).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Delays {
    /// A percentile in ms; `share` is 0 to 1.
    fn quantile(&self, share: f64) -> f64 {
        let total: u64 = self.0.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        let wanted = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.0.iter().position(|count| {
            seen += count.load(Ordering::Relaxed);
            seen >= wanted
        });
        reached.unwrap_or(0) as f64 / 1_000.0
    }
}

/// State that both ends share.
struct Bench {
    begun: Instant,
    frames: u64,
    to_agent: Way,
    to_caller: Way,
    outcomes: mpsc::UnboundedSender<Outcome>,
    eleven: ElevenLabs,
    /// The address of the conversations.
    agents: String,
}

impl Bench {
    /// A frame with its number and its time of sending.
    fn frame(&self, number: u64, way: &Way) -> String {
        let mut audio = [0xFF; FRAME_BYTES];
        audio[..8].copy_from_slice(&number.to_be_bytes());
        audio[8..16].copy_from_slice(&(self.begun.elapsed().as_micros() as u64).to_be_bytes());
        way.sent.fetch_add(1, Ordering::Relaxed);
        STANDARD.encode(audio)
    }

    /// Records a frame that arrived where `expected` was due.
    fn arrived(&self, payload: &str, expected: &mut u64, way: &Way) {
        let now = self.begun.elapsed().as_micros() as u64;
        let audio = STANDARD.decode(payload).unwrap_or_default();
        let Some((number, rest)) = audio.split_first_chunk::<8>() else { return };
        let Some((sent, _)) = rest.split_first_chunk::<8>() else { return };
        let (number, sent) = (u64::from_be_bytes(*number), u64::from_be_bytes(*sent));
        way.received.fetch_add(1, Ordering::Relaxed);
        way.reordered.fetch_add(u64::from(number != *expected), Ordering::Relaxed);
        *expected = number + 1;
        let delay_us = usize::try_from(now.saturating_sub(sent)).unwrap_or(usize::MAX).min(DELAY_MAX_US);
        way.delays.0[delay_us].fetch_add(1, Ordering::Relaxed);
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::from);
    match runtime.and_then(|runtime| runtime.block_on(run(&Arguments::parse()))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("the run failed: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let (outcomes, mut ended) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let bench = Arc::new(Bench {
        begun: Instant::now(),
        frames: arguments.seconds * FRAMES_PER_S,
        to_agent: Way::default(),
        to_caller: Way::default(),
        outcomes,
        eleven: ElevenLabs::new(http::client()?, &format!("http://{address}"), Some("key".into()))?,
        agents: format!("ws://{address}/agent"),
    });
    let router = Router::new()
        .route("/stream", get(carry))
        .route("/v1/convai/conversation/get-signed-url", get(sign))
        .route("/agent", get(agent))
        .with_state(bench.clone());
    // Waiting to fill a segment would delay the voice.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    println!("{} streams for {} s, 50 frames a second each way", arguments.streams, arguments.seconds);
    let (clock, at_start) = (Clock::system(), resident_mb());
    let mut calls = Vec::new();
    for _ in 0..arguments.streams {
        calls.push(tokio::spawn(call(bench.clone(), format!("ws://{address}/stream"))));
        clock.sleep(APART).await;
    }
    clock.sleep(WARM.min(Duration::from_secs(arguments.seconds) / 2)).await;
    let warm = resident_mb();
    for call in calls {
        call.await??;
    }
    let at_end = resident_mb();
    let mut good = true;
    for _ in 0..arguments.streams {
        let outcome = ended.recv().await.ok_or("a stream has no outcome")?;
        if outcome.ended != Ended::Stopped || outcome.stats.caller_frames_dropped > 0 {
            println!("a stream ended otherwise: {} {:?}", outcome.ended, outcome.stats);
            good = false;
        }
    }
    println!(
        "{:>24} {:>9} {:>9} {:>5} {:>9} {:>8} {:>8} {:>8}",
        "", "sent", "received", "lost", "reordered", "p50 ms", "p99 ms", "max ms"
    );
    for (name, way) in [("Twilio to ElevenLabs", &bench.to_agent), ("ElevenLabs to Twilio", &bench.to_caller)] {
        good &= print(name, way, arguments.p99_max_ms);
    }
    println!("resident, MB: {at_start} at the start, {warm} with all streams, {at_end} at the end");
    Ok(good)
}

/// Prints it and returns whether it is good.
fn print(name: &str, way: &Way, p99_max_ms: Option<f64>) -> bool {
    let [sent, received, reordered] =
        [&way.sent, &way.received, &way.reordered].map(|count| count.load(Ordering::Relaxed));
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| way.delays.quantile(share));
    let lost = sent.saturating_sub(received);
    println!("{name:>24} {sent:>9} {received:>9} {lost:>5} {reordered:>9} {p50:>8.2} {p99:>8.2} {max:>8.2}");
    sent > 0 && sent == received && reordered == 0 && p99_max_ms.is_none_or(|limit| p99 <= limit)
}

/// The server under test: the bridge behind its route.
async fn carry(State(bench): State<Arc<Bench>>, upgrade: WebSocketUpgrade) -> Response {
    media_stream::limited(upgrade).on_upgrade(move |socket| async move {
        let Ok(agent) = bench.eleven.open("agent_1", LAST_WAIT).await else { return };
        let limits = Limits { farewell_max: Duration::ZERO, ..Limits::DEFAULT };
        let opening = Opening { limits, ..Opening::default() };
        // Nothing reads the events; they are dropped.
        let (events, _) = mpsc::channel(1);
        let (twilio, agent) = (media_stream::from_axum(socket), media_stream::from_tungstenite(agent));
        let outcome = media_stream::bridge(twilio, agent, opening, Arc::new(NoTools), events, pending()).await;
        // This fails when the run has ended, which was reported.
        let _ = bench.outcomes.send(outcome);
    })
}

struct NoTools;

impl ToolHandler for NoTools {
    async fn call(&self, _: ToolCall) -> Result<String, String> {
        Err("there are no tools".to_owned())
    }
}

async fn sign(State(bench): State<Arc<Bench>>) -> Json<Value> {
    Json(json!({"signed_url": bench.agents}))
}

/// The ElevenLabs end speaks as long as the caller does.
async fn agent(State(bench): State<Arc<Bench>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        // The socket closes when the stream ends.
        let _ = speak_as_agent(&bench, socket).await;
    })
}

async fn speak_as_agent(bench: &Bench, mut socket: WebSocket) -> Result<(), Failure> {
    let metadata = json!({
        "type": "conversation_initiation_metadata",
        "conversation_initiation_metadata_event": {
            "conversation_id": "conv_1",
            "agent_output_audio_format": "ulaw_8000",
            "user_input_audio_format": "ulaw_8000",
        },
    });
    // The first message is the initiation.
    socket.recv().await.ok_or("no initiation")??;
    socket.send(Message::Text(metadata.to_string().into())).await?;
    let (mut beat, mut number, mut expected) = (beat(), 0, 0);
    loop {
        tokio::select! {
            message = socket.recv() => match message.transpose()? {
                Some(Message::Text(text)) => {
                    let message: Value = serde_json::from_str(text.as_str())?;
                    bench.arrived(message["user_audio_chunk"].as_str().unwrap_or_default(), &mut expected, &bench.to_agent);
                }
                None | Some(Message::Close(_)) => return Ok(()),
                Some(_) => {}
            },
            _ = beat.tick(), if number < bench.frames => {
                let payload = bench.frame(number, &bench.to_caller);
                number += 1;
                let audio = json!({"type": "audio", "audio_event": {"audio_base_64": payload, "event_id": number}});
                socket.send(Message::Text(audio.to_string().into())).await?;
            }
        }
    }
}

/// The Twilio end: one call from its start to its stop, which follows the last frame in both directions.
async fn call(bench: Arc<Bench>, url: String) -> Result<(), Failure> {
    let nodelay = true;
    let mut socket = connect_async_with_config(url, None, nodelay).await?.0;
    let text = |message: Value| tungstenite::Message::Text(message.to_string().into());
    let format = json!({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1});
    let start = json!({"accountSid": "AC1", "callSid": "CA1", "streamSid": "MZ1", "mediaFormat": format});
    socket.send(text(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}))).await?;
    socket.send(text(json!({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start}))).await?;
    let (mut beat, mut number, mut expected) = (beat(), 0, 0);
    while number < bench.frames || expected < bench.frames {
        tokio::select! {
            message = timeout(LAST_WAIT, socket.next()) => {
                // Frames that have not arrived by now count as lost.
                let Ok(message) = message else { break };
                let tungstenite::Message::Text(message) = message.ok_or("the stream was closed")?? else { continue };
                let message: Value = serde_json::from_str(message.as_str())?;
                match message["event"].as_str() {
                    Some("media") => {
                        let payload = message["media"]["payload"].as_str().unwrap_or_default();
                        bench.arrived(payload, &mut expected, &bench.to_caller);
                    }
                    // The frame is played at once.
                    Some("mark") => socket.send(text(message)).await?,
                    _ => {}
                }
            }
            _ = beat.tick(), if number < bench.frames => {
                let media = json!({
                    "track": "inbound",
                    "chunk": (number + 1).to_string(),
                    "timestamp": (number * 20).to_string(),
                    "payload": bench.frame(number, &bench.to_agent),
                });
                number += 1;
                let sequence = (number + 1).to_string();
                socket.send(text(json!({"event": "media", "sequenceNumber": sequence, "streamSid": "MZ1", "media": media}))).await?;
            }
        }
    }
    // Both directions are equal now, except for frames on their way to the agent.
    Clock::system().sleep(LAST_WAIT.min(FRAME * 25)).await;
    socket.send(text(json!({"event": "stop", "streamSid": "MZ1", "stop": {"callSid": "CA1"}}))).await?;
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, tungstenite::Message::Close(_)) {
            break;
        }
    }
    Ok(())
}

fn beat() -> tokio::time::Interval {
    let mut beat = interval(FRAME);
    // A late frame is not followed by a burst.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}

/// The resident memory of the process in MB, on systems with `/proc` (proc(5)).
fn resident_mb() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kb =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kb.map_or_else(|| "?".to_owned(), |kb| format!("{:.1}", kb as f64 / 1024.0))
}
