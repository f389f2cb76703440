//! From an HTTP request to a verified, parsed message.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::Method;
use axum::http::request::Parts;

use super::signed::Signer;
use crate::domain::{Channel, RefusalKind};
use crate::engine::inbound::{parse, prefixed_channel};
use crate::http::{AppState, WebhookRejection};
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::inbound::InboundMessage;
use crate::integrations::twilio::recut::{self, FormKind};
use crate::tenants::{Snapshot, Tenant};

/// The largest body. Twilio's forms have a few kilobytes; a larger one is refused with 413.
pub const BODY_MAX_BYTES: usize = 64 * 1024;
/// The time limit for a body.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Reads the body of a webhook, within its limits of size and time.
pub async fn read_body(body: Body) -> Result<Bytes, WebhookRejection> {
    tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_MAX_BYTES))
        .await
        .map_err(|_| WebhookRejection::timeout("the body did not arrive in time"))?
        .map_err(|_| WebhookRejection::too_large(BODY_MAX_BYTES))
}

/// A webhook whose form is parsed. It is not verified yet.
pub struct Webhook {
    pub parts: Parts,
    pub params: Params,
}

impl Webhook {
    pub async fn read(request: Request<Body>) -> Result<Self, WebhookRejection> {
        let (parts, body) = request.into_parts();
        let body = read_body(body).await?;
        let form = if parts.method == Method::GET { parts.uri.query().unwrap_or_default().as_bytes() } else { &body };
        let params = Params::parse(form).map_err(|error| WebhookRejection::bad_form(error.to_string()))?;
        Ok(Self { parts, params })
    }

    /// A value of the URL's query.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = Params::parse(self.parts.uri.query()?.as_bytes()).ok()?;
        query.filled(name).map(str::to_owned)
    }

    /// Refuses a webhook whose slug or number no tenant has. Only the installation's own account learns that there is none:
    /// all others are refused like those for a tenant.
    pub fn refuse_unknown(&self, state: &AppState, cause: String) -> WebhookRejection {
        let signed = Signer::installation(state).verify(state, &self.parts, &self.params);
        match signed {
            Err(rejection) if !state.skip_signatures => rejection,
            Ok(()) | Err(_) => WebhookRejection::unknown_tenant(cause),
        }
    }

    /// Verifies that the tenant's account has signed the webhook, in this form.
    ///
    /// The URL is built from the configured public bases, never from the request's `Host`. Where unsigned webhooks are
    /// accepted, one that names no account is taken as the tenant's own.
    pub fn verify(&mut self, state: &AppState, tenant: &Tenant, kind: FormKind) -> Result<(), WebhookRejection> {
        if state.skip_signatures {
            if self.params.get("AccountSid").is_none() {
                self.params.push("AccountSid", &tenant.account.sid);
            }
        } else {
            Signer::tenant(tenant, state).verify(state, &self.parts, &self.params)?;
        }
        // Only after the signature, so that nobody else learns what is looked at.
        recut::check(&self.params, kind).map_err(|error| WebhookRejection::bad_form(error.to_string()))?;
        if self.params.get("AccountSid") != Some(&tenant.account.sid) {
            return Err(wrong_recipient(
                state,
                RefusalKind::Account,
                "the AccountSid is missing, or is not that of the account that this URL's tenant uses: \
                 see 'recado tenant list'",
            ));
        }
        Ok(())
    }
}

/// Receives a message for the tenant of the URL's slug, or of the number.
pub async fn receive(state: &AppState, slug: Option<&str>, request: Request<Body>) -> Result<(), WebhookRejection> {
    let webhook = Webhook::read(request).await?;
    let snapshot = state.directory.now();
    let tenant = match slug {
        Some(slug) => snapshot
            .by_slug(slug)
            .cloned()
            .ok_or_else(|| webhook.refuse_unknown(state, format!("no tenant has the slug '{slug}'")))?,
        None => by_content(&snapshot, &webhook.params)
            .map_err(|rejection| webhook.refuse_unknown(state, rejection.cause().to_owned()))?,
    };
    take(state, &tenant, webhook).await.map_err(|rejection| rejection.of(tenant.id))
}

/// Ingests a message for a tenant, whose account must have signed it.
async fn take(state: &AppState, tenant: &Tenant, mut webhook: Webhook) -> Result<(), WebhookRejection> {
    webhook.verify(state, tenant, FormKind::Message)?;
    let message =
        InboundMessage::parse(&webhook.params).map_err(|error| WebhookRejection::bad_form(error.to_string()))?;
    let channel = channel_of(&message)?;
    let snapshot = state.directory.now();
    if snapshot.owner(channel, &message.to.value).is_some_and(|owner| owner.id != tenant.id) {
        return Err(wrong_recipient(
            state,
            RefusalKind::Number,
            "the number that was written to belongs to another tenant",
        ));
    }
    let inbound = parse(tenant, channel, message, state.clock.now(), false);
    let ingested = state.pipeline.ingest(inbound).await?;
    if ingested.duplicate {
        tracing::info!(tenant = %tenant.slug, sid = webhook.params.get("MessageSid").unwrap_or_default(),
            "the provider (or a replayer) brought a message again: counted, nothing done");
    }
    Ok(())
}

/// Refuses a webhook that belongs to another account or tenant. The caller learns the cause only where unsigned webhooks
/// are accepted.
fn wrong_recipient(state: &AppState, kind: RefusalKind, cause: &'static str) -> WebhookRejection {
    if state.skip_signatures {
        WebhookRejection::wrong_recipient(kind, cause)
    } else {
        WebhookRejection::unverified(kind, cause)
    }
}

/// Finds the tenant by number, then by Messaging Service, then by the tenant's own account. The platform's account finds
/// none.
fn by_content(snapshot: &Snapshot, params: &Params) -> Result<Arc<Tenant>, WebhookRejection> {
    let to = params.get("To").unwrap_or_default();
    let (channel, number) = Channel::of_address(to);
    let service = params.get("MessagingServiceSid").unwrap_or_default();
    snapshot
        .by_number(channel, number)
        .or_else(|| snapshot.by_number(channel, service))
        .or_else(|| snapshot.by_own_account(params.get("AccountSid").unwrap_or_default()))
        .cloned()
        .ok_or_else(|| {
            WebhookRejection::unknown_tenant(
                "no tenant owns the number that was written to; add it with 'recado tenant set'".to_owned(),
            )
        })
}

fn channel_of(message: &InboundMessage) -> Result<Channel, WebhookRejection> {
    // An unknown prefix is still part of the value.
    if message.from.value.contains(':') || message.to.value.contains(':') {
        return Err(WebhookRejection::bad_form(format!(
            "From and To are of a channel that is not spoken here: use {}",
            Channel::inbound_labels()
        )));
    }
    Ok(prefixed_channel(&message.from, &message.to))
}
