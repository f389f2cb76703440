//! The end of a stream, and its statistics.

use std::time::Duration;

/// One of the two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Side {
    Twilio,
    ElevenLabs,
}

/// Why a stream ended, and the remedy, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Ended {
    #[error("the call ended")]
    Stopped,
    #[error("Twilio closed the stream without a stop")]
    CallerGone,
    #[error("the agent ended the conversation")]
    AgentGone,
    #[error("the stream was told to end")]
    Cancelled,
    #[error("the longest time of a stream is over")]
    TooLong,
    #[error("Twilio sent nothing for {} s: the call is lost", .0.as_secs_f32())]
    Silent(Duration),
    #[error("Twilio did not start the stream within {} s", .0.as_secs_f32())]
    NotStarted(Duration),
    #[error("{0} took nothing for {1:?}: check the network")]
    Stalled(Side, Duration),
    #[error("the agent speaks faster than Twilio takes it: {} s of audio wait", .0.as_secs_f32())]
    Overflow(Duration),
    #[error("ElevenLabs sends pings or tool calls faster than it takes the answers")]
    Flooded,
    #[error("the connection to {0} broke: {1}")]
    Lost(Side, String),
    #[error("what {0} sent cannot be used: {1}")]
    Garbled(Side, &'static str),
    #[error("the stream belongs to another call than the one it was opened for")]
    WrongCall,
    #[error(
        "the agent's audio is '{output}' to and '{input}' from it: set both to μ-law 8000 Hz in the agent's settings"
    )]
    WrongFormat { output: String, input: String },
}

impl Ended {
    /// True if the stream ended without a fault.
    pub const fn is_ordinary(&self) -> bool {
        matches!(self, Self::Stopped | Self::CallerGone | Self::AgentGone | Self::Cancelled | Self::TooLong)
    }

    /// A stable identifier for rows and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Stalled(Side::Twilio, _) => "twilio_stalled",
            Self::Stalled(Side::ElevenLabs, _) => "eleven_stalled",
            Self::Lost(Side::Twilio, _) => "twilio_lost",
            Self::Lost(Side::ElevenLabs, _) => "eleven_lost",
            Self::Garbled(Side::Twilio, _) => "twilio_garbled",
            Self::Garbled(Side::ElevenLabs, _) => "eleven_garbled",
            other => other.into_str(),
        }
    }
}

/// Statistics of a stream, in frames as received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Frames of the caller's audio from Twilio.
    pub caller_frames: u64,
    /// Of those, dropped because ElevenLabs did not keep up.
    pub caller_frames_dropped: u64,
    /// Frames of the agent's audio from ElevenLabs.
    pub agent_frames: u64,
    /// Of those, dropped by an interruption.
    pub agent_frames_interrupted: u64,
    pub agent_audio_ms: u64,
    /// Audio that Twilio's marks confirm; audio cleared halfway does not count.
    pub agent_played_ms: u64,
    pub interruptions: u64,
    pub tool_calls: u64,
    /// Events that the receiver did not take in time.
    pub events_dropped: u64,
}

/// The result of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub ended: Ended,
    pub duration: Duration,
    /// ElevenLabs' id, once known.
    pub conversation_id: Option<String>,
    pub stats: StreamStats,
}
