//! An emulator of OpenAI's chat API (<https://platform.openai.com/docs/api-reference/chat/create>).
//!
//! By default it repeats the last message, and rates every call as neutral. Tests queue other replies ([`Reply`]): texts,
//! tool calls, errors, delays. The emulator is a server of its own: `POST /v1/chat/completions`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use recado::domain::Clock;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Limit of a request's body.
const BODY_MAX_BYTES: usize = 1024 * 1024;
/// Requests that are kept; the oldest are dropped.
const KEEP_MAX: usize = 256;

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `You said: ` and the last message. A request for JSON gets a neutral digest.
    Echo,
    Text(String),
    /// Tool calls: name and arguments, the arguments as JSON text.
    Tools(Vec<(String, String)>),
    /// A 200 with this body.
    Raw(String),
    /// An error in the API's format; `retry_after_s` becomes the header `Retry-After`.
    Status {
        status: u16,
        code: &'static str,
        retry_after_s: Option<u64>,
    },
    /// No answer: the client times out.
    Hang,
}

/// A handle to the emulator; clones share one server.
#[derive(Clone)]
pub struct ChatModelEmulator(Arc<Inner>);

struct Inner {
    key: String,
    clock: Clock,
    state: Mutex<EmulatorState>,
    /// Number of requests since the start.
    request_count: watch::Sender<u64>,
}

struct EmulatorState {
    /// Replies to the next requests, in order.
    script: VecDeque<(Duration, Reply)>,
    /// Reply to all further requests.
    standing: (Duration, Reply),
    requests: VecDeque<Value>,
}

impl ChatModelEmulator {
    /// Creates an emulator that accepts the API key `key`.
    pub fn new(key: impl Into<String>, clock: Clock) -> Self {
        let standing = (Duration::ZERO, Reply::Echo);
        let state = EmulatorState { script: VecDeque::new(), standing, requests: VecDeque::new() };
        Self(Arc::new(Inner { key: key.into(), clock, state: Mutex::new(state), request_count: watch::Sender::new(0) }))
    }

    /// Returns the routes of the emulator.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/chat/completions", post(complete))
            .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
            .with_state(self.clone())
    }

    /// Queues a reply for the next request that has none, sent after `delay`.
    pub fn then(&self, delay: Duration, reply: Reply) {
        self.0.state.lock().script.push_back((delay, reply));
    }

    /// Sets the reply to every request without a queued one, sent after `delay`.
    pub fn always(&self, delay: Duration, reply: Reply) {
        self.0.state.lock().standing = (delay, reply);
    }

    /// Returns the bodies of the last requests with the right key, oldest first.
    pub fn requests(&self) -> Vec<Value> {
        self.0.state.lock().requests.iter().cloned().collect()
    }

    /// Waits for the `count`th request with the right key.
    pub async fn wait_requests(&self, count: u64) {
        // `self` keeps the sender alive, so the wait cannot fail.
        let _ = self.0.request_count.subscribe().wait_for(|requests| *requests >= count).await;
    }

    /// Records a request and returns its reply.
    fn record(&self, request: &Value) -> (Duration, Reply) {
        let mut state = self.0.state.lock();
        if state.requests.len() == KEEP_MAX {
            state.requests.pop_front();
        }
        state.requests.push_back(request.clone());
        let reply = state.script.pop_front().unwrap_or_else(|| state.standing.clone());
        drop(state);
        self.0.request_count.send_modify(|requests| *requests += 1);
        reply
    }
}

async fn complete(State(api): State<ChatModelEmulator>, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if given != format!("Bearer {}", api.0.key) {
        // OpenAI repeats a part of the key in the message.
        let key = given.trim_start_matches("Bearer ");
        return error(StatusCode::UNAUTHORIZED, "invalid_api_key", &format!("Incorrect API key provided: {key}"));
    }
    if let Err(message) = check(&request) {
        return error(StatusCode::BAD_REQUEST, "invalid_request_error", message);
    }
    let (delay, reply) = api.record(&request);
    if !delay.is_zero() {
        api.0.clock.sleep(delay).await;
    }
    match reply {
        Reply::Echo => completion(&request, json!({"role": "assistant", "content": echo(&request)}), "stop"),
        Reply::Text(text) => completion(&request, json!({"role": "assistant", "content": text}), "stop"),
        Reply::Tools(calls) => {
            let call = |(index, (name, arguments)): (usize, (String, String))| {
                let function = json!({"name": name, "arguments": arguments});
                json!({"id": format!("call_{}", index + 1), "type": "function", "function": function})
            };
            let calls: Vec<Value> = calls.into_iter().enumerate().map(call).collect();
            let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
            completion(&request, message, "tool_calls")
        }
        Reply::Raw(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Reply::Status { status, code, retry_after_s } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let response = error(status, code, "ordered by a test");
            match retry_after_s {
                Some(wait) => ([(header::RETRY_AFTER, wait.to_string())], response).into_response(),
                None => response,
            }
        }
        Reply::Hang => std::future::pending().await,
    }
}

/// Refuses an inconsistent conversation, as the API does.
fn check(request: &Value) -> Result<(), &'static str> {
    let messages = request["messages"].as_array().ok_or("messages must be a list")?;
    if !request["model"].is_string() || messages.is_empty() {
        return Err("model and messages are required");
    }
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        match message["role"].as_str() {
            Some("tool") => {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                let at = open.iter().position(|open| *open == id);
                open.remove(at.ok_or("a tool message must follow the call that it answers")?);
            }
            Some("system" | "developer" | "user" | "assistant") if open.is_empty() => {
                let calls = message["tool_calls"].as_array().into_iter().flatten();
                open = calls.filter_map(|call| call["id"].as_str()).collect();
            }
            Some(_) => return Err("an assistant message with tool_calls must be followed by their tool messages"),
            None => return Err("a message has a role"),
        }
    }
    if open.is_empty() { Ok(()) } else { Err("an assistant message with tool_calls must be followed by tool messages") }
}

fn echo(request: &Value) -> String {
    let prompt = request["messages"].as_array().and_then(|messages| messages.last());
    let prompt = prompt.and_then(|message| message["content"].as_str()).unwrap_or_default();
    if request["response_format"]["type"] == "json_object" {
        let mut lines = prompt.lines();
        let summary = format!("{}\n{}", lines.next().unwrap_or("-"), lines.next_back().unwrap_or("-"));
        return json!({"sentiment": "neutral", "score": 0.0, "summary": summary}).to_string();
    }
    format!("You said: {prompt}")
}

fn completion(request: &Value, message: Value, finish_reason: &str) -> Response {
    Json(json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }))
    .into_response()
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"error": {"message": message, "type": code, "code": code}}))).into_response()
}
