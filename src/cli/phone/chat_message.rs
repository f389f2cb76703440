//! One message as the phone keeps it, with its status ticks.

use super::wire::{Direction, Message, Text, Webhook, Why};
use crate::cli::text;
use crate::domain::{Channel, DeliveryStatus, Timestamp};

/// The delivery state of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The carrier has not accepted it, or has not sent it.
    Pending,
    /// The carrier has accepted it.
    Sent,
    /// It has arrived at the customer, or at the business's server.
    Delivered,
    /// The customer has read it.
    Read,
    Failed(String),
}

impl Mark {
    pub const fn ticks(&self) -> &'static str {
        match self {
            Self::Pending => "◌",
            Self::Sent => "✓",
            Self::Delivered | Self::Read => "✓✓",
            Self::Failed(_) => "✗",
        }
    }
}

#[derive(Clone, Debug)]
pub struct ChatMessage {
    /// The id within this phone.
    pub id: u64,
    /// `None` until the carrier has accepted it.
    pub sid: Option<String>,
    /// The customer wrote it.
    pub mine: bool,
    pub channel: Channel,
    /// The business's number.
    pub business: String,
    pub body: String,
    pub media: Vec<String>,
    /// The WhatsApp buttons of the message.
    pub buttons: Vec<String>,
    pub reply_to: Option<String>,
    pub at: Timestamp,
    pub mark: Mark,
    /// It was on the screen, or existed before the phone started.
    pub seen: bool,
    /// The carrier knows that it was read.
    pub read_reported: bool,
}

impl ChatMessage {
    /// A text that the carrier has not accepted yet.
    pub fn pending(id: u64, text: &Text, at: Timestamp) -> Self {
        Self {
            id,
            sid: None,
            mine: true,
            channel: text.channel,
            business: text.to.clone(),
            body: text.body.clone(),
            media: text.media.clone(),
            buttons: Vec::new(),
            reply_to: text.reply_to.clone(),
            at,
            mark: Mark::Pending,
            seen: true,
            read_reported: true,
        }
    }

    /// `seen` matters for messages of the business only.
    pub fn of(id: u64, message: Message, seen: bool) -> Self {
        let mine = message.direction == Direction::Inbound;
        let business = message.business().to_owned();
        let mark = mark(&message);
        let (template, buttons) =
            message.template.map(|template| (template.body, template.buttons)).unwrap_or_default();
        let body = message.body.filter(|body| !body.is_empty()).or(template).unwrap_or_default();
        Self {
            id,
            sid: Some(message.sid),
            mine,
            channel: message.channel,
            business,
            body,
            media: message.media,
            buttons,
            reply_to: message.reply_to,
            at: message.created_at,
            mark,
            seen: mine || seen,
            read_reported: mine,
        }
    }

    /// Takes over the fields that may have changed.
    pub fn follow(&mut self, message: &Message) {
        self.mark = mark(message);
    }

    /// True if the carrier is to be told that the message was read.
    pub fn needs_read_report(&self) -> bool {
        !self.read_reported && self.channel.spec().reads && self.mark == Mark::Delivered
    }
}

fn mark(message: &Message) -> Mark {
    if message.direction == Direction::Inbound {
        return match &message.webhook {
            None => Mark::Sent,
            Some(hook) => webhook_mark(hook),
        };
    }
    match DeliveryStatus::parse(&message.status) {
        Some(DeliveryStatus::Sent) => Mark::Sent,
        Some(DeliveryStatus::Delivered) => Mark::Delivered,
        Some(DeliveryStatus::Read) => Mark::Read,
        Some(status @ (DeliveryStatus::Failed | DeliveryStatus::Undelivered | DeliveryStatus::Canceled)) => {
            Mark::Failed(match message.error_code {
                Some(code) => format!("{status}, error {}", text::code(code)),
                None => status.to_string(),
            })
        }
        _ => Mark::Pending,
    }
}

/// The status of a customer's text at the business's server.
fn webhook_mark(hook: &Webhook) -> Mark {
    let why = hook.error.as_ref().map(|why| match why {
        Why::Code(code) => format!("error {}", text::code(*code)),
        Why::Words(words) => words.clone(),
    });
    match (hook.status, why) {
        (Some(200..=299), None) => Mark::Delivered,
        (Some(status), None) => Mark::Failed(format!("the server answered {status}: see its log")),
        (Some(status), Some(why)) => Mark::Failed(format!("the server answered {status}: {why}")),
        (None, Some(why)) => Mark::Failed(format!("the server was not reached: {why}")),
        (None, None) => Mark::Sent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(direction: &str, more: Value, expect: &str) {
        let mut message = json!({"seq": 1, "sid": "SM1", "direction": direction, "channel": "sms", "from": "+34600111222",
            "to": "+15005550006", "body": "x", "status": "queued", "created_at": "2026-11-21T10:00:00Z"});
        for (name, value) in more.as_object().unwrap() {
            message[name] = value.clone();
        }
        let entry = ChatMessage::of(1, serde_json::from_value(message).unwrap(), false);
        let said = match &entry.mark {
            Mark::Failed(why) => format!("✗ {why}"),
            mark => format!("{}{}", mark.ticks(), if *mark == Mark::Read { " read" } else { "" }),
        };
        assert_eq!(said, expect);
    }

    #[test]
    fn ticks_of_the_business_follow_twilios_word() {
        for (status, expect) in
            [("queued", "◌"), ("sent", "✓"), ("delivered", "✓✓"), ("read", "✓✓ read"), ("canceled", "✗ canceled")]
        {
            check("outbound", json!({"status": status}), expect);
        }
        let unreachable = "✗ undelivered, error 30003: the handset cannot be reached; \
                           it may be off or abroad; send anew if it still matters";
        check("outbound", json!({"status": "undelivered", "error_code": 30003}), unreachable);
    }

    #[test]
    fn ticks_of_the_customer_follow_the_webhook() {
        let hook = |hook: Value| json!({"status": "received", "webhook": hook});
        check("inbound", hook(Value::Null), "✓");
        check("inbound", hook(json!({"status": 200, "attempts": 1, "error": null})), "✓✓");
        check(
            "inbound",
            hook(json!({"status": 403, "attempts": 1, "error": "signature"})),
            "✗ the server answered 403: signature",
        );
        check("inbound", hook(json!({"status": 500, "attempts": 2})), "✗ the server answered 500: see its log");
        check(
            "inbound",
            hook(json!({"status": null, "attempts": 2, "error": 11205})),
            "✗ the server was not reached: error 11205: Twilio could not connect to our webhook; \
             check that the public URL is reachable from outside",
        );
        let away = hook(json!({"status": null, "attempts": 1, "error": "connection refused"}));
        check("inbound", away, "✗ the server was not reached: connection refused");
    }
}
