//! Fixed values that TwiML and the REST API share: closed sets, each an enum.

use strum::{IntoStaticStr, VariantArray};

/// The HTTP method of Twilio's requests to our URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
}

/// A reason to post a call's status callback. Twilio posts only `completed` if no events are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum CallEvent {
    /// Twilio has begun to dial.
    Initiated,
    Ringing,
    Answered,
    /// The call has ended, answered or not.
    Completed,
}

/// A mode of the answering machine detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum MachineDetection {
    /// Reports a machine as soon as it is recognized.
    Enable,
    /// Reports a machine when its greeting has ended and a message can be left.
    DetectMessageEnd,
}
