//! Inbound messages: the emulator stores the message as received, and posts its webhook as Twilio does.
//!
//! Fields are from <https://www.twilio.com/docs/messaging/guides/webhook-request>; the WhatsApp fields are from public
//! code.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;

use super::carrier::{Carrier, Inner};
use super::method::Method;
use super::number_store::Number;
use super::store::{Direction, Message, bare};
use super::twiml::{self, Reply};
use super::webhook::Called;
use crate::domain::channel::Channel;
use crate::domain::phone::Phone;
use crate::domain::segments;
use crate::domain::status::DeliveryStatus;
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::is_sid;

/// WhatsApp's limit of a text.
const BODY_MAX_CHARS: usize = 4_096;
const MEDIA_MAX: usize = 10;
const URL_MAX_BYTES: usize = 2_048;
/// Limit of a name, a button's text or its payload.
const WORD_MAX_CHARS: usize = 256;

/// The button that a customer pressed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PressedButton {
    pub text: String,
    pub payload: String,
}

/// A customer's message: `{"from": "+34600111222", "to": "+34911222333", "channel": "whatsapp", "body": "Hola",
/// "profile_name": "Ana"}`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerText {
    /// The customer's number, E.164.
    pub from: String,
    /// The business's number, E.164.
    pub to: String,
    pub channel: Channel,
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub media: Vec<String>,
    #[serde(default)]
    pub button: Option<PressedButton>,
    #[serde(default)]
    pub profile_name: Option<String>,
    /// The SID of the message that it answers.
    #[serde(default)]
    pub reply_to: Option<String>,
}

/// Why a customer's message is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("{0}")]
    Wrong(String),
    #[error("nobody has the number {0}: GET /carrier/numbers lists those there are")]
    NoSuchNumber(String),
    #[error("{0} has no webhook for this channel: set one, or write to it on the other channel")]
    NotConfigured(String),
    #[error("too many webhooks are under way: try again when some have been answered")]
    Busy,
}

impl TextError {
    /// Returns the HTTP status of the refusal.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchNumber(_) => StatusCode::NOT_FOUND,
            Self::NotConfigured(_) => StatusCode::CONFLICT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl CustomerText {
    fn check(&self) -> Result<(), TextError> {
        let wrong = |text: &str| Err(TextError::Wrong(text.to_owned()));
        Phone::parse(&self.from).map_err(|error| TextError::Wrong(error.to_string()))?;
        if !self.channel.is_sender(&self.to) {
            return Err(TextError::Wrong(format!("{} is no address of {} to write to", self.to, self.channel)));
        }
        let words = [self.profile_name.as_deref(), self.button.as_ref().map(|button| button.text.as_str())];
        let payload = self.button.as_ref().map(|button| button.payload.as_str());
        if words.into_iter().chain([payload]).flatten().any(|word| word.chars().count() > WORD_MAX_CHARS) {
            return wrong("a name, a button's text and its payload have 256 letters at most");
        }
        if self.body.chars().count() > BODY_MAX_CHARS {
            return wrong("a text has 4096 letters at most");
        }
        if self.media.len() > MEDIA_MAX || self.media.iter().any(|url| url.len() > URL_MAX_BYTES) {
            return wrong("a message has ten media at most, each a URL of 2048 bytes at most");
        }
        if self.button.is_some() && self.channel != Channel::WhatsApp {
            return wrong("only WhatsApp messages have buttons");
        }
        if self.body.is_empty() && self.media.is_empty() && self.button.is_none() {
            return wrong("a message has a text, media or a button");
        }
        if self.reply_to.as_deref().is_some_and(|sid| !is_sid("SM", sid) && !is_sid("MM", sid)) {
            return wrong("reply_to is a message's SID: SM or MM and 32 hex digits");
        }
        Ok(())
    }

    /// Returns the text; the text of a button is the text of its message.
    fn said(&self) -> &str {
        self.button.as_ref().filter(|_| self.body.is_empty()).map_or(&self.body, |button| &button.text)
    }
}

impl Carrier {
    /// Accepts a customer's message, and posts its webhook in the background.
    pub fn receive(&self, text: &CustomerText) -> Result<Message, TextError> {
        text.check()?;
        let number = self.0.numbers.find(&text.to).ok_or_else(|| TextError::NoSuchNumber(text.to.clone()))?;
        let url = number.config.message_url(text.channel).map(str::to_owned);
        let url = url.ok_or_else(|| TextError::NotConfigured(text.to.clone()))?;
        let place = Arc::clone(&self.0.webhooks).try_acquire_owned().map_err(|_| TextError::Busy)?;
        let now = self.0.clock.now();
        let sid = self.new_sid(if text.media.is_empty() { "SM" } else { "MM" });
        let mut message = Message::new(sid, number.config.account_sid.clone(), Direction::Inbound, now);
        message.from = Some(text.channel.address(&text.from));
        message.to = text.channel.address(&text.to);
        text.said().clone_into(&mut message.body);
        message.media_urls.clone_from(&text.media);
        message.reply_to.clone_from(&text.reply_to);
        let message = self.0.push(message);
        let from = message.from.as_deref().unwrap_or_default();
        let consent = self.0.consent.receive(from, &message.to, &message.body, now);
        if let Some(answer) = consent.answer {
            self.0.answer(&message, Reply { body: answer, ..Reply::default() });
        }
        if consent.posts_webhook {
            let params = self.0.inbound_params(&message, text);
            let (carrier, message, token) = (self.0.clone(), message.clone(), self.0.uuid());
            tokio::spawn(async move {
                carrier.post_webhook(&number, url, &message, &params, &token).await;
                drop(place);
            });
        }
        Ok(message)
    }
}

impl Inner {
    /// Returns the id that a webhook keeps over its attempts.
    pub(super) fn uuid(&self) -> String {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
            .into_uuid()
            .to_string()
    }

    /// Posts a message's webhook, then to the number's fallback URL, and performs the answer.
    async fn post_webhook(
        self: &Arc<Self>,
        number: &Number,
        url: String,
        message: &Message,
        params: &Params,
        token: &str,
    ) {
        let method = |key| if number.setting(key) == Some("GET") { Method::Get } else { Method::Post };
        let account = &message.account_sid;
        let mut called = self.call(account, &url, method("SmsMethod"), params, Some(token)).await;
        let mut replies = replies_of(&mut called);
        if let (Some(code), Some(fallback)) = (called.outcome.error, number.setting("SmsFallbackUrl")) {
            let mut params = params.clone();
            params.push("ErrorCode", &code.to_string());
            params.push("ErrorUrl", &url);
            let first = called.outcome.attempts;
            called = self.call(account, fallback, method("SmsFallbackMethod"), &params, Some(token)).await;
            called.outcome.attempts += first;
            replies = replies_of(&mut called);
        }
        self.change(&message.sid, |message| message.webhook = Some(called.outcome));
        let refused = message.channel() == Channel::Sms
            && self.consent.opted_out(&message.to, message.from.as_deref().unwrap_or_default());
        if refused && !replies.is_empty() {
            tracing::debug!(sid = message.sid, "21610: a reply to a customer who has opted out is not sent");
            return;
        }
        for reply in replies {
            self.answer(message, reply);
        }
    }

    /// Sends a reply to a customer's message, from its recipient to its sender.
    fn answer(self: &Arc<Self>, to: &Message, reply: Reply) {
        let address = |given: &str| to.channel().address(bare(given));
        let sid = self.new_sid(if reply.media.is_empty() { "SM" } else { "MM" });
        let mut message = Message::new(sid, to.account_sid.clone(), Direction::OutboundReply, self.clock.now());
        message.from = Some(reply.from.as_deref().map_or_else(|| to.to.clone(), address));
        message.to = reply.to.as_deref().map_or_else(|| to.from.clone().unwrap_or_default(), address);
        message.body = reply.body;
        message.media_urls = reply.media;
        message.status_callback = reply.status_callback;
        let message = self.push(message);
        let carrier = self.clone();
        tokio::spawn(async move { carrier.deliver(message, None).await });
    }

    fn inbound_params(&self, message: &Message, text: &CustomerText) -> Params {
        let segments = segments::count(&message.body).segments.to_string();
        let media = message.media_urls.len().to_string();
        let mut params: Params = [
            ("SmsMessageSid", message.sid.as_str()),
            ("NumMedia", &media),
            ("SmsSid", &message.sid),
            ("SmsStatus", DeliveryStatus::Received.as_str()),
            ("Body", &message.body),
            ("To", &message.to),
            ("NumSegments", &segments),
            ("MessageSid", &message.sid),
            ("AccountSid", &message.account_sid),
            ("From", message.from.as_deref().unwrap_or_default()),
            ("ApiVersion", "2010-04-01"),
        ]
        .into_iter()
        .collect();
        for (at, url) in message.media_urls.iter().enumerate() {
            params.push(&format!("MediaUrl{at}"), url);
            params.push(&format!("MediaContentType{at}"), content_type(url));
        }
        if text.channel == Channel::WhatsApp {
            params.push("WaId", text.from.trim_start_matches('+'));
            params.push("ProfileName", text.profile_name.as_deref().unwrap_or_default());
            params.push("ChannelMetadata", "{\"type\":\"whatsapp\"}");
            let kind = match (&text.button, message.media_urls.first()) {
                (Some(_), _) => "button",
                (None, Some(url)) => content_type(url).split('/').next().unwrap_or_default(),
                (None, None) => "text",
            };
            params.push("MessageType", kind);
        }
        if let Some(button) = &text.button {
            params.push("ButtonText", &button.text);
            params.push("ButtonPayload", &button.payload);
        }
        if let Some(sid) = &message.reply_to {
            params.push("OriginalRepliedMessageSid", sid);
            params.push("OriginalRepliedMessageSender", &message.to);
        }
        params
    }
}

/// Returns the messages in an answer; an invalid answer becomes the outcome's error.
fn replies_of(called: &mut Called) -> Vec<Reply> {
    let Some((content_type, body)) = called.answer.take() else { return Vec::new() };
    twiml::replies(&content_type, &body).unwrap_or_else(|code| {
        called.outcome.error = Some(code);
        Vec::new()
    })
}

/// Guesses the content type by the end of a URL.
pub fn content_type(url: &str) -> &'static str {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    match path.rsplit('.').next().unwrap_or_default() {
        "png" => "image/png",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "ogg" => "audio/ogg",
        "mp3" => "audio/mpeg",
        _ => "image/jpeg",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_follow_the_name() {
        assert_eq!(content_type("https://a.b/c.PNG?x=1.pdf"), "image/png");
        assert_eq!(content_type("https://a.b/c"), "image/jpeg");
    }
}
