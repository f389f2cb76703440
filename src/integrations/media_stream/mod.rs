//! A live call: Twilio's media stream on one side, an ElevenLabs conversation on the other, and the bridge between them.
//!
//! ```text
//!            ┌ reads ─ Session ─→ ToAgent ─ writes ┐
//!   Twilio ──┤                                     ├── ElevenLabs
//!            └ writes ─ ToCaller ←─ Session ─ reads ┘
//! ```
//!
//! Audio is μ-law at 8 kHz on both sides and passes as it came, base64 and all. [`session`] decides, without I/O, what a
//! frame means; two queues ([`lane`]) with limits stand before the two writers, so that a slow socket holds up nothing
//! but itself. The caller's audio is dropped from its oldest on where ElevenLabs does not keep up, for what was said
//! seconds ago is of no use to a conversation; the agent's is never dropped but by an interruption: where Twilio does not
//! keep up, the stream ends. Tools run on tasks of their own.
//!
//! A route that has its call's token checked carries it so:
//!
//! ```text
//! limited(upgrade).on_upgrade(async |socket| {
//!     let agent = eleven.open(agent_id, deadline).await?;
//!     bridge(of_axum(socket), of_tungstenite(agent), opening, tools, events, cancel).await
//! })
//! ```
//!
//! Its listener must set `TCP_NODELAY`: where a socket waits to fill its segments, each small frame is held up until the
//! one before is acknowledged, which was seen to add 20 ms and more.
//!
//! **Invariant:** what is not dropped by these rules comes out once, unchanged and in order.

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
pub use outcome::{Ended, Outcome, Side, Tally};
pub use session::{MARKS_MAX, TEXT_MAX_CHARS, TOOL_RESULT_MAX_BYTES};
pub use socket::{Broken, Frame, Socket, TWILIO_FRAME_MAX_BYTES, limited, of_axum, of_tungstenite};

use crate::integrations::elevenlabs::message::{Initiation, ToolCall};

/// With what a stream is opened.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The call that the stream is for, where that is known: another's is refused.
    pub call_sid: Option<String>,
    pub initiation: Initiation,
    pub limits: Limits,
}

/// Of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Frames of the caller's audio that wait for ElevenLabs; the oldest go.
    pub caller_frames_max: usize,
    /// Of the agent's audio that waits for Twilio; with more the stream ends.
    pub agent_audio_max: Duration,
    /// For one message to be taken by a socket.
    pub send_max: Duration,
    /// From the upgrade to Twilio's `start`.
    pub start_max: Duration,
    /// Without anything from Twilio, which otherwise sends every 20 ms, in silence too.
    pub silence_max: Duration,
    /// Of the whole stream.
    pub duration_max: Duration,
    /// For what the agent said last to be heard, when it has ended the conversation.
    pub farewell_max: Duration,
    /// For one tool call.
    pub tool_max: Duration,
    /// Tool calls that run at once; more are refused.
    pub tools_max: usize,
    /// For a socket to take the closing.
    pub close_max: Duration,
}

impl Limits {
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

/// What happens in a stream, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeEvent {
    /// Twilio has begun to send.
    Started {
        call_sid: String,
        stream_sid: String,
        /// What the TwiML gave in `<Parameter>`.
        parameters: BTreeMap<String, String>,
    },
    /// The agent is there; ElevenLabs' id of the conversation.
    Conversation {
        id: String,
    },
    /// What the caller said.
    Caller {
        text: String,
    },
    /// What the agent is saying.
    Agent {
        text: String,
    },
    /// What the agent came to say of `original` before it was interrupted.
    AgentCorrected {
        original: String,
        text: String,
    },
    Interrupted,
    /// A piece of the agent's audio has been played.
    Heard {
        event_id: i64,
        ms: u64,
    },
    /// The caller pressed a key.
    Digit {
        digit: String,
    },
    /// A tool has answered, failed or run out of time.
    Tool {
        name: String,
        ok: bool,
    },
}

/// What the agent can have done. What it asks for is hostile: the caller may have talked it into anything.
pub trait ToolHandler: Send + Sync + 'static {
    /// The answer for the agent, or what went wrong in words that it can say. Runs on a task of its own, and is dropped
    /// after [`Limits::tool_max`]; a call that ends meanwhile does not stop it.
    fn call(&self, call: ToolCall) -> impl Future<Output = Result<String, String>> + Send;
}
