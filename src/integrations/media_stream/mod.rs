//! A live call: Twilio's media stream on one side, an ElevenLabs conversation on the other, and the bridge between them.
//!
//! ```text
//!            ┌ reads ─ Session ─→ ToAgent ─ writes ┐
//!   Twilio ──┤                                     ├── ElevenLabs
//!            └ writes ─ ToCaller ←─ Session ─ reads ┘
//! ```
//!
//! Audio is μ-law at 8 kHz on both sides and passes unchanged, as base64. `session` interprets the frames, without I/O.
//! Two bounded queues (`frame_queue`) stand before the two writers, so that a slow socket delays only itself. If
//! ElevenLabs does not keep up, the oldest audio of the caller is dropped: old speech is of no use to a conversation. The
//! agent's audio is only dropped by an interruption: if Twilio does not keep up, the stream ends. Tools run on their own
//! tasks.
//!
//! A route that has checked the call's token runs the bridge:
//!
//! ```text
//! limited(upgrade).on_upgrade(async |socket| {
//!     let agent = elevenlabs.open(agent_id, deadline).await?;
//!     bridge(from_axum(socket), from_tungstenite(agent), opening, tools, events, cancel).await
//! })
//! ```
//!
//! The listener must set `TCP_NODELAY`: otherwise each small frame waits until the one before is acknowledged, which added
//! 20 ms and more.
//!
//! **Invariant:** every frame that these rules do not drop comes out once, unchanged and in order.

mod bridge;
mod frame_queue;
mod message;
mod outcome;
mod session;
mod socket;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

pub use crate::integrations::media_stream::frame_queue::{AGENT_PIECES_MAX, CONTROLS_MAX};
pub use bridge::bridge;
pub use outcome::{Ended, Outcome, Side, StreamStats};
pub use session::{MARKS_MAX, TEXT_MAX_CHARS, TOOL_RESULT_MAX_BYTES};
pub use socket::{Frame, Socket, SocketError, TWILIO_FRAME_MAX_BYTES, from_axum, from_tungstenite, limited};

use crate::integrations::elevenlabs::message::{Initiation, ToolCall};

/// The start of a stream.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The expected call, if known; the stream of another call is refused.
    pub call_sid: Option<String>,
    pub initiation: Initiation,
    pub limits: Limits,
}

/// The limits of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Waiting frames of the caller's audio; the oldest are dropped.
    pub caller_frames_max: usize,
    /// Waiting audio of the agent; more ends the stream.
    pub agent_audio_max: Duration,
    /// Time for a socket to accept one message.
    pub send_max: Duration,
    /// Time from the upgrade to Twilio's `start`.
    pub start_max: Duration,
    /// Time without a message from Twilio, which sends one every 20 ms, also in silence.
    pub silence_max: Duration,
    /// Duration of the whole stream.
    pub duration_max: Duration,
    /// Time to play the agent's last words after it has ended the conversation.
    pub farewell_max: Duration,
    /// Time for one tool call.
    pub tool_max: Duration,
    /// Concurrent tool calls; more are refused.
    pub tools_max: usize,
    /// Time for a socket to accept the close frame.
    pub close_max: Duration,
}

impl Limits {
    /// The limits of production.
    pub const DEFAULT: Self = Self {
        caller_frames_max: 250,
        agent_audio_max: Duration::from_secs(60),
        send_max: Duration::from_secs(10),
        start_max: Duration::from_secs(10),
        silence_max: Duration::from_secs(30),
        duration_max: Duration::from_secs(3_600),
        farewell_max: Duration::from_secs(20),
        tool_max: Duration::from_secs(10),
        tools_max: 8,
        close_max: Duration::from_secs(2),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The events of a stream, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeEvent {
    /// Twilio has begun to send.
    Started {
        call_sid: String,
        stream_sid: String,
        /// The values of `<Parameter>` in the TwiML.
        parameters: BTreeMap<String, String>,
    },
    /// The agent has answered, with ElevenLabs' id of the conversation.
    Conversation {
        id: String,
    },
    /// Transcript of the caller.
    Caller {
        text: String,
    },
    /// Transcript of the agent.
    Agent {
        text: String,
    },
    /// The part of `original` that the agent said before an interruption.
    AgentCorrected {
        original: String,
        text: String,
    },
    Interrupted,
    /// Twilio has played a piece of the agent's audio.
    Played {
        event_id: i64,
        ms: u64,
    },
    /// The caller pressed a key.
    Digit {
        digit: String,
    },
    /// A tool has answered, failed or timed out.
    Tool {
        name: String,
        ok: bool,
    },
}

/// The tools of the agent. Tool calls are untrusted: the caller may have talked the agent into anything.
pub trait ToolHandler: Send + Sync + 'static {
    /// Returns a result, or an error that the agent can say. Runs on its own task, which is dropped after
    /// [`Limits::tool_max`]; the end of the call does not stop it.
    fn call(&self, call: ToolCall) -> impl Future<Output = Result<String, String>> + Send;
}
