//! Manual sends, from the command line and the API.

use std::sync::Arc;

use super::plan;
use crate::domain::address::NotAnEmail;
use crate::domain::channel::AddressKind;
use crate::domain::phone::NotANumber;
use crate::domain::{
    Action, ActionId, ActionState, Address, Channel, EmailAddress, Event, EventId, EventKind, Phone, Send, SendBody,
};
use crate::integrations::email::{BODY_BYTES, SUBJECT_CHARS};
use crate::rules::Planned;
use crate::rules::limits::SPOKEN_CHARS;
use crate::store::{Store, StoreError};
use crate::tenants::{Directory, Tenant};

/// Twilio's limit on a body (error 21617).
pub const BODY_MAX_CHARS: usize = 1_600;

/// The reason why a manual send is not planned.
#[derive(Debug, thiserror::Error)]
pub enum SendRefused {
    #[error(transparent)]
    Number(#[from] NotANumber),
    #[error(transparent)]
    Email(#[from] NotAnEmail),
    #[error("no tenant has the slug '{0}'; see 'recado tenant list'")]
    NoTenant(String),
    /// The send would be blocked: it has no sender, or its template does not exist.
    #[error("{0}")]
    Blocked(String),
    #[error("the text has {0} characters, {BODY_MAX_CHARS} are the most: shorten it or send two")]
    TooLong(usize),
    #[error("{0} has {1} {2}, and {3} are the most: shorten it")]
    MailTooLong(&'static str, usize, &'static str, usize),
    #[error("what is said has {0} characters, {SPOKEN_CHARS} are the most: shorten it")]
    SpokenTooLong(usize),
    #[error("there is no text to send")]
    Empty,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Plans manual sends in the ledger.
#[derive(Clone)]
pub struct Outbox {
    pub store: Store,
    pub directory: Arc<Directory>,
    /// The source of the sends, such as a token's name. It is stored with their events.
    pub by: Option<String>,
}

impl Outbox {
    /// Writes a send into the ledger. A running server takes it from there. An error says what is wrong with the send.
    pub async fn plan(&self, slug: &str, channel: Channel, to: &str, body: SendBody) -> Result<ActionId, SendRefused> {
        let snapshot = self.directory.now();
        let tenant = snapshot.by_slug(slug).ok_or_else(|| SendRefused::NoTenant(slug.to_owned()))?;
        self.plan_as(self.store.ids().next(), tenant, channel, to, body).await
    }

    /// Like [`Outbox::plan`], with a given event id. A second send with the same id is the same send.
    pub async fn plan_as(
        &self,
        event: EventId,
        tenant: &Tenant,
        channel: Channel,
        to: &str,
        body: SendBody,
    ) -> Result<ActionId, SendRefused> {
        let to: Address = match channel.spec().address {
            AddressKind::Email => EmailAddress::parse(to)?.into(),
            AddressKind::Phone => Phone::parse_human(to, tenant.home())?.into(),
            AddressKind::PhoneOrWhatsAppId => Address::parse_human(to, tenant.home())?,
        };
        fits(&body)?;
        let event = Event {
            id: event,
            tenant: tenant.id,
            kind: EventKind::MANUAL,
            channel: Some(channel),
            contact: None,
            occurred_at: self.store.clock().now(),
            dedupe_key: None,
            depth: 0,
            data: match &self.by {
                Some(by) => serde_json::json!({"to": to, "by": by}),
                None => serde_json::json!({"to": to}),
            },
        };
        let action = Action::Send(Send { channel, to, reply: false, fallback: None, body });
        let by_hand = Planned { rule: "by hand".to_owned(), index: 0, action, due: None, blocked: None };
        let planned = plan::plan(tenant, self.directory.platform(), &event, &[], by_hand);
        if planned.state == ActionState::Blocked {
            return Err(SendRefused::Blocked(planned.reason.unwrap_or_default()));
        }
        let id = planned.id;
        self.store.add_event(&event, vec![planned], true).await?;
        Ok(id)
    }
}

/// Checks that the body is neither empty nor too long.
fn fits(body: &SendBody) -> Result<(), SendRefused> {
    match body {
        SendBody::Text(text) => match text.chars().count() {
            0 => Err(SendRefused::Empty),
            count if count > BODY_MAX_CHARS => Err(SendRefused::TooLong(count)),
            _ => Ok(()),
        },
        SendBody::Template(_) => Ok(()),
        SendBody::Call(call) => match call.say.as_deref().map(|text| text.chars().count()) {
            Some(0) => Err(SendRefused::Empty),
            Some(count) if count > SPOKEN_CHARS => Err(SendRefused::SpokenTooLong(count)),
            _ => Ok(()),
        },
        SendBody::Email(email) => {
            let (subject, text) = (email.subject.chars().count(), email.text.len());
            match (subject, text) {
                (0, _) | (_, 0) => Err(SendRefused::Empty),
                _ if subject > SUBJECT_CHARS => {
                    Err(SendRefused::MailTooLong("the subject", subject, "characters", SUBJECT_CHARS))
                }
                _ if text > BODY_BYTES => Err(SendRefused::MailTooLong("the text", text, "bytes", BODY_BYTES)),
                _ => Ok(()),
            }
        }
    }
}
