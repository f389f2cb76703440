//! The JSON of the chat API.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::turn::recent;
use super::{ARGUMENTS_MAX_BYTES, Answer, CALLS_MAX, ChatError, Request, TEXT_MAX_BYTES, ToolCall, Turn};

/// Builds the request's body. Every server knows `max_tokens`; OpenAI has replaced it by `max_completion_tokens`.
pub fn body(model: &str, request: &Request<'_>, is_openai: bool) -> Value {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({"role": "system", "content": request.system}));
    }
    messages.extend(recent(request.messages).iter().map(message));
    let mut body = json!({"model": model, "messages": messages});
    if !request.tools.is_empty() {
        let tool = |tool| json!({"type": "function", "function": tool});
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let Some(max_tokens) = request.max_tokens {
        body[if is_openai { "max_completion_tokens" } else { "max_tokens" }] = max_tokens.into();
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    body
}

fn message(turn: &Turn) -> Value {
    match turn {
        Turn::User { text } => json!({"role": "user", "content": text}),
        Turn::Tool { call_id, text } => json!({"role": "tool", "tool_call_id": call_id, "content": text}),
        Turn::Assistant { text, calls } if calls.is_empty() => json!({"role": "assistant", "content": text}),
        Turn::Assistant { text, calls } => {
            let call = |call: &ToolCall| {
                let arguments = Value::Object(call.arguments.clone()).to_string();
                json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
            };
            let content = (!text.is_empty()).then_some(text);
            json!({"role": "assistant", "content": content, "tool_calls": calls.iter().map(call).collect::<Vec<_>>()})
        }
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    /// The model's words if it refuses to answer.
    refusal: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    id: String,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    /// JSON as a text.
    arguments: String,
}

/// Reads the body of a 200.
pub fn answer(body: &[u8]) -> Result<Answer, ChatError> {
    let garbled = |what: &str| ChatError::Garbled(what.to_owned());
    // The parser's message is dropped: it may quote the conversation.
    let completion: Completion = serde_json::from_slice(body).map_err(|_| garbled("it is no chat completion"))?;
    let choice = completion.choices.into_iter().next().ok_or_else(|| garbled("it has no choices"))?;
    let text = choice.message.content.or(choice.message.refusal).unwrap_or_default();
    let calls = choice.message.tool_calls.unwrap_or_default();
    if text.len() > TEXT_MAX_BYTES {
        return Err(garbled("it is longer than 16 KiB"));
    }
    if calls.len() > CALLS_MAX {
        return Err(garbled("it calls more than 16 tools at once"));
    }
    if calls.is_empty() && text.trim().is_empty() {
        return Err(garbled("it says nothing and calls no tool"));
    }
    let calls = calls.into_iter().map(call).collect::<Result<_, _>>()?;
    Ok(Answer { text, calls, cut: choice.finish_reason.as_deref() == Some("length") })
}

fn call(call: Call) -> Result<ToolCall, ChatError> {
    let Function { name, arguments } = call.function;
    let garbled = |what: &str| {
        let name: String = name.chars().filter(char::is_ascii_graphic).take(64).collect();
        Err(ChatError::Garbled(format!("the arguments of the tool '{name}' {what}")))
    };
    if arguments.len() > ARGUMENTS_MAX_BYTES {
        return garbled("are longer than 16 KiB");
    }
    // Some servers send an empty text instead of an empty object.
    let parsed = if arguments.trim().is_empty() { Ok(Map::new()) } else { serde_json::from_str(&arguments) };
    match parsed {
        Ok(arguments) => Ok(ToolCall { id: call.id, name, arguments }),
        Err(_) => garbled("are no JSON object"),
    }
}
