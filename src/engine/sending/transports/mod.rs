//! Transports: one file each, with its account key, the most sends that it has in flight, and `send`, one attempt.
//!
//! An account key names what sends share when they fail or wait: all of one Twilio account, all to one mail server.
//!
//! How to add a transport: a variant of [`Route`], chosen in [`super::plan`]; a file here; its line in the three matches
//! below.

mod email;
mod http_provider;
mod http_request;
pub mod twilio;

use crate::domain::{Action, DeliveryStatus, Route};
use crate::integrations::email::Mailer;
use crate::integrations::http_providers::{self, Callbacks};
use crate::integrations::provider::{Accepted, FailureKind, SendFailure};
use crate::integrations::twilio::client::Client;
use crate::store::QueuedSend;
use crate::tenants::{Account, Platform, Tenant};

/// The clients of all transports.
pub struct Transports {
    pub twilio: Client,
    pub mailer: Mailer,
    /// For described providers and for requests; it refuses private addresses.
    pub outbound: http_providers::Client,
    pub callbacks: Callbacks,
    /// Nothing leaves this machine: a send by another provider and a request count as done.
    pub rehearsing: bool,
}

/// One attempt to be made.
#[derive(Clone, Copy)]
struct Outgoing<'a> {
    tenant: &'a Tenant,
    platform: &'a Platform,
    queued: &'a QueuedSend,
}

impl Transports {
    /// The account key of a tenant's sends along a route; `None` where nothing can be sent now, so that they wait.
    pub fn account(&self, tenant: &Tenant, platform: &Platform, route: &Route) -> Option<String> {
        match route {
            Route::Twilio => twilio::account_key(tenant),
            Route::Email => Some(email::account_key()),
            Route::Provider(name) => http_provider::account_key(platform, name),
            Route::Request => Some(http_request::account_key(tenant)),
        }
    }

    /// The most sends in flight along a route.
    pub const fn at_once(&self, route: &Route) -> usize {
        match route {
            Route::Twilio => twilio::IN_FLIGHT_MAX,
            Route::Email => email::IN_FLIGHT_MAX,
            Route::Provider(_) => http_provider::IN_FLIGHT_MAX,
            Route::Request => http_request::IN_FLIGHT_MAX,
        }
    }

    /// Makes one attempt.
    ///
    /// # Errors
    /// Returns an error if the provider did not take the send, or if that is unknown.
    pub async fn send(
        &self,
        tenant: &Tenant,
        platform: &Platform,
        queued: &QueuedSend,
        route: &Route,
        planned: &Action,
    ) -> Result<Accepted, SendFailure> {
        let outgoing = Outgoing { tenant, platform, queued };
        let sent = match (route, planned) {
            (Route::Provider(_) | Route::Request, _) if self.rehearsing => {
                let sid = queued.id.to_string();
                return Ok(Accepted { sid, status: DeliveryStatus::Sent, http_status: None, doubt: None });
            }
            (Route::Twilio, Action::Send(send)) => twilio::send(&self.twilio, outgoing, send).await,
            (Route::Email, Action::Send(send)) => email::send(&self.mailer, outgoing, send).await,
            (Route::Provider(name), Action::Send(send)) => {
                http_provider::send(&self.outbound, &self.callbacks, outgoing, name, send).await
            }
            (Route::Request, Action::Request(request)) => {
                Some(http_request::send(&self.outbound, queued, request).await)
            }
            _ => None,
        };
        sent.unwrap_or_else(|| Err(no_transport(route)))
    }
}

/// Whether a tenant's sends along a route go through another account now, or with another token.
pub fn has_changed(route: &Route, before: &Account, now: &Account) -> bool {
    *route == Route::Twilio && !twilio::same_account(before, now)
}

fn no_transport(route: &Route) -> SendFailure {
    SendFailure {
        kind: FailureKind::Refused,
        http_status: None,
        code: None,
        detail: format!("this installation has no way '{route}' any more: see 'recado config'"),
    }
}
