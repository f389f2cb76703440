//! The ways out, by route: who is asked to take a send, and whose troubles it shares.

use std::sync::Arc;

use super::deliver;
use crate::domain::{Action, DeliveryStatus, Route, Send, SendBody};
use crate::integrations::email;
use crate::integrations::email::Mailer;
use crate::integrations::http_providers;
use crate::integrations::http_providers::template::Values;
use crate::integrations::http_providers::{Callbacks, request};
use crate::integrations::provider::{Accepted, FailureKind, SendFailure};
use crate::integrations::twilio::client::Client;
use crate::store::QueuedSend;
use crate::tenants::{Account, Platform, Tenant};

/// Everything that can take a send.
pub struct Transports {
    pub twilio: Client,
    pub mailer: Mailer,
    /// For described providers and requests: guarded.
    pub outbound: http_providers::Client,
    pub callbacks: Callbacks,
    /// Nothing may leave this machine: what other providers and servers were asked counts as done.
    pub rehearsing: bool,
}

impl Transports {
    /// Under what name a route's sends share room and troubles: with all of the same account, or of the same server.
    /// `None` where nothing can leave this way now, so that it waits in its row.
    pub fn account(&self, tenant: &Tenant, platform: &Platform, route: &Route) -> Option<String> {
        match route {
            // Sealed under another key: nothing can be signed or sent.
            Route::Twilio => (!tenant.account.tokens.is_empty()).then(|| tenant.account.sid.clone()),
            Route::Provider(name) => platform.providers.named(name).map(|_| route.to_string()),
            Route::Email => Some(route.to_string()),
            // Whatever hangs at the other end, it is this tenant's own.
            Route::Request => Some(format!("{route}:{}", tenant.id)),
        }
    }

    /// One attempt, and no other.
    pub async fn send(
        &self,
        tenant: &Tenant,
        platform: &Platform,
        queued: &QueuedSend,
        route: &Route,
        planned: &Action,
    ) -> Result<Accepted, SendFailure> {
        match (route, planned) {
            (Route::Provider(_) | Route::Request, _) if self.rehearsing => {
                Ok(Accepted { sid: queued.id.to_string(), status: DeliveryStatus::Sent, http_status: None })
            }
            (Route::Twilio, Action::Send(send)) => {
                let account = deliver::credentials(&tenant.account).ok_or_else(|| no_way(route))?;
                let outcome = match &send.body {
                    SendBody::Call(body) => {
                        let call = deliver::call(tenant, platform, queued, body);
                        self.twilio.create_call(&account, &call).await
                    }
                    _ => {
                        let message = deliver::message(tenant, platform, queued, send);
                        self.twilio.create_message(&account, &message).await
                    }
                };
                deliver::of_twilio(outcome)
            }
            (Route::Email, Action::Send(send)) => match deliver::mail(tenant, self.mailer.from(), queued, send) {
                Some(mail) => self.mailer.send(&mail).await,
                None => Err(no_way(route)),
            },
            (Route::Provider(name), Action::Send(send)) => {
                self.through_provider(tenant, platform, queued, name, send).await
            }
            (Route::Request, Action::Request(wanted)) => {
                request::send(&self.outbound, wanted, &queued.id.to_string()).await
            }
            _ => Err(no_way(route)),
        }
    }

    /// The most sends under way on a route at once: more would only wait for a connection.
    pub fn at_once(&self, route: &Route) -> usize {
        match route {
            Route::Email => email::CONNECTIONS_MAX,
            Route::Twilio | Route::Request | Route::Provider(_) => usize::MAX,
        }
    }

    async fn through_provider(
        &self,
        tenant: &Tenant,
        platform: &Platform,
        queued: &QueuedSend,
        name: &Arc<str>,
        send: &Send,
    ) -> Result<Accepted, SendFailure> {
        let (Some(provider), SendBody::Text(text)) = (platform.providers.named(name), &send.body) else {
            return Err(no_way(&Route::Provider(name.clone())));
        };
        let id = queued.id.to_string();
        let callback = self.callbacks.url(name, &tenant.slug, &id);
        let values = Values { to: send.to.as_str(), from: &queued.sender, text, id: &id, callback: &callback };
        provider.send(&self.outbound, &values).await
    }
}

/// Whether a tenant's sends along a route would now go through another account, or with another token.
pub fn has_changed(route: &Route, before: &Account, now: &Account) -> bool {
    *route == Route::Twilio && !deliver::same_account(before, now)
}

fn no_way(route: &Route) -> SendFailure {
    SendFailure {
        kind: FailureKind::Refused,
        http_status: None,
        code: None,
        detail: format!("this installation has no way '{route}' any more: see 'recado config'"),
    }
}
