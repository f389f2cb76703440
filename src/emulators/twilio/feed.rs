//! The events of the handsets: a long poll over new and changed messages.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::answer;
use super::carrier::Carrier;
use super::long_poll::wait_for;
use super::store::{Direction, Message, WebhookOutcome, bare};
use super::templates::Rendered;
use crate::domain::Timestamp;
use crate::domain::phone::Phone;

/// Messages in one answer.
const PAGE_MAX: usize = 200;

/// The query of the long poll.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowQuery {
    /// E.164; all customers if absent.
    customer: Option<String>,
    /// The number of the last known change.
    #[serde(default)]
    after: u64,
    /// Time to wait for a change.
    #[serde(default)]
    wait_ms: u64,
}

/// A message in the feed.
#[derive(Serialize)]
pub struct FeedMessage {
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

impl From<Message> for FeedMessage {
    fn from(message: Message) -> Self {
        Self {
            seq: message.seq,
            direction: if message.direction == Direction::Inbound { "inbound" } else { "outbound" },
            channel: message.channel().as_str(),
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
    /// The `after` of the next request.
    seq: u64,
    messages: Vec<FeedMessage>,
}

/// Returns new and changed messages; waits for some.
pub async fn follow(State(carrier): State<Carrier>, Query(query): Query<FollowQuery>) -> Response {
    if let Some(customer) = &query.customer
        && let Err(error) = Phone::parse(customer)
    {
        return answer::bad_request(&error.to_string());
    }
    let look = || {
        let feed = carrier.look(&query);
        Some((!feed.messages.is_empty(), feed))
    };
    Json(wait_for(&carrier.0.changes, query.wait_ms, look).await).into_response()
}

impl Carrier {
    fn look(&self, query: &FollowQuery) -> Feed {
        let store = self.0.store();
        let messages = store.changed_after(query.after, query.customer.as_deref(), PAGE_MAX);
        let full = messages.len() == PAGE_MAX;
        let seq = messages.last().filter(|_| full).map_or(store.seq(), |last| last.seq);
        drop(store);
        Feed { seq, messages: messages.into_iter().map(FeedMessage::from).collect() }
    }
}
