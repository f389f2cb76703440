//! The people at the other end: whether they answer, and their input.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::sound::Sound;
use crate::domain::Clock;

/// Limit of numbers with a script.
pub const PARTIES_MAX: usize = 100_000;
/// Limit of steps in one script.
const STEPS_MAX: usize = 100;
/// Limit of a person's unread acts.
pub const ACTS_MAX: usize = 64;
const WORDS_MAX_CHARS: usize = 4_096;
const DIGITS_MAX: usize = 64;
const AFTER_MAX_MS: u64 = 3_600_000;
/// Wait for a person who types, if the timeout for speech is shorter.
const INPUT_WAIT_MIN: Duration = Duration::from_secs(60);

/// The reaction of a called number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PicksUp {
    #[default]
    Answers,
    Busy,
    NoAnswer,
    /// The number cannot be reached.
    Failed,
    /// An answering machine.
    Machine,
    Fax,
    /// The phone rings until a person answers or rejects: [`Act`].
    Live,
}

/// A party's step at a prompt: `{"digits": "1"}`, `{"speech": "quiero una cita", "confidence": 0.9}`, `{"silence":
/// true}`, `{"hangup": true}`, `{"tone_ms": 2000}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Step {
    /// Keys: 0 to 9, `*`, `#`; `w` waits.
    Digits {
        digits: String,
    },
    Speech {
        speech: String,
        /// 0 to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f64>,
    },
    Silence {
        silence: bool,
    },
    Hangup {
        hangup: bool,
    },
    /// Audio in a media stream; elsewhere it is not understood.
    Sound(Sound),
}

/// A step of the person at the phone, who also answers or rejects the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Act {
    Answer { answer: bool },
    Does(Step),
}

/// The script of a number: `{"picks_up": "answers", "after_ms": 0, "steps": [{"digits": "1"}]}`. After the steps the
/// party is silent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Party {
    pub picks_up: PicksUp,
    /// Ringing time on the clock, at most an hour.
    pub after_ms: u64,
    /// One for each prompt.
    pub steps: Vec<Step>,
}

impl Party {
    /// Answers at once and performs these steps.
    pub fn does(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }

    /// True if a person takes the call.
    pub fn is_live(&self) -> bool {
        self.picks_up == PicksUp::Live
    }

    /// Answers as given, without steps.
    pub fn picks_up(picks_up: PicksUp) -> Self {
        Self { picks_up, ..Self::default() }
    }

    /// Checks the limits of the script.
    pub fn check(&self) -> Result<(), String> {
        if self.steps.len() > STEPS_MAX {
            return Err(format!("a script has {STEPS_MAX} steps at most"));
        }
        if self.after_ms > AFTER_MAX_MS {
            return Err(format!("after_ms is {AFTER_MAX_MS} at most"));
        }
        self.steps.iter().try_for_each(Step::check)
    }
}

impl Step {
    /// Presses keys.
    pub fn digits(digits: impl Into<String>) -> Self {
        Self::Digits { digits: digits.into() }
    }

    /// Says a text.
    pub fn speech(speech: impl Into<String>) -> Self {
        Self::Speech { speech: speech.into(), confidence: None }
    }

    /// Stays silent.
    pub const fn silence() -> Self {
        Self::Silence { silence: true }
    }

    /// Hangs up.
    pub const fn hangup() -> Self {
        Self::Hangup { hangup: true }
    }

    /// Checks the limits of the step.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Digits { digits } => {
                let keys = digits.chars().all(|key| matches!(key, '0'..='9' | '*' | '#' | 'w'));
                if digits.is_empty() || digits.len() > DIGITS_MAX || !keys {
                    return Err(format!("digits are 0 to 9, * and #, {DIGITS_MAX} at most"));
                }
            }
            Self::Speech { speech, confidence } => {
                if speech.trim().is_empty() || speech.chars().count() > WORDS_MAX_CHARS {
                    return Err(format!("speech has 1 to {WORDS_MAX_CHARS} letters"));
                }
                if confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)) {
                    return Err("confidence is 0 to 1".to_owned());
                }
            }
            Self::Sound(sound) => sound.check()?,
            Self::Silence { silence: true } | Self::Hangup { hangup: true } => {}
            Self::Silence { .. } | Self::Hangup { .. } => return Err("write true, or leave it out".to_owned()),
        }
        Ok(())
    }
}

/// A party in a call: the rest of its script, and a person's acts, if a person acts.
pub struct PartyInput {
    steps: VecDeque<Step>,
    acts: mpsc::Receiver<Act>,
    live: bool,
}

impl PartyInput {
    /// Creates the input of a party; a live one takes acts after its script.
    pub fn new(party: &Party, live: bool, acts: mpsc::Receiver<Act>) -> Self {
        Self { steps: party.steps.iter().cloned().collect(), acts, live }
    }

    /// Returns the step at a prompt with this timeout.
    pub async fn next(&mut self, timeout: Duration, clock: &Clock) -> Step {
        if let Some(step) = self.steps.pop_front() {
            return step;
        }
        if !self.live {
            // Acts that have arrived count, but the party does not wait for more.
            return match self.acts.try_recv() {
                Ok(Act::Does(step)) => step,
                _ => Step::silence(),
            };
        }
        let until = clock.now().plus(timeout.max(INPUT_WAIT_MIN));
        loop {
            tokio::select! {
                biased;
                act = self.acts.recv() => match act {
                    Some(Act::Does(step)) => return step,
                    Some(Act::Answer { .. }) => {}
                    // No person is left to act.
                    None => return Step::hangup(),
                },
                () = clock.sleep_until(until) => return Step::silence(),
            }
        }
    }

    /// Waits for a person to answer or reject, up to `timeout`.
    pub async fn answers(&mut self, timeout: Duration, clock: &Clock) -> Option<bool> {
        let until = clock.now().plus(timeout);
        loop {
            tokio::select! {
                biased;
                act = self.acts.recv() => match act {
                    Some(Act::Answer { answer }) => return Some(answer),
                    Some(Act::Does(Step::Hangup { .. })) => return Some(false),
                    Some(Act::Does(_)) => {}
                    None => return None,
                },
                () = clock.sleep_until(until) => return None,
            }
        }
    }

    /// True if the next step hangs up without a prompt.
    pub fn hangs_up(&mut self) -> bool {
        let next = matches!(self.steps.front(), Some(Step::Hangup { .. }));
        if next {
            self.steps.pop_front();
        }
        next
    }

    /// True if no step is left, and no person can act.
    pub fn is_done(&self) -> bool {
        self.steps.is_empty() && !self.live && self.acts.is_empty()
    }

    /// True if a person acts.
    pub const fn is_live(&self) -> bool {
        self.live
    }
}
