//! What is said in a conversation, as it is kept with the call and as the model gets it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{HISTORY_MAX_BYTES, HISTORY_MAX_TURNS};

/// One turn.
///
/// ```json
/// {"role": "user", "text": "¿Tienen hora el martes?"}
/// {"role": "assistant", "text": "", "calls": [{"id": "call_1", "name": "free_slots", "arguments": {"day": "tuesday"}}]}
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
    /// What a tool gave. Every call must have its answer before the model is asked again.
    Tool {
        call_id: String,
        text: String,
    },
}

impl Turn {
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into() }
    }

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

/// A tool that the model wants called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The model's own, to be named in the answer.
    pub id: String,
    pub name: String,
    /// As the model wrote them: an object, but whether it is what the tool wants is for the tool to check.
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
    /// Letters, digits, `_` and `-`, 64 at most.
    pub name: String,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// The arguments' JSON schema: an object.
    pub parameters: Value,
}

/// The latest turns that are not too many and not too long. They begin with no tool's answer, whose call is left out.
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
