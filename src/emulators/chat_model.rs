//! A stand-in for the chat API that OpenAI has (<https://platform.openai.com/docs/api-reference/chat/create>).
//!
//! Unless told otherwise it repeats what it heard, and finds every call neutral; it answers, calls tools, fails and hangs
//! on demand ([`Reply`]). It is a server of its own, with its own port: `POST /v1/chat/completions`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::domain::Clock;

/// Of a request's body.
const BODY_MAX_BYTES: usize = 1024 * 1024;
/// Requests that are remembered; the oldest go.
const KEEP_MAX: usize = 256;

/// How a request is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `You said: ` and the last thing that the user, or a tool, said; where JSON is wanted, a digest that is neutral.
    Echo,
    Text(String),
    /// Calls of tools: their names and arguments, the latter as the text in which they travel.
    Tools(Vec<(String, String)>),
    /// A 200 with this body, whatever it is.
    Raw(String),
    /// An error in the API's form; the wait goes into `Retry-After`.
    Status {
        status: u16,
        code: &'static str,
        retry_after_s: Option<u64>,
    },
    /// No answer until the client gives up.
    Hang,
}

/// A handle; clones are the same server.
#[derive(Clone)]
pub struct ChatApi(Arc<Inner>);

struct Inner {
    key: String,
    clock: Clock,
    state: Mutex<Told>,
    /// Requests since the start, to be waited for.
    asked: watch::Sender<u64>,
}

/// What was said to this server.
struct Told {
    /// For the next requests, in order.
    script: VecDeque<(Duration, Reply)>,
    /// For all after them.
    standing: (Duration, Reply),
    requests: VecDeque<Value>,
}

impl ChatApi {
    /// `key` is what clients must bring.
    pub fn new(key: impl Into<String>, clock: Clock) -> Self {
        let standing = (Duration::ZERO, Reply::Echo);
        let told = Told { script: VecDeque::new(), standing, requests: VecDeque::new() };
        Self(Arc::new(Inner { key: key.into(), clock, state: Mutex::new(told), asked: watch::Sender::new(0) }))
    }

    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/chat/completions", post(complete))
            .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
            .with_state(self.clone())
    }

    /// The next request that no other order is for is answered so, after `delay`.
    pub fn then(&self, delay: Duration, reply: Reply) {
        self.told().script.push_back((delay, reply));
    }

    /// Every request that no order is for is answered so, after `delay`.
    pub fn always(&self, delay: Duration, reply: Reply) {
        self.told().standing = (delay, reply);
    }

    /// The bodies of the last requests with the right key, the oldest first.
    pub fn requests(&self) -> Vec<Value> {
        self.told().requests.iter().cloned().collect()
    }

    /// Waits until so many requests with the right key have come.
    pub async fn wait_asked(&self, count: u64) {
        // The sender lives in `self`, so waiting can only end by the count being reached.
        let _ = self.0.asked.subscribe().wait_for(|asked| *asked >= count).await;
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Every change is whole before anything in it can panic.
        self.0.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes a request; gives how it is to be answered.
    fn note(&self, request: &Value) -> (Duration, Reply) {
        let mut told = self.told();
        if told.requests.len() == KEEP_MAX {
            told.requests.pop_front();
        }
        told.requests.push_back(request.clone());
        let order = told.script.pop_front().unwrap_or_else(|| told.standing.clone());
        drop(told);
        self.0.asked.send_modify(|asked| *asked += 1);
        order
    }
}

async fn complete(State(api): State<ChatApi>, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if given != format!("Bearer {}", api.0.key) {
        // As OpenAI does, which repeats a part of the key.
        let key = given.trim_start_matches("Bearer ");
        return error(StatusCode::UNAUTHORIZED, "invalid_api_key", &format!("Incorrect API key provided: {key}"));
    }
    if let Err(what) = check(&request) {
        return error(StatusCode::BAD_REQUEST, "invalid_request_error", what);
    }
    let (delay, reply) = api.note(&request);
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

/// What the API itself would refuse: a conversation that does not hang together.
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
    let heard = request["messages"].as_array().and_then(|messages| messages.last());
    let heard = heard.and_then(|message| message["content"].as_str()).unwrap_or_default();
    if request["response_format"]["type"] == "json_object" {
        let mut lines = heard.lines();
        let summary = format!("{}\n{}", lines.next().unwrap_or("-"), lines.next_back().unwrap_or("-"));
        return json!({"sentiment": "neutral", "score": 0.0, "summary": summary}).to_string();
    }
    format!("You said: {heard}")
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

#[cfg(test)]
mod tests;
