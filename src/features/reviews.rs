//! Review links: the customer gives a score, then writes a public review or a private feedback.
//!
//! A rule makes the link with `review_link()`. The first score counts. Each step is an event, stored once for each link.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::{Event, EventKind};
use crate::engine::pipeline::Pipeline;
use crate::store::{Store, StoreError};
use crate::tenants::{Directory, Tenant};

/// The blueprint whose parameters decide what follows the score.
const RULE: &str = "review request";
/// The scores, from bad to very good.
pub const SCORES: RangeInclusive<u8> = 1..=5;
/// The longest feedback, in characters; longer ones are cut.
pub const FEEDBACK_CHARS: usize = 2_000;

/// Handles review links.
#[derive(Clone, Copy)]
pub struct Reviews<'a> {
    pub pipeline: &'a Pipeline,
    pub store: &'a Store,
    pub directory: &'a Directory,
}

/// A valid link.
pub struct ReviewLink {
    pub tenant: Arc<Tenant>,
    /// The event that the link was made for.
    asked: Event,
    /// The customer's language, or else the business's.
    pub language: String,
}

/// What the customer is asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    Score,
    /// A public review, on the page at this URL.
    PublicReview(String),
    /// A feedback that only the business reads.
    Feedback,
    /// Nothing more.
    Done,
}

impl Reviews<'_> {
    /// Finds the link of a token; `None` for every bad token.
    pub async fn find(&self, token: &str) -> Result<Option<ReviewLink>, StoreError> {
        let rules = self.pipeline.rules();
        let Some(id) = rules.links().event(token, self.store.clock().now()) else { return Ok(None) };
        let Some(asked) = self.store.event_of_link(id).await? else { return Ok(None) };
        let Some(tenant) = self.directory.now().by_id(asked.tenant).cloned() else { return Ok(None) };
        let Some(contact) = asked.contact else { return Ok(None) };
        let known = self.store.contact_facts(tenant.id, &[contact], None).await?.0;
        let chosen = known.get(&contact).and_then(|contact| contact.fields.get("language")).and_then(Value::as_str);
        let language = chosen.unwrap_or(&tenant.facts.language).to_owned();
        Ok(Some(ReviewLink { tenant, asked, language }))
    }

    /// The token that a form on the page of this link carries.
    pub fn form_token(&self, link: &ReviewLink) -> String {
        self.pipeline.rules().links().form_token(link.asked.id, self.store.clock().now())
    }

    /// Whether a form came from a page of this link that was shown not long ago.
    pub fn accepts_form(&self, link: &ReviewLink, token: &str) -> bool {
        self.pipeline.rules().links().accepts_form(link.asked.id, token, self.store.clock().now())
    }

    /// Says what the customer is asked next.
    pub async fn next_step(&self, link: &ReviewLink) -> Result<NextStep, StoreError> {
        let Some(scored) = self.done(link, &EventKind::REVIEW_SCORED).await? else { return Ok(NextStep::Score) };
        if let Some(url) = self.public_page(link, scored.data["score"].as_u64().unwrap_or_default()) {
            return Ok(NextStep::PublicReview(url));
        }
        let told = self.done(link, &EventKind::REVIEW_FEEDBACK).await?.is_some();
        Ok(if told { NextStep::Done } else { NextStep::Feedback })
    }

    /// Records that the page was opened.
    pub async fn open(&self, link: &ReviewLink) -> Result<(), StoreError> {
        self.record(link, EventKind::REVIEW_OPENED, json!({})).await
    }

    /// Records a score, one of [`SCORES`].
    pub async fn score(&self, link: &ReviewLink, score: u8) -> Result<(), StoreError> {
        self.record(link, EventKind::REVIEW_SCORED, json!({"score": score})).await
    }

    /// Records a feedback. It follows a score, and is not empty.
    pub async fn feedback(&self, link: &ReviewLink, text: &str) -> Result<(), StoreError> {
        let text = clean(text);
        match self.done(link, &EventKind::REVIEW_SCORED).await? {
            Some(scored) if !text.is_empty() => {
                let data = json!({"score": scored.data["score"], "text": text});
                self.record(link, EventKind::REVIEW_FEEDBACK, data).await
            }
            _ => Ok(()),
        }
    }

    /// The event of a step, if the step has been done.
    async fn done(&self, link: &ReviewLink, kind: &EventKind) -> Result<Option<Event>, StoreError> {
        self.store.event_of_key(link.tenant.id, &link.key(kind)).await
    }

    /// Stores a step, unless it has been done.
    async fn record(&self, link: &ReviewLink, kind: EventKind, mut data: Value) -> Result<(), StoreError> {
        data["request"] = link.asked.id.to_string().into();
        if let Some(appointment) = link.asked.data.get("appointment") {
            data["appointment"] = appointment.clone();
        }
        let event = Event {
            id: self.store.ids().next(),
            tenant: link.tenant.id,
            dedupe_key: Some(link.key(&kind)),
            kind,
            channel: None,
            contact: link.asked.contact,
            occurred_at: self.store.clock().now(),
            depth: 0,
            data,
        };
        self.pipeline.add_event(&event).await
    }

    /// The public review page, where the business has one for this score.
    fn public_page(&self, link: &ReviewLink, score: u64) -> Option<String> {
        let rules = self.pipeline.rules();
        let param = |name| rules.param(RULE, name, &link.tenant.facts);
        let from = param("min_score").and_then(|from| from.as_u64()).unwrap_or_default();
        let url = param("review_url").and_then(|url| url.as_str().map(str::to_owned))?;
        let web = url.starts_with("https://") || url.starts_with("http://");
        (web && score >= from).then_some(url)
    }
}

impl ReviewLink {
    /// The key of a step's event.
    fn key(&self, kind: &EventKind) -> String {
        format!("{kind}:{}", self.asked.id)
    }
}

/// Cuts a text to its longest form, without control characters.
fn clean(text: &str) -> String {
    let plain = text.chars().filter(|c| *c == '\n' || !c.is_control());
    plain.take(FEEDBACK_CHARS).collect::<String>().trim().to_owned()
}
