//! Calls: create, fetch, update, list. <https://www.twilio.com/docs/voice/api/call-resource>

use chrono::{DateTime, Utc};
use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::create::{Created, SendError};
use super::list::{ListError, PAGE_SIZE, required_option, rfc2822, text_or_empty};
use super::{Account, BODY_MAX_BYTES, Client, PAGE_MAX_BYTES};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::types::{CallEvent, MachineDetection, Method};

/// The TwiML for a call that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// The URL of a document.
    Url { url: String, method: Option<Method> },
    /// A document of at most 4,000 characters.
    Twiml(String),
}

/// A call to create. Fields that are `None` get Twilio's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// A number of the account, or one it has verified: E.164, or `client:…`.
    pub from: String,
    /// E.164, `sip:…` or `client:…`.
    pub to: String,
    pub instructions: Instructions,
    /// Requested if the URL of the instructions fails.
    pub fallback_url: Option<String>,
    pub fallback_method: Option<Method>,
    /// Gets status callbacks. The host must not contain an underscore.
    pub status_callback: Option<String>,
    pub status_callback_method: Option<Method>,
    /// Empty only for `completed`.
    pub status_callback_events: Vec<CallEvent>,
    /// Ringing time: 60 by default, at most 600.
    pub timeout_s: Option<u32>,
    /// Detects answering machines; the first request for TwiML waits for the result.
    pub machine_detection: Option<MachineDetection>,
    /// Records the whole call and reports the recording to this URL.
    pub recording_status_callback: Option<String>,
}

impl NewCall {
    /// Creates a call with Twilio's defaults.
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
            machine_detection: None,
            recording_status_callback: None,
        }
    }

    fn params(&self) -> Params {
        let mut params = Params::default();
        params.push("To", &self.to);
        params.push("From", &self.from);
        self.instructions.write(&mut params);
        params.text("FallbackUrl", self.fallback_url.as_deref());
        params.value("FallbackMethod", self.fallback_method);
        params.text("StatusCallback", self.status_callback.as_deref());
        params.value("StatusCallbackMethod", self.status_callback_method);
        self.status_callback_events.iter().for_each(|event| params.push("StatusCallbackEvent", (*event).into()));
        params.number("Timeout", self.timeout_s);
        params.value("MachineDetection", self.machine_detection);
        if let Some(url) = &self.recording_status_callback {
            params.push("Record", "true");
            params.push("RecordingStatusCallback", url);
        }
        params
    }
}

impl Instructions {
    fn write(&self, params: &mut Params) {
        match self {
            Self::Url { url, method } => {
                params.push("Url", url);
                params.value("Method", *method);
            }
            Self::Twiml(document) => params.push("Twiml", document),
        }
    }
}

impl Params {
    fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.push(key, text);
        }
    }

    fn value(&mut self, key: &str, value: Option<impl Into<&'static str>>) {
        self.text(key, value.map(Into::into));
    }

    fn number(&mut self, key: &str, number: Option<u32>) {
        self.text(key, number.map(|number| number.to_string()).as_deref());
    }
}

/// A change of a call that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallUpdate {
    /// Ends the call if it is not answered yet.
    Cancel,
    /// Ends the call in any state.
    Complete,
    /// Interrupts the call and continues with these instructions.
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

/// A call in Twilio's API.
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
    /// To the second, like the other times.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_created: Option<DateTime<Utc>>,
    /// When it was answered, or began to ring; absent while queued.
    #[serde(default, deserialize_with = "rfc2822")]
    pub start_time: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "rfc2822")]
    pub end_time: Option<DateTime<Utc>>,
    #[serde(default, rename = "duration", deserialize_with = "seconds")]
    pub duration_s: Option<u32>,
    #[serde(default)]
    pub answered_by: Option<String>,
    /// A text, for example `-0.0085`; appears some time after the end.
    #[serde(default)]
    pub price: Option<String>,
    #[serde(default)]
    pub price_unit: Option<String>,
}

/// Selects calls; `None` sets no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    pub to: Option<String>,
    pub from: Option<String>,
    /// Twilio's status, for example `in-progress`.
    pub status: Option<String>,
    /// Started at this instant (to the second) or later. A queued call has not started: leave this out to find it.
    pub started_from: Option<DateTime<Utc>>,
    /// Started at this instant or before.
    pub started_until: Option<DateTime<Utc>>,
}

/// Every matching call, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallList {
    pub calls: Vec<CallResource>,
    /// Twilio's time of the first page, to the second.
    pub date: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Page {
    calls: Vec<CallResource>,
    #[serde(deserialize_with = "required_option")]
    next_page_uri: Option<String>,
}

impl Client {
    /// Creates a call: one request, never repeated.
    pub async fn create_call(&self, account: &Account, call: &NewCall) -> Result<Created, SendError> {
        self.create(account, &["Calls.json"], &call.params()).await
    }

    /// Updates a call: one request, never repeated. A call that has ended is refused with 21220.
    pub async fn update_call(
        &self,
        account: &Account,
        sid: &str,
        update: &CallUpdate,
    ) -> Result<CallResource, SendError> {
        self.create(account, &["Calls", &format!("{sid}.json")], &update.params()).await
    }

    /// Fetches a call; `None` if Twilio has no such call.
    pub async fn fetch_call(&self, account: &Account, sid: &str) -> Result<Option<CallResource>, ListError> {
        let url = self.url(account, &["Calls", &format!("{sid}.json")]);
        match self.get(account, self.http.get(url), BODY_MAX_BYTES).await {
            Ok(call) => Ok(Some(call)),
            Err(ListError::Refused { http_status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists every matching call, newest first. More than `max_pages` pages of a thousand are an error: a call that is
    /// not in the answer does not exist.
    pub async fn list_calls(
        &self,
        account: &Account,
        filter: &CallFilter,
        max_pages: usize,
    ) -> Result<CallList, ListError> {
        let mut list = CallList::default();
        let mut url = self.first_page_of_calls(account, filter);
        for _ in 0..max_pages {
            let (page, date) = self.get_dated::<Page>(account, self.http.get(url), PAGE_MAX_BYTES).await?;
            list.date = list.date.or(date);
            list.calls.extend(page.calls);
            let Some(uri) = page.next_page_uri else { return Ok(list) };
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

/// Twilio writes these numbers as texts.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client::new(crate::integrations::http::client().unwrap(), "https://api.twilio.com").unwrap()
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
            machine_detection: Some(MachineDetection::DetectMessageEnd),
            recording_status_callback: Some("https://a/rec".into()),
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
            ("MachineDetection", "DetectMessageEnd"),
            ("Record", "true"),
            ("RecordingStatusCallback", "https://a/rec"),
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
