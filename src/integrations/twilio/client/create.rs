//! Creates messages, and sorts the outcomes of all creates for the ledger.

use std::time::Duration;

use reqwest::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Account, Answer, BODY_MAX_BYTES, Client, RequestFailure};
use crate::integrations::twilio::codes;
use crate::integrations::twilio::form::Params;

/// The sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A number in Twilio's format: `+34911222333`, `whatsapp:+34911222333`.
    Number(String),
    /// The SID of a Messaging Service (`MG…`), which chooses the number.
    MessagingService(String),
}

/// A message to create. It needs a `body` (at most 1,600 characters), media (at most ten) or a `content_sid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    pub from: From,
    /// In Twilio's format: `+34600111222`, `whatsapp:+34600111222`.
    pub to: String,
    pub body: Option<String>,
    pub media_urls: Vec<String>,
    /// An approved template, `HX…`; WhatsApp then accepts neither body nor media.
    pub content_sid: Option<String>,
    /// A JSON object of texts: `{"1": "Ana"}`.
    pub content_variables: Option<String>,
    /// Gets status callbacks. The host must not contain an underscore.
    pub status_callback: Option<String>,
}

impl NewMessage {
    /// Creates a message with a text only.
    pub fn text(from: From, to: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            from,
            to: to.into(),
            body: Some(body.into()),
            media_urls: Vec::new(),
            content_sid: None,
            content_variables: None,
            status_callback: None,
        }
    }

    fn params(&self) -> Params {
        let mut params = Params::default();
        params.push("To", &self.to);
        match &self.from {
            From::Number(number) => params.push("From", number),
            From::MessagingService(sid) => params.push("MessagingServiceSid", sid),
        }
        let optional = [
            ("Body", &self.body),
            ("ContentSid", &self.content_sid),
            ("ContentVariables", &self.content_variables),
            ("StatusCallback", &self.status_callback),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                params.push(key, value);
            }
        }
        self.media_urls.iter().for_each(|url| params.push("MediaUrl", url));
        params
    }
}

/// Twilio accepted the message, or the call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Created {
    /// `SM…` or `MM…`, for a call `CA…`.
    pub sid: String,
    /// `queued`, or `accepted` if a Messaging Service chooses the number.
    pub status: String,
    #[serde(default)]
    pub error_code: Option<u32>,
}

/// Why nothing was created, by what may be done next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No byte of the request was sent: a retry is safe.
    #[error("Twilio could not be reached ({why}); nothing was sent: check the network and TWILIO's base URL")]
    NotSent { why: String },
    /// 429, not processed (<https://www.twilio.com/docs/api/errors/20429>): a later retry is safe.
    #[error("Twilio takes no more requests for now (429); nothing was sent: lower the rate if this lasts")]
    Throttled { retry_after: Option<Duration> },
    /// 503 with Twilio's code 20503, not processed: a later retry is safe.
    #[error("Twilio is not available (503); nothing was sent: see status.twilio.com if this lasts")]
    Unavailable { retry_after: Option<Duration> },
    /// 401 or 20003: nothing passes until a person changes the credentials.
    #[error("Twilio refuses the credentials (HTTP {http_status}: {message}): check the account's SID and auth token")]
    Unauthorized { http_status: u16, message: String },
    /// Not accepted. [`codes::lookup`] tells if a retry makes sense.
    #[error("Twilio refused it (HTTP {http_status}, code {}): {message}{}", code_text(*code), remedy(*code))]
    Refused { http_status: u16, code: Option<u32>, message: String },
    /// Accepted or not: reconcile first, never retry blindly.
    #[error(
        "whether Twilio took the message is not known ({why}): it is looked for in Twilio's list before anything else"
    )]
    Unknown { why: String },
}

impl Client {
    /// Creates a message: one request, never repeated.
    pub async fn create_message(&self, account: &Account, message: &NewMessage) -> Result<Created, SendError> {
        self.create(account, &["Messages.json"], &message.params()).await
    }

    /// Posts a form: one request, never repeated.
    pub(super) async fn create<T: DeserializeOwned>(
        &self,
        account: &Account,
        path: &[&str],
        params: &Params,
    ) -> Result<T, SendError> {
        let request = self
            .http
            .post(self.url(account, path))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(params.encode());
        match self.call(account, request, BODY_MAX_BYTES).await {
            Err(RequestFailure::NotSent(why)) => Err(SendError::NotSent { why }),
            Err(RequestFailure::Unknown(why)) => Err(SendError::Unknown { why }),
            Ok(answer) => classify(answer),
        }
    }
}

fn classify<T: DeserializeOwned>(answer: Answer) -> Result<T, SendError> {
    let status = answer.status;
    let http_status = status.as_u16();
    if status.is_success() {
        let body = answer.body.map_err(|why| SendError::Unknown { why })?;
        return serde_json::from_slice(&body).map_err(|error| SendError::Unknown {
            why: format!("HTTP {http_status}, but the answer cannot be read: {error}"),
        });
    }
    let retry_after = answer.retry_after;
    let (code, message) = match answer.api_error() {
        Some(error) => (error.code, error.message),
        None => (None, format!("HTTP {http_status} without an error of Twilio's")),
    };
    Err(match (status, code) {
        (StatusCode::TOO_MANY_REQUESTS, _) => SendError::Throttled { retry_after },
        // A 503 without a code comes from something in between and tells nothing about Twilio: it is unknown.
        (StatusCode::SERVICE_UNAVAILABLE, Some(_)) => SendError::Unavailable { retry_after },
        (StatusCode::UNAUTHORIZED, _) | (_, Some(20003)) => SendError::Unauthorized { http_status, message },
        (StatusCode::REQUEST_TIMEOUT, _) => SendError::Unknown { why: message },
        _ if status.is_client_error() => SendError::Refused { http_status, code, message },
        _ if status.is_redirection() => {
            let message = "the base URL redirects: configure the address it leads to".to_owned();
            SendError::Refused { http_status, code, message }
        }
        _ => SendError::Unknown { why: format!("HTTP {http_status}: {message}") },
    })
}

pub(super) fn code_text(code: Option<u32>) -> String {
    code.map_or_else(|| "none".to_owned(), |code| code.to_string())
}

pub(super) fn remedy(code: Option<u32>) -> String {
    code.and_then(codes::lookup).map_or_else(String::new, |code| format!(": {}", code.remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Created, SendError> {
        classify(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            date: None,
            body: Ok(body.into()),
        })
    }

    fn name(result: Result<Created, SendError>) -> &'static str {
        match result {
            Ok(_) => "created",
            Err(SendError::NotSent { .. }) => "not sent",
            Err(SendError::Throttled { .. }) => "throttled",
            Err(SendError::Unavailable { .. }) => "unavailable",
            Err(SendError::Unauthorized { .. }) => "unauthorized",
            Err(SendError::Refused { .. }) => "refused",
            Err(SendError::Unknown { .. }) => "unknown",
        }
    }

    #[test]
    fn answers_are_sorted() {
        let check = |status, body: &str, expect| assert_eq!(name(answer(status, body)), expect, "{status} {body}");
        check(201, r#"{"sid":"SM1","status":"queued","error_code":null,"more":1}"#, "created");
        check(200, r#"{"sid":"SM1","status":"queued"}"#, "created");
        check(201, r#"{"status":"queued"}"#, "unknown");
        check(201, "<html>", "unknown");
        check(204, "", "unknown");
        check(302, "", "refused");
        check(400, r#"{"code":21211,"message":"The 'To' number","status":400}"#, "refused");
        check(400, "Bad Request", "refused");
        check(401, "", "unauthorized");
        check(403, r#"{"code":20003,"message":"Authenticate"}"#, "unauthorized");
        check(404, r#"{"code":20404,"message":"not found"}"#, "refused");
        check(408, "", "unknown");
        check(429, "", "throttled");
        check(500, r#"{"code":20500,"message":"oops"}"#, "unknown");
        check(502, "", "unknown");
        check(503, r#"{"code":20503,"message":"busy"}"#, "unavailable");
        check(503, "<html>upstream", "unknown");
        check(504, "", "unknown");
    }

    #[test]
    fn refusals_say_what_to_do() {
        let text = answer(400, r#"{"code":21610,"message":"Attempt to send to unsubscribed recipient"}"#)
            .unwrap_err()
            .to_string();
        assert!(text.contains("21610") && text.contains("unsubscribed") && text.contains("START"), "{text}");
        let long = format!(r#"{{"code":1,"message":"{}"}}"#, "é".repeat(5000));
        assert!(answer(400, &long).unwrap_err().to_string().len() < 1000);
    }

    #[test]
    fn the_form_holds_what_is_set() {
        let mut message =
            NewMessage::text(From::MessagingService("MG1".into()), "whatsapp:+34600111222", "hola & adiós");
        message.media_urls = vec!["https://a/1".into(), "https://a/2".into()];
        let expect = "To=whatsapp%3A%2B34600111222&MessagingServiceSid=MG1&Body=hola+%26+adi%C3%B3s\
                      &MediaUrl=https%3A%2F%2Fa%2F1&MediaUrl=https%3A%2F%2Fa%2F2";
        assert_eq!(message.params().encode(), expect);
    }
}
