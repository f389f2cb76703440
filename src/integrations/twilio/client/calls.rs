//! Calls: begin one, see how it stands, change it, end it. <https://www.twilio.com/docs/voice/api/call-resource>

use chrono::{DateTime, Utc};
use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::create::{Created, SendError};
use super::list::{ListError, PAGE_SIZE, rfc2822, text_or_empty};
use super::{Account, BODY_MAX_BYTES, Client, PAGE_MAX_BYTES};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::words::{
    CallEvent, MachineDetection, Method, RecordingEvent, RecordingTrack, Trim, Word,
};

/// What is done when a call is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// The document that is fetched there.
    Url { url: String, method: Option<Method> },
    /// A document of at most [`crate::integrations::twilio::twiml::REST_MAX_CHARS`].
    Twiml(String),
}

/// Whether the two parties are recorded on one channel or each on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingChannels {
    Mono,
    Dual,
}

impl Word for RecordingChannels {
    fn as_str(self) -> &'static str {
        match self {
            Self::Mono => "mono",
            Self::Dual => "dual",
        }
    }
}

/// The whole call is recorded. What is `None` is as Twilio has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRecording {
    pub channels: Option<RecordingChannels>,
    pub track: Option<RecordingTrack>,
    pub trim: Option<Trim>,
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    pub status_callback_events: Vec<RecordingEvent>,
}

/// A call to begin. What is `None` is as Twilio has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// A number of the account, or one that it has verified: E.164, or `client:…`.
    pub from: String,
    /// E.164, `sip:…` or `client:…`.
    pub to: String,
    pub instructions: Instructions,
    /// Asked where the URL of the instructions fails.
    pub fallback_url: Option<String>,
    pub fallback_method: Option<Method>,
    /// Where to report how it fares. No underscore in the host.
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    /// None for `completed` alone.
    pub status_callback_events: Vec<CallEvent>,
    /// How long it rings: 60 by default, 600 at most.
    pub timeout_s: Option<u32>,
    /// How long it lasts, once answered.
    pub time_limit_s: Option<u32>,
    /// Keys to press once it is answered, 32 at most; `w` waits half a second.
    pub send_digits: Option<String>,
    /// With a status callback the call goes on while it is found out who answers.
    pub machine_detection: Option<MachineDetection>,
    pub recording: Option<CallRecording>,
}

impl NewCall {
    pub fn new(from: impl Into<String>, to: impl Into<String>, instructions: Instructions) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            instructions,
            fallback_url: None,
            fallback_method: None,
            status_callback: None,
            status_callback_method: None,
            status_callback_events: Vec::new(),
            timeout_s: None,
            time_limit_s: None,
            send_digits: None,
            machine_detection: None,
            recording: None,
        }
    }

    fn params(&self) -> Params {
        let mut params = Params::default();
        params.push("To", &self.to);
        params.push("From", &self.from);
        self.instructions.write(&mut params);
        params.text("FallbackUrl", self.fallback_url.as_deref());
        params.word("FallbackMethod", self.fallback_method);
        params.text("StatusCallback", self.status_callback.as_deref());
        params.word("StatusCallbackMethod", self.status_callback_method);
        self.status_callback_events.iter().for_each(|event| params.push("StatusCallbackEvent", event.as_str()));
        params.number("Timeout", self.timeout_s);
        params.number("TimeLimit", self.time_limit_s);
        params.text("SendDigits", self.send_digits.as_deref());
        if let Some(detection) = &self.machine_detection {
            write_detection(&mut params, detection);
        }
        if let Some(recording) = &self.recording {
            recording.write(&mut params);
        }
        params
    }
}

impl Instructions {
    fn write(&self, params: &mut Params) {
        match self {
            Self::Url { url, method } => {
                params.push("Url", url);
                params.word("Method", *method);
            }
            Self::Twiml(document) => params.push("Twiml", document),
        }
    }
}

impl CallRecording {
    fn write(&self, params: &mut Params) {
        params.push("Record", "true");
        params.word("RecordingChannels", self.channels);
        params.word("RecordingTrack", self.track);
        params.word("Trim", self.trim);
        params.text("RecordingStatusCallback", self.status_callback.as_deref());
        params.word("RecordingStatusCallbackMethod", self.status_callback_method);
        for event in &self.status_callback_events {
            params.push("RecordingStatusCallbackEvent", event.as_str());
        }
    }
}

fn write_detection(params: &mut Params, detection: &MachineDetection) {
    params.push("MachineDetection", detection.detect.as_str());
    params.number("MachineDetectionTimeout", detection.timeout_s);
    params.number("MachineDetectionSpeechThreshold", detection.speech_threshold_ms);
    params.number("MachineDetectionSpeechEndThreshold", detection.speech_end_threshold_ms);
    params.number("MachineDetectionSilenceTimeout", detection.silence_timeout_ms);
    if let Some(url) = &detection.status_callback {
        params.push("AsyncAmd", "true");
        params.push("AsyncAmdStatusCallback", url);
        params.word("AsyncAmdStatusCallbackMethod", detection.status_callback_method);
    }
}

impl Params {
    fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.push(key, text);
        }
    }

    fn word(&mut self, key: &str, word: Option<impl Word>) {
        self.text(key, word.map(Word::as_str));
    }

    fn number(&mut self, key: &str, number: Option<u32>) {
        self.text(key, number.map(|number| number.to_string()).as_deref());
    }
}

/// A change of a call that is not over yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallUpdate {
    /// Ends it if it is not answered yet.
    Cancel,
    /// Ends it, however it stands.
    Complete,
    /// It goes on with these, at once: what it was doing ends.
    Redirect(Instructions),
}

impl CallUpdate {
    fn params(&self) -> Params {
        let mut params = Params::default();
        match self {
            Self::Cancel => params.push("Status", "canceled"),
            Self::Complete => params.push("Status", "completed"),
            Self::Redirect(instructions) => instructions.write(&mut params),
        }
        params
    }
}

/// A call as Twilio keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CallResource {
    pub sid: String,
    pub status: String,
    /// `inbound`, `outbound-api` or `outbound-dial`.
    #[serde(default, deserialize_with = "text_or_empty")]
    pub direction: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub from: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub to: String,
    #[serde(default)]
    pub parent_call_sid: Option<String>,
    /// To the second, as the others.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_created: Option<DateTime<Utc>>,
    /// When it was answered, or began to ring; absent while it is queued.
    #[serde(default, deserialize_with = "rfc2822")]
    pub start_time: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "rfc2822")]
    pub end_time: Option<DateTime<Utc>>,
    #[serde(default, rename = "duration", deserialize_with = "seconds")]
    pub duration_s: Option<u32>,
    #[serde(default)]
    pub answered_by: Option<String>,
    /// A text such as `-0.0085`; comes some time after the end.
    #[serde(default)]
    pub price: Option<String>,
    #[serde(default)]
    pub price_unit: Option<String>,
}

/// Which calls to list; `None` sets no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    pub to: Option<String>,
    pub from: Option<String>,
    /// Twilio's word, such as `in-progress`.
    pub status: Option<String>,
    /// Started at this instant (to the second) or later. A call that is still queued has not started: leave this out
    /// where such must be found.
    pub started_from: Option<DateTime<Utc>>,
    /// Started at this instant or before.
    pub started_until: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Page {
    calls: Vec<CallResource>,
    #[serde(default)]
    next_page_uri: Option<String>,
}

impl Client {
    /// Begins a call: one request, never repeated.
    pub async fn create_call(&self, account: &Account, call: &NewCall) -> Result<Created, SendError> {
        self.create(account, &["Calls.json"], &call.params()).await
    }

    /// Changes a call: one request, never repeated. One that is over is refused with 21220.
    pub async fn update_call(
        &self,
        account: &Account,
        sid: &str,
        update: &CallUpdate,
    ) -> Result<CallResource, SendError> {
        self.create(account, &["Calls", &format!("{sid}.json")], &update.params()).await
    }

    /// `None` if Twilio has no such call.
    pub async fn fetch_call(&self, account: &Account, sid: &str) -> Result<Option<CallResource>, ListError> {
        let url = self.url(account, &["Calls", &format!("{sid}.json")]);
        match self.get(account, self.http.get(url), BODY_MAX_BYTES).await {
            Ok(call) => Ok(Some(call)),
            Err(ListError::Refused { http_status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every call that fits, the newest first. A list of more than `max_pages` pages of a thousand is an error: where there
    /// is an answer, a call that is not in it does not exist.
    pub async fn list_calls(
        &self,
        account: &Account,
        filter: &CallFilter,
        max_pages: usize,
    ) -> Result<Vec<CallResource>, ListError> {
        let mut calls = Vec::new();
        let mut url = self.first_page_of_calls(account, filter);
        for _ in 0..max_pages {
            let page: Page = self.get(account, self.http.get(url), PAGE_MAX_BYTES).await?;
            calls.extend(page.calls);
            let Some(uri) = page.next_page_uri else { return Ok(calls) };
            url = self.same_base(&uri)?;
        }
        Err(ListError::TooLong { max_pages })
    }

    fn first_page_of_calls(&self, account: &Account, filter: &CallFilter) -> Url {
        let mut url = self.url(account, &["Calls.json"]);
        let instant = |at: Option<DateTime<Utc>>| at.map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        let conditions = [
            ("PageSize", Some(PAGE_SIZE.to_owned())),
            ("To", filter.to.clone()),
            ("From", filter.from.clone()),
            ("Status", filter.status.clone()),
            ("StartTime>", instant(filter.started_from)),
            ("StartTime<", instant(filter.started_until)),
        ];
        let conditions = conditions.into_iter().filter_map(|(key, value)| Some((key, value?)));
        url.query_pairs_mut().extend_pairs(conditions);
        url
    }
}

/// Twilio writes numbers as texts here.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrations::twilio::words::Detect;

    fn client() -> Client {
        Client::new(super::super::http().unwrap(), "https://api.twilio.com").unwrap()
    }

    #[test]
    fn the_form_holds_what_is_set() {
        let twiml = "<Response><Hangup/></Response>".to_owned();
        let call = NewCall::new("+34911222333", "+34600111222", Instructions::Twiml(twiml));
        let expect = "To=%2B34600111222&From=%2B34911222333&Twiml=%3CResponse%3E%3CHangup%2F%3E%3C%2FResponse%3E";
        assert_eq!(call.params().encode(), expect);
    }

    #[test]
    fn the_form_holds_everything() {
        let url = Instructions::Url { url: "https://a/voice".into(), method: Some(Method::Post) };
        let call = NewCall {
            fallback_url: Some("https://a/fallback".into()),
            fallback_method: Some(Method::Get),
            status_callback: Some("https://a/status".into()),
            status_callback_method: Some(Method::Post),
            status_callback_events: vec![CallEvent::Ringing, CallEvent::Completed],
            timeout_s: Some(25),
            time_limit_s: Some(600),
            send_digits: Some("ww1#".into()),
            machine_detection: Some(MachineDetection {
                detect: Detect::DetectMessageEnd,
                timeout_s: Some(20),
                speech_threshold_ms: Some(2000),
                speech_end_threshold_ms: Some(1000),
                silence_timeout_ms: Some(4000),
                status_callback: Some("https://a/amd".into()),
                status_callback_method: Some(Method::Post),
            }),
            recording: Some(CallRecording {
                channels: Some(RecordingChannels::Dual),
                track: Some(RecordingTrack::Both),
                trim: Some(Trim::DoNotTrim),
                status_callback: Some("https://a/rec".into()),
                status_callback_method: Some(Method::Post),
                status_callback_events: vec![RecordingEvent::Completed, RecordingEvent::Absent],
            }),
            ..NewCall::new("+1", "+2", url)
        };
        let params = call.params();
        let sent: Vec<_> = params.iter().collect();
        let expect = [
            ("To", "+2"),
            ("From", "+1"),
            ("Url", "https://a/voice"),
            ("Method", "POST"),
            ("FallbackUrl", "https://a/fallback"),
            ("FallbackMethod", "GET"),
            ("StatusCallback", "https://a/status"),
            ("StatusCallbackMethod", "POST"),
            ("StatusCallbackEvent", "ringing"),
            ("StatusCallbackEvent", "completed"),
            ("Timeout", "25"),
            ("TimeLimit", "600"),
            ("SendDigits", "ww1#"),
            ("MachineDetection", "DetectMessageEnd"),
            ("MachineDetectionTimeout", "20"),
            ("MachineDetectionSpeechThreshold", "2000"),
            ("MachineDetectionSpeechEndThreshold", "1000"),
            ("MachineDetectionSilenceTimeout", "4000"),
            ("AsyncAmd", "true"),
            ("AsyncAmdStatusCallback", "https://a/amd"),
            ("AsyncAmdStatusCallbackMethod", "POST"),
            ("Record", "true"),
            ("RecordingChannels", "dual"),
            ("RecordingTrack", "both"),
            ("Trim", "do-not-trim"),
            ("RecordingStatusCallback", "https://a/rec"),
            ("RecordingStatusCallbackMethod", "POST"),
            ("RecordingStatusCallbackEvent", "completed"),
            ("RecordingStatusCallbackEvent", "absent"),
        ];
        assert_eq!(sent, expect);
    }

    #[test]
    fn changes_are_written() {
        let check = |update: CallUpdate, expect: &str| assert_eq!(update.params().encode(), expect);
        check(CallUpdate::Cancel, "Status=canceled");
        check(CallUpdate::Complete, "Status=completed");
        let url = Instructions::Url { url: "https://a/b".into(), method: None };
        check(CallUpdate::Redirect(url), "Url=https%3A%2F%2Fa%2Fb");
        check(CallUpdate::Redirect(Instructions::Twiml("<Response/>".into())), "Twiml=%3CResponse%2F%3E");
    }

    #[test]
    fn a_resource_is_read() {
        let json = r#"{"sid":"CA1","status":"completed","direction":"outbound-api","from":"+34911222333","to":"+34600111222",
            "parent_call_sid":null,"date_created":"Sat, 21 Nov 2026 08:00:00 +0000",
            "start_time":"Sat, 21 Nov 2026 08:00:02 +0000","end_time":"Sat, 21 Nov 2026 08:01:05 +0000","duration":"63",
            "answered_by":"human","price":"-0.0085","price_unit":"USD","queue_time":"0","subresource_uris":{}}"#;
        let call: CallResource = serde_json::from_str(json).unwrap();
        assert_eq!((call.duration_s, call.answered_by.as_deref()), (Some(63), Some("human")));
        assert_eq!(call.end_time.unwrap() - call.start_time.unwrap(), chrono::TimeDelta::seconds(63));
        let queued: CallResource =
            serde_json::from_str(r#"{"sid":"CA1","status":"queued","from":null,"start_time":null,"duration":null}"#)
                .unwrap();
        assert_eq!((queued.from.as_str(), queued.start_time, queued.duration_s), ("", None, None));
    }

    #[test]
    fn the_first_page_asks_for_what_is_filtered() {
        let account = Account { sid: "AC1".into(), token: "t".into() };
        let filter = CallFilter {
            to: Some("+34600111222".into()),
            from: Some("client:ana".into()),
            status: Some("in-progress".into()),
            started_from: DateTime::from_timestamp(1_795_248_000, 500),
            started_until: DateTime::from_timestamp(1_795_251_600, 0),
        };
        let query = "PageSize=1000&To=%2B34600111222&From=client%3Aana&Status=in-progress\
                     &StartTime%3E=2026-11-21T08%3A00%3A00Z&StartTime%3C=2026-11-21T09%3A00%3A00Z";
        assert_eq!(client().first_page_of_calls(&account, &filter).query(), Some(query));
        let all = client().first_page_of_calls(&account, &CallFilter::default());
        assert_eq!(all.query(), Some("PageSize=1000"));
    }
}
