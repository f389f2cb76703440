//! Words of Twilio's that TwiML and the REST API share: closed sets, each a type.

/// One of a closed set, as Twilio writes it.
pub trait Word: Copy {
    fn as_str(self) -> &'static str;
}

/// How Twilio fetches a URL of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

impl Word for Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What a call's status callback is posted for. Where none is asked for, Twilio posts `completed` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// Twilio has begun to dial.
    Initiated,
    Ringing,
    Answered,
    /// The call has ended, however it did.
    Completed,
}

impl CallEvent {
    pub const ALL: [Self; 4] = [Self::Initiated, Self::Ringing, Self::Answered, Self::Completed];
}

impl Word for CallEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Completed => "completed",
        }
    }
}

/// What a recording's status callback is posted for. Where none is asked for, Twilio posts `completed` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingEvent {
    InProgress,
    Completed,
    /// There is none: nothing was heard.
    Absent,
}

impl Word for RecordingEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Absent => "absent",
        }
    }
}

/// Whose voice a recording holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingTrack {
    Inbound,
    Outbound,
    Both,
}

impl Word for RecordingTrack {
    fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Both => "both",
        }
    }
}

/// Whether silence at a recording's start and end is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    TrimSilence,
    DoNotTrim,
}

impl Word for Trim {
    fn as_str(self) -> &'static str {
        match self {
            Self::TrimSilence => "trim-silence",
            Self::DoNotTrim => "do-not-trim",
        }
    }
}

/// What is told of an answering machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detect {
    /// That there is one, as soon as this is known.
    #[default]
    Enable,
    /// That its greeting has ended, so that a message can be left.
    DetectMessageEnd,
}

impl Word for Detect {
    fn as_str(self) -> &'static str {
        match self {
            Self::Enable => "Enable",
            Self::DetectMessageEnd => "DetectMessageEnd",
        }
    }
}

/// Finding out whether a machine answers. What is `None` is as Twilio has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineDetection {
    pub detect: Detect,
    /// 3 to 59, 30 by default; after that it is `unknown`.
    pub timeout_s: Option<u32>,
    /// Speech longer than this is a machine's: 1,000 to 6,000, 2,400 by default.
    pub speech_threshold_ms: Option<u32>,
    /// Silence after which speech has ended: 500 to 5,000, 1,200 by default.
    pub speech_end_threshold_ms: Option<u32>,
    /// Silence at the start after which it is `unknown`: 2,000 to 10,000, 5,000 by default.
    pub silence_timeout_ms: Option<u32>,
    /// Where the result goes while the call goes on; without it the call waits for the result.
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
}
