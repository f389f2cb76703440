//! The HTTP client of all integrations: how it connects, reads answers and describes errors.
//!
//! **Invariant:** no redirects, no retries. Whether to repeat a request is decided by the caller, never by the client.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::redirect;

/// Time limit for a connection, name lookup and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for a request, from the connection to the last byte of the answer.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// Idle connections are closed before the servers close them: a request on a closing connection is lost.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Idle connections that are kept for one host.
const POOL_IDLE_MAX: usize = 1024;
/// Longer values of `Retry-After` count as this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct ClientError(#[from] reqwest::Error);

/// Creates the client: HTTP/1.1 with kept connections, ring for TLS, no redirects, no retries.
pub fn client() -> Result<reqwest::Client, ClientError> {
    Ok(builder().build()?)
}

/// Creates a client with its own time limit for connections.
pub fn client_connecting_within(limit: Duration) -> Result<reqwest::Client, ClientError> {
    Ok(builder().connect_timeout(limit).build()?)
}

/// Creates a client that uses the proxies of the environment for plain HTTP, too, as other programs of this machine do. It is
/// for requests that hold nothing secret.
pub fn client_through_proxies() -> Result<reqwest::Client, ClientError> {
    let names = ["HTTP_PROXY", "http_proxy"];
    let url = names.into_iter().find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()));
    let proxy = url.and_then(|url| reqwest::Proxy::http(url).ok());
    let proxy = proxy.map(|proxy| proxy.no_proxy(reqwest::NoProxy::from_env()));
    Ok(proxy.into_iter().fold(builder(), reqwest::ClientBuilder::proxy).build()?)
}

/// The settings of every client.
pub fn builder() -> reqwest::ClientBuilder {
    install_tls();
    let proxies = https_proxy().into_iter();
    proxies
        .fold(reqwest::Client::builder().no_proxy(), reqwest::ClientBuilder::proxy)
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(POOL_IDLE_MAX)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("recado/", env!("CARGO_PKG_VERSION")))
}

/// The proxy of the environment, for HTTPS alone: it sees nothing of what goes through it. A request by plain HTTP, such as
/// to a model on this machine, would show it its token.
fn https_proxy() -> Option<reqwest::Proxy> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let url = names.into_iter().find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))?;
    match reqwest::Proxy::https(&url) {
        Ok(proxy) => Some(proxy.no_proxy(reqwest::NoProxy::from_env())),
        Err(_) => {
            tracing::warn!("HTTPS_PROXY is no URL of a proxy: it is not used");
            None
        }
    }
}

/// Installs the TLS provider of the process, once.
pub fn install_tls() {
    // Fails if a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("{}", root_cause(.0))]
    Lost(reqwest::Error),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Reads a whole body of at most `max_bytes`.
pub async fn read_body(response: &mut reqwest::Response, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| BodyError::Lost(error.without_url()))? {
        if body.len() + chunk.len() > max_bytes {
            return Err(BodyError::TooLong(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Describes an error without its URL, which may contain secrets.
pub fn describe(error: reqwest::Error) -> String {
    root_cause(&error.without_url())
}

/// Describes an error by its innermost cause: the outer ones only say that something failed.
pub fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Reads `Retry-After`: seconds, or a date, which counts from the answer's own date (RFC 9110).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, header::RETRY_AFTER)?;
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(value).ok()?;
            (until.to_utc() - date(headers)?).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Reads `Date`: the server's time of the answer, to the second.
pub fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text(headers, header::DATE)?).ok().map(|at| at.to_utc())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read() {
        let check = |value: &str, expect: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::DATE, "Sat, 21 Nov 2026 08:00:00 GMT".parse().unwrap());
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
            assert_eq!(retry_after(&headers), expect.map(Duration::from_secs), "{value}");
        };
        check("3", Some(3));
        check("86400", Some(3600));
        check("Sat, 21 Nov 2026 08:01:00 GMT", Some(60));
        check("Sat, 21 Nov 2026 07:00:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
