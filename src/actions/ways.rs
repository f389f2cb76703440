//! The ways out, by route: who is asked to take a send, and whose troubles it shares.

use super::deliver;
use crate::directory::{Account, Platform, Tenant};
use crate::domain::{Action, Route};
use crate::provider::{Failure, NotTaken, Taken};
use crate::store::Candidate;
use crate::twilio::client::Client;

/// Everything that can take a send.
pub struct Ways {
    pub twilio: Client,
}

impl Ways {
    /// Under what name a route's sends share room and troubles: with all of the same account, or of the same server.
    /// `None` where nothing can leave this way now, so that it waits in its row.
    pub fn account(&self, tenant: &Tenant, route: &Route) -> Option<String> {
        match route {
            // Sealed under another key: nothing can be signed or sent.
            Route::Twilio => (!tenant.account.tokens.is_empty()).then(|| tenant.account.sid.clone()),
            Route::Email | Route::Provider(_) => Some(route.to_string()),
            // Whatever hangs at the other end, it is this tenant's own.
            Route::Request => Some(format!("{route}:{}", tenant.id)),
        }
    }

    /// One attempt, and no other.
    pub async fn send(
        &self,
        tenant: &Tenant,
        platform: &Platform,
        candidate: &Candidate,
        route: &Route,
        planned: &Action,
    ) -> Result<Taken, NotTaken> {
        match (route, planned) {
            (Route::Twilio, Action::Send(send)) => {
                let account = deliver::credentials(&tenant.account).ok_or_else(|| no_way(route))?;
                let message = deliver::message(tenant, platform, candidate, send);
                deliver::of_twilio(self.twilio.create_message(&account, &message).await)
            }
            _ => Err(no_way(route)),
        }
    }
}

/// Whether a tenant's sends along a route would now go through another account, or with another token.
pub fn has_changed(route: &Route, before: &Account, now: &Account) -> bool {
    *route == Route::Twilio && !deliver::same_account(before, now)
}

fn no_way(route: &Route) -> NotTaken {
    NotTaken {
        what: Failure::Refused,
        http_status: None,
        code: None,
        detail: format!("this installation has no way '{route}' any more: see 'recado config'"),
    }
}
