//! The meaning of each frame, without I/O: the session only changes the two queues and sends events.

use std::collections::VecDeque;
use std::ops::ControlFlow::{self, Break, Continue};

use serde::Deserialize;
use tokio::sync::mpsc;

use super::message::{self as twilio, BYTES_PER_MS, Start, audio_bytes};
use super::outcome::{Ended, Side, StreamStats};
use super::socket::Frame;
use super::{BridgeEvent, Limits};
use crate::integrations::elevenlabs::message as elevenlabs;
use crate::integrations::elevenlabs::message::{ToolCall, ULAW_8000};
use crate::integrations::media_stream::frame_queue::{FrameQueue, Piece, ToAgent, ToCaller};

/// Marks that have not come back; beyond the limit, the oldest count as never played.
pub const MARKS_MAX: usize = 4_096;
/// Limit of one text in a transcript.
pub const TEXT_MAX_CHARS: usize = 10_000;
/// Limit of a tool's result.
pub const TOOL_RESULT_MAX_BYTES: usize = 16 * 1024;

/// The queues of both directions.
#[derive(Default)]
pub struct FrameQueues {
    pub to_agent: FrameQueue<ToAgent>,
    pub to_caller: FrameQueue<ToCaller>,
}

/// The state of a running stream.
pub struct Session<'a> {
    limits: Limits,
    queues: &'a FrameQueues,
    events: mpsc::Sender<BridgeEvent>,
    pub conversation_id: Option<String>,
    pub stats: StreamStats,
    /// Audio up to this id must no longer be played.
    interrupted: Option<i64>,
    /// Audio that is sent, or queued, and not yet played.
    marks: VecDeque<UnplayedAudio>,
    last_mark: u64,
}

struct UnplayedAudio {
    mark: u64,
    event_id: i64,
    ms: u64,
}

impl<'a> Session<'a> {
    /// Creates the state of a stream that has not started.
    pub fn new(limits: Limits, queues: &'a FrameQueues, events: mpsc::Sender<BridgeEvent>) -> Self {
        Self {
            limits,
            queues,
            events,
            conversation_id: None,
            stats: StreamStats::default(),
            interrupted: None,
            marks: VecDeque::new(),
            last_mark: 0,
        }
    }

    /// Sends an event.
    pub fn emit(&mut self, event: BridgeEvent) {
        // The session never waits here: a slow receiver of events must not delay the audio.
        self.stats.events_dropped += u64::from(self.events.try_send(event).is_err());
    }

    /// Handles Twilio's `start`.
    pub fn start(&mut self, start: Start) {
        let Start { call_sid, stream_sid, custom_parameters: parameters, .. } = start;
        self.emit(BridgeEvent::Started { call_sid, stream_sid, parameters });
    }

    /// Returns the length of the audio that has not been played.
    pub fn unplayed_ms(&self) -> u64 {
        self.marks.iter().map(|mark| mark.ms).sum()
    }

    /// Handles a frame from Twilio after `start`.
    pub fn on_twilio(&mut self, frame: &Frame) -> ControlFlow<Ended> {
        match read_twilio(frame)? {
            twilio::Received::Media { media } => {
                if audio_bytes(&media.payload).is_none() {
                    return garbled(Side::Twilio, "the audio is no base64");
                }
                if media.track == "inbound" {
                    self.forward_caller_audio(&media.payload);
                }
            }
            twilio::Received::Mark { mark } => self.on_mark(&mark.name),
            twilio::Received::Dtmf { dtmf } => self.emit(BridgeEvent::Digit { digit: cut(&dtmf.digit) }),
            twilio::Received::Stop => return Break(Ended::Stopped),
            twilio::Received::Connected | twilio::Received::Start { .. } => {
                return garbled(Side::Twilio, "the stream starts twice");
            }
            twilio::Received::Unknown => {}
        }
        Continue(())
    }

    /// Passes the caller's audio on.
    fn forward_caller_audio(&mut self, payload: &str) {
        self.stats.caller_frames += 1;
        let chunk = elevenlabs::audio_chunk(payload);
        let dropped = self.queues.to_agent.change(|queue| queue.push_audio(chunk, self.limits.caller_frames_max));
        self.stats.caller_frames_dropped += u64::from(dropped);
    }

    /// Handles a mark. The marks of cleared audio come back as well, and are unknown by then.
    fn on_mark(&mut self, name: &str) {
        let Ok(mark) = name.parse::<u64>() else { return };
        if !self.marks.iter().any(|unplayed| unplayed.mark == mark) {
            return;
        }
        while let Some(UnplayedAudio { event_id, ms, .. }) = self.marks.pop_front_if(|unplayed| unplayed.mark <= mark) {
            self.stats.agent_played_ms += ms;
            self.emit(BridgeEvent::Played { event_id, ms });
        }
    }

    /// Handles a frame from ElevenLabs; returns a tool call to run.
    pub fn on_elevenlabs(&mut self, frame: &Frame) -> ControlFlow<Ended, Option<ToolCall>> {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary => return garbled(Side::ElevenLabs, "it is binary"),
            Frame::Closed => return Break(Ended::AgentGone),
        };
        match read(text, Side::ElevenLabs, "it is no message of a conversation")? {
            elevenlabs::Received::ConversationInitiationMetadata { event } => self.begin(event)?,
            elevenlabs::Received::Audio { event } => self.speak(event)?,
            elevenlabs::Received::UserTranscript { event } => {
                self.emit(BridgeEvent::Caller { text: cut(&event.user_transcript) });
            }
            elevenlabs::Received::AgentResponse { event } => {
                self.emit(BridgeEvent::Agent { text: cut(&event.agent_response) });
            }
            elevenlabs::Received::AgentResponseCorrection { event } => {
                let (original, text) = (cut(&event.original_agent_response), cut(&event.corrected_agent_response));
                self.emit(BridgeEvent::AgentCorrected { original, text });
            }
            elevenlabs::Received::Interruption { event } => self.interrupt(event.event_id),
            elevenlabs::Received::Ping { event } => {
                self.answer(&elevenlabs::Sent::Pong { event_id: event.event_id })?
            }
            elevenlabs::Received::ClientToolCall { client_tool_call } => {
                self.stats.tool_calls += 1;
                return Continue(Some(client_tool_call));
            }
            elevenlabs::Received::Unknown => {}
        }
        Continue(None)
    }

    fn begin(&mut self, metadata: elevenlabs::Metadata) -> ControlFlow<Ended> {
        let elevenlabs::Metadata { conversation_id, agent_output_audio_format, user_input_audio_format } = metadata;
        if self.conversation_id.is_some() {
            return garbled(Side::ElevenLabs, "the conversation begins twice");
        }
        self.conversation_id = Some(cut(&conversation_id));
        if agent_output_audio_format != ULAW_8000 || user_input_audio_format != ULAW_8000 {
            let (output, input) = (cut(&agent_output_audio_format), cut(&user_input_audio_format));
            return Break(Ended::WrongFormat { output, input });
        }
        self.emit(BridgeEvent::Conversation { id: cut(&conversation_id) });
        Continue(())
    }

    /// Passes the agent's audio on, followed by a mark.
    fn speak(&mut self, audio: elevenlabs::Audio<'_>) -> ControlFlow<Ended> {
        if self.conversation_id.is_none() {
            return garbled(Side::ElevenLabs, "audio came before the conversation's metadata");
        }
        let Some(bytes) = audio_bytes(&audio.payload) else {
            return garbled(Side::ElevenLabs, "the audio is no base64");
        };
        let (event_id, ms) = (audio.event_id, bytes / BYTES_PER_MS);
        self.stats.agent_frames += 1;
        if self.interrupted.is_some_and(|last| event_id <= last) {
            self.stats.agent_frames_interrupted += 1;
            return Continue(());
        }
        self.stats.agent_audio_ms += ms;
        self.last_mark += 1;
        let piece = Piece { event_id, mark: self.last_mark, bytes, payload: audio.payload.into_owned() };
        let max = self.limits.agent_audio_max;
        if !self.queues.to_caller.change(|queue| queue.push(piece, max.as_millis() as u64)) {
            return Break(Ended::Overflow(max));
        }
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(UnplayedAudio { mark: self.last_mark, event_id, ms });
        Continue(())
    }

    /// Clears the audio at Twilio, removes it from the queue, and drops the rest as it comes.
    fn interrupt(&mut self, event_id: i64) {
        self.stats.interruptions += 1;
        self.interrupted = self.interrupted.max(Some(event_id));
        let (gone, left) = self.queues.to_caller.change(|queue| queue.interrupt(event_id));
        self.stats.agent_frames_interrupted += gone;
        // Twilio's buffer has no ids: only audio that is still in the queue can be played.
        self.marks.retain(|unplayed| left.is_some_and(|left| unplayed.mark >= left));
        self.emit(BridgeEvent::Interrupted);
    }

    /// Handles a tool's result.
    pub fn on_tool(&mut self, name: String, id: &str, result: Result<String, String>) -> ControlFlow<Ended> {
        let result = result.and_then(|text| {
            if text.len() > TOOL_RESULT_MAX_BYTES { Err("the tool's answer is too long".to_owned()) } else { Ok(text) }
        });
        self.emit(BridgeEvent::Tool { name, ok: result.is_ok() });
        let (text, is_error) = match &result {
            Ok(text) => (text.as_str(), false),
            Err(text) => (text.as_str(), true),
        };
        self.answer(&elevenlabs::Sent::ClientToolResult { tool_call_id: id, result: text, is_error })
    }

    fn answer(&self, message: &elevenlabs::Sent<'_>) -> ControlFlow<Ended> {
        let room = self.queues.to_agent.change(|queue| queue.push_control(message.to_json()));
        if room { Continue(()) } else { Break(Ended::Flooded) }
    }
}

/// Reads a message from Twilio.
pub fn read_twilio(frame: &Frame) -> ControlFlow<Ended, twilio::Received<'_>> {
    match frame {
        Frame::Text(text) => read(text, Side::Twilio, "it is no message of a media stream"),
        Frame::Binary => garbled(Side::Twilio, "it is binary"),
        Frame::Closed => Break(Ended::CallerGone),
    }
}

/// Reads a JSON object. A list would be accepted for an internally tagged enum.
fn read<'t, T: Deserialize<'t>>(text: &'t str, side: Side, fault: &'static str) -> ControlFlow<Ended, T> {
    let object = text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten();
    object.map_or_else(|| garbled(side, fault), Continue)
}

const fn garbled<T>(side: Side, what: &'static str) -> ControlFlow<Ended, T> {
    Break(Ended::Garbled(side, what))
}

/// Trims and shortens a text.
fn cut(text: &str) -> String {
    text.trim().chars().take(TEXT_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrations::media_stream::frame_queue::CONTROLS_MAX;

    fn text(text: &str) -> Frame {
        Frame::Text(text.to_owned())
    }

    #[test]
    fn a_flood_of_pings_that_takes_no_pongs_ends_it() {
        let queues = FrameQueues::default();
        let mut session = Session::new(Limits::DEFAULT, &queues, mpsc::channel(1).0);
        let ping = text(r#"{"type":"ping","ping_event":{"event_id":1}}"#);
        assert!((0..CONTROLS_MAX).all(|_| session.on_elevenlabs(&ping) == Continue(None)));
        assert_eq!(session.on_elevenlabs(&ping), Break(Ended::Flooded));
    }

    #[test]
    fn events_that_nobody_takes_are_counted_and_hold_nothing_up() {
        let queues = FrameQueues::default();
        let (events, _kept) = mpsc::channel(1);
        let mut session = Session::new(Limits::DEFAULT, &queues, events);
        let key = text(r##"{"event":"dtmf","dtmf":{"digit":"#"}}"##);
        assert!((0..3).all(|_| session.on_twilio(&key) == Continue(())));
        assert_eq!(session.stats.events_dropped, 2);
    }

    #[test]
    fn a_tool_s_answer_is_bounded() {
        let queues = FrameQueues::default();
        let (events, mut receiver) = mpsc::channel(1);
        let mut session = Session::new(Limits::DEFAULT, &queues, events);
        let long = "x".repeat(TOOL_RESULT_MAX_BYTES + 1);
        assert_eq!(session.on_tool("look".into(), "1", Ok(long)), Continue(()));
        assert_eq!(receiver.try_recv(), Ok(BridgeEvent::Tool { name: "look".into(), ok: false }));
    }
}
