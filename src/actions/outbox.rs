//! Sends by hand: from the command line now, from the console later.

use std::sync::Arc;

use super::plan;
use crate::directory::Directory;
use crate::domain::phone::NotE164;
use crate::domain::{Action, ActionId, ActionState, Channel, Event, EventKind, Phone, Send, SendBody};
use crate::store::{Store, StoreError};

/// Twilio's limit on a body (error 21617).
pub const BODY_MAX_CHARS: usize = 1_600;

#[derive(Debug, thiserror::Error)]
pub enum SendRefused {
    #[error(transparent)]
    Number(#[from] NotE164),
    #[error("no tenant has the slug '{0}'; see 'recado tenant list'")]
    NoTenant(String),
    /// It was planned as blocked: without a sender, or with a template that there is not.
    #[error("{0}")]
    Blocked(String),
    #[error("the text has {0} characters, {BODY_MAX_CHARS} are the most: shorten it or send two")]
    TooLong(usize),
    #[error("there is no text to send")]
    Empty,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone)]
pub struct Outbox {
    pub store: Store,
    pub directory: Arc<Directory>,
}

impl Outbox {
    /// Writes the send into the ledger, from where a running server takes it. What is wrong with it is said here.
    pub async fn plan(&self, slug: &str, channel: Channel, to: &str, body: SendBody) -> Result<ActionId, SendRefused> {
        let to = Phone::parse_human(to)?;
        if let SendBody::Text(text) = &body {
            match text.chars().count() {
                0 => return Err(SendRefused::Empty),
                count if count > BODY_MAX_CHARS => return Err(SendRefused::TooLong(count)),
                _ => {}
            }
        }
        let snapshot = self.directory.now();
        let tenant = snapshot.by_slug(slug).ok_or_else(|| SendRefused::NoTenant(slug.to_owned()))?;
        let event = Event {
            id: self.store.ids().next(),
            tenant: tenant.id,
            kind: EventKind::MANUAL,
            channel: Some(channel),
            contact: None,
            occurred_at: self.store.clock().now(),
            dedupe_key: None,
            depth: 0,
            data: serde_json::json!({"to": to}),
        };
        let action = Action::Send(Send { channel, to: to.into(), reply: false, body });
        let planned = plan::plan(tenant, self.directory.platform(), &event, None, "by hand".to_owned(), 0, action);
        if planned.state == ActionState::Blocked {
            return Err(SendRefused::Blocked(planned.reason.unwrap_or_default()));
        }
        let id = planned.id;
        self.store.add_event(&event, vec![planned], true).await?;
        Ok(id)
    }
}
