//! What happens, as customers' handsets would see it: a long poll over every message that came or changed.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::content::Rendered;
use super::store::{Direction, WebhookOutcome, bare};
use super::{Carrier, Message, answer};
use crate::domain::Timestamp;
use crate::domain::phone::Phone;

/// Messages in one answer.
const PAGE_MAX: usize = 200;
const WAIT_MAX_MS: u64 = 30_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// E.164; without one, all customers.
    customer: Option<String>,
    /// The number of the last change that is known.
    #[serde(default)]
    after: u64,
    /// How long to wait for something new.
    #[serde(default)]
    wait_ms: u64,
}

/// A message as the feed shows it.
#[derive(Serialize)]
pub struct Shown {
    seq: u64,
    sid: String,
    direction: &'static str,
    channel: &'static str,
    from: String,
    to: String,
    body: String,
    media: Vec<String>,
    content_sid: Option<String>,
    template: Option<Rendered>,
    status: &'static str,
    error_code: Option<u32>,
    reply_to: Option<String>,
    webhook: Option<WebhookOutcome>,
    created_at: Timestamp,
}

impl From<Message> for Shown {
    fn from(message: Message) -> Self {
        Self {
            seq: message.seq,
            direction: if message.direction == Direction::Inbound { "inbound" } else { "outbound" },
            channel: if message.is_whatsapp() { "whatsapp" } else { "sms" },
            from: bare(message.from.as_deref().unwrap_or_default()).to_owned(),
            to: bare(&message.to).to_owned(),
            sid: message.sid,
            body: message.body,
            media: message.media_urls,
            content_sid: message.content_sid,
            template: message.template,
            status: message.status.as_str(),
            error_code: message.error_code,
            reply_to: message.reply_to,
            webhook: message.webhook,
            created_at: message.created_at,
        }
    }
}

#[derive(Serialize)]
struct Feed {
    /// What to ask after next.
    seq: u64,
    messages: Vec<Shown>,
}

pub async fn follow(State(carrier): State<Carrier>, Query(wanted): Query<Wanted>) -> Response {
    if let Some(customer) = &wanted.customer
        && let Err(error) = Phone::parse(customer)
    {
        return answer::bad_request(&error.to_string());
    }
    let wait = Duration::from_millis(wanted.wait_ms.min(WAIT_MAX_MS));
    let found = tokio::time::timeout(wait, carrier.changed(&wanted)).await;
    let feed = found.unwrap_or_else(|_| carrier.look(&wanted));
    Json(feed).into_response()
}

impl Carrier {
    async fn changed(&self, wanted: &Wanted) -> Feed {
        let mut changes = self.0.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let feed = self.look(wanted);
            // The sender lives in the carrier.
            if !feed.messages.is_empty() || changes.changed().await.is_err() {
                return feed;
            }
        }
    }

    fn look(&self, wanted: &Wanted) -> Feed {
        let store = self.0.store();
        let messages = store.changed_after(wanted.after, wanted.customer.as_deref(), PAGE_MAX);
        let full = messages.len() == PAGE_MAX;
        let seq = messages.last().filter(|_| full).map_or(store.seq(), |last| last.seq);
        drop(store);
        Feed { seq, messages: messages.into_iter().map(Shown::from).collect() }
    }
}
