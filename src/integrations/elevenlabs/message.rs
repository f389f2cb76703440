//! Messages of a conversation's socket: JSON texts with a `type`, except the caller's audio, which has none. The names
//! are those of ElevenLabs' libraries (`@elevenlabs/types`, elevenlabs-python `conversation.py`).

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The only format that telephone audio passes through without transcoding.
pub const ULAW_8000: &str = "ulaw_8000";

/// A message from ElevenLabs. [`Received::Unknown`] messages are ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Received<'a> {
    ConversationInitiationMetadata {
        #[serde(rename = "conversation_initiation_metadata_event")]
        event: Metadata,
    },
    Audio {
        #[serde(rename = "audio_event", borrow)]
        event: Audio<'a>,
    },
    UserTranscript {
        #[serde(rename = "user_transcription_event")]
        event: UserTranscript,
    },
    AgentResponse {
        #[serde(rename = "agent_response_event")]
        event: AgentResponse,
    },
    AgentResponseCorrection {
        #[serde(rename = "agent_response_correction_event")]
        event: Correction,
    },
    Interruption {
        #[serde(rename = "interruption_event")]
        event: Interruption,
    },
    Ping {
        #[serde(rename = "ping_event")]
        event: Ping,
    },
    ClientToolCall {
        client_tool_call: ToolCall,
    },
    #[serde(other)]
    Unknown,
}

/// The first message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    pub conversation_id: String,
    /// For example [`ULAW_8000`]; an absent format is the default, PCM.
    #[serde(default)]
    pub agent_output_audio_format: String,
    #[serde(default)]
    pub user_input_audio_format: String,
}

/// A piece of the agent's audio.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Audio<'a> {
    /// Base64.
    #[serde(rename = "audio_base_64", borrow)]
    pub payload: Cow<'a, str>,
    /// Increases; see [`Interruption`].
    pub event_id: i64,
}

/// Transcript of the caller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UserTranscript {
    pub user_transcript: String,
}

/// Text that the agent is about to say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AgentResponse {
    pub agent_response: String,
}

/// The part of the text that the agent said before an interruption.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Correction {
    pub original_agent_response: String,
    pub corrected_agent_response: String,
}

/// The caller interrupted the agent: audio with this id or a lower one must no longer be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Interruption {
    pub event_id: i64,
}

/// A ping, answered by a pong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Ping {
    pub event_id: i64,
}

/// A tool call by the agent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ToolCall {
    pub tool_name: String,
    pub tool_call_id: String,
    /// Empty for a tool without parameters: absent, or null.
    #[serde(default, deserialize_with = "or_empty")]
    pub parameters: Map<String, Value>,
}

fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A message to ElevenLabs. Audio is sent by [`audio_chunk`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Sent<'a> {
    ConversationInitiationClientData(&'a Initiation),
    Pong { event_id: i64 },
    ClientToolResult { tool_call_id: &'a str, result: &'a str, is_error: bool },
}

impl Sent<'_> {
    /// Formats the message.
    pub fn to_json(&self) -> String {
        // Serializing texts, numbers and maps with text keys cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The first message of a conversation. The agent's settings must allow each override.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Initiation {
    #[serde(rename = "conversation_config_override", skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
    /// Values of the `{{placeholders}}` in the agent's prompt.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub dynamic_variables: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// Overrides of the agent's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overrides {
    pub agent: AgentOverrides,
    pub tts: VoiceOverrides,
}

/// Overrides of the agent's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgentOverrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// The agent's greeting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_message: Option<String>,
    /// For example `es`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// An override of the agent's instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Prompt {
    pub prompt: String,
}

/// An override of the agent's voice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VoiceOverrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice_id: Option<String>,
}

/// Builds a message with a piece of the caller's audio; `payload` is base64.
pub fn audio_chunk(payload: &str) -> String {
    #[derive(Serialize)]
    struct Chunk<'a> {
        user_audio_chunk: &'a str,
    }
    // Serializing one text cannot fail.
    serde_json::to_string(&Chunk { user_audio_chunk: payload }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_read_and_what_is_new_is_ignored() {
        let check = |text: Value, expect: Received<'_>| {
            assert_eq!(serde_json::from_str::<Received>(&text.to_string()).unwrap(), expect);
        };
        check(
            json!({"type": "audio", "audio_event": {"audio_base_64": "//79", "event_id": 3, "alignment": {}}}),
            Received::Audio { event: Audio { payload: "//79".into(), event_id: 3 } },
        );
        check(
            json!({"type": "ping", "ping_event": {"event_id": 1, "ping_ms": null}}),
            Received::Ping { event: Ping { event_id: 1 } },
        );
        check(json!({"type": "vad_score", "vad_score_event": {"vad_score": 0.9}}), Received::Unknown);
        let call = ToolCall { tool_name: "book".into(), tool_call_id: "t1".into(), parameters: Map::new() };
        let absent = json!({"tool_name": "book", "tool_call_id": "t1"});
        let null = json!({"tool_name": "book", "tool_call_id": "t1", "parameters": null});
        for written in [absent, null] {
            check(
                json!({"type": "client_tool_call", "client_tool_call": written}),
                Received::ClientToolCall { client_tool_call: call.clone() },
            );
        }
        let escaped = r#"{"type":"audio","audio_event":{"audio_base_64":"\/\/79","event_id":3}}"#;
        check(
            serde_json::from_str(escaped).unwrap(),
            Received::Audio { event: Audio { payload: "//79".into(), event_id: 3 } },
        );
        for bad in ["", "[]", "{}", r#"{"type":"audio"}"#, r#"{"type":"audio","audio_event":{"event_id":"x"}}"#] {
            assert!(serde_json::from_str::<Received>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn messages_are_written_as_the_libraries_write_them() {
        let mut initiation = Initiation::default();
        let begin = Sent::ConversationInitiationClientData(&initiation).to_json();
        assert_eq!(begin, r#"{"type":"conversation_initiation_client_data"}"#);
        initiation.overrides = Some(Overrides {
            agent: AgentOverrides { language: Some("es".into()), ..AgentOverrides::default() },
            ..Overrides::default()
        });
        initiation.dynamic_variables.insert("name".into(), "Ana".into());
        let begin: Value =
            serde_json::from_str(&Sent::ConversationInitiationClientData(&initiation).to_json()).unwrap();
        assert_eq!(
            begin,
            json!({
                "type": "conversation_initiation_client_data",
                "conversation_config_override": {"agent": {"language": "es"}, "tts": {}},
                "dynamic_variables": {"name": "Ana"},
            })
        );
        assert_eq!(Sent::Pong { event_id: 7 }.to_json(), r#"{"type":"pong","event_id":7}"#);
        assert_eq!(
            Sent::ClientToolResult { tool_call_id: "t1", result: "10:00", is_error: false }.to_json(),
            r#"{"type":"client_tool_result","tool_call_id":"t1","result":"10:00","is_error":false}"#
        );
        assert_eq!(audio_chunk("//79\"}"), r#"{"user_audio_chunk":"//79\"}"}"#);
    }
}
