//! The turns of a conversation, as stored with the call and sent to the model.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{HISTORY_MAX_BYTES, HISTORY_MAX_TURNS};

/// One turn.
///
/// ```json
/// {"role": "user", "text": "¿Tienen hora el martes?"}
/// {"role": "assistant", "text": "", "calls": [{"id": "call_1", "name": "free_slots", "arguments": {"day":
/// "tuesday"}}]}
/// {"role": "tool", "call_id": "call_1", "text": "[\"10:00\"]"}
/// {"role": "assistant", "text": "A las diez."}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Turn {
    User {
        text: String,
    },
    Assistant {
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<ToolCall>,
    },
    /// A tool's result. Every call needs its result before the next request.
    Tool {
        call_id: String,
        text: String,
    },
}

impl Turn {
    /// Creates a turn of the caller.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into() }
    }

    /// Creates a turn of the agent without tool calls.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant { text: text.into(), calls: Vec::new() }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::User { text } | Self::Tool { text, .. } => text.len(),
            Self::Assistant { text, calls } => text.len() + calls.iter().map(ToolCall::bytes).sum::<usize>(),
        }
    }
}

/// A tool call by the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The model's id, which the result repeats.
    pub id: String,
    pub name: String,
    /// The model's arguments: an object, which the tool must validate.
    pub arguments: Map<String, Value>,
}

impl ToolCall {
    fn bytes(&self) -> usize {
        self.name.len() + Value::Object(self.arguments.clone()).to_string().len()
    }
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// At most 64 letters, digits, `_` and `-`.
    pub name: String,
    /// Tells the model what the tool does and when to use it.
    pub description: String,
    /// JSON schema of the arguments, an object.
    pub parameters: Value,
}

/// Returns the latest turns within the limits. They never begin with a tool's result, whose call would be missing.
pub fn recent(turns: &[Turn]) -> &[Turn] {
    let mut bytes = 0;
    let fitting = turns.iter().rev().take(HISTORY_MAX_TURNS).take_while(|turn| {
        bytes += turn.bytes();
        bytes <= HISTORY_MAX_BYTES
    });
    let turns = &turns[turns.len() - fitting.count()..];
    let orphans = turns.iter().take_while(|turn| matches!(turn, Turn::Tool { .. })).count();
    &turns[orphans..]
}
