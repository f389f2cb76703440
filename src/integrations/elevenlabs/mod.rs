//! Conversations with an agent of ElevenLabs: a signed URL by HTTP, then a WebSocket
//! (<https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket>).
//!
//! The key travels by HTTP only. A signed URL opens one conversation, so it is a secret too. Sockets are `wss`; `ws` is
//! allowed only to this machine, for the emulator. [`message`] has the messages of the socket.

mod error;
pub mod message;

use std::time::Duration;

use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

pub use error::ElevenLabsError;

use crate::config::is_loopback_url;
use crate::integrations::http;

/// Limit of one frame or message from ElevenLabs: over a minute of μ-law audio in base64.
pub const FRAME_MAX_BYTES: usize = 1024 * 1024;
/// Limit of the answer with the signed URL.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// Size of the read buffer; audio frames are small.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// An open conversation.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The client. Clones are cheap and share their connections.
#[derive(Clone, Debug)]
pub struct ElevenLabs {
    http: reqwest::Client,
    base: Url,
    key: Option<SecretString>,
}

/// The URL of one conversation, valid for some minutes.
#[derive(Clone, Debug)]
pub struct SignedUrl(SecretString);

#[derive(Deserialize)]
struct Signed {
    signed_url: String,
}

impl ElevenLabs {
    /// Creates a client. `http` must not follow redirects; `base` is for example `https://api.elevenlabs.io`.
    ///
    /// # Errors
    /// [`ElevenLabsError::BadBase`].
    pub fn new(http: reqwest::Client, base: &str, key: Option<SecretString>) -> Result<Self, ElevenLabsError> {
        let bad = || ElevenLabsError::BadBase(base.chars().take(100).collect());
        let url = Url::parse(base).map_err(|_| bad())?;
        let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback_url(base));
        if safe && url.path() == "/" && url.query().is_none() { Ok(Self { http, base: url, key }) } else { Err(bad()) }
    }

    /// True if there is a key; otherwise no conversation can be opened.
    pub const fn is_configured(&self) -> bool {
        self.key.is_some()
    }

    /// Gets a signed URL and opens its socket, both within `deadline`.
    ///
    /// # Errors
    /// See [`ElevenLabsError`].
    pub async fn open(&self, agent: &str, deadline: Duration) -> Result<Socket, ElevenLabsError> {
        let whole = async { connect(&self.ask(agent).await?).await };
        timeout(deadline, whole).await.unwrap_or(Err(ElevenLabsError::TimedOut(deadline)))
    }

    /// Gets the URL of one conversation with `agent`.
    ///
    /// # Errors
    /// See [`ElevenLabsError`].
    pub async fn signed_url(&self, agent: &str, deadline: Duration) -> Result<SignedUrl, ElevenLabsError> {
        timeout(deadline, self.ask(agent)).await.unwrap_or(Err(ElevenLabsError::TimedOut(deadline)))
    }

    async fn ask(&self, agent: &str) -> Result<SignedUrl, ElevenLabsError> {
        let key = self.key.as_ref().ok_or(ElevenLabsError::NotConfigured)?;
        let mut url = self.base.clone();
        url.set_path("/v1/convai/conversation/get-signed-url");
        url.query_pairs_mut().append_pair("agent_id", agent);
        let request = self.http.get(url).header("xi-api-key", key.expose_secret());
        let mut response = request.send().await.map_err(|error| ElevenLabsError::Lost(http::describe(error)))?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(ElevenLabsError::Unauthorized),
            StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => return Err(ElevenLabsError::NoAgent),
            StatusCode::TOO_MANY_REQUESTS => return Err(ElevenLabsError::RateLimited),
            status => return Err(ElevenLabsError::Refused(status.as_u16())),
        }
        let body = http::read_body(&mut response, ANSWER_MAX_BYTES).await;
        let body = body.map_err(|error| ElevenLabsError::Garbled(error.to_string()))?;
        let signed = serde_json::from_slice::<Signed>(&body);
        SignedUrl::parse(
            &signed.map_err(|_| ElevenLabsError::Garbled("there is no signed_url in it".to_owned()))?.signed_url,
        )
    }
}

impl SignedUrl {
    fn parse(text: &str) -> Result<Self, ElevenLabsError> {
        let url = Url::parse(text).map_err(|_| ElevenLabsError::Garbled("its signed_url is no URL".to_owned()))?;
        if url.scheme() == "wss" || (url.scheme() == "ws" && is_loopback_url(text)) {
            Ok(Self(text.into()))
        } else {
            Err(ElevenLabsError::Garbled("its signed_url is not wss://".to_owned()))
        }
    }
}

/// Opens the socket. The caller limits the time.
async fn connect(url: &SignedUrl) -> Result<Socket, ElevenLabsError> {
    http::install_tls();
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(FRAME_MAX_BYTES))
        .max_frame_size(Some(FRAME_MAX_BYTES));
    // Audio frames are small and come every 20 ms: waiting to fill a segment would delay them.
    let nodelay = true;
    let opened = connect_async_with_config(url.0.expose_secret(), Some(config), nodelay).await;
    opened.map(|(socket, _)| socket).map_err(|error| ElevenLabsError::NoSocket(error::shown(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_voices_go_over_tls_or_stay_on_this_machine() {
        let client = |base: &str| ElevenLabs::new(http::client().unwrap(), base, Some("sk_secret".into()));
        for good in ["https://api.elevenlabs.io", "https://api.eu.residency.elevenlabs.io/", "http://127.0.0.1:8011"] {
            assert!(client(good).is_ok(), "{good}");
        }
        for bad in ["http://api.elevenlabs.io", "api.elevenlabs.io", "wss://api.elevenlabs.io", "https://a.b/v1", ""] {
            assert!(client(bad).is_err(), "{bad}");
        }
        for good in ["wss://api.elevenlabs.io/v1/convai/conversation?agent_id=a", "ws://127.0.0.1:9/x", "ws://[::1]:9/"]
        {
            assert!(SignedUrl::parse(good).is_ok(), "{good}");
        }
        for bad in ["ws://api.elevenlabs.io/x", "https://api.elevenlabs.io/x", "ws://127.0.0.1.example.com/", ""] {
            assert!(SignedUrl::parse(bad).is_err(), "{bad}");
        }
        let shown = format!("{:?} {:?}", client("https://a.b").unwrap(), SignedUrl::parse("wss://a/?token=secret"));
        assert!(!shown.contains("secret\"") && !shown.contains("sk_") && !shown.contains("token"), "{shown}");
    }
}
