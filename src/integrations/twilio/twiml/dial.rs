//! Dialling: who is called into the call, and how. <https://www.twilio.com/docs/voice/twiml/dial>

use secrecy::{ExposeSecret, SecretString};

use super::node::Node;
use super::stream::Parameter;
use crate::integrations::twilio::words::{
    CallEvent, MachineDetection, Method, RecordingEvent, RecordingTrack, Trim, Word,
};

/// What is recorded of the two parties, and whether each has a channel of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialRecord {
    DoNotRecord,
    RecordFromAnswer,
    RecordFromRinging,
    RecordFromAnswerDual,
    RecordFromRingingDual,
}

impl Word for DialRecord {
    fn as_str(self) -> &'static str {
        match self {
            Self::DoNotRecord => "do-not-record",
            Self::RecordFromAnswer => "record-from-answer",
            Self::RecordFromRinging => "record-from-ringing",
            Self::RecordFromAnswerDual => "record-from-answer-dual",
            Self::RecordFromRingingDual => "record-from-ringing-dual",
        }
    }
}

/// Calls the nouns, all at once unless `sequential`, and joins the first who answers with the caller. `action` is called
/// when that has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dial {
    pub action: Option<String>,
    pub method: Option<Method>,
    /// How long it rings.
    pub timeout_s: Option<u32>,
    /// How long they may talk.
    pub time_limit_s: Option<u32>,
    pub hangup_on_star: Option<bool>,
    /// The number that is shown: the caller's, or one of the account's.
    pub caller_id: Option<String>,
    /// The caller hears it ring, and is not charged, until somebody answers.
    pub answer_on_bridge: Option<bool>,
    pub record: Option<DialRecord>,
    pub recording_track: Option<RecordingTrack>,
    pub trim: Option<Trim>,
    pub recording_status_callback: Option<String>,
    pub recording_status_callback_method: Option<Method>,
    pub recording_status_callback_events: Vec<RecordingEvent>,
    /// A country in lower case, such as `es`, whose ringing the caller hears; or `automatic`.
    pub ring_tone: Option<String>,
    /// One after the other.
    pub sequential: Option<bool>,
    /// A queue, a conference, or up to ten of the others.
    pub nouns: Vec<Noun>,
}

impl Dial {
    pub(super) fn node(&self) -> Node {
        Node::new("Dial")
            .attribute("action", self.action.as_ref())
            .word("method", self.method)
            .attribute("timeout", self.timeout_s)
            .attribute("timeLimit", self.time_limit_s)
            .attribute("hangupOnStar", self.hangup_on_star)
            .attribute("callerId", self.caller_id.as_ref())
            .attribute("answerOnBridge", self.answer_on_bridge)
            .word("record", self.record)
            .word("recordingTrack", self.recording_track)
            .word("trim", self.trim)
            .recording_callback(
                self.recording_status_callback.as_deref(),
                self.recording_status_callback_method,
                &self.recording_status_callback_events,
            )
            .attribute("ringTone", self.ring_tone.as_ref())
            .attribute("sequential", self.sequential)
            .children(self.nouns.iter().map(Noun::node))
    }
}

/// Who is called.
#[derive(Clone, Debug, PartialEq)]
pub enum Noun {
    Number(Number),
    Client(Client),
    Conference(Conference),
    Queue(Queue),
    Sip(Sip),
    Sim(Sim),
    WhatsApp(WhatsApp),
}

impl Noun {
    fn node(&self) -> Node {
        match self {
            Self::Number(number) => number.node(),
            Self::Client(client) => client.node(),
            Self::Conference(conference) => conference.node(),
            Self::Queue(queue) => queue.node(),
            Self::Sip(sip) => sip.node(),
            Self::Sim(sim) => Node::new("Sim").text(&sim.sid),
            Self::WhatsApp(whatsapp) => whatsapp.node(),
        }
    }
}

impl From<Number> for Noun {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<Client> for Noun {
    fn from(client: Client) -> Self {
        Self::Client(client)
    }
}

impl From<Conference> for Noun {
    fn from(conference: Conference) -> Self {
        Self::Conference(conference)
    }
}

impl From<Queue> for Noun {
    fn from(queue: Queue) -> Self {
        Self::Queue(queue)
    }
}

impl From<Sip> for Noun {
    fn from(sip: Sip) -> Self {
        Self::Sip(sip)
    }
}

impl From<Sim> for Noun {
    fn from(sim: Sim) -> Self {
        Self::Sim(sim)
    }
}

impl From<WhatsApp> for Noun {
    fn from(whatsapp: WhatsApp) -> Self {
        Self::WhatsApp(whatsapp)
    }
}

/// A phone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Number {
    /// E.164.
    pub number: String,
    /// Keys to press once they answer; `w` waits half a second.
    pub send_digits: Option<String>,
    /// A document that is done for the called one before they are joined.
    pub url: Option<String>,
    pub method: Option<Method>,
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    pub status_callback_events: Vec<CallEvent>,
    /// `BY…`, a carrier of one's own.
    pub byoc: Option<String>,
    pub machine_detection: Option<MachineDetection>,
}

impl Number {
    pub fn new(number: impl Into<String>) -> Self {
        Self { number: number.into(), ..Self::default() }
    }

    fn node(&self) -> Node {
        Node::new("Number")
            .attribute("sendDigits", self.send_digits.as_ref())
            .attribute("url", self.url.as_ref())
            .word("method", self.method)
            .status_callback(self.status_callback.as_deref(), self.status_callback_method, &self.status_callback_events)
            .attribute("byoc", self.byoc.as_ref())
            .machine_detection(self.machine_detection.as_ref())
            .text(&self.number)
    }
}

/// A softphone of Twilio's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Without `client:` before it.
    pub identity: String,
    pub url: Option<String>,
    pub method: Option<Method>,
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    pub status_callback_events: Vec<CallEvent>,
    /// What the softphone is told of the call.
    pub parameters: Vec<Parameter>,
}

impl Client {
    fn node(&self) -> Node {
        let client =
            Node::new("Client").attribute("url", self.url.as_ref()).word("method", self.method).status_callback(
                self.status_callback.as_deref(),
                self.status_callback_method,
                &self.status_callback_events,
            );
        if self.parameters.is_empty() {
            return client.text(&self.identity);
        }
        client
            .children([Node::new("Identity").text(&self.identity)])
            .children(self.parameters.iter().map(Parameter::node))
    }
}

/// When a conference beeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beep {
    True,
    False,
    OnEnter,
    OnExit,
}

impl Word for Beep {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::OnEnter => "onEnter",
            Self::OnExit => "onExit",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConferenceRecord {
    DoNotRecord,
    RecordFromStart,
}

impl Word for ConferenceRecord {
    fn as_str(self) -> &'static str {
        match self {
            Self::DoNotRecord => "do-not-record",
            Self::RecordFromStart => "record-from-start",
        }
    }
}

/// What a conference's status callback is posted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConferenceEvent {
    Start,
    End,
    Join,
    Leave,
    Mute,
    Hold,
    Modify,
    Speaker,
    Announcement,
}

impl Word for ConferenceEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Mute => "mute",
            Self::Hold => "hold",
            Self::Modify => "modify",
            Self::Speaker => "speaker",
            Self::Announcement => "announcement",
        }
    }
}

/// How much delay a conference takes for smoother sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JitterBuffer {
    Off,
    Small,
    Medium,
    Large,
}

impl Word for JitterBuffer {
    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

/// A room for several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conference {
    pub name: String,
    pub muted: Option<bool>,
    pub beep: Option<Beep>,
    pub start_conference_on_enter: Option<bool>,
    pub end_conference_on_exit: Option<bool>,
    /// What is heard until it starts; empty for silence.
    pub wait_url: Option<String>,
    pub wait_method: Option<Method>,
    pub max_participants: Option<u32>,
    pub record: Option<ConferenceRecord>,
    /// Where it is mixed, such as `ie1`.
    pub region: Option<String>,
    /// `CA…`: who alone hears this one.
    pub coach: Option<String>,
    pub trim: Option<Trim>,
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    pub status_callback_events: Vec<ConferenceEvent>,
    pub recording_status_callback: Option<String>,
    pub recording_status_callback_method: Option<Method>,
    pub recording_status_callback_events: Vec<RecordingEvent>,
    pub jitter_buffer_size: Option<JitterBuffer>,
    pub participant_label: Option<String>,
}

impl Conference {
    fn node(&self) -> Node {
        Node::new("Conference")
            .attribute("muted", self.muted)
            .word("beep", self.beep)
            .attribute("startConferenceOnEnter", self.start_conference_on_enter)
            .attribute("endConferenceOnExit", self.end_conference_on_exit)
            .attribute("waitUrl", self.wait_url.as_ref())
            .word("waitMethod", self.wait_method)
            .attribute("maxParticipants", self.max_participants)
            .word("record", self.record)
            .attribute("region", self.region.as_ref())
            .attribute("coach", self.coach.as_ref())
            .word("trim", self.trim)
            .status_callback(self.status_callback.as_deref(), self.status_callback_method, &self.status_callback_events)
            .recording_callback(
                self.recording_status_callback.as_deref(),
                self.recording_status_callback_method,
                &self.recording_status_callback_events,
            )
            .word("jitterBufferSize", self.jitter_buffer_size)
            .attribute("participantLabel", self.participant_label.as_ref())
            .text(&self.name)
    }
}

/// The first who waits in a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    pub name: String,
    /// A document that is done for the one who waited before they are joined.
    pub url: Option<String>,
    pub method: Option<Method>,
    /// `WR…`, of a task of a workflow.
    pub reservation_sid: Option<String>,
    /// `WA…`, what the worker does next.
    pub post_work_activity_sid: Option<String>,
}

impl Queue {
    fn node(&self) -> Node {
        Node::new("Queue")
            .attribute("url", self.url.as_ref())
            .word("method", self.method)
            .attribute("reservationSid", self.reservation_sid.as_ref())
            .attribute("postWorkActivitySid", self.post_work_activity_sid.as_ref())
            .text(&self.name)
    }
}

/// With which a SIP address lets us in.
#[derive(Clone, Debug)]
pub struct SipCredentials {
    pub username: String,
    pub password: SecretString,
}

/// For tests, not for authentication: it takes as long as the passwords are alike.
impl PartialEq for SipCredentials {
    fn eq(&self, other: &Self) -> bool {
        self.username == other.username && self.password.expose_secret() == other.password.expose_secret()
    }
}

/// A phone on the internet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sip {
    /// `sip:ana@example.com`
    pub address: String,
    pub credentials: Option<SipCredentials>,
    pub url: Option<String>,
    pub method: Option<Method>,
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    pub status_callback_events: Vec<CallEvent>,
    pub machine_detection: Option<MachineDetection>,
}

impl Sip {
    fn node(&self) -> Node {
        let credentials = self.credentials.as_ref();
        Node::new("Sip")
            .attribute("username", credentials.map(|credentials| &credentials.username))
            .attribute("password", credentials.map(|credentials| credentials.password.expose_secret()))
            .attribute("url", self.url.as_ref())
            .word("method", self.method)
            .status_callback(self.status_callback.as_deref(), self.status_callback_method, &self.status_callback_events)
            .machine_detection(self.machine_detection.as_ref())
            .text(&self.address)
    }
}

/// A SIM card of Twilio's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sim {
    /// `HS…` or `DE…`
    pub sid: String,
}

/// A call over WhatsApp.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhatsApp {
    /// E.164, without `whatsapp:` before it.
    pub number: String,
    pub url: Option<String>,
    pub method: Option<Method>,
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    pub status_callback_events: Vec<CallEvent>,
}

impl WhatsApp {
    fn node(&self) -> Node {
        Node::new("WhatsApp")
            .attribute("url", self.url.as_ref())
            .word("method", self.method)
            .status_callback(self.status_callback.as_deref(), self.status_callback_method, &self.status_callback_events)
            .text(&self.number)
    }
}
