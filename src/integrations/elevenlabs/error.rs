//! Errors of ElevenLabs.

use std::time::Duration;

use tokio_tungstenite::tungstenite::Error;

/// No text contains the key or the signed URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElevenLabsError {
    #[error("no live voice agent is set up: set ELEVENLABS_API_KEY")]
    NotConfigured,
    #[error(
        "'{0}' cannot be the base URL of ElevenLabs: write one such as https://api.elevenlabs.io in ELEVENLABS_API_BASE"
    )]
    BadBase(String),
    #[error("ElevenLabs refuses the key: check ELEVENLABS_API_KEY, and that it may use agents")]
    Unauthorized,
    #[error("ElevenLabs knows no such agent: check ELEVENLABS_AGENT_ID, or the agent's own id")]
    NoAgent,
    #[error("ElevenLabs has too many conversations or requests from this account: wait, or raise its plan")]
    RateLimited,
    #[error("ElevenLabs refused with {0}: see its status page")]
    Refused(u16),
    #[error("ElevenLabs did not answer within {} s: check the network", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("ElevenLabs cannot be reached ({0}): check ELEVENLABS_API_BASE and the network")]
    Lost(String),
    #[error("the WebSocket to ElevenLabs was not opened ({0}): check the network and its proxies")]
    NoSocket(String),
    #[error("ElevenLabs' answer cannot be used: {0}")]
    Garbled(String),
}

/// Describes a socket error without its URL, which contains a signature.
pub fn shown(error: &Error) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::Tls(error) => error.to_string(),
        Error::Http(response) => format!("it answered {}", response.status()),
        Error::Url(_) | Error::HttpFormat(_) => "its URL is refused".to_owned(),
        _ => "it did not keep to the protocol".to_owned(),
    }
}
