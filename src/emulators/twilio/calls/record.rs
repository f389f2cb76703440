//! `<Record>`, and the recordings of calls (<https://www.twilio.com/docs/voice/twiml/record>).

use std::time::Duration;

use super::super::method::Method;
use super::call::{CallEvent, CallStatus};
use super::document::Element;
use super::leg::Leg;
use super::order::Source;
use super::party::Step;
use super::plan::{Document, End, Flow};
use super::verbs::method;
use crate::integrations::twilio::form::Params;

/// Seconds of silence that end a recording, and its maximum length.
const TIMEOUT: u64 = 5;
const LENGTH_MAX: u64 = 3_600;
/// Any key.
const FINISH_ON: &str = "1234567890*#";

impl Leg {
    /// Performs `<Record>`.
    pub async fn record(&mut self, document: &Document, verb: &Element) -> Result<Flow, End> {
        let timeout = verb.number("timeout").unwrap_or(TIMEOUT);
        let finish_on = if verb.has("finishOnKey") { verb.get("finishOnKey").unwrap_or_default() } else { FINISH_ON };
        self.note(CallEvent::Prompted {
            verb: "Record",
            input: "speech".to_owned(),
            timeout_s: timeout,
            num_digits: None,
            finish_on_key: finish_on.to_owned(),
        });
        let (said, ended_by) = match self.act(Duration::from_secs(timeout)).await {
            Ok(Step::Speech { speech, .. }) => (Some(speech), String::new()),
            Ok(Step::Digits { digits }) => {
                (None, digits.chars().filter(|key| finish_on.contains(*key)).take(1).collect())
            }
            Ok(_) => (None, String::new()),
            // The recording up to now is stored and reported; the caller is gone.
            Err(end) => {
                let result = self.keep_said(document, verb, None, "hangup");
                if let Ok(url) = document.resolve(verb.get("action")) {
                    let _ = self.request_as(CallStatus::Completed, &url, method(verb, "method"), &result).await;
                }
                return Err(end);
            }
        };
        self.pass_time(Duration::from_secs(timeout)).await?;
        if said.is_none() && ended_by.is_empty() {
            // Without a recording, Twilio continues with the next verb.
            return Ok(Flow::Next);
        }
        let extra = self.keep_said(document, verb, said, &ended_by);
        let url = self.resolve(document, verb.get("action"))?;
        Ok(Flow::Go(Source::Url { url, method: method(verb, "method"), extra }))
    }

    /// Stores a recording and reports it as the verb says; returns the action's fields.
    fn keep_said(&mut self, document: &Document, verb: &Element, said: Option<String>, ended_by: &str) -> Params {
        let letters = said.as_deref().unwrap_or_default().chars().count() as u64;
        let longest = verb.number("maxLength").unwrap_or(LENGTH_MAX);
        let seconds = (1 + letters / 15).min(longest);
        let callback = verb.get("recordingStatusCallback").and_then(|url| document.resolve(Some(url)).ok());
        let callback = callback.map(|url| (url, method(verb, "recordingStatusCallbackMethod")));
        let mut result = self.keep_recording(Duration::from_secs(seconds), "RecordVerb", callback);
        result.push("Digits", ended_by);
        let transcribe = verb.get("transcribeCallback").filter(|_| said.is_some());
        if let Some(url) = transcribe.and_then(|url| document.resolve(Some(url)).ok()) {
            let mut params = self.names();
            params.push("TranscriptionText", said.as_deref().unwrap_or_default());
            params.push("TranscriptionStatus", "completed");
            result
                .iter()
                .filter(|(key, _)| key.starts_with("Recording"))
                .for_each(|(key, value)| params.push(key, value));
            self.carrier.post_soon(&self.account, url, Method::Post, params);
        }
        result
    }

    /// Creates a recording and reports it.
    pub fn keep_recording(&self, length: Duration, source: &str, tells: Option<(String, Method)>) -> Params {
        let (sid, seconds) = (self.carrier.new_sid("RE"), length.as_secs());
        let base = self.carrier.base();
        let url = format!("{base}/2010-04-01/Accounts/{}/Recordings/{sid}", self.account);
        self.note(CallEvent::Recorded { sid: sid.clone(), url: url.clone(), seconds });
        let seconds = seconds.to_string();
        let result: Params = [("RecordingSid", sid.as_str()), ("RecordingUrl", &url), ("RecordingDuration", &seconds)]
            .into_iter()
            .collect();
        if let Some((callback, method)) = tells {
            let mut params = self.names();
            result.iter().for_each(|(key, value)| params.push(key, value));
            params.push("RecordingStatus", "completed");
            params.push("RecordingChannels", "1");
            params.push("RecordingSource", source);
            self.carrier.post_soon(&self.account, callback, method, params);
        }
        result
    }

    /// The SIDs of the call and its account.
    fn names(&self) -> Params {
        [("CallSid", self.sid.as_str()), ("AccountSid", &self.account)].into_iter().collect()
    }
}
