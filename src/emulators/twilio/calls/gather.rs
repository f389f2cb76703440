//! `<Gather>`: the prompt, the input, and the action.
//!
//! After <https://www.twilio.com/docs/voice/twiml/gather>.

use std::time::Duration;

use super::call::{CallEvent, HungUpBy};
use super::document::Element;
use super::leg::Leg;
use super::order::Source;
use super::party::Step;
use super::plan::{Document, End, Flow};
use super::verbs::method;
use crate::integrations::twilio::form::Params;

/// Default confidence of recognized speech.
const CONFIDENCE: f64 = 0.9;
/// Default, in seconds.
const TIMEOUT: u64 = 5;

/// The input of a `<Gather>`.
#[derive(Debug, PartialEq, Eq)]
enum GatherInput {
    /// Keys, and the finishing one.
    Digits {
        digits: String,
        finished_on: Option<char>,
    },
    Speech,
    Nothing,
}

impl Leg {
    /// Performs `<Gather>`.
    pub async fn gather(&mut self, document: &Document, verb: &Element) -> Result<Flow, End> {
        for prompt in &verb.children {
            self.hear(document, prompt, false).await?;
        }
        let input = verb.get("input").unwrap_or("dtmf");
        let timeout = verb.number("timeout").unwrap_or(TIMEOUT);
        let finish_on = if verb.has("finishOnKey") { verb.get("finishOnKey").unwrap_or_default() } else { "#" };
        self.note(CallEvent::Prompted {
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
                self.post_partial_results(document, verb, speech).await?;
                result.push("SpeechResult", speech);
                result.push("Confidence", &confidence.unwrap_or(CONFIDENCE).to_string());
                GatherInput::Speech
            }
            _ => GatherInput::Nothing,
        };
        match &got {
            GatherInput::Digits { digits, finished_on } => {
                // Without a finishing key, the timeout ends the input.
                if finished_on.is_none() && verb.number("numDigits") != Some(digits.len() as u64) {
                    self.pass_time(timeout).await?;
                }
                result.push("msg", "Gather End");
                result.push("Digits", digits);
                result.push("FinishedOnKey", &finished_on.map(String::from).unwrap_or_default());
            }
            GatherInput::Speech => {}
            GatherInput::Nothing => {
                self.pass_time(timeout).await?;
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

    /// Performs the party's next step, and records it with the call.
    pub async fn act(&mut self, timeout: Duration) -> Result<Step, End> {
        let clock = self.carrier.clock.clone();
        let step = self.party_input.next(timeout, &clock).await;
        match &step {
            Step::Digits { digits } => self.note(CallEvent::Pressed { digits: digits.clone() }),
            Step::Speech { speech, confidence } => {
                self.note(CallEvent::Spoke { text: speech.clone(), confidence: *confidence });
            }
            Step::Silence { .. } | Step::Sound(_) => self.note(CallEvent::Silent),
            Step::Hangup { .. } => return Err(End::by(HungUpBy::Party)),
        }
        Ok(step)
    }

    /// Speech takes time, and partial results are posted on request.
    async fn post_partial_results(&mut self, document: &Document, verb: &Element, speech: &str) -> Result<(), End> {
        if let Some(callback) = verb.get("partialResultCallback") {
            let url = self.resolve(document, Some(callback))?;
            let unstable = speech.split_whitespace().next().unwrap_or_default();
            let partial = [("UnstableSpeechResult", unstable), ("Stability", "0.5"), ("SequenceNumber", "0")];
            let partial = partial.into_iter().collect();
            // The answer, or its absence, does not matter.
            let _ = self.request(&url, method(verb, "partialResultCallbackMethod"), &partial).await;
        }
        self.pass_time(Duration::from_secs(1 + speech.chars().count() as u64 / 15)).await
    }
}

/// Selects the gathered keys among the pressed ones.
fn keys(pressed: &str, finish_on: Option<char>, most: Option<u64>) -> GatherInput {
    let mut digits = String::new();
    for key in pressed.chars().filter(|key| *key != 'w') {
        if finish_on == Some(key) {
            // A finishing key without digits before it is no input.
            let finished_on = Some(key);
            return if digits.is_empty() { GatherInput::Nothing } else { GatherInput::Digits { digits, finished_on } };
        }
        digits.push(key);
        if most == Some(digits.len() as u64) {
            break;
        }
    }
    if digits.is_empty() { GatherInput::Nothing } else { GatherInput::Digits { digits, finished_on: None } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_where_the_verb_says() {
        let check = |pressed: &str, finish_on: &str, most: Option<u64>, expect: &str, ended: Option<char>| {
            let expect = if expect.is_empty() {
                GatherInput::Nothing
            } else {
                GatherInput::Digits { digits: expect.to_owned(), finished_on: ended }
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
