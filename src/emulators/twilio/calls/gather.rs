//! `<Gather>`: the prompt, what is pressed or said, and where that goes.
//!
//! After <https://www.twilio.com/docs/voice/twiml/gather>.

use std::time::Duration;

use super::call::{Happening, HungUpBy};
use super::document::Element;
use super::leg::{Document, End, Leg, Source};
use super::party::Step;
use super::verbs::{Flow, method};
use crate::integrations::twilio::form::Params;

/// How sure the recognition is where the script does not say.
const CONFIDENCE: f64 = 0.9;
/// Seconds.
const TIMEOUT: u64 = 5;

/// What a `<Gather>` has got.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    /// Keys, and the one that ended them.
    Digits {
        digits: String,
        finished_on: Option<char>,
    },
    Speech,
    Nothing,
}

impl Leg {
    pub async fn gather(&mut self, document: &Document, verb: &Element) -> Result<Flow, End> {
        for prompt in &verb.children {
            self.hear(document, prompt, false).await?;
        }
        let input = verb.get("input").unwrap_or("dtmf");
        let timeout = verb.number("timeout").unwrap_or(TIMEOUT);
        let finish_on = if verb.has("finishOnKey") { verb.get("finishOnKey").unwrap_or_default() } else { "#" };
        self.note(Happening::Prompted {
            verb: "Gather",
            input: input.to_owned(),
            timeout_s: timeout,
            num_digits: verb.number("numDigits"),
            finish_on_key: finish_on.to_owned(),
        });
        let timeout = Duration::from_secs(timeout);
        let step = self.act(timeout).await?;
        let mut result = Params::default();
        let got = match &step {
            Step::Digits { digits } if input.contains("dtmf") => {
                keys(digits, finish_on.chars().next(), verb.number("numDigits"))
            }
            Step::Speech { speech, confidence } if input.contains("speech") => {
                self.hear_out(document, verb, speech).await?;
                result.push("SpeechResult", speech);
                result.push("Confidence", &confidence.unwrap_or(CONFIDENCE).to_string());
                Got::Speech
            }
            _ => Got::Nothing,
        };
        match &got {
            Got::Digits { digits, finished_on } => {
                // Keys without an end are waited for.
                if finished_on.is_none() && verb.number("numDigits") != Some(digits.len() as u64) {
                    self.spend(timeout).await?;
                }
                result.push("msg", "Gather End");
                result.push("Digits", digits);
                result.push("FinishedOnKey", &finished_on.map(String::from).unwrap_or_default());
            }
            Got::Speech => {}
            Got::Nothing => {
                self.spend(timeout).await?;
                if !verb.is_true("actionOnEmptyResult") {
                    return Ok(Flow::Next);
                }
                result.push("msg", "Gather End");
                result.push("Digits", "");
            }
        }
        let url = self.resolve(document, verb.get("action"))?;
        Ok(Flow::Go(Source::Url { url, method: method(verb, "method"), extra: result }))
    }

    /// What the party does at a prompt, kept with the call.
    pub async fn act(&mut self, timeout: Duration) -> Result<Step, End> {
        let clock = self.carrier.clock.clone();
        let step = self.hands.next(timeout, &clock).await;
        match &step {
            Step::Digits { digits } => self.note(Happening::Pressed { digits: digits.clone() }),
            Step::Speech { speech, confidence } => {
                self.note(Happening::Spoke { text: speech.clone(), confidence: *confidence });
            }
            Step::Silence { .. } | Step::Sound(_) => self.note(Happening::Silent),
            Step::Hangup { .. } => return Err(End::by(HungUpBy::Party)),
        }
        Ok(step)
    }

    /// Speech takes its time, and is told of on the way where that was asked for.
    async fn hear_out(&mut self, document: &Document, verb: &Element, speech: &str) -> Result<(), End> {
        if let Some(callback) = verb.get("partialResultCallback") {
            let url = self.resolve(document, Some(callback))?;
            let unstable = speech.split_whitespace().next().unwrap_or_default();
            let partial = [("UnstableSpeechResult", unstable), ("Stability", "0.5"), ("SequenceNumber", "0")];
            let partial = partial.into_iter().collect();
            // What it answers does not matter, nor whether it does.
            let _ = self.request(&url, method(verb, "partialResultCallbackMethod"), &partial).await;
        }
        self.spend(Duration::from_secs(1 + speech.chars().count() as u64 / 15)).await
    }
}

/// What of the pressed keys is gathered.
fn keys(pressed: &str, finish_on: Option<char>, most: Option<u64>) -> Got {
    let mut digits = String::new();
    for key in pressed.chars().filter(|key| *key != 'w') {
        if finish_on == Some(key) {
            // The key alone is no result.
            let finished_on = Some(key);
            return if digits.is_empty() { Got::Nothing } else { Got::Digits { digits, finished_on } };
        }
        digits.push(key);
        if most == Some(digits.len() as u64) {
            break;
        }
    }
    if digits.is_empty() { Got::Nothing } else { Got::Digits { digits, finished_on: None } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_where_the_verb_says() {
        let check = |pressed: &str, finish_on: &str, most: Option<u64>, expect: &str, ended: Option<char>| {
            let expect = if expect.is_empty() {
                Got::Nothing
            } else {
                Got::Digits { digits: expect.to_owned(), finished_on: ended }
            };
            assert_eq!(keys(pressed, finish_on.chars().next(), most), expect, "{pressed} {finish_on} {most:?}");
        };
        check("1234", "#", None, "1234", None);
        check("12#34", "#", None, "12", Some('#'));
        check("12#34", "", None, "12#34", None);
        check("1*2", "*", Some(5), "1", Some('*'));
        check("1234", "#", Some(2), "12", None);
        check("1w2", "#", Some(2), "12", None);
        check("#", "#", None, "", None);
        check("w", "#", None, "", None);
    }
}
