//! A signed request to a webhook, as Twilio makes it: timeouts, retries, connection overrides, and the answer.
//!
//! After <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides> and the error dictionary.

use std::time::Duration;

use reqwest::header;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::carrier::Inner;
use super::method::Method;
use super::store::WebhookOutcome;
use super::validate;
use crate::integrations::http;
use crate::integrations::http::BodyError;
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::signature;

/// TwiML may have 64 kB (error 11750).
const ANSWER_MAX_BYTES: usize = 64 * 1024;

const RETRIEVAL_FAILED: u32 = 11200;
const NO_CONNECTION: u32 = 11205;
const NOT_HTTP: u32 = 11206;
const REDIRECTED: u32 = 11215;
const REFUSED: u32 = 11217;
const TOO_LARGE: u32 = 11750;

/// The overrides in a URL's fragment: `#rc=3&rp=4xx,5xx&ct=500`. Values out of range are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Overrides {
    /// `ct`: 100 to 10,000 ms.
    connect: Duration,
    /// `rt`: 100 to 15,000 ms, for the answer.
    read: Duration,
    /// `tt`: for all attempts together.
    total: Duration,
    /// `rc`: 0 to 5.
    retries: u32,
    /// `rp`: the failures that are retried.
    retry: Vec<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Connect,
    Read,
    Client,
    Server,
}

impl Overrides {
    fn from_url(url: &str) -> Self {
        let fragment = url.split_once('#').map_or("", |(_, fragment)| fragment);
        let params = Params::parse(fragment.as_bytes()).unwrap_or_default();
        let number = |key: &str, least: u64, most: u64, default: u64| {
            let given = params.filled(key).and_then(|text| text.parse().ok());
            given.filter(|number| (least..=most).contains(number)).unwrap_or(default)
        };
        let retry = params.filled("rp").unwrap_or("ct").split(',').flat_map(|policy| match policy {
            "ct" => vec![Failure::Connect],
            "rt" => vec![Failure::Read],
            "4xx" => vec![Failure::Client],
            "5xx" => vec![Failure::Server],
            "all" => vec![Failure::Connect, Failure::Read, Failure::Client, Failure::Server],
            _ => Vec::new(),
        });
        Self {
            connect: Duration::from_millis(number("ct", 100, 10_000, 5_000)),
            read: Duration::from_millis(number("rt", 100, 15_000, 15_000)),
            total: Duration::from_millis(number("tt", 100, 15_000, 15_000)),
            retries: number("rc", 0, 5, 1) as u32,
            retry: retry.collect(),
        }
    }
}

/// The result of all attempts.
pub struct Called {
    pub outcome: WebhookOutcome,
    /// The answer's content type and body, if it is valid.
    pub answer: Option<(String, Vec<u8>)>,
}

/// Why one attempt failed.
struct Failed {
    kind: Failure,
    status: Option<u16>,
    code: u32,
}

impl Inner {
    /// Calls a webhook of an account: signed, and retried as its URL asks.
    pub(super) async fn call(
        &self,
        account: &str,
        url: &str,
        method: Method,
        params: &Params,
        idempotency_token: Option<&str>,
    ) -> Called {
        let failed = |status, attempts, code| Called {
            outcome: WebhookOutcome { status, attempts, error: Some(code) },
            answer: None,
        };
        let overrides = Overrides::from_url(url);
        if let Err(why) = validate::check_loopback(url) {
            tracing::warn!(why, "a webhook was not called");
            return failed(None, 0, RETRIEVAL_FAILED);
        }
        let Some(request) = self.request(account, url, method, params, &overrides) else {
            return failed(None, 0, RETRIEVAL_FAILED);
        };
        let deadline = Instant::now() + overrides.total;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut request = request(overrides.read.min(deadline.saturating_duration_since(Instant::now())));
            if let Some(token) = idempotency_token {
                request = request.header("I-Twilio-Idempotency-Token", token);
            }
            match once(request).await {
                Ok((status, answer)) => {
                    let outcome = WebhookOutcome { status: Some(status), attempts, error: None };
                    return Called { outcome, answer: Some(answer) };
                }
                Err(Failed { kind, status, code }) => {
                    let again = attempts <= overrides.retries && overrides.retry.contains(&kind);
                    if !again || Instant::now() >= deadline {
                        return failed(status, attempts, code);
                    }
                }
            }
        }
    }

    /// Builds requests with a given time limit.
    fn request<'a>(
        &'a self,
        account: &str,
        url: &'a str,
        method: Method,
        params: &'a Params,
        overrides: &Overrides,
    ) -> Option<impl Fn(Duration) -> reqwest::RequestBuilder + 'a> {
        let token = self.accounts.get(account)?.token.expose_secret();
        let bare = url.split_once('#').map_or(url, |(bare, _)| bare);
        let (target, signature) = match method {
            Method::Post => (bare.to_owned(), signature::sign(token, bare, params)),
            Method::Get => {
                let target = format!("{bare}{}{}", if bare.contains('?') { '&' } else { '?' }, params.encode());
                let signature = signature::sign(token, &target, &Params::default());
                (target, signature)
            }
        };
        let http = if overrides.connect == http::CONNECT_TIMEOUT {
            self.http.clone()
        } else {
            http::client_connecting_within(overrides.connect).ok()?
        };
        Some(move |within| {
            let request = match method {
                Method::Get => http.get(&target),
                Method::Post => http
                    .post(&target)
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
                    .body(params.encode()),
            };
            request
                .timeout(within)
                .header(header::USER_AGENT, "TwilioProxy/1.1")
                .header("X-Home-Region", "us1")
                .header("X-Twilio-Signature", &signature)
        })
    }
}

async fn once(request: reqwest::RequestBuilder) -> Result<(u16, (String, Vec<u8>)), Failed> {
    let mut response = request.send().await.map_err(|error| no_answer(&error))?;
    let status = response.status();
    let failed = |kind, code| Failed { kind, status: Some(status.as_u16()), code };
    if status.is_redirection() {
        // Twilio would follow with a GET, and lose the posted form.
        return Err(failed(Failure::Client, REDIRECTED));
    }
    if status.is_client_error() || status.is_server_error() {
        let kind = if status.is_client_error() { Failure::Client } else { Failure::Server };
        return Err(failed(kind, REFUSED));
    }
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let body = http::read_body(&mut response, ANSWER_MAX_BYTES).await.map_err(|error| match error {
        BodyError::Lost(error) => no_answer(&error),
        BodyError::TooLong(_) => failed(Failure::Client, TOO_LARGE),
    })?;
    Ok((status.as_u16(), (content_type, body)))
}

fn no_answer(error: &reqwest::Error) -> Failed {
    let (kind, code) = if error.is_connect() {
        (Failure::Connect, NO_CONNECTION)
    } else if error.is_timeout() {
        (Failure::Read, NO_CONNECTION)
    } else {
        (Failure::Read, NOT_HTTP)
    };
    Failed { kind, status: None, code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_read_from_the_fragment() {
        let check = |url: &str, retries: u32, read_ms: u64, retry: &[Failure]| {
            let overrides = Overrides::from_url(url);
            assert_eq!((overrides.retries, overrides.read.as_millis() as u64), (retries, read_ms), "{url}");
            assert_eq!(overrides.retry, retry, "{url}");
        };
        check("http://127.0.0.1/a?rc=5", 1, 15_000, &[Failure::Connect]);
        check("http://127.0.0.1/a#rc=3&rp=4xx,5xx&rt=200", 3, 200, &[Failure::Client, Failure::Server]);
        check("http://127.0.0.1/a#rc=6&rt=99&rp=rt", 1, 15_000, &[Failure::Read]);
        check(
            "http://127.0.0.1/a#rp=all&rc=0",
            0,
            15_000,
            &[Failure::Connect, Failure::Read, Failure::Client, Failure::Server],
        );
    }
}
