//! The URLs that providers are told to call, all built from `APP_URL`. The routes that answer them stand in
//! `src/http/webhooks/`.

use std::fmt::Display;

use crate::domain::Channel;

/// Makes Twilio try three times, and on every kind of failure. By default it retries only failed connections
/// (<https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>).
pub const OVERRIDES: &str = "#rc=3&rp=all";

/// Paths for incoming calls that find the tenant by the number called.
pub const VOICE_WITHOUT_SLUG: [&str; 3] = ["/api/twilio/voice", "/api/voice/webhook", "/api/webhooks/twilio"];
/// Paths for call statuses that find the tenant by the number called.
pub const STATUS_WITHOUT_SLUG: [&str; 3] =
    ["/api/twilio/status", "/api/voice/status-callback", "/api/webhooks/twilio/status"];
/// The path for WhatsApp messages that finds the tenant by the recipient number.
pub const WHATSAPP_WITHOUT_SLUG: &str = "/api/whatsapp/webhook";

/// The webhook URLs of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct WebhookUrls<'a> {
    /// The public base, without a slash at its end.
    base: &'a str,
    slug: &'a str,
}

impl<'a> WebhookUrls<'a> {
    /// `base` is `APP_URL` without a trailing slash.
    pub const fn new(base: &'a str, slug: &'a str) -> Self {
        Self { base, slug }
    }

    fn url(&self, path: impl Display) -> String {
        format!("{}/api/twilio/{}/{path}", self.base, self.slug)
    }

    /// Incoming messages of a channel.
    pub fn messages(&self, channel: Channel) -> String {
        self.url(channel)
    }

    /// Delivery statuses of one message. Our action's id stands in the URL: a callback finds its action even before the
    /// create request is answered.
    pub fn message_status(&self, action: impl Display) -> String {
        self.url(format_args!("messages/{action}/status"))
    }

    /// Incoming calls.
    pub fn answer(&self) -> String {
        self.url("answer")
    }

    /// The other path for incoming calls.
    pub fn voice(&self) -> String {
        self.url("voice")
    }

    /// Fixed TwiML, where nothing else answers.
    pub fn fallback(&self) -> String {
        self.url("fallback")
    }

    /// Statuses of incoming calls.
    pub fn status(&self) -> String {
        self.url("status")
    }

    /// Instructions for a call that one of our actions placed.
    pub fn placed_answer(&self, action: impl Display) -> String {
        self.url(format_args!("calls/{action}/answer"))
    }

    /// Statuses of a call that one of our actions placed.
    pub fn placed_status(&self, action: impl Display) -> String {
        self.url(format_args!("calls/{action}/status"))
    }

    /// The caller's input in a turn. The URL names the turn, so that a repeat is recognized.
    pub fn gather(&self, turn: i32) -> String {
        self.url(format_args!("gather?turn={turn}"))
    }

    /// An answer that was not ready in time.
    pub fn wait(&self, turn: i32, round: u32) -> String {
        self.url(format_args!("wait?turn={turn}&round={round}"))
    }

    /// Statuses of a leg. The URL names the turn, because a call may dial more than once.
    pub fn leg_status(&self, turn: i32) -> String {
        self.url(format_args!("status?turn={turn}"))
    }

    /// Recordings.
    pub fn recording(&self) -> String {
        self.url("recording")
    }

    /// Instructions while a caller waits in a queue.
    pub fn queue(&self) -> String {
        self.url("queue")
    }
}

/// The WebSocket URL of a media stream. Twilio drops query strings, so the token stands in the path.
pub fn media_stream(base: &str, token: &str) -> String {
    format!("{}/api/twilio/stream/{token}", base.replacen("http", "ws", 1))
}

/// Delivery reports of one message from an HTTP provider.
pub fn provider_status(base: &str, provider: &str, slug: &str, action: impl Display, mac: &str) -> String {
    format!("{base}/api/providers/{provider}/{slug}/{action}/{mac}")
}
