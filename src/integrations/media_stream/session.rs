//! What a frame means, whoever sent it: no I/O, only the two queues and what is told.

use std::collections::VecDeque;
use std::ops::ControlFlow::{self, Break, Continue};

use serde::Deserialize;
use tokio::sync::mpsc;

use super::message::{self as twilio, BYTES_PER_MS, Start, audio_bytes};
use super::outcome::{Ended, Side, Tally};
use super::socket::Frame;
use super::{BridgeEvent, Limits};
use crate::integrations::elevenlabs::message as eleven;
use crate::integrations::elevenlabs::message::{ToolCall, ULAW_8000};
use crate::integrations::media_stream::frame_queue::{Lane, Piece, ToAgent, ToCaller};

/// Marks that have not come back; of more, the oldest count as never heard.
pub const MARKS_MAX: usize = 4_096;
/// Of one text in a transcript.
pub const TEXT_MAX_CHARS: usize = 10_000;
/// Of a tool's answer.
pub const TOOL_RESULT_MAX_BYTES: usize = 16 * 1024;

#[derive(Default)]
pub struct Lanes {
    pub to_agent: Lane<ToAgent>,
    pub to_caller: Lane<ToCaller>,
}

pub struct Session<'a> {
    limits: Limits,
    lanes: &'a Lanes,
    events: mpsc::Sender<BridgeEvent>,
    pub conversation_id: Option<String>,
    pub tally: Tally,
    /// Audio up to this id is not to be heard any more.
    interrupted: Option<i64>,
    /// What was sent, or is about to be, and has not been heard.
    marks: VecDeque<Unheard>,
    last_mark: u64,
}

struct Unheard {
    mark: u64,
    event_id: i64,
    ms: u64,
}

impl<'a> Session<'a> {
    pub fn new(limits: Limits, lanes: &'a Lanes, events: mpsc::Sender<BridgeEvent>) -> Self {
        Self {
            limits,
            lanes,
            events,
            conversation_id: None,
            tally: Tally::default(),
            interrupted: None,
            marks: VecDeque::new(),
            last_mark: 0,
        }
    }

    pub fn tell(&mut self, event: BridgeEvent) {
        // Never waited for: what takes the events must not hold up the voice.
        self.tally.events_dropped += u64::from(self.events.try_send(event).is_err());
    }

    pub fn start(&mut self, start: Start) {
        let Start { call_sid, stream_sid, custom_parameters: parameters, .. } = start;
        self.tell(BridgeEvent::Started { call_sid, stream_sid, parameters });
    }

    /// How long it takes to play what has not been heard.
    pub fn unheard_ms(&self) -> u64 {
        self.marks.iter().map(|mark| mark.ms).sum()
    }

    /// A frame from Twilio, once the stream has started.
    pub fn on_twilio(&mut self, frame: &Frame) -> ControlFlow<Ended> {
        match read_twilio(frame)? {
            twilio::Received::Media { media } => {
                if audio_bytes(&media.payload).is_none() {
                    return garbled(Side::Twilio, "the audio is no base64");
                }
                if media.track == "inbound" {
                    self.hear(&media.payload);
                }
            }
            twilio::Received::Mark { mark } => self.heard(&mark.name),
            twilio::Received::Dtmf { dtmf } => self.tell(BridgeEvent::Digit { digit: cut(&dtmf.digit) }),
            twilio::Received::Stop => return Break(Ended::Stopped),
            twilio::Received::Connected | twilio::Received::Start { .. } => {
                return garbled(Side::Twilio, "the stream starts twice");
            }
            twilio::Received::Unknown => {}
        }
        Continue(())
    }

    /// The caller's audio goes on.
    fn hear(&mut self, payload: &str) {
        self.tally.caller_frames += 1;
        let chunk = eleven::audio_chunk(payload);
        let dropped = self.lanes.to_agent.change(|queue| queue.push_audio(chunk, self.limits.caller_frames_max));
        self.tally.caller_frames_dropped += u64::from(dropped);
    }

    /// A mark has come back. Those of cleared audio come back too: they are known no more.
    fn heard(&mut self, name: &str) {
        let Ok(mark) = name.parse::<u64>() else { return };
        if !self.marks.iter().any(|unheard| unheard.mark == mark) {
            return;
        }
        while let Some(Unheard { event_id, ms, .. }) = self.marks.pop_front_if(|unheard| unheard.mark <= mark) {
            self.tally.agent_heard_ms += ms;
            self.tell(BridgeEvent::Heard { event_id, ms });
        }
    }

    /// A frame from ElevenLabs; gives the tool that is to be called.
    pub fn on_eleven(&mut self, frame: &Frame) -> ControlFlow<Ended, Option<ToolCall>> {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary => return garbled(Side::Eleven, "it is binary"),
            Frame::Closed => return Break(Ended::AgentGone),
        };
        match read(text, Side::Eleven, "it is no message of a conversation")? {
            eleven::Received::ConversationInitiationMetadata { event } => self.begin(event)?,
            eleven::Received::Audio { event } => self.speak(event)?,
            eleven::Received::UserTranscript { event } => {
                self.tell(BridgeEvent::Caller { text: cut(&event.user_transcript) });
            }
            eleven::Received::AgentResponse { event } => {
                self.tell(BridgeEvent::Agent { text: cut(&event.agent_response) });
            }
            eleven::Received::AgentResponseCorrection { event } => {
                let (original, text) = (cut(&event.original_agent_response), cut(&event.corrected_agent_response));
                self.tell(BridgeEvent::AgentCorrected { original, text });
            }
            eleven::Received::Interruption { event } => self.interrupt(event.event_id),
            eleven::Received::Ping { event } => self.answer(&eleven::Sent::Pong { event_id: event.event_id })?,
            eleven::Received::ClientToolCall { client_tool_call } => {
                self.tally.tool_calls += 1;
                return Continue(Some(client_tool_call));
            }
            eleven::Received::Unknown => {}
        }
        Continue(None)
    }

    fn begin(&mut self, metadata: eleven::Metadata) -> ControlFlow<Ended> {
        let eleven::Metadata { conversation_id, agent_output_audio_format, user_input_audio_format } = metadata;
        if self.conversation_id.is_some() {
            return garbled(Side::Eleven, "the conversation begins twice");
        }
        self.conversation_id = Some(cut(&conversation_id));
        if agent_output_audio_format != ULAW_8000 || user_input_audio_format != ULAW_8000 {
            let (output, input) = (cut(&agent_output_audio_format), cut(&user_input_audio_format));
            return Break(Ended::WrongFormat { output, input });
        }
        self.tell(BridgeEvent::Conversation { id: cut(&conversation_id) });
        Continue(())
    }

    /// The agent's audio goes on, with a mark after it.
    fn speak(&mut self, audio: eleven::Audio<'_>) -> ControlFlow<Ended> {
        if self.conversation_id.is_none() {
            return garbled(Side::Eleven, "audio came before the conversation's metadata");
        }
        let Some(bytes) = audio_bytes(&audio.payload) else {
            return garbled(Side::Eleven, "the audio is no base64");
        };
        let (event_id, ms) = (audio.event_id, bytes / BYTES_PER_MS);
        self.tally.agent_frames += 1;
        if self.interrupted.is_some_and(|last| event_id <= last) {
            self.tally.agent_frames_interrupted += 1;
            return Continue(());
        }
        self.tally.agent_audio_ms += ms;
        self.last_mark += 1;
        let piece = Piece { event_id, mark: self.last_mark, bytes, payload: audio.payload.into_owned() };
        let max = self.limits.agent_audio_max;
        if !self.lanes.to_caller.change(|queue| queue.push(piece, max.as_millis() as u64)) {
            return Break(Ended::Overflow(max));
        }
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(Unheard { mark: self.last_mark, event_id, ms });
        Continue(())
    }

    /// What was sent is cleared at Twilio, what was not is taken back, what comes late is dropped.
    fn interrupt(&mut self, event_id: i64) {
        self.tally.interruptions += 1;
        self.interrupted = self.interrupted.max(Some(event_id));
        let (gone, left) = self.lanes.to_caller.change(|queue| queue.interrupt(event_id));
        self.tally.agent_frames_interrupted += gone;
        // Twilio's buffer knows no ids: only what has yet to be sent can still be heard.
        self.marks.retain(|unheard| left.is_some_and(|left| unheard.mark >= left));
        self.tell(BridgeEvent::Interrupted);
    }

    /// A tool has answered, or will not.
    pub fn on_tool(&mut self, name: String, id: &str, result: Result<String, String>) -> ControlFlow<Ended> {
        let result = result.and_then(|text| {
            if text.len() > TOOL_RESULT_MAX_BYTES { Err("the tool's answer is too long".to_owned()) } else { Ok(text) }
        });
        self.tell(BridgeEvent::Tool { name, ok: result.is_ok() });
        let (text, is_error) = match &result {
            Ok(text) => (text.as_str(), false),
            Err(text) => (text.as_str(), true),
        };
        self.answer(&eleven::Sent::ClientToolResult { tool_call_id: id, result: text, is_error })
    }

    fn answer(&self, message: &eleven::Sent<'_>) -> ControlFlow<Ended> {
        let room = self.lanes.to_agent.change(|queue| queue.push_control(message.to_json()));
        if room { Continue(()) } else { Break(Ended::Flooded) }
    }
}

pub fn read_twilio(frame: &Frame) -> ControlFlow<Ended, twilio::Received<'_>> {
    match frame {
        Frame::Text(text) => read(text, Side::Twilio, "it is no message of a media stream"),
        Frame::Binary => garbled(Side::Twilio, "it is binary"),
        Frame::Closed => Break(Ended::CallerGone),
    }
}

/// Reads an object; a list would pass for one where its kind is tagged inside.
fn read<'t, T: Deserialize<'t>>(text: &'t str, side: Side, fault: &'static str) -> ControlFlow<Ended, T> {
    let object = text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten();
    object.map_or_else(|| garbled(side, fault), Continue)
}

const fn garbled<T>(side: Side, what: &'static str) -> ControlFlow<Ended, T> {
    Break(Ended::Garbled(side, what))
}

/// Bounded, and without the blanks around it.
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
        let lanes = Lanes::default();
        let mut session = Session::new(Limits::DEFAULT, &lanes, mpsc::channel(1).0);
        let ping = text(r#"{"type":"ping","ping_event":{"event_id":1}}"#);
        assert!((0..CONTROLS_MAX).all(|_| session.on_eleven(&ping) == Continue(None)));
        assert_eq!(session.on_eleven(&ping), Break(Ended::Flooded));
    }

    #[test]
    fn events_that_nobody_takes_are_counted_and_hold_nothing_up() {
        let lanes = Lanes::default();
        let (events, _kept) = mpsc::channel(1);
        let mut session = Session::new(Limits::DEFAULT, &lanes, events);
        let key = text(r##"{"event":"dtmf","dtmf":{"digit":"#"}}"##);
        assert!((0..3).all(|_| session.on_twilio(&key) == Continue(())));
        assert_eq!(session.tally.events_dropped, 2);
    }

    #[test]
    fn a_tool_s_answer_is_bounded() {
        let lanes = Lanes::default();
        let (events, mut told) = mpsc::channel(1);
        let mut session = Session::new(Limits::DEFAULT, &lanes, events);
        let long = "x".repeat(TOOL_RESULT_MAX_BYTES + 1);
        assert_eq!(session.on_tool("look".into(), "1", Ok(long)), Continue(()));
        assert_eq!(told.try_recv(), Ok(BridgeEvent::Tool { name: "look".into(), ok: false }));
    }
}
